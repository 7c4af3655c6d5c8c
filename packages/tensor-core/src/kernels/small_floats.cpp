// Conversions of the one-byte floating-point formats. Note [Small floats] in dtype.h
#include <array>
#include <bit>
#include <limits>

#include "kernels/table.h"

namespace flambeau::kernels::scalar {

namespace {

// The codes of a format that are not finite numbers, and the results for numbers that are too large.
enum class Specials : uint8_t {
  Ieee,            // the largest exponent encodes infinity and NaN; large numbers become infinity
  FiniteSigned,    // only the two codes with all other bits set are NaN; large numbers become the largest
  FiniteUnsigned,  // only the code of negative zero is NaN; large numbers become NaN
  Power,           // powers of two without a sign or zero; the largest code is NaN
};

constexpr int kCodes = 256;
constexpr int kFloatMantissa = 23, kFloatBias = 127;

template <int kMantissa, int kBias, Specials kSpecials>
struct Format {
  static constexpr bool kSigned = kSpecials != Specials::Power;
  static constexpr uint32_t kSign = kSigned ? 0x80 : 0;
  static constexpr uint32_t kNan = kSpecials == Specials::FiniteUnsigned ? 0x80 : kSigned ? 0x7F : 0xFF;
  static constexpr uint32_t kInfinity = 0x7C;                  // Ieee
  static constexpr uint32_t kLargest = kSigned ? 0x7E : 0xFE;  // the largest finite number of FiniteSigned and Power
  static constexpr uint32_t kOverflow = kSpecials == Specials::Ieee           ? kInfinity
                                        : kSpecials == Specials::FiniteSigned ? kLargest
                                                                              : kNan;
  // The first code that is too large.
  static constexpr uint32_t kEnd = kSpecials == Specials::Ieee             ? kInfinity
                                   : kSpecials == Specials::FiniteUnsigned ? 0x80
                                                                           : kLargest + 1;

  static constexpr float decode(uint32_t code) {
    const uint32_t magnitude = code & ~kSign;
    const uint32_t exponent = magnitude >> kMantissa, mantissa = magnitude & ((1u << kMantissa) - 1);
    double value = std::numeric_limits<double>::quiet_NaN();
    if (kSpecials == Specials::Ieee && magnitude == kInfinity)
      value = std::numeric_limits<double>::infinity();
    else if (magnitude < kEnd && !(kSpecials == Specials::FiniteUnsigned && code == kNan))
      value = exponent == 0 && kSigned ? power(1 - kBias - kMantissa) * mantissa
                                       : power(int(exponent) - kBias - kMantissa) * ((1u << kMantissa) + mantissa);
    return float((code & kSign) ? -value : value);
  }

  // Rounds to nearest, ties to even. The code has no branches, so that loops vectorise.
  static uint8_t encode(float v) {
    const uint32_t bits = std::bit_cast<uint32_t>(v), magnitude = bits & 0x7FFFFFFF, sign = (bits >> 24) & kSign;
    constexpr int kShift = kFloatMantissa - kMantissa;
    constexpr uint32_t kBiasChange = uint32_t(kFloatBias - kBias) << kFloatMantissa;
    uint32_t code = (magnitude - kBiasChange + (1u << (kShift - 1)) - 1 + ((magnitude >> kShift) & 1)) >> kShift;
    if constexpr (kSigned) {
      // kMagic is the power of two at which the spacing of float32 numbers is the smallest subnormal of this format, so
      // that the addition rounds the result.
      constexpr float kMagic = float(power(1 - kBias - kMantissa + kFloatMantissa));
      const uint32_t subnormal = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + kMagic);
      constexpr uint32_t kSmallestNormal = uint32_t(kFloatBias + 1 - kBias) << kFloatMantissa;
      code = magnitude < kSmallestNormal ? subnormal - std::bit_cast<uint32_t>(kMagic) : code;
    } else {
      // A code consists only of the exponent. Ties round up.
      code = (magnitude >> kFloatMantissa) + ((magnitude >> (kFloatMantissa - 1)) & 1);
      code = magnitude <= 0x400000 ? 0 : code;
    }
    code = code >= kEnd ? kOverflow : code;
    code = magnitude > 0x7F800000 ? kNan : code;
    code = kSpecials == Specials::FiniteUnsigned && code == 0 ? 0 : code | sign;
    return uint8_t(code);
  }

