// Convolutions by unfolding, and their gradients, for all dtypes.
//
// Note [Unfolding]
// A sample becomes a matrix (taps, output positions), and the convolution becomes a product of the weight (filters,
// taps) and this matrix. A product is fast if it has many columns. If a sample has few positions, several samples are
// therefore unfolded side by side into one matrix. Their number depends only on the geometry, so results do not depend
// on the number of threads.
#include <algorithm>
#include <bit>
#include <cstring>

#include "flambeau/parallel.h"
#include "operators/convolution/convolution.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

// Returns the index of a dtype in kernel arrays for float32, float64 and int64.
int kernel_index(Dtype type) { return type == Dtype::float32 ? 0 : type == Dtype::float64 ? 1 : 2; }

// Converts the images and the outputs of up to `most` consecutive samples, for one group of channels, to matrices and
// back. The outputs of a single sample are not copied (alone), nor is its image in a 1x1 convolution (in_place).
template <class T>
class Unfolded {
 public:
  Unfolded(const Geometry& g, int kernel, int64_t most)
      : g(g),
        kernel(kernel),
        in_place(g.plain() && most == 1),
        alone(most == 1),
        columns_(in_place ? 1 : g.taps() * most * g.positions() * int64_t(sizeof(T))),
        rows_(alone ? 1 : g.group_filters() * most * g.positions() * int64_t(sizeof(T))) {}

  bool can_write_to_out() const { return alone; }  // true if a product can write to the output directly

  // Returns the images as a matrix (taps, count * positions). Does not copy an image that already has this form.
  const T* unfold(const T* input, int64_t group, int64_t first, int64_t count) {
    if (in_place) return image(input, group, first);
    const int64_t grain = std::max<int64_t>(1, 50000 / (g.taps() * g.positions() + 1));
    parallel_items(count, grain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        kernels::table().unfold[kernel](
            g.patches(), reinterpret_cast<const char*>(image(input, group, first + i)),
            reinterpret_cast<char*>(columns_.get()) + i * g.positions() * int64_t(sizeof(T)), count * g.positions());
    });
    return reinterpret_cast<const T*>(columns_.get());
  }
  // columns() returns memory for a matrix (taps, count * positions) of gradients. fold() adds its elements to the
  // pixels from which unfold() copies the corresponding elements.
  T* columns(T* input, int64_t group, int64_t first) {
    return in_place ? image(input, group, first) : reinterpret_cast<T*>(columns_.get());
  }
  void fold(T* input, int64_t group, int64_t first, int64_t count) {
    if (in_place) return;
    for (int64_t i = 0; i < count; ++i)
      kernels::table().fold[kernel](g.patches(), columns_.get() + i * g.positions() * int64_t(sizeof(T)),
                                    reinterpret_cast<char*>(image(input, group, first + i)), count * g.positions());
  }

  // gather() returns the outputs as a matrix (filters, count * positions). rows() returns memory for such a matrix, and
  // scatter() copies it to the outputs.
  const T* gather(const T* output, int64_t group, int64_t first, int64_t count) {
    if (alone) return line(output, group, first, 0);
    each_line(count, [&](int64_t i, int64_t filter, T* row) {
      std::memcpy(row, line(output, group, first + i, filter), size_t(g.positions()) * sizeof(T));
    });
    return reinterpret_cast<const T*>(rows_.get());
  }
  T* rows(T* output, int64_t group, int64_t first) {
    return alone ? line(output, group, first, 0) : reinterpret_cast<T*>(rows_.get());
  }
  void scatter(T* output, int64_t group, int64_t first, int64_t count, const ConvolutionFinish& finish) {
    if (alone) return;
    each_line(count, [&](int64_t i, int64_t filter, const T* row) {
      T* const to = line(output, group, first + i, filter);
      std::memcpy(to, row, size_t(g.positions()) * sizeof(T));
      finish.apply(to, g.positions());
    });
  }

 private:
  template <class P>
  P* image(P* input, int64_t group, int64_t sample) const {
    return input + (sample * g.channels + group * g.group_channels()) * product(g.size);
  }
  template <class P>
  P* line(P* output, int64_t group, int64_t sample, int64_t filter) const {
    return output + (sample * g.filters + group * g.group_filters() + filter) * g.positions();
  }
  template <class F>
  void each_line(int64_t count, F&& f) {
    for (int64_t i = 0; i < count; ++i)
      for (int64_t filter = 0; filter < g.group_filters(); ++filter)
        f(i, filter, reinterpret_cast<T*>(rows_.get()) + (filter * count + i) * g.positions());
  }

  const Geometry& g;
  const int kernel;
  const bool in_place, alone;
  const Block columns_, rows_;
};

// Returns the number of samples to unfold side by side, so that the matrix has about `columns` columns.
int64_t samples_together(const Geometry& g, int64_t columns) {
  return std::clamp<int64_t>(columns / g.positions(), 1, std::max<int64_t>(g.batch, 1));
}

