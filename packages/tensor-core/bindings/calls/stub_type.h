// The annotations of C++ types in the type stub.
#pragma once

#include "calls/conversions.h"

namespace flambeau::python {

// Returns the annotation of a parameter, or null if the C++ type does not determine it.
template <class T>
constexpr const char* stub_type() {
  if constexpr (std::is_same_v<T, const Tensor*> || std::is_same_v<T, Tensor>) return "Tensor";
  if constexpr (std::is_same_v<T, Operand>) return "Tensor | _Number";
  if constexpr (std::is_same_v<T, std::optional<Operand>>) return "Tensor | _Number | None";
  if constexpr (std::is_same_v<T, OptionalSizes>) return "_int | _Sequence[_int | None] | None";
  if constexpr (std::is_same_v<T, std::variant<int64_t, Shape>>) return "_Dims";
  if constexpr (std::is_same_v<T, std::variant<Tensor, int64_t, Shape>>) return "Tensor | _Dims";
  if constexpr (std::is_same_v<T, std::variant<Dtype, Shape>>) return "_Dtype | _Dims";
  if constexpr (std::is_same_v<T, std::variant<std::string_view, Shape>>) return "str | _Dims";
  if constexpr (std::is_same_v<T, std::variant<Tensor, int64_t>>) return "Tensor | _int";
  if constexpr (std::is_same_v<T, std::optional<std::variant<Tensor, int64_t>>>) return "Tensor | _int | None";
  if constexpr (std::is_same_v<T, std::optional<std::variant<int64_t, Shape>>>) return "_Dims | None";
  if constexpr (std::is_same_v<T, std::optional<std::variant<bool, Shape>>>) return "_Dims | _bool | None";
  if constexpr (std::is_same_v<T, std::optional<std::vector<double>>>) return "_Sequence[_float] | None";
  if constexpr (std::is_same_v<T, std::optional<std::variant<double, std::vector<double>>>>)
    return "_float | _Sequence[_float] | None";
  if constexpr (std::is_same_v<T, std::variant<Tensor, int64_t, std::vector<Shape>>>)
    return "Tensor | _int | _Sequence[_Dims]";
  if constexpr (std::is_same_v<T, TensorOrTensors>) return "Tensor | _Sequence[Tensor]";
  if constexpr (std::is_same_v<T, Scalar>) return "_Number";
  if constexpr (std::is_same_v<T, std::optional<Scalar>>) return "_Number | None";
  if constexpr (std::is_same_v<T, int64_t>) return "_int";
  if constexpr (std::is_same_v<T, std::optional<int64_t>>) return "_int | None";
  if constexpr (std::is_same_v<T, double>) return "_float";
  if constexpr (std::is_same_v<T, std::optional<double>>) return "_float | None";
  if constexpr (std::is_same_v<T, bool>) return "_bool";
  if constexpr (std::is_same_v<T, std::optional<bool>>) return "_bool | None";
  if constexpr (std::is_same_v<T, Shape>) return "_Dims";
  if constexpr (std::is_same_v<T, OptionalDims>) return "_Dims | None";
  if constexpr (std::is_same_v<T, Dtype>) return "_Dtype";
  if constexpr (std::is_same_v<T, std::optional<Dtype>>) return "_Dtype | None";
  if constexpr (std::is_same_v<T, MemoryFormat>) return "_MemoryFormat";
  if constexpr (std::is_same_v<T, std::optional<MemoryFormat>>) return "_MemoryFormat | None";
  if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, Reduction>) return "str";
  if constexpr (std::is_same_v<T, std::optional<std::string_view>>) return "str | None";
  if constexpr (std::is_same_v<T, Generator*>) return "Generator | None";
  if constexpr (std::is_same_v<T, Tensors>) return "_Sequence[Tensor]";
  if constexpr (std::is_same_v<T, Strided>) return "_Layout | None";
  if constexpr (std::is_same_v<T, Placement>) return "_Device | str | None";
  if constexpr (std::is_same_v<T, Pinned>) return "_bool";
  if constexpr (std::is_same_v<T, Self>) return "Tensor";
  return nullptr;
}

// Returns the annotation of a result. The default is Tensor.
template <class R>
constexpr const char* stub_result() {
  using T = std::remove_cvref_t<R>;
  if constexpr (std::is_same_v<T, Tensors>) return "tuple[Tensor, ...]";
  if constexpr (std::is_same_v<T, TensorPair>) return "tuple[Tensor, Tensor]";
  if constexpr (std::is_void_v<T> || std::is_same_v<T, std::monostate>) return "None";
  if constexpr (std::is_same_v<T, Dtype>) return "dtype";
  if constexpr (std::is_same_v<T, Shape>) return "tuple[_int, ...]";
  if constexpr (std::is_same_v<T, TensorOrTensors>) return nullptr;
  if constexpr (std::is_same_v<T, PyObject*> || std::is_same_v<T, Tensor>) return nullptr;
  return stub_type<T>();
}

}  // namespace flambeau::python
