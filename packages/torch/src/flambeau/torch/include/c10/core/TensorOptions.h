// The dtype, device and other properties of a new tensor.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/Scalar.h>
#include <c10/util/ArrayRef.h>

namespace c10 {

inline ScalarType get_default_dtype_as_scalartype() { return detail::scalar_type_of(::flambeau::default_dtype()); }
inline caffe2::TypeMeta get_default_dtype() { return get_default_dtype_as_scalartype(); }

class TensorOptions {
 public:
  TensorOptions() = default;
  TensorOptions(ScalarType dtype) : dtype_(dtype) {}
  TensorOptions(caffe2::TypeMeta dtype) : dtype_(dtype.toScalarType()) {}
  TensorOptions(Device device) : device_(device) {}
  TensorOptions(DeviceType type) : device_(Device(type)) {}
  TensorOptions(Layout layout) { *this = this->layout(layout); }
  TensorOptions(MemoryFormat format) : format_(format) {}

  TensorOptions dtype(optional<ScalarType> dtype) const { return with(&TensorOptions::dtype_, dtype); }
  TensorOptions dtype(ScalarType dtype) const { return with(&TensorOptions::dtype_, optional<ScalarType>(dtype)); }
  TensorOptions dtype(caffe2::TypeMeta dtype) const { return this->dtype(dtype.toScalarType()); }
  template <class T>
  TensorOptions dtype() const {
    return dtype(CppTypeToScalarType<T>::value);
  }
  TensorOptions device(optional<Device> device) const { return with(&TensorOptions::device_, device); }
  TensorOptions device(DeviceType type, DeviceIndex index = -1) const { return device(Device(type, index)); }
  TensorOptions device_index(DeviceIndex index) const { return device(Device(kCUDA, index)); }
  TensorOptions layout(Layout layout) const {
    TORCH_CHECK_NOT_IMPLEMENTED(layout == kStrided, "C++ extensions support only strided tensors");
    return *this;
  }
  TensorOptions requires_grad(bool value) const { return with(&TensorOptions::requires_grad_, value); }
  TensorOptions pinned_memory(bool) const { return *this; }
  TensorOptions memory_format(optional<MemoryFormat> format) const { return with(&TensorOptions::format_, format); }

  caffe2::TypeMeta dtype() const { return dtype_.value_or(get_default_dtype_as_scalartype()); }
  Device device() const { return device_.value_or(Device(kCPU)); }
  Layout layout() const { return kStrided; }
  bool requires_grad() const { return requires_grad_; }
  bool pinned_memory() const { return false; }
  bool has_dtype() const { return dtype_.has_value(); }
  bool has_device() const { return device_.has_value(); }
  optional<ScalarType> dtype_opt() const { return dtype_; }
  optional<Device> device_opt() const { return device_; }
  optional<MemoryFormat> memory_format_opt() const { return format_; }
  friend TensorOptions operator|(TensorOptions, TensorOptions) = delete;

 private:
  template <class T>
  TensorOptions with(T TensorOptions::* member, const T& value) const {
    TensorOptions changed = *this;
    changed.*member = value;
    return changed;
  }
  optional<ScalarType> dtype_;
  optional<Device> device_;
  optional<MemoryFormat> format_;
  bool requires_grad_ = false;
};

inline TensorOptions dtype(ScalarType type) { return TensorOptions(type); }
inline TensorOptions dtype(caffe2::TypeMeta type) { return TensorOptions(type); }
template <class T>
TensorOptions dtype() {
  return TensorOptions(CppTypeToScalarType<T>::value);
}
inline TensorOptions device(Device device) { return TensorOptions(device); }
inline TensorOptions layout(Layout layout) { return TensorOptions(layout); }
inline TensorOptions requires_grad(bool value = true) { return TensorOptions().requires_grad(value); }

}  // namespace c10

namespace at {
using namespace c10;
}
