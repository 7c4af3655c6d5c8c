// Note [NaN check]
// In anomaly mode, autograd's handler raises an error for a call whose result requires grad and contains NaN, unless an
// argument also contains NaN. The arguments are checked before the call, because the call may overwrite them. Only the
// outermost call is checked, because an operator may mask NaN in its intermediate results.
#include "calls/nan_check.h"

#include <cmath>

#include "calls/call_arguments.h"
#include "calls/intercept.h"

namespace flambeau::python {

namespace {

PyObject* nan_handler = nullptr;         // handler(callable, result), or null
thread_local bool inside_check = false;  // true during a checked call

struct InsideCheck {
  bool former = std::exchange(inside_check, true);
  ~InsideCheck() { inside_check = former; }
};

bool holds_nan(const Tensor& t) {
  if (!is_inexact(t.dtype()) || t.is_meta() || t.numel() == 0) return false;
  NoRecording off;
  const OnDevice scope(t.device());
  return item(any(ne(t, t), {}, false)).truth();
}

// Returns true if an argument contains NaN, and for all arrays, whose elements are not checked.
bool may_hold_nan(PyObject* o) {
  if (is_tensor(o)) return holds_nan(tensor_of(o));
  if (PyFloat_Check(o)) return std::isnan(PyFloat_AS_DOUBLE(o));
  if (PyComplex_Check(o)) return std::isnan(PyComplex_RealAsDouble(o)) || std::isnan(PyComplex_ImagAsDouble(o));
  return is_array(o);
}

bool has_history(PyObject* o) {
  return is_tensor(o) && tensor_of(o).requires_grad() && tensor_of(o).impl()->autograd &&
         tensor_of(o).impl()->autograd->grad_fn;
}

// Returns the first tensor in a result that was recorded and contains NaN, or null.
Object faulty(PyObject* result) {
  if (!PyTuple_Check(result) && !PyList_Check(result))
    return has_history(result) && holds_nan(tensor_of(result)) ? Object(Py_NewRef(result)) : Object();
  const Object items = stable_items(result);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i)
    if (Object found = faulty(PySequence_Fast_GET_ITEM(items.get(), i))) return found;
  return Object();
}

PyObject* set_nan_handler(PyObject*, PyObject* handler) {
  const InterpreterSection section;
  interceptions += int(handler != Py_None) - int(nan_handler != nullptr);
  Py_XSETREF(nan_handler, handler == Py_None ? nullptr : Py_NewRef(handler));
  Py_RETURN_NONE;
}

PyMethodDef controls[] = {{"_set_nan_handler", set_nan_handler, METH_O,
                           "_set_nan_handler(handler)\n\nCall handler(operator, result) for every result that contains "
                           "a NaN although no argument contains one. None ends the check."},
                          {}};

}  // namespace

bool in_nan_check() { return nan_handler && !inside_check && recording_enabled(); }

PyObject* call_nan_checked(PyObject* callable, PyObject* const* args, size_t count, PyObject* kwnames) {
  bool recorded = false, nan = false;
  const size_t all = count + named_count(kwnames);
  for_each(args, all, [&](PyObject* o) { recorded |= is_tensor(o) && tensor_of(o).requires_grad(); });
  if (recorded) for_each(args, all, [&](PyObject* o) { nan = nan || may_hold_nan(o); });
  const InsideCheck inside;
  Object result(PyObject_Vectorcall(callable, args, count, kwnames));
  if (!result || !recorded || nan) return result.release();
  if (const Object found = faulty(result.get())) {
    const Object handler(Py_NewRef(nan_handler ? nan_handler : Py_None));
    if (handler.get() != Py_None &&
        !Object(PyObject_CallFunctionObjArgs(handler.get(), callable, found.get(), nullptr)))
      return nullptr;
  }
  return result.release();
}

void bind_nan_check(PyObject* module) {
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
}

}  // namespace flambeau::python
