// Nodes: making, saving, dropping.
#include "node.h"

namespace flambeau::autograd {

namespace {

uint64_t next_sequence = 0;  // under the interpreter's lock

void drop(Callbacks& callbacks) {
  for (Callback& c : callbacks) Py_DECREF(c.function);
  callbacks.clear();
}

}  // namespace

NodeHooks::~NodeHooks() {
  for (Callbacks& c : gradient) drop(c);
  drop(pre);
  drop(post);
}
LeafHooks::~LeafHooks() {
  drop(gradient);
  drop(post_accumulate);
}

Node::Node(const char* name) : sequence(next_sequence++), name_(name) {}

// Dropping a node drops the nodes it leads to: by a list instead of by recursion, so that a chain of a million nodes goes
// on any stack.
void Node::destroy() {
  static thread_local std::vector<Node*>* dying = nullptr;
  if (dying) {
    dying->push_back(this);
    return;
  }
  std::vector<Node*> list{this};
  dying = &list;
  while (!list.empty()) {
    Node* node = list.back();
    list.pop_back();
    const size_t size = node->bytes();
    node->~Node();
    deallocate(node, size);
  }
  dying = nullptr;
}

void OperatorNode::save(const Tensor& t, int output) {
  if (!t.defined()) return saved_.push_back({t, 0, -1});
  saved_.push_back({output >= 0 ? alias(t) : t, t.storage().version(), output});
}

int64_t OperatorNode::saved_bytes() const {
  int64_t total = 0;
  for (const SavedTensor& s : saved_)
    if (s.tensor.defined()) total += s.tensor.numel() * item_size(s.tensor.dtype());
  return total;
}

void OperatorNode::release_saved() {
  if (saved_.empty()) return;
  released_ = true;
  saved_.clear();
  derivative_.reset();
}

Tensor OperatorNode::unpack(size_t i) {
  const SavedTensor& s = saved_[i];
  if (!s.tensor.defined()) return s.tensor;
  const uint32_t version = s.tensor.storage().version();
  require(version == s.version, "one of the variables needed for gradient computation has been modified by an inplace operation: [flambeau.",
          s.tensor.dtype(), " ", s.tensor.shape(), "], which ", name(), " saved (", s.output >= 0 ? "its output " : "its saved tensor ",
          s.output >= 0 ? size_t(s.output) : i, "), is at version ", version, "; expected version ", s.version,
          " instead. Use the out-of-place form of the operation that changed it, or change a clone().");
  if (s.output < 0 || !grad_enabled()) return s.tensor;
  Tensor output = alias(s.tensor);
  set_history(output, Ref<Node>(this), uint32_t(s.output));
  return output;
}

void OperatorNode::apply(const Tensor* gradients, Tensor* results, const bool* needs) {
  require(!released_, "Trying to backward through the graph a second time (", name(),
          " has freed its saved tensors). Saved intermediate values of the graph are freed when you call .backward() or "
          "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time.");
  SmallVector<Tensor, 4> saved;
  for (size_t i = 0; i < saved_.size(); ++i) saved.push_back(unpack(i));
  derivative_(Context(gradients, saved.data(), results, needs));
}

AccumulateGrad::AccumulateGrad(const Tensor& leaf) : Node("AccumulateGrad"), leaf_(leaf) {
  outputs.push_back({leaf.shape(), leaf.dtype()});
  meta_of(leaf).accumulator = this;
}
AccumulateGrad::~AccumulateGrad() {
  if (AutogradMeta* meta = leaf_.impl()->autograd; meta && meta->accumulator == this) meta->accumulator = nullptr;
}

void AccumulateGrad::apply(const Tensor* gradients, Tensor*, const bool*) {
  AutogradMeta& meta = meta_of(leaf_);
  accumulate_into(meta.grad, gradients[0]);
  if (auto* hooks = static_cast<LeafHooks*>(meta.hooks.get()); hooks && !hooks->post_accumulate.empty()) {
    const Callbacks copy = hooks->post_accumulate;
    for (const Callback& c : copy) {
      PyObject* leaf = wrap(leaf_);
      PyObject* result = PyObject_CallOneArg(c.function, leaf);
      Py_DECREF(leaf);
      if (!result) throw PythonError();
      Py_DECREF(result);
    }
  }
}

// A gradient that nobody else holds becomes .grad itself; later ones are added in place, unless they are to be
// differentiated.
void accumulate_into(Tensor& slot, const Tensor& gradient) {
  if (!slot.defined()) {
    const bool owned = gradient.impl()->use_count() == 1 && gradient.storage().use_count() == 1 && gradient.is_contiguous() && !gradient.impl()->base;
    slot = owned || grad_enabled() ? (gradient.is_contiguous() ? gradient : clone(gradient)) : clone(gradient);
    if (grad_enabled() && !owned && !gradient.requires_grad()) slot = clone(gradient);
    return;
  }
  if (grad_enabled()) {
    slot = add(slot, gradient);
    return;
  }
  const Operand operands[] = {slot, gradient};
  pointwise_(PointwiseOp::add, operands);
}

AutogradMeta& meta_of(const Tensor& t) {
  AutogradMeta*& meta = t.impl()->autograd;
  if (!meta) meta = new (allocate(sizeof(AutogradMeta))) AutogradMeta;
  return *meta;
}

void destroy_meta(AutogradMeta* meta) {
  if (meta->retains_grad && meta->grad_fn)
    if (NodeHooks* hooks = static_cast<Node*>(meta->grad_fn.get())->hooks.get())
      std::erase_if(hooks->retained, [meta](const auto& entry) { return entry.second == meta; });
  meta->~AutogradMeta();
  deallocate(meta, sizeof(AutogradMeta));
}

void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index) {
  AutogradMeta& meta = meta_of(t);
  meta.grad_fn = node;
  meta.output_index = index;
  t.impl()->requires_grad = true;
}

void set_requires_grad(const Tensor& t, bool requires_grad) {
  require(!requires_grad || is_floating(t.dtype()), "only Tensors of floating point dtype can require gradients, got ", t.dtype(), "; convert first, e.g. x.float()");
  AutogradMeta& meta = meta_of(t);
  require(!meta.grad_fn || requires_grad,
          "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a subgraph that doesn't require "
          "differentiation use var_no_grad = var.detach().");
  if (meta.grad_fn) return;
  meta.requires_grad = requires_grad;
  t.impl()->requires_grad = requires_grad;
}

}  // namespace flambeau::autograd
