// The graph node of a Function, and the Python type of its context. Note [Function contexts]
#include "function_node.h"

#include <structmember.h>

namespace py = pybind11;

namespace flambeau::autograd {

py::tuple FunctionNode::saved_tensors() {
  require_saved();
  py::tuple out(saved_is_tensor.size());
  size_t next = 0;
  for (size_t i = 0; i < saved_is_tensor.size(); ++i)
    out[i] = saved_is_tensor[i] ? py::reinterpret_steal<py::object>(wrap(unpack(next++))) : py::object(py::none());
  return out;
}

namespace {

constexpr const char kBothBackwards[] =
    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of "
    "them.";

// Returns the vjp of the class if it defines one, otherwise its backward.
py::object derivative_of(PyTypeObject* function) {
  PyObject* cls = reinterpret_cast<PyObject*>(function);
  py::object backward = owned(PyObject_GetAttr(cls, names().backward)), vjp = owned(PyObject_GetAttr(cls, names().vjp));
  if (vjp.is_none()) return backward;
  static std::atomic<PyObject*> none{nullptr};
  const PyObject* const inherited = made_once(none, [] {
    return py::object(py::module_::import("flambeau.autograd").attr("Function").attr("backward")).release().ptr();
  });
  require(backward.ptr() == inherited, kBothBackwards);
  return vjp;
}

}  // namespace

void FunctionNode::apply(const Tensor* gradients, Tensor* results, const bool* needs) {
  const py::object backward = derivative_of(function_);
  SmallVector<PyObject*, 6> arguments;
  arguments.push_back(reinterpret_cast<PyObject*>(context_));
  for (int output : returned)
    arguments.push_back(output < 0 || !gradients[output].defined() ? Py_NewRef(Py_None) : wrap(gradients[output]));
  PyObject* result = PyObject_Vectorcall(backward.ptr(), arguments.data(), arguments.size(), nullptr);
  for (size_t i = 1; i < arguments.size(); ++i) Py_DECREF(arguments[i]);
  const py::object gradient = owned(result);
  if (!PyTuple_Check(result) && !PyList_Check(result) && given.size() == 1) {
    const py::object one = owned(PyTuple_Pack(1, result));
    return take(one.ptr(), results, needs);
  }
  take(result, results, needs);
}

void FunctionNode::take(PyObject* values, Tensor* results, const bool* needs) const {
  const bool several = PyTuple_Check(values) || PyList_Check(values);
  const py::object held = owned(several ? PySequence_Tuple(values) : PyTuple_Pack(1, values));
  const size_t expected = given.size(), count = size_t(PyTuple_GET_SIZE(held.ptr()));
  PyObject* const* items = PySequence_Fast_ITEMS(held.ptr());
  bool extra = false;  // true if an additional value is not None
  for (size_t i = expected; i < count; ++i) extra |= items[i] != Py_None;
  require(count >= expected && !extra, "function ", *this, " returned an incorrect number of gradients (expected ",
          expected, ", got ", count, ")");
  for (size_t i = 0; i < expected; ++i) {
    if (items[i] == Py_None) continue;
    const Tensor* t = tensor_in(items[i]);
    require<TypeError>(t, "function ", *this, " returned a ", Py_TYPE(items[i])->tp_name, " at position ", i + 1,
                       ", expected a Tensor or None");
    require(given[i], "function ", *this, " returned a gradient different than None at position ", i + 1,
            ", but the corresponding forward input was not a Variable");
    if (needs[i]) results[i] = *t;
  }
}

py::tuple function_references(const Node& node) {
  const auto* called = dynamic_cast<const FunctionNode*>(&node);
  if (!called) throw py::attribute_error("only nodes of a Function have _raw_saved_tensors");
  called->require_saved();
  py::tuple out(called->saved_is_tensor.size());
  int next = 0;
  for (size_t i = 0; i < called->saved_is_tensor.size(); ++i)
    out[i] = py::cast(SavedReference{Ref<Node>(const_cast<Node*>(&node)), called->saved_is_tensor[i] ? next++ : -1});
  return out;
}

PyObject* function_context(const Node& node) {
  const auto* called = dynamic_cast<const FunctionNode*>(&node);
  return called ? called->context() : nullptr;
}

// ---- Python methods and attributes of the context

namespace {

template <PyObject* FunctionContext::* field>
PyObject* set_tuple(PyObject* self, PyObject* tensors) {
  const InterpreterSection section;
  Py_XSETREF(context_of(self)->*field, Py_NewRef(tensors));
  Py_RETURN_NONE;
}

void require_tensors(PyObject* values, const char* method) {
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(values); ++i) {
    PyObject* item = PyTuple_GET_ITEM(values, i);
    require<TypeError>(item == Py_None || tensor_in(item), method, " can only save variables, but argument ", i,
                       " is of type ", Py_TYPE(item)->tp_name);
  }
}
PyObject* save_for_backward(PyObject* self, PyObject* tensors) {
  return guarded([&] {
    require_tensors(tensors, "save_for_backward");
    return set_tuple<&FunctionContext::to_save>(self, tensors);
  });
}
PyObject* save_for_forward(PyObject* self, PyObject* tensors) {
  return guarded([&] {
    require_tensors(tensors, "save_for_forward");
    return set_tuple<&FunctionContext::saved_for_forward>(self, tensors);
  });
}
PyObject* set_materialize_grads(PyObject* self, PyObject* value) {
  const int wanted = PyObject_IsTrue(value);
  if (wanted < 0) return nullptr;
  const InterpreterSection section;
  context_of(self)->materialize = wanted;
  if (context_of(self)->node) context_of(self)->node->wants_zeros = wanted;
  Py_RETURN_NONE;
}

PyObject* saved_tensors(PyObject* self, void*) {
  return guarded([&]() -> PyObject* {
    FunctionContext* c = context_of(self);
    if (c->saved_for_forward) return Py_NewRef(c->saved_for_forward);
    if (c->node) return c->node->saved_tensors().release().ptr();
    return c->to_save ? Py_NewRef(c->to_save) : PyTuple_New(0);
  });
}
PyObject* saved_variables(PyObject* self, void* closure) {
  constexpr const char* kDeprecated = "'saved_variables' is deprecated; use 'saved_tensors'";
  return PyErr_WarnEx(PyExc_DeprecationWarning, kDeprecated, 1) < 0 ? nullptr : saved_tensors(self, closure);
}
PyObject* get_node(PyObject* self, void*) {
  return guarded([&] {
    FunctionNode* const node = context_of(self)->node;
    return node ? py::cast(Ref<Node>(node)).release().ptr() : Py_NewRef(Py_None);
  });
}
template <PyObject* FunctionContext::* field>
PyObject* get_tuple(PyObject* self, void*) {
  const InterpreterSection section;
  PyObject* value = context_of(self)->*field;
  return value ? Py_NewRef(value) : PyTuple_New(0);
}
template <PyObject* FunctionContext::* field>
int put_tuple(PyObject* self, PyObject* value, void*) {
  const InterpreterSection section;
  Py_XSETREF(context_of(self)->*field, Py_XNewRef(value));
  return 0;
}
PyObject* get_materialize(PyObject* self, void*) { return PyBool_FromLong(context_of(self)->materialize); }

PyObject* make_context(PyTypeObject* type, PyObject*, PyObject*) {
  auto* c = context_of(type->tp_alloc(type, 0));
  if (c) c->materialize = true;
  return reinterpret_cast<PyObject*>(c);
}
constexpr PyObject* FunctionContext::* kFields[] = {&FunctionContext::dict,    &FunctionContext::needs_input_grad,
                                                    &FunctionContext::to_save, &FunctionContext::saved_for_forward,
                                                    &FunctionContext::dirty,   &FunctionContext::non_differentiable};
int traverse_context(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  for (const auto field : kFields) Py_VISIT(context_of(self)->*field);
  return 0;
}
int clear_context(PyObject* self) {
  for (const auto field : kFields) Py_CLEAR(context_of(self)->*field);
  return 0;
}
void delete_context(PyObject* self) {
  PyTypeObject* type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  if (context_of(self)->weak_references) PyObject_ClearWeakRefs(self);
  clear_context(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMethodDef context_methods[] = {
    {"save_for_backward", save_for_backward, METH_VARARGS,
     "Save tensors (or None) for backward, which reads them from saved_tensors."},
    {"save_for_forward", save_for_forward, METH_VARARGS, "Save tensors for jvp, which reads them from saved_tensors."},
    {"mark_dirty", set_tuple<&FunctionContext::dirty>, METH_VARARGS,
     "Mark the inputs that forward changed in place. Forward must return them."},
    {"mark_non_differentiable", set_tuple<&FunctionContext::non_differentiable>, METH_VARARGS,
     "Mark the outputs that have no gradient."},
    {"set_materialize_grads", set_materialize_grads, METH_O,
     "Set whether backward receives zeros (True) or None (False) for an output without a gradient."},
    {}};
PyGetSetDef context_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {"needs_input_grad", get_tuple<&FunctionContext::needs_input_grad>, put_tuple<&FunctionContext::needs_input_grad>,
     "Tuple with True for each argument of forward that requires a gradient.", nullptr},
    {"saved_tensors", saved_tensors, nullptr, "Tensors that save_for_backward saved.", nullptr},
    {"saved_variables", saved_variables, nullptr, "Deprecated alias of saved_tensors.", nullptr},
    {"to_save", get_tuple<&FunctionContext::to_save>, put_tuple<&FunctionContext::to_save>,
     "Tensors to save for backward.", nullptr},
    {"saved_for_forward", get_tuple<&FunctionContext::saved_for_forward>,
     put_tuple<&FunctionContext::saved_for_forward>, "Tensors that save_for_forward saved.", nullptr},
    {"dirty_tensors", get_tuple<&FunctionContext::dirty>, nullptr, "Tensors that were passed to mark_dirty.", nullptr},
    {"non_differentiable", get_tuple<&FunctionContext::non_differentiable>, nullptr,
     "Tensors that were passed to mark_non_differentiable.", nullptr},
    {"materialize_grads", get_materialize, nullptr, "True if backward receives zeros for outputs without a gradient.",
     nullptr},
    {"_node", get_node, nullptr, "Node of the autograd graph, after forward has run.", nullptr},
    {}};
PyMemberDef context_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FunctionContext, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FunctionContext, weak_references), READONLY, nullptr},
    {}};
