// Cumulative sums, products and log-sum-exps.
#include <limits>

#include "flambeau/kernels/complex_math.h"
#include "flambeau/kernels/joins.h"
#include "flambeau/kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kTile = 256;  // columns that are processed together

// Complex numbers as vectors, so that one addition adds both parts.
template <class R>
struct ComplexLanes {
  typedef R Lanes __attribute__((vector_size(2 * sizeof(R)), aligned(sizeof(R))));
  Lanes lanes;
  friend FLAMBEAU_INLINE ComplexLanes operator+(ComplexLanes a, ComplexLanes b) { return {a.lanes + b.lanes}; }
};
template <class To, class From>
FLAMBEAU_INLINE To converted(From v) {
  // Converts the parts separately, which takes one instruction. A vector conversion takes several.
  if constexpr (requires { v.lanes; }) {
    using R = std::remove_cvref_t<decltype(To().lanes[0])>;
    return {typename To::Lanes{R(v.lanes[0]), R(v.lanes[1])}};
  } else
    return convert<To>(v);
}

template <class T>
struct Plus {
  using State = std::conditional_t<std::is_same_v<T, ComplexLanes<float>>, ComplexLanes<double>, RunningState<T>>;
  static State start() { return State{}; }
  static FLAMBEAU_INLINE State join(State a, State b) { return a + b; }
};
template <class T>
struct Times {
  using State = RunningState<T>;
  static State start() { return State(1); }
  static FLAMBEAU_INLINE State join(State a, State b) { return a * b; }
};

// Computes out[i] = state o in[0] o ... o in[i], where o is Op::join. Returns the last state.
template <class Op, class T>
FLAMBEAU_INLINE typename Op::State scan_row(T* out, const T* in, int64_t n, typename Op::State state) {
  for (int64_t i = 0; i < n; ++i) {
    state = Op::join(state, converted<typename Op::State>(in[i]));
    out[i] = converted<T>(state);
  }
  return state;
}

// Computes out[k, i] = in[0, i] o ... o in[k, i] for k < length and i < width. Rows are `inner` elements apart. If
// `inner` is 1, this is a single contiguous row.
template <class Op, class T>
void scan(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  using State = typename Op::State;
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  if (inner == 1) {
    scan_row<Op>(out, in, length, Op::start());
    return;
  }
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    State state[kTile];
    for (int64_t i = 0; i < count; ++i) state[i] = Op::start();
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) {
        state[i] = Op::join(state[i], converted<State>(in[k * inner + first + i]));
        out[k * inner + first + i] = converted<T>(state[i]);
      }
  }
}

// Note [Long scans]
// A long row is scanned in blocks. Each block is scanned independently, and the state before the block is then joined
// to all of its elements, so the result does not depend on the number of blocks that are scanned at once. If several
// threads scan a row, a first pass computes the totals of the blocks. A single thread does not need this pass, because
// it knows the state before a block when it reads the block. Scanning several blocks together hides the latency of each
// step.
constexpr int64_t kChains = 4;  // number of blocks that are scanned together

// Scans n elements of each of `chains` blocks, which begin `block_size` elements apart: for each i, joins element i of
// block j to state[j] and calls keep(j, i, state[j]). Prefetches the elements of the following blocks in `in` and,
// unless it is nullptr, in `out`.
template <class Op, class T, int64_t chains, class Out, class Keep>
FLAMBEAU_INLINE void run_chains(typename Op::State* state, Out out, const T* in, int64_t block_size, int64_t n,
                                Keep keep) {
  using State = typename Op::State;
  State now[chains];
  for (int64_t j = 0; j < chains; ++j) now[j] = state[j];
  for (int64_t i = 0; i < n; ++i) {
    __builtin_prefetch(in + chains * (block_size + i));
    if constexpr (!std::is_null_pointer_v<Out>) __builtin_prefetch(out + chains * (block_size + i), 1);
#pragma GCC unroll 4
    for (int64_t j = 0; j < chains; ++j) {
      now[j] = Op::join(now[j], converted<State>(in[j * block_size + i]));
      keep(j, i, now[j]);
    }
  }
  for (int64_t j = 0; j < chains; ++j) state[j] = now[j];
}

template <class Op, class T>
void scan_totals(char* totals, const char* in_bytes, int64_t blocks, int64_t n) {
  auto* state = reinterpret_cast<typename Op::State*>(totals);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  const auto ignore = [](auto...) __attribute__((always_inline)) {};
  for (int64_t b = 0; b < blocks; ++b) state[b] = Op::start();
  int64_t b = 0;
  for (; b + kChains <= blocks; b += kChains) run_chains<Op, T, kChains>(state + b, nullptr, in + b * n, n, n, ignore);
  for (; b < blocks; ++b) run_chains<Op, T, 1>(state + b, nullptr, in + b * n, n, n, ignore);
}

