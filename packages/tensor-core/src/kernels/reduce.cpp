// Reductions: elements are read as stored in memory and accumulated in a sufficiently wide type. Note [Reducing]
#include <algorithm>
#include <limits>

#include "flambeau/kernels/reductions.h"
#include "kernels/fold.h"
#include "kernels/reduce_columns.h"
#include "kernels/reduction_numbers.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kShortRow = 32;  // rows of at least this length are reduced one by one, with a tree

// Transposes rows that are too short for a tree. Callers pass only as many rows as fit in the first-level cache.
template <class Word>
[[gnu::noipa]] void transpose_block(Word* to, const Word* in, int64_t rows, int64_t length) {
  if constexpr (sizeof(Word) == 4 || sizeof(Word) == 8) return transpose(to, rows, in, length, rows, length);
  for (int64_t r = 0; r < rows; r += kColumnBlock) {
    const int64_t count = std::min(kColumnBlock, rows - r);
    const Word* from = in + r * length;
    for (int64_t k = 0; k < length; ++k, ++from)
      if (count == kColumnBlock)
        for (int64_t j = 0; j < kColumnBlock; ++j) to[k * rows + r + j] = from[j * length];
      else
        for (int64_t j = 0; j < count; ++j) to[k * rows + r + j] = from[j * length];
  }
}
template <class Op, class T>
void reduce_short_rows(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t rows, int64_t length) {
  using Stored = typename Element<T>::Stored;
  constexpr int64_t size = sizeof(Stored);
  using Word = WordOf<size>;
  constexpr int64_t kTransposedRows = size == 16 ? 32 : size == 8 ? 64 : 128;
  alignas(64) Stored transposed[kShortRow * kTransposedRows];
  for (int64_t r = 0; r < rows; r += kTransposedRows) {
    const int64_t count = std::min(kTransposedRows, rows - r);
    transpose_block(reinterpret_cast<Word*>(transposed), reinterpret_cast<const Word*>(in + r * length), count, length);
    reduce_columns<Op>(out + r, InPlace<T>{transposed}, length, count, count);
  }
}

// For few columns: treats several rows as one row with more columns, and joins their results.
template <class Op, class T>
void reduce_narrow(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner) {
  using Result = typename Op::Result;
  const int64_t together = kTile / inner;
  if (length < 2 * together || length <= kOrderedRows)
    return reduce_columns<Op>(out, InPlace<T>{in}, length, inner, inner);
  Result sums[kTile];
  const int64_t rows = length / together, columns = together * inner;
  reduce_columns<Op>(sums, InPlace<T>{in}, rows, columns, columns);
  for (int64_t i = 0; i < inner; ++i) {
    Result total = sums[i];
    for (int64_t k = 1; k < together; ++k) total = Op::join(total, sums[k * inner + i]);
    for (int64_t k = rows * together; k < length; ++k)
      total = Op::join(total, Result(Op::map(Element<T>::value(in[k * inner + i]))));
    out[i] = total;
  }
}

template <class Op, class T>
inline constexpr bool as_it_lies =
    Op::kElements && std::is_same_v<T, typename Op::Leaf> && std::is_same_v<T, typename Element<T>::Stored>;

template <class Op, class T>
[[gnu::noinline]] void reduce(char* out_bytes, const char* in_bytes, int64_t outer, int64_t length, int64_t inner,
                              int64_t width) {
  using Result = typename Op::Result;
  auto* out = reinterpret_cast<Result*>(out_bytes);
  const auto* in = reinterpret_cast<const typename Element<T>::Stored*>(in_bytes);
  if (inner == 1 && length < kShortRow) return reduce_short_rows<Op, T>(out, in, outer, length);
  for (int64_t o = 0; o < outer; ++o, in += length * inner, out += inner) {
    if constexpr (as_it_lies<Op, T>)
      if (inner == 1) {
        out[0] = extreme_of_row<Op>(in, length);
        continue;
      }
    if (inner == 1)
      out[0] = fold<Op, Result, typename Op::Leaf>(
          0, length, row_of<T>(in, [](ValueOf<T> v) __attribute__((always_inline)) { return Op::map(v); }));
    else if (width == inner && inner <= kTile / 2)
      reduce_narrow<Op, T>(out, in, length, inner);
    else
      reduce_columns<Op>(out, InPlace<T>{in}, length, inner, width);
  }
}

