// index_select and related operators, which read or write slices along one dimension at the positions in a vector.
#include "core/in_place.h"
#include "flambeau/operator.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

namespace {

// Returns the slices of `t` along `dim` whose positions are the entries of `index`, as blocks.
Blocks slices(const Tensor& t, int64_t dim, const Tensor& index, NegativeIndex negative = NegativeIndex::Rejected) {
  Blocks b = blocks_around(t, dim, dim);
  pick(b, t, dim, index, negative);
  return b;
}

int64_t length_of(const Tensor& t, int64_t dim) { return t.dim() ? t.shape()[dim] : 1; }

// Checks that the entries are in range. Operators like index_select also call this, and raise the error of
// index_select.
void check_selected(const Tensor& t, int64_t dim, const Tensor& index) {
  try {
    check_range<IndexError>(index, length_of(t, dim), NegativeIndex::Rejected, "", dim);
  } catch (const IndexError& e) {
    require<IndexError>(false, "index out of range in self: ", e.what());
  }
}

template <class E>
void check_vector(const Tensor& index, const char* name) {
  require<E>(index.dim() <= 1, name, "(): Index is supposed to be a vector, but got shape ", index.shape());
}

// Checks the source of index_add, index_copy and index_reduce. The source must have the shape of t, but with one slice
// for each entry of the index.
template <class E>
void check_source(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, const char* name) {
  require(t.dtype() == source.dtype(), name, "(): self and source expected to have the same dtype, but got (self) ",
          t.dtype(), " and (source) ", source.dtype());
  require<E>(t.dim() == 0 || source.dim() == 0 || t.dim() == source.dim(), name,
             "(): When source and destination are not scalars, their dimensionality must match. Source of "
             "shape ",
             source.shape(), ", destination of shape ", t.shape());
  require<E>(length_of(source, source.dim() ? dim : 0) == index.numel(), name, "(): Number of indices (", index.numel(),
             ") should be equal to source.size(dim): (", length_of(source, source.dim() ? dim : 0),
             "), for dim: ", dim);
  for (int d = 0; d < t.dim() && t.dim() == source.dim(); ++d)
    require(d == dim || t.shape()[d] == source.shape()[d], name, "(): source of shape ", source.shape(),
            " does not match self of shape ", t.shape(), " at dimension ", d);
  require(t.dim() == source.dim() ||
              source.numel() == index.numel() * (t.numel() / std::max<int64_t>(1, length_of(t, dim))),
          name, "(): source of shape ", source.shape(), " does not match self of shape ", t.shape(), " and ",
          index.numel(), " indices");
}

Tensor selected_like(const Tensor& g, int64_t dim, const Tensor& index, const Shape& source) {
  return reshape(index_select(g, dim, index), source);
}

}  // namespace

Tensor index_select(const Tensor& t, int64_t dim, const Tensor& index) {
  dim = t.wrap_dim(dim);
  check_vector<IndexError>(index, "index_select");
  const Tensor i = index_tensor(index, "index_select");
  require(t.dim() > 0 || i.numel() == 1, "index_select(): Index to scalar can have only 1 value, got ", i.numel(),
          " value(s)");
  check_selected(t, dim, i);
  Shape shape = t.shape();
  if (!shape.empty()) shape[dim] = i.numel();
  Tensor out = empty(shape, t.dtype());
  load_blocks(t, slices(t, dim, i), out);
  if (recording(t))
    record("IndexSelect", out, {&t}, {&i}, [shape = t.shape(), dim](const Context& c) {
      c.set(0, index_add(zeros(shape, c.gradient().dtype()), dim, c.saved(0), c.gradient()));
    });
  return out;
}

const Operator index_select_operator({.signature = "index_select(input, dim, index)",
                                      .forms = kFunction | kMethod | kOut | kExactOut,
                                      .doc = "Select the slices at `index` along a dimension. Gradient: input.",
                                      .forward = index_select,
                                      .reference = "np.take(input, index, dim)",
                                      .samples = "f(3, 4), 0, k(3, 5); f(3, 4), -1, k(4, 2)"});

