// Copies with rearranged elements: flips, repetitions, constant padding, and diagonals as matrices.
#include "flambeau/cuda.h"
#include "flambeau/interpreter.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/operators/sorting.h"

namespace flambeau {

namespace {

uint64_t dimension_set(const Tensor& t, const Shape& dims, const char* name) {
  uint64_t set = 0;
  for (int64_t d : dims) {
    const int64_t at = t.wrap_dim(d);
    require(!(set >> at & 1), name, ": dim ", at, " appears multiple times in the list of dims");
    set |= uint64_t(1) << at;
  }
  return set;
}

}  // namespace

Tensor flip(const Tensor& t, const Shape& dims) {
  const uint64_t set = dimension_set(t, dims, "flip");
  const Tensor out = empty(t.shape(), t.dtype());
  if (t.numel() > 0) {
    Shape strides = t.strides();
    int64_t offset = t.offset();
    for (int d = 0; d < t.dim(); ++d) {
      if (!(set >> d & 1)) continue;
      offset += (t.shape()[d] - 1) * strides[d];
      strides[d] = -strides[d];
    }
    copy_values(out, from_storage(t.impl()->storage, t.shape(), strides, offset, t.dtype()));
  }
  if (recording(t)) record("Flip", out, {&t}, {}, [dims](const Context& c) { c.set(0, flip(c.gradient(), dims)); });
  return out;
}

const Operator flip_operator({.signature = "flip(input, *dims)",
                              .forms = kFunction | kMethod,
                              .doc = "Return a copy with the elements in reverse order along dims. Gradient: input.",
                              .forward = flip,
                              .reference = "np.flip(input, dims)",
                              .samples = "f(2, 3), (0,); f(2, 3), (0, -1); i(2, 3, 2), (1,)"});

Tensor repeat(const Tensor& t, const Shape& repeats) {
  require(int(repeats.size()) >= t.dim(),
          "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor: repeats ",
          repeats, " of shape ", t.shape());
  const size_t shift = repeats.size() - t.shape().size();
  Shape with_ones, wide, out;
  for (size_t i = 0; i < repeats.size(); ++i) {
    const int64_t own = i < shift ? 1 : t.shape()[i - shift];
    require(repeats[i] >= 0, "Trying to create tensor with negative dimension ", repeats[i], ": repeats ", repeats);
    int64_t size = 0;
    require(!__builtin_mul_overflow(own, repeats[i], &size), "repeat: the result of repeating shape ", t.shape(),
            " by ", repeats, " is too large");
    out.push_back(size);
    if (repeats[i] != 1) {
      with_ones.push_back(1);
      wide.push_back(repeats[i]);
    }
    with_ones.push_back(own);
    wide.push_back(own);
  }
  require(out.size() <= size_t(kMaxDims), "a tensor has at most ", kMaxDims, " dimensions, got ", out.size());
  return reshape(clone(expand(reshape(t, with_ones), wide)), out);
}

const Operator repeat_operator(
    {.signature = "repeat(input, *repeats)",
     .forms = kMethod,
     .doc = "Return a copy that repeats the tensor along each dimension. Gradient: input; summed over the repetitions.",
     .forward = repeat,
     .reference = "np.tile(input, repeats)",
     .samples = "f(2, 3), (2, 1); f(3), (2, 2)"});

namespace {

// Returns the indices from 0 to size - 1, each index i repeated counts[i] times. A single count applies to all indices.
Tensor repeated_on_gpu(const Tensor& counts, int64_t size, std::optional<int64_t> output_size) {
  const int64_t least = item(min_all(counts)).integer();
  require(least >= 0, "repeats can not be negative, got ", least);
  const Tensor ends = cumsum(expand(reshape(counts, {counts.numel()}), {size}), 0, {});

  const int64_t total = item(select(ends, 0, size - 1)).integer();
  require(!output_size || *output_size == total,
          "allocated size does not match required size: ", output_size.value_or(0), " and ", total);
  return searchsorted(ends, arange(Scalar(0), Scalar(total), Scalar(1), Dtype::int64), true, Tensor(), false);
}

}  // namespace

Tensor repeat_interleave(const Tensor& t, const Tensor& repeats, std::optional<int64_t> dim,
                         std::optional<int64_t> output_size) {
  require(repeats.dtype() == Dtype::int64 || repeats.dtype() == Dtype::int32,
          "repeats has to be Long or Int tensor, got ", repeats.dtype());
  require(repeats.dim() <= 1, "repeat_interleave only accept 1D vector as repeat, got shape ", repeats.shape());
  const Tensor input = dim ? t : reshape(t, {t.numel()});
  const int64_t along = input.wrap_dim(dim.value_or(0)), size = input.dim() ? input.shape()[along] : 1;
  require(repeats.dim() == 0 || repeats.numel() == 1 || repeats.numel() == size,
          "repeats must have the same size as input along dim, but got repeats.size(0) = ", repeats.numel(),
          " and input.size(", along, ") = ", size);
  const Tensor counts = contiguous(to(detach(repeats), Dtype::int64));
  if (cuda::runs_on_gpu(counts) && size > 0) {
    const Tensor index = repeated_on_gpu(counts, size, output_size);
    return index_select(input.dim() ? input : reshape(input, {1}), along, index);
  }
  const int64_t *each = counts.data<int64_t>(), step = counts.numel() == size && repeats.dim() ? 1 : 0;
  int64_t total = 0;
  for (int64_t i = 0; i < size; ++i) {
    require(each[i * step] >= 0, "repeats can not be negative, got ", each[i * step]);
    require(!__builtin_add_overflow(total, each[i * step], &total), "repeat_interleave: too many repeats");
  }
  require(!output_size || *output_size == total,
          "allocated size does not match required size: ", output_size.value_or(0), " and ", total);
  const OnDevice guard(counts.device());
  const Tensor index = empty({total}, Dtype::int64);
  {
    const GilRelease release(total > kGilGrain);
    int64_t* at = index.data<int64_t>();
    for (int64_t i = 0; i < size; ++i) at = std::fill_n(at, each[i * step], i);
  }
  const OnDevice scope(input.device());
  return index_select(input.dim() ? input : reshape(input, {1}), along, index);
}

namespace {

Tensor repeated(const Tensor& t, const std::optional<std::variant<Tensor, int64_t>>& repeats,
                std::optional<int64_t> dim, std::optional<int64_t> output_size) {
  if (!repeats) {  // without `repeats`, the input contains the counts
    require(t.dim() == 1, "repeat_interleave only accept 1D vector as repeat, got shape ", t.shape());
    return repeat_interleave(arange(Scalar(0), Scalar(t.numel()), Scalar(1), Dtype::int64), t, 0, output_size);
  }
  if (const Tensor* counts = std::get_if<Tensor>(&*repeats)) return repeat_interleave(t, *counts, dim, output_size);
  const int64_t count = std::get<int64_t>(*repeats);
  require(count >= 0, "Repeats must be non-negative, got ", count);
  return repeat_interleave(t, scalar_tensor(Scalar(count), Dtype::int64), dim, output_size);
}

const Operator repeat_interleave_operator(
    {.signature = "repeat_interleave(input, repeats=None, dim=None, *, output_size=None)",
     .forms = kFunction | kMethod,
     .doc = R"(Repeat each slice along a dimension or, without dim, each element of the flattened input.

Args:
    repeats: a number, or a tensor with one number for each slice. Without it, input contains the numbers, and the
        positions are repeated.
    output_size: the number of slices of the result, if it is known.
Gradient: input.

>>> flambeau.repeat_interleave(flambeau.tensor([1, 2]), 2)
tensor([1, 1, 2, 2]))",
     .forward = repeated,
     .reference = "np.repeat(np.arange(len(input)), input) if repeats is None else np.repeat(input, repeats, dim)",
     .samples = "f(3, 2), 2; f(3, 2), k(4, 3), 0; k(4, 3)"});

}  // namespace