// Reduces elements that are converted to type V. Converts only as many elements at a time as fit in the first-level
// cache.
template <class Op, class V>
struct BufferedReduction {
  using Result = typename Op::Result;
  static constexpr int64_t kValues = 16384 / sizeof(V);
  ReadAs<V> in;
  alignas(64) V values[kValues];

  // Reduces outer * length * inner contiguous elements, from element `first` on.
  void run(Result* out, int64_t first, int64_t outer, int64_t length, int64_t inner) {
    const int64_t elements = length * inner, together = kValues / std::max<int64_t>(1, elements);
    if (together == 0) {
      for (int64_t o = 0; o < outer; ++o) halves(out + o * inner, first + o * elements, length, inner);
      return;
    }
    for (int64_t o = 0; o < outer; o += together) {
      const int64_t count = std::min(together, outer - o);
      in.read(values, in.in + (first + o * elements) * in.size, count * elements);
      reduce<Op, V>(reinterpret_cast<char*>(out + o * inner), reinterpret_cast<const char*>(values), count, length,
                    inner, inner);
    }
  }
  [[gnu::noinline]] void halves(Result* out, int64_t first, int64_t length, int64_t inner) {
    const int64_t rows = kValues / inner, half = (length / 2 + rows - 1) / rows * rows;
    Result high[kTile];
    run(out, first, 1, half, inner);
    run(high, first + half * inner, 1, length - half, inner);
    for (int64_t i = 0; i < inner; ++i) out[i] = Op::join(out[i], high[i]);
  }
};
template <class Op, class V>
[[gnu::noinline]] void reduce_read(char* out_bytes, ReadAs<V> in, int64_t outer, int64_t length, int64_t inner,
                                   int64_t width) {
  auto* out = reinterpret_cast<typename Op::Result*>(out_bytes);
  if (width == inner && inner <= kTile / 2) {
    BufferedReduction<Op, V> reduction;
    reduction.in = in;
    return reduction.run(out, 0, outer, length, inner);
  }
  for (int64_t o = 0; o < outer; ++o, in.in += length * inner * in.size, out += inner)
    reduce_columns<Op>(out, in, length, inner, width);
}

// Reads elements and applies the map of the reduction to them.
template <class Op, class T>
void read_mapped(typename Op::Plain::Value* to, const char* in, int64_t count) {
  const auto* from = reinterpret_cast<const typename Element<T>::Stored*>(in);
  if constexpr (is_half<T>) {
    read_values<T>(to, from, count);
    for (int64_t i = 0; i < count; ++i) to[i] = Op::map(to[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) to[i] = Op::map(Element<T>::value(from[i]));
  }
}
template <class Op, class T>
ReadAs<typename Op::Plain::Value> mapped(const char* in) {
  return {in, read_mapped<Op, T>, sizeof(typename Element<T>::Stored)};
}
template <class Op, class T>
void reduce_mapped(char* out, const char* in, int64_t outer, int64_t length, int64_t inner, int64_t width) {
  reduce_read<typename Op::Plain>(out, mapped<Op, T>(in), outer, length, inner, width);
}

template <class V>
using SumOf = ReductionOf<sum_reduction, V>;

// A sum of complex numbers is two sums of real numbers, in alternating columns or, along a row, in alternating lanes.
template <class R>
void sum_parts_of_row(R* out, const R* in, int64_t n) {
  if (n > kLeaf) {
    const int64_t half = (n / 2 + kLeaf - 1) / kLeaf * kLeaf;
    R high[2];
    sum_parts_of_row(out, in, half);
    sum_parts_of_row(high, in + half, n - half);
    out[0] += high[0];
    out[1] += high[1];
    return;
  }
  R lanes[kLanes] = {};
  const auto at = [in](int64_t i) __attribute__((always_inline)) { return in[i]; };
  int64_t i = 0;
  if (n >= kLanes) {
    join_lanes<Add, kLanes>(lanes, i, n, at);
    halve_lanes<Add, kLanes, 16>(lanes);
  }
  join_lanes<Add, 16>(lanes, i, n, at);
  halve_lanes<Add, 16, 4>(lanes);
  join_lanes<Add, 4>(lanes, i, n, at);
  for (int64_t j = 0; j < 2; ++j) out[j] = (lanes[j] + lanes[2 + j]) + (i < n ? in[i + j] : R(0));
}
template <class R>
void sum_parts(char* out, const char* in, int64_t outer, int64_t length, int64_t inner, int64_t width) {
  if (inner != 1) return reduce<SumOf<R>, R>(out, in, outer, length, 2 * inner, 2 * width);
  for (int64_t o = 0; o < outer; ++o)
    sum_parts_of_row(reinterpret_cast<R*>(out) + 2 * o, reinterpret_cast<const R*>(in) + 2 * o * length, 2 * length);
}

template <class T>
double squared_deviation(const char* in_bytes, int64_t length, double mean) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const T centre = T(mean);
  return fold<Add, T>(0, length, [in, centre](int64_t i) __attribute__((always_inline)) {
    const T d = in[i] - centre;
    return d * d;
  });
}

