// The CUDA implementations of operators, one function per family of kernels. Operators call these functions if
// cuda::runs_on_gpu(result) returns true, after they have checked the arguments and allocated the result.
#pragma once

#include "flambeau/cuda.h"
#include "flambeau/pointwise_row.h"

namespace flambeau::kernels {
enum class Reduce : uint8_t;
}

namespace flambeau::cuda {

// Copies elements between tensors of any dtype, layout and device, at least one of which is on a GPU. Returns false if
// the host must copy them (copy.cpp).
bool copy(const Tensor& destination, const Tensor& source);
void fill(const Tensor& t, Scalar value);
// Returns true if a call that copies from or to this host memory returns after the copy is complete (pinned.cpp).
bool waits(const Storage& host);
Scalar item(const Tensor& t);  // t has one element

// Computes a pointwise operator or, unless `derivative` is kValue, its derivative with respect to the operand with the
// index `derivative`. For a derivative, the operands are the gradient and the values that the derivative reads
// (pointwise.cpp).
inline constexpr int kValue = -1;
void pointwise(const PointwiseRow& row, int derivative, const Tensor& out, const Operand* operands, int count,
               Dtype in);
void add(const Tensor& out, const Tensor& x, const Tensor& y);
void subtract(const Tensor& out, const Tensor& x, const Tensor& y);
// Returns the conjugate of a tensor, or t itself if it is real.
Tensor conjugate(const Tensor& t);
// Converts a number, or the elements of a tensor on the same GPU, to the dtype `in` and then to the dtype of `to`.
void convert_elements(const Operand& from, Dtype in, const Tensor& to);

// Computes out = a * b for matrices or batches of matrices, in the operands' dtype. Adds `bias`, if it is defined, to
// every row. Products of half-precision numbers are accumulated in float32. (product.cpp)
void multiply(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& bias = Tensor());

// These functions reduce a contiguous tensor (outer, length, inner) to (outer, inner) and return the result as a vector
// (reduce.cpp).
Tensor reduce(kernels::Reduce op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, Dtype result);
Tensor extreme_positions(bool largest, const Tensor& in, int64_t outer, int64_t length, int64_t inner);
// Computes the means and the sums of squared deviations, in float32 for half-precision dtypes.
void moments(const Tensor& mean, const Tensor& squares, const Tensor& in, int64_t outer, int64_t length, int64_t inner);
void dot(const Tensor& out, const Tensor& x, const Tensor& y);                    // the vectors are contiguous
Tensor logsumexp(const Tensor& t, int64_t outer, int64_t length, int64_t inner);  // in softmax.cpp
Tensor softmax(bool logarithm, const Tensor& t, int64_t dim);
Tensor softmax_backward(bool logarithm, const Tensor& grad, const Tensor& result, int64_t dim);

// Computes cumulative sums, products and so on along the middle dimension of contiguous (outer, length, inner). If
// `indices` is defined, it receives the positions of the cumulative maxima or minima (scan.cpp).
enum class Scan { Sum, Prod, Max, Min, LogSumExp };
Tensor scan(Scan op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, const Tensor& indices = {});

// These functions normalise contiguous tensors (normalize.cpp). Statistics, weights and sums have the dtype of the
// accumulator; the weight and the bias of rows may both have the input's dtype instead. The statistics of rows,
// (rows, 2), contain the mean and 1 / standard deviation.
void normalize_rows(const Tensor& out, const Tensor& statistics, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, bool centred, double eps);
void normalize_rows_backward(const Tensor& out, const Tensor& grad, const Tensor& x, const Tensor& weight,
                             const Tensor& statistics, bool centred);
void normalize_rows_weights(const Tensor& weights, const Tensor& biases, const Tensor& grad, const Tensor& x,
                            const Tensor& statistics);
// Computes the statistics of `rows` channels of (batch, rows, length). If `running` is defined, it receives the means
// and the unbiased variances.
void channel_moments(const Tensor& statistics, const Tensor& running, const Tensor& x, int64_t batch, int64_t rows,
                     int64_t length, double eps);
// Computes, for each row, the sum of the gradient and the sum of the product of the gradient and the normalised values.
// The statistics of a row have the index row / members.
void channel_sums(const Tensor& grads, const Tensor& products, const Tensor& grad, const Tensor& x,
                  const Tensor& statistics, int64_t members, int64_t batch, int64_t rows, int64_t length);
// Arguments of channel_elements(). It normalises elements or, if `grad` is defined, computes the derivative. A group
// consists of `members` channels of one sample or, if `members` is 0, of one channel of all samples. `grads` and
// `products` contain the means of g' and of g' * h for each group: Note [Normalisation]. With a share other than 0,
// they contain the sums of g and of g * h instead, and the means are these sums * weight * share.
struct ChannelNumbers {
  Tensor statistics, weight, bias, grads, products;
  double share = 0;
};
void channel_elements(const Tensor& out, const Tensor& x, const Tensor& grad, const ChannelNumbers& numbers,
                      int64_t channels, int64_t inner, int64_t members);

// The labels (batch, inner) for scores (batch, classes, inner). Labels that equal `ignored` are ignored (losses.cpp).
struct ClassScores {
  int64_t batch, classes, inner, ignored;
  const Tensor& labels;
};
// Returns, for each label, its negative score times the weight of its class. If `logarithms` is defined, it is added to
// the negative score. Writes the weight of each label to `weights`. If a label is not a class, IndexError is raised at
// a later synchronisation.
Tensor picked(const ClassScores& s, const Tensor& scores, const Tensor& logarithms, const Tensor& weight,
              const Tensor& weights);
// Returns the gradient of the scores: (softmax - one-hot) * factor, with one factor for each label. If `scores` is
// undefined, returns -one-hot * factor.
Tensor picked_gradient(const ClassScores& s, const Shape& shape, const Tensor& factors, const Tensor& scores,
                       const Tensor& logarithms);

}  // namespace flambeau::cuda
