// Convolutions by unfolding, and their gradients: the values, of every real dtype.
//
// Note [Unfolding]
// A sample becomes a matrix (taps, output positions), and the convolution a product with the weight (filters, taps). A
// product wants columns: where a sample has few positions, several samples stand side by side in one matrix. How many
// depends on the geometry alone, so results do not depend on the number of threads.
#include <algorithm>
#include <bit>
#include <cstring>

#include "cuda/layers/convolution.h"
#include "flambeau/cuda.h"
#include "flambeau/parallel.h"
#include "operators/convolution/convolution.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

Dtype working_type(const Tensor& t) {
  if (!is_floating(t.dtype())) return Dtype::int64;
  return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
Tensor prepared(const Tensor& t, Dtype type) { return contiguous(to(t, type)); }

// Unfolding copies and folding adds: float32, float64 and int64.
int kernel_index(Dtype type) { return type == Dtype::float32 ? 0 : type == Dtype::float64 ? 1 : 2; }
template <class F>
void dispatch_working(Dtype type, F&& f) {
  if (type == Dtype::int64)
    f(TypeTag<int64_t>{});
  else
    dispatch_real(type, f);
}

// The matrices of one group of a few samples, [first, first + count).
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

  // (taps, count * positions) of images; without a copy where the image already is the matrix.
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
  // Where to write such a matrix, and adding it to the images then.
  T* columns(T* input, int64_t group, int64_t first) {
    return in_place ? image(input, group, first) : reinterpret_cast<T*>(columns_.get());
  }
  void fold(T* input, int64_t group, int64_t first, int64_t count) {
    if (in_place) return;
    for (int64_t i = 0; i < count; ++i)
      kernels::table().fold[kernel](g.patches(), columns_.get() + i * g.positions() * int64_t(sizeof(T)),
                                    reinterpret_cast<char*>(image(input, group, first + i)), count * g.positions());
  }

  // (filters, count * positions) of outputs; where to write such a matrix, and taking it apart then.
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
  void scatter(T* output, int64_t group, int64_t first, int64_t count) {
    if (alone) return;
    each_line(count, [&](int64_t i, int64_t filter, const T* row) {
      std::memcpy(line(output, group, first + i, filter), row, size_t(g.positions()) * sizeof(T));
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

// Samples side by side, for about that many columns.
int64_t samples_together(const Geometry& g, int64_t columns) {
  return std::clamp<int64_t>(columns / g.positions(), 1, std::max<int64_t>(g.batch, 1));
}

// Calls part(matrices, group, first, count) for every few samples, in parallel: as many parts as a power of two, which
// threads share evenly.
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

// The three functions where the kernel covers the image.
template <class T>
void whole_forward(const Geometry& g, const T* x, const T* w, const T* bias, T* out, Dtype type) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  if (bias)
    for (int64_t n = 0; n < g.batch; ++n) std::copy(bias, bias + g.filters, out + n * g.filters);
  for (int64_t group = 0; group < g.groups; ++group)
    gemm(g.batch, filters, taps, 1, {x + group * taps, g.groups * taps, 1}, {w + group * filters * taps, 1, taps},
         bias ? 1 : 0, reinterpret_cast<char*>(out + group * filters), g.filters, type);
}
template <class T>
void whole_input_gradient(const Geometry& g, const T* dy, const T* w, T* out, Dtype type) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  for (int64_t group = 0; group < g.groups; ++group)
    gemm(g.batch, taps, filters, 1, {dy + group * filters, g.filters, 1}, {w + group * filters * taps, taps, 1}, 0,
         reinterpret_cast<char*>(out + group * taps), g.groups * taps, type);
}
template <class T>
void whole_weight_gradient(const Geometry& g, const T* x, const T* dy, T* out, Dtype type) {
  const int64_t filters = g.group_filters(), taps = g.taps();
  for (int64_t group = 0; group < g.groups; ++group)
    gemm(filters, taps, g.batch, 1, {dy + group * filters, 1, g.filters}, {x + group * taps, g.groups * taps, 1}, 0,
         reinterpret_cast<char*>(out + group * filters * taps), taps, type);
}

// The result without channels or samples, where the other ways would divide by their number: the bias, or zeros.
Tensor sum_of_nothing(const Geometry& g, const Tensor& bias, Dtype type) {
  const Tensor out = zeros(g.output_shape(), type);
  Shape column(size_t(g.dims + 1), 1);
  column[0] = g.filters;
  if (bias.defined()) copy_(out, reshape(bias, column));
  return out;
}

// The weights of g.turned().
Tensor turned_weights(const Geometry& g, const Tensor& weight) {
  const Geometry to = g.turned();
  const Tensor out = empty(to.weight_shape(), weight.dtype());
  const int64_t area = product(g.kernel), filters = g.group_filters(), channels = g.group_channels();
  dispatch_real(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int64_t kUsual = 9;
    const auto turn = [area, filters, channels, w = weight.data<T>(), turned = out.data<T>()](int64_t group, int64_t f,
                                                                                              int64_t c) {
      const T* __restrict from = w + ((group * filters + f) * channels + c) * area;
      T* __restrict const to = turned + ((group * channels + c) * filters + f) * area;
      if (area != kUsual) return void(std::reverse_copy(from, from + area, to));
      for (int64_t i = 0; i < kUsual; ++i) to[i] = from[kUsual - 1 - i];
    };
    constexpr int64_t kTogether = 128;  // channels; the filters are read as they lie, in long stretches
    const int64_t blocks = (channels + kTogether - 1) / kTogether;
    parallel_items(
        g.groups * blocks, std::max<int64_t>(1, 32768 / (kTogether * filters * area)), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i)
            for (int64_t f = 0; f < filters; ++f)
              for (int64_t c = i % blocks * kTogether; c < std::min(channels, (i % blocks + 1) * kTogether); ++c)
                turn(i / blocks, f, c);
        });
  });
  return out;
}

}  // namespace

