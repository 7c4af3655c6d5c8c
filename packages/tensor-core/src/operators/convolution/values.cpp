// Computation of a convolution's three functions: on a GPU, or on the CPU by the selected algorithm.
#include <algorithm>

#include "cuda/layers/convolution.h"
#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/parallel.h"
#include "operators/convolution/convolution.h"
#include "operators/convolution/select_algorithm.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using Algorithm = ConvolutionAlgorithm;
using Function = ConvolutionFunction;

Dtype working_type(const Tensor& t) {
  if (!is_floating(t.dtype())) return Dtype::int64;
  return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
Tensor prepared(const Tensor& t, Dtype type) { return contiguous(to(t, type)); }

// Returns the memory format of the result: the format of the activation or, if the activation is contiguous, the format
// of the weight, as in PyTorch.
MemoryFormat convolved_format(const Tensor& activation, const Tensor& weight) {
  const MemoryFormat own = result_format(activation);
  return own == MemoryFormat::Contiguous ? result_format(weight) : own;
}

// Returns true if the convolution is the matrix product of Note [Channels last], whose left matrix is the memory of the
// activation.
bool multiplies_channels(const Geometry& g, const Tensor& activation, MemoryFormat format) {
  return format != MemoryFormat::Contiguous && g.plain() && g.groups == 1 && !activation.is_meta() &&
         activation.numel() > 0 && is_contiguous(activation, format);
}

bool takes_bfloat16(const Geometry& g, const Tensor& activation) {
  return !activation.is_meta() && activation.numel() > 0 && convolves_bfloat16(g, activation.dtype());
}

// Returns the result for zero channels or zero samples, for which the algorithms would divide by zero. It contains the
// bias, or zeros.
Tensor sum_of_nothing(const Geometry& g, const Tensor& bias, Dtype type) {
  const Tensor out = zeros(g.output_shape(), type);
  Shape column(size_t(g.dims + 1), 1);
  column[0] = g.filters;
  if (bias.defined()) copy_(out, reshape(bias, column));
  return out;
}

// Returns the weights for the convolution g.flipped(). In each group, only the channels from `first` on are set.
Tensor flipped_weights(const Geometry& g, const Tensor& weight, int64_t first = 0) {
  const Geometry to = g.flipped();
  const Tensor out = empty(to.weight_shape(), weight.dtype());
  const int64_t area = product(g.kernel), filters = g.group_filters(), channels = g.group_channels();
  dispatch_real(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    constexpr int64_t kUsual = 9;
    const auto flip = [area, filters, channels, w = weight.data<T>(), flipped = out.data<T>()](int64_t group, int64_t f,
                                                                                               int64_t c) {
      const T* __restrict from = w + ((group * filters + f) * channels + c) * area;
      T* __restrict const to = flipped + ((group * channels + c) * filters + f) * area;
      if (area != kUsual) return void(std::reverse_copy(from, from + area, to));
      for (int64_t i = 0; i < kUsual; ++i) to[i] = from[kUsual - 1 - i];
    };
    constexpr int64_t kChannels = 128;  // number of channels at a time, so that the filters are read in long runs
    const int64_t blocks = (channels - first + kChannels - 1) / kChannels;
    parallel_items(g.groups * blocks, std::max<int64_t>(1, 32768 / (kChannels * filters * area)),
                   [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i)
                       for (int64_t f = 0; f < filters; ++f)
                         for (int64_t c = first + i % blocks * kChannels;
                              c < std::min(channels, first + (i % blocks + 1) * kChannels); ++c)
                           flip(i / blocks, f, c);
                   });
  });
  return out;
}

// Returns the weights for the convolution g.flipped(), packed as rows: Note [Packed matrices]. This takes less time
// than flipped_weights(), because filters and panels are read and written in order, and the product does not pack them.
Tensor flipped_panels(const Geometry& g, const Tensor& weight) {
  const Tensor out = empty(g.flipped().weight_shape(), weight.dtype());
  const int64_t area = product(g.kernel), filters = g.group_filters(), channels = g.group_channels(),
                rows = kernels::products().panel_rows, panels = channels / rows, size = rows * area;
  dispatch_real(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto flip = [area, rows](const T* __restrict from, T* __restrict to) {
      for (int64_t tap = 0; tap < area; ++tap)
        for (int64_t row = 0; row < rows; ++row) to[tap * rows + row] = from[row * area + area - 1 - tap];
    };
    constexpr int64_t kPanels = 4;  // number of panels at a time, so that the filters are read in long runs
    const int64_t blocks = (panels + kPanels - 1) / kPanels;
    parallel_items(
        g.groups * blocks, std::max<int64_t>(1, 32768 / (kPanels * filters * size)), [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) {
            const int64_t group = i / blocks, first = i % blocks * kPanels, last = std::min(panels, first + kPanels);
            const T* const from = weight.data<T>() + group * filters * channels * area;
            T* const to = out.data<T>() + group * channels * filters * area;
            for (int64_t f = 0; f < filters; ++f)
              for (int64_t panel = first; panel < last; ++panel)
                flip(from + (f * channels + panel * rows) * area, to + (panel * filters + f) * size);
          }
        });
  });
  return out;
}

