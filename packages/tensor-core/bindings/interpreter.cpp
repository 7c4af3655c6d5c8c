// The library's access to the GIL and to Python's signals and warnings. Note [Releasing the GIL] in
// flambeau/interpreter.h
#include "flambeau/interpreter.h"

#include <cxxabi.h>
#ifdef Py_GIL_DISABLED
#include <pthread.h>
#endif

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

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

// Note [Spinning for the GIL]
// The system takes about 50 microseconds to wake a thread that blocks on the GIL. A thread that runs one operator after
// another holds the GIL for less time than this between two kernels, so it would often hold the GIL again when the
// waiting thread wakes. Therefore, a thread first spins if another thread has acquired the GIL a moment ago. An
// interpreter without a GIL has nothing to wait for.
#ifdef Py_GIL_DISABLED
void* release() { return PyEval_SaveThread(); }
void spin_for_gil() {}
void note_acquisition() {}
#else
std::atomic<int64_t> acquired_at;  // time of a thread's acquisition of the GIL after a kernel; 0 after its release

int64_t nanoseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

void spin_for_gil() {
  constexpr int64_t kMaxNanoseconds = 20'000;
  for (int i = 1;; ++i) {
    const int64_t since = acquired_at.load(std::memory_order_relaxed);
    if (!since || nanoseconds() - since > kMaxNanoseconds) return;
    if (i % 16 == 0) std::this_thread::yield();  // the thread with the GIL may need this core
  }
}

void note_acquisition() { acquired_at.store(nanoseconds(), std::memory_order_relaxed); }

void* release() {
  int64_t mine = acquired_at.load(std::memory_order_relaxed);
  void* const state = PyEval_SaveThread();
  acquired_at.compare_exchange_strong(mine, 0, std::memory_order_relaxed);  // unless another thread has stored its time
  return state;
}
#endif

// While the interpreter shuts down, CPython ends a daemon thread that requests the GIL. On Linux, the C library then
// unwinds the thread's stack, which would terminate the process at the first destructor. Therefore, such a thread
// sleeps until the process has ended.
void acquire(void* state) {
  auto* const thread = static_cast<PyThreadState*>(state);
  spin_for_gil();
#ifdef __GLIBCXX__
  try {
    PyEval_RestoreThread(thread);
  } catch (abi::__forced_unwind&) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
#else
  PyEval_RestoreThread(thread);
#endif
  note_acquisition();
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

constexpr InterpreterHooks hooks{holds_lock, handles_signals, release, acquire, run_signal_handlers, warn, warn_once};

}  // namespace

void set_interpreter_hooks() {
  interpreter_hooks = &hooks;
#ifdef Py_GIL_DISABLED
  pthread_atfork(nullptr, nullptr, release_after_fork);
#endif
}

}  // namespace flambeau::python
