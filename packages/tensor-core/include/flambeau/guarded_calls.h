// Guards for the functions that a module binds with pybind11.
//
// pybind11 ends the process for some calls: with a keyword that has no UTF-8 form, such as "\ud800"; of a method of an
// object whose __init__ has not been called; and of the base class of all bound classes. guard_calls() makes them raise
// TypeError. Include pybind11 before this header, which is empty without it.
#pragma once

#ifdef PYBIND11_VERSION_MAJOR
#include <string_view>
#include <utility>

namespace flambeau::python {

namespace guards {

namespace py = pybind11;

using Call = PyObject* (*)(PyObject* function, PyObject* const* arguments, size_t count, PyObject* keywords);

struct Dispatcher : py::cpp_function {
  static Call get() { return &cpp_function::dispatcher; }
};

inline bool is_bound_class(PyObject* type) { return Py_TYPE(type) == py::detail::get_internals().default_metaclass; }

// Returns true for an object of a bound class that has no value yet.
inline bool is_unfinished(PyObject* object) {
  if (!is_bound_class(reinterpret_cast<PyObject*>(Py_TYPE(object)))) return false;
  return !reinterpret_cast<py::detail::instance*>(object)->get_value_and_holder().value_ptr();
}

// Replaces pybind11's entry point. The first argument of a constructor is unfinished.
template <bool constructs>
PyObject* guarded_call(PyObject* function, PyObject* const* arguments, size_t count, PyObject* keywords) {
  const Py_ssize_t named = keywords ? PyTuple_GET_SIZE(keywords) : 0;
  for (Py_ssize_t i = 0; i < named; ++i)
    if (PyObject* const name = PyTuple_GET_ITEM(keywords, i); !PyUnicode_AsUTF8(name)) {
      PyErr_Clear();
      return PyErr_Format(PyExc_TypeError, "unexpected keyword argument %A", name);
    }
  for (Py_ssize_t i = constructs; i < PyVectorcall_NARGS(count) + named; ++i)
    if (is_unfinished(arguments[i]))
      return PyErr_Format(PyExc_TypeError, "%s.__init__() has not been called for this object",
                          Py_TYPE(arguments[i])->tp_name);
  return Dispatcher::get()(function, arguments, count, keywords);
}

inline void guard_function(PyObject* function) {
  if (PyInstanceMethod_Check(function)) function = PyInstanceMethod_GET_FUNCTION(function);
  if (!PyCFunction_Check(function)) return;
  PyMethodDef* const method = reinterpret_cast<PyCFunctionObject*>(function)->m_ml;
  if (reinterpret_cast<Call>(reinterpret_cast<void (*)()>(method->ml_meth)) != Dispatcher::get()) return;
  const std::string_view name = method->ml_name;
  const Call guarded = name == "__init__" || name == "__setstate__" ? guarded_call<true> : guarded_call<false>;
  method->ml_meth = reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(guarded));
}

inline newfunc unguarded_new = nullptr;

inline PyObject* guarded_new(PyTypeObject* type, PyObject* arguments, PyObject* keywords) {
  if (reinterpret_cast<PyObject*>(type) == py::detail::get_internals().instance_base)
    return PyErr_Format(PyExc_TypeError, "cannot create '%s' instances", type->tp_name);
  return unguarded_new(type, arguments, keywords);
}

inline void guard_members(py::handle dict) {
  for (const auto& [name, member] : py::reinterpret_borrow<py::dict>(dict)) {
    guard_function(member.ptr());
    for (const char* part : {"fget", "fset", "__func__"})
      if (const py::object function = py::getattr(member, part, py::none()); !function.is_none())
        guard_function(function.ptr());
    if (is_bound_class(member.ptr())) guard_members(reinterpret_cast<PyTypeObject*>(member.ptr())->tp_dict);
  }
}

}  // namespace guards

// Guards the base class of all bound classes. The first module calls it once, before it binds classes.
inline void guard_base_class() {
  auto* const base = reinterpret_cast<PyTypeObject*>(pybind11::detail::get_internals().instance_base);
  guards::unguarded_new = std::exchange(base->tp_new, guards::guarded_new);
}

// Guards all functions of the module and of its classes. Call it at the end of the module's initialisation.
inline void guard_calls(const pybind11::module_& module) { guards::guard_members(module.attr("__dict__")); }

}  // namespace flambeau::python
#endif
