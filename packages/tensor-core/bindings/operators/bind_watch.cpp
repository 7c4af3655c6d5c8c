// A native profile function that observes calls while a function is captured. sys.setprofile would make the interpreter
// call a Python function at each call and return, which is slow.
#include <unordered_set>

#include "calls/bind.h"

#if PY_VERSION_HEX < 0x030d0000
#include <frameobject.h>
#endif

namespace flambeau::python {

namespace {

struct CallWatch {
  Object executed, check;
  std::unordered_set<const PyMethodDef*> accepted;  // functions for which check() returned True
};

constexpr const char* kWatch = "flambeau.Watch";

int note_code(const CallWatch& watch, PyFrameObject* frame) {
  const Object code(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  return PySet_Add(watch.executed.get(), code.get());
}

int check_call(CallWatch& watch, PyFrameObject* frame, PyObject* called) {
  const PyMethodDef* const definition =
      PyCFunction_Check(called) ? reinterpret_cast<PyCFunctionObject*>(called)->m_ml : nullptr;
  if (definition && watch.accepted.contains(definition)) return 0;
  const Object answer(PyObject_CallFunctionObjArgs(watch.check.get(), frame, called, nullptr));
  if (!answer) return -1;
  if (definition && answer.get() == Py_True) watch.accepted.insert(definition);
  return 0;
}

int observe(PyObject* self, PyFrameObject* frame, int event, PyObject* called) {
  if (event != PyTrace_CALL && event != PyTrace_C_CALL) return 0;
  return guarded<int>(-1, [&] {
    CallWatch& watch = *static_cast<CallWatch*>(PyCapsule_GetPointer(self, kWatch));
    return event == PyTrace_CALL ? note_code(watch, frame) : check_call(watch, frame, called);
  });
}

// _watch_calls(executed, check) starts the observation: the code objects of executed Python functions are added to the
// set `executed`, and check(frame, function) is called for C functions. _watch_calls(None, None) ends the observation.
PyObject* watch_calls(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 2, "_watch_calls() takes a set and a function");
    if (args[0] == Py_None) {
      PyEval_SetProfile(nullptr, nullptr);
      Py_RETURN_NONE;
    }
    require<TypeError>(PySet_Check(args[0]) && PyCallable_Check(args[1]),
                       "_watch_calls() takes a set and a function, got ", Py_TYPE(args[0])->tp_name, " and ",
                       Py_TYPE(args[1])->tp_name);
    auto watch = std::make_unique<CallWatch>();
    watch->executed = Object(Py_NewRef(args[0]));
    watch->check = Object(Py_NewRef(args[1]));
    const Object capsule(checked(PyCapsule_New(watch.get(), kWatch, [](PyObject* self) {
      delete static_cast<CallWatch*>(PyCapsule_GetPointer(self, kWatch));
    })));
    watch.release();
    PyEval_SetProfile(observe, capsule.get());
    Py_RETURN_NONE;
  });
}

PyMethodDef definition = {
    "_watch_calls", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(watch_calls)), METH_FASTCALL,
    "_watch_calls(executed, check)\n\nAdd the code that this thread runs to a set, and call ``check(frame, function)`` "
    "for\neach call of a C function, until it returns True for this function. ``None, None`` ends the observation."};

}  // namespace

void bind_watch(PyObject* module) {
  PyModule_AddObjectRef(module, definition.ml_name, Object(checked(PyCFunction_New(&definition, nullptr))).get());
}

}  // namespace flambeau::python
