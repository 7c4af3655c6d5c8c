// autograd.Function: an operation in Python with a custom derivative. Note [Function contexts] in function_node.h
#include "function_node.h"

#include <algorithm>

#include "forward_mode.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

bool is_among(PyObject* o, PyObject* tuple) {
  for (Py_ssize_t i = 0; tuple && i < PyTuple_GET_SIZE(tuple); ++i)
    if (PyTuple_GET_ITEM(tuple, i) == o) return true;
  return false;
}

constexpr const char kDirtyNonInput[] =
    "Only input Tensors should be given to ctx.mark_dirty(). If a Tensor is not an input, there is no need to pass it "
    "to mark_dirty().";
constexpr const char kDirtyView[] =
    "If your Function modifies inplace an input that is a view of another Tensor, your Function cannot return more "
    "than one Tensor. This is not supported by the current autograd engine. You should either make sure the input is "
    "not a view (using .clone() for example) or make your Function only return one Tensor (potentially splitting it "
    "into two "
    "Functions: one doing the inplace that returns a single Tensor and a second one that does the other operations).";

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
  using Arguments = SmallVector<const Tensor*, 8>;  // undefined for an argument that is not a tensor
  void connect(FunctionNode& node, Arguments& inputs) const;
  py::tuple returned(FunctionNode& node, PyObject* const* values, size_t n) const;
  void become_outputs(const Ref<FunctionNode>& node, PyObject* const* values, const py::tuple& results,
                      const Arguments& inputs) const;
  py::object record(const py::object& output) const;
  struct OutputKind {
    bool constant;            // true if forward marked the output as non-differentiable
    size_t changed_argument;  // index of the argument that forward changed in place and returned, or `count`
  };
  using OutputKinds = SmallVector<OutputKind, 4>;
  OutputKinds output_kinds(const py::object& output) const;
  using Tangents = SmallVector<Tensor, 8>;  // tangents of the arguments; undefined for an argument without a tangent
  Tangents tangents_of_arguments(size_t level) const;
  py::tuple call_jvp(const Tangents& given) const;
  bool shows_tangent_of_argument(const Tensor& output, const Tensor& tangent, const Tangents& given) const;
  void push_forward(const py::object& output, const OutputKinds& kinds) const;
  py::object without_graph(const py::object& output) const;
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
            "Some elements marked as dirty during the forward method were not returned as output. The inputs that are "
            "modified inplace must all be outputs of the Function (",
            node, ").");
    if (!is_argument(changed) && PyErr_WarnEx(PyExc_UserWarning, kDirtyNonInput, 1) < 0) throw py::error_already_set();
    const Tensor* t = tensor_in(changed);
    require(t && !(t->requires_grad() && !(t->impl()->autograd && t->impl()->autograd->grad_fn) && !t->impl()->base),
            "a leaf Variable that requires grad has been used in an in-place operation (", node, " marked it dirty)");
    require(!t->impl()->base || n == 1, kDirtyView);
  }
}

// Moves the values to save from the context to the node. `outputs`: the outputs of the node.
void FunctionCall::save(FunctionNode& node, PyObject* const* outputs) const {
  const py::object values = py::reinterpret_steal<py::object>(std::exchange(context->to_save, nullptr));
  for (Py_ssize_t i = 0; values && i < PyTuple_GET_SIZE(values.ptr()); ++i) {
    PyObject* value = PyTuple_GET_ITEM(values.ptr(), i);
    node.saved_is_tensor.push_back(value != Py_None);
    if (value == Py_None) continue;
    int output = -1;
    for (size_t k = 0; k < node.returned.size(); ++k)
      if (outputs[k] == value && !is_among(value, context->non_differentiable)) output = node.returned[k];
    node.save(*tensor_in(value), output);
  }
}

// Converts an output of forward to a result of the call. An input that forward returned is replaced with a view of the
// input. Views are marked, so that an in-place change of them raises an error.
py::object as_output(PyObject* o, bool is_input) {
  const Tensor* t = tensor_in(o);
  if (!t || (!is_input && !t->impl()->base)) return py::reinterpret_borrow<py::object>(o);
  const Tensor out = is_input ? alias(*t) : *t;
  if (is_input) out.impl()->base = t->impl()->base ? t->impl()->base : t->ref();
  if (grad_enabled())
    out.impl()->view_kind = ViewKind::OfFunction;
  else if (is_input)
    out.impl()->view_kind = inference_mode() ? ViewKind::Inference : ViewKind::NoGrad;
  return py::reinterpret_steal<py::object>(wrap(out));
}

