// Tensors as arguments and results of C++ functions in Python extensions. If pybind11 is included before this header,
// its functions can take and return flambeau::Tensor. Requires `import flambeau` to have run, which any Tensor argument
// guarantees.
#pragma once

#include <Python.h>

#include <atomic>
#include <exception>

#include "flambeau/autograd.h"

namespace flambeau {

struct PythonInterface {
  PyObject* (*wrap)(const Tensor& t);         // a new reference
  const Tensor* (*unwrap)(PyObject* object);  // null if the object is not a Tensor; no error is set
  void (*translate_exception)();              // sets the Python error for the C++ exception being handled
  PyObject* lock;                             // the lock of InterpreterSection
};
// Set by flambeau._core when it is imported.
FLAMBEAU_API extern const PythonInterface* python_interface;

// Excludes other threads from the bindings for a scope. Does nothing if the interpreter has a GIL.
//
// Note [Free threading]
// Much state of the bindings and of autograd is protected by the GIL: the link between a tensor and its Python object,
// graphs, hooks, caches, tables of names. In a free-threaded interpreter one critical section protects it instead.
// Every call from Python that reads or changes such state runs in an InterpreterSection.
//
// CPython suspends the critical sections of a thread that detaches from the interpreter, and resumes them when it
// attaches again. A thread detaches where it would release the GIL: in a GilRelease, when it blocks on a lock, and for
// a garbage collection. So kernels run in parallel, Python code that the section calls cannot cause a deadlock, and
// Note [Releasing the GIL] holds for both interpreters. Two things differ:
// - Any call of Python's API may suspend the section, because the call may block on the lock of a dict or a list.
// - Python code runs outside the section at the same time. The items of a list are read from a copy (stable_items), and
//   a borrowed reference to a Python object is valid only if the caller holds its owner.
class InterpreterSection {
 public:
#ifdef Py_GIL_DISABLED
  InterpreterSection() : entered_(!is_innermost()) {
    if (entered_) PyCriticalSection_Begin(&section_, python_interface->lock);
  }
  ~InterpreterSection() {
    if (entered_) PyCriticalSection_End(&section_);
  }
  InterpreterSection(const InterpreterSection&) = delete;

 private:
  // Return true if the innermost critical section of this thread holds the lock. CPython 3.13 yields many times before
  // it enters a section that the thread already holds.
  static bool is_innermost() {
    const uintptr_t innermost = PyThreadState_GetUnchecked()->critical_section;
    constexpr uintptr_t kFlags = 3;  // flags in the pointer: suspended, or a section of two locks
    return innermost && !(innermost & kFlags) &&
           reinterpret_cast<PyCriticalSection*>(innermost)->_cs_mutex == &python_interface->lock->ob_mutex;
  }
  const bool entered_;
  PyCriticalSection section_;
#else
  InterpreterSection() {}
  ~InterpreterSection() {}  // so that a compiler does not report an unused variable
#endif
};

// Callbacks of the autograd package for Python objects. Null until flambeau.autograd is imported.
struct PythonAutogradHooks {
  // For the garbage collector: visit and drop the callbacks that only this tensor holds.
  int (*visit_callbacks)(const AutogradMeta& meta, visitproc visit, void* argument);
  void (*drop_callbacks)(const AutogradMeta& meta);
  PyObject* (*wrap_grad_fn)(const Tensor& t);  // a new reference to the object of the tensor's node, or to None
};
FLAMBEAU_API extern const PythonAutogradHooks* python_autograd_hooks;

// Thrown if the Python error indicator is already set.
struct FLAMBEAU_API PythonError : std::exception {
  const char* what() const noexcept override { return "a Python exception is set"; }
};

// Returns the pointer that the first call of make() created, and never deletes it. Unlike the initializer of a static
// variable, make() may run Python code. With a static variable, another thread that acquires the GIL in the meantime
// would wait for the initialisation without releasing the GIL.
template <class T, class F>
T* made_once(std::atomic<T*>& made, F&& make) {
  if (T* const there = made.load(std::memory_order_acquire)) return there;
  T* const fresh = make();
  T* first = nullptr;
  return made.compare_exchange_strong(first, fresh) ? fresh : first;
}

inline PyObject* wrap(const Tensor& t) { return python_interface->wrap(t); }

}  // namespace flambeau

#ifdef PYBIND11_VERSION_MAJOR
namespace pybind11::detail {

template <>
struct type_caster<flambeau::Tensor> {
  PYBIND11_TYPE_CASTER(flambeau::Tensor, const_name("flambeau.Tensor"));
  bool load(handle source, bool) {
    if (!flambeau::python_interface) module_::import("flambeau");
    if (source.is_none()) return true;  // an undefined tensor
    const flambeau::Tensor* t = flambeau::python_interface->unwrap(source.ptr());
    if (t) value = *t;
    return t != nullptr;
  }
  static handle cast(const flambeau::Tensor& t, return_value_policy, handle) {
    if (!t.defined()) return none().release();
    return flambeau::wrap(t);
  }
};

}  // namespace pybind11::detail

namespace flambeau {

// Maps the library's exceptions to Python's in a pybind11 module.
inline void register_exceptions() {
  pybind11::register_local_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const PythonError&) {
    } catch (const Error&) {
      python_interface->translate_exception();
    }
  });
}

// Call this first in an extension module. It imports flambeau, raises ImportError if the memory layout of the library
// differs from the headers with which the extension was compiled, and maps the library's exceptions to Python's.
inline void initialize_extension() {
  pybind11::module_::import("flambeau");
  if (library_memory_layout() != memory_layout())
    throw pybind11::import_error(
        "this extension was compiled against other headers than those of the installed flambeau-tensor-core; build it "
        "again");
  register_exceptions();
}

}  // namespace flambeau
#endif
