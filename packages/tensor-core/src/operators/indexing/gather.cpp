// gather and scatter, whose index has one entry for each element.
#include "core/overlap.h"
#include "cuda/indexing.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/indexing/combined_writes.h"
#include "operators/indexing/indexing.h"
#include "operators/indexing/scatter.h"

namespace flambeau {

namespace {

// The layouts of an index, of the indexed tensor, and of the other tensor (the result of gather or the source of
// scatter). An entry refers to the elements at its own coordinates in both tensors. Along `dim`, however, the value of
// the entry is the coordinate in the indexed tensor.
struct EntryLayout {
  Shape size, index_stride, stride, other_stride;
  int64_t dim, dim_stride;
  const int64_t* index;
};

EntryLayout entry_layout(const Tensor& t, int64_t dim, const Tensor& index, const Shape& other_strides) {
  EntryLayout w{index.shape(),        index.strides(), t.strides(), other_strides, dim, t.dim() ? t.strides()[dim] : 1,
                index.data<int64_t>()};
  for (Shape* s : {&w.index_stride, &w.stride, &w.other_stride})
    if (s->empty()) s->push_back(0);
  if (w.size.empty()) w.size.push_back(1);
  w.stride[dim] = 0;
  return w;
}

// Visits the entries whose coordinate in dimension `along` is in [begin, end). Calls rows(entries, offset in the
// indexed tensor, offset in the other tensor, layout). Each call covers the last two dimensions.
template <class F>
void visit(const EntryLayout& w, int64_t along, int64_t begin, int64_t end, const F& rows) {
  Shape size = w.size;
  size[along] = end - begin;
  if (product(size) == 0) return;
  const int last = int(size.size()) - 1, outer = std::max(0, last - 1);
  RowLayout layout{size[last], w.index_stride[last], w.dim_stride, w.stride[last], w.other_stride[last]};
  if (last > 0) {
    layout.rows = size[last - 1];
    layout.index_row = w.index_stride[last - 1];
    layout.row = w.stride[last - 1];
    layout.from_row = w.other_stride[last - 1];
  }
  int64_t at = begin * w.index_stride[along], element = begin * w.stride[along], other = begin * w.other_stride[along];
  Shape position(size.size());
  for (int64_t block = product(size) / (layout.count * layout.rows); block > 0; --block) {
    rows(w.index + at, element, other, layout);
    for (int d = outer - 1; d >= 0; --d) {
      at += w.index_stride[d];
      element += w.stride[d];
      other += w.other_stride[d];
      if (++position[d] < size[d]) break;
      at -= w.index_stride[d] * size[d];
      element -= w.stride[d] * size[d];
      other -= w.other_stride[d] * size[d];
      position[d] = 0;
    }
  }
}

template <class T>
void load_rows(const void* from_bytes, void* to_bytes, const int64_t* index, const RowLayout& p) {
  const T* from = static_cast<const T*>(from_bytes);
  T* to = static_cast<T*>(to_bytes);
  const bool side_by_side = p.index_step == 1 && p.from_step == 1;
  for (int64_t r = 0; r < p.rows; ++r, index += p.index_row, from += p.row, to += p.from_row) {
    if (side_by_side && p.step == 0 && p.scale == 1)  // the indexed dimension is the last
      for (int64_t j = 0; j < p.count; ++j) to[j] = from[index[j]];
    else if (side_by_side && p.step == 1)  // the indexed dimension is not the last
      for (int64_t j = 0; j < p.count; ++j) to[j] = from[j + index[j] * p.scale];
    else
      for (int64_t j = 0; j < p.count; ++j) to[j * p.from_step] = from[j * p.step + index[j * p.index_step] * p.scale];
  }
}

int64_t largest(const Shape& size, int64_t except) {
  int64_t best = -1;
  for (int64_t d = 0; d < int64_t(size.size()); ++d)
    if (d != except && (best < 0 || size[d] > size[best])) best = d;
  return best;
}

int64_t grain_of(const Shape& size, int64_t along) {
  const int64_t others = product(size) / std::max<int64_t>(1, size[along]);
  return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, others));
}

void check_index(const Tensor& t, int64_t dim, const Tensor& index) {
  if (index.numel() == 0) return;  // an empty index is valid for all shapes
  require(std::max(index.dim(), 1) == std::max(t.dim(), 1),
          "Index tensor must have the same number of dimensions as self tensor: shapes ", t.shape(), " and ",
          index.shape());
  for (int i = 0; i < std::min(t.dim(), index.dim()); ++i)
    require(i == dim || index.shape()[i] <= t.shape()[i], "Expected index ", index.shape(),
            " to be no larger than self ", t.shape(), " apart from dimension ", dim,
            ": size does not match at dimension ", i);
}

