// Hooks on tensors and nodes: putting them on and taking them off.
#include "bind.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

LeafHooks& leaf_hooks(const Tensor& t) {
  AutogradMeta& meta = meta_of(t);
  if (!meta.hooks) meta.hooks = std::make_unique<LeafHooks>();
  return static_cast<LeafHooks&>(*meta.hooks);
}

int64_t register_hook(const Tensor& t, const py::object& hook) {
  require(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  track(t);
  const Edge edge = gradient_edge(t);
  if (!meta_of(t).grad_fn) return add_callback(leaf_hooks(t), leaf_hooks(t).gradient, hook.ptr());
  NodeHooks& hooks = node_hooks(*edge.node);
  return add_callback(hooks, hooks.gradient[edge.index], hook.ptr());
}

int64_t register_post_accumulate_grad_hook(const Tensor& t, const py::object& hook) {
  require(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  track(t);
  require(!meta_of(t).grad_fn, "post accumulate grad hooks cannot be registered on non-leaf tensors");
  return add_callback(leaf_hooks(t), leaf_hooks(t).post_accumulate, hook.ptr());
}

void retain_grad_of(const Tensor& t) {
  require(t.requires_grad(), "can't retain_grad on Tensor that has requires_grad=False");
  if (gradient_edge(t).node && meta_of(t).grad_fn) retain_grad(t);
}

void detach_(const Tensor& t) {
  require(!t.impl()->base, "Can't detach views in-place. Use detach() instead.");
  AutogradMeta* meta = t.impl()->autograd;
  if (!meta) return;
  stop_retaining(*meta);
  meta->grad_fn = Ref<GraphNode>();
  meta->requires_grad = false;
  t.impl()->requires_grad = false;
}

}  // namespace

// A tensor with callbacks may be part of a reference cycle through them.
void track(const Tensor& t) {
  auto* object = static_cast<PyObject*>(t.impl()->python_object);
  if (object && !PyObject_GC_IsTracked(object)) PyObject_GC_Track(object);
}

void bind_hooks(py::module_& m) {
  define(m, "register_hook", &register_hook, tensor_argument(), py::arg());
  define(m, "register_post_accumulate_grad_hook", &register_post_accumulate_grad_hook, tensor_argument(), py::arg());
  define(m, "register_node_hook",
         [](Node& n, const py::object& f) { return add_callback(node_hooks(n), node_hooks(n).post, f.ptr()); });
  define(m, "register_node_prehook",
         [](Node& n, const py::object& f) { return add_callback(node_hooks(n), node_hooks(n).pre, f.ptr()); });
  define(m, "remove_hook", &remove_callback);
  define(m, "retain_grad", &retain_grad_of, tensor_argument());
  define(m, "detach_", &detach_, tensor_argument());
}

}  // namespace flambeau::autograd
