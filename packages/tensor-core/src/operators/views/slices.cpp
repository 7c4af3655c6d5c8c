// Slices and diagonals of a tensor, and copies of the tensor with one of these replaced.
#include <algorithm>

#include "flambeau/operator.h"
#include "operators/views/view.h"

namespace flambeau {

Tensor select(const Tensor& t, int64_t dim, int64_t index) {
  require<IndexError>(t.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
  dim = t.wrap_dim(dim);
  const int64_t size = t.shape()[dim];
  require<IndexError>(index >= -size && index < size, "index ", index, " is out of bounds for dimension ", dim,
                      " with size ", size);
  const int64_t at = index < 0 ? index + size : index;
  Shape shape = t.shape(), strides = t.strides();
  const int64_t offset = t.offset() + at * strides[dim];
  shape.erase(size_t(dim));
  strides.erase(size_t(dim));
  return recorded("Select", t, make_view(t, shape, strides, offset), [from = t.shape(), dim, at](const Tensor& g) {
    Tensor whole = zeros(from, g.dtype());
    copy_(select(whole, dim, at), g);
    return whole;
  });
}

const Operator select_operator({.signature = "select(input, dim, index)",
                                .forms = kFunction | kMethod | kCopy,
                                .doc = "Return a view of one index along a dimension, without this dimension.",
                                .forward = select,
                                .reference = "np.take(input, index, dim)",
                                .samples = "f(3, 4), 0, -1; f(3, 4), -1, 2"});

Tensor slice(const Tensor& t, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  require(t.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
  dim = t.wrap_dim(dim);
  require<ValueError>(step > 0, "slice step must be positive");
  const int64_t size = t.shape()[dim];
  if (start < 0) start = std::max<int64_t>(0, start + size);
  if (stop < 0) stop = std::max<int64_t>(0, stop + size);
  start = std::min(start, size);
  stop = std::clamp(stop, start, size);
  Shape shape = t.shape(), strides = t.strides();
  shape[dim] = (stop - start) / step + ((stop - start) % step != 0);
  const int64_t offset = t.offset() + start * strides[dim];
  if (step > 1 && __builtin_mul_overflow(strides[dim], step, &strides[dim]))
    strides[dim] = 0;  // at most one element remains, so the stride does not matter
  return recorded("Slice", t, make_view(t, shape, strides, offset),
                  [from = t.shape(), dim, start, stop, step](const Tensor& g) {
                    Tensor whole = zeros(from, g.dtype());
                    copy_(slice(whole, dim, start, stop, step), g);
                    return whole;
                  });
}

Tensor narrow(const Tensor& t, int64_t dim, int64_t start, int64_t length) {
  require(t.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
  require(length >= 0, "narrow(): length must be non-negative.");
  const int64_t size = t.size(dim);
  require<IndexError>(start >= -size && start <= size, "start out of range (expected to be in range of [", -size, ", ",
                      size, "], but got ", start, ")");
  if (start < 0) start += size;
  require(start <= size - length, "start (", start, ") + length (", length, ") exceeds dimension size (", size, ").");
  return slice(t, dim, start, start + length, 1);
}

namespace {

using Start = std::variant<Tensor, int64_t>;

Tensor narrow_from(const Tensor& t, int64_t dim, const Start& start, int64_t length) {
  const Tensor* const at = std::get_if<Tensor>(&start);
  if (!at) return narrow(t, dim, std::get<int64_t>(start), length);
  require(at->dim() == 0 && category(at->dtype()) == Category::Integer,
          "start must be an 0-dim integral Tensor, got shape ", at->shape(), " and dtype ", at->dtype());
  return narrow(t, dim, item(*at).integer(), length);
}

const Operator narrow_operator(
    {.signature = "narrow(input, dim, start, length)",
     .forms = kFunction | kMethod,
     .doc = "Return a view of a range along a dimension. start is an int or a 0-d integer tensor.",
     .forward = narrow_from,
     .reference = "np.take(input, np.arange(start, start + length), dim)",
     .samples = "f(5, 3), 0, 1, 3; f(3, 4), -1, -2, 2"});

const Operator narrow_copy_operator({.signature = "narrow_copy(input, dim, start, length)",
                                     .forms = kFunction | kMethod | kOut | kExactOut,
                                     .doc = "Return a copy of a range along a dimension.",
                                     .forward =
                                         [](const Tensor& t, int64_t dim, const Start& start, int64_t length) {
                                           require<IndexError>(dim >= -t.dim(),
                                                               "Dimension out of range (expected to be in range of [",
                                                               -t.dim(), ", ", t.dim() - 1, "], but got ", dim, ")");
                                           require(dim < t.dim(), "narrow_copy: Expected dim < ", t.dim(),
                                                   " but got dim = ", dim);
                                           return clone(narrow_from(t, dim, start, length));
                                         },
                                     .reference = "np.take(input, np.arange(start, start + length), dim)",
                                     .samples = "f(5, 3), 0, 1, 3; f(3, 4), -1, -2, 2"});

}  // namespace

Tensor diagonal(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = t.wrap_dim(dim1);
  dim2 = t.wrap_dim(dim2);
  require(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  const int64_t rows = t.size(dim1), columns = t.size(dim2);
  const int64_t length =
      std::max<int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  const int64_t start = length == 0 ? 0 : (offset >= 0 ? offset * t.stride(dim2) : -offset * t.stride(dim1));
  Shape shape, strides;
  for (int i = 0; i < t.dim(); ++i) {
    if (i == dim1 || i == dim2) continue;
    shape.push_back(t.shape()[i]);
    strides.push_back(t.strides()[i]);
  }
  shape.push_back(length);
  strides.push_back(t.stride(dim1) + t.stride(dim2));
  return recorded("Diagonal", t, make_view(t, shape, strides, t.offset() + start),
                  [from = t.shape(), offset, dim1, dim2](const Tensor& g) {
                    Tensor whole = zeros(from, g.dtype());
                    copy_(diagonal(whole, offset, dim1, dim2), g);
                    return whole;
                  });
}

const Operator linalg_diagonal_operator(
    {.signature = "diagonal(A, *, offset=0, dim1=-2, dim2=-1)",
     .forms = kPrivate | 0,
     .doc = "Return a view of the diagonals of the matrices in the last two dimensions, like flambeau.diagonal.",
     .forward = diagonal,
     .module = "flambeau.linalg",
     .reference = "np.diagonal(A, offset, dim1, dim2)",
     .samples = "f(3, 4); f(2, 3, 3), offset=1"});

const Operator diagonal_operator({.signature = "diagonal(input, offset=0, dim1=0, dim2=1)",
                                  .forms = kFunction | kMethod | kCopy,
                                  .doc = "Return a view with the diagonal as the last dimension.",
                                  .forward = diagonal,
                                  .reference = "np.diagonal(input, offset, dim1, dim2)",
                                  .samples = "f(3, 4); f(3, 4), 1; f(2, 3, 4), -1, -2, 0"});

namespace {

// Returns a copy of t. In the copy, the elements of `src` replace the elements of the view part(copy).
template <class F>
Tensor replace_part(const Tensor& t, const Tensor& src, F&& part) {
  const Tensor out = clone(t), region = part(out);
  require(region.shape() == src.shape(),
          "expected src to have a size equal to the slice of self. src size = ", src.shape(),
          ", slice size = ", region.shape());
  copy_(region, src);
  return out;
}

const Operator select_scatter_operator(
    {.signature = "select_scatter(input, src, dim, index)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Return a copy of input with input.select(dim, index) replaced by src. Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t dim, int64_t index) {
           return replace_part(t, src, [&](const Tensor& out) { return select(out, dim, index); });
         },
     .reference = "(lambda out: out.__setitem__((slice(None),) * dim + (index,), src) or out)(input.copy())",
     .samples = "f(3, 4), f(4), 0, 1; f(3, 4), f(3), 1, -1"});

const Operator slice_scatter_operator(
    {.signature = "slice_scatter(input, src, dim=0, start=None, end=None, step=1)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Return a copy of input with input[start:end:step] along dim replaced by src. Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
            int64_t step) {
           return replace_part(t, src, [&](const Tensor& out) {
             return slice(out, dim, start.value_or(0), end.value_or(INT64_MAX), step);
           });
         },
     .reference =
         "(lambda out: out.__setitem__((slice(None),) * dim + (slice(start, end, step),), src) or out)(input.copy())",
     .samples = "f(5, 4), f(2, 4), 0, 1, 5, 2; f(3, 4), f(3, 2), 1, -2"});

const Operator diagonal_scatter_operator(
    {.signature = "diagonal_scatter(input, src, offset=0, dim1=0, dim2=1)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Return a copy of input with input.diagonal(offset, dim1, dim2) replaced by src. Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t offset, int64_t dim1, int64_t dim2) {
           return replace_part(t, src, [&](const Tensor& out) { return diagonal(out, offset, dim1, dim2); });
         },
     .reference =
         "(lambda out: np.einsum(\"ii->i\", out[:, offset:]).__setitem__(slice(None), src) or out)(input.copy())",
     .samples = "f(3, 3), f(3); f(3, 4), f(3), 1"});

const Operator as_strided_scatter_operator(
    {.signature = "as_strided_scatter(input, src, size, stride, storage_offset=None)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Return a copy of input with input.as_strided(size, stride, storage_offset) replaced by src. Gradient: "
            "input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
           return replace_part(t, src, [&](const Tensor& out) { return as_strided(out, size, stride, offset); });
         },
     .reference = "(lambda out: np.lib.stride_tricks.as_strided(out.reshape(-1)[storage_offset:], size, [8 * s for s "
                  "in stride]).__setitem__(Ellipsis, src) or out)(input.copy())",
     .samples = "f(3, 4), f(2, 2), (2, 2), (4, 1), 1"});

// Fills the main diagonal. With `wrap`, if the matrix has more rows than columns, the diagonal restarts after each
// square block and one more row.
void fill_diagonal_(const Tensor& t, Scalar value, bool wrap) {
  constexpr const char* name = "fill_diagonal_";
  require(t.dim() >= 2, name, ": dimensions must be larger than 1, got shape ", t.shape());
  for (int64_t d = 1; t.dim() > 2 && d < t.dim(); ++d)
    require(t.size(d) == t.size(0), name, ": all dimensions of input must be of equal length, got shape ", t.shape());
  int64_t step = 0, size = t.size(0);
  for (int64_t d = 0; d < t.dim(); ++d) step += t.stride(d), size = std::min(size, t.size(d));
  fill_(as_strided(t, {size}, {step}, t.offset()), value);
  const int64_t rows = t.size(0), columns = t.size(1);
  if (t.dim() > 2 || !wrap || rows <= columns + 1) return;
  for (int64_t first = columns + 1; first < rows; first += columns + 1)
    fill_(diagonal(slice(t, 0, first, rows, 1), 0, 0, 1), value);
}

const Operator fill_diagonal__operator(
    {.signature = "fill_diagonal_(input, fill_value, wrap=False)",
     .forms = kMethod,
     .doc = R"(Fill the main diagonal of a matrix, or of a tensor whose dimensions are all equal, with a number.

If wrap is True, the diagonal of a tall matrix restarts after each square block and one more row.

Raises RuntimeError for fewer than 2 dimensions, and for more than 2 dimensions of different sizes.
Gradient: input; zero on the diagonal.)",
     .forward = [](const Tensor& t, Scalar value, bool wrap) {
       fill_diagonal_(t, value, wrap);
       return t;
     }});

}  // namespace

}  // namespace flambeau
