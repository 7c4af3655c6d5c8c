// autograd.Function: an operation in Python with a derivative of its own.
//
// Note [Function contexts]
// The context (ctx) that forward and backward share is a Python object held by the node. It knows its node without
// holding it, so that no cycle comes of it; what is saved for backward belongs to the node, and is freed with it.
#include "bind.h"

#include <structmember.h>

#include <algorithm>

#include "forward_mode.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

class FunctionNode;

struct FunctionContext {
  PyObject_HEAD PyObject *dict, *weak_references;
  PyObject *needs_input_grad, *to_save, *saved_for_forward, *dirty, *non_differentiable;  // null until they are set
  FunctionNode* node;  // borrowed; null before it is recorded and after the node is gone
  bool materialize;
};

PyTypeObject* context_type = nullptr;

struct Names {
  PyObject *forward = PyUnicode_InternFromString("forward"), *backward = PyUnicode_InternFromString("backward"),
           *vjp = PyUnicode_InternFromString("vjp"), *jvp = PyUnicode_InternFromString("jvp"),
           *setup_context = PyUnicode_InternFromString("setup_context");
};
const Names& names() {
  static const Names* all = new Names;
  return *all;
}

PyObject* checked(PyObject* o) {
  if (!o) throw PythonError();
  return o;
}
py::object owned(PyObject* o) { return py::reinterpret_steal<py::object>(checked(o)); }
const Tensor* tensor_in(PyObject* o) { return python_interface->unwrap(o); }

class FunctionNode final : public OperatorNode {
 public:
  FunctionNode(PyTypeObject* function, FunctionContext* context)
      : OperatorNode(nullptr, Derivative()), function_(function), context_(context) {
    Py_INCREF(function_);
    Py_INCREF(context_);
    context_->node = this;
  }
  ~FunctionNode() override {
    context_->node = nullptr;
    Py_DECREF(context_);
    Py_DECREF(function_);
  }
  size_t bytes() const override { return sizeof(*this); }
  const char* name() const override {
    if (name_.empty()) name_ = std::string(function_->tp_name) + "Backward";
    return name_.c_str();
  }
  PyObject* function_context() const override { return reinterpret_cast<PyObject*>(context_); }
  void release_saved() override {
    released_ = !saved_.empty() || released_;
    saved_.clear();
  }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  py::tuple saved_tensors();

  SmallVector<int, 4> returned;  // of each value that forward returned: which output of the node it is, or -1
  SmallVector<bool, 8> given;    // of each argument: whether it was a tensor
  SmallVector<bool, 4> kept;     // of each value to save: whether it was a tensor, not None

 private:
  void take(PyObject* returned_gradients, Tensor* results, const bool* needs) const;

  PyTypeObject* function_;
  FunctionContext* context_;
};

py::tuple FunctionNode::saved_tensors() {
  require(
      !released_,
      "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
      "been freed), in ",
      *this,
      ". Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
      "retain_graph=True if you need to backward through the graph a second time or if you need to access saved "
      "tensors after calling backward.");
  py::tuple out(kept.size());
  size_t next = 0;
  for (size_t i = 0; i < kept.size(); ++i)
    out[i] = kept[i] ? py::reinterpret_steal<py::object>(wrap(unpack(next++))) : py::object(py::none());
  return out;
}

constexpr const char kBothBackwards[] =
    "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. You should only implement one of "
    "them.";

