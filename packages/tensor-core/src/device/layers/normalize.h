// Normalisations. Note [Normalisation] in kernels/layers/normalize.cpp
//
// Layer and RMS normalisation of rows are operations of lines.h. Batch and group normalisation of channels compute
// statistics with reductions and then use the elementwise kernels `affine` and `gradient`, which FLAMBEAU_CHANNELS(T)
// defines. Statistics are pairs of the mean and the reciprocal standard deviation, in the type of the computation.
#pragma once

#include "device/layers/normalize_arguments.h"
#include "device/threads/lines.h"

namespace flambeau::cuda {

namespace reductions {

template <class V>
inline V at_or(const V* values, int64_t i, V otherwise) {
  return values ? values[i] : otherwise;
}
template <class T>
inline const V<T>* numbers(const char* p) {
  return reinterpret_cast<const V<T>*>(p);
}
template <class T>
struct Normal {
  V<T> mean, rstd;
};
template <class T>
inline Normal<T> statistics_of(const ReduceArguments& a, int64_t number) {
  return reinterpret_cast<const Normal<T>*>(a.statistics)[number / a.divisor % a.modulus];
}
template <class T>
inline Normal<T> normal_of(const ReduceArguments& a, V<T> mean, V<T> variance) {
  return {mean, V<T>(1) / V<T>(std::sqrt(host::maximum(variance, V<T>(0)) + V<T>(a.eps)))};
}

// The weights or biases of the elements of a row, in the type of the elements or in the type of the computation.
template <class T>
struct Parameters {
  const char* values;  // null: use `otherwise`
  bool stored, aligned;
  static Parameters of(const ReduceArguments& a, const char* p) {
    return {p, a.stored_parameters != 0, a.length % Pack<T>::kWidth == 0 && is_aligned(p)};
  }
  V<T> at(int64_t i, V<T> otherwise) const {
    if (!values) return otherwise;
    return stored ? convert<V<T>>(reinterpret_cast<const T*>(values)[i]) : numbers<T>(values)[i];
  }
  // Returns the parameters of a pack of elements.
  struct OfPack {
    V<T> values[Pack<T>::kWidth];
  };
  OfPack of_pack(int64_t first, V<T> otherwise) const {
    OfPack out;
    if (!values || !aligned) {
#pragma unroll
      for (int j = 0; j < Pack<T>::kWidth; ++j) out.values[j] = at(first + j, otherwise);
    } else if (stored) {
      read<T>(first, out);
    } else {
      read<V<T>>(first, out);
    }
    return out;
  }
  template <class Stored>
  void read(int64_t first, OfPack& out) const {
    constexpr int kWidth = Pack<Stored>::kWidth;
#pragma unroll
    for (int j = 0; j < Pack<T>::kWidth; j += kWidth) {
      const Pack<Stored> pack = load(reinterpret_cast<const Stored*>(values) + first + j, true);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) out.values[j + i] = convert<V<T>>(pack.values[i]);
    }
  }
};
// The statistics and the parameters of a row, from which its results are computed.
template <class T>
struct RowLine {
  Normal<T> normal;
  Parameters<T> weight, bias;
};
template <class T>
struct NormalizedRows {
  using Line = RowLine<T>;
  static Line with(const ReduceArguments& a, Normal<T> normal) {
    return {normal, Parameters<T>::of(a, a.weight), Parameters<T>::of(a, a.bias)};
  }
  static void keep(const ReduceArguments& a, int64_t number, const Line& line) {
    reinterpret_cast<Normal<T>*>(a.out[1])[number] = line.normal;
  }
  static T result(T x, const Normal<T>& n, V<T> weight, V<T> bias) {
    return convert<T>((convert<V<T>>(x) - n.mean) * n.rstd * weight + bias);
  }
  static T value(const T (&x)[1], int64_t position, const Line& l) {
    return result(x[0], l.normal, l.weight.at(position, V<T>(1)), l.bias.at(position, V<T>(0)));
  }
  static Pack<T> pack(const Pack<T> (&x)[1], int64_t position, const Line& l) {
    const auto weight = l.weight.of_pack(position, V<T>(1)), bias = l.bias.of_pack(position, V<T>(0));
    Pack<T> out;
#pragma unroll
    for (int j = 0; j < Pack<T>::kWidth; ++j)
      out.values[j] = result(x[0].values[j], l.normal, weight.values[j], bias.values[j]);
    return out;
  }
};
template <class T>
struct LayerNorm : MomentAccumulator<T>, NormalizedRows<T> {
  using State = typename MomentAccumulator<T>::State;
  static RowLine<T> line(const ReduceArguments& a, State s, NoContext) {
    return NormalizedRows<T>::with(a, normal_of<T>(a, MomentAccumulator<T>::mean(s), s.squares / s.count));
  }
};
template <class T>
struct RmsNorm : _square_sum<T>, NormalizedRows<T> {
  static RowLine<T> line(const ReduceArguments& a, V<T> squares, NoContext) {
    return NormalizedRows<T>::with(a, normal_of<T>(a, V<T>(0), squares / V<T>(a.length)));
  }
};

// A pair of sums.
template <class V>
struct Pair {
  V first, second;
};
template <class T>
struct PairSums {
  using Stored = T;
  using State = Pair<V<T>>;
  using Leaf = State;
  static constexpr int kInputs = 2;  // the gradient and the input
  template <class>
  static State identity() {
    return {V<T>(0), V<T>(0)};
  }
  static State join(State x, State y) { return {x.first + y.first, x.second + y.second}; }
  static void write(const ReduceArguments& a, int64_t at, State s) {
    reinterpret_cast<V<T>*>(a.out[0])[at] = s.first;
    reinterpret_cast<V<T>*>(a.out[1])[at] = s.second;
  }
};

// The gradient of rows, which needs the sums of g' and of g' * (x - mean).
template <class T, bool centred>
struct RowsBackward : PairSums<T> {
  using State = Pair<V<T>>;
  struct Context {
    Normal<T> normal;
    Parameters<T> weight;
  };
  static Context context(const ReduceArguments& a, int64_t number) {
    return {statistics_of<T>(a, number), Parameters<T>::of(a, a.weight)};
  }
  static State map(const T (&x)[2], int64_t position, const Context& c) {
    const V<T> g = convert<V<T>>(x[0]) * c.weight.at(position, V<T>(1));
    return {g, g * (convert<V<T>>(x[1]) - c.normal.mean)};
  }
  struct Line {
    Context context;
    V<T> of_in, constant;
  };
  static Line line(const ReduceArguments& a, State s, const Context& c) {
    const V<T> n = V<T>(a.length), rstd = c.normal.rstd;
    return {c, -rstd * rstd * (s.second * rstd / n), centred ? -rstd * (s.first / n) : V<T>(0)};
  }
  static void keep(const ReduceArguments&, int64_t, const Line&) {}
  static T value(const T (&x)[2], int64_t position, const Line& l) {
    const V<T> g = convert<V<T>>(x[0]) * l.context.weight.at(position, V<T>(1));
    return convert<T>(l.context.normal.rstd * g +
                      (l.of_in * (convert<V<T>>(x[1]) - l.context.normal.mean) + l.constant));
  }
};
template <class T>
using LayerNormBackward = RowsBackward<T, true>;
template <class T>
using RmsNormBackward = RowsBackward<T, false>;

// The gradients of the weight and the bias: sums over the rows for each column.
template <class T>
struct RowsWeights : PairSums<T> {
  using Context = const Normal<T>*;
  static Context context(const ReduceArguments& a, int64_t) { return reinterpret_cast<const Normal<T>*>(a.statistics); }
  static Pair<V<T>> map(const T (&x)[2], int64_t row, Context of_rows) {
    const V<T> g = convert<V<T>>(x[0]);
    return {g * ((convert<V<T>>(x[1]) - of_rows[row].mean) * of_rows[row].rstd), g};
  }
};

// The statistics of channels or groups of channels and, optionally, the mean and the unbiased variance.
template <class T>
struct ChannelMoments : MomentAccumulator<T> {
  using State = typename MomentAccumulator<T>::State;
  static void write(const ReduceArguments& a, int64_t at, State s) {
    const V<T> mean = MomentAccumulator<T>::mean(s);
    reinterpret_cast<Normal<T>*>(a.out[0])[at] = normal_of<T>(a, mean, s.squares / s.count);
    if (a.out[1]) reinterpret_cast<Pair<V<T>>*>(a.out[1])[at] = {mean, s.squares / (s.count - V<T>(1))};
  }
};
// The sum of the gradient, and the sum of the product of the gradient and the normalised values.
template <class T>
struct ChannelSums : PairSums<T> {
  using State = Pair<V<T>>;
  using Context = Normal<T>;
  static Context context(const ReduceArguments& a, int64_t number) { return statistics_of<T>(a, number); }
  static State map(const T (&x)[2], int64_t, const Context& c) {
    const V<T> g = convert<V<T>>(x[0]);
    return {g, g * (convert<V<T>>(x[1]) - c.mean)};
  }
  static void write(const ReduceArguments& a, int64_t at, State s) {
    reinterpret_cast<V<T>*>(a.out[0])[at] = s.first;
    reinterpret_cast<V<T>*>(a.out[1])[at] = s.second * statistics_of<T>(a, at).rstd;
  }
};

}  // namespace reductions

