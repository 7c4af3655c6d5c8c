// Anomaly mode: nodes store where they were recorded, and their results are checked for NaN. Internal.
#pragma once

#include <string>

#include "node.h"

namespace flambeau::autograd {

// The location of an operator call in the program, as the bindings determine it.
struct CallSite {
  virtual ~CallSite() = default;
  virtual std::string text() const = 0;  // the lines of the location, indented, with the innermost call last

  Ref<Node> parent;  // the node whose derivative called the operator
};

FLAMBEAU_API extern bool anomaly_mode, anomaly_checks_nan;

void remember_call(Node& node);
FLAMBEAU_API std::string call_text(const Node& node);  // location of the forward call; empty if it was not stored
void check_nan(const Node& node, const Tensor* results, size_t count);

}  // namespace flambeau::autograd
