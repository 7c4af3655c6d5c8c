// All operators as C++ functions. Pointwise operators are generated from the rows of the operator table: name(x),
// name(x, y), name(x, y, z) with tensors or numbers as operands. The library defines FLAMBEAU_FEW_ROWS, and its files
// include pointwise/<family>.h if they call operators of other families, so that a new operator does not recompile all
// files.
#pragma once

#include <optional>
#include <vector>

#include "flambeau/copies.h"
#include "flambeau/memory_format.h"
#include "flambeau/pointwise.h"
#include "flambeau/pointwise/basic.h"
#include "flambeau/pointwise/elementary.h"
#include "flambeau/random.h"
#ifndef FLAMBEAU_FEW_ROWS
#include "flambeau/pointwise/activations.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/pointwise/exponential.h"
#include "flambeau/pointwise/logic.h"
#include "flambeau/pointwise/losses.h"
#include "flambeau/pointwise/selection.h"
#include "flambeau/pointwise/special.h"
#include "flambeau/pointwise/special_scalar.h"
#include "flambeau/pointwise/trigonometric.h"
#endif

namespace flambeau {

#define FLAMBEAU_OPERATOR(symbol, name)                                                  \
  inline Tensor operator symbol(const Tensor& x, const Tensor& y) { return name(x, y); } \
  inline Tensor operator symbol(const Tensor& x, Scalar y) { return name(x, y); }        \
  inline Tensor operator symbol(Scalar x, const Tensor& y) { return name(x, y); }
FLAMBEAU_OPERATOR(+, add)
FLAMBEAU_OPERATOR(-, sub)
FLAMBEAU_OPERATOR(*, mul)
FLAMBEAU_OPERATOR(/, div)
FLAMBEAU_OPERATOR(==, eq)
FLAMBEAU_OPERATOR(!=, ne)
FLAMBEAU_OPERATOR(<, lt)
FLAMBEAU_OPERATOR(<=, le)
FLAMBEAU_OPERATOR(>, gt)
FLAMBEAU_OPERATOR(>=, ge)
FLAMBEAU_OPERATOR(&, bitwise_and)
FLAMBEAU_OPERATOR(|, bitwise_or)
#undef FLAMBEAU_OPERATOR
inline Tensor operator-(const Tensor& x) { return neg(x); }

// x**y. Integer and half-integer powers of floats do not use the general power function.
FLAMBEAU_API Tensor power(const Operand& x, const Operand& y);

using OptionalDims = std::optional<Shape>;
using Tensors = std::vector<Tensor>;
struct TensorPair {
  Tensor values, indices;
};

// Complex numbers (operators/arithmetic/complex.cpp). conj returns real tensors unchanged.
FLAMBEAU_API Tensor conj(const Tensor& t);
FLAMBEAU_API Tensor real(const Tensor& t);  // a view
FLAMBEAU_API Tensor imag(const Tensor& t);  // a view
FLAMBEAU_API Tensor view_as_real(const Tensor& t);
FLAMBEAU_API Tensor view_as_complex(const Tensor& t);
FLAMBEAU_API Tensor complex(const Tensor& real, const Tensor& imag);
FLAMBEAU_API Tensor polar(const Tensor& abs, const Tensor& angle);

// Layouts (operators/views/layout.cpp)
FLAMBEAU_API Tensor resize_(const Tensor& self, const Shape& shape, MemoryFormat format);
// Makes `self` refer to the memory of `source`.
FLAMBEAU_API void set_storage(const Tensor& self, const Tensor& source, const Shape& shape, const Shape& strides,
                              int64_t offset);

// Views (operators/views/view.cpp, strided_view.cpp)
// Gives `self` the shape, strides and grad_fn of `view`, a view of `self`, as transpose_ and similar operators do.
FLAMBEAU_API void become(const Tensor& self, const Tensor& view);
FLAMBEAU_API Tensor as_strided(const Tensor& t, const Shape& size, const Shape& stride, std::optional<int64_t> offset);
// Returns windows of `size` elements along a dimension, `step` apart, as a new last dimension.
FLAMBEAU_API Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step);
FLAMBEAU_API Tensor view(const Tensor& t, const Shape& size);
FLAMBEAU_API Tensor view_dtype(const Tensor& t, Dtype dtype);
FLAMBEAU_API Tensor reshape(const Tensor& t, const Shape& shape);
FLAMBEAU_API Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1);
FLAMBEAU_API Tensor permute(const Tensor& t, const Shape& dims);
FLAMBEAU_API Tensor expand(const Tensor& t, const Shape& size);
FLAMBEAU_API Tensor squeeze(const Tensor& t, const OptionalDims& dim);
FLAMBEAU_API Tensor unsqueeze(const Tensor& t, int64_t dim);
FLAMBEAU_API Tensor flatten(const Tensor& t, int64_t start_dim, int64_t end_dim);
FLAMBEAU_API Tensor unflatten(const Tensor& t, int64_t dim, const Shape& sizes);
FLAMBEAU_API Tensor select(const Tensor& t, int64_t dim, int64_t index);
FLAMBEAU_API Tensor slice(const Tensor& t, int64_t dim, int64_t start, int64_t stop, int64_t step);
FLAMBEAU_API Tensor narrow(const Tensor& t, int64_t dim, int64_t start, int64_t length);
FLAMBEAU_API Tensor diagonal(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2);
FLAMBEAU_API Tensors split(const Tensor& t, const Shape& sizes, int64_t dim);
FLAMBEAU_API Tensors unbind(const Tensor& t, int64_t dim);
// Sums a broadcast gradient back to `shape`.
FLAMBEAU_API Tensor sum_to(const Tensor& t, const Shape& shape);