// Replaces the element of each entry with combine(element, value), in the order of the entries.
void store(const Tensor& out, int64_t dim, const Tensor& index, const Tensor& source, const Shape& strides, Combine c) {
  if (index.numel() == 0 || out.is_meta()) return;
  const CombinedWrites writes = combined_writes(out.dtype(), c);
  if (cuda::runs_on_gpu(out)) return cuda::scatter(out, dim, index, source, strides, c);
  const EntryLayout w = entry_layout(out, dim, index, strides);
  const int64_t along = largest(w.size, dim), length = out.dim() ? out.shape()[dim] : 1, item = item_size(out.dtype());
  const auto write = [&](int64_t slices, int64_t begin, int64_t end, int64_t low, int64_t high) {
    visit(w, slices, begin, end, [&](const int64_t* entries, int64_t element, int64_t other, RowLayout layout) {
      layout.low = low;
      layout.high = high;
      writes.at(out.bytes() + element * item, source.bytes() + other * item, entries, layout);
    });
  };
  if (along >= 0 && w.size[along] > 1)  // threads share a dimension other than `dim`
    return parallel_items(w.size[along], grain_of(w.size, along),
                          [&](int64_t begin, int64_t end) { write(along, begin, end, 0, INT64_MAX); });
  const int64_t entries = w.size[dim], grain = std::max<int64_t>(1, length / std::max<int64_t>(1, entries / 32768));
  if (grain >= length || num_threads() == 1) return write(dim, 0, entries, 0, INT64_MAX);
  parallel_items(length, grain, [&](int64_t low, int64_t high) {  // each thread writes to one part of the memory
    write(dim, 0, entries, low * w.dim_stride, high * w.dim_stride);
  });
}

// If the index was expanded, so that all slices have the same entries, returns these entries as a vector. Otherwise
// returns an undefined tensor.
Tensor shared_entries(const Tensor& t, int64_t dim, const Tensor& index) {
  if (t.dim() < 2 || index.numel() == 0) return {};
  for (int64_t d = 0; d < t.dim(); ++d)
    if (d != dim && (index.shape()[d] != t.shape()[d] || (t.shape()[d] > 1 && index.strides()[d] != 0))) return {};
  return from_storage(index.impl()->storage, {index.shape()[dim]}, {index.strides()[dim]}, index.offset(),
                      Dtype::int64);
}

Blocks blocks_at(const Tensor& t, int64_t dim, const Tensor& entries) {
  Blocks b = blocks_around(t, dim, dim);
  pick(b, t, dim, entries, NegativeIndex::Rejected);
  return b;
}

}  // namespace

Tensor shrunk(Tensor t, const Shape& shape) {
  for (int d = 0; d < t.dim(); ++d)
    if (t.shape()[d] != shape[d]) t = narrow(t, d, 0, shape[d]);
  return t;
}
Tensor grown(const Tensor& t, const Shape& shape) {
  if (t.shape() == shape) return t;
  const Tensor whole = zeros(shape, t.dtype());
  copy_(shrunk(whole, t.shape()), t);
  return whole;
}

Scatter checked_scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor* source, const char* name) {
  Scatter s{t.wrap_dim(dim), index_tensor(index, name)};
  check_index(t, s.dim, index);
  if (source) {
    require(t.dtype() == source->dtype(), name, "(): Expected self.dtype to be equal to src.dtype, got ", t.dtype(),
            " and ", source->dtype());
    if (index.numel() > 0)
      require(std::max(index.dim(), 1) == std::max(source->dim(), 1),
              "Index tensor must have the same number of dimensions as src tensor: shapes ", index.shape(), " and ",
              source->shape());
    for (int d = 0; d < std::min(index.dim(), source->dim()) && index.numel() > 0; ++d)
      require(index.shape()[d] <= source->shape()[d], "Expected index ", index.shape(), " to be no larger than self ",
              t.shape(), " apart from dimension ", s.dim, " and to be no larger size than src ", source->shape());
  }
  check_range<Error>(s.index, t.dim() ? t.shape()[s.dim] : 1, NegativeIndex::Rejected, "", s.dim);
  return s;
}

void store_source(const Tensor& out, const Scatter& s, const Tensor& source, Combine c) {
  if (source.shape() == s.index.shape())
    if (const Tensor entries = shared_entries(out, s.dim, s.index); entries.defined())
      return store_blocks(out, blocks_at(out, s.dim, entries), without_overlap(source, out), c);
  const Tensor from = may_overlap(source, out) ? clone(source) : source;
  store(out, s.dim, s.index, from, from.strides(), c);
}
void store_value(const Tensor& out, const Scatter& s, Scalar value, Combine c) {
  store(out, s.dim, s.index, scalar_tensor(value, out.dtype()), Shape(std::max<size_t>(1, s.index.shape().size())), c);
}