Tensor index_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, Write write) {
  dim = t.wrap_dim(dim);
  check_vector<IndexError>(index, "index_add_");
  const Tensor i = index_tensor(index, "index_add_");
  check_source<Error>(t, dim, i, source, "index_add_");
  check_range<Error>(i, length_of(t, dim), NegativeIndex::Rejected, "", dim);
  const Target target = target_of(t, write, "index_add_", {&source, &index});

  store_blocks(target.out, slices(target.out, dim, i), without_overlap(source, target.out), Combine::Add);
  if (recording(t, source))
    record_saving("IndexAdd", target, {&t, &source}, {i}, [dim, shape = source.shape()](const Context& c) {
      c.set(0, c.gradient());
      if (c.needs(1)) c.set(1, selected_like(c.gradient(), dim, c.saved(0), shape));
    });
  return target.out;
}

Tensor index_copy(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, Write write) {
  dim = t.wrap_dim(dim);
  check_vector<IndexError>(index, "index_copy_");
  require(index.dtype() == Dtype::int64 || index.numel() == 0,
          "index_copy_(): Expected a long tensor for index, but got ", index.dtype());
  const Tensor i = index_tensor(index, "index_copy_");
  check_source<IndexError>(t, dim, i, source, "index_copy_");
  check_range<IndexError>(i, length_of(t, dim), NegativeIndex::Rejected, "index_copy_(): ", dim);
  const Target target = target_of(t, write, "index_copy_", {&source, &index});
  store_blocks(target.out, slices(target.out, dim, i), without_overlap(source, target.out), Combine::Assign);
  if (recording(t, source))
    record_saving("IndexCopy", target, {&t, &source}, {i}, [dim, shape = source.shape()](const Context& c) {
      if (c.needs(0)) c.set(0, index_fill(c.gradient(), dim, c.saved(0), Scalar(0)));
      if (c.needs(1)) c.set(1, selected_like(c.gradient(), dim, c.saved(0), shape));
    });
  return target.out;
}

Tensor index_fill(const Tensor& t, int64_t dim, const Tensor& index, const Operand& value, Write write) {
  dim = t.wrap_dim(dim);
  require<IndexError>(index.dtype() == Dtype::int64 || index.numel() == 0,
                      "index_fill_(): Expected dtype int64 for index, got ", index.dtype());
  check_vector<Error>(index, "index_fill_");
  require(!value.tensor || value.tensor->dim() == 0,
          "index_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
          value.tensor ? value.tensor->dim() : 0, " dimension(s).");
  require(value.tensor || value.scalar.kind() != Category::Complex || is_complex(t.dtype()),
          "index_fill_(): Converting complex Scalar to non-complex type is not supported, got ", value.scalar, " for ",
          t.dtype());
  require(value.tensor || fits(value.scalar, t.dtype()), "value ", value.scalar, " cannot be converted to type ",
          t.dtype(), " without overflow");
  const Tensor i = index_tensor(index, "index_fill_");
  check_range<IndexError>(i, length_of(t, dim), NegativeIndex::FromEnd, "", dim);
  const bool expanded = write == Write::InPlace && warn_if_expanded(t, "index_fill_", "tensor[mask] = scalar");
  const Target target = target_of(t, write, "index_fill_", {&index}, expanded);
  {
    NoRecording off;
    const Tensor one = value.tensor ? without_overlap(to(*value.tensor, t.dtype()), target.out)
                                    : scalar_tensor(value.scalar, t.dtype());
    store_blocks(target.out, slices(target.out, dim, i, NegativeIndex::FromEnd), one, Combine::Assign);
  }
  static const Tensor none;
  const Tensor& filling = value.tensor ? *value.tensor : none;
  if (recording(t, filling))
    record_saving("IndexFill", target, {&t, &filling}, {i}, [dim](const Context& c) {
      if (c.needs(0)) c.set(0, index_fill(c.gradient(), dim, c.saved(0), Scalar(0)));
      if (!c.needs(1)) return;
      const Tensor whole = ones(c.gradient().shape(), c.gradient().dtype());
      c.set(1, sum((whole - index_fill(whole, dim, c.saved(0), Scalar(0))) * c.gradient(), {}, false, {}));
    });
  return target.out;
}

