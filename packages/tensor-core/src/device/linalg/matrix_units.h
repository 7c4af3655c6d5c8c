// Functions that use tensor cores through PTX instructions.
//
// Note [Matrix units]
// A warp multiplies a matrix of 16 x 16 two-byte elements (`left`) by a matrix of 16 x 8 (`right`) and adds the product
// to 16 x 8 float32 elements (`sums`). Lane l holds the elements that the PTX ISA specifies for mma.m16n8k16.
// These are, with g = l / 4 and t = l % 4:
//   left    words 0 to 3: k = 2 t, 2 t + 1 of rows g and g + 8, then k = 2 t + 8, 2 t + 9 of the same rows
//   right   words 0, 1:   k = 2 t, 2 t + 1, then k = 2 t + 8, 2 t + 9, of column g
//   sums    columns 2 t, 2 t + 1 of row g, then of row g + 8
// In float32 (TF32), k is 8, and a word has one element: k = t, then k = t + 4. Turing supports only float16 and
// multiplies half of k at a time; the assignment of elements to lanes is the same.
//
// Rows in shared memory are read and written in chunks of 16 bytes. The positions of a row's chunks (`chunk_at`) are
// permuted so that the same chunk of eight consecutive rows is in different banks.
#pragma once

#include "device/elementwise/exponential.h"

namespace flambeau::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
inline constexpr bool kAmpere = false;
#else
inline constexpr bool kAmpere = true;
#endif

template <class T>
inline constexpr bool kHasUnits = std::is_same_v<T, float16> || (std::is_same_v<T, bfloat16> && kAmpere);

// Returns the position of chunk `c` of 16 bytes in row `r`. Rows have kChunks chunks, an even number. `more` is added
// to c. It must be 0 or 1 for even c, and may be up to 3 if c and kChunks are multiples of 4. Because `more` is a
// separate argument, the compiler keeps fewer addresses in registers.
template <int kChunks>
inline int chunk_at(int r, int c, int more = 0) {
  constexpr int bits = kChunks % 8 == 0 ? 3 : kChunks % 4 == 0 ? 2 : 1, mask = (1 << bits) - 1;
  return (c & ~mask) + (((c & mask) + more) ^ (r >> (3 - bits) & mask));
}

inline uint32_t word_of(uint16_t low, uint16_t high) { return low | uint32_t(high) << 16; }

#ifdef FLAMBEAU_EMULATED

#define FLAMBEAU_SOURCE_LOCATION \
  emulated::SourceLocation { __FILE__, __LINE__ }

template <class T>
inline void multiply_accumulate(float (&sums)[4], const uint32_t (&left)[4], uint32_t right0, uint32_t right1) {
  const auto value = [](uint32_t word, int i) {
    if constexpr (std::is_same_v<T, float>)
      return __uint_as_float(word & 0xffffe000);
    else
      return to_float(T{uint16_t(word >> 16 * i)});
  };
  emulated::multiply_accumulate<4 / sizeof(T)>(sums, left, {right0, right1}, value, FLAMBEAU_SOURCE_LOCATION);
}
inline void load_matrices(uint32_t (&to)[4], const void* row) {
  emulated::load_matrices(to, row, false, FLAMBEAU_SOURCE_LOCATION);
}
inline void load_transposed(uint32_t (&to)[4], const void* row) {
  emulated::load_matrices(to, row, true, FLAMBEAU_SOURCE_LOCATION);
}
inline void copy_async(void* to, const void* from, bool in_range) {
  emulated::copy_async(to, from, in_range, FLAMBEAU_SOURCE_LOCATION);
}
inline void commit_copies() { emulated::commit_copies(); }
template <int kPending = 0>
inline void wait_for_copies() {
  emulated::wait_for_copies(kPending);
}
template <class T>
inline uint32_t pack(float low, float high) {
  return word_of(convert<T>(low).bits, convert<T>(high).bits);
}
inline float round_to_tf32(float x) { return fabsf(x) < INFINITY ? __uint_as_float(__float_as_uint(x) + 0x1000) : x; }

#undef FLAMBEAU_SOURCE_LOCATION
#else

