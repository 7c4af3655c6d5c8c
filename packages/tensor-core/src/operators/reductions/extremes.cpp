// Maxima and minima, their positions, and bitwise reductions.
#include "flambeau/operator.h"

#include "cuda/operators.h"
#include "operators/arithmetic/chosen.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

using kernels::Reduce;

using ArgKernel = kernels::ArgReduceKernel;

// Returns the positions of the extremes of (outer, length, inner) along the middle dimension. If `length` is large, the
// dimension is divided into blocks, and then the extremes of the blocks are compared. If several elements are equal,
// the first one is chosen.
Tensor arg_step(bool largest, const Tensor& in, int64_t outer, int64_t length, int64_t inner) {
  const auto& table = kernels::table();
  const ArgKernel kernel = (largest ? table.argmax : table.argmin)[int(in.dtype())];
  if (!kernel) reject_small_float(in.dtype());
  const int64_t size = item_size(in.dtype()), rows = block_length(outer, length, inner);
  require<NotImplementedError>(
      rows < int64_t(1) << 31 || inner == 1,
      "argmax and argmin along a dimension of 2**31 or more elements are only supported for the last dimension");
  if (in.is_meta()) return empty({outer * inner}, Dtype::int64);
  if (cuda::runs_on_gpu(in)) return cuda::extreme_positions(largest, in, outer, length, inner);
  const int64_t blocks = rows < length ? (length + rows - 1) / rows : 1;
  Tensor out = empty({outer * blocks * inner}, Dtype::int64);
  if (blocks == 1) {
    over_step(outer, length, inner, [&](int64_t first, int64_t count, int64_t column, int64_t columns) {
      kernel(out.data<int64_t>() + first * inner + column, in.bytes() + (first * length * inner + column) * size, count,
             length, inner, columns);
    });
    return out;
  }
  parallel_items(outer * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i % blocks * rows;
      int64_t* to = out.data<int64_t>() + i * inner;
      kernel(to, in.bytes() + (i / blocks * length + first) * inner * size, 1, std::min(rows, length - first), inner,
             inner);
      for (int64_t k = 0; k < inner; ++k) to[k] += first;
    }
  });
  const Tensor shaped = view(in, {outer, length, inner}), positions = view(out, {outer, blocks, inner});
  const Tensor best = contiguous(gather(shaped, 1, positions));
  return view(gather(positions, 1, view(arg_step(largest, best, outer, blocks, inner), {outer, 1, inner})),
              {outer * inner});
}

Tensor arg_reduce(bool largest, const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  NoRecording off;
  const Tensor x = contiguous(t);
  int64_t outer = 1, length = 1, inner = 1;
  const int64_t d = dim ? t.wrap_dim(*dim) : 0;
  for (int i = 0; i < t.dim(); ++i) (!dim || i == d ? length : i < d ? outer : inner) *= t.shape()[i];
  const Tensor out = arg_step(largest, x, outer, length, inner);
  resize(out, reduced_shape(t, dim ? OptionalDims(Shape{d}) : OptionalDims(), keepdim));
  return out;
}

TensorPair extreme_dim(bool largest, const Tensor& t, int64_t dim, bool keepdim, const char* node) {
  dim = t.wrap_dim(dim);
  require_order(t, largest ? "max" : "min");
  require_elements(t, Shape{dim}, largest ? "max" : "min");
  TensorPair out;
  {
    NoRecording off;
    out.indices = arg_reduce(largest, t, dim, true);
    out.values = t.dim() ? gather(t, dim, out.indices) : clone(t);
    if (!keepdim && t.dim()) {
      resize(out.values, reduced_shape(t, Shape{dim}, false));
      resize(out.indices, out.values.shape());
    }
  }
  record_chosen(node, out, t, dim, keepdim);
  return out;
}

