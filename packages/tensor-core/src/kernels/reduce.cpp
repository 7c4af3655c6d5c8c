// Reductions: each element type is read as it lies in memory and accumulated in a wide enough one. Note [Reducing]
#include <algorithm>
#include <limits>

#include "kernels/element_rows.h"
#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;     // columns accumulated together
constexpr int64_t kTileRows = 64;  // rows added up before they join the total
constexpr int64_t kSide = 16;      // short rows reduced side by side
constexpr int64_t kShortRow = 32;  // elements from which on a row has a tree of its own

// Columns [0, width) of rows `inner` apart, a tile at a time; out has one element for each column.
template <class Op, class T>
void reduce_columns(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner,
                    int64_t width) {
  using Leaf = typename Op::Leaf;
  using Result = typename Op::Result;
  using V = ValueOf<T>;
  V read[is_half<T> ? 4 : 1][kTile];
  // Row k from column `first` on, its values at [i - first].
  const auto row_at = [&](int64_t k, int64_t first, int64_t count, int64_t j) __attribute__((always_inline)) {
    if constexpr (is_half<T>) {
      read_values<T>(read[j], in + k * inner + first, count);
      return static_cast<const V*>(read[j]);
    } else {
      return in + k * inner + first;
    }
  };
  const auto map = [](auto v) __attribute__((always_inline)) {
    if constexpr (is_half<T>)
      return Op::map(v);
    else
      return Op::map(Element<T>::value(v));
  };
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    Result total[kTile];
    for (int64_t i = 0; i < count; ++i) total[i] = Op::template identity<Result>();
    for (int64_t row = 0; row < length; row += kTileRows) {
      Leaf partial[kTile];
      for (int64_t i = 0; i < count; ++i) partial[i] = Op::template identity<Leaf>();
      const int64_t stop = row + kTileRows < length ? row + kTileRows : length;
      int64_t k = row;
      for (; Op::kPairs && k + 4 <= stop; k += 4) {
        const auto *a = row_at(k, first, count, 0), *b = row_at(k + 1, first, count, 1),
                   *c = row_at(k + 2, first, count, 2), *d = row_at(k + 3, first, count, 3);
        for (int64_t i = 0; i < count; ++i)
          partial[i] = Op::join(partial[i], Op::join(Op::join(map(a[i]), map(b[i])), Op::join(map(c[i]), map(d[i]))));
      }
      for (; k < stop; ++k) {
        const auto* a = row_at(k, first, count, 0);
        for (int64_t i = 0; i < count; ++i) partial[i] = Op::join(partial[i], map(a[i]));
      }
      for (int64_t i = 0; i < count; ++i) total[i] = Op::join(total[i], Result(partial[i]));
    }
    for (int64_t i = 0; i < count; ++i) out[first + i] = total[i];
  }
}

// Rows too short for a tree each: side by side, turned in registers where the elements are words.
template <class Word>
__attribute__((noinline)) void turn_rows(void* to, const void* in, int64_t length) {
  transpose(static_cast<Word*>(to), kSide, static_cast<const Word*>(in), length, kSide, length);
}
template <class Op, class T>
void reduce_short_rows(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t rows, int64_t length) {
  using Stored = typename Element<T>::Stored;
  using Leaf = typename Op::Leaf;
  constexpr bool kWords = std::is_arithmetic_v<Stored> && sizeof(Stored) >= 4;
  alignas(64) Stored turned[kWords ? kShortRow * kSide : 1];
  int64_t r = 0;
  for (; r + kSide <= rows; r += kSide, in += kSide * length) {
    Leaf sums[kSide];
    for (int64_t j = 0; j < kSide; ++j) sums[j] = Op::template identity<Leaf>();
    if constexpr (kWords) turn_rows<std::conditional_t<sizeof(Stored) == 4, float, double>>(turned, in, length);
    for (int64_t k = 0; k < length; ++k) {
      Leaf values[kSide];
      for (int64_t j = 0; j < kSide; ++j)
        values[j] = Op::map(Element<T>::value(kWords ? turned[k * kSide + j] : in[j * length + k]));
      join_arrays<Op, kSide>(sums, values);
    }
    for (int64_t j = 0; j < kSide; ++j) out[r + j] = typename Op::Result(sums[j]);
  }
  for (; r < rows; ++r, in += length) {
    Leaf sum = Op::template identity<Leaf>();
    for (int64_t k = 0; k < length; ++k) sum = Op::join(sum, Op::map(Element<T>::value(in[k])));
    out[r] = typename Op::Result(sum);
  }
}

