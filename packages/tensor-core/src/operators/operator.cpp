#include "flambeau/operator.h"

namespace flambeau {

namespace {
constinit const Operator* newest = nullptr;
}

Operator::Operator(OperatorRecord record) : OperatorRecord(record), next_(newest) { newest = this; }

const Operator* Operator::first() { return newest; }

std::string Operator::attribute(std::string_view name) const {
  const bool of_linalg = std::string_view(module) == "flambeau.linalg";
  return (of_linalg ? "linalg_" : "") + std::string(name);
}

}  // namespace flambeau
