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

// Clang 14 does not support f16c as an argument of __builtin_cpu_supports.
bool has_f16c() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C);
}
#endif
#ifdef FLAMBEAU_AVX512
bool has_avx512bf16() {  // call this only on a processor with AVX-512
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & bit_AVX512BF16);
}
#endif

Table choose(NarrowTable& narrow, TwisterTable& twister) {
#if defined(FLAMBEAU_AVX2) || defined(FLAMBEAU_AVX512)
  __builtin_cpu_init();
  const std::string_view wanted = wanted_set();
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") && has_f16c();
#ifdef FLAMBEAU_AVX512
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (has_avx512 && wanted != "avx2" && wanted != "baseline") {
    Table table = avx512::make_table(narrow, twister);
    if (wanted != "avx512" && has_avx512bf16()) avx512bf16::fill_bfloat16_gemm(table);
    return table;
  }
#endif
#ifdef FLAMBEAU_AVX2
  if (has_avx2 && wanted != "baseline") return avx2::make_table(narrow, twister);
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
