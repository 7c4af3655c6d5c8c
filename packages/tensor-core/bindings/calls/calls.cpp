// Calls of operators from Python, including out= and in-place forms.
#include "calls/arguments.h"
#include "calls/bind.h"
#include "calls/call_arguments.h"
#include "calls/conversions.h"
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/watch.h"
#include "flambeau/memory_format.h"
#include "flambeau/out_argument.h"
#include "flambeau/scalar_type.h"

namespace flambeau::python {

namespace {

// Raises an error if a result that must be written to a tensor is not a Tensor. An operator written in Python can
// return any object.
void require_tensor(const Binding& b, PyObject* result) {
  require<TypeError>(is_tensor(result), b.name, "(): out= and in-place calls require a Tensor result, got ",
                     Py_TYPE(result)->tp_name);
}

void check_out_dtype(const Binding& b, Dtype from, Dtype to) {
  if (b.flags & kMaskOut)
    return require(to == Dtype::bool_ || to == Dtype::uint8, b.name,
                   " only supports bool tensor for result, got: ", scalar_type(to), " (", to, ")");
  require(!(b.flags & (kExactOut | kDtypeOut)) || from == to, b.name, "(): Expected out tensor to have dtype ", from,
          " (scalar type ", scalar_type(from), "), but got ", to, " instead (expected scalar_type ", scalar_type(from),
          " but found ", scalar_type(to), ")");
  require((b.flags & kAnyOut) || can_cast(from, to), b.name, "(): result type ", from,
          " can't be cast to the desired output type ", to);
}

// Checks that a result can be stored in out=. Call this before any part of the result is written.
void check_out(const Binding& b, PyObject* result, PyObject* out) {
  if (PyTuple_Check(result)) {
    const bool fits =
        (PyTuple_Check(out) || PyList_Check(out)) && PySequence_Fast_GET_SIZE(out) == PyTuple_GET_SIZE(result);
    require<TypeError>(fits, b.name, "(): out must be a tuple of ", PyTuple_GET_SIZE(result), " Tensors");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
      check_out(b, PyTuple_GET_ITEM(result, i), PySequence_Fast_GET_ITEM(out, i));
    return;
  }
  require<TypeError>(is_tensor(out), b.name, "(): argument 'out' must be Tensor, not ", Py_TYPE(out)->tp_name);
  require_tensor(b, result);
  const Tensor &from = tensor_of(result), &to = tensor_of(out);
  require(!recording(from, to), b.name,
          "(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
          "requires grad.");
  check_out_dtype(b, from.dtype(), to.dtype());
}

// Calls f(result, target) for each result and the tensor in `out` that receives it.
template <class F>
void each_out(PyObject* result, PyObject* out, F&& f) {
  if (!PyTuple_Check(result)) return f(tensor_of(result), tensor_of(out));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
    each_out(PyTuple_GET_ITEM(result, i), PySequence_Fast_GET_ITEM(out, i), f);
}

// Warns of tensors that will be resized, except by functions that create a tensor from a size.
void warn_of_resized(const Binding& b, PyObject* result, PyObject* out) {
  if (b.flags & kFactory) return;
  each_out(result, out, [&b](const Tensor& from, const Tensor& to) {
    if (!(b.flags & kKeepsOut) || to.numel() != from.numel()) warn_if_resized(to, from.shape());
  });
}

// Writes the results to out=. All checks precede the first write, so that an error leaves no tensor partly changed.
void store_out(const Binding& b, PyObject* result, PyObject* out) {
  warn_of_resized(b, result, out);
  each_out(result, out, [&](const Tensor&, const Tensor& to) { begin_inplace(to, b.name.c_str()); });
  each_out(result, out, [&b](const Tensor& from, const Tensor& to) {
    if (b.flags & kKeepsOut && to.numel() == from.numel()) return copy_values(to, view(from, to.shape()));
    if (!(to.shape() == from.shape())) resize(to, from.shape(), strides_like(from, MemoryFormat::Preserve));
    copy_values(to, from);
  });
}

// Sets a missing dtype argument to the dtype of out=. Raises an error if the two dtypes conflict.
void adopt_dtype(const Binding& b, Arguments& values) {
  static PyObject* const name = PyUnicode_InternFromString("dtype");
  if (!is_tensor(values.out)) return;  // rejected when the result is stored
  PyObject* const own = dtype_object(tensor_of(values.out).dtype());
  for (size_t i = 0; i < b.parameters.size(); ++i) {
    if (b.parameters[i].name != name) continue;
    if (values.at[i] == Py_None) values.at[i] = own;
    const Dtype wanted = From<Dtype>::get({b.name.c_str(), &b.parameters[i], int(i)}, values.at[i]);
    require((b.flags & kDtypeOut) || wanted == tensor_of(values.out).dtype(), b.name, "(): dtype ", wanted,
            " does not match dtype of out parameter (", tensor_of(values.out).dtype(), ")");
  }
}

// If a call in place is recorded, replaces `self` among the arguments by a differentiable copy and returns the copy.
// Otherwise, the write to `self` would overwrite values that the derivative saves. Returns null if nothing is recorded.
PyObject* keep_original(const Binding& b, Arguments& values) {
  if (!recording_enabled()) return nullptr;
  bool recorded = false;
  for (size_t i = 0; i < b.parameters.size(); ++i)
    recorded |= is_tensor(values.at[i]) && tensor_of(values.at[i]).tracked();
  if (!recorded) return nullptr;
  PyObject *self = values.at[0], *copy = checked(wrap_tensor(clone(tensor_of(self))));
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (values.at[i] == self) values.at[i] = copy;
  return copy;
}

// The fast path for a call that has positional arguments only. Uses the defaults of the other parameters.
PyObject* invoke_plainly(const Binding& b, PyObject* const* args, size_t count) {
  const size_t n = b.parameters.size();
  if (count == n) return b.invoke(b, args);
  PyObject* values[kMaxParameters];
  for (size_t i = 0; i < count; ++i) values[i] = args[i];
  for (size_t i = count; i < n; ++i) values[i] = b.parameters[i].fallback;
  return b.invoke(b, values);
}

PyObject* copied(PyObject* result) {
  if (is_tensor(result)) return checked(wrap_tensor(clone(tensor_of(result))));
  Object out(checked(PyTuple_New(PyTuple_GET_SIZE(result))));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
    PyTuple_SET_ITEM(out.get(), i, copied(PyTuple_GET_ITEM(result, i)));
  return out.release();
}

PyObject* call_in_place(const Binding& b, Arguments& values) {
  PyObject* const self = values.at[0];
  if (!is_tensor(self)) wrong_argument({b.name.c_str(), &b.parameters[0], 0}, "Tensor", self);
  const Object original(keep_original(b, values));  // owns the copy
  const Object result(checked(b.invoke(b, values.at)));
  require_tensor(b, result.get());
  write_in_place(tensor_of(self), tensor_of(result.get()), b.name.c_str());
  return Py_NewRef(self);
}

PyObject* become_view(const Binding& b, PyObject* self, PyObject* view) {
  require_tensor(b, self);
  require_tensor(b, view);
  become(tensor_of(self), tensor_of(view));
  return Py_NewRef(self);
}

// Returns the tensors of out= as a named tuple if the result is a named tuple, as in max(input, 0, out=...).values.
PyObject* named_like(PyObject* result, PyObject* out, PyObject* targets) {
  const bool is_named = PyTuple_Check(result) && !PyTuple_CheckExact(result);
  if (!is_named || PySequence_Fast_GET_SIZE(targets) != PyTuple_GET_SIZE(result)) return Py_NewRef(out);
  PyObject* const named = checked(PyStructSequence_New(Py_TYPE(result)));
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result); ++i)
    PyStructSequence_SetItem(named, i, Py_NewRef(PySequence_Fast_GET_ITEM(targets, i)));
  return named;
}

