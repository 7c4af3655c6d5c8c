// Positions of extremes: argmax and argmin.
#include <cstring>
#include <limits>

#include "kernels/element_rows.h"
#include "kernels/fold.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;   // columns that are processed together
constexpr int64_t kUnroll = 16;  // values, or short rows, that are processed together

// The type of positions. It is as wide as the type of the values, so that vectors of both have the same number of
// lanes. Values have at least four bytes.
template <class V>
using IndexOf = std::conditional_t<sizeof(V) == 8, int64_t, int32_t>;
// Where values[j] is more extreme than best[j], replaces best[j] by values[j] and its position by `at`. The first of
// equal values and the first NaN are kept.
template <class Join, class V>
FLAMBEAU_INLINE void keep_better(V* best, IndexOf<V>* index, const V* values, IndexOf<V> at) {
  static_assert(sizeof(V) == sizeof(IndexOf<V>));
  constexpr int64_t bytes = kUnroll * sizeof(V) < kVectorBytes ? kUnroll * sizeof(V) : kVectorBytes;
  typedef V Values __attribute__((vector_size(bytes), aligned(sizeof(V)), may_alias));
  typedef IndexOf<V> Indices __attribute__((vector_size(bytes), aligned(sizeof(V)), may_alias));
  for (int64_t j = 0; j < kUnroll; j += bytes / int64_t(sizeof(V))) {
    const Values value = *reinterpret_cast<const Values*>(values + j);
    Values& kept = *reinterpret_cast<Values*>(best + j);
    Indices& where = *reinterpret_cast<Indices*>(index + j);
    const auto better = (kept == kept) & (Join::join(value, kept) != kept);
    where = better ? Indices{} + at : where;
    kept = better ? value : kept;
  }
}

// Returns the position of the first extreme value of a row; NaN counts as extreme.
template <class Join, class V>
int64_t arg_reduce_row(const V* in, int64_t length) {
  int64_t i = 0;
  if (length < kUnroll) {
    for (int64_t k = 1; k < length && in[i] == in[i]; ++k)
      if (Join::join(in[k], in[i]) != in[i]) i = k;
    return i;
  }
  // Finds the best value of every lane with its position, then the first of these best values.
  if (length < 512) {
    V best[kUnroll], most[kUnroll];
    IndexOf<V> index[kUnroll] = {}, first[kUnroll];
    for (int64_t j = 0; j < kUnroll; ++j) best[j] = in[j];
    for (i = kUnroll; i < length; i += kUnroll) {
      const int64_t from = i + kUnroll <= length ? i : length - kUnroll;  // elements may be read twice
      keep_better<Join>(best, index, in + from, IndexOf<V>(from));
    }
    for (int64_t j = 0; j < kUnroll; ++j) most[j] = best[j];
    halve_lanes<Join, kUnroll, 1>(most);
    const V target = most[0];
    for (int64_t j = 0; j < kUnroll; ++j)
      first[j] = (best[j] == target) | (best[j] != best[j]) ? IndexOf<V>(index[j] + j) : IndexOf<V>(length);
    halve_lanes<Smaller, kUnroll, 1>(first);
    return first[0];
  }
  const V best = extreme_of_row<Join>(in, length);
  // Skips blocks that do not contain the value, with vector instructions.
  for (; i + kLanes <= length; i += kLanes) {
    int32_t found = 0;
    for (int64_t j = 0; j < kLanes; ++j) found += (in[i + j] == best) | (in[i + j] != in[i + j]);
    if (found) break;
  }
  while (!(in[i] == best || in[i] != in[i])) ++i;
  return i;
}

// Computes the positions in kUnroll short rows at a time.
template <class Join, class V>
void arg_reduce_side_by_side(int64_t* out, const V* in, int64_t length) {
  V best[kUnroll];
  IndexOf<V> index[kUnroll] = {};
  for (int64_t j = 0; j < kUnroll; ++j) best[j] = in[j * length];
  for (int64_t k = 1; k < length; ++k) {
    V values[kUnroll];
    for (int64_t j = 0; j < kUnroll; ++j) values[j] = in[j * length + k];
    keep_better<Join>(best, index, values, IndexOf<V>(k));
  }
  for (int64_t j = 0; j < kUnroll; ++j) out[j] = index[j];
}

// Returns true if `value` replaces `kept`. `earlier`: true if the position of `value` is before the position of `kept`.
template <class Join, class V>
bool is_better(V value, V kept, bool earlier) {
  const bool equal = (value == kept) | ((value != value) & (kept != kept));
  return (equal & earlier) | (!equal & (kept == kept) & (Join::join(value, kept) != kept));
}

// Elements as values of type V. at() returns a pointer to element i if elements are of type V. Otherwise it converts
// `count` elements from i on, and returns a pointer to the buffer that contains them.
template <class V>
struct Values : ReadAs<V> {
  FLAMBEAU_INLINE const V* at(int64_t i, int64_t count, V* buffer) const {
    return this->read ? this->row(i, count, buffer) : reinterpret_cast<const V*>(this->in) + i;
  }
};

template <class Join, class V>
struct PositionsOfRows {
  static constexpr int64_t kBuffered = 16384 / sizeof(V);
  Values<V> in;
  alignas(64) V buffer[kBuffered];

