// Tensors across the Python boundary, for extensions: with this header included, pybind11 takes and returns
// flambeau::Tensor. Requires `import flambeau` to have run, which any Tensor argument guarantees.
#pragma once

#include <Python.h>

#include <atomic>
#include <exception>

#include "flambeau/autograd.h"
#include "flambeau/row_numbering.h"

namespace flambeau {

struct PythonInterface {
  PyObject* (*wrap)(const Tensor& t);          // a new reference
  const Tensor* (*unwrap)(PyObject* object);   // null if it is not a Tensor; no error is set
  void (*set_error)(const std::exception& e);  // the Python exception that stands for a library error
};
// Set by flambeau._core when it is imported.
FLAMBEAU_API extern const PythonInterface* python_interface;

// Told of every call of an operator from Python, before and after; calls nest.
struct CallObserver {
  virtual void begin(const char* name) = 0;
  // The result, or null where an exception is set; returns what the caller gets.
  virtual PyObject* end(const char* name, PyObject* result) = 0;

 protected:
  ~CallObserver() = default;
};
FLAMBEAU_API extern CallObserver* call_observer;  // null but for a while

// Thrown where the Python error indicator is already set.
struct FLAMBEAU_API PythonError : std::exception {
  const char* what() const noexcept override { return "a Python exception is set"; }
};

// The result of make(), a new pointer, made by the first call and never deleted. Unlike a static variable's
// initializer, make() may run Python code: another thread that gets the GIL meanwhile would wait for the variable and
// keep the GIL.
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
    } catch (const Error& e) {
      python_interface->set_error(e);
    }
  });
}

// To be called first in an extension module: imports flambeau, refuses a library of another build than the headers this
// was compiled with, and maps the library's exceptions to Python's.
inline void initialize_extension() {
  pybind11::module_::import("flambeau");
  if (library_memory_layout() != memory_layout() || library_row_numbering() != row_numbering())
    throw pybind11::import_error(
        "this extension was compiled against other headers than those of the installed flambeau-tensor-core; build it "
        "again");
  register_exceptions();
}

}  // namespace flambeau
#endif
