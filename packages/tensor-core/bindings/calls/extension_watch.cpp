// Note [Extension watch]
#include "calls/extension_watch.h"

#include "calls/call_arguments.h"

namespace flambeau::python {

namespace {

thread_local PyObject* watcher = nullptr;  // watcher(tensor, "read", "made" or "exported"); owned

void notify_watcher(PyObject* tensor, PyObject* what) {
  PyObject* const arguments[] = {tensor, what};
  const Object done(checked(PyObject_Vectorcall(watcher, arguments, 2, nullptr)));
}

PyObject* interned(const char* word) { return checked(PyUnicode_InternFromString(word)); }

PyObject* watch_extensions(PyObject*, PyObject* callable) {
  PyObject* const former = watcher;
  watcher = callable == Py_None ? nullptr : Py_NewRef(callable);
  return former ? former : Py_NewRef(Py_None);
}

// This is a plain function, not an operator, because modes would intercept an operator.
PyMethodDef controls[] = {{"_watch_extensions", watch_extensions, METH_O,
                           "_watch_extensions(callable)\n\nCall callable(tensor, event) for every tensor that an "
                           "extension module reads ('read') or creates ('made') in this thread, and for tensors whose "
                           "memory is exported ('exported'). None ends the observation. Return the previous callable."},
                          {}};

}  // namespace

PyObject* wrap_for_extension(const Tensor& t) {
  const InterpreterSection section;
  const bool fresh = FLAMBEAU_UNLIKELY(watcher) && t.defined() && !t.impl()->python_object;
  Object out(wrap_tensor(t));
  if (fresh && out) note_made(out.get());
  return out.release();
}

const Tensor* unwrap_for_extension(PyObject* o) {
  if (!is_tensor(o)) return nullptr;
  note_read(o);
  return &tensor_of(o);
}

void note_read(PyObject* tensors) {
  static PyObject* const read = interned("read");
  if (FLAMBEAU_LIKELY(!watcher)) return;
  for_each(&tensors, 1, [](PyObject* o) {
    if (is_tensor(o)) notify_watcher(o, read);
  });
}

void note_made(PyObject* tensor) {
  static PyObject* const made = interned("made");
  if (FLAMBEAU_UNLIKELY(watcher)) notify_watcher(tensor, made);
}

void note_exported(PyObject* tensor) {
  static PyObject* const exported = interned("exported");
  if (FLAMBEAU_UNLIKELY(watcher)) notify_watcher(tensor, exported);
}

void bind_extension_watch(PyObject* module) {
  if (PyModule_AddFunctions(module, controls) < 0) throw PythonError();
}

}  // namespace flambeau::python