// Computes out[i] = start o states[i]. Complex sums use wider vectors than the compiler would choose. Prefetches the
// memory `ahead` elements after the output.
template <class Op, class T>
FLAMBEAU_INLINE void finish(T* out, const typename Op::State* states, int64_t n, typename Op::State start,
                            int64_t ahead) {
  constexpr int64_t kPiece = 64;
  int64_t i = 0;
  for (; i + kPiece <= n; i += kPiece) {
    for (int64_t k = 0; k < kPiece; k += 64 / int64_t(sizeof(T))) __builtin_prefetch(out + i + ahead + k, 1);
    if constexpr (std::is_same_v<T, ComplexLanes<float>>) {
      typedef double Wide __attribute__((vector_size(64), aligned(8)));
      typedef float Narrow __attribute__((vector_size(32), aligned(4)));
      Wide first;
      for (int k = 0; k < 8; ++k) first[k] = start.lanes[k % 2];
      for (int64_t k = i; k < i + kPiece; k += 4) {
        const Wide sum = first + *reinterpret_cast<const Wide*>(states + k);
        *reinterpret_cast<Narrow*>(out + k) = __builtin_convertvector(sum, Narrow);
      }
    } else {
#pragma GCC ivdep
      for (int64_t k = i; k < i + kPiece; ++k) out[k] = converted<T>(Op::join(start, states[k]));
    }
  }
  for (; i < n; ++i) out[i] = converted<T>(Op::join(start, states[i]));
}

// True for complex numbers of two floats. Their states are two doubles.
template <class T>
inline constexpr bool two_floats = std::is_same_v<T, ComplexLanes<float>> || std::is_same_v<T, Complex<float>>;
// Scans blocks of complex numbers of two floats. The scan of each block starts from the identity. Converts the states
// of several blocks together and, for products, also the inputs, because Complex<float> is not a vector. Prefetches the
// following input and output.
template <class Op, class T>
void scan_few(T* out, const T* in, int64_t blocks, int64_t n) {
  using State = typename Op::State;
  constexpr bool kAtOnce = std::is_same_v<T, Complex<float>>;
  State room[kChains * kScanBlock];
  double* const parts = reinterpret_cast<double*>(room);
  for (const int64_t most = kScanBlock * kChains / n; blocks > 0; blocks -= most, out += most * n, in += most * n) {
    const int64_t some = blocks < most ? blocks : most, count = some * n;
    const float* const from = reinterpret_cast<const float*>(in);
    float* const to = reinterpret_cast<float*>(out);
    const auto run = [&]<int64_t chains>(int64_t b, std::integral_constant<int64_t, chains>) {
      State state[chains], *const own = room + b * n;
      const T *const next = in + count + b * n, *const here = out + b * n;
      const auto keep = [=](int64_t j, int64_t i, State s) __attribute__((always_inline)) {
        own[j * n + i] = s;
        if (j) return;
        __builtin_prefetch(next + chains * i);
        __builtin_prefetch(here + chains * i, 1);
      };
      for (State& s : state) s = Op::start();
      if constexpr (kAtOnce)
        run_chains<Op, State, chains>(state, nullptr, own, n, n, keep);
      else
        run_chains<Op, T, chains>(state, nullptr, in + b * n, n, n, keep);
    };
    for (int64_t i = 0; kAtOnce && i < 2 * count; ++i) parts[i] = from[i];
    int64_t b = 0;
    for (; b + kChains <= some; b += kChains) run(b, std::integral_constant<int64_t, kChains>{});
    for (; b < some; ++b) run(b, std::integral_constant<int64_t, 1>{});
    for (int64_t i = 0; i < 2 * count; ++i) to[i] = float(parts[i]);
  }
}