// The class's vjp, if it has one of its own, or its backward.
py::object derivative_of(PyTypeObject* function) {
  PyObject* cls = reinterpret_cast<PyObject*>(function);
  py::object backward = owned(PyObject_GetAttr(cls, names().backward)), vjp = owned(PyObject_GetAttr(cls, names().vjp));
  if (vjp.is_none()) return backward;
  static PyObject* const none =
      owned(PyObject_GetAttrString(py::module_::import("flambeau.autograd").attr("Function").ptr(), "backward"))
          .release()
          .ptr();
  require(backward.ptr() == none, kBothBackwards);
  return vjp;
}

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
  const size_t expected = given.size(), count = several ? size_t(PySequence_Fast_GET_SIZE(values)) : 1;
  PyObject** items = several ? PySequence_Fast_ITEMS(values) : &values;
  bool extra = false;  // values other than None beyond those expected
  for (size_t i = expected; i < count; ++i) extra |= items[i] != Py_None;
  require(count >= expected && !extra, "function ", *this, " returned an incorrect number of gradients (expected ",
          expected, ", got ", count, ")");
  for (size_t i = 0; i < expected; ++i) {
    if (items[i] == Py_None) continue;
    const Tensor* t = tensor_in(items[i]);
    require<TypeError>(t, "function ", *this, " returned a ", Py_TYPE(items[i])->tp_name, " at position ", i + 1,
                       ", expected a Tensor or None");
    require(given[i], "function ", *this, " returned a gradient different from None at position ", i + 1,
            ", but the corresponding forward input was not a Variable");
    if (needs[i]) results[i] = *t;
  }
}

// ---- the context's Python side

FunctionContext* context_of(PyObject* o) { return reinterpret_cast<FunctionContext*>(o); }

template <PyObject* FunctionContext::* field>
PyObject* set_tuple(PyObject* self, PyObject* tensors) {
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
PyObject* get_node(PyObject* self, void*) {
  FunctionNode* node = context_of(self)->node;
  return guarded([&] { return node ? py::cast(Ref<Node>(node)).release().ptr() : Py_NewRef(Py_None); });
}
template <PyObject* FunctionContext::* field>
PyObject* get_tuple(PyObject* self, void*) {
  PyObject* value = context_of(self)->*field;
  return value ? Py_NewRef(value) : PyTuple_New(0);
}
template <PyObject* FunctionContext::* field>
int put_tuple(PyObject* self, PyObject* value, void*) {
  Py_XSETREF(context_of(self)->*field, Py_XNewRef(value));
  return 0;
}
PyObject* get_materialize(PyObject* self, void*) { return PyBool_FromLong(context_of(self)->materialize); }

PyObject* new_context(PyTypeObject* type, PyObject*, PyObject*) {
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
     "Keeps tensors (or None) for backward, which reads them from saved_tensors."},
    {"save_for_forward", save_for_forward, METH_VARARGS, "Keeps tensors for jvp, which reads them from saved_tensors."},
    {"mark_dirty", set_tuple<&FunctionContext::dirty>, METH_VARARGS,
     "Says which inputs forward changed in place; it has to return them."},
    {"mark_non_differentiable", set_tuple<&FunctionContext::non_differentiable>, METH_VARARGS,
     "Says which outputs have no gradient."},
    {"set_materialize_grads", set_materialize_grads, METH_O,
     "Whether backward is given zeros for an output without a gradient, or None."},
    {}};
PyGetSetDef context_attributes[] = {
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {"needs_input_grad", get_tuple<&FunctionContext::needs_input_grad>, put_tuple<&FunctionContext::needs_input_grad>,
     "For each argument of forward, whether it requires a gradient.", nullptr},
    {"saved_tensors", saved_tensors, nullptr, "What save_for_backward kept.", nullptr},
    {"to_save", get_tuple<&FunctionContext::to_save>, put_tuple<&FunctionContext::to_save>, "To be saved.", nullptr},
    {"saved_for_forward", get_tuple<&FunctionContext::saved_for_forward>,
     put_tuple<&FunctionContext::saved_for_forward>, "What save_for_forward kept.", nullptr},
    {"dirty_tensors", get_tuple<&FunctionContext::dirty>, nullptr, "What mark_dirty was given.", nullptr},
    {"non_differentiable", get_tuple<&FunctionContext::non_differentiable>, nullptr,
     "What mark_non_differentiable was given.", nullptr},
    {"materialize_grads", get_materialize, nullptr, "Whether undefined gradients become zeros.", nullptr},
    {"_node", get_node, nullptr, "The node of the graph, once there is one.", nullptr},
    {}};
