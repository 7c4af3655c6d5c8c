// Orthogonal polynomials and the Airy function Ai, in double. The degree is truncated to an integer; negative degrees
// give 0. Polynomials use their recurrences, DLMF 18.9. If the recurrences would be long, Chebyshev polynomials use
// closed forms, and Laguerre and Legendre polynomials use Hilb's asymptotic formulas, DLMF 18.15. Ai is from Cephes
// (Moshier, 1989).
#pragma once

#include <cmath>

#include "flambeau/kernels/math/oscillating_bessel.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr double kLongRecurrence = 100000;
FLAMBEAU_SCALAR double bessel_j0(double x) { return special_bessel_j0(Unbounded<double>(x)).value; }

// A class P of polynomials defines `second`, the value for degree 1, `step`, the value for degree k + 1 from the values
// for k and k - 1, and `beyond`, the value for degrees above kLongest. The recurrence is used for degrees up to
// kLongest. The value for degree 0 is 1. The recurrence ends at the first infinite value, because further steps would
// subtract infinities. The sign that they would give is taken from the leading term, which dominates for large |x|.
template <class P>
FLAMBEAU_SCALAR double by_recurrence(double x, double n) {
  if (!(n >= 1)) return n != n ? n : n > -1 ? 1 : 0;  // -0.5 truncates to degree 0
  double before = 1, value = P::second(x), k = 1;
  for (; k + 1 <= n && std::isfinite(value); k += 1) {
    const double next = P::step(k, x, value, before);
    before = value;
    value = next;
  }
  const bool odd_rest = std::fmod(std::trunc(n) - k, 2) != 0;
  return odd_rest && std::isinf(value) && P::step(k, x, 1.0, 0.0) < 0 ? -value : value;
}
template <class P>
FLAMBEAU_SCALAR double orthogonal(double x, double n) {
  return n > P::kLongest && !std::isinf(x) ? P::beyond(x, n) : by_recurrence<P>(x, n);
}
enum class Kind { T, U, V, W };
// Computes the closed form, with trigonometric functions within [-1, 1] and hyperbolic functions outside.
template <Kind kind>
double chebyshev_closed(double x, double n) {
  const bool inside = std::fabs(x) <= 1, flip = x < -1;
  const double angle = inside ? std::acos(x) : std::acosh(std::fabs(x));
  const auto sine = [&](double v) { return inside ? std::sin(v) : std::sinh(v); };
  const auto cosine = [&](double v) { return inside ? std::cos(v) : std::cosh(v); };
  const double sign = flip && std::fmod(n, 2) != 0 ? -1 : 1;
  if constexpr (kind == Kind::T) return sign * cosine(n * angle);
  if constexpr (kind == Kind::U) return sign * sine((n + 1) * angle) / sine(angle);
  // V(-x) is W(x) with alternating signs.
  if ((kind == Kind::V) != flip) return sign * cosine((n + 0.5) * angle) / cosine(0.5 * angle);
  return sign * sine((n + 0.5) * angle) / sine(0.5 * angle);
}
template <Kind kind>
struct Chebyshev {
  static constexpr double kLongest = 60;
  template <class V>
  static FLAMBEAU_INLINE V second(V x) {
    return kind == Kind::T ? x : (kind == Kind::U ? 2 * x : (kind == Kind::V ? 2 * x - 1 : 2 * x + 1));
  }
  template <class V>
  static FLAMBEAU_INLINE V step(double, V x, V q, V p) {
    return 2 * x * q - p;
  }
  static double beyond(double x, double n) {
    if (std::fabs(x) != 1) return chebyshev_closed<kind>(x, std::trunc(n));
    // At x = 1 and x = -1, the values are linear in n or constant.
    const double m = std::trunc(n), end = kind == Kind::T ? 1 : (kind == Kind::U ? m + 1 : 2 * m + 1);
    const bool flat = (kind == Kind::V && x > 0) || (kind == Kind::W && x < 0);
    return (x < 0 && std::fmod(m, 2) != 0 ? -1 : 1) * (flat ? 1 : end);
  }
};
struct Hermite {
  static constexpr double kLongest = INFINITY;
  template <class V>
  static FLAMBEAU_INLINE V second(V x) {
    return 2 * x;
  }
  template <class V>
  static FLAMBEAU_INLINE V step(double k, V x, V q, V p) {
    return 2 * x * q - 2 * k * p;
  }
  static double beyond(double x, double n) { return by_recurrence<Hermite>(x, n); }
};
struct ProbabilistHermite {
  static constexpr double kLongest = INFINITY;
  template <class V>
  static FLAMBEAU_INLINE V second(V x) {
    return x;
  }
  template <class V>
  static FLAMBEAU_INLINE V step(double k, V x, V q, V p) {
    return x * q - k * p;
  }
  static double beyond(double x, double n) { return by_recurrence<ProbabilistHermite>(x, n); }
};
struct Laguerre {
  static constexpr double kLongest = kLongRecurrence;
  template <class V>
  static FLAMBEAU_INLINE V second(V x) {
    return 1 - x;
  }
  template <class V>
  static FLAMBEAU_INLINE V step(double k, V x, V q, V p) {
    return ((2 * k + 1 - x) * q - k * p) / (k + 1);
  }
  static double beyond(double x, double n) {
    if (x > 4 * n + 2) return by_recurrence<Laguerre>(x, n);  // beyond the zeros: the recurrence overflows soon
    if (x > 0) return std::exp(0.5 * x) * bessel_j0(2 * std::sqrt((std::trunc(n) + 0.5) * x));
    return x == 0 ? 1 : (x < 0 ? INFINITY : NAN);
  }
};
struct Legendre {
  static constexpr double kLongest = kLongRecurrence;
  template <class V>
  static FLAMBEAU_INLINE V second(V x) {
    return x;
  }
  template <class V>
  static FLAMBEAU_INLINE V step(double k, V x, V q, V p) {
    return ((2 * k + 1) * x * q - k * p) / (k + 1);
  }
  static double beyond(double x, double n) {
    const bool odd = x < 0 && std::fmod(std::trunc(n), 2) != 0;
    if (std::fabs(x) < 1) {
      const double m = std::trunc(n), angle = std::acos(std::fabs(x));
      return (odd ? -1 : 1) * std::sqrt(angle == 0 ? 1 : angle / std::sin(angle)) * bessel_j0((m + 0.5) * angle);
    }
    return std::fabs(x) == 1 ? (odd ? -1 : 1) : by_recurrence<Legendre>(x, n);
  }
};
template <class V>
V special_chebyshev_polynomial_t(V x, V n) {
  return V(orthogonal<Chebyshev<Kind::T>>(x, n));
}
template <class V>
V special_chebyshev_polynomial_u(V x, V n) {
  return V(orthogonal<Chebyshev<Kind::U>>(x, n));
}
template <class V>
V special_chebyshev_polynomial_v(V x, V n) {
  return V(orthogonal<Chebyshev<Kind::V>>(x, n));
}
template <class V>
V special_chebyshev_polynomial_w(V x, V n) {
  return V(orthogonal<Chebyshev<Kind::W>>(x, n));
}
template <class V>
V special_hermite_polynomial_h(V x, V n) {
  return V(orthogonal<Hermite>(x, n));
}
template <class V>
V special_hermite_polynomial_he(V x, V n) {
  return V(orthogonal<ProbabilistHermite>(x, n));
}
template <class V>
V special_laguerre_polynomial_l(V x, V n) {
  return V(orthogonal<Laguerre>(x, n));
}
template <class V>
V special_legendre_polynomial_p(V x, V n) {
  return V(orthogonal<Legendre>(x, n));
}

