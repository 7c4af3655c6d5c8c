// Copies with rearranged elements: flips and repetitions.
#include "flambeau/cuda.h"
#include "flambeau/interpreter.h"
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

}  // namespace flambeau
