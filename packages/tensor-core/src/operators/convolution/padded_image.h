// An image with padding, in which columns whose distance is the stride are adjacent. For every tap, the elements for a
// row of the output are then contiguous.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/layers/networks.h"
#include "operators/convolution/convolution.h"

namespace flambeau {

// The layout of one sample of one group.
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
  // Returns the output positions of consecutive samples as runs of at most `longest` positions.
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
    if (stride != 1) return std::fill_n(to, size(), T(0)), insert(to, image);
    T* done = to;  // the elements before this address are set
    each_line(to, image, [&](T* line, const T* from) {
      T* const inside = line + g.padding[2];
      std::fill(done, inside, T(0));
      done = copy_line(inside, from);
    });
    std::fill(done, to + size(), T(0));
  }
  // Writes the image into memory whose padding is already zero, for example after fill() with another image of the same
  // size.
  template <class T>
  void insert(T* to, const T* image) const {
    each_line(to, image, [&](T* line, const T* from) {
      if (stride == 1)
        copy_line(line + g.padding[2], from);
      else
        spread(line, from);
    });
  }

 private:
  // Calls f(line, from) for each row of the image: `from` is the address of the row in `image`, and `line` is the
  // address of the padded row in `to`.
  template <class T, class F>
  void each_line(T* to, const T* image, F&& f) const {
    for (int64_t c = 0; c < g.group_channels(); ++c)
      for (int64_t z = 0; z < g.size[0]; ++z)
        for (int64_t y = 0; y < g.size[1]; ++y, image += g.size[2])
          f(to + c * volume + (z + g.padding[0]) * plane + (y + g.padding[1]) * row, image);
  }

  // Copies a row. Rows are short, so calling memcpy would take longer than copying.
  template <class T>
  T* copy_line(T* __restrict to, const T* __restrict from) const {
    constexpr int64_t kStep = 16 / int64_t(sizeof(T)), kLong = 512;
    const int64_t n = g.size[2];
    if (n < kStep || n > kLong) return std::copy_n(from, n, to);
    for (int64_t i = 0; i + kStep <= n; i += kStep) std::memcpy(to + i, from + i, 16);
    std::memcpy(to + n - kStep, from + n - kStep, 16);
    return to + n;
  }

  template <class T>
  void spread(T* __restrict line, const T* __restrict image) const {
    const int64_t width = g.size[2], padding = g.padding[2];
    if (stride == 2) {
      T *const even = line + in_row(padding), *const odd = line + in_row(padding + 1);
      kernels::networks().split_columns[sizeof(T) == 8](reinterpret_cast<const char*>(image), width,
                                                        reinterpret_cast<char*>(even), reinterpret_cast<char*>(odd));
    } else {
      for (int64_t x = 0; x < width; ++x) line[in_row(x + padding)] = image[x];
    }
  }
};

}  // namespace flambeau
