// A Python number as an argument of an operator.
#pragma once

#include <cmath>

#include "flambeau/dtype.h"

namespace flambeau {

class Scalar {
 public:
  Scalar() : Scalar(int64_t(0)) {}
  Scalar(bool v) : integer_(v), kind_(Category::Boolean) {}
  Scalar(int v) : integer_(v), kind_(Category::Integer) {}
  Scalar(int64_t v) : integer_(v), kind_(Category::Integer) {}
  Scalar(uint64_t v) : integer_(int64_t(v)), kind_(Category::Integer), wide_(v >> 63) {}
  Scalar(double v) : real_(v), kind_(Category::Floating) {}
  Scalar(Complex<double> v) : real_(v.re), imaginary_(v.im), kind_(Category::Complex) {}

  Category kind() const { return kind_; }
  bool wide() const { return wide_; }  // true for an integer that only uint64 can represent
  double real() const {
    if (kind_ >= Category::Floating) return real_;
    return wide_ ? double(uint64_t(integer_)) : double(integer_);
  }
  double imaginary() const { return imaginary_; }
  Complex<double> complex() const { return {real(), imaginary_}; }
  int64_t integer() const {
    if (wide_)
      detail::raise<Error>("value ", uint64_t(integer_), " cannot be converted to type int64 without overflow");
    return kind_ >= Category::Floating ? convert<int64_t>(real_) : integer_;
  }
  uint64_t unsigned_integer() const {  // negative numbers wrap
    return kind_ >= Category::Floating ? convert<uint64_t>(real_) : uint64_t(integer_);
  }
  bool truth() const { return kind_ >= Category::Floating ? real_ != 0 || imaginary_ != 0 : integer_ != 0; }
  bool equals(double v) const { return real() == v && imaginary_ == 0; }
  Scalar operator-() const {
    if (kind_ == Category::Complex) return Scalar(-complex());
    return kind_ == Category::Floating ? Scalar(-real_)
           : wide_                     ? Scalar(-real())
                                       : Scalar(int64_t(-uint64_t(integer_)));
  }

  template <class T>
  T to() const {
    if constexpr (std::is_same_v<T, bool>)
      return truth();
    else if constexpr (std::is_same_v<T, uint64_t>)
      return unsigned_integer();
    else if constexpr (std::is_integral_v<T>)
      return static_cast<T>(integer());
    else if constexpr (is_complex_type<T>)
      return convert<T>(complex());
    else
      return convert<T>(real());
  }

 private:
  union {
    int64_t integer_;
    double real_;
  };
  double imaginary_ = 0;
  Category kind_;
  bool wide_ = false;
};

// Returns true if `dtype` can represent the number: integers within the range (negative integers wrap in unsigned
// dtypes, as in PyTorch), and numbers without an imaginary part in real dtypes.
inline bool fits(const Scalar& s, Dtype dtype) {
  if (s.imaginary() != 0 && !is_complex(dtype) && dtype != Dtype::bool_) return false;
  if (is_inexact(dtype)) return true;
  return dispatch(dtype, [&](auto tag) -> bool {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool> || !std::is_integral_v<T>) {
      return true;
    } else {
      constexpr double limit = double(uint64_t(1) << (8 * sizeof(T) - 1)) * (std::is_signed_v<T> ? 1 : 2);
      if (s.kind() >= Category::Floating) return s.real() > -limit - std::is_signed_v<T> && s.real() < limit;
      if (s.wide()) return std::is_same_v<T, uint64_t>;
      return sizeof(T) == 8 || (double(s.integer()) >= -limit + !std::is_signed_v<T> && double(s.integer()) < limit);
    }
  });
}

inline std::ostream& operator<<(std::ostream& out, const Scalar& s) {
  if (s.kind() == Category::Complex) return out << s.complex();
  if (s.wide()) return out << s.unsigned_integer();
  return s.kind() == Category::Floating ? out << s.real() : out << s.integer();
}

}  // namespace flambeau