Tensor gather(const Tensor& t, int64_t dim, const Tensor& index) {
  dim = t.wrap_dim(dim);
  require(index.dtype() == Dtype::int64 || index.dtype() == Dtype::int32 || index.numel() == 0,
          "gather(): Expected dtype int32/int64 for index, got ", index.dtype());
  check_index(t, dim, index);
  const Tensor i = index_tensor(index, "gather");
  Tensor out = empty(index.shape(), t.dtype());
  const int64_t length = t.dim() ? t.shape()[dim] : 1;
  const bool on_gpu = cuda::runs_on_gpu(out), by_rows = !on_gpu && i.is_contiguous() && i.dim() > 1 &&
                                                        // with many rows, each is checked directly before its use, so
                                                        // that it is read into the cache once
                                                        i.size(0) >= 16;
  if (!by_rows) check_range<Error>(i, length, NegativeIndex::Rejected, "", dim);
  if (const Tensor entries = shared_entries(t, dim, i); entries.defined() && !by_rows)
    load_blocks(t, blocks_at(t, dim, entries), out);
  else if (on_gpu && index.numel() > 0)
    cuda::gather(t, dim, i, out);
  else if (index.numel() > 0 && !out.is_meta()) {
    const int64_t item = item_size(t.dtype());
    const auto load = dispatch_size(item, [](auto tag) { return &load_rows<typename decltype(tag)::type>; });
    const EntryLayout w = entry_layout(t, dim, i, out.strides());
    const int64_t along = by_rows ? 0 : largest(w.size, -1), rows = w.size[along], row = i.numel() / rows;
    const int64_t step = by_rows ? std::max<int64_t>(1, 4096 / std::max<int64_t>(1, row)) : rows;
    parallel_items(rows, grain_of(w.size, along), [&](int64_t begin, int64_t end) {
      for (; begin < end; begin += step) {
        const int64_t stop = std::min(end, begin + step);
        if (by_rows) check_entries<Error>(w.index + begin * row, (stop - begin) * row, 0, length, "", dim);
        visit(w, along, begin, stop,
              [&](const int64_t* entries, int64_t element, int64_t other, const RowLayout& layout) {
                load(t.bytes() + element * item, out.bytes() + other * item, entries, layout);
              });
      }
    });
  }
  if (recording(t))
    record("Gather", out, {&t}, {&i}, [shape = t.shape(), dim](const Context& c) {
      c.set(0, scatter_add(zeros(shape, c.gradient().dtype()), dim, c.saved(0), c.gradient(), Write::InPlace));
    });
  return out;
}

Tensor scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, Write write) {
  const Scatter s = checked_scatter(t, dim, index, &source, "scatter");
  const Target target = target_of(t, write, "scatter_", {&source, &index});
  store_source(target.out, s, source, Combine::Assign);
  if (recording(t, source))
    record_saving("Scatter", target, {&t, &source}, {s.index}, [dim = s.dim, shape = source.shape()](const Context& c) {
      if (c.needs(0)) c.set(0, scatter_value(c.gradient(), dim, c.saved(0), Scalar(0)));
      if (c.needs(1)) c.set(1, grown(gather(c.gradient(), dim, c.saved(0)), shape));
    });
  return target.out;
}

Tensor scatter_value(const Tensor& t, int64_t dim, const Tensor& index, Scalar value, Write write) {
  const Scatter s = checked_scatter(t, dim, index, nullptr, "scatter");
  require(fits(value, t.dtype()), "value ", value, " cannot be converted to type ", t.dtype(), " without overflow");
  const Target target = target_of(t, write, "scatter_", {&index});
  store_value(target.out, s, value, Combine::Assign);
  if (recording(t))
    record_saving("Scatter", target, {&t}, {s.index}, [dim = s.dim](const Context& c) {
      c.set(0, scatter_value(c.gradient(), dim, c.saved(0), Scalar(0)));
    });
  return target.out;
}

Tensor scatter_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, Write write) {
  const Scatter s = checked_scatter(t, dim, index, &source, "scatter_add");
  const Target target = target_of(t, write, "scatter_add_", {&source, &index});
  store_source(target.out, s, source, Combine::Add);
  if (recording(t, source))
    record_saving("ScatterAdd", target, {&t, &source}, {s.index},
                  [dim = s.dim, shape = source.shape()](const Context& c) {
                    c.set(0, c.gradient());
                    if (c.needs(1)) c.set(1, grown(gather(c.gradient(), dim, c.saved(0)), shape));
                  });
  return target.out;
}