  void run(int64_t* out, int64_t rows, int64_t length) {
    int64_t r = 0;
    if (length < 32)
      for (; r + kUnroll <= rows; r += kUnroll)
        arg_reduce_side_by_side<Join>(out + r, in.at(r * length, kUnroll * length, buffer), length);
    for (; r < rows; ++r) out[r] = row(r * length, length);
  }
  int64_t row(int64_t first, int64_t length) {
    if (!in.read || length <= kBuffered) return arg_reduce_row<Join>(in.at(first, length, buffer), length);
    int64_t index = 0;
    V best{};
    for (int64_t i = 0; i < length; i += kBuffered) {
      const int64_t count = length - i < kBuffered ? length - i : kBuffered;
      const V* values = in.at(first + i, count, buffer);
      const int64_t found = arg_reduce_row<Join>(values, count);
      if (i > 0 && !is_better<Join>(values[found], best, false)) continue;
      best = values[found];
      index = i + found;
    }
    return index;
  }
};

// Processes the columns [0, width) of rows that are `inner` elements apart, one tile at a time.
template <class Join, class V>
void arg_reduce_columns(int64_t* out, Values<V> in, int64_t length, int64_t inner, int64_t width) {
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile, whole = count / kUnroll * kUnroll;
    V best[kTile], buffer[kTile], rest[kUnroll] = {};
    IndexOf<V> index[kTile] = {};  // blocks are shorter than 2**31 elements
    std::memcpy(best, in.at(first, count, buffer), size_t(count) * sizeof(V));
    std::memset(best + count, 0, size_t(-count & (kUnroll - 1)) * sizeof(V));
    for (int64_t k = 1; k < length; ++k) {
      const V* row = in.at(k * inner + first, count, buffer);
      for (int64_t i = 0; i < whole; i += kUnroll) keep_better<Join>(best + i, index + i, row + i, IndexOf<V>(k));
      if (whole == count) continue;
      for (int64_t j = 0; j < count - whole; ++j) rest[j] = row[whole + j];
      keep_better<Join>(best + whole, index + whole, rest, IndexOf<V>(k));
    }
    for (int64_t i = 0; i < count; ++i) out[first + i] = index[i];
  }
}

// For few columns: treats several rows as one row with more columns, and combines their results.
template <class Join, class V>
void arg_reduce_narrow(int64_t* out, Values<V> in, int64_t length, int64_t inner) {
  const int64_t together = kTile / inner, rows = length / together;
  int64_t indices[kTile];
  arg_reduce_columns<Join>(indices, in, rows, together * inner, together * inner);
  const auto value = [in, inner](int64_t row, int64_t i) {
    V read;
    return *in.at(row * inner + i, 1, &read);
  };
  for (int64_t i = 0; i < inner; ++i) {
    int64_t best = indices[i] * together;
    const auto consider = [&](int64_t row) {
      if (is_better<Join>(value(row, i), value(best, i), row < best)) best = row;
    };
    for (int64_t k = 1; k < together; ++k) consider(indices[k * inner + i] * together + k);
    for (int64_t row = rows * together; row < length; ++row) consider(row);
    out[i] = best;
  }
}

template <class Join, class V>
[[gnu::noinline]] void arg_reduce_values(int64_t* out, Values<V> in, int64_t outer, int64_t length, int64_t inner,
                                         int64_t width) {
  if (inner == 1) {
    PositionsOfRows<Join, V> positions;
    positions.in = in;
    return positions.run(out, outer, length);
  }
  const bool narrow = width == inner && inner <= kTile / 4 && length >= 2 * (kTile / inner);
  for (int64_t o = 0; o < outer; ++o, in.in += length * inner * in.size, out += inner)
    if (narrow)
      arg_reduce_narrow<Join>(out, in, length, inner);
    else
      arg_reduce_columns<Join>(out, in, length, inner, width);
}

// The type in which elements are compared. It preserves their order.
template <class T>
using Ranked = std::conditional_t<std::is_integral_v<ValueOf<T>>, std::conditional_t<sizeof(T) == 8, int64_t, int32_t>,
                                  ValueOf<T>>;
template <class T>
void read_ranked(Ranked<T>* to, const char* in, int64_t count) {
  const auto* from = reinterpret_cast<const typename Element<T>::Stored*>(in);
  constexpr bool kFlips = std::is_unsigned_v<T> && sizeof(T) == sizeof(Ranked<T>);
  if constexpr (is_half<T>)
    read_values<T>(to, from, count);
  else
    for (int64_t i = 0; i < count; ++i)
      to[i] = Ranked<T>(Element<T>::value(from[i])) ^ (kFlips ? std::numeric_limits<Ranked<T>>::min() : Ranked<T>(0));
}
template <class Join, class T>
void arg_reduce(int64_t* out, const char* in, int64_t outer, int64_t length, int64_t inner, int64_t width) {
  using V = Ranked<T>;
  if constexpr (std::is_same_v<T, V>)
    arg_reduce_values<Join, V>(out, {{in, nullptr, sizeof(T)}}, outer, length, inner, width);
  else
    arg_reduce_values<Join, V>(out, {{in, read_ranked<T>, sizeof(T)}}, outer, length, inner, width);
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