template <class Op, class T, int64_t chains>
void scan_group(T* out, const T* in, typename Op::State* before, int64_t n, bool running) {
  using State = typename Op::State;
  constexpr bool kInPlace = std::is_same_v<T, State>;
  State state[chains], room[kInPlace ? 1 : chains * kScanBlock];
  for (State& s : state) s = Op::start();
  if (!before)
    return run_chains<Op, T, chains>(state, out, in, n, n,
                                     [=](int64_t j, int64_t i, State s)
                                         __attribute__((always_inline)) { out[j * n + i] = converted<T>(s); });
  State* own = room;
  if constexpr (kInPlace) own = out;
  run_chains<Op, T, chains>(state, nullptr, in, n, n,
                            [=](int64_t j, int64_t i, State s) __attribute__((always_inline)) { own[j * n + i] = s; });
  for (int64_t j = 0; j < chains; ++j) {
    finish<Op>(out + j * n, own + j * n, n, before[j], chains * n);
    if (running) before[j + 1] = Op::join(before[j], state[j]);
  }
}
// Scans blocks of n elements, and joins before[b] to all elements of block b unless `before` is null. If `running`,
// also computes before[b + 1].
template <class Op, class T>
void scan_blocks(char* out_bytes, const char* in_bytes, char* before_bytes, int64_t blocks, int64_t n, bool running) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  auto* before = reinterpret_cast<typename Op::State*>(before_bytes);
  // Integers can be joined in any order. Products of floating-point numbers must be joined in sequence, because the
  // product of a block may be out of range.
  if constexpr (std::is_integral_v<T> || std::is_same_v<Op, Times<T>>)
    if (running) {
      before[blocks] = scan_row<Op>(out, in, blocks * n, before[0]);
      return;
    }
  if constexpr (two_floats<T>)
    if (!before && n <= kScanBlock) return scan_few<Op>(out, in, blocks, n);
  const auto from = [before](int64_t b) { return before ? before + b : nullptr; };
  int64_t b = 0;
  for (; b + kChains <= blocks; b += kChains) scan_group<Op, T, kChains>(out + b * n, in + b * n, from(b), n, running);
  for (; b < blocks; ++b) scan_group<Op, T, 1>(out + b * n, in + b * n, from(b), n, running);
}

// Computes log(sum(exp(x))) of the preceding elements as m + log(s), where m is their maximum and s is the sum of
// exp(x - m).
template <class T>
void scan_log_sum_exp(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (int64_t first = 0; first < width; first += kTile) {
    const int64_t count = width - first < kTile ? width - first : kTile;
    double largest[kTile], sum[kTile];
    for (int64_t i = 0; i < count; ++i) {
      largest[i] = -kInfinity;
      sum[i] = 0;
    }
    for (int64_t k = 0; k < length; ++k)
      for (int64_t i = 0; i < count; ++i) {
        const double x = in[k * inner + first + i], m = x > largest[i] || x != x ? x : largest[i];
        const bool flat = m == kInfinity || m == -kInfinity;  // the difference of equal infinities counts as 0
        sum[i] = flat ? 1 : sum[i] * std::exp(largest[i] - m) + std::exp(x - m);
        largest[i] = m;
        out[k * inner + first + i] = T(flat ? m : m + std::log(sum[i]));
      }
  }
}

// Log-sum-exp of complex numbers, computed sequentially. The imaginary part is not reduced to the range (-pi, pi] of
// the principal logarithm.
template <class T>
void scan_complex_log_sum_exp(char* out_bytes, const char* in_bytes, int64_t length, int64_t inner, int64_t width) {
  namespace complex = complex_pointwise::FLAMBEAU_ISA;
  using State = Complex<double>;
  T* out = reinterpret_cast<T*>(out_bytes);
  const T* in = reinterpret_cast<const T*>(in_bytes);
  for (int64_t i = 0; i < width; ++i) {
    State state = State(-std::numeric_limits<double>::infinity());
    for (int64_t k = i; k < length * inner + i; k += inner) {
      state = complex::logaddexp(convert<State>(in[k]), state);
      out[k] = convert<T>(state);
    }
  }
}

template <class Op, class T>
void fill_scan(Table& table, Scan scan_of, Compute type) {
  table.scan[int(scan_of)][int(type)] = {scan<Op, T>, scan_totals<Op, T>, scan_blocks<Op, T>,
                                         sizeof(typename Op::State)};
}
template <class T, int C>
void fill_ordered(Table& table) {
  fill_scan<Plus<SameBits<T>>, SameBits<T>>(table, Scan::Sum, Compute(C));
  fill_scan<Times<SameBits<T>>, SameBits<T>>(table, Scan::Prod, Compute(C));
}

}  // namespace

void fill_cumulative(Table& table) {
  fill_ordered<int32_t, int(Compute::i32)>(table);
  fill_ordered<int64_t, int(Compute::i64)>(table);
  fill_ordered<uint64_t, int(Compute::u64)>(table);
  fill_ordered<float, int(Compute::f32)>(table);
  fill_ordered<double, int(Compute::f64)>(table);
  fill_scan<Times<Complex<float>>, Complex<float>>(table, Scan::Prod, Compute::c64);
  fill_scan<Times<Complex<double>>, Complex<double>>(table, Scan::Prod, Compute::c128);
  fill_scan<Plus<ComplexLanes<float>>, ComplexLanes<float>>(table, Scan::Sum, Compute::c64);
  fill_scan<Plus<ComplexLanes<double>>, ComplexLanes<double>>(table, Scan::Sum, Compute::c128);
  table.logcumsumexp[0] = scan_log_sum_exp<float>;
  table.logcumsumexp[1] = scan_log_sum_exp<double>;
  table.logcumsumexp[2] = scan_complex_log_sum_exp<Complex<float>>;
  table.logcumsumexp[3] = scan_complex_log_sum_exp<Complex<double>>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
