// The mean of squared differences.
#include "flambeau/rows/losses.h"
#include "operators/losses/labelled.h"

namespace flambeau {

Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction) {
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

}  // namespace flambeau
