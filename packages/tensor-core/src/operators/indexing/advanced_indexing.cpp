// Implements tensor[index, ...] for index tensors and masks.
//
// Note [Advanced indexing]
// Index tensors are broadcast against each other. The broadcast shape replaces the indexed dimensions if these are
// adjacent, otherwise it comes first (NumPy's rule). Every position of this shape is one offset into the tensor. The
// blocks at these offsets are then copied: Note [Blocks].
#include "operators/indexing/indexing.h"

#include <numeric>

#include "core/in_place.h"
#include "cuda/indexing.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

constexpr const char kByteMask[] =
    "indexing with dtype torch.uint8 is now deprecated, please use a dtype torch.bool instead.";

bool is_mask(const Tensor& index) { return index.dtype() == Dtype::bool_ || index.dtype() == Dtype::uint8; }

bool only_masks(const Tensors& given) {  // if this is true, no element is selected twice
  for (const Tensor& index : given)
    if (index.defined() && !is_mask(index)) return false;
  return true;
}

struct AdvancedIndex {
  Blocks blocks;
  Shape shape;  // shape of the result
};

// Returns the index as an int64 tensor on the device of t.
Tensor as_int64_index(const Tensor& t, const Tensor& index) {
  require(t.is_cuda() || !index.is_cuda(),
          "indices should be either on cpu or on the same device as the indexed tensor (", t.device(), ")");
  const Tensor out = to(to(index, t.device()), Dtype::int64);
  require<IndexError>(index.dtype() != Dtype::uint64 || item(all(ge(out, 0), {}, false)).truth(),
                      "an index of 2**63 or more is out of bounds");
  return out;
}

// Replaces each mask with the positions of its true elements, as one index for each dimension of the mask.
Tensors expand_masks(const Tensor& t, const Tensors& given) {
  Tensors out;
  for (const Tensor& index : given) {
    if (!index.defined() || !is_mask(index)) {
      require<IndexError>(!index.defined() || category(index.dtype()) == Category::Integer,
                          "tensors used as indices must be long, int, byte or bool tensors, got ",
                          index.defined() ? index.dtype() : Dtype::int64);
      out.push_back(index.defined() ? as_int64_index(t, index) : index);
      continue;
    }
    if (index.dtype() == Dtype::uint8) warn(kByteMask);
    for (int d = 0; d < index.dim(); ++d) {
      const int64_t at = int64_t(out.size()) + d;
      require<IndexError>(at < t.dim() && t.shape()[at] == index.shape()[d], "The shape of the mask ", index.shape(),
                          " at index ", d, " does not match the shape of the indexed tensor ", t.shape(), " at index ",
                          at);
    }
    const Tensor positions = nonzero(to(index, t.device()));
    for (int d = 0; d < index.dim(); ++d) out.push_back(select(positions, 1, d));
  }
  require<IndexError>(int(out.size()) <= t.dim(), "too many indices for tensor of dimension ", t.dim());
  return out;
}

// Returns true if `a` can be broadcast to `b`: their last sizes are equal, or are 1 in `a`. If `both_ways`, a size may
// also be 1 in `b`.
bool can_broadcast(const Shape& a, const Shape& b, bool both_ways) {
  for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const int64_t m = a[a.size() - i], n = b[b.size() - i];
    if (m != n && m != 1 && !(both_ways && n == 1)) return false;
  }
  return true;
}

Shape broadcast_indices(const Tensors& indices) {
  Shape shape;
  for (const Tensor& index : indices) {
    if (!index.defined()) continue;
    require<IndexError>(can_broadcast(shape, index.shape(), true),
                        "shape mismatch: indexing tensors could not be broadcast together with shapes ", shape, ", ",
                        index.shape());
    shape = broadcast(shape, index.shape());
  }
  return shape;
}

void require_elements(const Tensor& index, const Tensor& t, int64_t dim) {
  require<IndexError>(t.shape()[dim] > 0 || index.numel() == 0,
                      "index is out of bounds for dimension with size 0: dimension ", dim, " has no elements");
}

