// Selection of the instruction set.
#include "kernels/narrow_table.h"
#include "kernels/twister_table.h"

#include <cstdlib>
#if defined(FLAMBEAU_AVX2) || defined(FLAMBEAU_AVX512)
#include <cpuid.h>
#endif
#include <string_view>

#include "kernels/linalg/bfloat16_gemm.h"
#include "platform/processors.h"

namespace flambeau::kernels {

#define FLAMBEAU_DECLARE(isa)                                   \
  namespace isa {                                               \
  Table make_table(NarrowTable& narrow, TwisterTable& twister); \
  }
FLAMBEAU_DECLARE(baseline)
#ifdef FLAMBEAU_AVX2
FLAMBEAU_DECLARE(avx2)
#endif
#ifdef FLAMBEAU_AVX512
FLAMBEAU_DECLARE(avx512)
namespace avx512bf16 {
void fill_bfloat16_gemm(Table& table);
}
#endif
#undef FLAMBEAU_DECLARE
namespace scalar {
void fill_special_scalar(Table& table, NarrowTable& narrow);
void fill_small_floats(Table& table);
}  // namespace scalar

namespace {

#if defined(FLAMBEAU_AVX2) || defined(FLAMBEAU_AVX512)
// FLAMBEAU_ISA=baseline|avx2|avx512|avx512bf16 selects a lower instruction set than the processor's best, for tests.
std::string_view wanted_set() {
  const char* variable = std::getenv("FLAMBEAU_ISA");
  return variable ? variable : "";
}

// These functions read the processor's description themselves, because __builtin_cpu_supports is always false with Zig,
// which compiles for musl and Windows.
bool has_all(unsigned found, unsigned wanted) { return (found & wanted) == wanted; }

// Returns true if the system saves these registers when it changes the thread of a processor.
bool system_saves(unsigned registers) {
  unsigned low = 0, high = 0;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return has_all(low, registers);
}

bool has_avx2() {
  constexpr unsigned kVectors = 0x6;  // registers of 128 and 256 bits
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && has_all(c, bit_OSXSAVE | bit_AVX | bit_FMA | bit_F16C) &&
         system_saves(kVectors) && __get_cpuid_count(7, 0, &a, &b, &c, &d) && has_all(b, bit_AVX2 | bit_BMI2);
}
#endif
#ifdef FLAMBEAU_AVX512
bool has_avx512() {                    // call this only on a processor with AVX2
  constexpr unsigned kVectors = 0xe6;  // registers of 128, 256 and 512 bits, and masks
  unsigned a = 0, b = 0, c = 0, d = 0;
  return system_saves(kVectors) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
         has_all(b, bit_AVX512F | bit_AVX512DQ | bit_AVX512BW | bit_AVX512VL);
}

bool has_avx512bf16() {  // call this only on a processor with AVX-512
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVX512BF16);
}
#endif

Table choose(NarrowTable& narrow, TwisterTable& twister) {
#if defined(FLAMBEAU_AVX2) || defined(FLAMBEAU_AVX512)
  const std::string_view wanted = wanted_set();
  const bool may_use_avx2 = wanted != "baseline" && has_avx2();
#ifdef FLAMBEAU_AVX512
  if (may_use_avx2 && wanted != "avx2" && has_avx512()) {
    Table table = avx512::make_table(narrow, twister);
    if (wanted != "avx512" && has_avx512bf16()) avx512bf16::fill_bfloat16_gemm(table);
    return table;
  }
#endif
#ifdef FLAMBEAU_AVX2
  if (may_use_avx2) return avx2::make_table(narrow, twister);
#endif
#endif
  return baseline::make_table(narrow, twister);
}

struct Tables {
  NarrowTable narrow{};
  TwisterTable twister{};
  Table table;
  Tables() : table(choose(narrow, twister)) {
    scalar::fill_special_scalar(table, narrow);
    scalar::fill_small_floats(table);
  }
};
const Tables& tables() {
  static const Tables chosen;
  return chosen;
}

}  // namespace

const Table& table() { return tables().table; }
const NarrowTable& narrow_table() { return tables().narrow; }
const TwisterTable& twister_table() { return tables().twister; }

#ifdef FLAMBEAU_AVX512
bool uses_amx() {
  static const bool uses = wanted_set() != "avx512bf16" && platform::enable_amx();
  return uses;
}
#else
bool uses_amx() { return false; }
void amx::multiply_bfloat16(int64_t, int64_t, int64_t, const Matrix&, const Matrix&, float*, int64_t, bool) {
  std::abort();  // unreachable, because uses_amx() is false
}
#endif

}  // namespace flambeau::kernels
