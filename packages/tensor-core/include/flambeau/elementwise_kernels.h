// Generates the loops of a fused elementwise operator from one expression. For kernel sources, which
// flambeau_add_kernels compiles once for each instruction set. elementwise.h explains how to call the operator.
//
//   FLAMBEAU_ELEMENTWISE(silu_mul, [](auto x, auto y) { return x * sigmoid(x) * y; })
//
// The function's arguments are lanes of float32 or float64 vectors, one for each operand (at most five). It may use
//   + - * /, comparisons, which give masks, & | ! of masks, and numbers;
//   where(mask, a, b), instead of branches;
//   every floating-point operator of pointwise/*.def, by its name: exp(x), maximum(x, 0). The row states the accuracy.
//   For operands in half precision, lanes are float32, and the relative errors of exp and sigmoid are up to 2**-17.
// The same expression can be called with tensors, for a derivative that can be differentiated again, because
// flambeau/operators.h defines the same names for tensors.
//
// A kernel source must not contain anything else. Note [One definition]
#pragma once

#include <algorithm>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "flambeau/elementwise.h"
#include "flambeau/kernels/blocks.h"
#include "flambeau/kernels/halves.h"
#include "flambeau/kernels/lane.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// Compute n elements; return true if a lane was unusual (lane.h).
template <bool careful, class F, class V, class... Operands>
FLAMBEAU_INLINE bool compute_lanes(V* out, int64_t n, const Operands*... x) {
  typename Lane<V, careful>::Flag unusual = 0;
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const auto lane = F{}(Lane<V, careful>(x[i])...);
    static_assert(std::is_same_v<decltype(lane), const Lane<V, careful>>,
                  "an elementwise function returns a number for each element: use where(mask, 1, 0) for a mask");
    out[i] = lane.value;
    unusual |= lane.unusual;
  }
  return unusual < 0;
}
// Processes blocks from `first` on. Fast lanes stop before the first block with an unusual lane. Careful lanes stop
// after the first block without an unusual lane. Returns the position where it stopped.
template <bool careful, class F, class V, size_t... I>
[[gnu::flatten, gnu::noinline]] int64_t run_blocks(char* const* pointers, int64_t first, int64_t n) {
  V* const out = reinterpret_cast<V*>(pointers[0]);
  for (; first < n; first += kBlock<V>) {
    const int64_t count = std::min(kBlock<V>, n - first);
    if constexpr (kFetches) (fetch(reinterpret_cast<const V*>(pointers[I + 1]) + first + count), ...);
    const bool unusual =
        compute_lanes<careful, F>(out + first, count, (reinterpret_cast<const V*>(pointers[I + 1]) + first)...);
    if (FLAMBEAU_UNLIKELY(unusual != careful)) return careful ? first + count : first;
  }
  return n;
}
template <class F, class V, size_t... I>
void elementwise_loop(char* const* pointers, int64_t n) {
  for (int64_t i = 0; i < n;) {
    i = run_blocks<false, F, V, I...>(pointers, i, n);
    i = run_blocks<true, F, V, I...>(pointers, i, n);
  }
}

// Like compute_lanes(), for tiles of half-precision elements. Note [Pairs of bfloat16]
template <bool careful>
using HalfLane = Lane<float, careful, true>;
template <bool careful, class F, class... Operands>
FLAMBEAU_INLINE bool compute_tiles(bfloat16* out, int64_t tiles, const Operands*... x) {
  BfloatPair* const to = reinterpret_cast<BfloatPair*>(out);
  typename HalfLane<careful>::Flag unusual = 0;
#pragma GCC ivdep
  for (int64_t i = 0; i < tiles * kTilePairs; ++i) {
    const auto low = F{}(HalfLane<careful>(pairs_of(x).low(i))...);
    const auto high = F{}(HalfLane<careful>(pairs_of(x).high(i))...);
    to[i] = careful ? pair_of(low.value, high.value) : pair_of_numbers(low.value, high.value);
    unusual |= low.unusual | high.unusual;
  }
  return unusual < 0;
}
template <bool careful, class F, class... Operands>
FLAMBEAU_INLINE void compute_tile(float16* out, typename Simd<int32_t>::Vector& unusual, const Operands*... x) {
  float result[kHalfTile];
  int32_t flags[kHalfTile];
  for (int64_t i = 0; i < kHalfTile; ++i) {
    const auto lane = F{}(HalfLane<careful>(x[i])...);
    result[i] = lane.value;
    flags[i] = lane.unusual;
  }
  narrow(out, result);
  for (int64_t i = 0; i < kHalfTile; i += Simd<int32_t>::kLanes) unusual |= Simd<int32_t>::load(flags + i);
}
struct WideTile {
  float elements[kHalfTile];
  FLAMBEAU_INLINE explicit WideTile(const float16* from) { widen(elements, from); }
};
template <bool careful, class F, class... Operands>
FLAMBEAU_INLINE bool compute_tiles(float16* out, int64_t tiles, const Operands*... x) {
  typename Simd<int32_t>::Vector unusual = {};
  for (int64_t i = 0; i < tiles * kHalfTile; i += kHalfTile)
    compute_tile<careful, F>(out + i, unusual, WideTile(x + i).elements...);
  int32_t any = 0;
  for (int lane = 0; lane < Simd<int32_t>::kLanes; ++lane) any |= unusual[lane];
  return any < 0;
}
template <bool careful, class F, class S, size_t... I>
[[gnu::flatten, gnu::noinline]] int64_t run_half_tiles(char* const* pointers, int64_t tile, int64_t tiles) {
  constexpr int64_t kTogether = 64;  // number of tiles that are computed again if a lane is unusual
  for (; tile < tiles; tile += kTogether) {
    const int64_t i = tile * kHalfTile, count = std::min(kTogether, tiles - tile);
    const bool unusual = compute_tiles<careful, F>(reinterpret_cast<S*>(pointers[0]) + i, count,
                                                   (reinterpret_cast<const S*>(pointers[I + 1]) + i)...);
    if (FLAMBEAU_UNLIKELY(unusual != careful)) return careful ? tile + count : tile;
  }
  return tiles;
}
template <class F, class S, size_t... I>
void half_loop(char* const* pointers, int64_t n) {
  constexpr int64_t sizes[] = {sizeof(S), (void(I), int64_t(sizeof(S)))...};
  const auto run = [](char* const* at, int64_t tiles) {
    for (int64_t i = 0; i < tiles;) {
      i = run_half_tiles<false, F, S, I...>(at, i, tiles);
      i = run_half_tiles<true, F, S, I...>(at, i, tiles);
    }
  };
  run_tiles(run, pointers, n, sizes, int(sizeof...(I)));
}

