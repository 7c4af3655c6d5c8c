// Reductions: each element type is read as it lies in memory and accumulated in a wide enough one. Note [Reducing]
#include <algorithm>
#include <initializer_list>
#include <limits>

#include "kernels/fold.h"
#include "kernels/reduce_columns.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kShortRow = 32;  // elements from which on a row has a tree of its own

// Rows too short for a tree each become columns, as many at a time as stay in the nearest cache.
template <class Word>
[[gnu::noipa]] void turn_rows(Word* to, const Word* in, int64_t rows, int64_t length) {
  if constexpr (sizeof(Word) == 4 || sizeof(Word) == 8) return transpose(to, rows, in, length, rows, length);
  for (int64_t r = 0; r < rows; r += kSide) {
    const int64_t count = std::min(kSide, rows - r);
    const Word* from = in + r * length;
    for (int64_t k = 0; k < length; ++k, ++from)
      if (count == kSide)
        for (int64_t j = 0; j < kSide; ++j) to[k * rows + r + j] = from[j * length];
      else
        for (int64_t j = 0; j < count; ++j) to[k * rows + r + j] = from[j * length];
  }
}
template <class Op, class T>
void reduce_short_rows(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t rows, int64_t length) {
  using Stored = typename Element<T>::Stored;
  constexpr int64_t size = sizeof(Stored);
  using Word = WordOf<size>;
  constexpr int64_t kTurned = size == 16 ? 32 : size == 8 ? 64 : 128;
  alignas(64) Stored turned[kShortRow * kTurned];
  for (int64_t r = 0; r < rows; r += kTurned) {
    const int64_t count = std::min(kTurned, rows - r);
    turn_rows(reinterpret_cast<Word*>(turned), reinterpret_cast<const Word*>(in + r * length), count, length);
    reduce_columns<Op>(out + r, InPlace<T>{turned}, length, count, count);
  }
}

