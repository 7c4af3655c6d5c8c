// The extension module flambeau._core. pybind11 is used only for functions and types that are not performance-critical.
#include <pybind11/pybind11.h>

#include <cstring>

#include "calls/bind.h"
#include "calls/extension_watch.h"
#include "calls/intercept.h"
#include "calls/warning.h"
#include "flambeau/guarded_calls.h"
#include "flambeau/operators/linalg.h"
#include "flambeau/parallel.h"
#include "operators/bind_objects.h"
#include "tensor/dlpack.h"
#include "tensor/library_name.h"
#include "tensor/tensor_type.h"

namespace py = pybind11;

namespace flambeau::python {

namespace {

PyObject* linear_algebra_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.linalg.LinAlgError",
      R"(Error for a matrix without a solution: singular, not positive definite, or no convergence.

>>> fb.linalg.inv(fb.zeros(2, 2))  # doctest: +ELLIPSIS
Traceback (most recent call last):
flambeau.linalg.LinAlgError: ...)",
      PyExc_RuntimeError, nullptr));
  return type;
}

PyObject* error_type(const std::exception& e) {
  if (dynamic_cast<const TypeError*>(&e)) return PyExc_TypeError;
  if (dynamic_cast<const ValueError*>(&e)) return PyExc_ValueError;
  if (dynamic_cast<const IndexError*>(&e)) return PyExc_IndexError;
  if (dynamic_cast<const NotImplementedError*>(&e)) return PyExc_NotImplementedError;
  if (dynamic_cast<const linalg::LinAlgError*>(&e)) return linear_algebra_error();
  if (dynamic_cast<const OutOfMemoryError*>(&e)) return out_of_memory_error();
  return PyExc_RuntimeError;
}

void set_error(const std::exception& e) {
  const bool exhausted = dynamic_cast<const std::bad_alloc*>(&e);
  PyErr_SetString(error_type(e), exhausted ? "out of memory" : e.what());
}

PythonInterface interface{wrap_for_extension, unwrap_for_extension, translate_exception, nullptr};

void bind_controls(py::module_& m) {
  m.def("get_num_threads", &num_threads, R"(Return the number of threads that operators use. See `set_num_threads`.)");
  m.def(
      "set_num_threads",
      [](const py::object& n) {
        require(PyLong_Check(n.ptr()) && !PyBool_Check(n.ptr()), "set_num_threads expects an int, but got ",
                Py_TYPE(n.ptr())->tp_name);
        static const Parameter parameter{PyUnicode_InternFromString("n")};
        const int64_t count = From<int64_t>::get({"set_num_threads", &parameter, 0}, n.ptr());
        require(count > 0, "set_num_threads expects a positive integer, got ", count);
        set_num_threads(int(std::min<int64_t>(count, 1 << 20)));
      },
      py::arg("n"), R"(Set the number of threads that operators use. Results do not depend on this number.

Raises: RuntimeError if the number is not positive.

>>> former = fb.get_num_threads()
>>> fb.set_num_threads(1)
>>> fb.get_num_threads()
1
>>> fb.set_num_threads(former))");
  m.def(
      "get_default_dtype", [] { return py::reinterpret_borrow<py::object>(dtype_object(default_dtype())); },
      "Return the dtype of float tensors that are created without a dtype. See `set_default_dtype`.");
  m.def(
      "set_default_dtype",
      [](py::object d) {
        static const Parameter parameter{PyUnicode_InternFromString("d")};
        if (Py_TYPE(d.ptr()) != dtype_type) {
          // Dtypes that are names only, such as qint8 under the alias torch.
          require<TypeError>(!py::getattr(d, "is_floating_point", py::none()).is(py::bool_(false)),
                             "only floating-point types are supported as the default type, got ",
                             std::string(py::str(d)));
          wrong_argument({"set_default_dtype", &parameter, 0}, "flambeau.dtype", d.ptr());
        }
        const Dtype dtype = reinterpret_cast<DtypeObject*>(d.ptr())->value;
        require<TypeError>(!is_small_float(dtype),
                           "only floating-point types of two or more bytes are supported as the default type, got ",
                           dtype);
        set_default_dtype(dtype);
      },
      py::arg("d"), R"(Set the dtype of float tensors that are created without a dtype, for this thread.

Raises: TypeError if the argument is not a dtype.

>>> fb.set_default_dtype(fb.float64)
>>> fb.ones(2).dtype, fb.get_default_dtype()
(flambeau.float64, flambeau.float64)
>>> fb.set_default_dtype(fb.float32))");
  m.def("_set_library_name", &set_library_name, "Set the name of the package in reprs and error messages.");
  m.def("_library_name", &library_name, "Return the name of the package in reprs and error messages.");
  m.def("_repeat_warnings", &repeat_warnings, "Issue the operators' warnings at each call instead of once.");
  m.def("empty_cache", &empty_cache, "Return cached memory to the system. See `memory_cached`.");
  m.def("memory_allocated", &allocated_bytes, R"(Return the number of bytes that tensors use.

>>> x = fb.empty(1024, dtype=fb.float32)
>>> fb.memory_allocated() >= 4096
True)");
  m.def("memory_cached", &cached_bytes, R"(Return the number of bytes that are free and kept for new tensors.

>>> fb.empty_cache()  # threads keep some small blocks
>>> fb.memory_cached() < 2**20
True)");
  m.def(
      "instruction_set", [] { return flambeau::instruction_set(); },
      R"(Return the instruction set of the kernels that this CPU runs.

>>> fb.instruction_set() in ("baseline", "avx2", "avx512")
True)");
  m.def(
      "pointwise_rows", [] { return py::reinterpret_steal<py::object>(describe_rows()); },
      "Return the rows of the table of pointwise operators as dictionaries.");
  m.def(
      "_reduction_rows",
      [] {
        py::list out;
#define REDUCTION(name, domain, ...) out.append(py::make_tuple(#name, #domain));
#include "flambeau/reductions.def"
        return out;
      },
      "Return the name and domain of every reduction in the table of reductions.");
  m.def(
      "signatures",
      [] {
        py::list out;
        for (const Binding* b : bindings()) {
          py::dict entry;
          entry["name"] = b->name;
          entry["attribute"] = b->attribute.empty() ? b->name : b->attribute;
          entry["signature"] = b->signature;
          entry["doc"] = b->doc;
          entry["function"] = bool(b->flags & kFunction);
          entry["method"] = bool(b->flags & kMethod);
          entry["inplace"] = b->flags & kInPlace || b->in_place;
          entry["out"] = bool(b->flags & kOut);
          entry["module"] = b->module;
          py::list types;
          for (const char* type : b->types) types.append(type ? py::object(py::str(type)) : py::none());
          entry["types"] = types;
          entry["result"] = b->result ? py::object(py::str(b->result)) : py::none();
          if (b->record) {
            entry["reference"] = b->record->reference;
            entry["samples"] = b->record->samples;
          }
          entry["python"] = b->python ? py::reinterpret_borrow<py::object>(b->python) : py::object(py::none());
          out.append(entry);
        }
        return out;
      },
      "Return the signature and documentation of every structural binding.");
}

