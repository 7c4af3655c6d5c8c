// Convolutions of bfloat16 and their gradients on processors with AMX: Note [Unfolding]. Products are added in float32,
// and results are rounded once. On other processors, converting the operands to float32 takes less time.
#include <algorithm>

#include "flambeau/parallel.h"
#include "kernels/linalg/bfloat16_gemm.h"
#include "operators/convolution/convolution.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

// The matrices for one sample and one group of channels, and memory for them.
class Sample {
 public:
  // `unfolds`: true if memory for unfold() is needed. `sums`: the number of rows of sums; a row has one sum for each
  // output position.
  Sample(const Geometry& g, bool unfolds, int64_t sums)
      : g(g),
        unfolded_(unfolds && !g.plain() ? g.taps() * g.positions() * int64_t(sizeof(bfloat16)) : 0),
        sums_(sums * g.positions() * int64_t(sizeof(float))) {}

  template <class T>
  T* image(T* images, int64_t sample, int64_t group) const {
    return images + (sample * g.channels + group * g.group_channels()) * product(g.size);
  }
  template <class T>
  T* output(T* outputs, int64_t sample, int64_t group) const {
    return outputs + (sample * g.filters + group * g.group_filters()) * g.positions();
  }
  // Returns the image as a matrix (taps, positions).
  const bfloat16* unfold(const bfloat16* image) {
    if (g.plain()) return image;
    kernels::table().unfold_words(g.patches(), reinterpret_cast<const char*>(image), unfolded_.get(), g.positions());
    return reinterpret_cast<const bfloat16*>(unfolded_.get());
  }
  float* sums() { return reinterpret_cast<float*>(sums_.get()); }

 private:
  const Geometry& g;
  const Block unfolded_, sums_;
};

// Calls f(memory, sample, group) for all samples and groups. Threads share the samples.
template <class F>
void each_sample(const Geometry& g, bool unfolds, int64_t sums, F&& f) {
  parallel_items(g.batch, sample_grain(g), [&](int64_t begin, int64_t end) {
    Sample memory(g, unfolds, sums);
    for (int64_t n = begin; n < end; ++n)
      for (int64_t group = 0; group < g.groups; ++group) f(memory, n, group);
  });
}

}  // namespace

bool convolves_bfloat16(const Geometry& g, Dtype dtype) {
  constexpr int64_t kMinFilters = 8;                // half of the lines of a tile
  constexpr double kMaxUnfolded = double(1 << 24);  // maximum number of elements of a matrix (taps, positions): 32 MiB
  return multiplies_bfloat16(dtype, g.group_filters(), g.positions(), g.taps()) && kernels::uses_amx() &&
         !g.covers_image() && g.group_filters() >= kMinFilters &&
         double(g.taps()) * double(g.positions()) <= kMaxUnfolded;
}

Tensor bfloat16_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const Tensor out = empty(g.output_shape(), Dtype::bfloat16);
  const int64_t filters = g.group_filters(), taps = g.taps(), positions = g.positions();
  each_sample(g, true, filters, [&](Sample& memory, int64_t n, int64_t group) {
    const bfloat16* const columns = memory.unfold(memory.image(input.data<bfloat16>(), n, group));
    float* const sums = memory.sums();
    for (int64_t i = 0; bias.defined() && i < filters; ++i)
      std::fill_n(sums + i * positions, positions, bias.data<float>()[group * filters + i]);
    gemm_bfloat16(filters, positions, taps, {weight.data<bfloat16>() + group * filters * taps, taps, 1},
                  {columns, positions, 1}, sums, positions, bias.defined());
    round_sums(reinterpret_cast<char*>(memory.output(out.data<bfloat16>(), n, group)), Dtype::bfloat16, sums,
               filters * positions);
  });
  return out;
}

Tensor bfloat16_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  const Tensor out = zeros(g.input_shape(), Dtype::float32);
  const int64_t filters = g.group_filters(), taps = g.taps(), positions = g.positions();
  each_sample(g, false, g.plain() ? 0 : taps, [&](Sample& memory, int64_t n, int64_t group) {
    float* const image = memory.image(out.data<float>(), n, group);
    float* const columns = g.plain() ? image : memory.sums();
    gemm_bfloat16(taps, positions, filters, {weight.data<bfloat16>() + group * filters * taps, 1, taps},
                  {memory.output(grad.data<bfloat16>(), n, group), positions, 1}, columns, positions, false);
    if (!g.plain())
      kernels::table().fold[0](g.patches(), reinterpret_cast<const char*>(columns), reinterpret_cast<char*>(image),
                               positions);
  });
  return to(out, Dtype::bfloat16);
}

Tensor bfloat16_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const int64_t filters = g.group_filters(), taps = g.taps(), positions = g.positions(), weights = g.filters * taps;
  const int64_t parts = std::min(kConvolutionParts, g.batch);
  const Tensor partial = empty({parts, weights}, Dtype::float32);
  parallel_items(parts, 1, [&](int64_t begin, int64_t end) {
    Sample memory(g, true, 0);
    for (int64_t part = begin; part < end; ++part) {
      const int64_t first = g.batch * part / parts, last = g.batch * (part + 1) / parts;
      for (int64_t n = first; n < last; ++n)
        for (int64_t group = 0; group < g.groups; ++group) {
          const bfloat16* const columns = memory.unfold(memory.image(input.data<bfloat16>(), n, group));
          gemm_bfloat16(filters, taps, positions, {memory.output(grad.data<bfloat16>(), n, group), positions, 1},
                        {columns, 1, positions}, partial.data<float>() + part * weights + group * filters * taps, taps,
                        n > first);
        }
    }
  });
  return to(reshape(sum(partial, Shape{0}, false, std::nullopt), g.weight_shape()), Dtype::bfloat16);
}

}  // namespace flambeau
