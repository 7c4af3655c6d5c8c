// Polygamma, the Hurwitz zeta function and the incomplete gamma functions, as scalar code in double. Zeta:
// Euler-Maclaurin summation as in Cephes (Moshier, 1987). Incomplete gamma functions: series and continued fraction,
// DLMF 8.7.1 and 8.9.2, and Temme 1979 if the parameter is large.
#pragma once

#include <cmath>

#include "flambeau/kernels/math/digamma.h"
#include "flambeau/kernels/math/log_gamma.h"
#include "flambeau/kernels/math/trigonometric.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr double kEpsilon = 0x1p-52;  // the distance from 1 to the next double

// Returns a**-s, by multiplications if s is a small integer.
FLAMBEAU_SCALAR double falling_power(double a, double s) {
  if (s > 8 || s != std::floor(s)) return std::pow(a, -s);
  double power = a;
  for (int k = 1; k < int(s); ++k) power *= a;
  return 1 / power;
}
// Returns the sum of (q + k)**-s over k >= 0, for q > 0 and s > 1: at least `terms` terms, and the Euler-Maclaurin
// formula for the rest. The relative error is 1e-16 with 6 terms and 1e-11 with 4.
FLAMBEAU_SCALAR double zeta_positive(double s, double q, int terms) {
  constexpr double factors[] = {1 / 12.0,
                                -1 / 720.0,
                                1 / 30240.0,
                                -1 / 1209600.0,
                                1 / 47900160.0,
                                -1 / 1.8924375803183791606e9,
                                1 / 7.47242496e10,
                                -1 / 2.950130727918164224e12,
                                1 / 1.1646782814350067249e14,
                                -1 / 4.5979787224074726105e15,
                                1 / 1.8152105401943546773e17,
                                -1 / 7.1661652561756670113e18};
  if (q > 1e8) return (1 / (s - 1) + 1 / (2 * q)) * std::pow(q, 1 - s);
  double sum = falling_power(q, s), a = q, b = 0;
  for (int i = 0; i < terms || a <= terms; ++i) {
    a += 1;
    b = falling_power(a, s);
    sum += b;
    if (b < kEpsilon / 4 * sum) return sum;
  }
  sum += b * a / (s - 1) - 0.5 * b;
  const double inverse = 1 / a, square = inverse * inverse;
  double rising = s * inverse * b, k = 1;
  for (const double factor : factors) {
    const double term = rising * factor;
    sum += term;
    if (std::fabs(term) < kEpsilon / 4 * std::fabs(sum)) break;
    rising *= (s + k) * (s + k + 1) * square;
    k += 2;
  }
  return sum;
}
FLAMBEAU_SCALAR double hurwitz_zeta(double s, double q, int terms) {
  if (s == 1) return INFINITY;
  if (!(s > 1) || q != q) return NAN;
  if (q > 0) return zeta_positive(s, q, terms);
  if (q == std::floor(q)) return INFINITY;
  if (s != std::floor(s)) return NAN;
  // The terms with q + k < 0 are, except for their sign, the terms of the positive numbers fraction, fraction + 1, ...,
  // -q. The other terms begin at 1 - fraction.
  const double fraction = -q - std::floor(-q), sign = std::fmod(s, 2) == 0 ? 1 : -1;
  return sign * (zeta_positive(s, fraction, terms) - zeta_positive(s, 1 - q, terms)) +
         zeta_positive(s, 1 - fraction, terms);
}
FLAMBEAU_SCALAR double special_zeta(double s, double q) { return hurwitz_zeta(s, q, 6); }
inline float special_zeta(float s, float q) { return static_cast<float>(hurwitz_zeta(s, q, 4)); }
// Returns the sum of (x + k)**-2 over k >= 0, for x >= 1/2: as many terms as V needs, and the Euler-Maclaurin formula
// for the rest.
template <class V>
FLAMBEAU_SCALAR double trigamma_positive(double x) {
  constexpr int terms = sizeof(V) == 4 ? 4 : 8;
  double sum = 0;
  if (x < terms * 1.5) {
    for (int k = 0; k < terms; k += 2) {  // one division for two terms
      const double a = x + k, b = a + 1, both = a * b;
      sum += (a * a + b * b) / (both * both);
    }
    x += terms;
  }
  constexpr double factors[] = {1.0 / 6,  -1.0 / 30,     1.0 / 42, -1.0 / 30,
                                5.0 / 66, -691.0 / 2730, 7.0 / 6,  -3617.0 / 510};
  const double inverse = 1 / x, square = inverse * inverse;
  return sum + (inverse + square * (0.5 + inverse * polynomial(square, factors)));
}
template <class V>
FLAMBEAU_SCALAR double polygamma_for(double x, double n) {
  if (n == 0) return digamma(x);
  if (n == 1 && x < 0.5 && x != std::floor(x)) {  // by reflection, because the sum would lose digits by cancellation
    const double s = 3.141592653589793 / sine_of_half_turn(3.141592653589793 * (x - std::rint(x)));
    return s * s - trigamma_positive<V>(1 - x);
  }
  if (n == 1 && x >= 0.5) return trigamma_positive<V>(x);
  const bool even = n == 2 || std::fmod(n, 2) == 0;
  const double y = (n == 2 ? 2.0 : std::exp(lgamma(n + 1))) * special_zeta(n + 1, x);
  return even ? -y : y;
}
FLAMBEAU_SCALAR double _polygamma(double x, double n) { return polygamma_for<double>(x, n); }
FLAMBEAU_SCALAR float _polygamma(float x, float n) { return static_cast<float>(polygamma_for<float>(x, n)); }