PyMemberDef context_members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(FunctionContext, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(FunctionContext, weak_references), READONLY, nullptr},
    {}};
const char kContextDoc[] = "What forward and backward share: saved tensors, flags, and any attribute they like.";

void make_context_type() {
  PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(new_context)},
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

// ---- apply

bool is_among(PyObject* o, PyObject* tuple) {
  for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple); ++i)
    if (PyTuple_GET_ITEM(tuple, i) == o) return true;
  return false;
}

struct FunctionCall {
  PyTypeObject* function;
  FunctionContext* context;
  PyObject* const* arguments;
  size_t count;

  bool is_argument(PyObject* o) const {
    for (size_t i = 0; i < count; ++i)
      if (arguments[i] == o) return true;
    return false;
  }
  bool note_needs() const;
  py::object run_forward() const;
  void check_dirty(const FunctionNode& node, PyObject* const* outputs, size_t n) const;
  void save(FunctionNode& node, PyObject* const* outputs) const;
  py::object record(const py::object& output) const;
  void push_forward(const py::object& output) const;
};

bool FunctionCall::note_needs() const {
  bool any = false;
  PyObject* needs = context->needs_input_grad = checked(PyTuple_New(Py_ssize_t(count)));
  for (size_t i = 0; i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    const bool one = t && t->requires_grad();
    PyTuple_SET_ITEM(needs, Py_ssize_t(i), PyBool_FromLong(one));
    any |= one;
  }
  return any;
}

py::object FunctionCall::run_forward() const {
  PyObject* cls = reinterpret_cast<PyObject*>(function);
  const py::object forward = owned(PyObject_GetAttr(cls, names().forward)),
                   setup = owned(PyObject_GetAttr(cls, names().setup_context));
  NoRecording off;
  SmallVector<PyObject*, 8> values;
  if (setup.is_none()) values.push_back(reinterpret_cast<PyObject*>(context));
  for (size_t i = 0; i < count; ++i) values.push_back(arguments[i]);
  py::object output = owned(PyObject_Vectorcall(forward.ptr(), values.data(), values.size(), nullptr));
  if (setup.is_none()) return output;
  const py::object inputs = owned(PyTuple_New(Py_ssize_t(count)));
  for (size_t i = 0; i < count; ++i) PyTuple_SET_ITEM(inputs.ptr(), Py_ssize_t(i), Py_NewRef(arguments[i]));
  owned(PyObject_CallFunctionObjArgs(setup.ptr(), context, inputs.ptr(), output.ptr(), nullptr));
  return output;
}

void FunctionCall::check_dirty(const FunctionNode& node, PyObject* const* outputs, size_t n) const {
  for (Py_ssize_t i = 0; context->dirty && i < PyTuple_GET_SIZE(context->dirty); ++i) {
    PyObject* changed = PyTuple_GET_ITEM(context->dirty, i);
    require(std::find(outputs, outputs + n, changed) != outputs + n,
            "Some elements marked as dirty during the forward method of ", node,
            " were not returned as output. The inputs that are modified inplace must all be outputs of the Function.");
    const Tensor* t = tensor_in(changed);
    require(t && !(t->requires_grad() && !(t->impl()->autograd && t->impl()->autograd->grad_fn) && !t->impl()->base),
            "a leaf Variable that requires grad is being used in an in-place operation (", node, " marked it dirty)");
  }
}

// Moves what is to be saved from the context to the node. `outputs`: those of the node.
void FunctionCall::save(FunctionNode& node, PyObject* const* outputs) const {
  const py::object values = py::reinterpret_steal<py::object>(std::exchange(context->to_save, nullptr));
  for (Py_ssize_t i = 0; values && i < PyTuple_GET_SIZE(values.ptr()); ++i) {
    PyObject* value = PyTuple_GET_ITEM(values.ptr(), i);
    node.kept.push_back(value != Py_None);
    if (value == Py_None) continue;
    int output = -1;
    for (size_t k = 0; k < node.returned.size(); ++k)
      if (outputs[k] == value && !is_among(value, context->non_differentiable)) output = node.returned[k];
    node.save(*tensor_in(value), output);
  }
}

