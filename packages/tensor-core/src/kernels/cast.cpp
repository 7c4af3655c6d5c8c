// Conversions between every two element types, strided or contiguous.
#include "kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// A bool is stored as one byte and may come from foreign memory with any value in it.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

template <class To, class From>
FLAMBEAU_INLINE Stored<To> convert_stored(Stored<From> v) {
  if constexpr (std::is_same_v<From, bool>)
    return Stored<To>(convert<To>(v != 0));
  else
    return Stored<To>(convert<To>(v));
}

template <class To, class From>
void cast(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  constexpr int64_t to_size = sizeof(To), from_size = sizeof(From);
  if (to_stride == to_size && from_stride == from_size) {
    auto* out = reinterpret_cast<Stored<To>*>(to);
    auto* in = reinterpret_cast<const Stored<From>*>(from);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = convert_stored<To, From>(in[i]);
  } else if (to_stride == to_size && from_stride == 0 && n > 0) {  // one value for all
    auto* out = reinterpret_cast<Stored<To>*>(to);
    const auto value = convert_stored<To, From>(*reinterpret_cast<const Stored<From>*>(from));
    for (int64_t i = 0; i < n; ++i) out[i] = value;
  } else if (std::is_same_v<To, From> && to_stride == to_size && from_stride == -from_size) {  // turned round
    auto* out = reinterpret_cast<Stored<To>*>(to);
    auto* in = reinterpret_cast<const Stored<From>*>(from);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = convert_stored<To, From>(in[-i]);
  } else if (std::is_same_v<To, From> && to_stride == to_size && from_stride == 2 * from_size) {  // every second one
    auto* out = reinterpret_cast<Stored<To>*>(to);
    auto* in = reinterpret_cast<const Stored<From>*>(from);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = convert_stored<To, From>(in[2 * i]);
  } else {
    for (int64_t i = 0; i < n; ++i)
      *reinterpret_cast<Stored<To>*>(to + i * to_stride) =
          convert_stored<To, From>(*reinterpret_cast<const Stored<From>*>(from + i * from_stride));
  }
}

// The conversion with the same result in bits that serves most pairs. Note [Same bits]
template <class To, class From>
constexpr CastKernel shared_cast() {
  constexpr bool from_floating = !std::is_integral_v<From>;
  using Target = std::conditional_t<sizeof(To) < 4 || !from_floating, SameBits<To>, To>;
  using Source = std::conditional_t<std::is_integral_v<To> && sizeof(To) <= sizeof(From), SameBits<From>, From>;
  return cast<Target, Source>;
}

template <class To>
void fill_from(Table& table) {
#define FLAMBEAU_CAST(name, type, category) \
  table.cast[static_cast<int>(dtype_of<To>())][static_cast<int>(Dtype::name)] = shared_cast<To, type>();
  FLAMBEAU_DTYPES(FLAMBEAU_CAST)
#undef FLAMBEAU_CAST
}

void transpose_words(char* to, int64_t to_row, const char* from, int64_t from_row, int64_t rows, int64_t columns) {
  transpose(reinterpret_cast<float*>(to), to_row, reinterpret_cast<const float*>(from), from_row, rows, columns);
}

}  // namespace

void fill_cast(Table& table) {
  table.transpose_words = transpose_words;
#define FLAMBEAU_CAST(name, type, category) fill_from<type>(table);
  FLAMBEAU_DTYPES(FLAMBEAU_CAST)
#undef FLAMBEAU_CAST
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
