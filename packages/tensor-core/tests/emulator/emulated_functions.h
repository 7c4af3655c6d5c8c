// Functions of the prelude that do not need the driver: atomics, bit operations and arithmetic.
#pragma once

// Threads are never interrupted, so an ordinary update is atomic.
#define EMULATED_ATOMIC(name, type, expression) \
  inline type name(type* address, type value) { \
    const type old = *address;                  \
    *address = static_cast<type>(expression);   \
    return old;                                 \
  }
#define EMULATED_INTEGER_ATOMICS(type)                             \
  EMULATED_ATOMIC(atomicAdd, type, old + value)                    \
  EMULATED_ATOMIC(atomicMax, type, old > value ? old : value)      \
  EMULATED_ATOMIC(atomicMin, type, old < value ? old : value)      \
  EMULATED_ATOMIC(atomicAnd, type, old& value)                     \
  EMULATED_ATOMIC(atomicOr, type, old | value)                     \
  EMULATED_ATOMIC(atomicXor, type, old ^ value)                    \
  EMULATED_ATOMIC(atomicExch, type, value)                         \
  inline type atomicCAS(type* address, type compare, type value) { \
    const type old = *address;                                     \
    if (old == compare) *address = value;                          \
    return old;                                                    \
  }
EMULATED_INTEGER_ATOMICS(int)
EMULATED_INTEGER_ATOMICS(unsigned)
EMULATED_INTEGER_ATOMICS(unsigned long long)
EMULATED_ATOMIC(atomicMax, long long, old > value ? old : value)
EMULATED_ATOMIC(atomicMin, long long, old < value ? old : value)
EMULATED_ATOMIC(atomicAnd, long long, old& value)
EMULATED_ATOMIC(atomicOr, long long, old | value)
EMULATED_ATOMIC(atomicXor, long long, old ^ value)
EMULATED_ATOMIC(atomicAdd, float, old + value)
EMULATED_ATOMIC(atomicAdd, double, old + value)
EMULATED_ATOMIC(atomicExch, float, value)
EMULATED_ATOMIC(atomicSub, int, old - value)
EMULATED_ATOMIC(atomicSub, unsigned, old - value)
EMULATED_ATOMIC(atomicInc, unsigned, old >= value ? 0 : old + 1)
EMULATED_ATOMIC(atomicDec, unsigned, old == 0 || old > value ? value : old - 1)
inline unsigned short atomicCAS(unsigned short* address, unsigned short compare, unsigned short value) {
  const unsigned short old = *address;
  if (old == compare) *address = value;
  return old;
}
#undef EMULATED_INTEGER_ATOMICS
#undef EMULATED_ATOMIC

// Loads and stores with cache hints.
#define EMULATED_LOAD(name)         \
  template <class T>                \
  inline T name(const T* address) { \
    return *address;                \
  }
EMULATED_LOAD(__ldg)
EMULATED_LOAD(__ldca)
EMULATED_LOAD(__ldcg)
EMULATED_LOAD(__ldcs)
EMULATED_LOAD(__ldlu)
EMULATED_LOAD(__ldcv)
#undef EMULATED_LOAD
#define EMULATED_STORE(name)              \
  template <class T>                      \
  inline void name(T* address, T value) { \
    *address = value;                     \
  }
