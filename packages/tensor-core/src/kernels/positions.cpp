// Where the extremes are: argmax and argmin.
#include "kernels/element_rows.h"
#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;  // columns looked at together
constexpr int64_t kSide = 16;   // values, of as many short rows where rows are short

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

template <class... T>
void fill_types(Table& table) {
  (void(table.argmax[int(dtype_of<T>())] = arg_reduce<Larger, T>), ...);
  (void(table.argmin[int(dtype_of<T>())] = arg_reduce<Smaller, T>), ...);
}

}  // namespace

void fill_positions(Table& table) {
  fill_types<bool, uint8_t, int8_t, int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>(table);
  fill_types<float16, bfloat16, float, double>(table);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
