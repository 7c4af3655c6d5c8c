// Reference cycles without Python objects.
//
// Note [Cycles of gradients]
// backward(create_graph=True) leaves a cycle: a leaf holds its .grad, whose graph leads to the leaf's AccumulateGrad
// node, which holds the leaf. An assignment such as `x.grad = 2 * x` creates the same cycle. Python's garbage collector
// does not find this cycle, because the cycle contains no Python object. Therefore, after a full collection, this file
// examines the leaves whose .grad has a graph or a .grad itself. It finds all objects that are reachable from these
// leaves, and counts for each object the references from other reachable objects. An object whose reference count is
// larger than this number is also used elsewhere. This object and all objects that are reachable from it are in use.
// The other objects are garbage, and their leaves release their .grad. References that the search does not follow, such
// as references from the closure of a derivative, count as uses elsewhere, so that no object in use is released.
#include <unordered_map>

#include "binding_hooks.h"
#include "flambeau/autograd_engine.h"

namespace flambeau::autograd {

namespace {

std::unordered_map<const AutogradMeta*, TensorImpl*>& leaves_with_graphs() {
  static auto* const all = new std::unordered_map<const AutogradMeta*, TensorImpl*>;
  return *all;
}

class Search {
 public:
  // Returns the leaves whose .grad has a graph and that are garbage. Note [Cycles of gradients]
  std::vector<Ref<TensorImpl>> garbage() {
    for (const auto& [meta, leaf] : leaves_with_graphs()) add(leaf, nullptr);
    for (size_t i = 0; i < objects_.size(); ++i) add_references(i);
    for (size_t i = 0; i < objects_.size(); ++i)
      if (uses(objects_[i]) > objects_[i].internal) mark_reachable(i);
    std::vector<Ref<TensorImpl>> found;
    for (const auto& [meta, leaf] : leaves_with_graphs())
      if (!objects_[positions_.at(leaf)].held) found.emplace_back(leaf);
    return found;
  }

 private:
  struct Object {
    TensorImpl* tensor;  // null if the object is a node
    Node* node;
    uint32_t internal = 0;  // number of references from other objects of the search
    bool held = false;      // true if the object is in use
    std::vector<size_t> leads_to;
  };

  static uint32_t uses(const Object& o) { return o.tensor ? o.tensor->use_count() : o.node->use_count(); }

  size_t add(TensorImpl* tensor, Node* node) {
    const void* const key = tensor ? static_cast<const void*>(tensor) : node;
    const auto [at, fresh] = positions_.try_emplace(key, objects_.size());
    if (fresh) objects_.push_back({tensor, node, 0, false, {}});
    return at->second;
  }

  void refer(size_t from, TensorImpl* tensor, Node* node) {
    if (!tensor && !node) return;
    const size_t to = add(tensor, node);
    ++objects_[to].internal;
    objects_[from].leads_to.push_back(to);
  }

  void add_references(size_t i) {
    if (TensorImpl* const tensor = objects_[i].tensor) {
      refer(i, tensor->base.get(), nullptr);
      if (!tensor->autograd) return;
      refer(i, tensor->autograd->grad.impl(), nullptr);
      refer(i, nullptr, static_cast<Node*>(tensor->autograd->grad_fn.get()));
      return;
    }
    Node* const node = objects_[i].node;
    for (const Edge& edge : node->edges) refer(i, nullptr, edge.node.get());
    if (const AccumulateGrad* leaf = node->as_accumulator()) refer(i, leaf->leaf().impl(), nullptr);
    if (const auto* saving = dynamic_cast<OperatorNode*>(node))
      for (size_t k = 0; k < saving->saved_count(); ++k) refer(i, saving->saved_tensor(k).impl(), nullptr);
  }

  void mark_reachable(size_t first) {
    std::vector<size_t> open{first};
    while (!open.empty()) {
      Object& o = objects_[open.back()];
      open.pop_back();
      if (std::exchange(o.held, true)) continue;
      open.insert(open.end(), o.leads_to.begin(), o.leads_to.end());
    }
  }

  std::vector<Object> objects_;
  std::unordered_map<const void*, size_t> positions_;
};

}  // namespace

void suspect_cycle(const Tensor& leaf) {
  if (binding_hooks) binding_hooks->watch_collections();
  leaves_with_graphs()[leaf.impl()->autograd] = leaf.impl();
}

void forget_suspect(const AutogradMeta& meta) {
  if (!leaves_with_graphs().empty()) leaves_with_graphs().erase(&meta);
}

size_t collect_cycles() {
  const std::vector<Ref<TensorImpl>> leaves = Search().garbage();
  for (const Ref<TensorImpl>& leaf : leaves) {
    const Tensor dropped = std::move(leaf->autograd->grad);
  }
  return leaves.size();
}

}  // namespace flambeau::autograd
