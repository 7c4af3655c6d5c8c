// Callbacks from the engine into the Python bindings, which set the pointer below. It is null in a C++ program.
// Internal.
#pragma once

#include "node.h"

namespace flambeau::autograd {

struct CallSite;

struct BindingHooks {
  std::unique_ptr<CallSite> (*call_site)();  // the location of the current call
  // Returns null if this thread has no hooks on saved tensors. `is_output`: the node that saves the tensor has computed
  // it.
  std::unique_ptr<PackedTensor> (*pack)(const Tensor& tensor, bool is_output);
  // Rethrows the current exception with a note that names the node. `doing`: the start of the note, such as "in the
  // backward of".
  void (*rethrow)(const Node& node, const char* doing);
  void (*watch_collections)();  // requests collect_cycles() after each full garbage collection
};
FLAMBEAU_API extern const BindingHooks* binding_hooks;  // null without bindings

// Number of hooks on saved tensors in all threads. Protected by the interpreter's lock.
FLAMBEAU_API extern int hooked_threads;

}  // namespace flambeau::autograd