Tensor index_reduce(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, ScatterReduction reduction,
                    bool include_self, Write write) {
  dim = t.wrap_dim(dim);
  check_vector<IndexError>(index, "index_reduce_");
  const Tensor i = index_tensor(index, "index_reduce_");
  check_source<IndexError>(t, dim, i, source, "index_reduce_");
  check_selected(t, dim, i);
  const Tensor values = source.dim() == t.dim() ? source : reshape(source, t.dim() ? Shape{index.numel()} : Shape{});
  Shape along(size_t(values.dim()), 1);
  if (values.dim()) along[dim] = i.numel();
  return scatter_reduce(t, dim, expand(reshape(i, along), values.shape()), values, reduction, include_self, write,
                        "index_reduce_");
}

namespace {

Tensor add_slices(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha) {
  return index_add(t, dim, index, alpha.equals(1) ? source : mul(source, alpha), write);
}
Tensor copy_slices(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
  return index_copy(t, dim, index, source, write);
}
Tensor fill_slices(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Operand& value) {
  return index_fill(t, dim, index, value, write);
}
Tensor reduce_slices(Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source,
                     std::string_view reduce, bool include_self) {
  const ScatterReduction reduction = scatter_reduction_of(reduce);
  require(reduction != ScatterReduction::Sum,
          "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got sum.");
  return index_reduce(t, dim, index, source, reduction, include_self, write);
}

const Operator index_add_operator(
    {.signature = "index_add(input, dim, index, source, *, alpha=1)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Add alpha * source to the slices `index`, in the order of the index. Gradient: input and source.

>>> flambeau.index_add(flambeau.zeros(3), 0, flambeau.tensor([2, 2]), flambeau.ones(2))
tensor([0., 0., 2.]))",
     .forward = writing<add_slices, Write::Fresh>,
     .in_place = writing<add_slices, Write::InPlace>,
     .reference = "(lambda out: np.add.at(out, (slice(None),) * dim + (index,), alpha * source) or out)(input.copy())",
     .samples = "f(3, 4), 0, k(3, 5), f(5, 4); f(3, 4), 1, k(4, 2), f(3, 2), alpha=0.5"});

const Operator index_copy_operator(
    {.signature = "index_copy(input, dim, index, source)",
     .forms = kFunction | kMethod | kOut | kExactOut | kWidest,
     .doc = R"(Replace the slices `index` along a dimension with the slices of source. Gradient: input and source.

>>> flambeau.index_copy(flambeau.zeros(3), 0, flambeau.tensor([2, 0]), flambeau.tensor([1.0, 2.0]))
tensor([2., 0., 1.]))",
     .forward = writing<copy_slices, Write::Fresh>,
     .in_place = writing<copy_slices, Write::InPlace>,
     .reference = "(lambda out: out.__setitem__((slice(None),) * dim + (index,), source) or out)(input.copy())",
     .samples = "f(3, 4), 0, np.array([2, 0]), f(2, 4); f(3, 4), 1, np.array([3, 0]), f(3, 2)"});

const Operator index_fill_operator(
    {.signature = "index_fill(input, dim, index, value)",
     .forms = kFunction | kMethod | kOut,
     .doc = R"(Set the slices `index` along a dimension to a number or a 0-d tensor. Gradient: input and value.

>>> flambeau.index_fill(flambeau.zeros(3), 0, flambeau.tensor([2, 0]), 5)
tensor([5., 0., 5.]))",
     .forward = writing<fill_slices, Write::Fresh>,
     .in_place = writing<fill_slices, Write::InPlace>,
     .reference = "(lambda out: out.__setitem__((slice(None),) * dim + (index,), value) or out)(input.copy())",
     .samples = "f(3, 4), 0, k(3, 2), 2.5; f(3, 4), 1, k(4, 2), -1"});