// Computes the Airy function from auxiliary functions of the phase z = 2/3 |x|**(3/2) far from 0, and from the
// Maclaurin series near 0.
FLAMBEAU_SCALAR double special_airy_ai(double x) {
  constexpr double an[] = {3.46538101525629032477e-01, 1.20075952739645805542e+01, 7.62796053615234516538e+01,
                           1.68089224934630576269e+02, 1.59756391350164413639e+02, 7.05360906840444183113e+01,
                           1.40264691163389668864e+01, 9.99999999999999995305e-01};
  constexpr double ad[] = {5.67594532638770212846e-01, 1.47562562584847203173e+01, 8.45138970141474626562e+01,
                           1.77318088145400459522e+02, 1.64234692871529701831e+02, 7.14778400825575695274e+01,
                           1.40959135607834029598e+01, 1.00000000000000000470e+00};
  constexpr double afn[] = {-1.31696323418331795333e-01, -6.26456544431912369773e-01, -6.93158036036933542233e-01,
                            -2.79779981545119124951e-01, -4.91900132609500318020e-02, -4.06265923594885404393e-03,
                            -1.59276496239262096340e-04, -2.77649108155232920844e-06, -1.67787698489114633780e-08};
  constexpr double afd[] = {1.0,
                            1.33560420706553243746e+01,
                            3.26825032795224613948e+01,
                            2.67367040941499554804e+01,
                            9.18707402907259625840e+00,
                            1.47529146771666414581e+00,
                            1.15687173795188044134e-01,
                            4.40291641615211203805e-03,
                            7.54720348287414296618e-05,
                            4.51850092970580378464e-07};
  constexpr double agn[] = {1.97339932091685679179e-02, 3.91103029615688277255e-01, 1.06579897599595591108e+00,
                            9.39169229816650230044e-01, 3.51465656105547619242e-01, 6.33888919628925490927e-02,
                            5.85804113048388458567e-03, 2.82851600836737019778e-04, 6.98793669997260967291e-06,
                            8.11789239554389293311e-08, 3.41551784765923618484e-10};
  constexpr double agd[] = {1.0,
                            9.30892908077441974853e+00,
                            1.98352928718312140417e+01,
                            1.55646628932864612953e+01,
                            5.47686069422975497931e+00,
                            9.54293611618961883998e-01,
                            8.64580826352392193095e-02,
                            4.12656523824222607191e-03,
                            1.01259085116509135510e-04,
                            1.17166733214413521882e-06,
                            4.91834570062930015649e-09};
  constexpr double kInverseRootPi = 0.5641895835477563;
  if (x != x) return x;
  if (x > 103.892) return 0;
  if (x == -INFINITY) return 0;
  const double a = std::fabs(x), z = 2 * a * std::sqrt(a) / 3, fourth = std::sqrt(std::sqrt(a));
  if (x < -2.09) {
    const double v = 1 / z, w = v * v, f = 1 + w * horner(w, afn) / horner(w, afd),
                 g = v * horner(w, agn) / horner(w, agd);
    const double angle = z + 0.7853981633974483;
    return kInverseRootPi / fourth * (std::sin(angle) * f - std::cos(angle) * g);
  }
  if (x >= 2.09) {
    const double v = 1 / z;
    return kInverseRootPi * horner(v, an) / horner(v, ad) / (2 * fourth * std::exp(z));
  }
  double f = 1, g = x, up = 1, vp = x, k = 2;
  const double cube = x * x * x;
  while (std::fabs(up) > 1e-18 || std::fabs(vp) > 1e-18) {
    up *= cube / (k * (k + 1));
    vp *= cube / ((k + 1) * (k + 2));
    f += up;
    g += vp;
    k += 3;
  }
  return 0.355028053887817239 * f - 0.258819403792806798 * g;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
