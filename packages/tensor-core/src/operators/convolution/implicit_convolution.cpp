// Convolutions as products with the unfolded images, of which there is never more than a few panels.
//
// Note [Implicit unfolding]
// In an image with its padding around it, and with the columns that are a stride apart side by side, element (tap,
// position) of the unfolded matrix lies at the tap's offset plus the position's. The product's packing reads it from
// there: Note [Gemm] in kernels/linalg/gemm.cpp. Several samples stand side by side, so that no column is computed in
// vain.
#include <algorithm>
#include <cstring>
#include <vector>

#include "flambeau/parallel.h"
#include "operators/convolution/padded_image.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using kernels::Run;

// Samples side by side: few enough that their outputs stay in the cache, in as many parts as threads share evenly. The
// results do not depend on it: every product is added up in the same order.
int64_t samples_together(const Geometry& g) {
  constexpr int64_t kColumns = 768;
  const int64_t threads = num_threads(), most = std::clamp<int64_t>(kColumns / g.positions(), 1, g.batch);
  const int64_t parts = (g.batch + most - 1) / most, even = (parts + threads - 1) / threads * threads;
  return (g.batch + even - 1) / even;
}

template <class T>
void multiply_windows(const Geometry& g, const T* images, const T* weights, const T* bias, T* out) {
  const PaddedImage padded(g);
  const auto kernel = kernels::table().gemm_runs[sizeof(T) == 8];
  const std::vector<int32_t> taps = padded.taps();
  const int64_t filters = g.group_filters(), together = samples_together(g), positions = g.positions(),
                parts = (g.batch + together - 1) / together, size = int64_t(sizeof(T));
  const std::vector<Run> runs = padded.runs(together, g.out[2]);
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
    multiply_windows<T>(g, input.data<T>(), weight.data<T>(), bias.defined() ? bias.data<T>() : nullptr, out.data<T>());
  });
  return out;
}

}  // namespace flambeau