namespace {

Tensor scatter_any(Write write, const Tensor& t, int64_t dim, const Tensor& index, const std::optional<Operand>& source,
                   const std::optional<Operand>& value, std::optional<std::string_view> reduce) {
  require<TypeError>(source || value, "scatter(): argument 'src' must be Tensor or Number, not None");
  const Operand& given = source ? *source : *value;
  if (!reduce)
    return given.tensor ? scatter(t, dim, index, *given.tensor, write)
                        : scatter_value(t, dim, index, given.scalar, write);
  require(reduce == "add" || reduce == "multiply", "reduce argument must be either add or multiply.");
  const Tensor tensor = given.tensor ? *given.tensor : full(index.shape(), given.scalar, t.dtype());
  return reduce == "add" ? scatter_add(t, dim, index, tensor, write)
                         : scatter_reduce(t, dim, index, tensor, ScatterReduction::Prod, true, write);
}

Tensor scatter_sum(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
  return scatter_add(t, dim, index, source, write);
}

Tensor take_along_dim(const Tensor& t, const Tensor& index, std::optional<int64_t> given) {
  if (!given) return take_along_dim(reshape(t, {t.numel()}), reshape(index, {index.numel()}), 0);
  const int64_t dim = t.wrap_dim(*given);
  require(index.dtype() == Dtype::int64, "take_along_dim(): dtype of indices should be Long but got ", index.dtype());
  Shape a = t.shape(), b = index.shape();
  require(a.size() == b.size(),
          "take_along_dim(): input and indices should have the same number of dimensions, but got ", a.size(),
          " dimensions for input, and ", b.size(), " dimensions for indices");
  if (a.empty()) return gather(t, dim, index);
  const Tensor from_start = where(lt(index, Scalar(0)), add(index, Scalar(a[dim])), index);
  const int64_t length = a[dim], picked = b[dim];
  a[dim] = b[dim] = 1;
  Shape source = broadcast(a, b), target = source;
  source[dim] = length;
  target[dim] = picked;
  return gather(expand(t, source), dim, expand(from_start, target));
}

const Operator scatter_operator(
    {.signature = "scatter(input, dim, index, src=None, value=None, *, reduce=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Write src, a tensor or a number, to the positions in index along a dimension.

reduce='add' or 'multiply' combines src with the elements of input. Gradient: input and src.

>>> flambeau.scatter(flambeau.zeros(3), 0, flambeau.tensor([2, 0]), flambeau.tensor([1.0, 2.0]))
tensor([2., 0., 1.]))",
     .forward = writing<scatter_any, Write::Fresh>,
     .in_place = writing<scatter_any, Write::InPlace>,
     .reference = "(lambda out: np.put_along_axis(out, index, src, dim) or out)(input.copy())",
     .samples = "f(3, 4), 1, np.array([[0, 2], [3, 1], [1, 0]]), f(3, 2); f(3, 4), 0, np.array([[0, 2, 1, 1]]), 2.5"});

const Operator scatter_add_operator(
    {.signature = "scatter_add(input, dim, index, src)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Add src to the positions in index along a dimension, in the order of the index. Gradient: input and src.

>>> flambeau.scatter_add(flambeau.zeros(3), 0, flambeau.tensor([2, 0, 2]), flambeau.ones(3))
tensor([1., 0., 2.]))",
     .forward = writing<scatter_sum, Write::Fresh>,
     .in_place = writing<scatter_sum, Write::InPlace>,
     .reference = "(lambda out: np.add.at(out, (np.arange(3)[:, None], index), src) or out)(input.copy())",
     .samples = "f(3, 4), 1, k(4, 3, 5), f(3, 5)"});

const Operator take_along_dim_operator(
    {.signature = "take_along_dim(input, indices, dim=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Gather along a dimension; input and indices are broadcast in the other dimensions.

Without dim the flattened input is gathered. Negative indices count from the end. Gradient: input.

>>> flambeau.take_along_dim(flambeau.tensor([[1, 2], [3, 4]]), flambeau.tensor([[1], [0]]), 1)
tensor([[2],
        [3]]))",
     .forward = take_along_dim,
     .reference = "np.take_along_axis(input, indices, dim)",
     .samples = "f(3, 4), k(3, 2, 4), 0; f(3, 4), k(4, 3, 1), 1; f(3, 4), k(12, 5)"});

}  // namespace

const Operator gather_operator(
    {.signature = "gather(input, dim, index, *, sparse_grad=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Gather elements along a dimension: out[i, j] = input[index[i, j], j] for dim 0. Gradient: input.",
     .forward = [](const Tensor& t, int64_t dim, const Tensor& index, bool) { return gather(t, dim, index); },
     .reference = "np.take_along_axis(input, index, dim)",
     .samples = "f(3, 4), 0, k(3, 2, 4); f(3, 4), 1, k(4, 3, 5)"});

}  // namespace flambeau