// Adds types, dtypes and control functions to __all__. Operators add themselves when they are published. The functions
// that describe the operators are not public.
void publish_plain_names(py::module_& m) {
  py::list names = m.attr("__all__");
  for (const auto& [name, value] : py::dict(m.attr("__dict__"))) {
    const auto text = name.cast<std::string>();
    const bool of_registry = Py_TYPE(value.ptr()) == operator_type || text == "pointwise_rows" || text == "signatures";
    if (text[0] != '_' && !of_registry) names.append(name);
  }
}

}  // namespace

void translate_exception() {
  try {
    throw;
  } catch (const PythonError&) {
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::exception& e) {
    set_error(e);
  }
}

}  // namespace flambeau::python

PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  using namespace flambeau::python;
  interface.lock = checked(PyObject_CallNoArgs(reinterpret_cast<PyObject*>(&PyBaseObject_Type)));
  flambeau::python_interface = &interface;
  set_interpreter_hooks();
  flambeau::register_exceptions();
  guard_base_class();
  m.doc() = "Native core of flambeau.";
  m.attr("__all__") = py::list();
  create_small_types(m.ptr());
  create_tensor_type();
  create_grad_modes(m.ptr());
  m.attr("Tensor") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(tensor_type));
  m.attr("OutOfMemoryError") = py::reinterpret_borrow<py::object>(out_of_memory_error());
  m.attr("_LinAlgError") = py::reinterpret_borrow<py::object>(linear_algebra_error());
  bind_device(m.ptr());
  bind_generator(m);
  bind_controls(m);
  bind_records();
  bind_views();
  bind_layout();
  bind_sorting();
  bind_optimizer();
  bind_spectra();
  bind_least_squares();
  bind_program(m.ptr());
  bind_compiled(m.ptr());
  bind_watch(m.ptr());
  bind_profile();
  bind_conversion();
  bind_construction();
  bind_interop();
  bind_dlpack();
  bind_cuda();
  bind_array_library();
  bind_autograd();
  bind_autocast();
  bind_python_operators(m.ptr());
  bind_interception(m.ptr());
  bind_extension_watch(m.ptr());
  publish(m.ptr());
  publish_rows(m.ptr());
  publish_return_types(m.ptr());
  publish_plain_names(m);
  guard_calls(m);
}