// Computes means and sums of squared deviations, in two passes.
template <class T>
void moments(char* mean_bytes, char* squares_bytes, const char* in_bytes, int64_t length, int64_t inner,
             int64_t width) {
  using V = ValueOf<T>;
  constexpr int64_t kColumns = 64;  // the columns of a pass stay in the cache for the second pass
  const auto* in = reinterpret_cast<const typename Element<T>::Stored*>(in_bytes);
  V *mean = reinterpret_cast<V*>(mean_bytes), *squares = reinterpret_cast<V*>(squares_bytes);
  if (inner == 1) {
    const auto at = row_of<T>(in, [](V v) __attribute__((always_inline)) { return v; });
    if (length < 16) {  // too short for a tree
      V sum = V(0), deviations = V(0);
      for (int64_t i = 0; i < length; ++i) sum += at(i);
      mean[0] = sum / V(length);
      for (int64_t i = 0; i < length; ++i) deviations += (at(i) - mean[0]) * (at(i) - mean[0]);
      squares[0] = deviations;
      return;
    }
    const V centre = fold<Add, V>(0, length, at) / V(length);
    mean[0] = centre;
    squares[0] = fold<Add, V>(0, length, row_of<T>(in, [centre](V v) __attribute__((always_inline)) {
                                const V d = v - centre;
                                return d * d;
                              }));
    return;
  }
  for (int64_t first = 0; first < width; first += kColumns) {
    const int64_t count = width - first < kColumns ? width - first : kColumns;
    V sum[kColumns];
    if constexpr (is_half<T>)
      reduce_columns<SumOf<V>>(sum, mapped<SumOf<V>, T>(reinterpret_cast<const char*>(in + first)), length, inner,
                               count);
    else
      reduce_columns<SumOf<V>>(sum, InPlace<T>{in + first}, length, inner, count);
    for (int64_t i = 0; i < count; ++i) {
      mean[first + i] = sum[i] / V(length);
      sum[i] = V(0);
    }
    for (int64_t row = 0; row < length; row += kTileRows) {
      V partial[kColumns] = {};
      const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
      for (int64_t k = row; k < stop; ++k) {
        V values[kColumns];
        read_values<T>(values, in + k * inner + first, count);
        for (int64_t i = 0; i < count; ++i) {
          const V d = values[i] - mean[first + i];
          partial[i] += d * d;
        }
      }
      for (int64_t i = 0; i < count; ++i) sum[i] += partial[i];
    }
    for (int64_t i = 0; i < count; ++i) squares[first + i] = sum[i];
  }
}

template <class... T>
struct Types {};
using RealTypes = Types<float16, bfloat16, float, double>;
using AllTypes = Types<bool, uint8_t, int8_t, int16_t, int32_t, int64_t, uint16_t, uint32_t, uint64_t, float16,
                       bfloat16, float, double, Complex<float>, Complex<double>>;

template <class T>
inline constexpr bool is_whole = std::is_integral_v<T>;
template <class T>
inline constexpr bool is_complex = std::is_same_v<T, Complex<float>> || std::is_same_v<T, Complex<double>>;

