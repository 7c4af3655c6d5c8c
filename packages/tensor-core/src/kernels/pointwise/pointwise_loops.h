// Contiguous loops over the expressions of pointwise operators. The pointwise kernel files include this file, once per
// instruction set.
#pragma once

#include <algorithm>

#include "flambeau/kernels/blocks.h"
#include "flambeau/kernels/halves.h"
#include "flambeau/kernels/math.h"
#include "flambeau/kernels/math/eight.h"
#include "flambeau/kernels/math/usual.h"
#include "flambeau/kernels/pointwise_paths.h"
#include "kernels/narrow_table.h"
#include "kernels/pointwise/narrow_pointwise.h"
#include "kernels/pointwise/padded_tail.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

// The type of elements in memory. A bool is stored as a byte, and any value except 0 is true.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
template <class S>
FLAMBEAU_INLINE Stored<S> load(const Stored<S>* from, int64_t i) {
  if constexpr (std::is_same_v<S, bool>)
    return from[i] != 0;
  else
    return from[i];
}
// Computes a pointwise operator (`Row`, a struct of pointwise_structs.h) for element i, and stores the result.
template <class Row, class S, class... Operands>
FLAMBEAU_INLINE void store(void* out, int64_t i, Operands... operands) {
  using V = Stored<S>;
  const auto value = Row::template value<V>(operands...);
  if constexpr (returns_mask<Row> || std::is_same_v<S, bool>)
    static_cast<uint8_t*>(out)[i] = value != 0;
  else if constexpr (is_complex_type<V>)
    static_cast<std::remove_const_t<decltype(value)>*>(out)[i] = value;  // the result of some operators is real
  else
    static_cast<V*>(out)[i] = static_cast<V>(value);
}

// Returns the result of a pointwise operator, computed with the number type `Number`.
template <class Row, class Number, class... Operands>
FLAMBEAU_INLINE auto value_as(Operands... x) {
  if constexpr (std::is_floating_point_v<Number>)
    return Row::template value<Number>(x...);
  else
    return Row::template value<Number>(x...).value;
}
// Computes one block or less in one number type.
template <class Row, class Number, class V, class... Operands>
FLAMBEAU_INLINE void compute_as(V* out, int64_t n, const Operands*... x) {
  n = whole_vectors<Row, V>(n);
  if constexpr (takes_two_passes<Row, Number>()) {
    V begun[kBlock<V>];
    for (int64_t i = 0; i < n; ++i) begun[i] = Row::template value<FirstPass<V>>({x[i]}...).value;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = Row::template value<SecondPass<V>>({x[i], begun[i]}...).value;
  } else {
#pragma GCC ivdep
    for (int64_t i = 0; i < n; ++i) out[i] = value_as<Row, Number>(x[i]...);
  }
}
// Computes blocks in the type Passing if all their operands pass a test, and in the type Other otherwise.
template <class Row, class Passing, class Other, class V, class AllPass, class... Operands>
void loop_by_block(V* out, int64_t n, AllPass all_pass, const Operands*... x) {
  for_blocks(
      n,
      [&](int64_t first, int64_t end) {
        if (all_pass(whole_vectors<Row, V>(end - first), (x + first)...))
          compute_as<Row, Passing>(out + first, end - first, (x + first)...);
        else
          compute_as<Row, Other>(out + first, end - first, (x + first)...);
      },
      x...);
}
template <class Passes>
FLAMBEAU_INLINE auto make_all_pass(Passes passes) {
  return [passes](int64_t n, const auto*... x) {
    int32_t others = 0;  // a counter, because the vectoriser supports sums but not logical reductions
    for (int64_t i = 0; i < n; ++i) others += !passes(x[i]...);
    return others == 0;
  };
}

// A number known to be positive. Expressions that compare it with 0 need not compute the exponential for negative
// numbers.
template <class V>
struct Positive {
  V value;
  Positive(V v) : value(v) {}
  friend Positive operator*(Positive a, Positive b) { return a.value * b.value; }
  friend Positive operator/(Positive a, Positive b) { return a.value / b.value; }
  friend bool operator>(Positive, Positive) { return true; }
  friend Positive expm1(Positive x) { return x; }
};
// Returns true if a pointwise operator declares this loop and V is a floating-point type.
template <class Row, class V>
constexpr bool has_real_loop(PointwiseLoop loop) {
  return std::is_floating_point_v<V> && has_loop<Row>(loop);
}
// Computes a pointwise operator whose expression depends on the sign of x. Blocks of positive numbers use the cheaper
// case.
template <class Row, class V, class... Operands>
void sign_loop(V* out, int64_t n, const V* x, const Operands*... more) {
  const auto above = make_all_pass([](V a, auto...) { return a > V(0); });
  loop_by_block<Row, Positive<V>, V>(out, n, above, x, more...);
}

