// The weight gradient as matrix products of shifted images. Note [Shifted products] in
// kernels/layers/shifted_products.cpp
#include <algorithm>
#include <cstring>

#include "flambeau/parallel.h"
#include "operators/convolution/padded_image.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

// The batch is divided into parts, whose gradients are summed separately. The gradients of all parts together have at
// most kPartialSums elements, unless there is only one part. If there are fewer parts than threads, threads also divide
// the filters of each part, in blocks of kFilters.
constexpr int64_t kPartialSums = int64_t(1) << 18, kFilters = 32;

int64_t parts_of(const Geometry& g) {
  int64_t parts = 1;
  while (2 * parts <= std::min(g.batch, kConvolutionParts) && 2 * parts * g.filters * g.taps() <= kPartialSums)
    parts *= 2;
  return parts;
}

template <class T>
struct ShiftedGradient {
  const Geometry& g;
  const PaddedImage padded;
  const int64_t together;  // number of samples that one product computes
  const std::vector<int32_t> taps;
  const std::vector<kernels::Run> runs;

  ShiftedGradient(const Geometry& g, int64_t most)
      : g(g),
        padded(g),
        together(std::clamp<int64_t>(kPositions / g.positions(), 1, most)),
        taps(padded.taps()),
        runs(padded.runs(together + 1, kLongestRun)) {}

  // Computes the gradient of the filters [f, f + height) of a group for the samples [first, last).
  void run(int64_t group, int64_t f, int64_t height, int64_t first, int64_t last, const T* input, const T* grad,
           T* weights) const {
    const int64_t positions = g.positions(), own = group * g.group_filters() + f, size = int64_t(sizeof(T));
    const Block images(together * padded.size() * size),
        grads(together == 1 ? 1 : height * together * positions * size);
    T *const image = reinterpret_cast<T*>(images.get()), *const side = reinterpret_cast<T*>(grads.get());
    for (int64_t n = first; n < last; n += together) {
      const int64_t count = std::min(together, last - n), width = count * positions;
      for (int64_t i = 0; i < count; ++i)
        padded.fill(image + i * padded.size(),
                    input + ((n + i) * g.channels + group * g.group_channels()) * product(g.size));
      const T* from = grad + (n * g.filters + own) * positions;
      for (int64_t i = 0; together > 1 && i < count; ++i)
        for (int64_t row = 0; row < height; ++row)
          std::memcpy(side + row * width + i * positions, from + (i * g.filters + row) * positions,
                      size_t(positions * size));
      kernels::table().shifted_products[sizeof(T) == 8](
          {g.group_channels(), height, product(g.kernel), image, padded.volume, taps.data(), runs.data(),
           int64_t(runs.size()) / (together + 1) * count, together > 1 ? side : from, width, n > first},
          weights + own * g.taps());
    }
  }

 private:
  static constexpr int64_t kPositions = 1024, kLongestRun = 256;
};

}  // namespace

Tensor shifted_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const int64_t parts = parts_of(g), panels = (g.group_filters() + kFilters - 1) / kFilters;
  const int64_t shares = std::clamp<int64_t>((num_threads() + parts - 1) / parts, 1, panels);
  const Tensor partial = empty({parts, g.filters * g.taps()}, input.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const ShiftedGradient<T> gradient(g, (g.batch + parts - 1) / parts);
    parallel_items(parts * g.groups * shares, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t share = i % shares, group = i / shares % g.groups, part = i / shares / g.groups;
        const int64_t f = panels * share / shares * kFilters,
                      last = std::min(panels * (share + 1) / shares * kFilters, g.group_filters());
        gradient.run(group, f, last - f, g.batch * part / parts, g.batch * (part + 1) / parts, input.data<T>(),
                     grad.data<T>(), partial.data<T>() + part * g.filters * g.taps());
      }
    });
  });
  return reshape(parts == 1 ? partial : sum(partial, Shape{0}, false, std::nullopt), g.weight_shape());
}

}  // namespace flambeau
