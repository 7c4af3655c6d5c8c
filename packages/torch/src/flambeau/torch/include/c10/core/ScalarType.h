// The dtypes, with PyTorch's names and numbers.
#pragma once

#include <c10/util/Exception.h>
#include <c10/util/Half.h>
#include <flambeau/dtype.h>

// X(name in ATen, C++ type, name in flambeau, number in PyTorch)
#define FLAMBEAU_SCALAR_TYPES(X)                           \
  X(Byte, uint8_t, uint8, 0)                               \
  X(Char, int8_t, int8, 1)                                 \
  X(Short, int16_t, int16, 2)                              \
  X(Int, int32_t, int32, 3)                                \
  X(Long, int64_t, int64, 4)                               \
  X(Half, ::c10::Half, float16, 5)                         \
  X(Float, float, float32, 6)                              \
  X(Double, double, float64, 7)                            \
  X(ComplexFloat, ::c10::complex<float>, complex64, 9)     \
  X(ComplexDouble, ::c10::complex<double>, complex128, 10) \
  X(Bool, bool, bool_, 11)                                 \
  X(BFloat16, ::c10::BFloat16, bfloat16, 15)               \
  X(UInt16, uint16_t, uint16, 27)                          \
  X(UInt32, uint32_t, uint32, 28)                          \
  X(UInt64, uint64_t, uint64, 29)

namespace c10 {

enum class ScalarType : int8_t {
#define FLAMBEAU_ENUM(name, type, dtype, number) name = number,
  FLAMBEAU_SCALAR_TYPES(FLAMBEAU_ENUM)
#undef FLAMBEAU_ENUM
      Undefined = 127
};

#define FLAMBEAU_CONSTANT(name, type, dtype, number) inline constexpr ScalarType k##name = ScalarType::name;
FLAMBEAU_SCALAR_TYPES(FLAMBEAU_CONSTANT)
#undef FLAMBEAU_CONSTANT
inline constexpr ScalarType kUInt8 = kByte, kInt8 = kChar, kInt16 = kShort, kInt32 = kInt, kInt64 = kLong,
                            kFloat16 = kHalf, kFloat32 = kFloat, kFloat64 = kDouble;

inline const char* toString(ScalarType type) {
  switch (type) {
#define FLAMBEAU_CASE(name, type, dtype, number) \
  case ScalarType::name:                         \
    return #name;
    FLAMBEAU_SCALAR_TYPES(FLAMBEAU_CASE)
#undef FLAMBEAU_CASE
    default:
      return "Undefined";
  }
}
inline std::ostream& operator<<(std::ostream& out, ScalarType type) { return out << toString(type); }

namespace detail {
inline ::flambeau::Dtype dtype_of(ScalarType type) {
  switch (type) {
#define FLAMBEAU_CASE(name, type, dtype, number) \
  case ScalarType::name:                         \
    return ::flambeau::Dtype::dtype;
    FLAMBEAU_SCALAR_TYPES(FLAMBEAU_CASE)
#undef FLAMBEAU_CASE
    default:
      ::flambeau::detail::raise<TypeError>("a tensor cannot have the dtype ", toString(type));
  }
}
inline ScalarType scalar_type_of(::flambeau::Dtype dtype) {
  switch (dtype) {
#define FLAMBEAU_CASE(name, type, dtype, number) \
  case ::flambeau::Dtype::dtype:                 \
    return ScalarType::name;
    FLAMBEAU_SCALAR_TYPES(FLAMBEAU_CASE)
#undef FLAMBEAU_CASE
    default:
      return ScalarType::Undefined;
  }
}
}  // namespace detail

template <ScalarType>
struct ScalarTypeToCPPType;
template <class T>
struct CppTypeToScalarType {
  static_assert(!sizeof(T*),
                "no dtype of flambeau has elements of this C++ type; use int64_t for kLong, float for "
                "kFloat, at::Half for kHalf");
};
#define FLAMBEAU_TYPES(name, cpp_type, dtype, number) \
  template <>                                         \
  struct ScalarTypeToCPPType<ScalarType::name> {      \
    using type = cpp_type;                            \
  };                                                  \
  template <>                                         \
  struct CppTypeToScalarType<cpp_type> : std::integral_constant<ScalarType, ScalarType::name> {};
FLAMBEAU_SCALAR_TYPES(FLAMBEAU_TYPES)
#undef FLAMBEAU_TYPES
template <>
struct CppTypeToScalarType<long long> : std::integral_constant<ScalarType, ScalarType::Long> {};
template <ScalarType type>
using ScalarTypeToCPPTypeT = typename ScalarTypeToCPPType<type>::type;

inline size_t elementSize(ScalarType type) { return size_t(::flambeau::item_size(detail::dtype_of(type))); }
inline bool isFloatingType(ScalarType type) { return ::flambeau::is_floating(detail::dtype_of(type)); }
inline bool isComplexType(ScalarType type) { return ::flambeau::is_complex(detail::dtype_of(type)); }
inline bool isReducedFloatingType(ScalarType type) { return type == kHalf || type == kBFloat16; }
inline bool isIntegralType(ScalarType type, bool include_bool) {
  const auto kind = ::flambeau::category(detail::dtype_of(type));
  return kind == ::flambeau::Category::Integer || (include_bool && kind == ::flambeau::Category::Boolean);
}
inline ScalarType promoteTypes(ScalarType a, ScalarType b) {
  return detail::scalar_type_of(::flambeau::promote(detail::dtype_of(a), detail::dtype_of(b)));
}
inline ScalarType get_default_dtype_as_scalartype();  // TensorOptions.h

}  // namespace c10

namespace caffe2 {

// The dtype of a tensor, as Tensor::dtype() returns it.
class TypeMeta {
 public:
  TypeMeta() = default;
  TypeMeta(c10::ScalarType type) : type_(type) {}
  template <class T>
  static TypeMeta Make() {
    return TypeMeta(c10::CppTypeToScalarType<T>::value);
  }
  c10::ScalarType toScalarType() const { return type_; }
  const char* name() const { return c10::toString(type_); }
  size_t itemsize() const { return c10::elementSize(type_); }
  template <class T>
  bool Match() const {
    return type_ == c10::CppTypeToScalarType<T>::value;
  }
  friend bool operator==(TypeMeta a, TypeMeta b) { return a.type_ == b.type_; }
  friend bool operator==(TypeMeta a, c10::ScalarType b) { return a.type_ == b; }
  friend std::ostream& operator<<(std::ostream& out, TypeMeta a) { return out << a.type_; }

 private:
  c10::ScalarType type_ = c10::ScalarType::Undefined;
};

}  // namespace caffe2

namespace c10 {
inline ScalarType typeMetaToScalarType(caffe2::TypeMeta type) { return type.toScalarType(); }
inline caffe2::TypeMeta scalarTypeToTypeMeta(ScalarType type) { return type; }
}  // namespace c10

namespace at {
using namespace c10;
}
