// Modified Bessel functions of orders 0 and 1, by Chebyshev series of the exponentially scaled functions. The
// coefficients were computed from integrals with 40 digits.
#pragma once

#include "flambeau/kernels/math/chebyshev.h"
#include "flambeau/kernels/math/root_inverse.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace series {

// The coefficients are templates, so that GPU code that does not use them does not contain them: the compiler would
// allocate GPU memory for ordinary constants.
template <class V>
inline constexpr double i0e_small[] = {
    3.3839763720473804e-1,  -3.046826723431984e-1,   1.7162090152220878e-1,  -9.4901097048047644e-2,
    4.9305284239670708e-2,  -2.3737414805899469e-2,  1.0546460394594998e-2,  -4.3243099950505759e-3,
    1.6394756169413358e-3,  -5.7637557453858237e-4,  1.8850288509584166e-4,  -5.7541950100821037e-5,
    1.6448448070728897e-5,  -4.4167383584587506e-6,  1.1173875391201037e-6,  -2.6707938539406117e-7,
    6.0469950225419189e-8,  -1.300025009986248e-8,   2.6598237246823867e-9,  -5.1897956016352629e-10,
    9.6758090353732369e-11, -1.7268262914415557e-11, 2.9550526631296398e-12, -4.8564467831119295e-13,
    7.6761854986049356e-14, -1.1685332877993452e-14, 1.715391285555133e-15,  -2.4312798465479547e-16,
    3.3307945188222381e-17, -4.4153416464793394e-18, 5.6691780069214962e-19};
template <class V>
inline constexpr double i0e_large[] = {
    4.0224520550705442e-1,   3.3691164782556941e-3,   6.889758346916824e-5,    2.8913705208347565e-6,
    2.0489185894690637e-7,   2.2666689904981781e-8,   3.3962320257083863e-9,   4.9406023882249696e-10,
    1.1889147107846438e-11,  -3.1499165279632414e-11, -1.3215811840447713e-11, -1.7941785315068061e-12,
    7.1801244513836662e-13,  3.8527783827421427e-13,  1.5400862175214098e-14,  -4.1505693472872221e-14,
    -9.5548466988283076e-15, 3.8116806693526224e-15,  1.7725601330565264e-15,  -3.4254856196772191e-16,
    -2.8276239805165835e-16, 3.4612228676974611e-17,  4.46562142029676e-17,    -4.8305044859441821e-18,
    -7.233180487874754e-18,  9.9214754121736986e-19,  1.1936508908459821e-18};
template <class V>
inline constexpr double i1e_small[] = {
    1.2629359322181683e-1,  -1.7641651835783406e-1,  1.026436586898471e-1,   -5.2945981208094991e-2,
    2.4726449030626517e-2,  -1.0564084894626198e-2,  4.1564229443128882e-3,  -1.5135724506312531e-3,
    5.1228595616857577e-4,  -1.6176081582589675e-4,  4.7815651075500542e-5,  -1.3273163656039436e-5,
    3.4702513081376785e-6,  -8.5687202646954547e-7,  2.0032947535521353e-7,  -4.4450591287963281e-8,
    9.3815373864957718e-9,  -1.8872497517228293e-9,  3.625590281552117e-10,  -6.6634897235020277e-11,
    1.1736186298890902e-11, -1.9839743977649437e-12, 3.2237933659455747e-13, -5.0421855047279117e-14,
    7.6006842947354069e-15, -1.1055969477353863e-15, 1.5536319577362005e-16, -2.1114212143581661e-17,
    2.7779141127610464e-18, -3.5415817725421362e-19};
template <class V>
inline constexpr double i1e_large[] = {
    3.8928811750914006e-1,   -9.7610974913614684e-3,  -1.1058893876262372e-4,  -3.8825648088776904e-6,
    -2.5122362378702089e-7,  -2.6314688468895195e-8,  -3.835380385964237e-9,   -5.5897434621965838e-10,
    -1.8974958123505412e-11, 3.2526035830154882e-11,  1.4125807436613781e-11,  2.0356285441470895e-12,
    -7.1985517762459085e-13, -4.0835511110921973e-13, -2.1015418427726643e-14, 4.2724400167119514e-14,
    1.0420276984128803e-14,  -3.8144030724370078e-15, -1.8803547755107824e-15, 3.3082023109209283e-16,
    2.9626289976459501e-16,  -3.209525921993424e-17,  -4.6503053684893583e-17, 4.4143483230717079e-18,
    7.5172963108421048e-18,  -9.3141788673268834e-19, -1.242193275194891e-18};