#define FLAMBEAU_MULTIPLY(shape, type, left_list, right_list, ...)                                         \
  asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 {%0, %1, %2, %3}, " left_list \
               ", " right_list ", {%0, %1, %2, %3};"                                                       \
               : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])                                \
               : __VA_ARGS__)
#define FLAMBEAU_MULTIPLY_WHOLE(shape, type)                                                               \
  FLAMBEAU_MULTIPLY(shape, type, "{%4, %5, %6, %7}", "{%8, %9}", "r"(left[0]), "r"(left[1]), "r"(left[2]), \
                    "r"(left[3]), "r"(right0), "r"(right1))

// Computes sums += left * right. float32 is multiplied as TF32.
template <class T>
inline void multiply_accumulate(float (&sums)[4], const uint32_t (&left)[4], uint32_t right0, uint32_t right1) {
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, float16>)
    FLAMBEAU_MULTIPLY_WHOLE("m16n8k16", "f16");
  else if constexpr (std::is_same_v<T, bfloat16>)
    FLAMBEAU_MULTIPLY_WHOLE("m16n8k16", "bf16");
  else
    FLAMBEAU_MULTIPLY_WHOLE("m16n8k8", "tf32");
#else
  static_assert(std::is_same_v<T, float16>);
  FLAMBEAU_MULTIPLY("m16n8k8", "f16", "{%4, %5}", "{%6}", "r"(left[0]), "r"(left[1]), "r"(right0));
  FLAMBEAU_MULTIPLY("m16n8k8", "f16", "{%4, %5}", "{%6}", "r"(left[2]), "r"(left[3]), "r"(right1));
#endif
}
#undef FLAMBEAU_MULTIPLY_WHOLE
#undef FLAMBEAU_MULTIPLY

#define FLAMBEAU_LOAD_MATRICES(kind)                                                      \
  asm volatile("ldmatrix.sync.aligned.m8n8.x4" kind ".shared.b16 {%0, %1, %2, %3}, [%4];" \
               : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])                       \
               : "r"(uint32_t(__cvta_generic_to_shared(row)))                             \
               : "memory")
// Loads four matrices of 8 x 8. Lane l passes the address of row l % 8 of matrix l / 8, and gets elements 2 (l % 4) and
// 2 (l % 4) + 1 of row l / 4 of each matrix, or of column l / 4 if transposed.
inline void load_matrices(uint32_t (&to)[4], const void* row) { FLAMBEAU_LOAD_MATRICES(""); }
inline void load_transposed(uint32_t (&to)[4], const void* row) { FLAMBEAU_LOAD_MATRICES(".trans"); }
#undef FLAMBEAU_LOAD_MATRICES

// Copies 16 bytes from global to shared memory, or stores zeros if !in_range. The thread can read them after
// commit_copies() and wait_for_copies<kPending>(), which waits for all commits except the last kPending.
inline void copy_async(void* to, const void* from, bool in_range) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(uint32_t(__cvta_generic_to_shared(to))),
               "l"(__cvta_generic_to_global(from)), "r"(in_range ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(to) = in_range ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
#endif
}
inline void commit_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
template <int kPending = 0>
inline void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

template <class T>
inline uint32_t pack(float low, float high) {
  uint32_t word;
#if __CUDA_ARCH__ >= 800
  if constexpr (std::is_same_v<T, float16>)
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
  else
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(high), "f"(low));
#else
  uint16_t halves[2];
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(halves[0]) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(halves[1]) : "f"(high));
  word = word_of(halves[0], halves[1]);
#endif
  return word;
}
// Rounds to the nearest TF32 number, but does not clear the low 13 bits, which tensor cores ignore. This takes two
// instructions, while cvt.rna.tf32.f32 is translated to three.
inline float round_to_tf32(float x) {
  uint32_t bits = __float_as_uint(x);
  asm("{\n"
      ".reg .pred finite;\n"
      ".reg .f32 x;\n"
      "mov.b32 x, %0;\n"
      "abs.f32 x, x;\n"
      "setp.lt.f32 finite, x, 0f7F800000;\n"
      "@finite add.u32 %0, %0, 0x1000;\n"
      "}"
      : "+r"(bits));
  return __uint_as_float(bits);
}
#endif

}  // namespace flambeau::cuda