template <class Row, class T>
constexpr bool supports() {
  switch (Row::kDomain) {
    case ReductionDomain::Any:
    case ReductionDomain::Nonzero:
      return true;
    case ReductionDomain::Ordered:
      return !is_complex<T>;
    case ReductionDomain::Floating:
      return is_half<T> || is_real<T>;
    case ReductionDomain::Inexact:
      return !is_whole<T>;
    case ReductionDomain::Bits:
      return std::is_same_v<T, int64_t> || is_real<T>;
  }
}

// The type whose kernel is used for T, because it gives the same results. Note [Same bits]
template <class Row, class T>
using Represented = std::conditional_t<
    Row::kDomain == ReductionDomain::Nonzero, std::conditional_t<sizeof(T) == 1, uint8_t, typename SignedType<T>::type>,
    std::conditional_t<ReductionOf<Row, ValueOf<T>>::kAccumulates && std::is_same_v<T, uint64_t>, int64_t, T>>;

// Returns true if elements are reduced as stored in memory, which is fastest. Other elements are first converted to one
// of a few types, so that fewer kernels are needed: short integers to int64 for sums and products, except for the sums
// of int32 and uint8, which are common; booleans to bytes.
template <class Row, class T>
constexpr bool reduces_in_place() {
  using Op = ReductionOf<Row, ValueOf<T>>;
  if (is_half<T> || std::is_same_v<T, bool>) return false;
  if (Op::kElements) return true;
  if (std::is_same_v<Row, sum_reduction> && std::is_same_v<T, int32_t>) return true;
  if (std::is_same_v<T, uint8_t>) return std::is_same_v<Row, sum_reduction> || Op::kTruth;
  return std::is_same_v<T, typename Op::Mapped> && sizeof(T) >= sizeof(float) && (!is_whole<T> || sizeof(T) == 8);
}

template <class Op>
constexpr Dtype result_of() {
  if (Op::kTruth && !Op::kAccumulates) return Dtype::bool_;
  return dtype_of<typename Op::Result>();
}
template <class Row, class T>
constexpr ReduceEntry entry_of() {
  using Wide = ReductionOf<Row, ValueOf<T>>;
  if constexpr (!supports<Row, T>()) {
    return {};
  } else if constexpr (!std::is_same_v<Represented<Row, T>, T>) {
    return entry_of<Row, Represented<Row, T>>();
  } else if constexpr (std::is_same_v<T, bool> && std::is_same_v<Row, sum_reduction>) {
    return entry_of<count_nonzero_reduction, T>();
  } else if constexpr (std::is_same_v<T, bool> && std::is_same_v<Row, amax_reduction>) {
    return entry_of<any_reduction, T>();
  } else if constexpr (std::is_same_v<T, bool> && std::is_same_v<Row, amin_reduction>) {
    return entry_of<all_reduction, T>();
  } else if constexpr (is_complex<T> && std::is_same_v<Row, sum_reduction>) {
    return {sum_parts<RealOf<T>>, dtype_of<T>()};
  } else if constexpr (reduces_in_place<Row, T>()) {
    return {reduce<Wide, T>, result_of<Wide>()};
  } else if constexpr (Row::kDomain == ReductionDomain::Nonzero && !is_whole<T> && !is_real<T>) {
    using Seen = Zeroness<std::conditional_t<is_half<T>, uint16_t, T>>;
    using Op = ReductionOf<Row, ValueOf<Seen>>;
    return {reduce_mapped<Op, Seen>, result_of<Op>()};
  } else {
    using Op = std::conditional_t<is_whole<T> && !Wide::kTruth, ReductionOf<Row, int64_t>, Wide>;
    return {reduce_mapped<Op, T>, result_of<Op>()};
  }
}
template <class Row, class... T>
void fill_row(Table& table, Reduce op, Types<T...>) {
  ((table.reduce[int(op)][int(dtype_of<T>())] = entry_of<Row, T>()), ...);
}
template <class... T>
void fill_moments(Table& table, Types<T...>) {
  ((table.moments[int(dtype_of<T>())] = moments<T>), ...);
}

}  // namespace

void fill_reduce(Table& table) {
#define REDUCTION(name, ...) fill_row<name##_reduction>(table, Reduce::name, AllTypes());
#include "flambeau/reductions.def"
  fill_moments(table, RealTypes());
  table.squared_deviation[0] = squared_deviation<float>;
  table.squared_deviation[1] = squared_deviation<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
