// The logistic function and its inverse.
#pragma once

#include "flambeau/kernels/math/exponential.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Returns log(1 + f) / s - 2, where s = f / (2 + f) is at most 1/5. The errors are 2**-35 in float32 and 2**-55 in
// float64.
FLAMBEAU_INLINE float odds_rest(float s) {
  constexpr float q[] = {0.241037932f, 0.285067685f, 0.400008681f, 0.666666631f};
  const float z = s * s;
  return z * horner(z, q);
}
FLAMBEAU_INLINE double odds_rest(double s) {
  constexpr double q[] = {0.153738845327378908, 0.152494534539431695, 0.181863930149097438, 0.222221375925378591,
                          0.285714294065444263, 0.399999999960978365, 0.666666666666728316};
  const double z = s * s;
  return z * horner(z, q);
}
// Returns log(x / (1 - x)) for 0 < x < 1, computed with one division. The odds x / (1 - x) are 2**steps * a / b, where
// a and b have about the same size, and s = (a - b) / (a + b). Near x = 1/2, the difference is exact. `scaled` is x *
// 2**raised and must be a normal number.
template <class V>
FLAMBEAU_INLINE V logit_of(V x, V scaled, V raised) {
  using Bits = std::conditional_t<sizeof(V) == 4, uint32_t, uint64_t>;
  constexpr int kDigits = sizeof(V) == 4 ? 23 : 52;
  constexpr Bits kHalf = Bits(1) << (kDigits - 1), kExponent = ~((Bits(1) << kDigits) - 1);
  const V b = V(1) - x, twice = x + x - V(1);
  const Bits steps = (bit_cast<Bits>(scaled) - bit_cast<Bits>(b) + kHalf) & kExponent;
  const V a = bit_cast<V>(bit_cast<Bits>(scaled) - steps), s = (steps == 0 ? twice : a - b) / (a + b);
  V exponent;
  if constexpr (sizeof(V) == 4)
    exponent = static_cast<float>(static_cast<int32_t>(steps) >> kDigits);
  else  // converted to double in the low bits of 2**52
    exponent = bit_cast<double>((steps + (Bits(1) << 63)) >> kDigits | 0x4330000000000000ull) - (0x1p52 + 2048.0);
  exponent -= raised;
  return exponent * kLn2High<V> + (s + (s + (s * odds_rest(s) + exponent * kLn2Low<V>)));
}
template <class V>
FLAMBEAU_INLINE V usual_logit(V x) {
  return logit_of(x, x, V(0));
}
template <class V>
FLAMBEAU_INLINE V logit(V x) {
  constexpr V up = sizeof(V) == 4 ? V(0x1p23) : V(0x1p52);
  const bool small = x < std::numeric_limits<V>::min();
  const V y = logit_of(x, small ? x * up : x, small ? V(sizeof(V) == 4 ? 23 : 52) : V(0));
  const V outside = x == V(0) ? -V(INFINITY) : (x == V(1) ? V(INFINITY) : V(NAN));
  return (x > V(0)) & (x < V(1)) ? y : outside;
}

// Returns the sigmoid, given e = exp(-|x|), which does not overflow. Small results have full relative precision.
template <class V>
FLAMBEAU_INLINE V sigmoid_by(V x, V e) {
  return (x < V(0) ? e : V(1)) / (V(1) + e);
}
template <class V>
FLAMBEAU_INLINE V sigmoid(V x) {
  return sigmoid_by(x, exp_falling(-std::fabs(x)));
}
// For |x| <= kUsualSigmoid, the sigmoid is a normal number. Below -kUsualSigmoid it is e**x.
template <class V>
inline constexpr V kUsualSigmoid = sizeof(V) == 4 ? V(87.25) : V(708.25);
template <class V>
FLAMBEAU_INLINE V usual_sigmoid(V x) {
  return sigmoid_by(x, usual_exp_falling(-std::fabs(x)));
}
template <class V>
FLAMBEAU_INLINE V gradual_sigmoid(V x) {
  const V far = -std::fabs(x);
  const bool vanishes = far < kMinExponent<V>, small = far < -kUsualSigmoid<V>;
  const auto parts = falling_parts(vanishes ? V(0) : far, V(0));
  const V e = times_gradual_power(parts.reduced, parts.scaler), beyond = x < V(0) ? (vanishes ? V(0) : e) : V(1);
  return small ? beyond : sigmoid_by(x, small ? V(0) : e);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
