// Activations that need a check, a mode or a shape beside their row.
#include "bind.h"
#include "flambeau/rows/activations.h"

namespace flambeau::python {

namespace {

Tensor gelu(const Tensor& t, std::string_view approximate) {
  require(approximate == "none" || approximate == "tanh", "approximate argument must be either none or tanh, got '",
          approximate, "'");
  return approximate == "none" ? _gelu_erf(t) : _gelu_tanh(t);
}

Tensor glu(const Tensor& t, int64_t dim) {
  require(t.dim() > 0, "glu does not support 0-dimensional tensors");
  const int64_t axis = t.wrap_dim(dim), size = t.shape()[size_t(axis)];
  require(size % 2 == 0, "Halving dimension must be even, but dimension ", axis, " is size ", size);
  return _gate(narrow(t, axis, 0, size / 2), narrow(t, axis, size / 2, size / 2));
}

// The slopes along the second dimension, the channels.
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

}  // namespace

void bind_activations() {
  def("gelu(input, *, approximate='none')", kFunction | kOut,
      "input * Phi(input), Phi the normal distribution function; approximate='tanh' uses the tanh formula.\n\nSource: "
      "Hendrycks, Gimpel 2016, arXiv:1606.08415.",
      gelu);
  def("glu(input, dim=-1)", kFunction | kOut,
      "The first half of a dimension times the sigmoid of the second.\n\nSource: Dauphin et al. 2016, "
      "arXiv:1612.08083.",
      glu);
  def("prelu(input, weight)", kFunction | kMethod | kLowerPrecision,
      "input where positive, else weight * input, weight of one element or of one a channel (the second dimension). "
      "Gradient: both.\n\nSource: He et al. 2015, arXiv:1502.01852.",
      prelu);
}

}  // namespace flambeau::python
