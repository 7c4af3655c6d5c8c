// Hooks: functions that a backward pass calls with the gradients of tensors and nodes. Private to the engine and its
// bindings.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "flambeau/autograd.h"

namespace flambeau::autograd {

class Node;
struct CallSite;                           // anomaly.h
using Gradients = SmallVector<Tensor, 1>;  // gradients of the outputs of a node

// A hook of a tensor receives the tensor's gradient in `values` or, if it is called after accumulation, the leaf
// itself. A hook that is called before a node runs receives the gradients of the node's outputs in `values`. A hook
// that is called after the node has run receives the gradients of the inputs in `values` and the gradients of the
// outputs in `outputs`. Gradients may be undefined. Hooks may replace the values.
using Hook = std::function<void(std::span<Tensor> values, std::span<const Tensor> outputs)>;

struct Callback {
  int64_t id;
  Hook hook;
};
using Callbacks = std::vector<Callback>;

struct CallbackOwner {  // a global table maps the id of a callback to its owner, so handles contain only the id
  virtual void remove(int64_t id) = 0;

 protected:
  ~CallbackOwner() = default;
};

struct FLAMBEAU_API NodeHooks final : CallbackOwner {  // hooks and other data that only few nodes have
  ~NodeHooks();
  void remove(int64_t id) override;
  void drop_callbacks();
  std::vector<Callbacks> gradient;  // for each output: hooks that receive its gradient and may replace it
  Callbacks pre, post;              // hooks that run before and after the node
  std::vector<std::pair<uint32_t, AutogradMeta*>> retained;  // outputs that retain their gradient
  std::shared_ptr<void> metadata;                            // data that belongs to the bindings
  std::unique_ptr<CallSite> call_site;                       // set in anomaly mode
};

struct FLAMBEAU_API LeafHooks final : TensorHooks, CallbackOwner {
  ~LeafHooks() override;
  void remove(int64_t id) override;
  void drop_callbacks();
  Callbacks gradient, post_accumulate;
};

// These functions return the id of the new callback, for remove_hook().
FLAMBEAU_API int64_t add_gradient_hook(const Tensor& t, Hook hook);
FLAMBEAU_API int64_t add_accumulation_hook(const Tensor& leaf, Hook hook);
FLAMBEAU_API int64_t add_prehook(Node& node, Hook hook);
FLAMBEAU_API int64_t add_posthook(Node& node, Hook hook);
FLAMBEAU_API NodeHooks& node_hooks(Node& node);  // returns the hooks of a node; creates them if they do not exist
void stop_retaining(AutogradMeta& meta);

void call_gradient_hooks(Node& node, Gradients& gradients);
void call_accumulation_hooks(const Tensor& leaf);
void call_prehooks(Node& node, Gradients& gradients);
void call_posthooks(const NodeHooks& hooks, std::span<Tensor> results, std::span<const Tensor> gradients);

}  // namespace flambeau::autograd