// An input that is returned as it is becomes an output of its own; a view of an input must not be changed in place.
py::object as_output(PyObject* o, bool is_input) {
  const Tensor* t = tensor_in(o);
  if (!t || (!is_input && !t->impl()->base)) return py::reinterpret_borrow<py::object>(o);
  const Tensor out = is_input ? alias(*t) : *t;
  if (is_input) out.impl()->base = t->impl()->base ? t->impl()->base : t->ref();
  out.impl()->view_kind = ViewKind::OfFunction;
  return py::reinterpret_steal<py::object>(wrap(out));
}

py::object FunctionCall::record(const py::object& output) const {
  const bool several = PyTuple_Check(output.ptr()) || PyList_Check(output.ptr());
  PyObject* const one = output.ptr();
  PyObject* const* values = several ? PySequence_Fast_ITEMS(one) : &one;
  const size_t n = several ? size_t(PySequence_Fast_GET_SIZE(output.ptr())) : 1;
  const Ref<FunctionNode> node = make_node<FunctionNode>(function, context);
  node->wants_zeros = context->materialize;
  check_dirty(*node, values, n);
  static const Tensor undefined;
  SmallVector<const Tensor*, 8> inputs;
  for (size_t i = 0; i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    node->given.push_back(t != nullptr);
    inputs.push_back(t ? t : &undefined);
    node->edges.push_back(gradient_edge(*inputs.back()));
  }
  node->take_number();
  const py::tuple results(n);
  for (size_t k = 0; k < n; ++k) {
    const Tensor* t = tensor_in(values[k]);
    node->returned.push_back(t ? int(node->outputs.size()) : -1);
    if (t) node->outputs.push_back({t->shape(), t->dtype()});
    const bool dirty = is_among(values[k], context->dirty);
    py::object result =
        dirty ? py::reinterpret_borrow<py::object>(values[k]) : as_output(values[k], is_argument(values[k]));
    PyTuple_SET_ITEM(results.ptr(), Py_ssize_t(k), result.release().ptr());
  }
  save(*node, values);
  for (size_t k = 0; k < n; ++k) {
    if (node->returned[k] < 0 || is_among(values[k], context->non_differentiable)) continue;
    const Tensor& t = *tensor_in(PyTuple_GET_ITEM(results.ptr(), Py_ssize_t(k)));
    const bool dirty = is_among(values[k], context->dirty), view = t.impl()->view_kind == ViewKind::OfFunction;
    become_output(t, node, uint32_t(node->returned[k]),
                  dirty  ? Recording::kInPlace
                  : view ? Recording::kView
                         : Recording::kFresh,
                  inputs.data(), int(count));
    track(t);
  }
  Py_CLEAR(context->dirty);
  Py_CLEAR(context->non_differentiable);
  return several ? py::object(results) : results[0];
}

// Gives the results the tangents that the class's jvp computes from those of the arguments, level by level.
void FunctionCall::push_forward(const py::object& output) const {
  const py::tuple results = PyTuple_Check(output.ptr()) ? py::tuple(output) : py::make_tuple(output);
  for (size_t level = 0; level < visible_levels(); ++level) {
    py::tuple values(count + 1);
    values[0] = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(context));
    bool any = false;
    for (size_t i = 0; i < count; ++i) {
      const Tensor* t = tensor_in(arguments[i]);
      const Tensor tangent = t && t->dual() ? tangent_of(*t, level) : Tensor();
      any |= tangent.defined();
      values[i + 1] = tangent.defined() ? py::cast(tangent) : py::object(py::none());
    }
    if (!any) continue;
    const OuterLevels outer(level);
    const py::object jvp = owned(PyObject_GetAttr(reinterpret_cast<PyObject*>(function), names().jvp)),
                     returned = owned(PyObject_CallObject(jvp.ptr(), values.ptr()));
    const py::tuple tangents = PyTuple_Check(returned.ptr()) ? py::tuple(returned) : py::make_tuple(returned);
    require(tangents.size() == results.size(), function->tp_name,
            ".jvp returned an incorrect number of tangents (expected ", results.size(), ", got ", tangents.size(), ")");
    for (size_t k = 0; k < results.size(); ++k) {
      const Tensor *t = tensor_in(PyTuple_GET_ITEM(results.ptr(), Py_ssize_t(k))),
                   *tangent = tensor_in(PyTuple_GET_ITEM(tangents.ptr(), Py_ssize_t(k)));
      if (!t || !tangent) continue;
      require(t->shape() == tangent->shape() && t->dtype() == tangent->dtype(), function->tp_name,
              ".jvp returned a tangent of shape ", tangent->shape(), " and dtype ", tangent->dtype(),
              " for an output of ", t->shape(), " and ", t->dtype());
      set_tangent(*t, level, *tangent);
    }
  }
}

