// Computation of the last elements in loops over long expressions.
//
// Note [Padded tails]
// The compiler adds copies of a vectorised loop for the elements that do not fill a vector: one for half a vector, and
// one for single elements. In the family `special`, whose expressions are the longest, the copies would make up half of
// the kernels, and a single element takes as long as a vector. The loops of this family process only complete vectors.
// The last elements are copied to a separate vector, whose other lanes repeat the first of these elements. The
// operators of the other families compute a few elements faster than the copying would take.
#pragma once

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include "flambeau/kernels/compute.h"
#include "flambeau/kernels/pointwise_traits.h"
#include "flambeau/kernels/simd.h"
#include "kernels/pointwise/narrow_pointwise.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

inline constexpr PointwiseFamily kFamily = PointwiseFamily::FLAMBEAU_FAMILY;

template <class Row, class V>
constexpr bool pads_tail() {
  return kFamily == PointwiseFamily::special && std::is_floating_point_v<V> && !takes_halves<Row>() &&
         !returns_mask<Row> && !has_loop<Row>(PointwiseLoop::Polynomial);
}
// Returns n. For operators with padded tails, the compiler knows that n is a multiple of a vector's length.
template <class Row, class V>
FLAMBEAU_INLINE int64_t whole_vectors(int64_t n) {
  if constexpr (pads_tail<Row, V>()) return n & -int64_t(Simd<V>::kLanes);
  return n;
}

// Copy n elements, 0 < n < kLanes, to or from a vector. Masked instructions do not access the memory after these
// elements.
#if defined(__AVX512F__)
FLAMBEAU_INLINE void load_tail(float* to, const float* from, int64_t n) {
  _mm512_storeu_ps(to, _mm512_mask_loadu_ps(_mm512_set1_ps(*from), __mmask16((1u << n) - 1), from));
}
FLAMBEAU_INLINE void load_tail(double* to, const double* from, int64_t n) {
  _mm512_storeu_pd(to, _mm512_mask_loadu_pd(_mm512_set1_pd(*from), __mmask8((1u << n) - 1), from));
}
FLAMBEAU_INLINE void store_tail(float* to, const float* from, int64_t n) {
  _mm512_mask_storeu_ps(to, __mmask16((1u << n) - 1), _mm512_loadu_ps(from));
}
FLAMBEAU_INLINE void store_tail(double* to, const double* from, int64_t n) {
  _mm512_mask_storeu_pd(to, __mmask8((1u << n) - 1), _mm512_loadu_pd(from));
}
#elif defined(__AVX2__)
template <class V>
FLAMBEAU_INLINE __m256i first_lanes(int64_t n) {
  return (__m256i)(Simd<V>::iota(0, 1) < typename Simd<V>::Integer(n));
}
FLAMBEAU_INLINE void load_tail(float* to, const float* from, int64_t n) {
  const __m256i used = first_lanes<float>(n);
  _mm256_storeu_ps(to, _mm256_blendv_ps(_mm256_set1_ps(*from), _mm256_maskload_ps(from, used), (__m256)used));
}
FLAMBEAU_INLINE void load_tail(double* to, const double* from, int64_t n) {
  const __m256i used = first_lanes<double>(n);
  _mm256_storeu_pd(to, _mm256_blendv_pd(_mm256_set1_pd(*from), _mm256_maskload_pd(from, used), (__m256d)used));
}
FLAMBEAU_INLINE void store_tail(float* to, const float* from, int64_t n) {
  _mm256_maskstore_ps(to, first_lanes<float>(n), _mm256_loadu_ps(from));
}
FLAMBEAU_INLINE void store_tail(double* to, const double* from, int64_t n) {
  _mm256_maskstore_pd(to, first_lanes<double>(n), _mm256_loadu_pd(from));
}
#else
template <class V>
FLAMBEAU_INLINE void load_tail(V* to, const V* from, int64_t n) {
  for (int64_t i = 0; i < Simd<V>::kLanes; ++i) to[i] = from[i < n ? i : 0];
}
template <class V>
FLAMBEAU_INLINE void store_tail(V* to, const V* from, int64_t n) {
  for (int64_t i = 0; i < n; ++i) to[i] = from[i];
}
#endif

// Runs a kernel that has `operands` operands and accepts only complete vectors, over n elements.
template <class V>
void run_padded(PointwiseKernel kernel, char* const* pointers, int64_t n, int operands) {
  constexpr int64_t kLanes = Simd<V>::kLanes;
  constexpr int kMax = kMaxOperands + 3;  // a derivative reads grad, three operands and the result
  const int64_t whole = n & -kLanes, rest = n - whole;
  if (whole > 0) kernel(pointers, whole);
  if (rest == 0) return;
  alignas(64) V vectors[kMax][kLanes];
  char* at[kMax];
  for (int k = 0; k <= operands; ++k) {
    at[k] = reinterpret_cast<char*>(vectors[k]);
    if (k > 0) load_tail(vectors[k], reinterpret_cast<const V*>(pointers[k]) + whole, rest);
  }
  kernel(at, kLanes);
  store_tail(reinterpret_cast<V*>(pointers[0]) + whole, vectors[0], rest);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