Tensor convolution_values(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (cuda::takes(input) && cuda::convolves(g)) return cuda::convolve(g, input, weight, bias);
  const Dtype type = working_type(input);
  const Tensor x = prepared(input, type), w = prepared(weight, type), b = bias.defined() ? prepared(bias, type) : bias;
  if (x.numel() == 0) return to(sum_of_nothing(g, b, type), input.dtype());
  Tensor out = empty(g.output_shape(), type);
  if (out.numel() == 0 || out.is_meta()) return to(out, input.dtype());
  if (is_floating(type) && g.direct()) return to(direct_forward(g, x, w, b), input.dtype());
  if (is_floating(type) && g.implicit()) return to(implicit_forward(g, x, w, b), input.dtype());
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (g.whole())
      return whole_forward(g, x.data<T>(), w.data<T>(), b.defined() ? b.data<T>() : nullptr, out.data<T>(), type);
    each_part<T>(g, type, [&](Unfolded<T>& matrices, int64_t group, int64_t first, int64_t count) {
      const int64_t filters = g.group_filters(), width = count * g.positions();
      T* to = matrices.rows(out.data<T>(), group, first);
      if (b.defined())
        for (int64_t f = 0; f < filters; ++f)
          std::fill(to + f * width, to + (f + 1) * width, b.data<T>()[group * filters + f]);
      gemm(filters, width, g.taps(), 1, {w.data<T>() + group * filters * g.taps(), g.taps(), 1},
           {matrices.unfold(x.data<T>(), group, first, count), width, 1}, b.defined() ? 1 : 0,
           reinterpret_cast<char*>(to), width, type);
      matrices.scatter(out.data<T>(), group, first, count);
    });
  });
  return to(out, input.dtype());
}

bool input_gradient_takes_bias(const Geometry& g, const Tensor& grad) {
  return cuda::takes(grad) && cuda::convolves(g);
}

