// The CUDA implementations of operators, one function per family of kernels. Operators call them if cuda::takes(result)
// returns true, after they have checked the arguments and allocated the result. Internal to the library.
#pragma once

#include "flambeau/cuda.h"
#include "flambeau/pointwise_row.h"

namespace flambeau::kernels {
enum class Reduce : uint8_t;
}

namespace flambeau::cuda {

// Elements of one tensor to another, of any dtype, layout and device, of which one is CUDA; false where that is to be
// done on the host (copy.cpp).
bool copy(const Tensor& destination, const Tensor& source);
void fill(const Tensor& t, Scalar value);
bool waits(const Storage& host);  // whether a copy from or to it is done before the call returns (pinned.cpp)
Scalar item(const Tensor& t);     // of one element

// A row's value, or its derivative for an operand: over grad and what that reads (pointwise.cpp).
inline constexpr int kValue = -1;
void pointwise(const PointwiseRow& row, int derivative, const Tensor& out, const Operand* operands, int count,
               Dtype in);
void add(const Tensor& out, const Tensor& x, const Tensor& y);
void subtract(const Tensor& out, const Tensor& x, const Tensor& y);
Tensor conjugate(const Tensor& t);  // t itself if it is real
// The elements of a tensor of that GPU, or a number, as they are in the dtype `in`, to those of another tensor.
void convert_elements(const Operand& from, Dtype in, const Tensor& to);

// out = a * b, of matrices or of batches of them, in the operands' dtype; `bias`, where it is defined, is added to
// every row. Halves are accumulated in float32. (product.cpp)
void multiply(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& bias = Tensor());

// Reductions of contiguous (outer, length, inner) to (outer, inner), as a vector (reduce.cpp).
Tensor reduce(kernels::Reduce op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, Dtype result);
Tensor extreme_places(bool largest, const Tensor& in, int64_t outer, int64_t length, int64_t inner);
// Means and sums of squared deviations, in float32 of half-precision dtypes.
void moments(const Tensor& mean, const Tensor& squares, const Tensor& in, int64_t outer, int64_t length, int64_t inner);
void dot(const Tensor& out, const Tensor& x, const Tensor& y);                    // of contiguous vectors
Tensor logsumexp(const Tensor& t, int64_t outer, int64_t length, int64_t inner);  // softmax.cpp, as the following
Tensor softmax(bool logarithm, const Tensor& t, int64_t dim);
Tensor softmax_backward(bool logarithm, const Tensor& grad, const Tensor& result, int64_t dim);

// Running results of contiguous (outer, length, inner), which `indices` take the places of (scan.cpp).
enum class Scan { Sum, Prod, Max, Min, LogSumExp };
Tensor scan(Scan op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, const Tensor& indices = {});

// Normalisation (normalize.cpp): of contiguous tensors; statistics, weights and sums are in the type that is computed
// in. By rows: statistics (rows, 2) of mean and 1 / deviation.
void normalize_rows(const Tensor& out, const Tensor& statistics, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, bool centred, double eps);
void normalize_rows_backward(const Tensor& out, const Tensor& grad, const Tensor& x, const Tensor& weight,
                             const Tensor& statistics, bool centred);
void normalize_rows_weights(const Tensor& weights, const Tensor& biases, const Tensor& grad, const Tensor& x,
                            const Tensor& statistics);
// Of (batch, rows, length) to `rows` statistics; `running`, if defined, takes the means and the unbiased variances.
void channel_moments(const Tensor& statistics, const Tensor& running, const Tensor& x, int64_t batch, int64_t rows,
                     int64_t length, double eps);
// The sums of the gradient and of its product with the normalised values; statistics are those of row / members.
void channel_sums(const Tensor& grads, const Tensor& products, const Tensor& grad, const Tensor& x,
                  const Tensor& statistics, int64_t members, int64_t batch, int64_t rows, int64_t length);
// The elements are normalised, or differentiated if there is a gradient. A group consists of `members` channels of one
// sample; with 0, of one channel of all samples. grads and products: the means of g' and of g' * h per group.
struct ChannelNumbers {
  Tensor statistics, weight, bias, grads, products;
};
void channel_elements(const Tensor& out, const Tensor& x, const Tensor& grad, const ChannelNumbers& numbers,
                      int64_t channels, int64_t inner, int64_t members);

// Scores (batch, classes, inner) and their labels (batch, inner), of which some are ignored (losses.cpp).
struct ClassScores {
  int64_t batch, classes, inner, ignored;
  const Tensor& labels;
};
// The negative score of each label, with `logarithms` added if defined, times the weight of its class, which goes to
// `weights`. IndexError at a later synchronisation where a label is no class.
Tensor picked(const ClassScores& s, const Tensor& scores, const Tensor& logarithms, const Tensor& weight,
              const Tensor& weights);
// The gradient of the scores for `factors` of the labels. If scores are defined, it includes that of the logarithm.
Tensor picked_gradient(const ClassScores& s, const Shape& shape, const Tensor& factors, const Tensor& scores,
                       const Tensor& logarithms);

}  // namespace flambeau::cuda