PyObject* stored(const Binding& b, PyObject* result, PyObject* out) {
  const Object targets = stable_items(out);
  const bool needs_grad = (b.flags & kFactory) && is_tensor(result) && tensor_of(result).requires_grad();
  const Object values(needs_grad ? checked(wrap_tensor(detach(tensor_of(result)))) : Py_NewRef(result));
  check_out(b, values.get(), targets.get());
  store_out(b, values.get(), targets.get());
  if (needs_grad) with_grad(tensor_of(out), true);
  return named_like(result, out, targets.get());
}

// Computes a result in out=, or returns null if the operator has not written to out=.
PyObject* computed_into(const Binding& b, Arguments& values) {
  require<TypeError>(is_tensor(values.out), b.name, "(): argument 'out' must be Tensor, not ",
                     Py_TYPE(values.out)->tp_name);
  values.at[b.parameters.size()] = values.out;
  const Object written(checked(b.into->invoke(*b.into, values.at)));
  return written.get() == Py_None ? nullptr : Py_NewRef(values.out);
}

}  // namespace

PyObject* call_binding(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
  const size_t count = size_t(PyVectorcall_NARGS(nargsf));
  PyObject* const result = watched(b.name.c_str(), [&]() -> PyObject* {
    Caller caller;
    if (caller.intercepts(self, args, count, kwnames)) return caller.result;
    if (b.form == Binding::Own && !kwnames && count >= b.least && count <= b.most)
      return invoke_plainly(b, args, count);
    Arguments values;
    collect(b, args, count, kwnames, values);
    if (FLAMBEAU_UNLIKELY(b.form == Binding::InPlace)) return call_in_place(b, values);
    if (values.out && b.into)
      if (PyObject* const written = computed_into(b, values)) return written;
    if (values.out && (b.flags & (kFactory | kDtypeOut))) adopt_dtype(b, values);
    Object result(checked(b.invoke(b, values.at)));
    if (b.form == Binding::Become) return become_view(b, values.at[0], result.get());
    if (b.form == Binding::Copied) result = Object(copied(result.get()));
    return values.out ? stored(b, result.get(), values.out) : result.release();
  });
  if (FLAMBEAU_LIKELY(result) || !register_override_classes(args, count + named_count(kwnames))) return result;
  return call_binding(self, args, nargsf, kwnames);
}

// Calls a binding's shortcut unless something intercepts or observes the call. Otherwise makes a normal call.
PyObject* call_shortcut(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames) {
  if (PyVectorcall_NARGS(nargsf) == 1 && !kwnames && is_tensor(args[0]) &&
      !interceptions.load(std::memory_order_relaxed) && !call_observer) {
    const Binding& b = *reinterpret_cast<OperatorObject*>(self)->binding;
    const InterpreterSection section;
    if (PyObject* const result = b.shortcut(tensor_of(args[0]), args[0])) return result;
  }
  return call_binding(self, args, nargsf, kwnames);
}

}  // namespace flambeau::python
