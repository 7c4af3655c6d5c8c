// Anomaly mode: nodes store where they were recorded, and their results are checked for NaN. This header is not
// installed.
#pragma once

#include <string>

#include "node.h"

namespace flambeau::autograd {

// The location of an operator call in the program. The bindings define a subclass for Python frames.
struct CallSite {
  virtual ~CallSite() = default;
  virtual std::string text() const = 0;  // returns the indented lines of the location, innermost call last

  Ref<Node> parent;  // node whose derivative called the operator, or null
};

FLAMBEAU_API extern bool anomaly_mode, anomaly_checks_nan;

void remember_call(Node& node);
// Returns the location of the forward call that recorded the node, or an empty string if it was not stored.
FLAMBEAU_API std::string call_text(const Node& node);
void check_nan(const Node& node, const Tensor* results, size_t count);

}  // namespace flambeau::autograd
