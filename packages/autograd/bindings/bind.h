// Functions that define the parts of the extension module, each in the file that is named next to it, and declarations
// that these files share. This header is not installed.
#pragma once

#include <pybind11/pybind11.h>

#include "anomaly.h"
#include "binding_hooks.h"
#include "engine.h"
#include "flambeau/autograd_engine.h"

PYBIND11_DECLARE_HOLDER_TYPE(T, flambeau::Ref<T>, true)

#include "flambeau/python.h"

namespace flambeau::autograd {

void bind_nodes(pybind11::module_& m);        // nodes.cpp: graph nodes as Python objects
void bind_hooks(pybind11::module_& m);        // hooks.cpp
void bind_function(pybind11::module_& m);     // function.cpp: autograd.Function
void bind_saved_hooks(pybind11::module_& m);  // saved_hooks.cpp
void bind_anomaly(pybind11::module_& m);      // anomaly.cpp
void bind_profiler(pybind11::module_& m);     // profiler.cpp

struct SavedReference {  // reference to a tensor that a node saves
  Ref<Node> node;
  int index = -1;  // position among the saved tensors, or -1 if None was saved
};
pybind11::tuple function_references(const Node& node);  // references to the values that a Function saved

// Returns the lines of the traceback of the call that recorded the node. Empty outside anomaly mode.
pybind11::list traceback_lines(const Node& node);

// Called by the engine, through src/binding_hooks.h
std::unique_ptr<CallSite> call_site();
std::unique_ptr<PackedTensor> pack(const Tensor& t, bool is_output);
[[noreturn]] void rethrow_with_note(const Node& node, const char* doing);
void watch_collections();

// Called by tensor-core, through PythonAutogradHooks of flambeau/python.h
int visit_callbacks(const AutogradMeta& meta, visitproc visit, void* argument);
void drop_callbacks(const AutogradMeta& meta);
PyObject* wrap_grad_fn(const Tensor& t);

void track(const Tensor& t);  // makes Python's garbage collector track a tensor
// Returns a borrowed reference to the context (ctx) of an autograd.Function, or null for other nodes.
PyObject* function_context(const Node& node);

// Returns the result of a call of Python's C API. Throws PythonError if it is null, because the call failed.
inline PyObject* checked(PyObject* o) {
  if (!o) throw PythonError();
  return o;
}
inline pybind11::object owned(PyObject* o) { return pybind11::reinterpret_steal<pybind11::object>(checked(o)); }

// Declares a Tensor parameter that rejects None. By default, the type caster converts None to an undefined tensor.
inline pybind11::arg tensor_argument() { return pybind11::arg().none(false); }

// Adds a function to a module. Calls of the function run in an InterpreterSection.
template <class F, class... Extra>
void define(pybind11::module_& m, const char* name, F&& f, const Extra&... extra) {
  m.def(name, std::forward<F>(f), pybind11::call_guard<InterpreterSection>(), extra...);
}

// Runs `body` for a function with CPython's calling convention: an exception sets a Python error and returns null.
template <class F>
PyObject* guarded(F&& body) {
  const InterpreterSection section;
  try {
    return body();
  } catch (...) {
    python_interface->translate_exception();
    return nullptr;
  }
}

}  // namespace flambeau::autograd