// Computes the polynomials of degrees y at x, eight at a time.
template <class Row, class V>
void polynomial_loop(V* out, const V* x, const V* y, int64_t n) {
  for (int64_t i = 0; i < n; i += 8) {
    const int64_t count = std::min<int64_t>(8, n - i);
    const auto load = [count](const V* p) { return count == 8 ? Eight::load(p, 8) : Eight::load(p, count); };
    const Eight value = Row::template value<Eight>(load(x + i), load(y + i));
    if (count == 8)
      value.store(out + i, 8);
    else
      value.store(out + i, count);
  }
}

// Bytes are multiplied in pairs, because vector instructions multiply 16-bit words.
template <class Row, class S>
constexpr bool multiplies_bytes() {
  return sizeof(S) == 1 && !std::is_same_v<S, bool> && has_loop<Row>(PointwiseLoop::BytePairs);
}
inline void byte_product_loop(uint8_t* out, const uint8_t* x, const uint8_t* y, int64_t n) {
  typedef uint16_t Two __attribute__((may_alias, aligned(1)));
  Two* to = reinterpret_cast<Two*>(out);  // auto would drop the alignment
  const Two *a = reinterpret_cast<const Two*>(x), *b = reinterpret_cast<const Two*>(y);
#pragma GCC ivdep
  for (int64_t i = 0; i < n / 2; ++i) {
    const uint16_t low = uint16_t(a[i] * b[i]), high = uint16_t(uint16_t(a[i] >> 8) * uint16_t(b[i] & 0xFF00));
    to[i] = uint16_t((low & 0xFF) | high);
  }
  if (n % 2) out[n - 1] = uint8_t(x[n - 1] * y[n - 1]);
}

template <class Row, class S, class... Operands>
FLAMBEAU_INLINE void store_loop(void* out, int64_t n, const Operands*... x) {
  n = whole_vectors<Row, Stored<S>>(n);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) store<Row, S>(out, i, load<S>(x, i)...);
}

// Computes a pointwise operator for elements of type S. If the operator pads its tail, n is a multiple of a vector's
// length.
template <class Row, class S>
void forward_elements(char* const* pointers, int64_t n) {
  using V = Stored<S>;
  void* out = pointers[0];
  const V* x = reinterpret_cast<const V*>(pointers[1]);
  if constexpr (Row::kArity == 1) {
    if constexpr (has_real_loop<Row, V>(PointwiseLoop::BySign)) return sign_loop<Row>(static_cast<V*>(out), n, x);
    if constexpr (has_usual<Row, V>()) {
      constexpr UsualRange<V> range = usual_range<V>(Row::operator_name());
      const auto usual = [range](int64_t count, const V* a) { return range.holds_all(a, count); };
      using Other = std::conditional_t<has_loop<Row>(PointwiseLoop::Gradual), Gradual<V>, V>;
      return loop_by_block<Row, UsualNumber<V>, Other>(static_cast<V*>(out), n, usual, x);
    }
    if constexpr (has_unusual<Row, V>()) {
      const auto usual = make_all_pass([](V a) { return !is_unusual<Row>(a); });
      return loop_by_block<Row, V, Unbounded<V>>(static_cast<V*>(out), n, usual, x);
    }
    store_loop<Row, S>(out, n, x);
  } else if constexpr (Row::kArity == 2) {
    const V* y = reinterpret_cast<const V*>(pointers[2]);
    if constexpr (multiplies_bytes<Row, S>())
      return byte_product_loop(reinterpret_cast<uint8_t*>(pointers[0]), reinterpret_cast<const uint8_t*>(x),
                               reinterpret_cast<const uint8_t*>(y), n);
    if constexpr (is_real<V>)
      if constexpr (divides_nearby<Row, V>())
        return loop_by_block<Row, Near<V>, V>(static_cast<V*>(out), n,
                                              make_all_pass([](V a, V b) { return is_near(a, b); }), x, y);
    if constexpr (has_real_loop<Row, V>(PointwiseLoop::BySign)) return sign_loop<Row>(static_cast<V*>(out), n, x, y);
    if constexpr (has_real_loop<Row, V>(PointwiseLoop::Power)) {
      // Powers have many special cases, none of which applies if the base is positive and all values are finite.
      const auto usual =
          make_all_pass([](V a, V b) { return (a > V(0)) & (a < V(INFINITY)) & (std::fabs(b) < V(INFINITY)); });
      return loop_by_block<Row, UsualNumber<V>, V>(static_cast<V*>(out), n, usual, x, y);
    }
    if constexpr (has_real_loop<Row, V>(PointwiseLoop::Polynomial))
      return polynomial_loop<Row>(static_cast<V*>(out), x, y, n);
    store_loop<Row, S>(out, n, x, y);
  } else {
    const V* y = reinterpret_cast<const V*>(pointers[2]);
    const V* z = reinterpret_cast<const V*>(pointers[3]);
    if constexpr (has_real_loop<Row, V>(PointwiseLoop::BySign)) return sign_loop<Row>(static_cast<V*>(out), n, x, y, z);
    store_loop<Row, S>(out, n, x, y, z);
  }
}

