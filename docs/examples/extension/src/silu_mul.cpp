// silu(x) * y in one pass over memory, with its derivatives: the gate of SwiGLU (Shazeer 2020, arXiv:2002.05202).
#include <pybind11/pybind11.h>

#include <flambeau/operators.h>
#include <flambeau/python.h>

#include "silu_mul.h"

namespace fb = flambeau;

namespace {

fb::Tensor silu_mul(const fb::Tensor& x, const fb::Tensor& y) {
  fb::require<fb::TypeError>(x.defined() && y.defined(), "silu_mul needs two tensors, got None");
  const fb::Tensor out = kernel::silu_mul(x, y);
  if (fb::recording(x, y))
    fb::record("SiluMul", out, {&x, &y}, {&x, &y}, [](const fb::Context& c) {
      const fb::Tensor &grad = c.gradient(), &x = c.saved(0), &y = c.saved(1);
      // A kernel's result is not part of the graph. With create_graph=True the derivative is recorded: it is computed
      // by flambeau's operators. The engine sums a gradient to the shape of its input.
      const bool again = fb::recording_enabled();
      if (c.needs(0)) c.set(0, again ? slope(grad, x, y) : kernel::silu_mul_slope(grad, x, y));
      if (c.needs(1)) c.set(1, again ? fb::silu(x) * grad : kernel::silu_mul(x, grad));
    });
  return out;
}

}  // namespace

PYBIND11_MODULE(_silu_mul, m, pybind11::mod_gil_not_used()) {
  fb::initialize_extension();
  m.def(
      "silu_mul", &silu_mul, pybind11::arg("x"), pybind11::arg("y"),
      "silu(x) * y. Both are floating-point tensors; they are broadcast and promoted as in x * y. Gradient: both, any "
      "order.");
}