Tensor extreme_all(bool largest, const Tensor& t, const char* name, const char* node) {
  require_any(t, name);
  require_order(t, largest ? "amax" : "amin");
  return reduction(largest ? Reduce::amax : Reduce::amin, t, {}, false, t.dtype(), node);
}

Tensor arg_extreme(bool largest, const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  require_order(t, largest ? "argmax" : "argmin");
  require<IndexError>(t.numel() > 0 || (dim && t.size(*dim) > 0), largest ? "argmax" : "argmin",
                      "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                      "with the 'dim' argument.");
  return arg_reduce(largest, t, dim, keepdim);
}

}  // namespace

const Operator aminmax_operator(
    {.signature = "aminmax(input, *, dim=None, keepdim=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Return the smallest and the largest of all elements, or those along a dimension, as (min, max).

Raises RuntimeError if there are no elements. Gradient: input; divided evenly among equal elements.)",
     .forward = [](const Tensor& t, std::optional<int64_t> dim, bool keepdim) -> TensorPair {
       require(dim || t.numel() > 0,
               "aminmax(): cannot compute aminmax over an empty dimension as the operation has no identity, got shape ",
               t.shape());
       const OptionalDims dims = dim ? OptionalDims(Shape{*dim}) : OptionalDims();
       if (dim || keepdim || recording(t)) return {amin(t, dims, keepdim), amax(t, dims, keepdim)};
       require_order(t, "aminmax");
       const auto [smallest, largest] = reduce_both(Reduce::amin, Reduce::amax, t);
       return {to(smallest, t.dtype()), to(largest, t.dtype())};
     },
     .fields = "min, max",
     .reference = "(np.amin(input, dim, keepdims=keepdim), np.amax(input, dim, keepdims=keepdim))",
     .samples = "f(2, 3); f(2, 3), dim=1; i(2, 3), dim=0, keepdim=True"});
Tensor max_all(const Tensor& t) { return extreme_all(true, t, "max", "MaxBackward1"); }
Tensor min_all(const Tensor& t) { return extreme_all(false, t, "min", "MinBackward1"); }
TensorPair max_dim(const Tensor& t, int64_t dim, bool keepdim) { return extreme_dim(true, t, dim, keepdim, "Max"); }
TensorPair min_dim(const Tensor& t, int64_t dim, bool keepdim) { return extreme_dim(false, t, dim, keepdim, "Min"); }

namespace {

// Implements max(input), max(input, dim, keepdim) and max(input, other).
template <bool largest>
TensorOrTensors extreme(const Tensor& t, const std::optional<std::variant<Tensor, int64_t>>& dim_or_other,
                        bool keepdim) {
  if (!dim_or_other) return largest ? max_all(t) : min_all(t);
  if (const Tensor* other = std::get_if<Tensor>(&*dim_or_other))
    return largest ? maximum(t, *other) : minimum(t, *other);
  const int64_t dim = std::get<int64_t>(*dim_or_other);
  const TensorPair along = largest ? max_dim(t, dim, keepdim) : min_dim(t, dim, keepdim);
  return Tensors{along.values, along.indices};
}

const Operator max_operator(
    {.signature = "max(input, dim|other=None, keepdim=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Return the largest element.

max(input, dim) returns (values, indices) along a dimension. max(input, other) returns the elementwise maximum.
NaN counts as largest.

Gradient: divided evenly among equal elements; along a dimension, it flows only to the element at the index.)",
     .forward = extreme<true>,
     .fields = "values, indices",
     .reference = "np.max(input) if dim is None else np.maximum(input, dim) if isinstance(dim, np.ndarray) else "
                  "(np.max(input, dim, keepdims=keepdim), np.argmax(input, dim, keepdims=keepdim))",
     .samples = "f(2, 3); f(2, 3), f(3); f(2, 3), 1; i(2, 30), 0, True"});

