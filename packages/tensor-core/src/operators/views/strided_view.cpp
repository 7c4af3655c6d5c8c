// Views whose elements may share memory: as_strided() and sliding windows.
#include "flambeau/operator.h"
#include "operators/views/view.h"

namespace flambeau {

namespace {

struct Geometry {
  Shape size, stride;
  int64_t offset;
};

// Returns the distance in elements from the first element to the last. Raises RuntimeError if it overflows.
int64_t reach(const Geometry& g) {
  int64_t far = 0;
  for (size_t i = 0; i < g.size.size(); ++i) {
    int64_t step = 0;
    require(!__builtin_mul_overflow(g.size[i] - 1, g.stride[i], &step) && !__builtin_add_overflow(far, step, &far),
            "as_strided: out of range: sizes ", g.size, ", strides ", g.stride);
  }
  return far;
}

// Returns the position of each element in memory, relative to the position `first`.
Tensor positions(const Geometry& g, int64_t first) {
  Tensor at = full({}, Scalar(g.offset - first), Dtype::int64);
  for (size_t i = 0; i < g.size.size(); ++i)
    at = unsqueeze(at, -1) + mul(arange(Scalar(0), Scalar(g.size[i]), Scalar(1), Dtype::int64), Scalar(g.stride[i]));
  return reshape(at, {product(g.size)});
}

// Returns the gradient of the input. A memory position gets the sum of the gradients of all elements of the view that
// are stored at this position. If several elements of the input are stored there, the sum is divided evenly among them.
Tensor strided_gradient(const Tensor& g, const Geometry& input, const Geometry& view) {
  const int64_t count = product(input.size), end = view.offset + reach(view);
  if (input.stride == contiguous_strides(input.size) && view.offset >= input.offset && end < input.offset + count)
    return reshape(index_add(zeros({count}, g.dtype()), 0, positions(view, input.offset), reshape(g, {g.numel()})),
                   input.size);
  const int64_t first = std::min(input.offset, view.offset);
  const int64_t extent = std::max(input.offset + reach(input), view.offset + reach(view)) + 1 - first;
  const Tensor own = positions(input, first);
  Tensor memory = index_add(zeros({extent}, g.dtype()), 0, positions(view, first), reshape(g, {g.numel()}));
  const Tensor shown = index_add(zeros({extent}, to_real(g.dtype())), 0, own, ones({own.numel()}, to_real(g.dtype())));
  memory = memory / clamp_min(shown, Scalar(1));
  return reshape(index_select(memory, 0, own), input.size);
}

}  // namespace

Tensor as_strided(const Tensor& t, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
  require(size.size() == stride.size(), "mismatch in length of strides and shape: ", size, " and ", stride);
  const Geometry view{size, stride, offset.value_or(t.offset())};
  bool empty = false;
  for (size_t i = 0; i < size.size(); ++i) {
    require(size[i] >= 0, "as_strided: negative size in ", size);
    require(stride[i] >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", stride);
    empty |= size[i] == 0;
  }
  require(view.offset >= 0, "Tensor: invalid storage offset ", view.offset);
  const int64_t available = int64_t(t.storage().bytes()) / item_size(t.dtype()), far = empty ? 0 : reach(view);
  require(empty || (view.offset < available && far < available - view.offset), "setStorage: sizes ", size, ", strides ",
          stride, ", storage offset ", view.offset, " require more than the storage's ", available, " elements");
  return recorded("AsStrided", t, make_view(t, size, stride, view.offset),
                  [view, input = Geometry{t.shape(), t.strides(), t.offset()}](const Tensor& g) {
                    return g.numel() == 0 || product(input.size) == 0 ? zeros(input.size, g.dtype())
                                                                      : strided_gradient(g, input, view);
                  });
}

const Operator as_strided_operator(
    {.signature = "as_strided(input, size, stride, storage_offset=None)",
     .forms = kFunction | kMethod | kCopy | kBecome,
     .doc = "Return a view with the given sizes, strides and offset, in elements of the storage.",
     .forward = as_strided,
     .reference =
         "np.lib.stride_tricks.as_strided(input.reshape(-1)[storage_offset or 0:], size, [8 * s for s in stride])",
     .samples = "f(2, 6), (2, 3), (3, 1); f(12), (3, 2), (2, 1), 3"});

Tensor unfold(const Tensor& t, int64_t dim, int64_t size, int64_t step) {
  dim = t.wrap_dim(dim);
  const int64_t length = t.dim() ? t.shape()[dim] : 1, stride = t.dim() ? t.strides()[dim] : 1;
  require(size >= 0, "size is ", size, " but must be >= 0");
  require(size <= length, "maximum size for tensor at dimension ", dim, " is ", length, " but size is ", size);
  require(step > 0, "step is ", step, " but must be > 0");
  Shape shape = t.shape(), strides = t.strides();
  const int64_t count = (length - size) / step + 1;
  if (t.dim()) {
    shape[dim] = count;
    if (__builtin_mul_overflow(stride, step, &strides[dim])) strides[dim] = 0;  // there is only one window
  }
  shape.push_back(size);
  strides.push_back(stride);
  return recorded("Unfold", t, make_view(t, shape, strides, t.offset()),
                  [from = t.shape(), dim, size, step, count](const Tensor& g) {
                    if (from.empty()) return reshape(sum(g, Shape{0}, false, {}), {});
                    const Tensor starts = arange(Scalar(0), Scalar(count), Scalar(1), Dtype::int64),
                                 inside = arange(Scalar(0), Scalar(size), Scalar(1), Dtype::int64);
                    const Tensor at = unsqueeze(mul(starts, Scalar(step)), 1) + inside;
                    Shape order;
                    for (int64_t d = 0; d < int64_t(from.size()); ++d) {
                      order.push_back(d);
                      if (d == dim) order.push_back(int64_t(from.size()));
                    }
                    const Tensor windows = flatten(permute(g, order), dim, dim + 1);
                    return index_add(zeros(from, g.dtype()), dim, reshape(at, {count * size}), windows);
                  });
}

const Operator unfold_operator(
    {.signature = "unfold(input, dimension, size, step)",
     .forms = kMethod | kCopy,
     .doc =
         R"(Return a view of the windows of `size` elements, `step` apart, along a dimension, as a new last dimension.

Gradient: input; summed over the windows that contain an element.)",
     .forward = unfold,
     .reference = "np.moveaxis(np.lib.stride_tricks.sliding_window_view(input, size, dimension), dimension, 0)[::step] "
                  "if dimension == 0 else np.lib.stride_tricks.sliding_window_view(input, size, 1)[:, ::step]",
     .samples = "f(5, 2), 0, 2, 1; f(2, 7), 1, 3, 2"});

}  // namespace flambeau