constexpr const char kNoKeywords[] =
    "apply() takes no keyword arguments where forward takes ctx; define setup_context and leave ctx out of forward's "
    "parameters to use them";

// Positional arguments from a call with keywords, by forward's signature.
py::tuple bound_arguments(PyObject* cls, PyObject* const* args, size_t count, PyObject* kwnames) {
  require<TypeError>(!owned(PyObject_GetAttr(cls, names().setup_context)).is_none(), kNoKeywords);
  py::tuple positional(count);
  for (size_t i = 0; i < count; ++i) positional[i] = py::reinterpret_borrow<py::object>(args[i]);
  py::dict keywords;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(kwnames); ++i)
    keywords[py::handle(PyTuple_GET_ITEM(kwnames, i))] = py::handle(args[count + size_t(i)]);
  const py::object signature = py::module_::import("inspect").attr("signature")(py::handle(cls).attr("forward"));
  const py::object bound = signature.attr("bind")(*positional, **keywords);
  bound.attr("apply_defaults")();
  return bound.attr("args");
}

py::object call_function(PyObject* cls, PyObject* const* args, size_t count) {
  const py::object context = owned(new_context(context_type, nullptr, nullptr));
  const FunctionCall call{reinterpret_cast<PyTypeObject*>(cls), context_of(context.ptr()), args, count};
  const bool needed = call.note_needs();
  py::object output = call.run_forward();
  for (Py_ssize_t i = 0; call.context->dirty && i < PyTuple_GET_SIZE(call.context->dirty); ++i)
    if (const Tensor* t = tensor_in(PyTuple_GET_ITEM(call.context->dirty, i))) t->storage().bump_version();
  if (needed && grad_enabled()) output = call.record(output);
  if (FLAMBEAU_UNLIKELY(recording_modes() & modes::kTangents)) call.push_forward(output);
  Py_CLEAR(call.context->saved_for_forward);
  return output;
}

// apply(cls, *args): what Function.apply is.
PyObject* apply(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    require<TypeError>(count >= 1 && PyType_Check(args[0]), "apply() needs the Function's class");
    PyObject* cls = args[0];
    py::tuple bound;
    ++args, --count;
    if (FLAMBEAU_UNLIKELY(kwnames && PyTuple_GET_SIZE(kwnames) > 0)) {
      bound = bound_arguments(cls, args, size_t(count), kwnames);
      args = PySequence_Fast_ITEMS(bound.ptr());
      count = Py_ssize_t(bound.size());
    }
    return call_function(cls, args, size_t(count)).release().ptr();
  });
}

PyMethodDef apply_definition = {"apply", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(apply)),
                                METH_FASTCALL | METH_KEYWORDS, "apply(cls, *args, **kwargs)"};

}  // namespace

void bind_function(py::module_& m) {
  make_context_type();
  m.attr("FunctionCtx") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(context_type));
  PyModule_AddObject(m.ptr(), "apply", PyCFunction_NewEx(&apply_definition, nullptr, m.attr("__name__").ptr()));
}

}  // namespace flambeau::autograd
