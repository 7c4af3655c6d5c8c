// Chooses the instruction set, once.
#include "kernels/table.h"

#include <cstdlib>
#include <string_view>

namespace flambeau::kernels {

#define FLAMBEAU_DECLARE(isa) \
  namespace isa {             \
  Table make_table();         \
  }
FLAMBEAU_DECLARE(baseline)
#ifdef FLAMBEAU_AVX2
FLAMBEAU_DECLARE(avx2)
#endif
#ifdef FLAMBEAU_AVX512
FLAMBEAU_DECLARE(avx512)
#endif
#undef FLAMBEAU_DECLARE
namespace scalar {
void fill_special_scalar(Table& table);
}

namespace {

// FLAMBEAU_ISA=baseline|avx2|avx512 asks for a lesser set than the processor has, for tests.
Table choose() {
#if defined(FLAMBEAU_AVX2) || defined(FLAMBEAU_AVX512)
  __builtin_cpu_init();
  const char* variable = std::getenv("FLAMBEAU_ISA");
  const std::string_view wanted = variable ? variable : "";
  const bool has_avx2 =
      __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
#ifdef FLAMBEAU_AVX512
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (has_avx512 && wanted != "avx2" && wanted != "baseline") return avx512::make_table();
#endif
#ifdef FLAMBEAU_AVX2
  if (has_avx2 && wanted != "baseline") return avx2::make_table();
#endif
#endif
  return baseline::make_table();
}

}  // namespace

const Table& table() {
  static const Table chosen = [] {
    Table best = choose();
    scalar::fill_special_scalar(best);
    return best;
  }();
  return chosen;
}

}  // namespace flambeau::kernels
