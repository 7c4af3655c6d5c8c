// Runs the kernels of the row functions: softmax, normalisations and reductions. Note [Chains]
#include "operators/pointwise/row_functions.h"

#include "kernels/table.h"
#include "operators/layers/normalization.h"

namespace flambeau {

namespace {

void reduce_rows(kernels::Reduce op, Dtype dtype, char* out, const char* in, int64_t rows, int64_t length) {
  kernels::table().reduce[int(op)][int(dtype)].run(out, in, rows, length, 1, 1);
}

template <class T>
void divide(char* values, int64_t count, double divisor) {
  for (T* v = reinterpret_cast<T*>(values); count > 0; --count, ++v) *v = T(*v / divisor);
}

void normalize(const RowStep& step, int kind, char* out, const char* in, const char* weight, const char* bias,
               int64_t rows, int64_t length) {
  constexpr int64_t kRowBlock = 64;  // number of rows that are normalised at a time
  kernels::Moments moments[kRowBlock];
  const NormalizedRows shape{length, step.function == RowFunction::LayerNorm, step.together};
  const int64_t bytes = length * (kind ? 8 : 4);
  for (int64_t r = 0; r < rows; r += kRowBlock)
    normalize_rows(shape, kind, out + r * bytes, in + r * bytes, weight, bias, std::min(kRowBlock, rows - r), step.eps,
                   moments);
}

}  // namespace

void run_row_function(const RowStep& step, Dtype dtype, char* out, const char* in, const char* weight, const char* bias,
                      int64_t rows, int64_t length) {
  using kernels::Reduce;
  const int kind = dtype == Dtype::float64;
  switch (step.function) {
    case RowFunction::Softmax:
      return kernels::table().softmax[kind](out, in, rows, length);
    case RowFunction::LogSoftmax:
      return kernels::table().log_softmax[kind](out, in, rows, length);
    case RowFunction::LayerNorm:
    case RowFunction::RmsNorm:
      return normalize(step, kind, out, in, weight, bias, rows, length);
    case RowFunction::Reduction:
      return reduce_rows(step.reduction, dtype, out, in, rows, length);
    case RowFunction::Mean:
      reduce_rows(Reduce::sum, dtype, out, in, rows, length);
      return kind ? divide<double>(out, rows, double(length)) : divide<float>(out, rows, double(length));
  }
}

}  // namespace flambeau
