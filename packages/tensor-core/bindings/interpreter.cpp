// The library's access to the GIL and to Python's signals and warnings. Note [Releasing the GIL] in
// flambeau/interpreter.h
#include "flambeau/interpreter.h"

#include <cxxabi.h>
#include <pthread.h>
#include <unistd.h>

#include "calls/bind.h"
#include "calls/warning.h"

#if PY_VERSION_HEX >= 0x030D0000
extern "C" PyAPI_FUNC(int) _PyOS_IsMainThread(void);  // CPython exports this, but does not declare it
#endif

namespace flambeau::python {

namespace {

// PyGILState_Check() alone does not suffice: it always returns true after the program has created a subinterpreter. A
// thread without a thread state cannot hold the GIL.
bool holds_lock() { return PyGILState_GetThisThreadState() && PyGILState_Check(); }

bool handles_signals() { return _PyOS_IsMainThread(); }

void* release() { return PyEval_SaveThread(); }

// While the interpreter shuts down, CPython ends a daemon thread that requests the GIL. On Linux, the C library does so
// by unwinding the thread's stack, which would terminate the process at the first destructor. Therefore, such a thread
// sleeps until the process has ended.
void acquire(void* state) {
  auto* const thread = static_cast<PyThreadState*>(state);
#ifdef __GLIBCXX__
  try {
    PyEval_RestoreThread(thread);
  } catch (abi::__forced_unwind&) {
    for (;;) pause();
  }
#else
  PyEval_RestoreThread(thread);
#endif
}

void run_signal_handlers() {
  if (PyErr_CheckSignals() < 0) throw PythonError();
}

#ifdef Py_GIL_DISABLED
// Returns true if this thread holds the mutex in one of its critical sections.
bool holds(const PyMutex* mutex) {
  constexpr uintptr_t kSuspended = 1, kFlags = 3;
  const PyThreadState* const state = PyThreadState_GetUnchecked();
  uintptr_t at = state ? state->critical_section : 0;
  while (at) {
    const auto* const section = reinterpret_cast<const PyCriticalSection*>(at & ~kFlags);
    if (!(at & kSuspended) && section->_cs_mutex == mutex) return true;
    at = section->_cs_prev;
  }
  return false;
}

// Before a fork, CPython stops all other threads. A thread that was waiting for the mutex may be stopped just after it
// has received the mutex. That thread does not exist in the child, so the child resets the mutex, unless the forking
// thread holds it.
void release_after_fork() {
  PyMutex* const mutex = &python_interface->lock->ob_mutex;
  if (!holds(mutex)) *mutex = PyMutex{};
}
#endif

constexpr InterpreterHooks hooks{holds_lock, handles_signals, release, acquire, run_signal_handlers, warn};

}  // namespace

void set_interpreter_hooks() {
  interpreter_hooks = &hooks;
#ifdef Py_GIL_DISABLED
  pthread_atfork(nullptr, nullptr, release_after_fork);
#endif
}

}  // namespace flambeau::python