// Kernels for tensors (batch, channels, inner). Each thread processes a pack of elements.
template <class T>
struct Channels {
  using Number = V<T>;
  using Normal = reductions::Normal<T>;

  struct ChannelIndex {
    int64_t channel, group;
    ChannelIndex(const ChannelArguments& a, int64_t i) {
      const int64_t row = a.small ? a.inner.quotient(uint32_t(i)) : i / a.inner_size;
      channel = row - (a.small ? a.channels.quotient(uint32_t(row)) : row / a.channel_count) * a.channel_count;
      group = a.members == 0 ? channel : a.small ? a.members_divider.quotient(uint32_t(row)) : row / a.members;
    }
  };
  struct Affine {
    Number mean, scale, shift;
    Affine(const ChannelArguments& a, ChannelIndex p) {
      const Normal n = reinterpret_cast<const Normal*>(a.statistics)[p.group];
      mean = n.mean;
      scale = n.rstd * reductions::at_or(reductions::numbers<T>(a.weight), p.channel, Number(1));
      shift = reductions::at_or(reductions::numbers<T>(a.bias), p.channel, Number(0));
    }
    T operator()(T x, T) const { return convert<T>((convert<Number>(x) - mean) * scale + shift); }
  };
  struct Gradient {
    Number mean, scale, of_in, constant;
    Gradient(const ChannelArguments& a, ChannelIndex p) {
      const Normal n = reinterpret_cast<const Normal*>(a.statistics)[p.group];
      const Number weight = reductions::at_or(reductions::numbers<T>(a.weight), p.channel, Number(1)),
                   share = a.share == 0 ? Number(1) : Number(a.share) * weight;
      mean = n.mean;
      scale = n.rstd * weight;
      // The means of g' and of g' * h. Note [Normalisation]
      of_in = a.products ? -n.rstd * n.rstd * (reductions::numbers<T>(a.products)[p.group] * share) : Number(0);
      constant = a.grads ? -n.rstd * (reductions::numbers<T>(a.grads)[p.group] * share) : Number(0);
    }
    T operator()(T x, T g) const {
      return convert<T>(scale * convert<Number>(g) + (of_in * (convert<Number>(x) - mean) + constant));
    }
  };