template <class V>
inline constexpr double k0_small[] = {-2.6766369661695138e-1, 3.4428989992462849e-1,  3.5979936515361502e-2,
                                      1.2646154114469259e-3,  2.2862121031194518e-5,  2.5347910790261495e-7,
                                      1.9045163772202089e-9,  1.0349695257633625e-11, 4.2598161427910826e-14,
                                      1.3744654358807509e-16, 3.5708965285083736e-19};
template <class V>
inline constexpr double k0e_large[] = {
    1.2201515410329777,     -3.1448101311964501e-2,  1.5698838857300534e-3,  -1.2849549581627803e-4,
    1.3949813718876499e-5,  -1.8317555227191195e-6,  2.7668136394450151e-7,  -4.6604898976879476e-8,
    8.574034017414226e-9,   -1.6975345093890615e-9,  3.5773972814003284e-10, -7.9574892444773969e-11,
    1.8559491149549265e-11, -4.5145978833745191e-12, 1.1403405882073442e-12, -2.9800969231481783e-13,
    8.0328907750683741e-14, -2.2275133267462963e-14, 6.3400764762766457e-15, -1.8485933779209071e-15,
    5.5120559994043331e-16, -1.6782311257549006e-16, 5.2103917776435539e-17, -1.6475805939842632e-17,
    5.3004337711773355e-18, -1.7331712005820999e-18};
template <class V>
inline constexpr double k1_small[] = {7.6265011366947389e-1,   -3.5315596077654488e-1,  -1.2261118082265715e-1,
                                      -6.9757238596398644e-3,  -1.7302889575130521e-4,  -2.4334061415659682e-6,
                                      -2.2133876307347259e-8,  -1.4114883926335278e-10, -6.666901694199329e-13,
                                      -2.4274498505193659e-15, -7.0238634793862876e-18};
template <class V>
inline constexpr double k1e_large[] = {
    1.3603130952422213,      1.0392373657681724e-1,  -2.8578168596227794e-3,  1.9521551847135163e-4,
    -1.9361979741660829e-5,  2.4064849478372171e-6,  -3.5019606030878125e-7,  5.7410841254500492e-8,
    -1.0345762465678097e-8,  2.0150497551970346e-9,  -4.1903547593419255e-10, 9.218315187605314e-11,
    -2.129967838427791e-11,  5.1396396734823434e-12, -1.2891739609498229e-12, 3.348419666052243e-13,
    -8.9767051820101458e-14, 2.4771544242195986e-14, -7.0198370892147686e-15, 2.0387031662398608e-15,
    -6.0570472706430176e-16, 1.8380935752430453e-16, -5.6894628491936481e-17, 1.7940510478863572e-17,
    -5.7567444820733022e-18, 1.8778651901623266e-18};

