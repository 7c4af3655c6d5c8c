// Conversions between all pairs of element types, strided or contiguous.
#include "flambeau/kernels/halves.h"
#include "flambeau/kernels/simd.h"
#include "kernels/narrow_table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// A bool is stored as one byte. In the memory of another library, the byte may have any value.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

template <class To, class From>
FLAMBEAU_INLINE Stored<To> convert_stored(Stored<From> v) {
  if constexpr (std::is_same_v<From, bool> && is_half<To>)
    return Stored<To>{uint16_t(v != 0 ? convert<To>(1.0f).bits : 0)};
  else if constexpr (std::is_same_v<From, bool>)
    return Stored<To>(convert<To>(int32_t(v != 0)));  // GCC does not vectorise conversions of bool to floating types
  else
    return Stored<To>(convert<To>(v));
}

// True if cast_tiles() performs the conversion: from float16 to an arithmetic type or back, via float32. For bfloat16
// and for conversions from bool, the compiler generates an equally fast loop.
template <class To, class From>
inline constexpr bool by_tiles =
    (std::is_same_v<To, float16> && std::is_arithmetic_v<From> && !std::is_same_v<From, bool>) ||
    (std::is_same_v<From, float16> && std::is_arithmetic_v<To>);
template <class To, class From>
void cast_tiles(char* const* pointers, int64_t tiles) {
  auto* out = reinterpret_cast<Stored<To>*>(pointers[0]);
  auto* in = reinterpret_cast<const Stored<From>*>(pointers[1]);
  for (int64_t i = 0; i < tiles * kHalfTile; i += kHalfTile) {
    float values[kHalfTile];
    if constexpr (is_half<To> && std::is_same_v<From, float>) {
      narrow(out + i, in + i);
    } else if constexpr (is_half<To>) {
      for (int64_t j = 0; j < kHalfTile; ++j) values[j] = convert_stored<float, From>(in[i + j]);
      narrow(out + i, values);
    } else {
      widen(values, in + i);
      for (int64_t j = 0; j < kHalfTile; ++j) out[i + j] = convert_stored<To, float>(values[j]);
    }
  }
}
template <class To, class From>
void cast_contiguous(char* to, const char* from, int64_t n) {
  if constexpr (by_tiles<To, From>) {
    constexpr int64_t sizes[] = {sizeof(To), sizeof(From)};
    char* pointers[] = {to, const_cast<char*>(from)};
    run_tiles(cast_tiles<To, From>, pointers, n, sizes, 1);
  } else {
    auto* out = reinterpret_cast<Stored<To>*>(to);
    auto* in = reinterpret_cast<const Stored<From>*>(from);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = convert_stored<To, From>(in[i]);
  }
}

// Fills n elements with the value of the first one.
template <class Word>
[[gnu::noipa]] void repeat_first(char* to, int64_t n) {
  auto* out = reinterpret_cast<Word*>(to);
  const Word value = out[0];
  for (int64_t i = 1; i < n; ++i) out[i] = value;
}

