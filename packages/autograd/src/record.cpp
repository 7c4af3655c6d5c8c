// Conversion of an operator's recording to nodes of the graph; in-place changes and views.
#include "engine.h"
#include "flambeau/autograd_engine.h"
#include "flambeau/training_hooks.h"
#include "forward_mode.h"
#include "view_geometry.h"

namespace flambeau::autograd {

namespace {

// Note [Views and in-place changes]
// An in-place change of a view also changes its base. The node of the change, which only knows the view, becomes part
// of a new node CopySlices. CopySlices splits the gradient of the base: the elements of the view go through the
// derivative of the change, and the other elements pass through unchanged. CopySlices becomes the grad_fn of the base.
// The new grad_fn of the view selects the view's elements from the base. The base counts these changes. Every view of
// the base stores the count for which its grad_fn was created, and updates its grad_fn in the same way if the count has
// changed.
Ref<Node> view_node(const ViewGeometry& geometry, const Edge& base) {
  Ref<Node> node = make_node<OperatorNode>(
      "AsStrided", [geometry](const Context& c) { c.set(0, geometry.base_gradient(c.gradient())); });
  node->edges.push_back(base);
  node->take_number();
  return node;
}

void update_view_node(const Tensor& view, const Tensor& base) {
  const Ref<Node> node = view_node(ViewGeometry::of(view, base), gradient_edge(base));
  node->outputs.push_back({view.shape(), view.dtype()});
  set_history(view, node, 0);
  meta_of(view).base_history = meta_of(base).history;
}

// Creates a node CopySlices that contains the node `change`, and makes it the grad_fn of the view's base. Updates the
// grad_fn of the view.
void rebase(const Tensor& view, const Ref<Node>& change, const Tensor* const* inputs, int count) {
  const Tensor base(view.impl()->base);
  const ViewGeometry geometry = ViewGeometry::of(view, base);
  std::vector<bool> is_self;
  for (int i = 0; i < count; ++i) is_self.push_back(inputs[i]->defined() && inputs[i]->same(view));
  Ref<OperatorNode> node =
      make_node<OperatorNode>(std::string("CopySlices"), [geometry, change, is_self](const Context& c) {
        const size_t n = is_self.size();
        const Tensor whole = geometry.base_copy(c.gradient()), part = geometry.part_of(whole), gradient = clone(part);
        SmallVector<Tensor, 4> results(n);
        SmallVector<bool, 8> needs(n);
        for (size_t i = 0; i < n; ++i) needs[i] = is_self[i] ? c.needs(0) : c.needs(int(i) + 1);
        change->apply(&gradient, results.data(), needs.data());
        Tensor self_gradient;
        for (size_t i = 0; i < n; ++i) {
          if (!is_self[i])
            c.set(int(i) + 1, results[i]);
          else if (results[i].defined())
            self_gradient = self_gradient.defined() ? add(self_gradient, results[i]) : results[i];
        }
        if (!c.needs(0)) return;
        if (self_gradient.defined())
          copy_(part, fit(self_gradient, change->outputs[0], change.get(), 0));
        else
          fill_(part, Scalar(0));
        c.set(0, whole);
      });
  node->holds_tensors();
  node->edges.push_back(gradient_edge(base));
  for (int i = 0; i < count; ++i) node->edges.push_back(is_self[size_t(i)] ? Edge{} : change->edges[size_t(i)]);
  node->take_number();
  node->outputs.push_back({base.shape(), base.dtype()});
  set_history(base, Ref<Node>(node), 0);
  ++meta_of(base).history;
  update_view_node(view, base);
}

bool is_outdated(const Tensor& t) {
  const TensorImpl* base = t.impl()->base.get();
  return base && base->requires_grad && t.impl()->view_kind <= ViewKind::OneOfSeveral &&
         (!t.impl()->requires_grad || base->autograd->history != meta_of(t).base_history);
}

// Returns true if the gradients of `output` have the shape and the dtype of a leaf. They differ if `leaf.data = ...` or
// `module.half()` has replaced the leaf's data.
bool fits(const OutputInfo& output, const Tensor& leaf) {
  return output.dtype == leaf.dtype() && output.shape == leaf.shape();
}

}  // namespace

void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index) {
  AutogradMeta& meta = meta_of(t);
  const bool retained = meta.retains_grad;
  stop_retaining(meta);
  meta.grad_fn = node;
  meta.output_index = index;
  t.impl()->requires_grad = true;
  if (!retained) return;
  node_hooks(*node).retained.push_back({index, &meta});
  meta.retains_grad = true;
}

