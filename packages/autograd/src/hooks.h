// Functions that a run calls with the gradients of tensors and nodes. Internal to the engine and its bindings.
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

// A hook of a tensor gets the tensor's gradient, or the leaf itself after accumulation. A hook of a node gets the
// gradients of its outputs or, after the node has run, those of its inputs and, as `outputs`, those of its outputs. It
// may replace the values.
using Hook = std::function<void(std::span<Tensor> values, std::span<const Tensor> outputs)>;

struct Callback {
  int64_t id;
  Hook hook;
};
using Callbacks = std::vector<Callback>;

struct CallbackOwner {  // found by the ids of its callbacks, so that a handle need not reference it
  virtual void remove(int64_t id) = 0;

 protected:
  ~CallbackOwner() = default;
};

struct FLAMBEAU_API NodeHooks final : CallbackOwner {  // data that few nodes have
  ~NodeHooks();
  void remove(int64_t id) override;
  void drop_callbacks();
  std::vector<Callbacks> gradient;  // for each output: called with its gradient, which it may replace
  Callbacks pre, post;              // hooks of the node
  std::vector<std::pair<uint32_t, AutogradMeta*>> retained;  // tensors that retain their gradient
  std::shared_ptr<void> metadata;                            // data of the bindings
  std::unique_ptr<CallSite> call_site;                       // set in anomaly mode
};

struct FLAMBEAU_API LeafHooks final : TensorHooks, CallbackOwner {
  ~LeafHooks() override;
  void remove(int64_t id) override;
  void drop_callbacks();
  Callbacks gradient, post_accumulate;
};

// These return the number of the callback, for remove_hook.
FLAMBEAU_API int64_t add_gradient_hook(const Tensor& t, Hook hook);
FLAMBEAU_API int64_t add_accumulation_hook(const Tensor& leaf, Hook hook);
FLAMBEAU_API int64_t add_prehook(Node& node, Hook hook);
FLAMBEAU_API int64_t add_posthook(Node& node, Hook hook);
FLAMBEAU_API NodeHooks& node_hooks(Node& node);  // creates them if they are missing
void stop_retaining(AutogradMeta& meta);

void call_gradient_hooks(Node& node, Gradients& gradients);
void call_accumulation_hooks(const Tensor& leaf);
void call_prehooks(Node& node, Gradients& gradients);
void call_posthooks(const NodeHooks& hooks, std::span<Tensor> results, std::span<const Tensor> gradients);

}  // namespace flambeau::autograd
