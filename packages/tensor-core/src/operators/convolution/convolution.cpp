// Convolution (cross-correlation, as in deep learning) in one, two and three dimensions, and its transpose.
//
// Note [Convolution]
// Three functions form a closed set under differentiation: the convolution y(x, w), the gradient of its input dx(dy, w)
// and the gradient of its weight dw(x, dy). Each function is linear in both arguments, and its derivatives are the
// other two functions. With stride 1 and large images, y and dw are computed directly (direct_convolution.cpp), or dw
// by one matrix product per tap if there are many channels and filters (shifted_convolution.cpp). Otherwise y is a
// product with a matrix (taps, output positions) that is created one panel at a time (implicit_convolution.cpp), and dw
// unfolds samples into this matrix and multiplies (unfolded_convolution.cpp). With stride 1, dx is a convolution with
// flipped weights; otherwise it is the fold that corresponds to this unfolding. select_algorithm.cpp contains the
// conditions. The transposed convolution is dx(x, w) plus a bias.
#include "operators/convolution/convolution.h"

#include "flambeau/scalar_type.h"
#include "operators/products/products.h"
#include "operators/saved_factors.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

Shape all_but_channels(const Geometry& g) {
  Shape dims{0};
  for (int i = 0; i < g.dims; ++i) dims.push_back(i + 2);
  return dims;
}

Tensor forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad);

Tensor input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight, const Tensor& bias = Tensor()) {
  Tensor out;
  {
    NoRecording off;
    out = input_gradient_values(g, grad, weight, bias);
  }
  if (recording(grad, weight, bias))
    record("ConvolutionTransposed", out, {&grad, &weight, &bias},
           {&saved_factor(grad, weight), &saved_factor(weight, grad)}, [g](const Context& c) {
             if (c.needs(0)) c.set(0, forward(g, c.gradient(), c.saved(1), Tensor()));
             if (c.needs(1)) c.set(1, weight_gradient(g, c.gradient(), c.saved(0)));
             if (c.needs(2)) c.set(2, sum(c.gradient(), all_but_channels(g), false, std::nullopt));
           });
  return out;
}

Tensor weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  Tensor out;
  {
    NoRecording off;
    out = weight_gradient_values(g, input, grad);
  }
  if (recording(input, grad))
    record("ConvolutionWeight", out, {&input, &grad}, {&saved_factor(input, grad), &saved_factor(grad, input)},
           [g](const Context& c) {
             if (c.needs(0)) c.set(0, input_gradient(g, c.saved(1), c.gradient()));
             if (c.needs(1)) c.set(1, forward(g, c.saved(0), c.gradient(), Tensor()));
           });
  return out;
}

Tensor forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  Tensor out;
  {
    NoRecording off;
    out = convolution_values(g, input, weight, bias);
  }
  if (recording(input, weight, bias))
    record("Convolution", out, {&input, &weight, &bias}, {&saved_factor(input, weight), &saved_factor(weight, input)},
           [g](const Context& c) {
             if (c.needs(0)) c.set(0, input_gradient(g, c.gradient(), c.saved(1)));
             if (c.needs(1)) c.set(1, weight_gradient(g, c.saved(0), c.gradient()));
             if (c.needs(2)) c.set(2, sum(c.gradient(), all_but_channels(g), false, std::nullopt));
           });
  return out;
}

