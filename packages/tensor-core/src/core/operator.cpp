#include "flambeau/operator.h"

namespace flambeau {

namespace {
constinit const Operator* newest = nullptr;
}

Operator::Operator(OperatorRecord record) : OperatorRecord(record), next_(newest) { newest = this; }

const Operator* Operator::first() { return newest; }

}  // namespace flambeau