EMULATED_STORE(__stwb)
EMULATED_STORE(__stcg)
EMULATED_STORE(__stcs)
EMULATED_STORE(__stwt)
#undef EMULATED_STORE
#define __builtin_assume(condition) ((void)0)

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __clzll(long long x) { return std::countl_zero((unsigned long long)x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) {
  unsigned result = 0;
  for (int i = 0; i < 32; ++i) result |= (x >> i & 1) << (31 - i);
  return result;
}
inline unsigned long long __brevll(unsigned long long x) {
  return (unsigned long long)__brev(unsigned(x)) << 32 | __brev(unsigned(x >> 32));
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
  const unsigned long long both = (unsigned long long)y << 32 | x;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) result |= unsigned(both >> (selector >> 4 * i & 7) * 8 & 0xff) << 8 * i;
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return unsigned((((unsigned long long)high << 32 | low) << (shift & 31)) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return unsigned(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline int __mulhi(int x, int y) { return int((long long)x * y >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) { return unsigned((unsigned long long)x * y >> 32); }
inline long long __mul64hi(long long x, long long y) { return (long long)((__int128)x * y >> 64); }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return (unsigned long long)((unsigned __int128)x * y >> 64);
}

inline unsigned __float_as_uint(float x) { return emulated::bits<unsigned>(x); }
inline int __float_as_int(float x) { return emulated::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return emulated::bits<float>(x); }
inline float __int_as_float(int x) { return emulated::bits<float>(x); }
inline long long __double_as_longlong(double x) { return emulated::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return emulated::bits<double>(x); }
inline int __double2hiint(double x) { return int(emulated::bits<long long>(x) >> 32); }
inline int __double2loint(double x) { return int(emulated::bits<long long>(x)); }
inline double __hiloint2double(int high, int low) {
  return emulated::bits<double>((long long)((unsigned long long)(unsigned)high << 32 | (unsigned)low));
}
inline int __float2int_rn(float x) { return int(nearbyintf(x)); }
inline int __float2int_rz(float x) { return int(x); }
inline long long __double2ll_rn(double x) { return (long long)nearbyint(x); }

namespace emulated {
// Prevents the compiler from fusing the operation that computed x with the one that uses the result.
template <class T>
inline T rounded(T x) {
  __asm__("" : "+m"(x));
  return x;
}
}  // namespace emulated

inline float __fadd_rn(float x, float y) { return emulated::rounded(x) + emulated::rounded(y); }
inline float __fsub_rn(float x, float y) { return emulated::rounded(x) - emulated::rounded(y); }
inline float __fmul_rn(float x, float y) { return emulated::rounded(x * y); }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __frcp_rn(float x) { return 1 / x; }
inline double __dadd_rn(double x, double y) { return emulated::rounded(x) + emulated::rounded(y); }
inline double __dsub_rn(double x, double y) { return emulated::rounded(x) - emulated::rounded(y); }
inline double __dmul_rn(double x, double y) { return emulated::rounded(x * y); }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }
inline double __dsqrt_rn(double x) { return sqrt(x); }

// The GPU's fast functions have errors of a few more units in the last place than these.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __log10f(float x) { return log10f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanf(float x) { return tanf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }
inline float __frsqrt_rn(float x) { return float(1 / sqrt(double(x))); }
inline float rsqrtf(float x) { return __frsqrt_rn(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rcbrtf(float x) { return 1 / cbrtf(x); }
inline double rcbrt(double x) { return 1 / cbrt(x); }
inline float sinpif(float x) { return float(sin(M_PI * remainder(double(x), 2))); }
inline float cospif(float x) { return float(cos(M_PI * remainder(double(x), 2))); }
inline double sinpi(double x) { return sin(M_PI * remainder(x, 2)); }
inline double cospi(double x) { return cos(M_PI * remainder(x, 2)); }

#define EMULATED_EXTREMES(type)                             \
  inline type min(type x, type y) { return y < x ? y : x; } \
  inline type max(type x, type y) { return x < y ? y : x; }
EMULATED_EXTREMES(int)
EMULATED_EXTREMES(unsigned)
EMULATED_EXTREMES(long)
EMULATED_EXTREMES(unsigned long)
EMULATED_EXTREMES(long long)
EMULATED_EXTREMES(unsigned long long)
#undef EMULATED_EXTREMES
inline float min(float x, float y) { return fminf(x, y); }
inline float max(float x, float y) { return fmaxf(x, y); }
inline double min(double x, double y) { return fmin(x, y); }
inline double max(double x, double y) { return fmax(x, y); }

inline long long clock64() {
  static long long ticks = 0;
  return ++ticks;
}

// Vector types with the alignments that they have on a GPU, where one instruction loads each.
#define EMULATED_VECTORS(type, name, alignment2, alignment4)                  \
  struct alignas(alignment2) name##2 { type x, y; };                          \
  struct name##3 { type x, y, z; };                                           \
  struct alignas(alignment4) name##4 { type x, y, z, w; };                    \
  inline name##2 make_##name##2(type x, type y) { return {x, y}; }            \
  inline name##3 make_##name##3(type x, type y, type z) { return {x, y, z}; } \
  inline name##4 make_##name##4(type x, type y, type z, type w) { return {x, y, z, w}; }
#define uint3 emulated_uint3  // defined in kernel_interface.h
EMULATED_VECTORS(signed char, char, 2, 4)
EMULATED_VECTORS(unsigned char, uchar, 2, 4)
EMULATED_VECTORS(short, short, 4, 8)
EMULATED_VECTORS(unsigned short, ushort, 4, 8)
EMULATED_VECTORS(int, int, 8, 16)
EMULATED_VECTORS(unsigned, uint, 8, 16)
EMULATED_VECTORS(float, float, 8, 16)
EMULATED_VECTORS(long long, longlong, 16, 16)
EMULATED_VECTORS(unsigned long long, ulonglong, 16, 16)
EMULATED_VECTORS(double, double, 16, 16)
#undef uint3
#undef EMULATED_VECTORS
