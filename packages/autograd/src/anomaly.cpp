#include "anomaly.h"

#include "binding_hooks.h"
#include "engine.h"

namespace flambeau::autograd {

bool anomaly_mode = false, anomaly_checks_nan = true;

void remember_call(Node& node) {
  if (!binding_hooks) return;
  std::unique_ptr<CallSite> site = binding_hooks->call_site();
  site->parent = Ref<Node>(current_node());
  node_hooks(node).call_site = std::move(site);
}

std::string call_text(const Node& node) {
  std::string text;
  for (const Node* at = &node; at && at->hooks && at->hooks->call_site; at = at->hooks->call_site->parent.get()) {
    text += at == &node ? "\n" : "\nwhich the backward of ";
    text += std::string(at->name()) + " was recorded in this call (most recent call last):\n";
    text += at->hooks->call_site->text();
  }
  return text;
}

void check_nan(const Node& node, const Tensor* results, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!results[i].defined() || !is_inexact(results[i].dtype())) continue;
    NoRecording off;
    require(!item(any(ne(results[i], results[i]), {}, false)).truth(), "Function '", node,
            "' returned nan values in its ", i, "th output.");
  }
}

}  // namespace flambeau::autograd
