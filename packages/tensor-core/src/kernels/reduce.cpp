// Reductions: each element type is read as it lies in memory and accumulated in a wide enough one. Note [Reducing]
#include <algorithm>
#include <limits>

#include "kernels/fold.h"
#include "kernels/halves.h"
#include "kernels/reductions.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;     // columns accumulated together
constexpr int64_t kTileRows = 64;  // rows added up before they join the total
constexpr int64_t kSide = 16;      // short rows reduced side by side
constexpr int64_t kShortRow = 32;  // elements from which on a row has a tree of its own

// map(value) of the elements of a row; of half types vectors are converted at a time.
template <class T, class Map>
struct Row {
  const typename Element<T>::Stored* in;
  Map map;
  FLAMBEAU_INLINE auto operator()(int64_t i) const { return map(Element<T>::value(in[i])); }
  template <int64_t count, class Part>
    requires(is_half<T> && count % kHalfTile == 0)
  FLAMBEAU_INLINE void read(Part* values, int64_t i) const {
    for (int64_t j = 0; j < count; j += kHalfTile) {
      float tile[kHalfTile];
      widen(tile, in + i + j);
      for (int64_t k = 0; k < kHalfTile; ++k) values[j + k] = map(tile[k]);
    }
  }
};
template <class T, class Map>
FLAMBEAU_INLINE Row<T, Map> row_of(const typename Element<T>::Stored* in, Map map) {
  return {in, map};
}
// The next `count` values of a row as they are computed with.
template <class T>
FLAMBEAU_INLINE void read_values(ValueOf<T>* to, const typename Element<T>::Stored* in, int64_t count) {
  int64_t i = 0;
  if constexpr (is_half<T>)
    for (; i + kHalfTile <= count; i += kHalfTile) widen(to + i, in + i);
  for (; i < count; ++i) to[i] = Element<T>::value(in[i]);
}

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

// Positions are as wide as the values they belong to, so that both are vectors of as many lanes; values are at least
// four bytes wide.
template <class V>
using Place = std::conditional_t<sizeof(V) == 8, int64_t, int32_t>;
template <class T>
using Ranked = std::conditional_t<(sizeof(ValueOf<T>) < 4), int32_t, ValueOf<T>>;
template <class T>
FLAMBEAU_INLINE void read_ranked(Ranked<T>* to, const typename Element<T>::Stored* in, int64_t count) {
  if constexpr (is_half<T>)
    read_values<T>(to, in, count);
  else
    for (int64_t i = 0; i < count; ++i) to[i] = Element<T>::value(in[i]);
}

// Where values[j] is more extreme than best[j], it is the best, at `at`. The first of equal ones and of NaNs stays.
template <class Join, class V>
FLAMBEAU_INLINE void keep_better(V* best, Place<V>* place, const V* values, Place<V> at) {
  static_assert(sizeof(V) == sizeof(Place<V>));
  constexpr int64_t bytes = kSide * sizeof(V) < kVectorBytes ? kSide * sizeof(V) : kVectorBytes;
  typedef V Values __attribute__((vector_size(bytes), aligned(sizeof(V)), may_alias));
  typedef Place<V> Places __attribute__((vector_size(bytes), aligned(sizeof(V)), may_alias));
  for (int64_t j = 0; j < kSide; j += bytes / int64_t(sizeof(V))) {
    const Values value = *reinterpret_cast<const Values*>(values + j);
    Values& kept = *reinterpret_cast<Values*>(best + j);
    Places& where = *reinterpret_cast<Places*>(place + j);
    const auto better = (kept == kept) & (Join::join(value, kept) != kept);
    where = better ? Places{} + at : where;
    kept = better ? value : kept;
  }
}

// The position of the first extreme value of a row of some length; NaN is extreme.
template <class Join, class T>
int64_t arg_reduce_row(const typename Element<T>::Stored* in, int64_t length) {
  using V = Ranked<T>;
  const auto at = row_of<T>(in, [](ValueOf<T> v) __attribute__((always_inline)) { return v; });
  int64_t i = 0;
  if (length < kSide) {
    for (int64_t k = 1; k < length && at(i) == at(i); ++k)
      if (Join::join(at(k), at(i)) != at(i)) i = k;
    return i;
  }
  if (length < 512) {  // every lane's best with its position, then the first of the best of them
    V best[kSide], most[kSide];
    Place<V> place[kSide] = {}, first[kSide];
    read_ranked<T>(best, in, kSide);
    for (i = kSide; i < length; i += kSide) {
      const int64_t from = i + kSide <= length ? i : length - kSide;  // looking twice does no harm
      V values[kSide];
      read_ranked<T>(values, in + from, kSide);
      keep_better<Join>(best, place, values, Place<V>(from));
    }
    for (int64_t j = 0; j < kSide; ++j) most[j] = best[j];
    halve_lanes<Join, kSide, 1>(most);
    const V target = most[0];
    for (int64_t j = 0; j < kSide; ++j)
      first[j] = (best[j] == target) | (best[j] != best[j]) ? Place<V>(place[j] + j) : Place<V>(length);
    halve_lanes<Smaller, kSide, 1>(first);
    return first[0];
  }
  const ValueOf<T> best = fold<Join, ValueOf<T>>(0, length, at);
  for (; i + kLanes <= length; i += kLanes) {  // blocks without the value are skipped at vector speed
    ValueOf<T> values[kLanes];
    read_values<T>(values, in + i, kLanes);
    int32_t found = 0;
    for (int64_t j = 0; j < kLanes; ++j) found += (values[j] == best) | (values[j] != values[j]);
    if (found) break;
  }
  while (!(at(i) == best || at(i) != at(i))) ++i;
  return i;
}