const char kContextDoc[] =
    R"(Context of a Function: saved tensors, flags, and any attributes that forward sets for backward.

>>> class Scaled(fb.autograd.Function):
...     @staticmethod
...     def forward(ctx, x, factor):
...         ctx.factor = factor
...         return x * factor
...
...     @staticmethod
...     def backward(ctx, grad):
...         return grad * ctx.factor, None
>>> x = fb.ones(2, requires_grad=True)
>>> Scaled.apply(x, 5.0).sum().backward()
>>> x.grad
tensor([5., 5.]))";

}  // namespace

PyTypeObject* context_type = nullptr;

PyObject* new_context() { return make_context(context_type, nullptr, nullptr); }

void make_context_type() {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make_context)},
                         {Py_tp_dealloc, reinterpret_cast<void*>(delete_context)},
                         {Py_tp_traverse, reinterpret_cast<void*>(traverse_context)},
                         {Py_tp_clear, reinterpret_cast<void*>(clear_context)},
                         {Py_tp_methods, context_methods},
                         {Py_tp_getset, context_attributes},
                         {Py_tp_members, context_members},
                         {Py_tp_doc, const_cast<char*>(kContextDoc)},
                         {0, nullptr}};
  PyType_Spec spec = {"flambeau.autograd.function.FunctionCtx", sizeof(FunctionContext), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
  context_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)));
}

}  // namespace flambeau::autograd
