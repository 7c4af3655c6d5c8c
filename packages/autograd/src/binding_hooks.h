// Callbacks from the engine into the Python bindings. The bindings set the pointer `binding_hooks`, which is null in a
// C++ program. This header is not installed.
#pragma once

#include "node.h"

namespace flambeau::autograd {

struct CallSite;

struct BindingHooks {
  std::unique_ptr<CallSite> (*call_site)();  // returns the location of the current call
  // Packs a tensor with the hooks on saved tensors. Returns null if this thread has no such hooks. `is_output`: the
  // tensor is an output of the node that saves it.
  std::unique_ptr<PackedTensor> (*pack)(const Tensor& tensor, bool is_output);
  // Rethrows the current exception with a note that names the node. `doing`: the start of the note, such as "in the
  // backward of".
  void (*rethrow)(const Node& node, const char* doing);
  void (*watch_collections)();  // makes Python call collect_cycles() after each full garbage collection
};
FLAMBEAU_API extern const BindingHooks* binding_hooks;  // null without bindings

// Number of hooks on saved tensors in all threads. Protected by the interpreter's lock.
FLAMBEAU_API extern int hooked_threads;

}  // namespace flambeau::autograd