// The positions in kSide short rows at a time.
template <class Join, class T>
void arg_reduce_side_by_side(int64_t* out, const typename Element<T>::Stored* in, int64_t length) {
  using V = Ranked<T>;
  V best[kSide];
  Place<V> place[kSide] = {};
  for (int64_t j = 0; j < kSide; ++j) best[j] = Element<T>::value(in[j * length]);
  for (int64_t k = 1; k < length; ++k) {
    V values[kSide];
    for (int64_t j = 0; j < kSide; ++j) values[j] = Element<T>::value(in[j * length + k]);
    keep_better<Join>(best, place, values, Place<V>(k));
  }
  for (int64_t j = 0; j < kSide; ++j) out[j] = place[j];
}

template <class Join, class T>
void arg_reduce_rows(int64_t* out, const typename Element<T>::Stored* in, int64_t rows, int64_t length) {
  int64_t r = 0;
  if (length < 32)
    for (; r + kSide <= rows; r += kSide) arg_reduce_side_by_side<Join, T>(out + r, in + r * length, length);
  for (; r < rows; ++r) out[r] = arg_reduce_row<Join, T>(in + r * length, length);
}

// Columns [0, width) of rows `inner` apart, a tile at a time.
template <class Join, class T>
void arg_reduce_columns(int64_t* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner,
                        int64_t width) {
  using V = Ranked<T>;
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile, whole = (count + kSide - 1) / kSide * kSide;
    V best[kTile] = {}, row[kTile] = {};
    Place<V> place[kTile] = {};  // blocks are shorter than 2**31
    for (int64_t i = 0; i < count; ++i) best[i] = Element<T>::value(in[first + i]);
    for (int64_t k = 1; k < length; ++k) {
      const auto* from = in + k * inner + first;
      read_ranked<T>(row, from, count);
      for (int64_t i = 0; i < whole; i += kSide) keep_better<Join>(best + i, place + i, row + i, Place<V>(k));
    }
    for (int64_t i = 0; i < count; ++i) out[first + i] = place[i];
  }
}

// Few columns: several rows side by side are one row of more columns.
template <class Join, class T>
void arg_reduce_narrow(int64_t* out, const typename Element<T>::Stored* in, int64_t length, int64_t inner) {
  using V = Ranked<T>;
  const int64_t together = kTile / inner, rows = length / together;
  int64_t places[kTile];
  arg_reduce_columns<Join, T>(places, in, rows, together * inner, together * inner);
  for (int64_t i = 0; i < inner; ++i) {
    int64_t best = places[i] * together;
    const auto consider = [&](int64_t row) {
      const V value = Element<T>::value(in[row * inner + i]), kept = Element<T>::value(in[best * inner + i]);
      const bool earlier = row < best, equal = (value == kept) | ((value != value) & (kept != kept));
      if ((equal & earlier) | (!equal & (kept == kept) & (Join::join(value, kept) != kept))) best = row;
    };
    for (int64_t k = 1; k < together; ++k) consider(places[k * inner + i] * together + k);
    for (int64_t row = rows * together; row < length; ++row) consider(row);
    out[i] = best;
  }
}

template <class Join, class T>
void arg_reduce(int64_t* out, const char* in_bytes, int64_t outer, int64_t length, int64_t inner, int64_t width) {
  const auto* in = reinterpret_cast<const typename Element<T>::Stored*>(in_bytes);
  if (inner == 1) return arg_reduce_rows<Join, T>(out, in, outer, length);
  const bool narrow = width == inner && inner <= kTile / 4 && length >= 2 * (kTile / inner);
  for (int64_t o = 0; o < outer; ++o, in += length * inner, out += inner)
    if (narrow)
      arg_reduce_narrow<Join, T>(out, in, length, inner);
    else
      arg_reduce_columns<Join, T>(out, in, length, inner, width);
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
  table.argmax[int(dtype_of<T>())] = arg_reduce<Larger, T>;
  table.argmin[int(dtype_of<T>())] = arg_reduce<Smaller, T>;
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