// Few columns: several rows side by side are one row of more columns.
template <class Op, class T>
void reduce_narrow(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner) {
  using Result = typename Op::Result;
  const int64_t together = kTile / inner;
  if (length < 2 * together) return reduce_columns<Op, T>(out, in, length, inner, inner);
  Result sums[kTile];
  const int64_t rows = length / together, columns = together * inner;
  reduce_columns<Op, T>(sums, in, rows, columns, columns);
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
void reduce(char* out_bytes, const char* in_bytes, int64_t outer, int64_t length, int64_t inner, int64_t width);

// Rows of half types that are not long are converted several at a time: their ends are no vectors.
constexpr int64_t kWidened = 4096;
template <class Op, class T>
void reduce_widened(typename Op::Result* out, const typename Element<T>::Stored* in, int64_t rows, int64_t length) {
  alignas(64) ValueOf<T> values[kWidened];
  const int64_t together = kWidened / std::max<int64_t>(1, length);
  for (int64_t r = 0; r < rows; r += together) {
    const int64_t count = std::min(together, rows - r);
    read_values<T>(values, in + r * length, count * length);
    reduce<Op, ValueOf<T>>(reinterpret_cast<char*>(out + r), reinterpret_cast<const char*>(values), count, length, 1,
                           1);
  }
}

template <class Op, class T>
void reduce(char* out_bytes, const char* in_bytes, int64_t outer, int64_t length, int64_t inner, int64_t width) {
  using Result = typename Op::Result;
  auto* out = reinterpret_cast<Result*>(out_bytes);
  const auto* in = reinterpret_cast<const typename Element<T>::Stored*>(in_bytes);
  if constexpr (is_half<T>)
    if (inner == 1 && length <= kWidened) return reduce_widened<Op, T>(out, in, outer, length);
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
      reduce_columns<Op, T>(out, in, length, inner, width);
  }
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
    reduce_columns<SumOf<V>, T>(sum, in + first, length, inner, count);
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

template <class Op, class T>
void set(Table& table, Reduce reduction, Dtype result) {
  table.reduce[int(reduction)][int(dtype_of<T>())] = {reduce<Op, T>, result};
}

template <class T>
void fill_any(Table& table) {
  using V = ValueOf<T>;
  set<SumOf<V>, T>(table, Reduce::Sum, dtype_of<Total<V>>());
  set<ProdOf<V>, T>(table, Reduce::Prod, dtype_of<Total<V>>());
  set<TruthOf<V, Or>, T>(table, Reduce::Any, Dtype::bool_);
  set<TruthOf<V, And>, T>(table, Reduce::All, Dtype::bool_);
  set<CountOf<V>, T>(table, Reduce::Count, Dtype::int64);
}
template <class T>
void fill_extremes(Table& table, Dtype value) {
  using V = ValueOf<T>;
  set<ExtremeOf<V, Larger>, T>(table, Reduce::Max, value);
  set<ExtremeOf<V, Smaller>, T>(table, Reduce::Min, value);
}
template <class T>
void fill_ordered(Table& table) {
  fill_any<T>(table);
  fill_extremes<T>(table, std::is_same_v<T, bool> ? Dtype::bool_ : dtype_of<ValueOf<T>>());
}
// What does not depend on the sign is that of the signed type. Note [Same bits]
template <class T>
void fill_unsigned(Table& table) {
  const auto own = size_t(dtype_of<T>()), same = size_t(dtype_of<SameBits<T>>());
  if constexpr (sizeof(T) < 8) {
    set<SumOf<T>, T>(table, Reduce::Sum, Dtype::int64);
    set<ProdOf<T>, T>(table, Reduce::Prod, Dtype::int64);
  } else {
    for (Reduce op : {Reduce::Sum, Reduce::Prod}) table.reduce[int(op)][own] = table.reduce[int(op)][same];
  }
  for (Reduce op : {Reduce::Any, Reduce::All, Reduce::Count}) table.reduce[int(op)][own] = table.reduce[int(op)][same];
  fill_extremes<T>(table, dtype_of<T>());
}
template <class T>
void fill_norms(Table& table) {
  using V = ValueOf<T>;
  const Dtype real = dtype_of<RealOf<V>>();
  set<AbsSumOf<V>, T>(table, Reduce::AbsSum, real);
  set<SquareSumOf<V>, T>(table, Reduce::SquareSum, real);
  set<AbsExtremeOf<V, Larger>, T>(table, Reduce::AbsMax, real);
  set<AbsExtremeOf<V, Smaller>, T>(table, Reduce::AbsMin, real);
}
template <class T>
void fill_real(Table& table) {
  fill_ordered<T>(table);
  fill_norms<T>(table);
  set<NanSumOf<ValueOf<T>>, T>(table, Reduce::NanSum, dtype_of<ValueOf<T>>());
  table.moments[int(dtype_of<T>())] = moments<T>;
}
template <class T>
void fill_complex(Table& table) {
  fill_any<T>(table);
  table.reduce[int(Reduce::Sum)][int(dtype_of<T>())] = {sum_parts<RealOf<T>>, dtype_of<T>()};
  fill_norms<T>(table);
}

}  // namespace

void fill_reduce(Table& table) {
  fill_ordered<bool>(table);
  fill_ordered<uint8_t>(table);
  fill_ordered<int8_t>(table);
  fill_ordered<int16_t>(table);
  fill_ordered<int32_t>(table);
  fill_ordered<int64_t>(table);
  fill_unsigned<uint16_t>(table);
  fill_unsigned<uint32_t>(table);
  fill_unsigned<uint64_t>(table);
  fill_real<float16>(table);
  fill_real<bfloat16>(table);
  fill_real<float>(table);
  fill_real<double>(table);
  fill_complex<Complex<float>>(table);
  fill_complex<Complex<double>>(table);
  set<XorOf<int64_t>, int64_t>(table, Reduce::Xor, Dtype::int64);
  set<XorOf<float>, float>(table, Reduce::Xor, Dtype::int64);
  set<XorOf<double>, double>(table, Reduce::Xor, Dtype::int64);
  table.squared_deviation[0] = squared_deviation<float>;
  table.squared_deviation[1] = squared_deviation<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