constexpr const char* kNames[] = {"conv1d", "conv2d", "conv3d"};
constexpr const char* kTransposedNames[] = {"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};
constexpr int64_t kLargest = int64_t(1) << 31;  // options must be smaller, so that sizes do not overflow

// Returns `values`, a list or a single value, as one value for each dimension of the convolution. Raises an error for
// values below `least`. Missing dimensions get the value `outside`.
Sizes per_dimension(const char* argument, const Shape& values, int dims, int64_t outside, int64_t least) {
  require(values.size() == 1 || values.size() == size_t(dims), "expected ", argument,
          " to be a single integer value or a list of ", dims, " values to match the convolution dimensions, but got ",
          argument, "=", values);
  Sizes out{outside, outside, outside};
  for (int i = 0; i < dims; ++i) {
    const int64_t v = values[values.size() == 1 ? 0 : size_t(i)];
    require(v >= least, least == 0 ? "negative " : "non-positive ", argument, " is not supported, got ", values);
    require(v < kLargest, argument, " must be below 2**31, got ", values);
    out[size_t(3 - dims + i)] = v;
  }
  return out;
}

struct Product {  // prints the sizes of the last `dims` dimensions as (2 x 3)
  Sizes sizes;
  int dims;
  friend std::ostream& operator<<(std::ostream& out, const Product& p) {
    for (int i = 3 - p.dims; i < 3; ++i) out << (i == 3 - p.dims ? "(" : " x ") << p.sizes[size_t(i)];
    return out << ')';
  }
};

// Checks the arguments of a forward or transposed convolution and returns its geometry.
Geometry checked_geometry(const char* name, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                          const ConvolutionOptions& o, bool transposed) {
  require(input.dim() == dims + 2, "Expected ", dims + 1, "D (unbatched) or ", dims + 2, "D (batched) input to ", name,
          ", but got input of size: ", input.shape());
  require(weight.dim() == dims + 2, name, ": expected a ", dims + 2, "-dimensional weight, got shape ", weight.shape());
  require(input.dtype() == weight.dtype(), "Input type (", input.dtype(), ") and weight type (", weight.dtype(),
          ") should be the same; .to(dtype) converts a tensor or a module (expected scalar type ",
          scalar_type(input.dtype()), " but found ", scalar_type(weight.dtype()), ")");
  require<NotImplementedError>(input.dtype() != Dtype::bool_ && !is_complex(input.dtype()), "\"", name,
                               "\" not implemented for '", input.dtype(), "'");
  require(!bias.defined() || bias.dtype() == input.dtype(), "Input type (", input.dtype(), ") and bias type (",
          bias.defined() ? bias.dtype() : input.dtype(), ") should be the same");
  require(o.groups > 0, "non-positive groups is not supported, got ", o.groups);
  require(weight.size(0) % o.groups == 0 && weight.size(0) > 0, "Given groups=", o.groups,
          ", expected weight to be at least ", o.groups, " at dimension 0 and divisible by it, but got weight of size ",
          weight.shape());
  Geometry g{};
  g.dims = dims;
  g.batch = input.size(0);
  g.filters = weight.size(0);
  g.channels = weight.size(1) * o.groups;
  g.groups = o.groups;
  g.stride = per_dimension("stride", o.stride, dims, 1, 1);
  g.padding = per_dimension("padding", o.padding, dims, 0, 0);
  g.dilation = per_dimension("dilation", o.dilation, dims, 1, 1);
  g.kernel = g.size = g.out = {1, 1, 1};
  const int64_t expected = transposed ? g.filters : g.channels, filters = transposed ? g.channels : g.filters;
  require(input.size(1) == expected, "Given groups=", o.groups, ", weight of size ", weight.shape(), ", expected input",
          input.shape(), " to have ", expected, " channels, but got ", input.size(1), " channels instead",
          input.shape().back() == expected ? "; if the channels are last, write input.movedim(-1, 1)" : "");
  require(!bias.defined() || (bias.dim() == 1 && bias.size(0) == filters), "Given weight of size ", weight.shape(),
          ", expected bias to be 1-dimensional with ", filters, " elements, but got bias of size ",
          bias.defined() ? bias.shape() : Shape(), " instead");
  for (int i = 0; i < dims; ++i) {
    const int at = 3 - dims + i;
    g.kernel[at] = weight.size(2 + i);
    (transposed ? g.out : g.size)[at] = input.size(2 + i);
    require(g.kernel[at] > 0 && g.kernel[at] < kLargest, name,
            ": the kernel's sizes must be positive and below 2**31, got weight of size ", weight.shape());
  }
  return g;
}

}  // namespace

