// pybind11 conversions of ATen's types.
#pragma once

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <torch/csrc/autograd/autograd.h>
#include <torch/library.h>

namespace torch::detail {

// Makes this extension module translate C++ exceptions to Python exceptions. Returns true if the extension was compiled
// with headers of another version of flambeau than the loaded library.
inline bool prepare_module() {
  if (!Py_IsInitialized()) return false;
  const at::detail::WithPython held;
  pybind11::register_local_exception_translator([](std::exception_ptr p) {
    try {
      if (p) std::rethrow_exception(p);
    } catch (const ::flambeau::PythonError&) {  // the Python exception is already set
    } catch (const ::flambeau::Error&) {
      ::flambeau::python_interface->translate_exception();
    }
  });
  return ::flambeau::library_memory_layout() != ::flambeau::memory_layout();
}
static const bool built_for_another = prepare_module();

}  // namespace torch::detail

namespace pybind11::detail {

template <>
struct type_caster<at::Tensor> {
  PYBIND11_TYPE_CASTER(at::Tensor, const_name("torch.Tensor"));
  bool load(handle source, bool) {
    if (torch::detail::built_for_another)
      throw import_error("this extension was compiled against another version of flambeau; build it again");
    if (!::flambeau::python_interface) module_::import("flambeau");
    const ::flambeau::Tensor* const t = ::flambeau::python_interface->unwrap(source.ptr());
    if (t) value = at::Tensor(*t);
    return t != nullptr;
  }
  static handle cast(const at::Tensor& t, return_value_policy, handle) { return at::detail::to_python(t).release(); }
};

// A type caster that uses the conversions of operator arguments and results (IValue).
template <class T>
struct value_caster {
  PYBIND11_TYPE_CASTER(T, const_name("object"));
  bool load(handle source, bool) {
    try {
      value = c10::detail::unpack<T>(at::detail::from_python(source.ptr()));
      return true;
    } catch (const c10::TypeError&) {
      return false;
    } catch (const ::flambeau::PythonError&) {
      PyErr_Clear();
      return false;
    }
  }
  static handle cast(const T& v, return_value_policy, handle) {
    return at::detail::to_python(c10::detail::pack(v)).release();
  }
};
template <>
struct type_caster<c10::Scalar> : value_caster<c10::Scalar> {};
template <>
struct type_caster<c10::IValue> : value_caster<c10::IValue> {};
template <>
struct type_caster<c10::ScalarType> {
  PYBIND11_TYPE_CASTER(c10::ScalarType, const_name("torch.dtype"));
  bool load(handle source, bool) {
    if (!at::detail::is_instance(source.ptr(), "dtype")) return false;
    value = at::detail::from_python(source.ptr()).toScalarType();
    return true;
  }
  static handle cast(c10::ScalarType v, return_value_policy, handle) { return at::detail::dtype_object(v).release(); }
};
template <>
struct type_caster<c10::Device> {
  bool load(handle source, bool) {
    if (!at::detail::is_instance(source.ptr(), "device")) return false;
    value = at::detail::from_python(source.ptr()).toDevice();
    return true;
  }
  static handle cast(c10::Device v, return_value_policy, handle) { return at::detail::device_object(v).release(); }
  static constexpr auto name = const_name("torch.device");
  operator c10::Device*() { return &value; }
  operator c10::Device&() { return value; }
  template <class T>
  using cast_op_type = pybind11::detail::cast_op_type<T>;
  c10::Device value{c10::kCPU};
};

// Conversion of Python sequences to views. The caster owns the elements during the call.
template <class T>
struct type_caster<c10::ArrayRef<T>> {
  PYBIND11_TYPE_CASTER(c10::ArrayRef<T>, const_name("Sequence[") + make_caster<T>::name + const_name("]"));
  bool load(handle source, bool convert) {
    make_caster<std::vector<T>> list;
    if (!list.load(source, convert)) return false;
    kept_ = cast_op<std::vector<T>&&>(std::move(list));
    value = kept_;
    return true;
  }
  static handle cast(c10::ArrayRef<T> v, return_value_policy policy, handle parent) {
    return make_caster<std::vector<T>>::cast(v.vec(), policy, parent);
  }

 private:
  std::vector<T> kept_;
};

}  // namespace pybind11::detail

namespace torch {
// In PyTorch, this wrapper translates C++ exceptions. In flambeau, prepare_module() does this for all functions.
template <class F>
F&& wrap_pybind_function(F&& function) {
  return std::forward<F>(function);
}
}  // namespace torch