// Adds an edge to the node for the gradient of each argument.
void FunctionCall::connect(FunctionNode& node, Arguments& inputs) const {
  static const Tensor undefined;
  for (size_t i = 0; i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    node.given.push_back(t != nullptr);
    inputs.push_back(t ? t : &undefined);
    node.edges.push_back(gradient_edge(*inputs.back()));
  }
}

// Converts the values that forward returned to the results of the call. The node stores which of them are tensors.
py::tuple FunctionCall::returned(FunctionNode& node, PyObject* const* values, size_t n) const {
  py::tuple results(n);
  for (size_t k = 0; k < n; ++k) {
    const Tensor* t = tensor_in(values[k]);
    node.returned.push_back(t ? int(node.outputs.size()) : -1);
    if (t) node.outputs.push_back({t->shape(), t->dtype()});
    const bool dirty = is_among(values[k], context->dirty);
    py::object result =
        dirty ? py::reinterpret_borrow<py::object>(values[k]) : as_output(values[k], is_argument(values[k]));
    PyTuple_SET_ITEM(results.ptr(), Py_ssize_t(k), result.release().ptr());
  }
  return results;
}

void FunctionCall::become_outputs(const Ref<FunctionNode>& node, PyObject* const* values, const py::tuple& results,
                                  const Arguments& inputs) const {
  for (size_t k = 0; k < results.size(); ++k) {
    if (node->returned[k] < 0 || is_among(values[k], context->non_differentiable)) continue;
    const Tensor& t = *tensor_in(PyTuple_GET_ITEM(results.ptr(), Py_ssize_t(k)));
    const bool dirty = is_among(values[k], context->dirty), view = t.impl()->view_kind == ViewKind::OfFunction;
    const auto kind = dirty ? Recording::kInPlace : view ? Recording::kView : Recording::kFresh;
    become_output(t, node, uint32_t(node->returned[k]), kind, inputs.data(), int(count));
    track(t);
  }
}

py::object FunctionCall::record(const py::object& output) const {
  const bool several = PyTuple_Check(output.ptr()) || PyList_Check(output.ptr());
  // Copy the outputs to a tuple, because hooks on saved tensors could change a list.
  const py::object held = several ? owned(PySequence_Tuple(output.ptr())) : owned(PyTuple_Pack(1, output.ptr()));
  PyObject* const* values = PySequence_Fast_ITEMS(held.ptr());
  const size_t n = size_t(PyTuple_GET_SIZE(held.ptr()));
  const Ref<FunctionNode> node = make_node<FunctionNode>(function, context);
  node->wants_zeros = context->materialize;
  check_dirty(*node, values, n);
  Arguments inputs;
  connect(*node, inputs);
  node->take_number();
  const py::tuple results = returned(*node, values, n);
  save(*node, values);
  become_outputs(node, values, results, inputs);
  Py_CLEAR(context->dirty);
  Py_CLEAR(context->non_differentiable);
  return several ? py::object(results) : results[0];
}

// Returns the results of a call that is not recorded. An argument that forward returned unchanged is replaced with a
// view of the argument. The view is marked as created without recording.
py::object FunctionCall::without_graph(const py::object& output) const {
  const bool several = PyTuple_Check(output.ptr());
  const py::tuple values = several ? py::tuple(output) : py::make_tuple(output);
  py::tuple results(values.size());
  for (size_t k = 0; k < values.size(); ++k) {
    PyObject* value = PyTuple_GET_ITEM(values.ptr(), Py_ssize_t(k));
    const bool dirty = is_among(value, context->dirty);
    results[k] = dirty ? py::reinterpret_borrow<py::object>(value) : as_output(value, is_argument(value));
  }
  return several ? py::object(results) : py::object(results[0]);
}