Tensor constant_pad_nd(const Tensor& t, const Shape& pad, Scalar value) {
  require(pad.size() % 2 == 0, "Length of pad must be even but instead it equals ", pad.size());
  require(int(pad.size()) <= 2 * t.dim(),
          "Length of pad should be no more than twice the number of dimensions of the "
          "input. Pad length is ",
          pad.size(), " while the input has ", t.dim(), " dimensions.");
  Shape shape = t.shape();
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    const size_t d = shape.size() - 1 - i;
    require(!__builtin_add_overflow(shape[d], pad[2 * i], &shape[d]) &&
                !__builtin_add_overflow(shape[d], pad[2 * i + 1], &shape[d]) && shape[d] >= 0,
            "The input size ", t.shape()[d], ", plus negative padding ", pad[2 * i], " and ", pad[2 * i + 1],
            " resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
  }
  const Tensor out = laid_out(full(shape, value, t.dtype()), suggested_format(t));
  Tensor from = t, to = out;
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    const int64_t d = int64_t(shape.size() - 1 - i), left = pad[2 * i], right = pad[2 * i + 1];
    const int64_t kept = std::max<int64_t>(0, t.shape()[d] + std::min<int64_t>(left, 0) + std::min<int64_t>(right, 0));
    from = narrow(from, d, kept ? std::max<int64_t>(0, -left) : 0, kept);
    to = narrow(to, d, kept ? std::max<int64_t>(0, left) : 0, kept);
  }
  {
    NoRecording off;
    copy_values(to, from);
  }
  if (recording(t))
    record("ConstantPadNd", out, {&t}, {}, [pad](const Context& c) {
      Shape back;
      for (int64_t p : pad) back.push_back(-p);
      c.set(0, constant_pad_nd(c.gradient(), back, Scalar(0)));
    });
  return out;
}