template <class Row, class S>
void forward_loop(char* const* pointers, int64_t n) {
  if constexpr (pads_tail<Row, Stored<S>>())
    run_padded<S>(forward_elements<Row, S>, pointers, n, Row::kArity);
  else
    forward_elements<Row, S>(pointers, n);
}

// Computes the derivative with respect to operand I. The inputs are the gradient and then those operands and results
// that the derivative reads.
template <class Row, int I, class V>
void derivative_elements(char* const* pointers, int64_t n) {
  constexpr uint8_t mask = reads<Row, I>();
  V* out = reinterpret_cast<V*>(pointers[0]);
  const V* grad = reinterpret_cast<const V*>(pointers[1]);
  const V* read[4] = {grad, grad, grad, grad};  // operands that are not read point to valid memory
  for (int i = 0, next = 2; i <= Row::kArity; ++i)
    if (mask >> i & 1) read[i] = reinterpret_cast<const V*>(pointers[next++]);
  const V *a = read[0], *b = read[1], *d = read[2], *e = read[3];
  if constexpr (derivative_reduces_angles<Row, I, V>())
    if (any_unbounded(a, n)) {
      for (int64_t i = 0; i < n; ++i) out[i] = Row::template derivative<I, Unbounded<V>>(grad[i], a[i], b[i]).value;
      return;
    }
  n = whole_vectors<Row, V>(n);
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    if constexpr (Row::kArity == 1)
      out[i] = Row::template derivative<I, V>(grad[i], a[i], b[i]);
    else if constexpr (Row::kArity == 2)
      out[i] = Row::template derivative<I, V>(grad[i], a[i], b[i], d[i]);
    else
      out[i] = Row::template derivative<I, V>(grad[i], a[i], b[i], d[i], e[i]);
  }
}

template <class Row, int I, class V>
void derivative_loop(char* const* pointers, int64_t n) {
  if constexpr (pads_tail<Row, V>())
    run_padded<V>(derivative_elements<Row, I, V>, pointers, n, 1 + __builtin_popcount(reads<Row, I>()));
  else
    derivative_elements<Row, I, V>(pointers, n);
}

template <class Row, int I>
void fill_derivatives(Table& table, int row) {
  if constexpr (I < Row::kArity) {
    if constexpr (exists<Row, I>()) {
      table.derivative[row][I][0] = derivative_loop<Row, I, float>;
      table.derivative[row][I][1] = derivative_loop<Row, I, double>;
    }
    fill_derivatives<Row, I + 1>(table, row);
  }
}

