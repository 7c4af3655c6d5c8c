// relu(x + bias)**2 in one pass over memory, with its derivative. The activation of So et al. 2021, arXiv:2109.08668.
#include <pybind11/pybind11.h>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "flambeau/python.h"

namespace fb = flambeau;

namespace {

// Calls body(element type, position, column) for every element of a contiguous (rows, columns) tensor, on all threads.
template <class Body>
void for_each(const fb::Tensor& t, Body&& body) {
  const int64_t columns = t.size(-1);
  fb::parallel_for(t.numel(), 32768, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i, i % columns);
  });
}

template <class T>
fb::Tensor forward(const fb::Tensor& x, const fb::Tensor& bias) {
  fb::Tensor out = fb::empty(x.shape(), x.dtype());
  for_each(x, [in = x.data<T>(), b = bias.data<T>(), to = out.data<T>()](int64_t i, int64_t column) {
    const T v = in[i] + b[column];
    to[i] = v > 0 ? v * v : 0;
  });
  return out;
}

fb::Tensor squared_relu(const fb::Tensor& input, const fb::Tensor& bias) {
  fb::require<fb::TypeError>(input.defined() && bias.defined(), "squared_relu needs two tensors, got None");
  fb::require(
      input.dtype() == bias.dtype() && (input.dtype() == fb::Dtype::float32 || input.dtype() == fb::Dtype::float64),
      "squared_relu takes float32 or float64 tensors of one dtype, got ", input.dtype(), " and ", bias.dtype());
  fb::require(input.dim() >= 1 && bias.dim() == 1 && bias.size(0) == input.size(-1), "squared_relu: a bias of shape ",
              bias.shape(), " does not fit an input of shape ", input.shape());
  fb::Tensor out;
  {
    fb::NoRecording off;  // what happens inside is not recorded
    const fb::Tensor x = fb::contiguous(input), b = fb::contiguous(bias);
    out = x.dtype() == fb::Dtype::float64 ? forward<double>(x, b) : forward<float>(x, b);
  }
  // The operator as a whole is. The derivative is made of flambeau's own operators, so it can be differentiated again;
  // the engine sums what it returns to the bias's shape.
  if (fb::recording(input, bias))
    fb::record("SquaredRelu", out, {&input, &bias}, {&input, &bias}, [](const fb::Context& c) {
      const fb::Tensor gradient = c.gradient() * (fb::relu(c.saved(0) + c.saved(1)) * fb::Scalar(2.0));
      c.set(0, gradient);
      c.set(1, gradient);
    });
  return out;
}

}  // namespace

PYBIND11_MODULE(_squared_relu, m) {
  fb::initialize_extension();
  m.def("squared_relu", &squared_relu, pybind11::arg("input"), pybind11::arg("bias"),
        "relu(input + bias)**2: input (*, n), bias (n), float32 or float64. Gradient: both, any order.");
}