// Few columns: several rows side by side are one row of more columns.
template <class Op, class T>
void reduce_narrow(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner) {
  using Result = typename Op::Result;
  const int64_t together = kTile / inner;
  if (length < 2 * together) return reduce_columns<Op>(out, InPlace<T>{in}, length, inner, inner);
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

// An extreme of the elements themselves.
template <class Op, class T>
inline constexpr bool as_it_lies = false;
template <class Op, class T>
  requires(Op::kElements)
inline constexpr bool as_it_lies<Op, T> =
    std::is_same_v<T, typename Op::Leaf> && std::is_same_v<T, typename Element<T>::Stored>;

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

// Elements that are read as values of type V: as many at a time as stay in the nearest cache are reduced there.
template <class Op, class V>
struct BufferedReduction {
  using Result = typename Op::Result;
  static constexpr int64_t kValues = 16384 / sizeof(V);
  ReadAs<V> in;
  alignas(64) V values[kValues];

  // `outer` times `length` times `inner` elements side by side, from the one numbered `first`.
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

// Elements are read as what the reduction makes of each.
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

// A sum of complex numbers is two sums of real ones, in alternating columns; in a row, in alternating lanes.
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

// Means and sums of squared deviations, in two passes.
template <class T>
void moments(char* mean_bytes, char* squares_bytes, const char* in_bytes, int64_t length, int64_t inner,
             int64_t width) {
  using V = ValueOf<T>;
  constexpr int64_t kColumns = 64;  // what a pass reads should still be in the cache for the second
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

ReduceEntry& entry(Table& table, Reduce reduction, Dtype dtype) { return table.reduce[int(reduction)][int(dtype)]; }
template <class Op, class T>
void set(Table& table, Reduce reduction, Dtype result) {
  entry(table, reduction, dtype_of<T>()) = {reduce<Op, T>, result};
}
// Of elements of type T as they are seen: read first, and reduced as others that are read as the same.
template <class Op, class T, class Seen = T>
void set_read(Table& table, Reduce reduction, Dtype result) {
  entry(table, reduction, dtype_of<T>()) = {reduce_mapped<Op, Seen>, result};
}
// What does not depend on the sign is that of the other type of the same size. Note [Same bits]
void share(Table& table, std::initializer_list<Reduce> reductions, Dtype to, Dtype from) {
  for (Reduce op : reductions) entry(table, op, to) = entry(table, op, from);
}
constexpr std::initializer_list<Reduce> kTruth = {Reduce::Any, Reduce::All, Reduce::Count};
template <class T, class Seen = T>
void fill_truth(Table& table) {
  using V = ValueOf<Seen>;
  set_read<TruthOf<V, Or>, T, Seen>(table, Reduce::Any, Dtype::bool_);
  set_read<TruthOf<V, And>, T, Seen>(table, Reduce::All, Dtype::bool_);
  set_read<CountOf<V>, T, Seen>(table, Reduce::Count, Dtype::int64);
}
template <class T>
void fill_extremes(Table& table) {
  set<ExtremeOf<T, Larger>, T>(table, Reduce::Max, dtype_of<T>());
  set<ExtremeOf<T, Smaller>, T>(table, Reduce::Min, dtype_of<T>());
}
template <class T>
void fill_sums(Table& table) {
  set<SumOf<T>, T>(table, Reduce::Sum, dtype_of<T>());
  set<ProdOf<T>, T>(table, Reduce::Prod, dtype_of<T>());
}
// Sums and products of short integers are those of int64, but for the sums that are frequent.
template <class T>
void fill_short_integer(Table& table) {
  fill_extremes<T>(table);
  set_read<ProdOf<int64_t>, T>(table, Reduce::Prod, Dtype::int64);
  if constexpr (std::is_same_v<T, uint8_t> || std::is_same_v<T, int32_t>)
    set<SumOf<T>, T>(table, Reduce::Sum, Dtype::int64);
  else
    set_read<SumOf<int64_t>, T>(table, Reduce::Sum, Dtype::int64);
}
// The sum of truths is their number, the largest one says whether there is any.
void fill_truth_of_bytes(Table& table) {
  set<TruthOf<uint8_t, Or>, uint8_t>(table, Reduce::Any, Dtype::bool_);
  set<TruthOf<uint8_t, And>, uint8_t>(table, Reduce::All, Dtype::bool_);
  set<CountOf<uint8_t>, uint8_t>(table, Reduce::Count, Dtype::int64);
  for (Dtype same : {Dtype::int8, Dtype::bool_}) share(table, kTruth, same, Dtype::uint8);
  entry(table, Reduce::Sum, Dtype::bool_) = entry(table, Reduce::Count, Dtype::bool_);
  entry(table, Reduce::Max, Dtype::bool_) = entry(table, Reduce::Any, Dtype::bool_);
  entry(table, Reduce::Min, Dtype::bool_) = entry(table, Reduce::All, Dtype::bool_);
  set_read<ProdOf<int64_t>, bool>(table, Reduce::Prod, Dtype::int64);
}
template <class T>
void fill_read_norms(Table& table) {
  using V = ValueOf<T>;
  const Dtype real = dtype_of<RealOf<V>>();
  set_read<AbsSumOf<V>, T>(table, Reduce::AbsSum, real);
  set_read<SquareSumOf<V>, T>(table, Reduce::SquareSum, real);
  set_read<AbsExtremeOf<V, Larger>, T>(table, Reduce::AbsMax, real);
  set_read<AbsExtremeOf<V, Smaller>, T>(table, Reduce::AbsMin, real);
}
template <class T>
void fill_half(Table& table) {
  fill_truth<T, Zeroness<uint16_t>>(table);
  set_read<SumOf<float>, T>(table, Reduce::Sum, Dtype::float32);
  set_read<ProdOf<float>, T>(table, Reduce::Prod, Dtype::float32);
  set_read<NanSumOf<float>, T>(table, Reduce::NanSum, Dtype::float32);
  set_read<ExtremeOf<float, Larger>, T>(table, Reduce::Max, Dtype::float32);
  set_read<ExtremeOf<float, Smaller>, T>(table, Reduce::Min, Dtype::float32);
  fill_read_norms<T>(table);
  table.moments[int(dtype_of<T>())] = moments<T>;
}
template <class T>
void fill_real(Table& table) {
  fill_truth<T>(table);
  fill_sums<T>(table);
  fill_extremes<T>(table);
  set<NanSumOf<T>, T>(table, Reduce::NanSum, dtype_of<T>());
  set<AbsSumOf<T>, T>(table, Reduce::AbsSum, dtype_of<T>());
  set<SquareSumOf<T>, T>(table, Reduce::SquareSum, dtype_of<T>());
  set<AbsExtremeOf<T, Larger>, T>(table, Reduce::AbsMax, dtype_of<T>());
  set<AbsExtremeOf<T, Smaller>, T>(table, Reduce::AbsMin, dtype_of<T>());
  set_read<XorOf<T>, T>(table, Reduce::Xor, Dtype::int64);
  table.moments[int(dtype_of<T>())] = moments<T>;
}
template <class T>
void fill_complex(Table& table) {
  fill_truth<T, Zeroness<T>>(table);
  entry(table, Reduce::Sum, dtype_of<T>()) = {sum_parts<RealOf<T>>, dtype_of<T>()};
  set<ProdOf<T>, T>(table, Reduce::Prod, dtype_of<T>());
  fill_read_norms<T>(table);
}

}  // namespace

void fill_reduce(Table& table) {
  fill_truth_of_bytes(table);
  fill_truth<int16_t>(table);
  fill_truth<int32_t>(table);
  fill_truth<int64_t>(table);
  fill_short_integer<uint8_t>(table);
  fill_short_integer<int8_t>(table);
  fill_short_integer<int16_t>(table);
  fill_short_integer<int32_t>(table);
  fill_short_integer<uint16_t>(table);
  fill_short_integer<uint32_t>(table);
  fill_extremes<int64_t>(table);
  fill_extremes<uint64_t>(table);
  fill_sums<int64_t>(table);
  share(table, kTruth, Dtype::uint16, Dtype::int16);
  share(table, kTruth, Dtype::uint32, Dtype::int32);
  share(table, kTruth, Dtype::uint64, Dtype::int64);
  share(table, {Reduce::Sum, Reduce::Prod}, Dtype::uint64, Dtype::int64);
  fill_half<float16>(table);
  fill_half<bfloat16>(table);
  fill_real<float>(table);
  fill_real<double>(table);
  fill_complex<Complex<float>>(table);
  fill_complex<Complex<double>>(table);
  set<XorOf<int64_t>, int64_t>(table, Reduce::Xor, Dtype::int64);
  table.squared_deviation[0] = squared_deviation<float>;
  table.squared_deviation[1] = squared_deviation<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
