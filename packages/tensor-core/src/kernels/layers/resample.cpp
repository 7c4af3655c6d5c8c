// Multiplication by sparse matrices along one dimension: interpolation, average pooling and their transposes.
#include <cstring>

#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// Computes a row of `inner` contiguous values. Every tap adds one contiguous range.
template <class T>
void wide_row(const T* in, T* out, int64_t inner, int64_t taps, int64_t step, const int32_t* index, const T* weight,
              bool uniform) {
  const T scale = weight[0];
  const T* a = in + int64_t(index[0]) * inner;
  if (taps == 1) {
    if (scale == T(1))
      std::memcpy(out, a, size_t(inner) * sizeof(T));
    else
      for (int64_t i = 0; i < inner; ++i) out[i] = scale * a[i];
    return;
  }
  const T* b = in + int64_t(index[step]) * inner;
  if (uniform) {
    const T last = taps == 2 ? scale : T(1);
    for (int64_t i = 0; i < inner; ++i) out[i] = (a[i] + b[i]) * last;
    for (int64_t k = 2; k < taps; ++k) {
      const T* c = in + int64_t(index[k * step]) * inner;
      const T factor = k + 1 == taps ? scale : T(1);
      for (int64_t i = 0; i < inner; ++i) out[i] = (out[i] + c[i]) * factor;
    }
    return;
  }
  const T w = weight[step];
  for (int64_t i = 0; i < inner; ++i) out[i] = scale * a[i] + w * b[i];
  for (int64_t k = 2; k < taps; ++k) {
    const T* c = in + int64_t(index[k * step]) * inner;
    const T v = weight[k * step];
    for (int64_t i = 0; i < inner; ++i) out[i] += v * c[i];
  }
}

// Computes the rows of a run together if each row is a single value (`inner` is 1). Gathers the taps of these rows.
template <class T, int Taps>
void narrow_run(const T* in, T* out, int64_t rows, int64_t taps, const int32_t* index, const T* weight, bool uniform) {
  const int64_t count = Taps ? Taps : taps;
  if (uniform) {
#pragma GCC ivdep
    for (int64_t o = 0; o < rows; ++o) {
      T total = in[index[o]];
      for (int64_t k = 1; k < count; ++k) total += in[index[k * rows + o]];
      out[o] = total * weight[o];
    }
  } else {
#pragma GCC ivdep
    for (int64_t o = 0; o < rows; ++o) {
      T total = weight[o] * in[index[o]];
      for (int64_t k = 1; k < count; ++k) total += weight[k * rows + o] * in[index[k * rows + o]];
      out[o] = total;
    }
  }
}

template <class T>
void resample(const Sparse& m, const char* in_bytes, char* out_bytes, int64_t inner) {
  const T* in = reinterpret_cast<const T*>(in_bytes);
  T* out = reinterpret_cast<T*>(out_bytes);
  for (int64_t r = 0; r < m.run_count; ++r) {
    const SparseRun& run = m.runs[r];
    const int64_t rows = run.last - run.first;
    const int32_t* index = m.index + run.offset;
    const T* weight = static_cast<const T*>(m.weight) + run.offset;
    if (run.taps == 0) {
      std::memset(out + run.first * inner, 0, size_t(rows * inner) * sizeof(T));
    } else if (inner == 1) {
      const auto kernel = run.taps == 1   ? narrow_run<T, 1>
                          : run.taps == 2 ? narrow_run<T, 2>
                          : run.taps == 3 ? narrow_run<T, 3>
                          : run.taps == 4 ? narrow_run<T, 4>
                                          : narrow_run<T, 0>;
      kernel(in, out + run.first, rows, run.taps, index, weight, m.uniform);
    } else {
      for (int64_t o = 0; o < rows; ++o)
        wide_row(in, out + (run.first + o) * inner, inner, run.taps, rows, index + o, weight + o, m.uniform);
    }
  }
}

}  // namespace

void fill_resample(NetworkTable& table) {
  table.resample[0] = resample<float>;
  table.resample[1] = resample<double>;
  table.resample[2] = resample<int64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
