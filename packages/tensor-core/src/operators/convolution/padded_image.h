// An image with its padding around it, and with the columns that are a stride apart side by side: the positions of a
// row of the output then lie in a run, for every tap of the window.
#pragma once

#include <algorithm>
#include <vector>

#include "operators/convolution/convolution.h"

namespace flambeau {

// A sample of one group.
struct PaddedImage {
  const ConvolutionGeometry& g;
  const int64_t stride, phase, row, plane, volume;

  explicit PaddedImage(const ConvolutionGeometry& g)
      : g(g),
        stride(g.stride[2]),
        phase((g.size[2] + 2 * g.padding[2] + stride - 1) / stride),
        row(stride * phase),
        plane((g.size[1] + 2 * g.padding[1]) * row),
        volume((g.size[0] + 2 * g.padding[0]) * plane) {}

  int64_t size() const { return g.group_channels() * volume; }
  int64_t in_row(int64_t x) const { return x % stride * phase + x / stride; }

  std::vector<int32_t> taps() const {
    std::vector<int32_t> offsets;
    offsets.reserve(size_t(g.taps()));
    for (int64_t c = 0; c < g.group_channels(); ++c)
      for (int64_t d = 0; d < g.kernel[0]; ++d)
        for (int64_t h = 0; h < g.kernel[1]; ++h)
          for (int64_t w = 0; w < g.kernel[2]; ++w)
            offsets.push_back(
                int32_t(c * volume + d * g.dilation[0] * plane + h * g.dilation[1] * row + in_row(w * g.dilation[2])));
    return offsets;
  }
  // The positions of samples one behind the other, in runs of `longest` at most.
  std::vector<kernels::Run> runs(int64_t samples, int64_t longest) const {
    std::vector<kernels::Run> out;
    for (int64_t i = 0, column = 0; i < samples; ++i)
      for (int64_t d = 0; d < g.out[0]; ++d)
        for (int64_t h = 0; h < g.out[1]; ++h)
          for (int64_t w = 0; w < g.out[2]; w += longest) {
            const int64_t length = std::min(longest, g.out[2] - w);
            out.push_back({column, i * size() + d * g.stride[0] * plane + h * g.stride[1] * row + w, length});
            column += length;
          }
    return out;
  }
  template <class T>
  void fill(T* to, const T* image) const {
    T* done = stride == 1 ? to : std::fill_n(to, size(), T(0));  // up to where all is set
    for (int64_t c = 0; c < g.group_channels(); ++c)
      for (int64_t z = 0; z < g.size[0]; ++z)
        for (int64_t y = 0; y < g.size[1]; ++y, image += g.size[2]) {
          T* const line = to + c * volume + (z + g.padding[0]) * plane + (y + g.padding[1]) * row;
          if (stride == 1) {
            T* const inside = line + g.padding[2];
            std::fill(done, inside, T(0));
            done = std::copy_n(image, g.size[2], inside);
          } else {
            spread(line, image);
          }
        }
    std::fill(done, to + size(), T(0));
  }

 private:
  template <class T>
  void spread(T* __restrict line, const T* __restrict image) const {
    const int64_t width = g.size[2], padding = g.padding[2];
    if (stride == 2) {
      T *const even = line + in_row(padding), *const odd = line + in_row(padding + 1);
      for (int64_t i = 0; i < width / 2; ++i) even[i] = image[2 * i], odd[i] = image[2 * i + 1];
      if (width % 2) even[width / 2] = image[width - 1];
    } else {
      for (int64_t x = 0; x < width; ++x) line[in_row(x + padding)] = image[x];
    }
  }
};

}  // namespace flambeau