// Reductions (operators/reductions/table.cpp, sums.cpp, extremes.cpp, variance.cpp, norms.cpp, softmax.cpp)
FLAMBEAU_API Tensor sum(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor nansum(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor mean(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor prod(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor var(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim);
FLAMBEAU_API Tensor standard_deviation(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim);
// Returns the variance, or its square root if `root` is set, as `values`, and the mean as `indices`.
FLAMBEAU_API TensorPair spread_mean(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim,
                                    bool root);
FLAMBEAU_API Tensor count_nonzero(const Tensor& t, const OptionalDims& dim);
FLAMBEAU_API Tensor vector_norm(const Tensor& t, double p, const OptionalDims& dim, bool keepdim);
FLAMBEAU_API Tensor amax(const Tensor& t, const OptionalDims& dim, bool keepdim);
FLAMBEAU_API Tensor amin(const Tensor& t, const OptionalDims& dim, bool keepdim);
FLAMBEAU_API Tensor max_all(const Tensor& t);
FLAMBEAU_API Tensor min_all(const Tensor& t);
FLAMBEAU_API TensorPair max_dim(const Tensor& t, int64_t dim, bool keepdim);
FLAMBEAU_API TensorPair min_dim(const Tensor& t, int64_t dim, bool keepdim);
FLAMBEAU_API Tensor hash_tensor(const Tensor& t, const OptionalDims& dim, bool keepdim, int64_t mode);
FLAMBEAU_API Tensor argmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim);
FLAMBEAU_API Tensor argmin(const Tensor& t, std::optional<int64_t> dim, bool keepdim);
FLAMBEAU_API Tensor any(const Tensor& t, const OptionalDims& dim, bool keepdim);
FLAMBEAU_API Tensor all(const Tensor& t, const OptionalDims& dim, bool keepdim);
FLAMBEAU_API bool equal(const Tensor& a, const Tensor& b);  // compares shapes and all elements
FLAMBEAU_API Tensor logsumexp(const Tensor& t, const Shape& dim, bool keepdim);
FLAMBEAU_API Tensor softmax(const Tensor& t, int64_t dim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor log_softmax(const Tensor& t, int64_t dim, std::optional<Dtype> dtype);

// Cumulative sums, products and extremes (operators/reductions/cumulative.cpp)
FLAMBEAU_API Tensor cumsum(const Tensor& t, int64_t dim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor cumprod(const Tensor& t, int64_t dim, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor logcumsumexp(const Tensor& t, int64_t dim);
FLAMBEAU_API TensorPair cummax(const Tensor& t, int64_t dim);
FLAMBEAU_API TensorPair cummin(const Tensor& t, int64_t dim);

// Fourier transforms (operators/fourier/fourier.cpp) with exp(-2 pi i ...) or, if inverse, exp(+2 pi i ...), times
// `scale`. A half spectrum has only the nonnegative frequencies along the last of `dims`; n is the size of the real
// signal along this dimension.
FLAMBEAU_API Tensor fourier_complex(const Tensor& t, const Shape& dims, bool inverse, double scale);
FLAMBEAU_API Tensor fourier_real(const Tensor& t, const Shape& dims, bool inverse, double scale);
FLAMBEAU_API Tensor fourier_real_to_half(const Tensor& t, const Shape& dims, bool inverse, double scale);
FLAMBEAU_API Tensor fourier_half_to_real(const Tensor& t, const Shape& dims, int64_t n, bool inverse, double scale);
// The functions of flambeau.fft, with their arguments and name (operators/fourier/fourier_arguments.cpp)
enum class Fourier : uint8_t { Complex, RealToHalf, HalfToReal };
FLAMBEAU_API Tensor fourier(const char* name, Fourier kind, bool inverse, const Tensor& input, const OptionalDims& s,
                            const OptionalDims& dim, std::string_view norm);

// Products (operators/products/matmul.cpp)
FLAMBEAU_API Tensor matmul(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor mm(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor bmm(const Tensor& a, const Tensor& b);
FLAMBEAU_API Tensor cross(const Tensor& input, const Tensor& other, int64_t dim);  // operators/products/cross.cpp
FLAMBEAU_API Tensor addmm(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha);
FLAMBEAU_API Tensor linear(const Tensor& input, const Tensor& weight, const Tensor& bias);

// Joining, rearranging (operators/arrangement/join.cpp, rearrange.cpp, triangle.cpp)
FLAMBEAU_API Tensor cat(const Tensors& tensors, int64_t dim);
FLAMBEAU_API Tensor stack(const Tensors& tensors, int64_t dim);
FLAMBEAU_API Tensor flip(const Tensor& t, const Shape& dims);
FLAMBEAU_API Tensor roll(const Tensor& t, const Shape& shifts, const Shape& dims);
FLAMBEAU_API Tensor repeat(const Tensor& t, const Shape& repeats);
FLAMBEAU_API Tensor repeat_interleave(const Tensor& t, const Tensor& repeats, std::optional<int64_t> dim,
                                      std::optional<int64_t> output_size);
FLAMBEAU_API Tensor constant_pad_nd(const Tensor& t, const Shape& pad, Scalar value);
FLAMBEAU_API Tensor diag_embed(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2);
FLAMBEAU_API Tensor tril(const Tensor& t, int64_t diagonal);
FLAMBEAU_API Tensor triu(const Tensor& t, int64_t diagonal);
FLAMBEAU_API Tensor triangle_indices(int64_t rows, int64_t columns, int64_t diagonal, bool lower, Dtype dtype);

// Indexing (operators/indexing/gather.cpp, index_along.cpp, advanced_indexing.cpp, masks.cpp). Writing operators change
// their first argument or a copy of it.
enum class Write : uint8_t { Fresh, InPlace };
// The reduction of values that are written to the same element.
enum class ScatterReduction : uint8_t { Sum, Prod, Mean, Max, Min };
FLAMBEAU_API Tensor gather(const Tensor& t, int64_t dim, const Tensor& index);
FLAMBEAU_API Tensor scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                            Write write = Write::Fresh);
FLAMBEAU_API Tensor scatter_value(const Tensor& t, int64_t dim, const Tensor& index, Scalar value,
                                  Write write = Write::Fresh);
FLAMBEAU_API Tensor scatter_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                                Write write = Write::Fresh);
FLAMBEAU_API Tensor scatter_reduce(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                                   ScatterReduction reduction, bool include_self, Write write = Write::Fresh,
                                   const char* name = "scatter_reduce_");
FLAMBEAU_API Tensor index_select(const Tensor& t, int64_t dim, const Tensor& index);
FLAMBEAU_API Tensor index_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                              Write write = Write::Fresh);
FLAMBEAU_API Tensor index_copy(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                               Write write = Write::Fresh);
FLAMBEAU_API Tensor index_fill(const Tensor& t, int64_t dim, const Tensor& index, const Operand& value,
                               Write write = Write::Fresh);
FLAMBEAU_API Tensor index_reduce(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                                 ScatterReduction reduction, bool include_self, Write write = Write::Fresh);
// Returns rows of `weight`. The row `padding` gets no gradient (-1: every row gets one).
FLAMBEAU_API Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding, bool scale_by_frequency);
// Advanced indexing: one index per dimension, undefined for a full slice. Result dimensions are ordered as in NumPy.
FLAMBEAU_API Tensor index(const Tensor& t, const Tensors& indices);
FLAMBEAU_API Tensor index_put(const Tensor& t, const Tensors& indices, const Tensor& values, bool accumulate,
                              Write write = Write::Fresh);
FLAMBEAU_API Tensor take(const Tensor& t, const Tensor& index);
FLAMBEAU_API Tensor put(const Tensor& t, const Tensor& index, const Tensor& source, bool accumulate,
                        Write write = Write::Fresh);
FLAMBEAU_API Tensor nonzero(const Tensor& t);
FLAMBEAU_API Tensor nonzero_static(const Tensor& t, int64_t size, int64_t fill_value);
FLAMBEAU_API Tensor masked_fill(const Tensor& t, const Tensor& mask, const Operand& value, Write write = Write::Fresh);
FLAMBEAU_API Tensor masked_select(const Tensor& t, const Tensor& mask);
FLAMBEAU_API Tensor masked_scatter(const Tensor& t, const Tensor& mask, const Tensor& source,
                                   Write write = Write::Fresh);

enum class Reduction : uint8_t { None, Mean, Sum };  // reduction of a loss (networks.h)

// Constructors (operators/creation/construct.cpp)
FLAMBEAU_API Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<Dtype> dtype);
FLAMBEAU_API Tensor range_to(Scalar start, Scalar end, Scalar step, Dtype dtype);  // including both ends
FLAMBEAU_API Tensor linspace(Scalar start, Scalar end, int64_t steps, Dtype dtype);
FLAMBEAU_API Tensor logspace(Scalar start, Scalar end, int64_t steps, double base, Dtype dtype);
FLAMBEAU_API Tensor eye(int64_t n, int64_t m, Dtype dtype);

}  // namespace flambeau
