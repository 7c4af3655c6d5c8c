// The mean of squared differences.
#include <sstream>

#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/losses.h"
#include "operators/losses/labelled.h"

namespace flambeau {

namespace {

void warn_of_broadcast(const Tensor& input, const Tensor& target) {
  std::ostringstream text;
  text << "Using a target size (" << target.shape() << ") that is different to the input size (" << input.shape()
       << "): the two are broadcast, which compares every prediction with every target if one is [N] and the other "
          "[N, 1]. Give both the same shape.";
  warn(text.str());
}

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
  if (input.shape() != target.shape()) warn_of_broadcast(input, target);
  const Operand both[] = {input, target};
  const Dtype type = result_type(both, 2);
  require(is_floating(type), "mse_loss: expected floating-point inputs, got ", input.dtype(), " and ", target.dtype());
  Tensor out;
  double scale = 1;
  {
    NoRecording off;
    out = _squared_error(input, target);
    if (reduction == Reduction::Mean) scale = 1.0 / double(out.numel());
    out = reduced(out, reduction);
  }
  if (recording(input, target))
    record("MseLoss", out, {&input, &target}, {&input, &target}, [scale](const Context& c) {
      const Tensor difference = (c.saved(0) - c.saved(1)) * (c.gradient() * Scalar(2 * scale));
      if (c.needs(0)) c.set(0, difference);
      if (c.needs(1)) c.set(1, -difference);
    });
  return out;
}

const Operator mse_loss_operator(
    {.signature = "mse_loss(input, target, reduction='mean')",
     .forms = kFunction | kFloat32,
     .doc = R"(Compute the mean of (input - target)**2, with reduction='sum' the sum, or with 'none' every element.

Warns if the shapes differ and broadcast. Gradient: input and target, any order.)",
     .forward = mse_loss,
     .reference =
         "(lambda squares: squares if reduction == 'none' else getattr(squares, reduction)())((input - target) "
         "** 2)",
     .samples = "f(2, 3), f(2, 3); f(4), f(4), 'sum'; f(2, 3), f(2, 3), 'none'"});

}  // namespace flambeau
