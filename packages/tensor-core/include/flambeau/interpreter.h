// Access to the GIL and the signal handlers of the Python interpreter, if the library runs in one. The library does not
// depend on Python; the extension module sets the hooks.
//
// Note [Releasing the GIL]
// A kernel works on plain memory, so other Python threads may run at the same time. parallel_for and similar functions
// release the GIL for work above their grain, which is a few microseconds; long serial code uses a GilRelease.
// Everything around kernels (arguments, graph, reference counts of Python objects) runs with the GIL held.
//
// After a kernel, an operator relies on values that it read before the kernel, such as shapes. A thread therefore
// counts as inside an operator from the first release until the call returns (OperatorCall). Code that replaces the
// memory or the shape of an existing tensor (x.data = ..., resize_) calls wait_for_operators first. While a thread
// waits there, no operator releases the GIL, so that the wait ends.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "flambeau/macros.h"

// The fastest model of thread-local variables. musl cannot load a library with such variables at run time.
#ifdef __GLIBC__
#define FLAMBEAU_INITIAL_EXEC __attribute__((tls_model("initial-exec")))
#else
#define FLAMBEAU_INITIAL_EXEC
#endif

struct _object;  // Python's PyObject

namespace flambeau {

struct InterpreterHooks {
  bool (*holds_lock)();                   // returns true if this thread holds the GIL
  bool (*handles_signals)();              // returns true if this thread runs signal handlers; with the GIL held
  void* (*release)();                     // returns the state for acquire
  void (*acquire)(void* state);           // does not return while the interpreter shuts down
  void (*run_signal_handlers)();          // with the GIL held; throws what a handler raises
  void (*warn)(const std::string& text);  // with the GIL held; throws if warnings are errors
  void (*warn_once)(const char* text);    // the same, once per process
};
FLAMBEAU_API extern const InterpreterHooks* interpreter_hooks;  // null without an interpreter

namespace detail {
struct CallState {                     // the state of a thread
  void* python;                        // the argument of acquire while the GIL is released
  const std::atomic<bool>* cancelled;  // true once the thread's parallel job is cancelled
  int64_t next_poll;
  bool in_call, inside_operator, released, handles_signals;
};
extern FLAMBEAU_API constinit thread_local CallState call_state FLAMBEAU_INITIAL_EXEC;
#ifdef _WIN32  // a DLL cannot use thread-local variables of another DLL
FLAMBEAU_API CallState& state_of_thread();
#else
inline CallState& state_of_thread() { return call_state; }
#endif
FLAMBEAU_API void leave_operator();
}  // namespace detail

// Notified before and after every call of an operator from Python and every node of a backward run. Calls can be
// nested.
struct CallObserver {
  virtual void begin(const char* name) = 0;
  // Receives the result of the call, null for a node and if a Python exception is set. Returns the result for the
  // caller.
  virtual _object* end(const char* name, _object* result) = 0;

 protected:
  ~CallObserver() = default;
};
FLAMBEAU_API extern CallObserver* call_observer;  // null unless a mode observes calls

// Number of elements from which a serial loop releases the GIL: a few microseconds of work.
inline constexpr int64_t kGilGrain = 16384;

// Releases the GIL for a scope. Does nothing if it is already released, in workers, and without an interpreter.
class FLAMBEAU_API GilRelease {
 public:
  enum Purpose {
    Compute,  // for computations on tensors
    Wait      // for waiting for a device, or for a thread that may need the GIL; the scope must not access tensors
  };
  explicit GilRelease(Purpose purpose = Compute, bool worthwhile = true) {
    if (worthwhile && interpreter_hooks && !detail::state_of_thread().released) begin(purpose);
  }
  explicit GilRelease(bool worthwhile) : GilRelease(Compute, worthwhile) {}
  ~GilRelease() {
    if (FLAMBEAU_UNLIKELY(active_)) end();
  }
  GilRelease(const GilRelease&) = delete;

 private:
  void begin(Purpose purpose);
  void end();
  bool active_ = false;
};

// Long work calls this every few milliseconds, at points where it may throw. In the main thread it runs pending signal
// handlers about twenty times a second, if the GIL is released. It throws the exception of a handler, also in other
// threads of the same parallel job.
FLAMBEAU_API void poll_signals();

// Issues a UserWarning at the line of Python that called the operator. Does nothing in a thread without the GIL.
FLAMBEAU_API void warn(const std::string& text);

// The same, once per process, or at each call after set_warn_always(True).
FLAMBEAU_API void warn_once(const char* text);

// Scope of a call from Python. Note [Releasing the GIL]
class OperatorCall {
 public:
  OperatorCall()
      : in_call_(detail::state_of_thread().in_call), inside_operator_(detail::state_of_thread().inside_operator) {
    detail::state_of_thread().in_call = true;
  }
  ~OperatorCall() {
    detail::state_of_thread().in_call = in_call_;
    if (FLAMBEAU_UNLIKELY(detail::state_of_thread().inside_operator && !inside_operator_)) detail::leave_operator();
  }
  OperatorCall(const OperatorCall&) = delete;

 private:
  const bool in_call_, inside_operator_;
};

// Waits until no thread is inside an operator. Call it with the GIL held before the memory or shape of a tensor changes
// that other threads may use. The current operator must not rely on values that it read before. Note [Releasing the
// GIL]
FLAMBEAU_API void wait_for_operators();

}  // namespace flambeau
