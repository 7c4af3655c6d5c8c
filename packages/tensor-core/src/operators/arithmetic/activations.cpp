// Activations whose operator does more than the pointwise operator that it calls, such as checks of arguments.
#include "flambeau/pointwise/activations.h"
#include "flambeau/operator.h"
#include "operators/pointwise/pointwise_derivative.h"

namespace flambeau {

namespace {

Tensor gelu(const Tensor& t, std::string_view approximate) {
  require(approximate == "none" || approximate == "tanh", "approximate argument must be either none or tanh, got '",
          approximate, "'");
  return approximate == "none" ? _gelu_erf(t) : _gelu_tanh(t);
}

Tensor half_of(const Tensor& t, int64_t axis, int which) {
  const int64_t size = t.shape()[size_t(axis)] / 2;
  return narrow(t, axis, which * size, size);
}

// The kernels write both halves of the gradient directly to their positions. If narrow() and _gate() were recorded
// instead, each half would be padded with zeros, and the results would be added.
Tensor gradient_of_glu(const Tensor& grad, const Tensor& t, int64_t axis) {
  const Tensor first = half_of(t, axis, 0), second = half_of(t, axis, 1);
  if (recording_enabled() || grad.is_meta()) {
    const Tensor gate = sigmoid(second), slope = grad * gate;
    return cat({slope, slope * first * (Scalar(1) - gate)}, axis);
  }
  const Operand values[] = {first, second, 0};
  const Tensor out = empty(t.shape(), grad.dtype());
  for (int i = 0; i < 2; ++i) run_derivative(op::_gate, i, grad.dtype(), grad, values, half_of(out, axis, i));
  return out;
}

Tensor glu(const Tensor& t, int64_t dim) {
  require(t.dim() > 0, "glu does not support 0-dimensional tensors");
  const int64_t axis = t.wrap_dim(dim), size = t.shape()[size_t(axis)];
  require(size % 2 == 0, "Halving dimension must be even, but dimension ", axis, " is size ", size);
  Tensor out;
  {
    NoRecording off;
    out = _gate(half_of(t, axis, 0), half_of(t, axis, 1));
  }
  if (recording(t))
    record("Glu", out, {&t}, {&t},
           [axis](const Context& c) { c.set(0, gradient_of_glu(c.gradient(), c.saved(0), axis)); });
  return out;
}

// Broadcasts `weight`, which contains the slopes, along dimension 1, the channels.
Tensor prelu(const Tensor& t, const Tensor& weight) {
  require(weight.dim() <= 1, "prelu: Expected `weight` to be a scalar or 1D tensor, but got: ndim = ", weight.dim());
  require(t.dtype() == weight.dtype(), "prelu: Type promoting not supported. Got ", t.dtype(), " and ", weight.dtype());
  if (weight.numel() == 1) return leaky_relu(t, reshape(weight, Shape()));
  require(t.dim() > 0, "Not allow zero-dim input tensor.");
  const int64_t channels = t.dim() > 1 ? t.shape()[1] : 1;
  require(weight.numel() == channels,
          "Mismatch of parameter numbers and input channel size. Found parameter numbers = ", weight.numel(),
          " and channel size = ", channels, ".");
  Shape shape;
  for (int d = 0; d < t.dim(); ++d) shape.push_back(d == 1 ? channels : 1);
  return leaky_relu(t, reshape(weight, shape));
}

const Operator gelu_operator(
    {.signature = "gelu(input, *, approximate='none')",
     .forms = kFunction | kOut,
     .doc =
         R"(Compute input * Phi(input), where Phi is the normal distribution function.

With approximate='tanh', Phi is approximated by a formula with tanh.

Source: Hendrycks, Gimpel 2016, arXiv:1606.08415.)",
     .forward = gelu,
     .reference = "input * scipy.special.ndtr(input) if approximate == 'none' else input / 2 * (1 + np.tanh(np.sqrt(2 "
                  "/ np.pi) * (input + 0.044715 * input**3)))",
     .samples = "f(2, 3); f(2, 3), approximate='tanh'"});

const Operator glu_operator(
    {.signature = "glu(input, dim=-1)",
     .forms = kFunction | kOut,
     .doc = R"(Multiply the first half of a dimension by the sigmoid of the second half.

Source: Dauphin et al. 2016, arXiv:1612.08083.)",
     .forward = glu,
     .reference = "np.split(input, 2, dim)[0] * scipy.special.expit(np.split(input, 2, dim)[1])",
     .samples = "f(2, 4); f(4, 3), 0"});

const Operator prelu_operator(
    {.signature = "prelu(input, weight)",
     .forms = kFunction | kMethod | kLowerPrecision,
     .doc =
         R"(Compute input where it is positive, and weight * input elsewhere.

weight has one element, or one element for each channel (dimension 1).

Gradient: input and weight. Source: He et al. 2015, arXiv:1502.01852.)",
     .forward = prelu,
     .reference = "np.where(input > 0, input, weight.reshape(-1, *[1] * (input.ndim - 2)) * input)",
     .samples = "f(2, 3, 2), f(3); f(2, 3), f(3); f(2, 3), f(1)"});

}  // namespace

}  // namespace flambeau
