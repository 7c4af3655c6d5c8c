// From what an operator records to nodes of the graph; in-place changes and views.
#include "node.h"

namespace flambeau::autograd {

namespace {

// Note [Views and in-place changes]
// A view that is changed in place changes its base. The node of the change, which knows only the view, is then wrapped into
// one that takes the base's gradient apart: the viewed part goes through the change's derivative, the rest passes. The base
// gets that node as its history, and the view a history that shows its place in the base. Other views of the same base
// notice by the base's count of such changes that their history is out of date, and get one of that kind, too.
struct Place {
  Shape base_shape, shape, strides;
  int64_t offset;

  static Place of(const Tensor& view, const Tensor& base) {
    require<NotImplementedError>(base.is_contiguous(), "an in-place change of a view is differentiable only if the tensor it views is contiguous; the base has shape ",
                                 base.shape(), " and strides ", base.strides());
    return {base.shape(), view.shape(), view.strides(), view.offset() - base.offset()};
  }
  Tensor in(const Tensor& whole) const { return as_strided(whole, shape, strides, whole.offset() + offset); }
};

Ref<Node> place_node(const Place& place, const Edge& base) {
  Ref<Node> node = make_node<OperatorNode>("AsStridedBackward0", [place](const Context& c) {
    Tensor whole = zeros(place.base_shape, c.gradient().dtype());
    copy_(place.in(whole), c.gradient());
    c.set(0, whole);
  });
  node->edges.push_back(base);
  return node;
}

void give_place(const Tensor& view, const Tensor& base) {
  const Ref<Node> node = place_node(Place::of(view, base), gradient_edge(base));
  node->outputs.push_back({view.shape(), view.dtype()});
  set_history(view, node, 0);
  meta_of(view).base_history = meta_of(base).history;
}

// The change's node becomes part of the base's history.
void rebase(const Tensor& view, const Ref<Node>& change, const Recording& r) {
  const Tensor base(view.impl()->base);
  const Place place = Place::of(view, base);
  std::vector<bool> is_self;
  for (int i = 0; i < r.input_count; ++i) is_self.push_back(r.inputs[i]->defined() && r.inputs[i]->same(view));
  Ref<Node> node = make_node<OperatorNode>("CopySlices", [place, change, is_self](const Context& c) {
    const size_t n = is_self.size();
    Tensor whole = clone(c.gradient());
    const Tensor part = place.in(whole);
    const Tensor gradient = clone(part);
    SmallVector<Tensor, 4> results(n);
    bool needs[16] = {};
    for (size_t i = 0; i < n; ++i) needs[i] = is_self[i] || c.needs(int(i) + 1);
    change->apply(&gradient, results.data(), needs);
    Tensor self_gradient;
    for (size_t i = 0; i < n; ++i) {
      if (!is_self[i]) c.set(int(i) + 1, results[i]);
      else if (results[i].defined()) self_gradient = self_gradient.defined() ? add(self_gradient, results[i]) : results[i];
    }
    if (self_gradient.defined()) copy_(part, self_gradient.shape() == part.shape() ? self_gradient : sum_to(expand(self_gradient, broadcast(self_gradient.shape(), part.shape())), part.shape()));
    else fill_(part, Scalar(0));
    c.set(0, whole);
  });
  require<NotImplementedError>(r.input_count < 16, "an in-place change of a view with more than 15 inputs");
  node->edges.push_back(gradient_edge(base));
  for (int i = 0; i < r.input_count; ++i) node->edges.push_back(is_self[size_t(i)] ? Edge{} : change->edges[size_t(i)]);
  node->outputs.push_back({base.shape(), base.dtype()});
  set_history(base, node, 0);
  ++meta_of(base).history;
  give_place(view, base);
}

bool out_of_date(const Tensor& t) {
  const TensorImpl* base = t.impl()->base.get();
  return base && base->autograd && base->autograd->history != meta_of(t).base_history;
}

}  // namespace

Edge gradient_edge(const Tensor& t) {
  if (!t.defined() || !t.requires_grad()) return {};
  AutogradMeta& meta = meta_of(t);
  if (out_of_date(t)) give_place(t, Tensor(t.impl()->base));
  if (meta.grad_fn) return {Ref<Node>(static_cast<Node*>(meta.grad_fn.get())), meta.output_index};
  if (meta.accumulator) return {Ref<Node>(static_cast<Node*>(meta.accumulator)), 0};
  return {make_node<AccumulateGrad>(t), 0};
}

void record(Recording& r) {
  char name[64];
  std::snprintf(name, sizeof(name), "%sBackward0", r.name);
  const Ref<OperatorNode> node = make_node<OperatorNode>(name, std::move(r.derivative));
  for (int i = 0; i < r.input_count; ++i) node->edges.push_back(gradient_edge(*r.inputs[i]));
  for (int i = 0; i < r.saved_count; ++i) {
    int output = -1;
    for (int k = 0; k < r.output_count; ++k)
      if (r.saved[i]->defined() && r.saved[i]->same(*r.outputs[k])) output = k;
    node->save(*r.saved[i], output);
  }
  for (int k = 0; k < r.output_count; ++k) node->outputs.push_back({r.outputs[k]->shape(), r.outputs[k]->dtype()});
  if (r.kind == Recording::kInPlace && r.outputs[0]->impl()->base) return rebase(*r.outputs[0], Ref<Node>(node), r);
  for (int k = 0; k < r.output_count; ++k)
    if (is_floating(r.outputs[k]->dtype())) set_history(*r.outputs[k], Ref<Node>(node), uint32_t(k));
  if (r.kind == Recording::kInPlace) ++meta_of(*r.outputs[0]).history;
  if (r.kind == Recording::kView) {
    const TensorImpl* base = r.outputs[0]->impl()->base.get();
    if (base && base->autograd) meta_of(*r.outputs[0]).base_history = base->autograd->history;
  }
}

}  // namespace flambeau::autograd
