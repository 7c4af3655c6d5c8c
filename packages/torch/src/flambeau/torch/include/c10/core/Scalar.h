// A number of any type: boolean, integer, floating-point or complex.
#pragma once

#include <c10/core/ScalarType.h>
#include <flambeau/scalar.h>

namespace c10 {

class Scalar {
 public:
  Scalar() : Scalar(int64_t(0)) {}
  Scalar(const ::flambeau::Scalar& value) : value_(value) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  Scalar(T v) : value_(widened(v)) {}
  Scalar(Half v) : value_(double(float(v))) {}
  Scalar(BFloat16 v) : value_(double(float(v))) {}
  template <class T>
  Scalar(complex<T> v) : value_(::flambeau::Complex<double>(double(v.real()), double(v.imag()))) {}

  const ::flambeau::Scalar& value() const { return value_; }
  template <class T>
  T to() const {
    if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>)
      return T(float(value_.real()));
    else if constexpr (std::is_same_v<T, complex<float>> || std::is_same_v<T, complex<double>>)
      return T(typename T::value_type(value_.real()), typename T::value_type(value_.imaginary()));
    else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool> && !std::is_same_v<T, uint64_t>)
      return T(value_.integer());
    else
      return value_.template to<T>();
  }
  double toDouble() const { return to<double>(); }
  float toFloat() const { return to<float>(); }
  int64_t toLong() const { return to<int64_t>(); }
  int toInt() const { return to<int>(); }
  bool toBool() const { return to<bool>(); }
  Half toHalf() const { return to<Half>(); }
  complex<double> toComplexDouble() const { return to<complex<double>>(); }

  bool isBoolean() const { return value_.kind() == ::flambeau::Category::Boolean; }
  bool isFloatingPoint() const { return value_.kind() == ::flambeau::Category::Floating; }
  bool isComplex() const { return value_.kind() == ::flambeau::Category::Complex; }
  bool isIntegral(bool include_bool) const {
    return value_.kind() == ::flambeau::Category::Integer || (include_bool && isBoolean());
  }
  ScalarType type() const {
    return isComplex() ? kComplexDouble : isFloatingPoint() ? kDouble : isBoolean() ? kBool : kLong;
  }
  bool equal(double v) const { return value_.equals(v); }
  Scalar operator-() const { return Scalar(-value_); }
  friend std::ostream& operator<<(std::ostream& out, const Scalar& s) { return out << s.value_; }

 private:
  template <class T>
  static ::flambeau::Scalar widened(T v) {
    if constexpr (std::is_same_v<T, bool>)
      return v;
    else if constexpr (std::is_floating_point_v<T>)
      return double(v);
    else if constexpr (std::is_unsigned_v<T> && sizeof(T) == 8)
      return uint64_t(v);
    else
      return int64_t(v);
  }
  ::flambeau::Scalar value_;
};

}  // namespace c10