Geometry convolution_geometry(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                              const ConvolutionOptions& o) {
  Geometry g = checked_geometry(kNames[dims - 1], dims, input, weight, bias, o, false);
  Sizes padded, reach;
  bool fits = true;
  for (size_t i = 0; i < 3; ++i) {
    padded[i] = g.size[i] + 2 * g.padding[i];
    reach[i] = g.reach(int(i)) + 1;
    fits &= padded[i] >= reach[i];
    g.out[i] = (padded[i] - reach[i]) / g.stride[i] + 1;
  }
  require(fits, "Calculated padded input size per channel: ", Product{padded, dims},
          ". Kernel size: ", Product{reach, dims}, ". Kernel size can't be greater than actual input size");
  return g;
}

namespace {

// Pads the dimensions with `extra` zeros at their end. padding='same' needs this if the total padding of a dimension is
// odd.
Tensor pad_far_side(const Tensor& input, int dims, const Shape& extra) {
  Tensor x = input;
  for (int i = 0; i < dims; ++i)
    if (extra[i]) {
      Shape shape = x.shape();
      shape[shape.size() - dims + i] = extra[i];
      x = cat({x, zeros(shape, x.dtype())}, i - dims);
    }
  return x;
}

Tensor same_convolution(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias, ConvolutionOptions o) {
  for (int64_t s : o.stride) require(s == 1, "padding='same' is not supported for strided convolutions");
  require(weight.dim() == dims + 2, kNames[dims - 1], ": expected a ", dims + 2, "-dimensional weight, got shape ",
          weight.shape());
  require(input.dim() == dims + 2, "Expected ", dims + 1, "D (unbatched) or ", dims + 2, "D (batched) input to ",
          kNames[dims - 1], ", but got input of size: ", input.shape());
  const Sizes dilation = per_dimension("dilation", o.dilation, dims, 1, 1);
  Shape extra;
  o.padding = {};
  for (int i = 0; i < dims; ++i) {
    const int64_t total = dilation[size_t(3 - dims + i)] * (weight.size(2 + i) - 1);
    o.padding.push_back(total / 2);
    extra.push_back(total % 2);
  }
  o.same = false;
  return convolution(dims, pad_far_side(input, dims, extra), weight, bias, o);
}

// Computes a bilinear map of complex tensors from four maps of their real and imaginary parts.
template <class F>
Tensor complex_parts(const Tensor& input, const Tensor& weight, F&& map) {
  const Tensor x = real(input), y = imag(input), u = real(weight), v = imag(weight);
  return complex(map(x, u) - map(y, v), map(x, v) + map(y, u));
}

Tensor with_bias(const Tensor& out, const Tensor& bias, int dims) {
  if (!bias.defined()) return out;
  Shape column(size_t(dims + 1), 1);
  column[0] = bias.numel();
  return out + reshape(bias, column);
}

// Returns true if complex_parts() can compute the convolution: input and weight have the same complex dtype. The
// convolutions of the parts check the shapes.
bool are_complex(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  return is_complex(input.dtype()) && weight.dtype() == input.dtype() &&
         (!bias.defined() || (bias.dtype() == input.dtype() && bias.dim() == 1));
}

// Returns a tensor of this size that has memory for one element. It replaces an operand if only the size of the operand
// is used.
Tensor of_size(const Shape& size, const Tensor& like) { return expand(zeros({}, like.dtype()), size); }

void check_gradient(const Geometry& g, const Tensor& grad, const Tensor& operand) {
  const char* name = kNames[g.dims - 1];
  require(grad.shape() == g.output_shape(), name, ": expected grad_output of the output's size ", g.output_shape(),
          ", but got ", grad.shape());
  require(grad.dtype() == operand.dtype(), name, ": grad_output (", grad.dtype(), ") and operand (", operand.dtype(),
          ") should have the same dtype");
}

}  // namespace

