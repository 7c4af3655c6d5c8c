// Convolutions as products with the unfolded images, of which there is never more than a few panels.
//
// Note [Implicit unfolding]
// In an image with its padding around it, and with the columns that are a stride apart side by side, element (tap,
// position) of the unfolded matrix lies at the tap's offset plus the position's. The product's packing reads it from
// there: Note [Gemm] in kernels/gemm.cpp. Several samples stand side by side, so that no column is computed in vain.
#include <algorithm>
#include <cstring>
#include <vector>

#include "flambeau/parallel.h"
#include "operators/convolution.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using kernels::Run;

struct Padded {  // a sample of one group
  const Geometry& g;
  const int64_t stride, phase, row, plane, volume;

  explicit Padded(const Geometry& g)
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
  std::vector<Run> runs(int64_t samples) const {
    std::vector<Run> out;
    int64_t column = 0;
    for (int64_t i = 0; i < samples; ++i)
      for (int64_t d = 0; d < g.out[0]; ++d)
        for (int64_t h = 0; h < g.out[1]; ++h, column += g.out[2])
          out.push_back({column, i * size() + d * g.stride[0] * plane + h * g.stride[1] * row, g.out[2]});
    return out;
  }
  template <class T>
  void fill(T* to, const T* image) const {
    std::fill(to, to + size(), T(0));
    for (int64_t c = 0; c < g.group_channels(); ++c)
      for (int64_t z = 0; z < g.size[0]; ++z)
        for (int64_t y = 0; y < g.size[1]; ++y, image += g.size[2]) {
          T* const line = to + c * volume + (z + g.padding[0]) * plane + (y + g.padding[1]) * row;
          spread(line, image);
        }
  }

 private:
  template <class T>
  void spread(T* __restrict line, const T* __restrict image) const {
    const int64_t width = g.size[2], padding = g.padding[2];
    if (stride == 1) {
      std::memcpy(line + padding, image, size_t(width) * sizeof(T));
    } else if (stride == 2) {
      T *const even = line + in_row(padding), *const odd = line + in_row(padding + 1);
      for (int64_t i = 0; i < width / 2; ++i) even[i] = image[2 * i], odd[i] = image[2 * i + 1];
      if (width % 2) even[width / 2] = image[width - 1];
    } else {
      for (int64_t x = 0; x < width; ++x) line[in_row(x + padding)] = image[x];
    }
  }
};

// Samples side by side: few enough that their outputs stay in the cache, in as many parts as threads share evenly. The
// results do not depend on it: every product is added up in the same order.
int64_t samples_together(const Geometry& g) {
  constexpr int64_t kColumns = 768;
  const int64_t threads = num_threads(), most = std::clamp<int64_t>(kColumns / g.positions(), 1, g.batch);
  const int64_t parts = (g.batch + most - 1) / most, even = (parts + threads - 1) / threads * threads;
  return (g.batch + even - 1) / even;
}

template <class T>
void convolve(const Geometry& g, const T* images, const T* weights, const T* bias, T* out) {
  const Padded padded(g);
  const auto kernel = kernels::table().gemm_runs[sizeof(T) == 8];
  const std::vector<int32_t> taps = padded.taps();
  const int64_t filters = g.group_filters(), together = samples_together(g), positions = g.positions(),
                parts = (g.batch + together - 1) / together, size = int64_t(sizeof(T));
  const std::vector<Run> runs = padded.runs(together);
  // Threads share the parts; where these are fewer, the filters of a part, too.
  constexpr int64_t kLeastFilters = 24;
  const int64_t shares =
      std::clamp<int64_t>((num_threads() + parts - 1) / parts, 1, std::max<int64_t>(1, filters / kLeastFilters));
  parallel_items(
      parts * shares, std::max<int64_t>(1, sample_grain(g, shares) / together), [&](int64_t begin, int64_t end) {
        const Block image((together * padded.size() + 2 * kernels::kDirectSlack) * size);
        const Block results(together == 1 ? 1 : filters * together * positions * size);
        for (int64_t task = begin; task < end; ++task)
          for (int64_t group = 0; group < g.groups; ++group) {
            const int64_t first = task / shares * together, count = std::min(together, g.batch - first),
                          width = count * positions, share = task % shares, f = filters * share / shares,
                          height = filters * (share + 1) / shares - f, own = group * filters + f;
            T* const from = reinterpret_cast<T*>(image.get());
            for (int64_t i = 0; i < count; ++i)
              padded.fill(from + i * padded.size(),
                          images + ((first + i) * g.channels + group * g.group_channels()) * product(g.size));
            const auto line = [&](int64_t i, int64_t row) {
              return out + ((first + i) * g.filters + own + row) * positions;
            };
            T* const to = together == 1 ? line(0, 0) : reinterpret_cast<T*>(results.get());
            for (int64_t row = 0; bias && row < height; ++row)
              std::fill(to + row * width, to + (row + 1) * width, bias[own + row]);
            kernel(height, width, g.taps(), {weights + own * g.taps(), g.taps(), 1},
                   {from, taps.data(), runs.data(), count * g.out[0] * g.out[1]}, bias ? 1 : 0, to, width);
            for (int64_t i = 0; together > 1 && i < count; ++i)
              for (int64_t row = 0; row < height; ++row)
                std::memcpy(line(i, row), to + row * width + i * positions, size_t(positions * size));
          }
      });
}

}  // namespace

Tensor implicit_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const Tensor out = empty(g.output_shape(), input.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    convolve<T>(g, input.data<T>(), weight.data<T>(), bias.defined() ? bias.data<T>() : nullptr, out.data<T>());
  });
  return out;
}

}  // namespace flambeau