 private:
  static constexpr double power(int exponent) {
    double value = 1;
    for (; exponent > 0; --exponent) value *= 2;
    for (; exponent < 0; ++exponent) value /= 2;
    return value;
  }
};

#define FLAMBEAU_FORMAT(name, mantissa, bias, specials) using name = Format<mantissa, bias, Specials::specials>;
FLAMBEAU_SMALL_FLOATS(FLAMBEAU_FORMAT)
#undef FLAMBEAU_FORMAT

template <class Format>
constexpr std::array<float, kCodes> decode_all() {
  std::array<float, kCodes> values{};
  for (int code = 0; code < kCodes; ++code) values[size_t(code)] = Format::decode(uint32_t(code));
  return values;
}

template <class Format>
void to_float32(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  static constexpr std::array<float, kCodes> values = decode_all<Format>();
  for (int64_t i = 0; i < n; ++i)
    *reinterpret_cast<float*>(to + i * to_stride) = values[uint8_t(from[i * from_stride])];
}

template <class Format>
void from_float32(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  if (to_stride == 1 && from_stride == sizeof(float)) {
    auto* in = reinterpret_cast<const float*>(from);
    auto* out = reinterpret_cast<uint8_t*>(to);
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = Format::encode(in[i]);
    return;
  }
  for (int64_t i = 0; i < n; ++i)
    to[i * to_stride] = char(Format::encode(*reinterpret_cast<const float*>(from + i * from_stride)));
}

// Converts through float32, a block at a time.
template <Dtype kTo, Dtype kFrom>
void through_float32(char* to, int64_t to_stride, const char* from, int64_t from_stride, int64_t n) {
  constexpr int64_t kBlock = 256;
  float block[kBlock];
  auto* values = reinterpret_cast<char*>(block);
  for (int64_t begin = 0; begin < n; begin += kBlock) {
    const int64_t count = n - begin < kBlock ? n - begin : kBlock;
    table().cast[int(Dtype::float32)][int(kFrom)](values, sizeof(float), from + begin * from_stride, from_stride,
                                                  count);
    table().cast[int(kTo)][int(Dtype::float32)](to + begin * to_stride, to_stride, values, sizeof(float), count);
  }
}

template <Dtype kSmall, Dtype kOther>
void fill_pair(Table& table) {
  if constexpr (kSmall != kOther) table.cast[int(kSmall)][int(kOther)] = through_float32<kSmall, kOther>;
  if constexpr (!is_small_float(kOther)) table.cast[int(kOther)][int(kSmall)] = through_float32<kOther, kSmall>;
}

template <Dtype kSmall, class Format>
void fill_format(Table& table) {
#define FLAMBEAU_PAIR(name, ...) fill_pair<kSmall, Dtype::name>(table);
  FLAMBEAU_DTYPES(FLAMBEAU_PAIR)
  FLAMBEAU_SMALL_FLOATS(FLAMBEAU_PAIR)
#undef FLAMBEAU_PAIR
  table.cast[int(kSmall)][int(kSmall)] = table.cast[int(Dtype::int8)][int(Dtype::int8)];
  table.cast[int(Dtype::float32)][int(kSmall)] = to_float32<Format>;
  table.cast[int(kSmall)][int(Dtype::float32)] = from_float32<Format>;
}

}  // namespace

void fill_small_floats(Table& table) {
#define FLAMBEAU_FILL(name, ...) fill_format<Dtype::name, name>(table);
  FLAMBEAU_SMALL_FLOATS(FLAMBEAU_FILL)
#undef FLAMBEAU_FILL
}

}  // namespace flambeau::kernels::scalar