Tensor input_gradient_values(const Geometry& g, const Tensor& grad, const Tensor& weight, const Tensor& bias) {
  if (cuda::takes(grad) && cuda::convolves(g)) return cuda::convolution_input_gradient(g, grad, weight, bias);
  const Dtype type = working_type(grad);
  const Tensor dy = prepared(grad, type), w = prepared(weight, type);
  if (product(g.input_shape()) == 0 || dy.numel() == 0 || dy.is_meta())
    return to(zeros(g.input_shape(), type), grad.dtype());
  if (is_floating(type) && g.unit() && (g.turned().direct() || g.turned().implicit()))
    return to(convolution_values(g.turned(), dy, turned_weights(g, w), Tensor()), grad.dtype());
  Tensor out = zeros(g.input_shape(), type);
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (g.whole()) return whole_input_gradient(g, dy.data<T>(), w.data<T>(), out.data<T>(), type);
    each_part<T>(g, type, [&](Unfolded<T>& matrices, int64_t group, int64_t first, int64_t count) {
      const int64_t filters = g.group_filters(), width = count * g.positions();
      gemm(g.taps(), width, filters, 1, {w.data<T>() + group * filters * g.taps(), 1, g.taps()},
           {matrices.gather(dy.data<T>(), group, first, count), width, 1}, 0,
           reinterpret_cast<char*>(matrices.columns(out.data<T>(), group, first)), width, type);
      matrices.fold(out.data<T>(), group, first, count);
    });
  });
  return to(out, grad.dtype());
}

// Samples are summed in a few parts, which threads share, unless the weights are so many that adding the parts up would
// count: then the threads share each product.
Tensor weight_gradient_values(const Geometry& g, const Tensor& input, const Tensor& grad) {
  if (cuda::takes(input) && cuda::convolves(g)) return cuda::convolution_weight_gradient(g, input, grad);
  constexpr int64_t kColumns = 1024, kPartialSums = int64_t(1) << 18;
  const Dtype type = working_type(input);
  const Tensor x = prepared(input, type), dy = prepared(grad, type);
  if (x.numel() == 0 || dy.numel() == 0 || dy.is_meta()) return to(zeros(g.weight_shape(), type), input.dtype());
  if (is_floating(type) && g.shifted()) return to(shifted_weight_gradient(g, x, dy), input.dtype());
  if (is_floating(type) && g.direct_weights()) return to(direct_weight_gradient(g, x, dy), input.dtype());
  const int64_t filters = g.group_filters(), weights = g.filters * g.taps();
  const int64_t parts =
      g.whole() ? 1 : std::clamp<int64_t>(kPartialSums / weights, 1, std::min(kConvolutionParts, g.batch));
  const int64_t together = std::min(samples_together(g, kColumns), (g.batch + parts - 1) / parts);
  Tensor partial = empty({parts, weights}, type);
  dispatch_working(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (g.whole()) return whole_weight_gradient(g, x.data<T>(), dy.data<T>(), partial.data<T>(), type);
    const auto sum_part = [&](int64_t part, Unfolded<T>& matrices) {
      const int64_t first = g.batch * part / parts, last = g.batch * (part + 1) / parts;
      for (int64_t n = first; n < last; n += together)
        for (int64_t group = 0; group < g.groups; ++group) {
          const int64_t count = std::min(together, last - n), width = count * g.positions();
          T* to = partial.data<T>() + part * weights + group * filters * g.taps();
          gemm(filters, g.taps(), width, 1, {matrices.gather(dy.data<T>(), group, n, count), width, 1},
               {matrices.unfold(x.data<T>(), group, n, count), 1, width}, n == first ? 0 : 1,
               reinterpret_cast<char*>(to), g.taps(), type);
        }
    };
    parallel_items(parts, std::max<int64_t>(1, sample_grain(g) * parts / g.batch), [&](int64_t begin, int64_t end) {
      Unfolded<T> matrices(g, kernel_index(type), together);
      for (int64_t part = begin; part < end; ++part) sum_part(part, matrices);
    });
  });
  return to(reshape(parts == 1 ? partial : sum(partial, Shape{0}, false, std::nullopt), g.weight_shape()),
            input.dtype());
}

}  // namespace flambeau