// Sets the offsets from the index of one dimension, after checking that it is in range.
void set_offsets(Blocks& blocks, const Tensor& index, const Tensor& t, int64_t dim) {
  require_elements(index, t, dim);
  const bool any_negative = check_range<IndexError>(index, t.shape()[dim], NegativeIndex::FromEnd, "", dim);
  pick(blocks, t, dim, index, any_negative ? NegativeIndex::FromEnd : NegativeIndex::Rejected);
}

// Adds index[i] * stride to each offset, after checking that the index is in range. Negative indices count from the
// end.
void add_offsets(const Tensor& offsets_of, const Tensor& index, const Tensor& t, int64_t dim) {
  const int64_t size = t.shape()[dim], stride = t.strides()[dim];
  require_elements(index, t, dim);
  if (cuda::runs_on_gpu(offsets_of)) return cuda::pick(offsets_of, index, size, stride, true, true);
  const int64_t* entries = index.data<int64_t>();
  int64_t* offsets = offsets_of.data<int64_t>();
  parallel_for(index.numel(), 32768, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = entries[i];
      require<IndexError>(at >= -size && at < size, "index ", at, " is out of bounds for dimension ", dim,
                          " with size ", size);
      offsets[i] += (at < 0 ? at + size : at) * stride;
    }
  });
}

AdvancedIndex advanced(const Tensor& t, const Tensors& given) {
  NoRecording off;
  const Tensors indices = expand_masks(t, given);
  const Shape index_shape = broadcast_indices(indices);
  Shape dims;
  bool adjacent = true;
  for (size_t d = 0; d < indices.size(); ++d) {
    if (!indices[d].defined()) continue;
    adjacent &= dims.empty() || dims.back() == int64_t(d) - 1;
    dims.push_back(int64_t(d));
  }
  // If the indexed dimensions are not adjacent, they become the first dimensions.
  Tensor view = t;
  if (!adjacent) {
    Shape order = dims;
    for (int64_t d = 0; d < t.dim(); ++d)
      if (std::find(dims.begin(), dims.end(), d) == dims.end()) order.push_back(d);
    view = permute(t, order);
  }
  const int64_t first = adjacent && !dims.empty() ? dims[0] : 0, last = first + int64_t(dims.size()) - 1;
  AdvancedIndex a{blocks_around(view, first, last), {}};
  a.blocks.count = product(index_shape);
  a.blocks.distinct = only_masks(given);
  const auto expanded = [&](int64_t d) { return contiguous(expand(indices[size_t(d)], index_shape)); };
  if (dims.size() == 1) {
    set_offsets(a.blocks, expanded(dims[0]), t, dims[0]);
  } else {
    a.blocks.offsets = zeros({a.blocks.count}, Dtype::int64);
    a.blocks.step = 0;
    for (int64_t d : dims) {
      const int64_t stride = t.strides()[size_t(d)];
      a.blocks.step = std::gcd(a.blocks.step, stride);
      a.blocks.extent += (t.shape()[size_t(d)] - 1) * stride;
      if (!t.is_meta()) add_offsets(a.blocks.offsets, expanded(d), t, d);
    }
  }
  a.shape.append(view.shape().begin(), view.shape().begin() + first);
  a.shape.append(index_shape.begin(), index_shape.end());
  a.shape.append(view.shape().begin() + last + 1, view.shape().end());
  return a;
}

// Returns the mask if the only index is a mask with the shape of `t`, otherwise null. Such a mask is used directly,
// without the positions of its true elements.
const Tensor* whole_mask(const Tensor& t, const Tensors& given) {
  return given.size() == 1 && given[0].defined() && given[0].dtype() == Dtype::bool_ && given[0].shape() == t.shape()
             ? &given[0]
             : nullptr;
}

// Returns the index tensors in the form in which the graph saves them. Unpacking raises an error if an index tensor has
// been changed.
Tensors defined_of(const Tensors& given) {
  Tensors out;
  for (const Tensor& index : given) out.push_back(index.defined() ? index : Tensor());
  return out;
}

template <class F>
Derivative with_indices(int64_t count, F derivative) {
  return [derivative, count](const Context& c) {
    Tensors indices;
    for (int64_t i = 0; i < count; ++i) indices.push_back(c.saved(int(i)));
    derivative(c, indices);
  };
}

