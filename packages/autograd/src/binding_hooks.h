// Callbacks from the engine into the Python bindings, which set the pointer below. It is null in a C++ program.
// Internal.
#pragma once

#include "node.h"

namespace flambeau::autograd {

struct CallSite;

struct BindingHooks {
  std::unique_ptr<CallSite> (*call_site)();                     // of the call that runs
  std::unique_ptr<PackedTensor> (*pack)(const Tensor& tensor);  // null if this thread has no hooks on saved tensors
  // Rethrows the exception being handled, with a note that names the node. `doing`: "in the backward of", for example.
  void (*rethrow)(const Node& node, const char* doing);
  void (*watch_collections)();  // from now on, collect_cycles() runs after each full garbage collection
};
FLAMBEAU_API extern const BindingHooks* binding_hooks;  // null without bindings

FLAMBEAU_API extern int hooked_threads;  // how many hooks on saved tensors threads have; under the interpreter's lock

}  // namespace flambeau::autograd
