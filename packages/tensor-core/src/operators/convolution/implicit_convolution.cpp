// Convolutions as products with the unfolded images. Only a few panels of an unfolded image exist at any time.
//
// Note [Implicit unfolding]
// Consider an image with padding, reordered so that columns one stride apart are adjacent. Element (tap, position) of
// the unfolded matrix is then at the offset of the tap plus the offset of the position. The product reads these
// elements when it packs a panel: Note [Gemm] in kernels/linalg/blocked_product.h. Several samples are placed side by
// side, so that panels are full.
#include <algorithm>
#include <cstring>
#include <vector>

#include "flambeau/parallel.h"
#include "operators/convolution/padded_image.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using kernels::Run;

// Returns the number of samples that one product computes side by side. It is small enough for their outputs to stay in
// the cache, and divides the samples evenly among the threads. Results do not depend on it, because every product adds
// in the same order.
int64_t samples_together(const Geometry& g) {
  constexpr int64_t kColumns = 768;
  const int64_t threads = num_threads(), most = std::clamp<int64_t>(kColumns / g.positions(), 1, g.batch);
  const int64_t parts = (g.batch + most - 1) / most, even = (parts + threads - 1) / threads * threads;
  return (g.batch + even - 1) / even;
}

template <class T>
void multiply_windows(const Geometry& g, const T* images, const T* weights, const T* bias, T* out,
                      const ConvolutionFinish& finish) {
  const PaddedImage padded(g);
  const auto kernel = kernels::products().finished_gemm_runs[sizeof(T) == 8];
  const std::vector<int32_t> taps = padded.taps();
  const int64_t filters = g.group_filters(), together = samples_together(g), positions = g.positions(),
                parts = (g.batch + together - 1) / together, size = int64_t(sizeof(T));
  const std::vector<Run> runs = padded.runs(together, g.out[2]);
  // Threads share the parts. If there are fewer parts than threads, they also share the rows of a part's outputs or,
  // for small outputs, the filters.
  constexpr int64_t kMinFilters = 24, kMinColumns = 256;
  const int64_t lines = g.out[0] * g.out[1], wanted = (num_threads() + parts - 1) / parts;
  const bool by_lines = together == 1 && positions >= wanted * kMinColumns;
  const int64_t shares = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, by_lines ? lines : filters / kMinFilters));
  const int64_t rows = kernels::products().panel_rows;
  const auto first_filter = [&](int64_t share) {  // the first filter of a share: a multiple of the panel's height
    return by_lines ? 0 : share == shares ? filters : filters * share / shares / rows * rows;
  };
  parallel_items(
      parts * shares, std::max<int64_t>(1, sample_grain(g, shares) / together), [&](int64_t begin, int64_t end) {
        const Block image((together * padded.size() + 2 * kernels::kDirectSlack) * size);
        const Block results(together == 1 ? 1 : filters * together * positions * size);
        for (int64_t task = begin; task < end; ++task)
          for (int64_t group = 0; group < g.groups; ++group) {
            const int64_t first = task / shares * together, count = std::min(together, g.batch - first),
                          width = count * positions, share = task % shares, f = first_filter(share),
                          height = by_lines ? filters : first_filter(share + 1) - f, own = group * filters + f;
            const int64_t line_begin = by_lines ? lines * share / shares : 0,
                          line_end = by_lines ? lines * (share + 1) / shares : count * lines,
                          column = line_begin * g.out[2], columns = (line_end - line_begin) * g.out[2];
            std::vector<Run> own_runs(runs.begin() + line_begin, runs.begin() + line_end);
            for (Run& run : own_runs) run.column -= column;
            T* const from = reinterpret_cast<T*>(image.get());
            for (int64_t i = 0; i < count; ++i)
              padded.fill(from + i * padded.size(),
                          images + ((first + i) * g.channels + group * g.group_channels()) * product(g.size));
            const auto line = [&](int64_t i, int64_t row) {
              return out + ((first + i) * g.filters + own + row) * positions;
            };
            T* const to = together == 1 ? line(0, 0) : reinterpret_cast<T*>(results.get());
            kernels::ProductFinish product_finish = finish.of_filters(bias, own);
            if (together > 1) product_finish = product_finish.biases();
            kernel(height, columns, g.taps(), finish.filters(g, weights, own),
                   {from, taps.data(), own_runs.data(), line_end - line_begin}, to + column, width, product_finish);
            for (int64_t i = 0; together > 1 && i < count; ++i)
              for (int64_t row = 0; row < height; ++row) {
                std::memcpy(line(i, row), to + row * width + i * positions, size_t(positions * size));
                finish.apply(line(i, row), positions);
              }
          }
      });
}

}  // namespace

Tensor implicit_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvolutionFinish& finish) {
  const Tensor out = finish.output(g, input.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    multiply_windows<T>(g, input.data<T>(), weight.data<T>(), bias.defined() ? bias.data<T>() : nullptr, out.data<T>(),
                        finish);
  });
  return out;
}

}  // namespace flambeau