void set_requires_grad(const Tensor& t, bool requires_grad) {
  require(!requires_grad || is_inexact(t.dtype()),
          "only Tensors of floating point and complex dtype can require gradients, got ", t.dtype(),
          "; convert first, e.g. x.float()");
  require(!requires_grad || inference_mode() || !t.storage().inference(),
          "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  AutogradMeta& meta = meta_of(t);
  require(!meta.grad_fn || requires_grad,
          "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
          "subgraph that doesn't require "
          "differentiation use var_no_grad = var.detach().");
  if (meta.grad_fn) return;
  meta.requires_grad = requires_grad;
  t.impl()->requires_grad = requires_grad;
}

void detach_(const Tensor& t) {
  require(!t.impl()->base, "Can't detach views in-place. Use detach() instead.");
  AutogradMeta* meta = t.impl()->autograd;
  if (!meta) return;
  drop_tangents(t);
  stop_retaining(*meta);
  meta->grad_fn = Ref<GraphNode>();
  meta->requires_grad = false;
  t.impl()->requires_grad = false;
}

Edge gradient_edge(const Tensor& t) {
  if (!t.defined() || !t.requires_grad()) return {};
  AutogradMeta& meta = meta_of(t);
  if (is_outdated(t)) update_view_node(t, Tensor(t.impl()->base));
  if (meta.grad_fn) return {Ref<Node>(static_cast<Node*>(meta.grad_fn.get())), meta.output_index};
  if (Node* const accumulator = static_cast<Node*>(meta.accumulator); accumulator && fits(accumulator->outputs[0], t))
    return {Ref<Node>(accumulator), 0};
  return {make_node<AccumulateGrad>(t), 0};
}

std::vector<Edge> gradient_edges(const std::vector<Tensor>& tensors) {
  std::vector<Edge> out;
  for (const Tensor& t : tensors) out.push_back(gradient_edge(t));
  return out;
}

namespace {

Ref<OperatorNode> node_of(Recording& r) {
  const Ref<OperatorNode> node = make_node<OperatorNode>(r.name, std::move(r.derivative));
  node->wants_zeros = r.wants_zeros;
  node->in_python = r.in_python;
  for (int i = 0; i < r.input_count; ++i) node->edges.push_back(gradient_edge(*r.inputs[i]));
  node->take_number();
  for (int i = 0; i < r.saved_count; ++i) {
    int output = -1;
    for (int k = 0; k < r.output_count; ++k)
      if (r.saved[i]->defined() && r.saved[i]->same(*r.outputs[k])) output = k;
    node->save(*r.saved[i], output);
  }
  for (int k = 0; k < r.output_count; ++k) node->outputs.push_back({r.outputs[k]->shape(), r.outputs[k]->dtype()});
  for (int k = 0; k < r.output_count; ++k)
    become_output(*r.outputs[k], node, uint32_t(k), r.kind, r.inputs, r.input_count);
  return node;
}

bool requires_gradient(const Recording& r) {
  for (int i = 0; i < r.input_count; ++i)
    if (r.inputs[i]->defined() && r.inputs[i]->requires_grad()) return true;
  return false;
}

}  // namespace

void record(Recording& r) {
  if (r.kind == Recording::kInPlace && !is_inexact(r.outputs[0]->dtype())) return;
  const Ref<OperatorNode> node = grad_enabled() && requires_gradient(r) ? node_of(r) : Ref<OperatorNode>();
  if (FLAMBEAU_LIKELY(!(recording_modes() & modes::kTangents))) return;
  push_forward(r, node ? node->derivative() : r.derivative);
  if (node) node->share_tangents(r.outputs);
}

void become_output(const Tensor& t, const Ref<OperatorNode>& node, uint32_t index, Recording::Kind kind,
                   const Tensor* const* inputs, int count) {
  if (!is_inexact(t.dtype())) return;
  Ref<TensorImpl>& base = t.impl()->base;
  if (kind == Recording::kInPlace && base) {
    require<NotImplementedError>(
        node->outputs.size() == 1, *node,
        ": an in-place operation with several outputs cannot change a view; use a clone() of the view");
    return rebase(t, Ref<Node>(node), inputs, count);
  }
  if (kind == Recording::kFresh) base = Ref<TensorImpl>();  // the base, if any, is a temporary tensor of the operator
  set_history(t, Ref<Node>(node), index);
  if (kind == Recording::kInPlace) ++meta_of(t).history;
  if (kind == Recording::kView && base && base->autograd) meta_of(t).base_history = base->autograd->history;
}

namespace {

bool has_accumulation_hooks(const Tensor& leaf) {
  const AutogradMeta* const meta = leaf.impl()->autograd;
  return meta && meta->hooks && !static_cast<LeafHooks&>(*meta->hooks).post_accumulate.empty();
}

void forget_meta(AutogradMeta& meta) {
  stop_retaining(meta);
  forget_suspect(meta);
}

const AutogradHooks hooks{record, set_requires_grad, forget_meta, adopt_tangents};

const TrainingHooks hooks_of_programs{backward_in_program, has_accumulation_hooks, suspect_cycle};

// The initialiser makes operators record as soon as this library is loaded.
[[maybe_unused]] const bool loaded = (autograd_hooks = &hooks, training_hooks = &hooks_of_programs, true);

}  // namespace

}  // namespace flambeau::autograd
