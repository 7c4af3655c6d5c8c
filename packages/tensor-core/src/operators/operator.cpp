#include "flambeau/operator.h"

#include "flambeau/autograd.h"

namespace flambeau {

namespace {
constinit const Operator* newest = nullptr;
}

Operator::Operator(OperatorRecord record) : OperatorRecord(record), next_(newest) { newest = this; }

void write_in_place(const Tensor& to, const Tensor& result, const char* name) {
  require(result.shape() == to.shape(), "output with shape ", to.shape(), " doesn't match the broadcast shape ",
          result.shape());
  require(can_cast(result.dtype(), to.dtype()), "result type ", result.dtype(),
          " can't be cast to the desired output type ", to.dtype());
  begin_inplace(to, name, result.requires_grad());
  copy_values(to, result);
  adopt_history(to, result);
}

const Operator* Operator::first() { return newest; }

std::string Operator::attribute(std::string_view name) const {
  const char* prefix = forms & kNetwork ? "nn_" : std::string_view(module) == "flambeau.linalg" ? "linalg_" : "";
  return prefix + std::string(name);
}

}  // namespace flambeau