// Returns 1 / sqrt(x) for x >= 1, with the accuracy that V needs. For float32, x is limited to 1e100, where the result
// is 0 in float32.
template <class V>
FLAMBEAU_INLINE double inverse_root(double x) {
  if constexpr (sizeof(V) == 4)
    return root_inverse<2>(x > 1e100 ? 1e100 : x);
  else
    return 1.0 / std::sqrt(x);
}
// For |x| < 8, the functions are series in |x|, which near_i0e and near_i1e compute. For larger |x|, they are series in
// 1 / |x|.
template <class V>
FLAMBEAU_INLINE double near_i0e(double x) {
  return chebyshev<V, i0e_small<V>>(std::fabs(x) * 0.25 - 1.0);
}
template <class V>
FLAMBEAU_INLINE double near_i1e(double x) {
  return x * chebyshev<V, i1e_small<V>>(std::fabs(x) * 0.25 - 1.0);
}
template <class V>
FLAMBEAU_INLINE double special_i0e(double x) {
  const double a = std::fabs(x), root = inverse_root<V>(a < 8.0 ? 8.0 : a);
  const double near = near_i0e<V>(a < 8.0 ? x : 8.0);
  const double far = root * chebyshev<V, i0e_large<V>>(16.0 * root * root - 1.0);
  return a < 8.0 ? near : far;
}
template <class V>
FLAMBEAU_INLINE double special_i1e(double x) {
  const double a = std::fabs(x), root = inverse_root<V>(a < 8.0 ? 8.0 : a);
  const double near = near_i1e<V>(a < 8.0 ? x : 8.0);
  const double far = root * chebyshev<V, i1e_large<V>>(16.0 * root * root - 1.0);
  return a < 8.0 ? near : std::copysign(far, x);
}
FLAMBEAU_INLINE double by_exponential(double scaled, double x) {  // scaled * e**|x|, without intermediate overflow
  const double half = exp(0.5 * std::fabs(x));
  return scaled * half * half;
}
template <class V>
FLAMBEAU_INLINE double i0(double x) {
  const double a = std::fabs(x), y = a < 700.0 ? special_i0e<V>(x) * exp(a) : by_exponential(special_i0e<V>(x), x);
  return a == INFINITY ? a : y;
}
template <class V>
FLAMBEAU_INLINE double special_i1(double x) {
  const double a = std::fabs(x), y = a < 700.0 ? special_i1e<V>(x) * exp(a) : by_exponential(special_i1e<V>(x), x);
  return a == INFINITY ? x : y;
}

// For x up to 2, K0(x) = series(x**2) - log(x / 2) I0(x), and similarly for K1. For larger x, sqrt(x) e**x K(x) is a
// series in 1 / x.
template <class V>
FLAMBEAU_INLINE double special_scaled_modified_bessel_k0(double x) {
  const double inside = x < 2.0 ? x : 2.0, e = exp(inside), root = inverse_root<V>(x < 2.0 ? 2.0 : x);
  const double near =
      chebyshev<V, k0_small<V>>(inside * inside * 0.5 - 1.0) - log(0.5 * inside) * (near_i0e<V>(inside) * e);
  const double far = root * chebyshev<V, k0e_large<V>>(4.0 * root * root - 1.0);
  const double y = x < 2.0 ? near * e : far;
  return x == 0.0 ? INFINITY : (x < 0.0 ? NAN : y);
}
template <class V>
FLAMBEAU_INLINE double special_scaled_modified_bessel_k1(double x) {
  const double inside = x < 2.0 ? x : 2.0, e = exp(inside), root = inverse_root<V>(x < 2.0 ? 2.0 : x);
  const double near =
      chebyshev<V, k1_small<V>>(inside * inside * 0.5 - 1.0) / inside + log(0.5 * inside) * (near_i1e<V>(inside) * e);
  const double far = root * chebyshev<V, k1e_large<V>>(4.0 * root * root - 1.0);
  const double y = x < 2.0 ? near * e : far;
  return x == 0.0 ? INFINITY : (x < 0.0 ? NAN : y);
}
template <class V>
FLAMBEAU_INLINE double special_modified_bessel_k0(double x) {
  return exp(-x) * special_scaled_modified_bessel_k0<V>(x);
}
template <class V>
FLAMBEAU_INLINE double special_modified_bessel_k1(double x) {
  return exp(-x) * special_scaled_modified_bessel_k1<V>(x);
}

}  // namespace series

FLAMBEAU_BY_SERIES(i0)
FLAMBEAU_BY_SERIES(special_i0e)
FLAMBEAU_BY_SERIES(special_i1)
FLAMBEAU_BY_SERIES(special_i1e)
FLAMBEAU_BY_SERIES(special_modified_bessel_k0)
FLAMBEAU_BY_SERIES(special_modified_bessel_k1)
FLAMBEAU_BY_SERIES(special_scaled_modified_bessel_k0)
FLAMBEAU_BY_SERIES(special_scaled_modified_bessel_k1)

}  // namespace flambeau::kernels::FLAMBEAU_ISA