Tensor convolution(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                   const ConvolutionOptions& o) {
  if (input.dim() == dims + 1) return squeeze(convolution(dims, unsqueeze(input, 0), weight, bias, o), Shape{0});
  if (o.same) return same_convolution(dims, input, weight, bias, o);
  if (are_complex(input, weight, bias))
    return with_bias(
        complex_parts(input, weight,
                      [&](const Tensor& x, const Tensor& w) { return convolution(dims, x, w, Tensor(), o); }),
        bias, dims);
  return forward(convolution_geometry(dims, input, weight, bias, o), input, weight, bias);
}

Tensor convolution_input_gradient(int dims, const Shape& input_size, const Tensor& weight, const Tensor& grad,
                                  const ConvolutionOptions& o) {
  if (is_complex(weight.dtype()) && grad.dtype() == weight.dtype())
    return complex_parts(grad, conj(weight), [&](const Tensor& dy, const Tensor& w) {
      return convolution_input_gradient(dims, input_size, w, dy, o);
    });
  const Geometry g = convolution_geometry(dims, of_size(input_size, weight), weight, Tensor(), o);
  check_gradient(g, grad, weight);
  return input_gradient(g, grad, weight);
}

Tensor convolution_weight_gradient(int dims, const Tensor& input, const Shape& weight_size, const Tensor& grad,
                                   const ConvolutionOptions& o) {
  if (is_complex(input.dtype()) && grad.dtype() == input.dtype())
    return complex_parts(conj(input), grad, [&](const Tensor& x, const Tensor& dy) {
      return convolution_weight_gradient(dims, x, weight_size, dy, o);
    });
  const Geometry g = convolution_geometry(dims, input, of_size(weight_size, input), Tensor(), o);
  check_gradient(g, grad, input);
  return weight_gradient(g, input, grad);
}

Tensor transposed_convolution(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                              const ConvolutionOptions& o, const Shape& output_padding) {
  if (input.dim() == dims + 1)
    return squeeze(transposed_convolution(dims, unsqueeze(input, 0), weight, bias, o, output_padding), Shape{0});
  if (are_complex(input, weight, bias))
    return with_bias(complex_parts(input, weight,
                                   [&](const Tensor& x, const Tensor& w) {
                                     return transposed_convolution(dims, x, w, Tensor(), o, output_padding);
                                   }),
                     bias, dims);
  const char* name = kTransposedNames[dims - 1];
  Geometry g = checked_geometry(name, dims, input, weight, bias, o, true);
  const Sizes beyond = per_dimension("output_padding", output_padding, dims, 0, 0);
  for (int i = 3 - dims; i < 3; ++i) {
    require(beyond[i] < std::max(g.stride[i], g.dilation[i]),
            "output padding must be smaller than either stride or dilation, but got output_padding ", output_padding,
            ", stride ", o.stride, ", dilation ", o.dilation);
    g.size[i] = (g.out[i] - 1) * g.stride[i] - 2 * g.padding[i] + g.reach(i) + beyond[i] + 1;
    require(g.size[i] > 0, name, ": given input ", input.shape(), ", weight ", weight.shape(), " and padding ",
            o.padding, " the output size ", g.size[i], " is too small");
  }
  if (bias.defined() && input_gradient_takes_bias(g, input)) return input_gradient(g, input, weight, bias);
  // Adds the bias before the result is rounded to half precision.
  if (bias.defined() && item_size(input.dtype()) == 2 && is_floating(input.dtype())) {
    const auto to_float32 = [](const Tensor& t) { return to(t, Dtype::float32); };
    return to(with_bias(input_gradient(g, to_float32(input), to_float32(weight)), to_float32(bias), dims),
              input.dtype());
  }
  return with_bias(input_gradient(g, input, weight), bias, dims);
}

}  // namespace flambeau