  template <class Function>
  static void run(const ChannelArguments& a) {
    constexpr int kWidth = Pack<T>::kWidth;
    const int64_t first = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kWidth;
    if (first >= a.count) return;
    const T *x = reinterpret_cast<const T*>(a.in), *g = reinterpret_cast<const T*>(a.grad ? a.grad : a.in);
    T* out = reinterpret_cast<T*>(a.out);
    if (a.whole && first + kWidth <= a.count) {  // the elements are in one channel and their addresses are aligned
      const Function function(a, ChannelIndex(a, first));
      const Pack<T> xs = load(x + first, true), gs = load(g + first, true);
      Pack<T> results;
#pragma unroll
      for (int j = 0; j < kWidth; ++j) results.values[j] = function(xs.values[j], gs.values[j]);
      return store(out + first, results, true);
    }
    for (int64_t i = first; i < first + kWidth && i < a.count; ++i)
      out[i] = Function(a, ChannelIndex(a, i))(x[i], g[i]);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_CHANNELS(...)                                                                              \
  using UnitChannels = flambeau::cuda::Channels<__VA_ARGS__>;                                               \
  FLAMBEAU_KERNEL(affine, flambeau::cuda::ChannelArguments) { UnitChannels::run<UnitChannels::Affine>(a); } \
  FLAMBEAU_KERNEL(gradient, flambeau::cuda::ChannelArguments) { UnitChannels::run<UnitChannels::Gradient>(a); }