// Computes an input gradient as the convolution g.flipped().
Tensor flipped_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight) {
  const Geometry flipped = g.flipped();
  if (select_algorithm(Function::Forward, flipped, grad.dtype()) != Algorithm::Implicit)
    return finished_convolution(flipped, grad, flipped_weights(g, weight), Tensor(), {});
  const Tensor panels = flipped_panels(g, weight);
  // If the last panel is not full, the product may read the rows of the last two panels from the matrix.
  const int64_t rows = kernels::products().panel_rows, channels = g.group_channels(),
                unpacked = channels % rows ? std::max<int64_t>(0, (channels / rows - 1) * rows) : channels;
  return finished_convolution(flipped, grad, flipped_weights(g, weight, unpacked), Tensor(),
                              {.panels = panels.data<char>()});
}

}  // namespace

Tensor finished_convolution(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                            const ConvolutionFinish& finish) {
  switch (select_algorithm(Function::Forward, g, input.dtype())) {
    case Algorithm::Depthwise:
      return depthwise_forward(g, input, weight, bias, finish);
    case Algorithm::Direct:
      return direct_forward(g, input, weight, bias, finish);
    case Algorithm::Implicit:
      return implicit_forward(g, input, weight, bias, finish);
    case Algorithm::Product:
      return product_forward(g, input, weight, bias, finish);
    default:
      return unfolded_forward(g, input, weight, bias, finish);
  }
}

Tensor convolution_values(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  if (cuda::runs_on_gpu(input) && cuda::convolves(g)) return cuda::convolution_forward(g, input, weight, bias);
  const Dtype type = working_type(input);
  const MemoryFormat format = convolved_format(input, weight);
  const Tensor b = bias.defined() ? prepared(bias, type) : bias;
  if (takes_bfloat16(g, input)) return laid_out(bfloat16_forward(g, contiguous(input), contiguous(weight), b), format);
  const Tensor w = prepared(weight, type);
  if (multiplies_channels(g, input, format))
    return to(channels_last_forward(g, contiguous(to(input, type), format), w, b, format), input.dtype(),
              MemoryFormat::Preserve);
  const Tensor x = prepared(input, type);
  if (x.numel() == 0) return to(sum_of_nothing(g, b, type), input.dtype());
  if (product(g.output_shape()) == 0 || x.is_meta()) return laid_out(empty(g.output_shape(), input.dtype()), format);
  return laid_out(to(finished_convolution(g, x, w, b, {}), input.dtype()), format);
}

bool input_gradient_takes_bias(const Geometry& g, const Tensor& grad) {
  return cuda::runs_on_gpu(grad) && cuda::convolves(g);
}

Tensor input_gradient_values(const Geometry& g, const Tensor& grad, const Tensor& weight, const Tensor& bias) {
  if (cuda::runs_on_gpu(grad) && cuda::convolves(g)) return cuda::convolution_input_gradient(g, grad, weight, bias);
  const Dtype type = working_type(grad);
  const MemoryFormat format = convolved_format(grad, weight);
  if (takes_bfloat16(g, grad)) {
    const bool flipped = select_algorithm(Function::InputGradient, g, type) == Algorithm::Flipped;
    return laid_out(flipped ? bfloat16_forward(g.flipped(), contiguous(grad),
                                               to(flipped_weights(g, prepared(weight, type)), weight.dtype()), Tensor())
                            : bfloat16_input_gradient(g, contiguous(grad), contiguous(weight)),
                    format);
  }
  const Tensor w = prepared(weight, type);
  if (multiplies_channels(g, grad, format))
    return to(channels_last_input_gradient(g, contiguous(to(grad, type), format), w, format), grad.dtype(),
              MemoryFormat::Preserve);
  const Tensor dy = prepared(grad, type);
  if (product(g.input_shape()) == 0 || dy.numel() == 0 || dy.is_meta())
    return laid_out(zeros(g.input_shape(), grad.dtype()), format);
  const auto compute = [&] {
    switch (select_algorithm(Function::InputGradient, g, type)) {
      case Algorithm::Flipped:
        return flipped_input_gradient(g, dy, w);
      case Algorithm::Product:
        return product_input_gradient(g, dy, w);
      default:
        return unfolded_input_gradient(g, dy, w);
    }
  };
  return laid_out(to(compute(), grad.dtype()), format);
}

Tensor weight_gradient_values(const Geometry& g, const Tensor& input, const Tensor& grad) {
  if (cuda::runs_on_gpu(input) && cuda::convolves(g)) return cuda::convolution_weight_gradient(g, input, grad);
  if (takes_bfloat16(g, input)) return bfloat16_weight_gradient(g, contiguous(input), contiguous(grad));
  const Dtype type = working_type(input);
  if (const MemoryFormat format = result_format(input);
      multiplies_channels(g, input, format) && multiplies_channels(g, grad, format)) {
    const auto rows = [&](const Tensor& t) { return contiguous(to(t, type), format); };
    return to(channels_last_weight_gradient(g, rows(input), rows(grad)), input.dtype());
  }
  const Tensor x = prepared(input, type), dy = prepared(grad, type);
  if (x.numel() == 0 || dy.numel() == 0 || dy.is_meta()) return to(zeros(g.weight_shape(), type), input.dtype());
  const auto compute = [&] {
    switch (select_algorithm(Function::WeightGradient, g, type)) {
      case Algorithm::Shifted:
        return shifted_weight_gradient(g, x, dy);
      case Algorithm::Direct:
        return direct_weight_gradient(g, x, dy);
      case Algorithm::Product:
        return product_weight_gradient(g, x, dy);
      default:
        return unfolded_weight_gradient(g, x, dy);
    }
  };
  return to(compute(), input.dtype());
}

}  // namespace flambeau