// Returns x**a e**-x / Gamma(a + 1).
FLAMBEAU_SCALAR double gamma_prefix(double a, double x, double tolerance) {
  if (a < (tolerance < 1e-12 ? 20 : 8)) {  // gamma(a + 1) as gamma(u) times factors, with u from 1.5 to 2.5
    double factors = 1, others = 1, u = a + 1;
    if (u < 1.5) factors /= u++;
    for (; u > 3.5; u -= 2) factors *= u - 1, others *= u - 2;
    if (u > 2.5) factors *= --u;
    return std::exp(a * std::log(x) - x - series::lgamma_about_two<double>(u - 2)) / (factors * others);
  }
  const double mu = (x - a) / a;  // large a: by mu and Stirling's series
  const double stirling = 1 / (12 * a) - 1 / (360 * a * a * a) + 1 / (1260 * a * a * a * a * a);
  return std::exp(a * (std::log1p(mu) - mu) - stirling) / std::sqrt(6.283185307179586 * a);
}
FLAMBEAU_SCALAR double gamma_series(double a, double x, double tolerance) {  // the lower incomplete gamma function
  double sum = 1, term = 1;
  for (double n = a + 1; term > tolerance / 4 * sum && n < a + 2000; n += 1) {
    term *= x / n;
    sum += term;
  }
  return gamma_prefix(a, x, tolerance) * sum;
}
// Returns the upper incomplete gamma function, computed by its continued fraction. Numerators and denominators follow
// their recurrences, so that the divisions do not depend on each other.
FLAMBEAU_SCALAR double gamma_fraction(double a, double x, double tolerance) {
  const double prefix = gamma_prefix(a, x, tolerance) * a;
  if (prefix == 0) return 0;  // also for very large x, whose square would overflow below
  double over = x + 1, under = (x + 2 - a) * x, over_before = 1, under_before = x, y = over / under;
  for (int i = 1; i < 2000; ++i) {
    const double b = x + 2 * i + 2 - a, factor = i * (i + 1 - a);
    const double next_over = over * b - over_before * factor, next_under = under * b - under_before * factor;
    over_before = over;
    under_before = under;
    over = next_over;
    under = next_under;
    const double value = over / under, change = value - y;
    y = value;
    if (std::fabs(change) < tolerance * std::fabs(value)) break;
    const double smaller = std::fabs(over) > 1e100 ? 1e-100 : 1;
    over *= smaller;
    under *= smaller;
    over_before *= smaller;
    under_before *= smaller;
  }
  return prefix * y;
}