// Expands the values to the shape of the elements that are written. A single value becomes a tensor without dimensions.
Tensor broadcast_values(const Tensor& values, const Shape& shape) {
  NoRecording off;
  require(values.shape().size() <= shape.size() && can_broadcast(values.shape(), shape, false),
          "shape mismatch: value tensor of shape ", values.shape(), " cannot be broadcast to indexing result of shape ",
          shape);
  return values.numel() == 1 ? reshape(values, {}) : expand(values, shape);
}

}  // namespace

Tensor index(const Tensor& t, const Tensors& given) {
  if (const Tensor* mask = whole_mask(t, given)) return masked_select(t, to(*mask, t.device()));
  const AdvancedIndex a = advanced(t, given);
  const Tensor out = empty(a.shape, t.dtype());
  load_blocks(t, a.blocks, out);
  if (recording(t))
    record_saving("Index", {out, t, Recording::kFresh}, {&t}, defined_of(given),
                  with_indices(int64_t(given.size()), [shape = t.shape()](const Context& c, const Tensors& indices) {
                    c.set(0, index_put(zeros(shape, c.gradient().dtype()), indices, c.gradient(), !only_masks(indices),
                                       Write::InPlace));
                  }));
  return out;
}

Tensor index_put(const Tensor& t, const Tensors& given, const Tensor& values, bool accumulate, Write write) {
  if (t.is_cuda() && values.device() == DeviceType::Cpu && values.dim() == 0)
    return index_put(t, given, to(values, t.device()), accumulate, write);
  require(t.is_meta() || values.is_meta() || t.device() == values.device(),
          "Expected all tensors to be on the same device, but found at least two devices, ", t.device(), " and ",
          values.device(), "! .to(device) moves a tensor");
  if (write == Write::InPlace) warn_if_expanded(t, "index_put_", "tensor[indices] = tensor");
  if (const Tensor* mask = whole_mask(t, given); mask && !accumulate && values.dim() == 0)
    return masked_fill(t, to(*mask, t.device()), values, write);
  const Tensor copy = write == Write::Fresh ? clone(t) : t;  // the tensor to which the offsets refer
  const AdvancedIndex a = advanced(copy, given);
  const Tensor from = without_overlap(broadcast_values(values, a.shape), copy);
  require(values.dtype() == t.dtype(), "Index put requires the source and destination dtypes match, got ", t.dtype(),
          " for the destination and ", values.dtype(), " for the source.");
  begin_overlapping_change(copy, "index_put_", values.requires_grad());
  store_blocks(copy, a.blocks, from, accumulate ? Combine::Add : Combine::Assign);
  if (recording(copy, values))
    record_saving("IndexPut", {copy, copy, Recording::kInPlace}, {&copy, &values}, defined_of(given),
                  with_indices(int64_t(given.size()), [accumulate](const Context& c, const Tensors& indices) {
                    const Tensor& g = c.gradient();
                    if (c.needs(0))
                      c.set(0, accumulate ? g : index_put(g, indices, zeros({}, g.dtype()), false, Write::Fresh));
                    if (c.needs(1)) c.set(1, index(g, indices));
                  }));
  return copy;
}

namespace {

Tensor put_at(Write write, const Tensor& t, const Tensors& indices, const Tensor& values, bool accumulate) {
  return index_put(t, indices, values, accumulate, write);
}

const Operator index_put_operator(
    {.signature = "index_put(input, indices: Sequence[Tensor | None], values, accumulate=False)",
     .forms = kFunction | kMethod | kOut,
     .doc = R"(Write values at the indices, or add them if accumulate is true: ``input[indices] = values``.

Each dimension has an index tensor or a mask, or None for all its elements. Gradient: input and values.

>>> flambeau.index_put(flambeau.zeros(3), (flambeau.tensor([2, 0]),), flambeau.tensor([1.0, 2.0]))
tensor([2., 0., 1.]))",
     .forward = writing<put_at, Write::Fresh>,
     .in_place = writing<put_at, Write::InPlace>});

}  // namespace

}  // namespace flambeau