// Divides the samples into ranges, which threads share, and calls part(matrices, group, first, count) for each range
// and group. The number of ranges is about a power of two, so that threads share them evenly.
template <class T, class F>
void each_part(const Geometry& g, Dtype type, F&& part) {
  constexpr int64_t kColumns = 192;
  const int64_t wanted = (g.batch + samples_together(g, kColumns) - 1) / samples_together(g, kColumns);
  const int64_t even = int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(wanted, 1))));
  const int64_t together = std::max<int64_t>(1, (g.batch + even - 1) / even),
                parts = (g.batch + together - 1) / together;
  parallel_items(parts, std::max<int64_t>(1, sample_grain(g) / together), [&](int64_t begin, int64_t end) {
    Unfolded<T> matrices(g, kernel_index(type), together);
    for (int64_t i = begin; i < end; ++i)
      for (int64_t group = 0; group < g.groups; ++group)
        part(matrices, group, i * together, std::min(together, g.batch - i * together));
  });
}

}  // namespace

Tensor unfolded_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvolutionFinish& finish) {
  const Dtype type = input.dtype();
  const Tensor out = finish.output(g, type);
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    each_part<T>(g, type, [&](Unfolded<T>& matrices, int64_t group, int64_t first, int64_t count) {
      const int64_t filters = g.group_filters(), width = count * g.positions();
      T* to = matrices.rows(out.data<T>(), group, first);
      const T* const own_bias = bias.defined() ? bias.data<T>() : nullptr;
      const kernels::Matrix columns{matrices.unfold(input.data<T>(), group, first, count), width, 1};
      if constexpr (std::is_floating_point_v<T>) {
        kernels::ProductFinish product_finish = finish.of_filters(own_bias, group * filters);
        if (!matrices.can_write_to_out()) product_finish = product_finish.biases();
        gemm(filters, width, g.taps(), finish.filters(g, weight.data<T>(), group * filters), {columns},
             reinterpret_cast<char*>(to), width, type, product_finish);
      } else {
        for (int64_t f = 0; own_bias && f < filters; ++f)
          std::fill(to + f * width, to + (f + 1) * width, own_bias[group * filters + f]);
        gemm(filters, width, g.taps(), 1, finish.filters(g, weight.data<T>(), group * filters), columns,
             own_bias ? 1 : 0, reinterpret_cast<char*>(to), width, type);
      }
      matrices.scatter(out.data<T>(), group, first, count, finish);
    });
  });
  return out;
}

Tensor unfolded_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  const Dtype type = grad.dtype();
  const Tensor out = zeros(g.input_shape(), type);
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    each_part<T>(g, type, [&](Unfolded<T>& matrices, int64_t group, int64_t first, int64_t count) {
      const int64_t filters = g.group_filters(), width = count * g.positions();
      gemm(g.taps(), width, filters, 1, {weight.data<T>() + group * filters * g.taps(), 1, g.taps()},
           {matrices.gather(grad.data<T>(), group, first, count), width, 1}, 0,
           reinterpret_cast<char*>(matrices.columns(out.data<T>(), group, first)), width, type);
      matrices.fold(out.data<T>(), group, first, count);
    });
  });
  return out;
}

// Divides the samples into a few ranges, which the threads share, and adds the gradients of the ranges. If there are so
// many weights that this addition would take too long, there is only one range, and the threads share each product.
Tensor unfolded_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  constexpr int64_t kColumns = 1024, kPartialSums = int64_t(1) << 18;
  const Dtype type = input.dtype();
  const int64_t filters = g.group_filters(), weights = g.filters * g.taps();
  const int64_t parts = std::clamp<int64_t>(kPartialSums / weights, 1, std::min(kConvolutionParts, g.batch));
  const int64_t together = std::min(samples_together(g, kColumns), (g.batch + parts - 1) / parts);
  const Tensor partial = empty({parts, weights}, type);
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto sum_part = [&](int64_t part, Unfolded<T>& matrices) {
      const int64_t first = g.batch * part / parts, last = g.batch * (part + 1) / parts;
      for (int64_t n = first; n < last; n += together)
        for (int64_t group = 0; group < g.groups; ++group) {
          const int64_t count = std::min(together, last - n), width = count * g.positions();
          T* to = partial.data<T>() + part * weights + group * filters * g.taps();
          gemm(filters, g.taps(), width, 1, {matrices.gather(grad.data<T>(), group, n, count), width, 1},
               {matrices.unfold(input.data<T>(), group, n, count), 1, width}, n == first ? 0 : 1,
               reinterpret_cast<char*>(to), g.taps(), type);
        }
    };
    parallel_items(parts, std::max<int64_t>(1, sample_grain(g) * parts / g.batch), [&](int64_t begin, int64_t end) {
      Unfolded<T> matrices(g, kernel_index(type), together);
      for (int64_t part = begin; part < end; ++part) sum_part(part, matrices);
    });
  });
  return reshape(parts == 1 ? partial : sum(partial, Shape{0}, false, std::nullopt), g.weight_shape());
}

}  // namespace flambeau