FunctionCall::OutputKinds FunctionCall::output_kinds(const py::object& output) const {
  OutputKinds out;
  const py::tuple values = PyTuple_Check(output.ptr()) ? py::tuple(output) : py::make_tuple(output);
  for (const py::handle value : values) {
    size_t changed = is_among(value.ptr(), context->dirty) ? 0 : count;
    while (changed < count && arguments[changed] != value.ptr()) ++changed;
    out.push_back({is_among(value.ptr(), context->non_differentiable), changed});
  }
  return out;
}

FunctionCall::Tangents FunctionCall::tangents_of_arguments(size_t level) const {
  Tangents out;
  for (size_t i = 0; i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    out.push_back(t && t->dual() ? tangent_of(*t, level) : Tensor());
  }
  return out;
}

py::tuple FunctionCall::call_jvp(const Tangents& given) const {
  py::tuple values(count + 1);
  values[0] = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(context));
  for (size_t i = 0; i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    const bool zero = !given[i].defined() && context->materialize && t && is_inexact(t->dtype());
    const Tensor tangent = zero ? zeros(t->shape(), t->dtype()) : given[i];
    values[i + 1] = tangent.defined() ? py::cast(tangent) : py::object(py::none());
  }
  const py::object jvp = owned(PyObject_GetAttr(reinterpret_cast<PyObject*>(function), names().jvp)),
                   returned = owned(PyObject_CallObject(jvp.ptr(), values.ptr()));
  return PyTuple_Check(returned.ptr()) ? py::tuple(returned) : py::make_tuple(returned);
}

const TensorImpl* root(const Tensor& t) { return t.impl()->base ? t.impl()->base.get() : t.impl(); }

// Returns true if an output is a view of an argument that has a tangent. Then raises an error if the output's tangent
// is not a view of the argument's tangent.
bool FunctionCall::shows_tangent_of_argument(const Tensor& output, const Tensor& tangent, const Tangents& given) const {
  for (size_t i = 0; output.impl()->base && i < count; ++i) {
    const Tensor* t = tensor_in(arguments[i]);
    if (!t || root(*t) != root(output)) continue;
    if (!given[i].defined()) return false;
    require(bool(tangent.impl()->base),
            "A custom Function's forward is returning a view (or an input as-is) but the jvp is not returning a view.");
    require(root(tangent) == root(given[i]), "A custom Function is returning a view but the jvp is not returning a ",
            given[i].impl()->base ? "view of the same base as the given grad input." : "view of the given grad input.");
    return true;
  }
  return false;
}

void require_changed_in_place(const Tensor& tangent, const Tensor& given, uint64_t version) {
  require(given.storage().version() != version,
          "An inplace custom Function is not modifying the forward mode gradients inplace. If the forward is modifying "
          "an input inplace, then the jvp function must modify the corresponding gradient inplace.");
  require(tangent.same(given),
          "An inplace custom Function is not returning the forward mode gradients as-is. If the forward is modifying "
          "an input inplace, then the jvp function must modify the gradient inplace and return it as-is.");
}

// For each level, computes the tangents of the results from the tangents of the arguments with the class's jvp, and
// sets them.
void FunctionCall::push_forward(const py::object& output, const OutputKinds& kinds) const {
  const py::tuple results = PyTuple_Check(output.ptr()) ? py::tuple(output) : py::make_tuple(output);
  for (size_t level = 0; level < visible_levels(); ++level) {
    const Tangents given = tangents_of_arguments(level);
    SmallVector<uint32_t, 8> versions;
    bool any = false;
    for (const Tensor& tangent : given) {
      any |= tangent.defined();
      versions.push_back(tangent.defined() ? tangent.storage().version() : 0);
    }
    if (!any) continue;
    const OuterLevels outer(level);
    const py::tuple tangents = call_jvp(given);
    require(tangents.size() == results.size(), function->tp_name,
            ".jvp: Function's jvp returned an invalid number of forward gradients (expected ", results.size(),
            " but got ", tangents.size(), ")");
    for (size_t k = 0; k < results.size(); ++k) {
      const Tensor *t = tensor_in(PyTuple_GET_ITEM(results.ptr(), Py_ssize_t(k))),
                   *tangent = tensor_in(PyTuple_GET_ITEM(tangents.ptr(), Py_ssize_t(k)));
      if (!t || !tangent) continue;
      require(!kinds[k].constant, function->tp_name, ".jvp: Function's jvp returned a gradient at position ", k,
              ", but the corresponding forward output is not a differentiable Tensor. You should return None at that "
              "position instead.");
      require(t->shape() == tangent->shape() && t->dtype() == tangent->dtype(), function->tp_name,
              ".jvp returned a tangent of shape ", tangent->shape(), " and dtype ", tangent->dtype(),
              " for an output of ", t->shape(), " and ", t->dtype());
      const size_t changed = kinds[k].changed_argument;
      if (changed < count && given[changed].defined())
        require_changed_in_place(*tangent, given[changed], versions[changed]);
      else if (!shows_tangent_of_argument(*t, *tangent, given))
        set_tangent(*t, level, *tangent);
    }
  }
}