const Operator constant_pad_nd_operator(
    {.signature = "constant_pad_nd(input, pad, value=0)",
     .forms = kFunction,
     .doc =
         R"(Pad with `value`: pad is (left, right) for the last dimension, then for the one before it, and so on.

Negative amounts remove elements. Gradient: input.)",
     .forward = constant_pad_nd,
     .reference = "np.pad(input, [(0, 0), pad[:2]] if len(pad) == 2 else [pad[2:], pad[:2]], constant_values=value)",
     .samples = "f(2, 3), (1, 2); f(2, 3), (1, 0, 0, 2), 2.5"});

Tensor diag_embed(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  const int dims = t.dim() + 1;
  dim1 = Tensor::wrap_dim(dim1, dims);
  dim2 = Tensor::wrap_dim(dim2, dims);
  require(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  require(t.dim() > 0, "diag_embed: the input must have at least one dimension");
  const int64_t size = t.size(-1) + std::abs(offset);
  Shape shape(t.shape().begin(), t.shape().end() - 1);
  shape.insert(size_t(std::min(dim1, dim2)), size);
  shape.insert(size_t(std::max(dim1, dim2)), size);
  const Tensor out = zeros(shape, t.dtype());
  copy_values(diagonal(out, offset, dim1, dim2), t);
  if (recording(t))
    record("DiagEmbed", out, {&t}, {},
           [offset, dim1, dim2](const Context& c) { c.set(0, diagonal(c.gradient(), offset, dim1, dim2)); });

  return out;
}

const Operator diag_embed_operator(
    {.signature = "diag_embed(input, offset=0, dim1=-2, dim2=-1)",
     .forms = kFunction | kMethod,
     .doc = "Create matrices with the last dimension as a diagonal and zeros elsewhere. Gradient: input.",
     .forward = diag_embed,
     .reference = "np.array([np.diag(row, offset) for row in input]) if input.ndim == 2 else np.diag(input, offset)",
     .samples = "f(3); f(2, 3); f(2, 3), 1"});

const Operator tile_operator({.signature = "tile(input, *dims)",
                              .forms = kFunction | kMethod,
                              .doc = "Repeat the tensor like repeat(). If there are fewer counts than dimensions, they "
                                     "apply to the last dimensions.",
                              .forward =
                                  [](const Tensor& t, const Shape& dims) {
                                    Shape counts = dims;
                                    while (int(counts.size()) < t.dim()) counts.insert(0, 1);
                                    return repeat(t, counts);
                                  },
                              .reference = "np.tile(input, dims)",
                              .samples = "f(2, 3), (2,); f(3), (2, 2)"});

const Operator flipud_operator({.signature = "flipud(input)",
                                .forms = kFunction | kMethod,
                                .doc = "Reverse the first dimension, like flip(0).",
                                .forward =
                                    [](const Tensor& t) {
                                      require(t.dim() >= 1, "Input must be >= 1-d, got shape ", t.shape());
                                      return flip(t, {0});
                                    },
                                .reference = "np.flipud(input)",
                                .samples = "f(3); i(2, 3)"});

const Operator fliplr_operator({.signature = "fliplr(input)",
                                .forms = kFunction | kMethod,
                                .doc = "Reverse the second dimension, like flip(1).",
                                .forward =
                                    [](const Tensor& t) {
                                      require(t.dim() >= 2, "Input must be >= 2-d, got shape ", t.shape());
                                      return flip(t, {1});
                                    },
                                .reference = "np.fliplr(input)",
                                .samples = "f(2, 3); i(2, 3, 2)"});

const Operator diagflat_operator(
    {.signature = "diagflat(input, offset=0)",
     .forms = kFunction | kMethod,
     .doc = "Create a matrix with all elements of the input as its diagonal.",
     .forward = [](const Tensor& t, int64_t offset) { return diag_embed(reshape(t, {t.numel()}), offset, 0, 1); },
     .reference = "np.diagflat(input, offset)",
     .samples = "f(2, 2); f(3), 1"});

const Operator diag_operator(
    {.signature = "diag(input, diagonal=0)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Return a copy of the diagonal of a matrix or, for a vector, a matrix with this diagonal.",
     .forward =
         [](const Tensor& t, int64_t diagonal) {
           require(t.dim() == 1 || t.dim() == 2, "diag(): Supports 1D or 2D tensors. Got ", t.dim(), "D");
           return t.dim() == 1 ? diag_embed(t, diagonal, 0, 1) : clone(flambeau::diagonal(t, diagonal, 0, 1));
         },
     .reference = "np.diag(input, diagonal)",
     .samples = "f(3); f(3, 4); f(3), -1; f(3, 4), 1"});

}  // namespace flambeau
