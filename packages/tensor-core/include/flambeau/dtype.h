// Element types: one list, from which sizes, names, categories and dispatch derive.
#pragma once

#include <cstdint>
#include <ostream>
#include <type_traits>

#include "flambeau/element.h"
#include "flambeau/errors.h"

namespace flambeau {

// Entries: name, C++ type, category. Signed integers are in the order of promotion, and so are floating dtypes.
#define FLAMBEAU_REAL_DTYPES(X)               \
  X(bool_, bool, Boolean)                     \
  X(uint8, uint8_t, Integer)                  \
  X(int8, int8_t, Integer)                    \
  X(int16, int16_t, Integer)                  \
  X(int32, int32_t, Integer)                  \
  X(int64, int64_t, Integer)                  \
  X(uint16, uint16_t, Integer)                \
  X(uint32, uint32_t, Integer)                \
  X(uint64, uint64_t, Integer)                \
  X(float16, ::flambeau::float16, Floating)   \
  X(bfloat16, ::flambeau::bfloat16, Floating) \
  X(float32, float, Floating)                 \
  X(float64, double, Floating)
#define FLAMBEAU_COMPLEX_DTYPES(X)                  \
  X(complex64, ::flambeau::Complex<float>, Complex) \
  X(complex128, ::flambeau::Complex<double>, Complex)
#define FLAMBEAU_DTYPES(X) \
  FLAMBEAU_REAL_DTYPES(X)  \
  FLAMBEAU_COMPLEX_DTYPES(X)
// Note [Small floats]
// Floating-point formats of one byte, for storage. They have no C++ type: kernels/small_floats.cpp converts them to and
// from float32, pointwise operators compute in float32, and operators that select a kernel by type reject them. Copies
// use the kernels of int8.
// Entries: name, bits of the mantissa, bias of the exponent, special values.
#define FLAMBEAU_SMALL_FLOATS(X)            \
  X(float8_e4m3fn, 3, 7, FiniteSigned)      \
  X(float8_e5m2, 2, 15, Ieee)               \
  X(float8_e4m3fnuz, 3, 8, FiniteUnsigned)  \
  X(float8_e5m2fnuz, 2, 16, FiniteUnsigned) \
  X(float8_e8m0fnu, 0, 127, Power)

enum class Category : uint8_t { Boolean, Integer, Floating, Complex };

enum class Dtype : uint8_t {
#define FLAMBEAU_ENUM(name, ...) name,
  FLAMBEAU_DTYPES(FLAMBEAU_ENUM) FLAMBEAU_SMALL_FLOATS(FLAMBEAU_ENUM)
#undef FLAMBEAU_ENUM
};
#define FLAMBEAU_COUNT(...) +1
inline constexpr int kDtypeCount = 0 FLAMBEAU_DTYPES(FLAMBEAU_COUNT) FLAMBEAU_SMALL_FLOATS(FLAMBEAU_COUNT);
#undef FLAMBEAU_COUNT

struct DtypeInfo {
  const char* name;
  uint8_t size;
  Category category;
};
inline constexpr DtypeInfo kDtypeInfo[] = {
#define FLAMBEAU_INFO(name, type, category) {#name, sizeof(type), Category::category},
    FLAMBEAU_DTYPES(FLAMBEAU_INFO)
#undef FLAMBEAU_INFO
#define FLAMBEAU_INFO(name, ...) {#name, 1, Category::Floating},
        FLAMBEAU_SMALL_FLOATS(FLAMBEAU_INFO)
#undef FLAMBEAU_INFO
};

inline int64_t item_size(Dtype d) { return kDtypeInfo[static_cast<int>(d)].size; }
inline Category category(Dtype d) { return kDtypeInfo[static_cast<int>(d)].category; }
inline bool is_floating(Dtype d) { return category(d) == Category::Floating; }
constexpr bool is_small_float(Dtype d) { return d > Dtype::complex128; }  // Note [Small floats]
inline bool is_wide_unsigned(Dtype d) { return d >= Dtype::uint16 && d <= Dtype::uint64; }
inline bool is_unsigned(Dtype d) { return d == Dtype::uint8 || is_wide_unsigned(d); }
inline bool is_complex(Dtype d) { return category(d) == Category::Complex; }
inline bool is_inexact(Dtype d) { return category(d) >= Category::Floating; }  // dtypes that can have a gradient
// to_real returns the dtype of the real and imaginary parts of a complex dtype. to_complex returns the complex dtype
// with parts of at least the precision of a dtype.
inline Dtype to_real(Dtype d) {
  return d == Dtype::complex64 ? Dtype::float32 : d == Dtype::complex128 ? Dtype::float64 : d;
}
inline Dtype to_complex(Dtype d) {
  return d == Dtype::float64 || d == Dtype::complex128 ? Dtype::complex128 : Dtype::complex64;
}
inline const char* name(Dtype d) { return d == Dtype::bool_ ? "bool" : kDtypeInfo[static_cast<int>(d)].name; }
inline std::ostream& operator<<(std::ostream& out, Dtype d) { return out << name(d); }
template <class T>
std::ostream& operator<<(std::ostream& out, Complex<T> v) {
  return out << "(" << v.re << "," << v.im << ")";
}

template <class T>
constexpr Dtype dtype_of() {
#define FLAMBEAU_MATCH(name, type, category) \
  if constexpr (std::is_same_v<T, type>) return Dtype::name;
  FLAMBEAU_DTYPES(FLAMBEAU_MATCH)
#undef FLAMBEAU_MATCH
}

template <class T>
struct TypeTag {
  using type = T;
};

// Note [Same bits]
// Copies, comparisons for equality, and sums, differences and products modulo 2**n do not depend on the sign. For them,
// unsigned dtypes use the kernels of the signed dtypes of the same size.
template <class T>
struct SignedType {
  using type = T;
};
template <class T>
  requires(std::is_unsigned_v<T> && !std::is_same_v<T, bool>)
struct SignedType<T> {
  using type = std::make_signed_t<T>;
};
template <class T>
using SameBits = typename SignedType<T>::type;
inline Dtype same_bits(Dtype d) {
  constexpr Dtype of_size[] = {Dtype::int8, Dtype::int16, Dtype::int32, Dtype::int64};
  return is_unsigned(d) ? of_size[__builtin_ctz(unsigned(item_size(d)))] : d;
}

[[noreturn, gnu::cold]] inline void reject_small_float(Dtype d) {
  detail::raise<NotImplementedError>("not implemented for '", name(d), "': convert it, for example with to(float32)");
}

// dispatch_all(dtype, [&](auto tag) { using T = typename decltype(tag)::type; ... })
// Raises NotImplementedError for small floats, which have no C++ type.
#define FLAMBEAU_CASE(name, type, category) \
  case Dtype::name:                         \
    return f(TypeTag<type>{});
template <class F>
decltype(auto) dispatch_all(Dtype d, F&& f) {
  switch (d) {
    FLAMBEAU_DTYPES(FLAMBEAU_CASE)
    default:
      reject_small_float(d);
  }
}
// Like dispatch_all, for operators that are undefined for complex numbers: also raises NotImplementedError for complex
// dtypes.
template <class F>
decltype(auto) dispatch(Dtype d, F&& f) {
  switch (d) {
    FLAMBEAU_REAL_DTYPES(FLAMBEAU_CASE)
    default:
      if (is_small_float(d)) reject_small_float(d);
      detail::raise<NotImplementedError>("not implemented for '", name(d), "': complex numbers are not supported here");
  }
}
#undef FLAMBEAU_CASE

[[noreturn, gnu::cold]] inline void reject_promotion(Dtype a, Dtype b) {
  const char* const kinds = is_small_float(a) || is_small_float(b) ? "Float8 Types" : "uint16, uint32, uint64 types";
  detail::raise<Error>("Promotion for ", kinds, " is not supported, attempted to promote ", a, " and ", b,
                       "; convert one of them with to(), or use flambeau.array_api, which promotes as NumPy does");
}

// Promotes the dtypes of two tensors as PyTorch does if both have the same priority: both with dimensions, both
// 0-dimensional, or both made from Python numbers.
inline Dtype promote(Dtype a, Dtype b) {
  if (a == b) return a;
  if (is_small_float(a) || is_small_float(b)) reject_promotion(a, b);
  if (is_complex(a) || is_complex(b)) {
    if (is_wide_unsigned(a) || is_wide_unsigned(b)) reject_promotion(a, b);
    const bool wide = to_real(a) == Dtype::float64 || to_real(b) == Dtype::float64;
    return wide ? Dtype::complex128 : Dtype::complex64;
  }
  if (is_floating(a) != is_floating(b)) return is_floating(a) ? a : b;
  if (is_wide_unsigned(a) || is_wide_unsigned(b)) reject_promotion(a, b);
  if (category(a) != category(b)) return category(a) > category(b) ? a : b;
  if (category(a) == Category::Integer) {
    const Dtype low = a < b ? a : b, high = a < b ? b : a;
    return low == Dtype::uint8 && high == Dtype::int8 ? Dtype::int16 : high;
  }
  if ((a == Dtype::float16 && b == Dtype::bfloat16) || (a == Dtype::bfloat16 && b == Dtype::float16))
    return Dtype::float32;
  return a < b ? b : a;
}

// Returns true if PyTorch allows an in-place operation to store a result of dtype `from` in a tensor of dtype `to`.
inline bool can_cast(Dtype from, Dtype to) { return category(from) <= category(to); }

}  // namespace flambeau
