// Traversal of tensors and graphs for Python's garbage collector.
#include "python_hook.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

// Returns the node that computed a tensor, or null if something else also references the node.
const Node* owned_node(const AutogradMeta& meta) {
  const Node* node = static_cast<Node*>(meta.grad_fn.get());
  return node && node->use_count() == 1 ? node : nullptr;
}

int visit_all(const Callbacks& callbacks, visitproc visit, void* argument) {
  for (const Callback& c : callbacks)
    if (const auto* hook = c.hook.target<PythonHook>())
      if (const int stop = visit(hook->function.ptr(), argument)) return stop;
  return 0;
}

int visit_node(const Node& node, visitproc visit, void* argument) {
  int stop = 0;
  if (PyObject* context = function_context(node)) stop = visit(context, argument);
  const NodeHooks* hooks = node.hooks.get();
  if (!hooks) return stop;
  for (const Callbacks& c : hooks->gradient)
    if (!stop) stop = visit_all(c, visit, argument);
  for (const Callbacks* c : {&hooks->pre, &hooks->post})
    if (!stop) stop = visit_all(*c, visit, argument);
  if (!stop && hooks->metadata) stop = visit(static_cast<PyObject*>(hooks->metadata.get()), argument);
  return stop;
}

#ifdef Py_GIL_DISABLED
constexpr long kFull = 0;  // every collection of a free-threaded interpreter is a full collection
#else
constexpr long kFull = 2;
#endif

// An entry of gc.callbacks, which Python calls before and after each collection.
PyObject* after_collection(PyObject*, PyObject* args) {
  const char* phase;
  PyObject* info;
  if (!PyArg_ParseTuple(args, "sO!", &phase, &PyDict_Type, &info)) return nullptr;
  return guarded([&]() -> PyObject* {
    PyObject* const generation = PyDict_GetItemString(info, "generation");
    if (std::string_view(phase) == "stop" && generation && PyLong_AsLong(generation) >= kFull) collect_cycles();
    Py_RETURN_NONE;
  });
}

PyMethodDef callback = {"after_collection", after_collection, METH_VARARGS, nullptr};

}  // namespace

// Callbacks of a tensor can refer to the tensor and form a reference cycle.
void track(const Tensor& t) {
  auto* object = static_cast<PyObject*>(t.impl()->python_object);
  if (object && !PyObject_GC_IsTracked(object)) PyObject_GC_Track(object);
}

int visit_callbacks(const AutogradMeta& meta, visitproc visit, void* argument) {
  if (const auto* hooks = static_cast<LeafHooks*>(meta.hooks.get()))
    for (const Callbacks* c : {&hooks->gradient, &hooks->post_accumulate})
      if (const int stop = visit_all(*c, visit, argument)) return stop;
  const Node* node = owned_node(meta);
  return node ? visit_node(*node, visit, argument) : 0;
}

void drop_callbacks(const AutogradMeta& meta) {
  if (auto* hooks = static_cast<LeafHooks*>(meta.hooks.get())) hooks->drop_callbacks();
  if (const Node* node = owned_node(meta); node && node->hooks) node->hooks->drop_callbacks();
}

// Registers the callback of garbage collections once. Note [Cycles of gradients] in src/cycles.cpp
void watch_collections() {
  static bool registered = false;
  if (std::exchange(registered, true)) return;
  const py::object function = py::reinterpret_steal<py::object>(PyCFunction_New(&callback, nullptr));
  py::module_::import("gc").attr("callbacks").attr("append")(function);
}

}  // namespace flambeau::autograd