template <class F, class... Lanes>
constexpr int arity_of() {
  constexpr bool takes = std::is_invocable_v<F, Lanes...>, last = sizeof...(Lanes) == kMaxElementwiseOperands;
  static_assert(takes || !last, "an elementwise function takes one to five lanes");
  if constexpr (takes || last)
    return int(sizeof...(Lanes));
  else
    return arity_of<F, Lanes..., Lane<float, false>>();
}
template <class F>
inline constexpr int arity = arity_of<F, Lane<float, false>>();

template <class F, size_t... I>
constexpr ElementwiseKernels elementwise_kernels(std::index_sequence<I...>) {
  return {elementwise_loop<F, float, I...>, elementwise_loop<F, double, I...>, half_loop<F, float16, I...>,
          half_loop<F, bfloat16, I...>};
}
template <class F>
constexpr ElementwiseKernels elementwise_kernels(F) {
  return elementwise_kernels<F>(std::make_index_sequence<arity<F>>());
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA

// The object file for the baseline instruction set also defines the operator, which selects among the instruction sets.
#ifdef FLAMBEAU_BASELINE
#define FLAMBEAU_DECLARE_KERNELS(isa, name)         \
  namespace isa {                                   \
  extern const ::flambeau::ElementwiseKernels name; \
  }
#ifdef FLAMBEAU_AVX2
#define FLAMBEAU_DECLARE_AVX2(name) FLAMBEAU_DECLARE_KERNELS(avx2, name)
#define FLAMBEAU_POINT_TO_AVX2(name) &avx2::name
#else
#define FLAMBEAU_DECLARE_AVX2(name)
#define FLAMBEAU_POINT_TO_AVX2(name) nullptr
#endif
#ifdef FLAMBEAU_AVX512
#define FLAMBEAU_DECLARE_AVX512(name) FLAMBEAU_DECLARE_KERNELS(avx512, name)
#define FLAMBEAU_POINT_TO_AVX512(name) &avx512::name
#else
#define FLAMBEAU_DECLARE_AVX512(name)
#define FLAMBEAU_POINT_TO_AVX512(name) nullptr
#endif
#define FLAMBEAU_SELECT_KERNELS(name)                                                                        \
  FLAMBEAU_DECLARE_AVX2(name)                                                                                \
  FLAMBEAU_DECLARE_AVX512(name)                                                                              \
  extern constinit const ::flambeau::Elementwise name = {                                                    \
      #name, ::flambeau::kernels::baseline::arity<std::remove_const_t<decltype(baseline::name##_function)>>, \
      &baseline::name, FLAMBEAU_POINT_TO_AVX2(name), FLAMBEAU_POINT_TO_AVX512(name)};
#else
#define FLAMBEAU_SELECT_KERNELS(name)
#endif

// Define the operator in the current namespace. Everything is initialised at compile time, so that loading the library
// does not run code that is compiled for a particular instruction set.
#define FLAMBEAU_ELEMENTWISE(name, ...)                                        \
  namespace FLAMBEAU_ISA {                                                     \
  constexpr auto name##_function = __VA_ARGS__;                                \
  extern constinit const ::flambeau::ElementwiseKernels name =                 \
      ::flambeau::kernels::FLAMBEAU_ISA::elementwise_kernels(name##_function); \
  }                                                                            \
  FLAMBEAU_SELECT_KERNELS(name)