template <class To, class From>
void cast(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  constexpr int64_t to_size = sizeof(To), from_size = sizeof(From);
  if (to_stride == to_size && from_stride == from_size) {
    cast_contiguous<To, From>(to, from, n);
  } else if (to_stride == to_size && from_stride == 0 && n > 0) {  // one value for all elements
    *reinterpret_cast<Stored<To>*>(to) = convert_stored<To, From>(*reinterpret_cast<const Stored<From>*>(from));
    repeat_first<WordOf<to_size>>(to, n);
  } else if (std::is_same_v<To, From> && to_stride == to_size && from_stride == -from_size) {  // reversed elements
    auto* out = reinterpret_cast<Stored<To>*>(to);
    auto* in = reinterpret_cast<const Stored<From>*>(from);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = convert_stored<To, From>(in[-i]);
    // The next branch copies every second element.
  } else if (std::is_same_v<To, From> && to_stride == to_size && from_stride == 2 * from_size) {
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

// Returns the kernel of a conversion. Integer types for which the results have the same bits share a kernel. Note [Same
// bits]
template <class To, class From>
constexpr CastKernel shared_cast() {
  if constexpr (is_half<To> && std::is_same_v<To, From>) return cast<int16_t, int16_t>;
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

template <class Index, class Word>
void look_up(char* to, const char* from, const char* values, int64_t n) {
  auto* out = reinterpret_cast<Word*>(to);
  auto* at = reinterpret_cast<const Index*>(from);
  auto* of = reinterpret_cast<const Word*>(values);
  // Reads several indices as one word, which is faster than a gather instruction.
  constexpr int64_t kIndices = sizeof(uint64_t) / sizeof(Index);
  int64_t i = 0;
  for (; i + kIndices <= n; i += kIndices) {
    uint64_t word;
    std::memcpy(&word, at + i, sizeof(word));
    for (int64_t j = 0; j < kIndices; ++j) out[i + j] = of[Index(word >> 8 * sizeof(Index) * j)];
  }
  for (; i < n; ++i) out[i] = of[at[i]];
}
template <class Index>
void fill_look_up(decltype(NarrowTable::look_up[0])& by) {
  by[0] = look_up<Index, uint8_t>;
  by[1] = look_up<Index, uint16_t>;
  by[2] = look_up<Index, uint32_t>;
  by[3] = look_up<Index, uint64_t>;
}

// Copies a row whose length is between N and 2 N bytes, in two parts that may overlap.
template <int N>
FLAMBEAU_INLINE void copy_ends(char* to, const char* from, int64_t bytes) {
  char first[N], last[N];
  std::memcpy(first, from, N);
  std::memcpy(last, from + bytes - N, N);
  std::memcpy(to, first, N);
  std::memcpy(to + bytes - N, last, N);
}

FLAMBEAU_INLINE void copy_row(char* to, const char* from, int64_t bytes) {
  constexpr int64_t kVector = kVectorBytes;
  if (bytes >= kVector) {
    for (int64_t b = 0; b + kVector <= bytes; b += kVector) std::memcpy(to + b, from + b, kVector);
    std::memcpy(to + bytes - kVector, from + bytes - kVector, kVector);
  } else if (bytes >= 32) {
    copy_ends<32>(to, from, bytes);
  } else if (bytes >= 16) {
    copy_ends<16>(to, from, bytes);
  } else if (bytes >= 8) {
    copy_ends<8>(to, from, bytes);
  } else {
    for (int64_t b = 0; b < bytes; ++b) to[b] = from[b];
  }
}

template <class Word>
void copy_rows(char* to_bytes, const char* from, int64_t row_stride, int64_t step, int64_t length, int64_t rows) {
  using Lanes = Simd<Word>;
  static_assert(kVectorBytes <= kRowSlack);
  constexpr int64_t kSize = sizeof(Word);
  Word* to = reinterpret_cast<Word*>(to_bytes);
  for (int64_t r = 0; r < rows; ++r, from += row_stride, to += length) {
    if (step == 0) {
      const typename Lanes::Vector value = *reinterpret_cast<const Word*>(from) - typename Lanes::Vector{};
      for (int64_t j = 0; j < length; j += Lanes::kLanes) Lanes::store(to + j, value);
    } else if (step == kSize && length >= 4 / kSize) {
      copy_row(reinterpret_cast<char*>(to), from, length * kSize);
    } else {
      for (int64_t j = 0; j < length; ++j) to[j] = *reinterpret_cast<const Word*>(from + j * step);
    }
  }
}

template <class Word>
void transpose_words(char* to, int64_t to_row, const char* from, int64_t from_row, int64_t rows, int64_t columns) {
  transpose(reinterpret_cast<Word*>(to), to_row, reinterpret_cast<const Word*>(from), from_row, rows, columns);
}

}  // namespace

void fill_cast(Table& table, NarrowTable& narrow) {
  table.transpose_words[0] = transpose_words<int16_t>;
  table.transpose_words[1] = transpose_words<float>;
  table.transpose_words[2] = transpose_words<double>;
  table.copy_rows[0] = copy_rows<uint8_t>;
  table.copy_rows[1] = copy_rows<uint16_t>;
  table.copy_rows[2] = copy_rows<uint32_t>;
  table.copy_rows[3] = copy_rows<uint64_t>;
  fill_look_up<uint8_t>(narrow.look_up[0]);
  fill_look_up<uint16_t>(narrow.look_up[1]);
#define FLAMBEAU_CAST(name, type, category) fill_from<type>(table);
  FLAMBEAU_DTYPES(FLAMBEAU_CAST)
#undef FLAMBEAU_CAST
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