const Operator index_reduce_operator(
    {.signature = "index_reduce(input, dim, index, source, reduce, *, include_self=True)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Reduce the slices of source that have the same index.

Args:
    reduce: 'prod', 'mean', 'amax' or 'amin'.
    include_self: if True, include the slice of input in the reduction.
Gradient: input and source; divided evenly among equal extremes.

>>> flambeau.index_reduce(flambeau.zeros(2), 0, flambeau.tensor([1, 0, 1]), flambeau.tensor([3.0, 4.0, 5.0]), "amax")
tensor([4., 5.]))",
     .forward = writing<reduce_slices, Write::Fresh>,
     .in_place = writing<reduce_slices, Write::InPlace>,
     .reference = "(lambda out: {'sum': np.add, 'prod': np.multiply, 'amax': np.maximum, 'amin': "
                  "np.minimum}[reduce].at(out, (slice(None),) * dim + (index,), source) or out)(input.copy())",
     .samples = "f(3, 4), 0, k(3, 5), f(5, 4), 'prod'; f(3, 4), 1, k(4, 2), f(3, 2), 'amax'; f(3, 4), 0, k(3, 2), f(2, "
                "4), 'amin'"});

}  // namespace

Tensor embedding(const Tensor& weight, const Tensor& indices, int64_t padding, bool scale_by_frequency) {
  require(weight.dim() == 2, "'weight' must be 2-D, got shape ", weight.shape());
  require(indices.dtype() == Dtype::int64 || indices.dtype() == Dtype::int32,
          "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got ",
          indices.dtype(), " instead (while checking arguments for embedding)");
  const int64_t rows = weight.shape()[0], width = weight.shape()[1];
  const Tensor i = contiguous(reshape(index_tensor(indices, "embedding"), {indices.numel()}));
  check_selected(weight, 0, i);
  Shape shape = indices.shape();
  shape.push_back(width);
  Tensor out = empty(shape, weight.dtype());
  load_blocks(weight, slices(weight, 0, i), out);
  if (recording(weight))
    record("Embedding", out, {&weight}, {&i}, [rows, width, padding, scale_by_frequency](const Context& c) {
      Tensor g = reshape(c.gradient(), {c.saved(0).numel(), width});
      const Tensor& i = c.saved(0);
      if (padding >= 0) g = where(unsqueeze(eq(i, Scalar(padding)), 1), zeros({}, g.dtype()), g);
      if (scale_by_frequency) {
        const Tensor n = index_add(zeros({rows}, g.dtype()), 0, i, ones({i.numel()}, g.dtype()));
        g = g / unsqueeze(index_select(n, 0, i), 1);
      }
      c.set(0, index_add(zeros({rows, width}, g.dtype()), 0, i, g));
    });
  return out;
}

const Operator embedding_operator(
    {.signature = "embedding(weight, indices, padding_idx=-1, scale_grad_by_freq=False, sparse=False)",
     .forms = kFunction,
     .doc =
         R"(Select the rows of weight at indices; a row becomes the last dimension.

Gradient: weight; 0 for the row padding_idx. scale_grad_by_freq divides the gradient of a row by the number of
its occurrences. sparse is accepted, but the gradient is dense.)",
     .forward = [](const Tensor& weight, const Tensor& indices, int64_t padding, bool by_frequency,
                   bool) { return embedding(weight, indices, padding, by_frequency); },
     .reference = "weight[indices]",
     .samples = "f(5, 3), k(5, 2, 2); f(5, 3), k(5)"});

}  // namespace flambeau