const Operator min_operator(
    {.signature = "min(input, dim|other=None, keepdim=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Return the smallest element. It has the same forms as max.",
     .forward = extreme<false>,
     .fields = "values, indices",
     .reference = "np.min(input) if dim is None else np.minimum(input, dim) if isinstance(dim, np.ndarray) else "
                  "(np.min(input, dim, keepdims=keepdim), np.argmin(input, dim, keepdims=keepdim))",
     .samples = "f(2, 3); f(2, 3), f(3); f(2, 3), 1; i(2, 30), 0, True"});

}  // namespace

Tensor hash_tensor(const Tensor& t, const OptionalDims& dim, bool keepdim, int64_t mode) {
  require(mode == 0, "Unknown hash_tensor mode: ", mode);
  require<NotImplementedError>(!is_complex(t.dtype()), "\"hash_tensor\" not implemented for '", t.dtype(), "'");
  if (dim && !dim->empty())
    require_elements(t, dim, "hash_tensor");
  else
    require_any(t, "hash_tensor");
  NoRecording off;
  const bool direct = kernels::table().reduce[int(Reduce::_xor)][int(t.dtype())].run;
  const Tensor x = direct ? t : to(t, is_floating(t.dtype()) ? Dtype::float32 : Dtype::int64);
  return to(reduce(Reduce::_xor, x, dim, keepdim), Dtype::uint64);
}

const Operator hash_tensor_operator(
    {.signature = "hash_tensor(input, dim=(), *, keepdim=False, mode=0)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Compute the exclusive or of all elements, or along dimensions, as 64-bit words of dtype uint64.

The hash does not depend on the order of the elements. Floating elements are converted to float64, integers to int64.
Raises RuntimeError or IndexError if there are no elements. Not differentiable.)",
     .forward = hash_tensor});
Tensor argmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim) { return arg_extreme(true, t, dim, keepdim); }

const Operator argmax_operator({.signature = "argmax(input, dim=None, keepdim=False)",
                                .forms = kFunction | kMethod | kOut | kExactOut,
                                .doc = "Return the index of the first largest element, int64. Not differentiable.",
                                .forward = argmax,
                                .reference = "np.argmax(input, dim, keepdims=keepdim)",
                                .samples = "f(2, 3); f(2, 3), 1; i(2, 30), 0, True"});

Tensor argmin(const Tensor& t, std::optional<int64_t> dim, bool keepdim) { return arg_extreme(false, t, dim, keepdim); }

const Operator argmin_operator({.signature = "argmin(input, dim=None, keepdim=False)",
                                .forms = kFunction | kMethod | kOut | kExactOut,
                                .doc = "Return the index of the first smallest element, int64. Not differentiable.",
                                .forward = argmin,
                                .reference = "np.argmin(input, dim, keepdims=keepdim)",
                                .samples = "f(2, 3); f(2, 3), 1; i(2, 30), 0, True"});

const Operator one_hot_operator(
    {.signature = "one_hot(input, num_classes=-1)",
     .forms = kFunction,
     .doc = "Convert class indices to one-hot vectors, int64.",
     .forward =
         [](const Tensor& t, int64_t classes) {
           require(t.dtype() == Dtype::int64, "one_hot is only applicable to index tensor of type LongTensor, got ",
                   t.dtype());
           require(t.numel() > 0 || classes > 0, "Can not infer total number of classes from empty tensor.");
           if (t.numel() > 0) {
             const int64_t least = item(min_all(t)).integer(), most = item(max_all(t)).integer();
             require(least >= 0, "Class values must be non-negative. Got ", least);
             require(classes == -1 || most < classes, "Class values must be smaller than num_classes. Got ", most,
                     " and num_classes=", classes);
             if (classes == -1) classes = most + 1;
           }
           return to(eq(unsqueeze(t, -1), arange(Scalar(0), Scalar(classes), Scalar(1), Dtype::int64)), Dtype::int64);
         },
     .reference = "np.eye(num_classes, dtype=np.int64)[input]",
     .samples = "k(4, 3), 5; k(3, 2, 2), 3"});

}  // namespace flambeau