// Note [Pairs of bfloat16]
template <class Row, class... Pairs>
FLAMBEAU_INLINE void pair_loop(char* out, int64_t n, Pairs... x) {
  typedef uint16_t MaskPair __attribute__((may_alias, aligned(1)));
#pragma GCC ivdep
  for (int64_t i = 0; i < n; ++i) {
    const auto low = Row::template value<float>(x.low(i)...), high = Row::template value<float>(x.high(i)...);
    if constexpr (returns_mask<Row>)
      reinterpret_cast<MaskPair*>(out)[i] = uint16_t((low != 0) | (high != 0) << 8);
    else
      reinterpret_cast<BfloatPair*>(out)[i] = pair_of(low, high);
  }
}
template <class Row, class Second, class Third>
void pair_tiles(char* const* pointers, int64_t tiles) {
  auto* first = reinterpret_cast<const bfloat16*>(pointers[1]);
  auto* second = reinterpret_cast<const Second*>(pointers[Row::kArity > 1 ? 2 : 1]);
  auto* third = reinterpret_cast<const Third*>(pointers[Row::kArity > 2 ? 3 : 1]);
  if constexpr (Row::kArity == 1)
    pair_loop<Row>(pointers[0], tiles * kTilePairs, pairs_of(first));
  else if constexpr (Row::kArity == 2)
    pair_loop<Row>(pointers[0], tiles * kTilePairs, pairs_of(first), pairs_of(second));
  else
    pair_loop<Row>(pointers[0], tiles * kTilePairs, pairs_of(first), pairs_of(second), pairs_of(third));
}
// Computes a pointwise operator whose first operand is float16. The second and the third operand may have other types.
template <class Row, class Second, class Third>
void half_tiles(char* const* pointers, int64_t tiles) {
  char* out = pointers[0];
  auto* first = reinterpret_cast<const float16*>(pointers[1]);
  auto* second = reinterpret_cast<const Second*>(pointers[Row::kArity > 1 ? 2 : 1]);
  auto* third = reinterpret_cast<const Third*>(pointers[Row::kArity > 2 ? 3 : 1]);
  for (int64_t i = 0; i < tiles * kHalfTile; i += kHalfTile) {
    constexpr int64_t kAhead = 16 * kHalfTile;
    float x[kHalfTile], y[kHalfTile], z[kHalfTile], result[kHalfTile];
    __builtin_prefetch(first + i + kAhead);
    if constexpr (Row::kArity > 1) __builtin_prefetch(second + i + kAhead);
    if constexpr (Row::kArity > 2) __builtin_prefetch(third + i + kAhead);
    widen(x, first + i);
    if constexpr (Row::kArity > 1) widen(y, second + i);
    if constexpr (Row::kArity > 2) widen(z, third + i);
    void* to = returns_mask<Row> ? static_cast<void*>(out + i) : result;
    for (int64_t j = 0; j < kHalfTile; ++j) {
      if constexpr (Row::kArity == 1)
        store<Row, float>(to, j, x[j]);
      else if constexpr (Row::kArity == 2)
        store<Row, float>(to, j, x[j], y[j]);
      else
        store<Row, float>(to, j, x[j], y[j], z[j]);
    }
    if constexpr (!returns_mask<Row>) narrow(reinterpret_cast<float16*>(out) + i, result);
  }
}
template <class Row, class S, class Second = S, class Third = Second>
void half_loop(char* const* pointers, int64_t n) {
  constexpr int64_t sizes[] = {returns_mask<Row> ? 1 : sizeof(S), sizeof(S), sizeof(Second), sizeof(Third)};
  if constexpr (std::is_same_v<S, bfloat16>)
    run_tiles(pair_tiles<Row, Second, Third>, pointers, n, sizes, Row::kArity);
  else
    run_tiles(half_tiles<Row, Second, Third>, pointers, n, sizes, Row::kArity);
}

template <class Row>
void fill_narrow_integers(NarrowTable& table, int row) {
  if constexpr (takes_narrow_integers<Row>() && Row::template supports<int8_t>()) {
    auto& slots = table.pointwise[row];
    using Unsigned = std::conditional_t<compares<Row>(), uint8_t, int8_t>;  // Note [Same bits]
    slots[int(Narrow::i8)] = forward_loop<Row, int8_t>;
    slots[int(Narrow::u8)] = forward_loop<Row, Unsigned>;
    slots[int(Narrow::i16)] = forward_loop<Row, int16_t>;
    if constexpr (takes_booleans<Row>()) slots[int(Narrow::mask)] = forward_loop<Row, bool>;
  }
}
template <class Row, class S>
void fill_halves(NarrowTable& table, int row, Narrow type) {
  if constexpr (takes_halves<Row>()) {
    const int at = int(type) - int(Narrow::f16);
    table.pointwise[row][int(type)] = half_loop<Row, S>;
    if constexpr (Row::kArity > 1) table.with_numbers[row][at] = table.with_number[row][at] = half_loop<Row, S, float>;
    if constexpr (Row::kArity > 2) table.with_number[row][at] = half_loop<Row, S, S, float>;
  }
}

template <class Row>
void fill_row(Table& table, NarrowTable& narrow, int row) {
  static_assert(Row::kArity == 1 || !uses<Row>(pointwise_trace::kLimitedAngles | pointwise_trace::kLimitedGamma),
                "only loops over one operand check the arguments of functions with kAngles or kLogGamma");
  auto& slots = table.pointwise[row];
  if constexpr (has_trait<Row>(pointwise_trait::kBytes)) slots[int(Compute::u8)] = forward_loop<Row, uint8_t>;
  if constexpr (Row::kDomain != Domain::Floating && Row::kDomain != Domain::Real) {
    slots[int(Compute::i32)] = forward_loop<Row, int32_t>;
    slots[int(Compute::i64)] = forward_loop<Row, int64_t>;
    slots[int(Compute::u64)] = forward_loop<Row, uint64_t>;
    fill_narrow_integers<Row>(narrow, row);
  }
  if constexpr (Row::kDomain != Domain::Integral && Row::kDomain != Domain::Whole) {
    slots[int(Compute::f32)] = forward_loop<Row, float>;
    slots[int(Compute::f64)] = forward_loop<Row, double>;
    fill_halves<Row, float16>(narrow, row, Narrow::f16);
    fill_halves<Row, bfloat16>(narrow, row, Narrow::bf16);
  }
  narrow.is_slow[row] = !takes_halves<Row>();
  narrow.is_modular[row] = is_modular<Row>();
  fill_derivatives<Row, 0>(table, row);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
