// Hooks on tensors and nodes: registration, removal and calls.
#include "hooks.h"

#include <algorithm>
#include <unordered_map>

#include "anomaly.h"
#include "flambeau/autograd_engine.h"
#include "node.h"

namespace flambeau::autograd {

namespace {

int64_t next_callback = 0;
std::unordered_map<int64_t, CallbackOwner*>& callback_owners() {
  static auto* owners = new std::unordered_map<int64_t, CallbackOwner*>;
  return *owners;
}

int64_t add(CallbackOwner& owner, Callbacks& callbacks, Hook hook) {
  callbacks.push_back({next_callback, std::move(hook)});
  callback_owners()[next_callback] = &owner;
  return next_callback++;
}

void remove_all(Callbacks& callbacks) {
  const Callbacks dropped = std::move(callbacks);
  callbacks.clear();
  for (const Callback& c : dropped) callback_owners().erase(c.id);
}

bool remove_callback(Callbacks& callbacks, int64_t id) {
  const auto at = std::find_if(callbacks.begin(), callbacks.end(), [id](const Callback& c) { return c.id == id; });
  if (at == callbacks.end()) return false;
  const Hook dropped = std::move(at->hook);  // released at the end, because its destructor may call this function
  callbacks.erase(at);
  return true;
}

// Calls the callbacks. `callbacks` is a copy of the list, because a callback may remove callbacks from the list.
void call(Callbacks callbacks, std::span<Tensor> values, std::span<const Tensor> outputs = {}) {
  for (const Callback& c : callbacks) c.hook(values, outputs);
}

LeafHooks& leaf_hooks(const Tensor& leaf) {
  AutogradMeta& meta = meta_of(leaf);
  if (!meta.hooks) meta.hooks = std::make_unique<LeafHooks>();
  return static_cast<LeafHooks&>(*meta.hooks);
}

// Checks that a hook has not changed the shape or dtype of a gradient in place.
void check_unchanged(const Node& node, const Gradients& gradients) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined()) continue;
    require(gradients[i].shape() == node.outputs[i].shape && gradients[i].dtype() == node.outputs[i].dtype,
            "a hook of ", node, " has changed the size or type of gradient ", i, ": it was ", node.outputs[i].dtype,
            " ", node.outputs[i].shape, " and is ", gradients[i].dtype(), " ", gradients[i].shape());
  }
}

}  // namespace

NodeHooks::~NodeHooks() { drop_callbacks(); }
void NodeHooks::drop_callbacks() {
  for (Callbacks& c : gradient) remove_all(c);
  remove_all(pre);
  remove_all(post);
  metadata.reset();
}
void NodeHooks::remove(int64_t id) {
  for (Callbacks& c : gradient)
    if (remove_callback(c, id)) return;
  remove_callback(pre, id) || remove_callback(post, id);
}

LeafHooks::~LeafHooks() { drop_callbacks(); }
void LeafHooks::drop_callbacks() {
  remove_all(gradient);
  remove_all(post_accumulate);
}
void LeafHooks::remove(int64_t id) { remove_callback(gradient, id) || remove_callback(post_accumulate, id); }

NodeHooks& node_hooks(Node& node) {
  if (!node.hooks) node.hooks = std::make_unique<NodeHooks>();
  node.hooks->gradient.resize(node.outputs.size());
  return *node.hooks;
}

int64_t add_gradient_hook(const Tensor& t, Hook hook) {
  require(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  const Edge edge = gradient_edge(t);
  if (!meta_of(t).grad_fn) return add(leaf_hooks(t), leaf_hooks(t).gradient, std::move(hook));
  NodeHooks& hooks = node_hooks(*edge.node);
  return add(hooks, hooks.gradient[edge.index], std::move(hook));
}

int64_t add_accumulation_hook(const Tensor& leaf, Hook hook) {
  require(leaf.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  require(!meta_of(leaf).grad_fn, "post accumulate grad hooks cannot be registered on non-leaf tensors");
  return add(leaf_hooks(leaf), leaf_hooks(leaf).post_accumulate, std::move(hook));
}

int64_t add_prehook(Node& node, Hook hook) { return add(node_hooks(node), node_hooks(node).pre, std::move(hook)); }
int64_t add_posthook(Node& node, Hook hook) { return add(node_hooks(node), node_hooks(node).post, std::move(hook)); }

int64_t register_hook(const Tensor& t, std::function<Tensor(const Tensor&)> hook) {
  return add_gradient_hook(t, [hook = std::move(hook)](std::span<Tensor> gradient, std::span<const Tensor>) {
    if (Tensor replacement = hook(gradient[0]); replacement.defined()) gradient[0] = std::move(replacement);
  });
}

void remove_hook(int64_t id) {
  const auto at = callback_owners().find(id);
  if (at == callback_owners().end()) return;
  CallbackOwner* owner = at->second;
  callback_owners().erase(at);
  owner->remove(id);
}

void retain_grad(const Tensor& t) {
  require(t.requires_grad(), "can't retain_grad on Tensor that has requires_grad=False");
  const Edge edge = gradient_edge(t);
  AutogradMeta& meta = meta_of(t);
  if (!meta.grad_fn || meta.retains_grad) return;
  node_hooks(*edge.node).retained.push_back({edge.index, &meta});
  meta.retains_grad = true;
}

void stop_retaining(AutogradMeta& meta) {
  if (!std::exchange(meta.retains_grad, false) || !meta.grad_fn) return;
  if (NodeHooks* hooks = static_cast<Node*>(meta.grad_fn.get())->hooks.get())
    std::erase_if(hooks->retained, [&meta](const auto& entry) { return entry.second == &meta; });
}

void call_gradient_hooks(Node& node, Gradients& gradients) {
  if (const AccumulateGrad* leaf = node.as_accumulator()) {
    if (auto* hooks = static_cast<LeafHooks*>(meta_of(leaf->leaf()).hooks.get())) {
      call(hooks->gradient, {gradients.data(), 1});
      check_unchanged(node, gradients);
    }
  }
  NodeHooks* hooks = node.hooks.get();
  if (!hooks) return;
  for (size_t i = 0; i < hooks->gradient.size(); ++i)
    if (!hooks->gradient[i].empty()) call(hooks->gradient[i], {gradients.data() + i, 1});
  check_unchanged(node, gradients);
}

void call_accumulation_hooks(const Tensor& leaf) {
  Tensor value = leaf;
  call(static_cast<LeafHooks*>(meta_of(leaf).hooks.get())->post_accumulate, {&value, 1});
}

void call_prehooks(Node& node, Gradients& gradients) {
  call(node.hooks->pre, {gradients.data(), gradients.size()});
  check_unchanged(node, gradients);
}

void call_posthooks(const NodeHooks& hooks, std::span<Tensor> results, std::span<const Tensor> gradients) {
  call(hooks.post, results, gradients);
}

}  // namespace flambeau::autograd