// Sorts the arguments of a call with keywords in the order of forward's signature. If forward takes ctx, the defaults
// after the last given argument are not added: they are no inputs and need no gradients.
py::tuple bound_arguments(PyObject* cls, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t own = owned(PyObject_GetAttr(cls, names().setup_context)).is_none();  // 1 if forward takes ctx
  py::tuple positional(own + count);
  if (own) positional[0] = py::none();
  for (size_t i = 0; i < count; ++i) positional[own + i] = py::reinterpret_borrow<py::object>(args[i]);
  py::dict keywords;
  for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i)
    keywords[py::handle(PyTuple_GET_ITEM(kwnames, i))] = py::handle(args[count + size_t(i)]);
  const py::object signature = py::module_::import("inspect").attr("signature")(py::handle(cls).attr("forward"));
  const py::object bound = signature.attr("bind")(*positional, **keywords);
  const auto all_given = [&bound] { return py::len(bound.attr("args")) == py::len(bound.attr("arguments")); };
  if (!own || !all_given()) bound.attr("apply_defaults")();
  const py::tuple all = bound.attr("args");
  return py::tuple(py::object(all[py::slice(py::ssize_t(own), py::ssize_t(all.size()), 1)]));
}

// Returns true if setup_context must receive default values: the class has setup_context, and forward has more
// parameters than the call has arguments.
bool wants_defaults(PyObject* cls, size_t count) {
  if (owned(PyObject_GetAttr(cls, names().setup_context)).is_none()) return false;
  const py::object forward = owned(PyObject_GetAttr(cls, names().forward));
  if (!PyFunction_Check(forward.ptr())) return false;
  return count < size_t(reinterpret_cast<PyCodeObject*>(PyFunction_GetCode(forward.ptr()))->co_argcount);
}

py::object call_function(PyObject* cls, PyObject* const* args, size_t count) {
  const py::object context = owned(new_context());
  const FunctionCall call{reinterpret_cast<PyTypeObject*>(cls), context_of(context.ptr()), args, count};
  const bool needed = call.note_needs();
  py::object output = call.run_forward();
  for (Py_ssize_t i = 0; call.context->dirty && i < PyTuple_GET_SIZE(call.context->dirty); ++i)
    if (const Tensor* t = tensor_in(PyTuple_GET_ITEM(call.context->dirty, i))) t->storage().bump_version();
  const bool tangents = recording_modes() & modes::kTangents;
  const FunctionCall::OutputKinds kinds = tangents ? call.output_kinds(output) : FunctionCall::OutputKinds();
  output = needed && grad_enabled() ? call.record(output) : call.without_graph(output);
  if (FLAMBEAU_UNLIKELY(tangents)) call.push_forward(output, kinds);
  Py_CLEAR(call.context->saved_for_forward);
  return output;
}

// Implements Function.apply as apply(cls, *args).
PyObject* apply(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    require<TypeError>(count >= 1 && PyType_Check(args[0]),
                       "apply(): the first argument must be a class derived from Function");
    PyObject* cls = args[0];
    py::tuple bound;
    ++args, --count;
    if (FLAMBEAU_UNLIKELY((kwnames && PyTuple_GET_SIZE(kwnames) > 0) || wants_defaults(cls, size_t(count)))) {
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