// Returns the lower or upper incomplete gamma function for large a and x near a, computed as a normal distribution
// function with a correction.
FLAMBEAU_SCALAR double gamma_uniform(double a, double x, bool upper, double tolerance) {
  // Temme's coefficients, rounded from exact rationals. Each row belongs to a power of 1 / a and contains the
  // coefficients of the powers of eta; omitted coefficients are 0. The first 4 rows and 12 columns suffice for an error
  // of 1e-9.
  static constexpr double kTemme[][20] = {
      {-0.3333333333333333,    0.08333333333333333,    -0.014814814814814815,   0.0011574074074074073,
       0.0003527336860670194,  -0.0001787551440329218, 3.919263178522438e-05,   -2.185448510679992e-06,
       -1.85406221071516e-06,  8.296711340953087e-07,  -1.7665952736826078e-07, 6.707853543401498e-09,
       1.0261809784240309e-08, -4.382036018453353e-09, 9.14769958223679e-10,    -2.5514193994946248e-11,
       -5.830772132550426e-11, 2.4361948020667415e-11, -5.0276692801141755e-12, 1.1004392031956135e-13},
      {-0.001851851851851852, -0.003472222222222222, 0.0026455026455026454, -0.0009902263374485596,
       0.00020576131687242798, -4.018775720164609e-07, -1.8098550334489977e-05, 7.64916091608111e-06,
       -1.6120900894563446e-06, 4.647127802807434e-09, 1.378633446915721e-07, -5.752545603517705e-08,
       1.1951628599778148e-08, -1.7543241719747647e-11, -1.0091543710600413e-09, 4.162792991842583e-10,
       -8.56390702649298e-11, 6.067215101604758e-14},
      {0.004133597883597883, -0.0026813271604938273, 0.0007716049382716049, 2.0093878600823047e-06,
       -0.0001073665322636516, 5.2923448829120125e-05, -1.2760635188618728e-05, 3.423578734096138e-08,
       1.3721957309062934e-06, -6.298992138380055e-07, 1.4280614206064242e-07, -2.0477098421990866e-10,
       -1.409252991086752e-08, 6.228974084922022e-09, -1.3670488396617114e-09, 9.428356159014678e-13},
      {0.0006494341563786008, 0.00022947209362139917, -0.0004691894943952557, 0.00026772063206283885,
       -7.561801671883977e-05, -2.396505113867297e-07, 1.1082654115347302e-05, -5.6749528269915965e-06,
       1.4230900732435883e-06, -2.7861080291528143e-11, -1.6958404091930278e-07, 8.099464905388083e-08,
       -1.9111168485973655e-08, 2.3928620439808118e-12},
      {-0.0008618882909167117, 0.0007840392217200666, -0.0002990724803031902, -1.4638452578843418e-06,
       6.641498215465122e-05, -3.968365047179435e-05, 1.1375726970678419e-05, 2.507497226237533e-10,
       -1.6954149536558305e-06, 8.907507532205309e-07, -2.292934834000805e-07, 2.956794137544049e-11},
      {-0.00033679855336635813, -6.972813758365857e-05, 0.0002772753244959392, -0.00019932570516188847,
       6.797780477937208e-05, 1.419062920643967e-07, -1.3594048189768693e-05, 8.018470256334202e-06,
       -2.291481176508095e-06, -3.252473551298454e-10},
      {0.0005313079364639922, -0.0005921664373536939, 0.0002708782096718045, 7.902353232660328e-07,
       -8.153969367561969e-05, 5.61168275310625e-05, -1.8329116582843375e-05, -3.0796134506033047e-09},
      {0.00034436760689237765, 5.171790908260592e-05, -0.00033493161081142234, 0.0002812695154763237,
       -0.00010976582244684731, -1.2741009095484485e-07},
  };
  const double mu = (x - a) / a;
  const double half_square = mu - std::log1p(mu), eta = std::copysign(std::sqrt(2 * half_square), mu);
  const int rows = tolerance < 1e-12 ? int(sizeof kTemme / sizeof kTemme[0]) : 4, last = tolerance < 1e-12 ? 19 : 11;
  const double inverse = 1 / a;
  double correction = 0, power = 1;
  for (int k = 0; k < rows; ++k) {
    double c = 0;
    for (int n = last; n >= 0; --n) c = c * eta + kTemme[k][n];
    correction += c * power;
    power *= inverse;
  }
  correction *= std::exp(-a * half_square) / std::sqrt(6.283185307179586 * a);
  const double sign = upper ? 1 : -1;
  return 0.5 * std::erfc(sign * eta * std::sqrt(0.5 * a)) + sign * correction;
}
// Returns true if the continued fraction is used. For small x it converges slowly, and the complement of the series has
// enough accurate digits.
inline bool takes_fraction(double a, double x, bool upper) {
  return x > a && x > (upper ? (a >= 1 ? 3 : a >= 0.5 ? 2 : 1.1) : 3);
}
FLAMBEAU_SCALAR double incomplete_gamma(double a, double x, bool upper, double tolerance) {
  if (!(a >= 0) || !(x >= 0) || (a == 0 && x == 0)) return NAN;
  if (a == 0 || x == INFINITY) return a == INFINITY ? NAN : (upper ? 0 : 1);
  if (x == 0 || a == INFINITY) return upper ? 1 : 0;
  if (a > 20 && std::fabs(x - a) < 0.4 * a) return gamma_uniform(a, x, upper, tolerance);
  if (takes_fraction(a, x, upper)) {
    const double above = gamma_fraction(a, x, tolerance);
    return upper ? above : 1 - above;
  }
  if (upper && x <= 1.1 && a < 0.5) {
    // Sums the series DLMF 8.7.3. Its part 1 - x**a / Gamma(a + 1), a difference of numbers near 1, is computed by
    // expm1.
    double term = 1, sum = 0;
    for (int n = 1; n < 200 && std::fabs(term) > kEpsilon / 8; ++n) {
      term *= -x / n;
      sum -= term / (a + n);
    }
    const double u = -std::expm1(a * std::log(x) - lgamma(1 + a));
    return u + std::exp(a * std::log(x) - lgamma(a)) * sum;
  }
  const double below = gamma_series(a, x, tolerance);
  return upper ? 1 - below : below;
}
FLAMBEAU_SCALAR double igamma(double a, double x) { return incomplete_gamma(a, x, false, kEpsilon); }
FLAMBEAU_SCALAR double igammac(double a, double x) { return incomplete_gamma(a, x, true, kEpsilon); }
FLAMBEAU_SCALAR float igamma(float a, float x) { return static_cast<float>(incomplete_gamma(a, x, false, 1e-9)); }
FLAMBEAU_SCALAR float igammac(float a, float x) { return static_cast<float>(incomplete_gamma(a, x, true, 1e-9)); }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
