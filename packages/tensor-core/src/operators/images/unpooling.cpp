// The inverse of max pooling.
#include <algorithm>

#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/images/pooling.h"

namespace flambeau {

namespace {

struct UnpoolSizes {  // sizes with flattened spatial dimensions
  int64_t images, values, positions;
  Shape output_shape;
};

Tensor unpooled(const Tensor& input, const Tensor& indices, const UnpoolSizes& p) {
  NoRecording off;
  const Tensor values = contiguous(input), at = contiguous(indices), out = zeros(p.output_shape, input.dtype());
  if (out.is_meta()) return out;
  if (cuda::runs_on_gpu(out)) {  // if several values have the same position, the last one is kept, as on the CPU
    const Shape flat{p.images, p.values};
    return reshape(scatter(reshape(out, {p.images, p.positions}), 1, reshape(at, flat), reshape(values, flat)),
                   p.output_shape);
  }
  const int64_t* index = at.data<int64_t>();
  for (int64_t i = 0; i < at.numel(); ++i)
    require(index[i] >= 0 && index[i] < p.positions, "max_unpool: found an invalid max index ", index[i],
            " for an output of shape ", p.output_shape);
  dispatch_all(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < at.numel(); ++i) out.data<T>()[i / p.values * p.positions + index[i]] = values.data<T>()[i];
  });
  return out;
}

Shape spread_over(int dims, const Shape& values, const char* what) {
  require(values.size() == 1 || values.size() == size_t(dims), "max_unpool", dims, "d: ", what, " must be an int or ",
          dims, " ints, got ", values);
  return values.size() == 1 ? Shape(size_t(dims), values[0]) : values;
}

// Returns the spatial sizes of the image: the last elements of `wanted` or, if it is not given, the sizes that follow
// from the arguments of the pooling.
Shape sizes_of(int dims, const Tensor& input, const PoolOptions& pool, const OptionalDims& wanted) {
  const Shape kernel = spread_over(dims, pool.kernel, "kernel_size"),
              stride = pool.stride.empty() ? kernel : spread_over(dims, pool.stride, "stride"),
              padding = spread_over(dims, pool.padding, "padding");
  Shape usual;
  for (int i = 0; i < dims; ++i)
    usual.push_back((input.size(i - dims) - 1) * stride[size_t(i)] - 2 * padding[size_t(i)] + kernel[size_t(i)]);
  for (size_t i = 0; i < size_t(dims) && !wanted; ++i)
    require<ValueError>(usual[i] >= 0, "max_unpool", dims,
                        "d: output_size must contain non-negative spatial dimensions, but got output_size[", i,
                        "]=", usual[i], " for an input of shape ", input.shape());
  if (!wanted) return usual;
  const size_t given = wanted->size(), more = given - size_t(dims);
  const bool whole = given == size_t(dims) + 2 || (given == size_t(dims) + 1 && input.dim() == dims + 1);
  require<ValueError>(given == size_t(dims) || whole, "output_size should be a sequence containing ", dims, " or ",
                      dims + 2, " elements, but it has a length of '", given, "'");
  const Shape sizes(wanted->begin() + more, wanted->end());
  for (size_t i = 0; i < size_t(dims); ++i)
    require<ValueError>(sizes[i] > usual[i] - stride[i] && sizes[i] < usual[i] + stride[i], "invalid output_size ",
                        sizes, ": each size must differ by less than the stride from ", usual,
                        ", the default of max_unpool", dims, "d");
  return sizes;
}

}  // namespace

Tensor max_unpool(int dims, const Tensor& input, const Tensor& indices, const PoolOptions& pool,
                  const OptionalDims& output_size) {
  require(input.dim() == dims + 1 || input.dim() == dims + 2, "Input to max_unpool", dims, "d should be a ", dims + 1,
          "d or ", dims + 2, "d Tensor, but got a tensor with ", input.dim(), " dims.");
  require(indices.dtype() == Dtype::int64, "elements in indices should be type int64 but got: ", indices.dtype());
  require(input.shape() == indices.shape(), "Expected shape of indices to be same as that of the input tensor (",
          input.shape(), ") but got indices tensor with shape: ", indices.shape());
  const Shape sizes = sizes_of(dims, input, pool, output_size);
  UnpoolSizes p{1, 1, product(sizes), Shape(input.shape().begin(), input.shape().end() - dims)};
  p.images = product(p.output_shape);
  p.values = p.images ? input.numel() / p.images : 0;
  p.output_shape.append(sizes.begin(), sizes.end());
  const Tensor planes = unpooled(input, indices, p), out = dims == 2 ? laid_out(planes, result_format(input)) : planes;
  if (recording(input))
    record("MaxUnpool", out, {&input}, {&indices}, [p](const Context& c) {
      const Tensor at = reshape(c.saved(0), {p.images, p.values});
      c.set(0, reshape(gather(reshape(c.gradient(), {p.images, p.positions}), 1, at), c.saved(0).shape()));
    });
  return out;
}

namespace {

template <int dims>
Tensor unpool_max(const Tensor& input, const Tensor& indices, const Shape& kernel, const OptionalDims& stride,
                  const Shape& padding, const OptionalDims& output_size) {
  return max_unpool(dims, input, indices, {kernel, stride.value_or(Shape()), padding, {}}, output_size);
}

const Operator nn_max_unpool1d_operator(
    {.signature = "max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
     .forms = kPrivate | kNetwork | kFloat32,
     .doc = R"(Write the results of max pooling to their positions in an image of zeros.

Args:
    input, indices: results of ``max_pool1d(..., return_indices=True)``.
    kernel_size, stride, padding: arguments of that pooling.
    output_size: shape of the input of the pooling, if the other arguments do not determine it.
Raises: ValueError for an impossible output size; RuntimeError for an index out of bounds.
Gradient: input, any order.)",
     .forward = unpool_max<1>});

const Operator nn_max_unpool2d_operator(
    {.signature = "max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
     .forms = kPrivate | kNetwork | kFloat32,
     .doc = "Apply `max_unpool1d` over two dimensions.",
     .forward = unpool_max<2>});

const Operator nn_max_unpool3d_operator(
    {.signature = "max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
     .forms = kPrivate | kNetwork | kFloat32,
     .doc = "Apply `max_unpool1d` over three dimensions.",
     .forward = unpool_max<3>});

}  // namespace

}  // namespace flambeau
