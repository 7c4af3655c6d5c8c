// Anomaly mode: nodes remember where they were recorded, and their results are searched for NaN. Internal.
#pragma once

#include <string>

#include "node.h"

namespace flambeau::autograd {

// Where the program called an operator. The bindings know that.
struct CallSite {
  virtual ~CallSite() = default;
  virtual std::string text() const = 0;  // indented lines, the innermost call last

  Ref<Node> parent;  // the node whose derivative made this call
};

FLAMBEAU_API extern bool anomaly_mode, anomaly_checks_nan;

void remember_call(Node& node);
FLAMBEAU_API std::string call_text(const Node& node);  // the forward call; empty if it was not remembered
void check_nan(const Node& node, const Tensor* results, size_t count);

}  // namespace flambeau::autograd
