// Reading and writing at computed positions.
#include "flambeau/operators.h"
#include "flambeau/parallel.h"

#include <cstring>

#include "kernels/table.h"

namespace flambeau {

namespace {

template <class E = IndexError>  // RuntimeError where PyTorch raises that: in gather and its relatives
int64_t checked(int64_t i, int64_t size, int64_t dim) {
  require<E>(i >= -size && i < size, "index ", i, " is out of bounds for dimension ", dim, " with size ", size);
  return i < 0 ? i + size : i;
}

Tensor index_tensor(const Tensor& index, const char* name) {
  require(index.dtype() == Dtype::int64 || index.dtype() == Dtype::int32 || index.numel() == 0, name,
          "(): Expected dtype int32/int64 for index, got ", index.dtype());
  return contiguous(to(index, Dtype::int64));
}

struct Split3 {  // a shape around one dimension
  int64_t outer = 1, length = 1, inner = 1;
};
Split3 around(const Shape& shape, int64_t dim) {
  Split3 s;
  for (size_t i = 0; i < shape.size(); ++i)
    (int64_t(i) < dim ? s.outer : int64_t(i) > dim ? s.inner : s.length) *= shape[i];
  return s;
}

// Elements as plain bytes of their size, for copies that do not look at them.
template <class F>
void dispatch_size(Dtype d, F&& f) {
  switch (item_size(d)) {
    case 1:
      return f(TypeTag<uint8_t>{});
    case 2:
      return f(TypeTag<uint16_t>{});
    case 4:
      return f(TypeTag<uint32_t>{});
    default:
      return f(TypeTag<uint64_t>{});
  }
}

template <class T>
T plus(T a, T b) {
  if constexpr (std::is_same_v<T, bool>)
    return a || b;
  else if constexpr (std::is_arithmetic_v<T>)
    return T(a + b);
  else
    return convert<T>(to_float(a) + to_float(b));
}

void check_gather_shapes(const Tensor& t, int64_t dim, const Tensor& index, const char* name) {
  if (index.numel() == 0) return;  // nothing is taken, whatever the shapes
  require(std::max(index.dim(), 1) == std::max(t.dim(), 1),
          "Index tensor must have the same number of dimensions as input tensor: ", name, " of shapes ", t.shape(),
          " and ", index.shape());
  for (int i = 0; i < std::min(t.dim(), index.dim()); ++i)
    require(i == dim || index.shape()[i] <= t.shape()[i], "Size does not match at dimension ", i, " expected index ",
            index.shape(), " to be no larger than self ", t.shape(), " apart from dimension ", dim);
}

// Calls body(position in index, offset of the element in t) for every entry, rows along the last dimension at a time.
template <class F>
void visit_gather(const Tensor& t, int64_t dim, const Tensor& index, bool parallel, F&& body) {
  if (index.numel() == 0) return;
  const int last = index.dim() - 1;
  const int64_t columns = last >= 0 ? index.shape()[last] : 1, rows = columns ? index.numel() / columns : 0;
  const int64_t* positions = index.data<int64_t>();
  const int64_t size = t.dim() ? t.size(dim) : 1, dim_stride = t.dim() ? t.stride(dim) : 1;
  const int64_t last_stride = last >= 0 && last != dim ? t.strides()[last] : 0;
  auto run = [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      int64_t rest = r, base = 0;
      for (int d = last - 1; d >= 0; --d) {
        const int64_t at = rest % index.shape()[d];
        rest /= index.shape()[d];
        if (d != dim) base += at * t.strides()[d];
      }
      for (int64_t j = 0; j < columns; ++j) {
        const int64_t at = r * columns + j;
        body(at, base + j * last_stride + checked<Error>(positions[at], size, dim) * dim_stride);
      }
    }
  };
  if (parallel)
    parallel_items(rows, std::max<int64_t>(1, 16384 / (columns + 1)), run);
  else
    run(0, rows);
}

}  // namespace

Tensor gather(const Tensor& t, int64_t dim, const Tensor& index) {
  dim = t.wrap_dim(dim);
  check_gather_shapes(t, dim, index, "gather");
  const Tensor i = index_tensor(index, "gather");
  Tensor out = empty(index.shape(), t.dtype());
  dispatch_size(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_gather(t, dim, i, true,
                 [from = t.data<T>(), to = out.data<T>()](int64_t at, int64_t offset) { to[at] = from[offset]; });
  });
  if (recording(t))
    record("Gather", out, {&t}, {&i}, [shape = t.shape(), dim](const Context& c) {
      c.set(0, scatter_add(zeros(shape, c.gradient().dtype()), dim, c.saved(0), c.gradient()));
    });
  return out;
}

Tensor scatter_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
  dim = t.wrap_dim(dim);
  check_gather_shapes(t, dim, index, "scatter_add");
  require(t.dtype() == source.dtype(), "scatter(): Expected self.dtype to be equal to src.dtype, got ", t.dtype(),
          " and ", source.dtype());
  const Tensor i = index_tensor(index, "scatter_add");
  for (int d = 0; d < index.dim(); ++d)
    require(d < source.dim() && index.shape()[d] <= source.shape()[d], "scatter_add: expected index ", index.shape(),
            " to be no larger than src ", source.shape());
  Tensor out, from;
  {
    GradMode off(false);
    out = clone(t);
    from = source;
    if (!(source.shape() == index.shape()))
      for (int d = 0; d < index.dim(); ++d) from = narrow(from, d, 0, index.shape()[d]);
    from = contiguous(from);
  }
  // Rows along the last dimension touch separate memory only if that is the dimension scattered along.
  const bool parallel = dim == t.dim() - 1;
  dispatch(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    visit_gather(out, dim, i, parallel, [to = out.data<T>(), values = from.data<T>()](int64_t at, int64_t offset) {
      to[offset] = plus(to[offset], values[at]);
    });
  });
  if (recording(t, source))
    record("ScatterAdd", out, {&t, &source}, {&i}, [dim, shape = source.shape()](const Context& c) {
      c.set(0, c.gradient());
      if (!c.needs(1)) return;
      Tensor g = gather(c.gradient(), dim, c.saved(0));
      if (!(g.shape() == shape)) {  // entries of the source that were not used
        Tensor whole = zeros(shape, g.dtype()), part = whole;
        for (int d = 0; d < g.dim(); ++d) part = narrow(part, d, 0, g.shape()[d]);
        copy_(part, g);
        g = whole;
      }
      c.set(1, g);
    });
  return out;
}

Tensor index_select(const Tensor& t, int64_t dim, const Tensor& index) {
  dim = t.wrap_dim(dim);
  require<IndexError>(index.dim() <= 1, "index_select(): Index is supposed to be a vector, got shape ", index.shape());
  const Tensor i = index_tensor(index, "index_select");
  require(t.dim() > 0 || i.numel() == 1, "index_select(): Index to scalar can have only 1 value, got ", i.numel(),
          " value(s)");
  Tensor out;
  {
    GradMode off(false);
    const Tensor x = contiguous(t);
    Shape shape = t.shape();
    if (!shape.empty()) shape[dim] = i.numel();
    out = empty(shape, t.dtype());
    const Split3 s = around(t.shape(), dim);
    const int64_t bytes = s.inner * item_size(t.dtype()), count = i.numel();
    const int64_t* positions = i.data<int64_t>();
    for (int64_t k = 0; k < count; ++k) checked(positions[k], s.length, dim);
    parallel_items(s.outer * count, std::max<int64_t>(1, 65536 / (bytes + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = positions[r % count], row = at < 0 ? at + s.length : at;
        std::memcpy(out.bytes() + r * bytes, x.bytes() + (r / count * s.length + row) * bytes, size_t(bytes));
      }
    });
  }
  if (recording(t))
    record("IndexSelect", out, {&t}, {&i}, [shape = t.shape(), dim](const Context& c) {
      c.set(0, index_add(zeros(shape, c.gradient().dtype()), dim, c.saved(0), c.gradient()));
    });
  return out;
}

Tensor index_add(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
  dim = t.wrap_dim(dim);
  const Tensor i = index_tensor(index, "index_add");
  require<IndexError>(index.dim() <= 1, "index_add(): Index is supposed to be a vector, got shape ", index.shape());
  require(t.dtype() == source.dtype(), "index_add(): self and source are expected to have the same dtype, got ",
          t.dtype(), " and ", source.dtype());
  require(t.dim() > 0 || i.numel() == 1, "index_add(): Index to scalar can have only 1 value, got ", i.numel(),
          " value(s)");
  Shape expected = t.shape();
  if (!expected.empty()) expected[dim] = i.numel();
  require(source.shape() == expected, "index_add(): the source's shape ", source.shape(), " does not match ", expected);
  Tensor out;
  {
    GradMode off(false);
    out = clone(t);
    const Tensor from = contiguous(source);
    const Split3 s = around(t.shape(), dim);
    const int64_t count = i.numel();
    dispatch(t.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t o = 0; o < s.outer; ++o)
        for (int64_t k = 0; k < count; ++k) {
          T* to = out.data<T>() + (o * s.length + checked<Error>(i.data<int64_t>()[k], s.length, dim)) * s.inner;
          const T* values = from.data<T>() + (o * count + k) * s.inner;
          for (int64_t j = 0; j < s.inner; ++j) to[j] = plus(to[j], values[j]);
        }
    });
  }
  if (recording(t, source))
    record("IndexAdd", out, {&t, &source}, {&i}, [dim](const Context& c) {
      c.set(0, c.gradient());
      if (c.needs(1)) c.set(1, index_select(c.gradient(), dim, c.saved(0)));
    });
  return out;
}

Tensor nonzero(const Tensor& t) {
  GradMode off(false);
  const Tensor mask = contiguous(t.dtype() == Dtype::bool_ ? t : ne(t, 0));
  const uint8_t* flags = mask.data<uint8_t>();
  int64_t count = 0;
  for (int64_t i = 0; i < mask.numel(); ++i) count += flags[i] != 0;
  Tensor out = empty({count, t.dim()}, Dtype::int64);
  int64_t* to = out.data<int64_t>();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    if (!flags[i]) continue;
    int64_t rest = i;
    for (int d = t.dim() - 1; d >= 0; --d) {
      to[d] = rest % t.shape()[d];
      rest /= t.shape()[d];
    }
    to += t.dim();
  }
  return out;
}

namespace {

// Note [Advanced indexing]
// Index tensors are broadcast against each other. Their shape replaces the indexed dimensions where these are adjacent,
// and comes first where they are not (NumPy's rule). Inside, the indexed dimensions always come first: `order` brings
// them there.
struct Advanced {
  Tensors indices;          // contiguous int64, broadcast to one shape, one for each indexed dimension
  Shape dims, order;        // the indexed dimensions; all dimensions, indexed ones first
  Shape index_shape, rest;  // the result's two parts
  int64_t placed_at = 0;    // where index_shape stands in the result
};

Tensors expand_masks(const Tensor& t, const Tensors& given) {
  Tensors out;
  for (const Tensor& index : given) {
    if (!index.defined()) {
      out.push_back(index);
      continue;
    }
    if (index.dtype() != Dtype::bool_ && index.dtype() != Dtype::uint8) {
      require<IndexError>(!is_floating(index.dtype()),
                          "tensors used as indices must be long, int, byte or bool tensors, got ", index.dtype());
      out.push_back(to(index, Dtype::int64));
      continue;
    }
    for (int d = 0; d < index.dim(); ++d) {
      const int64_t at = int64_t(out.size()) + d;
      require<IndexError>(at < t.dim() && t.shape()[at] == index.shape()[d], "The shape of the mask ", index.shape(),
                          " at index ", d, " does not match the shape of the indexed tensor ", t.shape(), " at index ",
                          at);
    }
    const Tensor positions = nonzero(index);
    for (int d = 0; d < index.dim(); ++d) out.push_back(contiguous(select(positions, 1, d)));
  }
  return out;
}

Advanced advanced(const Tensor& t, const Tensors& given) {
  GradMode off(false);
  const Tensors indices = expand_masks(t, given);
  require<IndexError>(int(indices.size()) <= t.dim(), "too many indices for tensor of dimension ", t.dim());
  Advanced a;
  bool adjacent = true;
  for (size_t i = 0; i < indices.size(); ++i) {
    if (!indices[i].defined()) continue;
    adjacent &= a.dims.empty() || a.dims.back() == int64_t(i) - 1;
    try {
      a.index_shape = a.dims.empty() ? indices[i].shape() : broadcast(a.index_shape, indices[i].shape());
    } catch (const Error&) {
      require<IndexError>(false, "shape mismatch: indexing tensors could not be broadcast together with shapes ",
                          a.index_shape, ", ", indices[i].shape());
    }
    a.dims.push_back(int64_t(i));
  }
  a.order = a.dims;
  for (int i = 0; i < t.dim(); ++i)
    if (std::find(a.dims.begin(), a.dims.end(), i) == a.dims.end()) {
      a.order.push_back(i);
      a.rest.push_back(t.shape()[i]);
    }
  a.placed_at = adjacent && !a.dims.empty() ? a.dims[0] : 0;
  for (int64_t d : a.dims) {
    Tensor index = contiguous(expand(indices[size_t(d)], a.index_shape));
    const int64_t size = t.shape()[d];
    Tensor wrapped = empty(a.index_shape, Dtype::int64);
    for (int64_t i = 0; i < index.numel(); ++i) wrapped.data<int64_t>()[i] = checked(index.data<int64_t>()[i], size, d);
    a.indices.push_back(wrapped);
  }
  return a;
}

// The permutation from (index shape, rest) to the result's order.
Shape placement(const Advanced& a) {
  Shape order;
  const int64_t n = int64_t(a.index_shape.size());
  for (int64_t i = 0; i < a.placed_at; ++i) order.push_back(n + i);
  for (int64_t i = 0; i < n; ++i) order.push_back(i);
  for (int64_t i = a.placed_at; i < int64_t(a.rest.size()); ++i) order.push_back(n + i);
  return order;
}

int64_t offset_of(const Advanced& a, const Tensor& t, int64_t position) {
  int64_t offset = 0;
  for (size_t k = 0; k < a.indices.size(); ++k)
    offset += a.indices[k].data<int64_t>()[position] * t.strides()[a.dims[k]];
  return offset;
}

// One block (the dimensions not indexed) of t, at an offset.
Tensor block_at(const Advanced& a, const Tensor& t, int64_t offset) {
  Shape strides;
  for (size_t i = a.dims.size(); i < a.order.size(); ++i) strides.push_back(t.strides()[a.order[i]]);
  return from_storage(t.impl()->storage, a.rest, strides, t.offset() + offset, t.dtype());
}

Shape joined(const Shape& a, const Shape& b) {
  Shape out = a;
  out.append(b.begin(), b.end());
  return out;
}

// Records with the index tensors among what is saved: a later change of theirs is noticed.
template <class F>
void record_indexed(const char* name, const Tensor& out, TensorList inputs, const Tensors& indices,
                    Recording::Kind kind, F derivative) {
  std::vector<const Tensor*> saved;
  for (const Tensor& t : indices) saved.push_back(&t);
  const Tensor* outputs[] = {&out};
  Recording r{name,
              kind,
              outputs,
              1,
              inputs.begin(),
              int(inputs.size()),
              saved.data(),
              int(saved.size()),
              [derivative, count = int(saved.size())](const Context& c) {
                Tensors indices;
                for (int i = 0; i < count; ++i) indices.push_back(c.saved(i));
                derivative(c, indices);
              }};
  autograd_hooks->record(r);
}

}  // namespace

Tensor index(const Tensor& t, const Tensors& given) {
  const Advanced a = advanced(t, given);
  Tensor out;
  {
    GradMode off(false);
    out = empty(joined(a.index_shape, a.rest), t.dtype());
    const int64_t count = product(a.index_shape), block = product(a.rest), bytes = block * item_size(t.dtype());
    if (out.numel() > 0) {
      const bool contiguous_block = block_at(a, t, 0).is_contiguous();
      parallel_items(count, std::max<int64_t>(1, 65536 / (bytes + 1)), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t offset = offset_of(a, t, i);
          char* to = out.bytes() + i * bytes;
          if (contiguous_block)
            std::memcpy(to, t.bytes() + offset * item_size(t.dtype()), size_t(bytes));
          else
            copy_values(from_storage(out.impl()->storage, a.rest, contiguous_strides(a.rest), i * block, t.dtype()),
                        block_at(a, t, offset));
        }
      });
    }
    if (a.placed_at > 0) out = contiguous(permute(out, placement(a)));
  }
  if (recording(t))
    record_indexed("Index", out, {&t}, given, Recording::kFresh,
                   [shape = t.shape()](const Context& c, const Tensors& indices) {
                     c.set(0, index_put_(zeros(shape, c.gradient().dtype()), indices, c.gradient(), true));
                   });
  return out;
}

Tensor index_put_(const Tensor& self, const Tensors& given, const Tensor& values, bool accumulate) {
  const Advanced a = advanced(self, given);
  require(values.dtype() == self.dtype(), "Index put requires the source and destination dtypes match, got ",
          self.dtype(), " for the destination and ", values.dtype(), " for the source.");
  const Shape order = placement(a);
  Shape target(order.size());
  const Shape inner = joined(a.index_shape, a.rest);
  for (size_t i = 0; i < order.size(); ++i) target[i] = inner[order[i]];
  {
    GradMode off(false);
    Tensor from;
    try {
      from = expand(values, target);
    } catch (const Error&) {
      require(false, "shape mismatch: value tensor of shape ", values.shape(),
              " cannot be broadcast to indexing result of shape ", target);
    }
    Shape inverse(order.size());
    for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int64_t(i);
    from = contiguous(permute(from, inverse));
    if (from.impl()->storage.get() == self.impl()->storage.get()) from = clone(from);
    begin_inplace(self, "index_put_");
    const int64_t count = product(a.index_shape), block = product(a.rest);
    for (int64_t i = 0; block > 0 && i < count; ++i) {
      const Tensor to = block_at(a, self, offset_of(a, self, i));
      const Tensor value = from_storage(from.impl()->storage, a.rest, contiguous_strides(a.rest),
                                        from.offset() + i * block, from.dtype());
      if (!accumulate) {
        copy_values(to, value);
      } else if (block == 1) {
        dispatch(self.dtype(), [&](auto tag) {
          using T = typename decltype(tag)::type;
          *to.data<T>() = plus(*to.data<T>(), *value.data<T>());
        });
      } else {
        const Operand operands[] = {to, value};
        run_kernel(kernels::table().pointwise[int(PointwiseOp::add)][int(compute_type(self.dtype()))], to,
                   dtype_of(compute_type(self.dtype())), operands, 2, dtype_of(compute_type(self.dtype())));
      }
    }
  }
  if (recording(self, values))
    record_indexed("IndexPut", self, {&self, &values}, given, Recording::kInPlace,
                   [accumulate](const Context& c, const Tensors& indices) {
                     const Tensor& g = c.gradient();
                     if (c.needs(0))
                       c.set(0, accumulate ? g : index_put_(clone(g), indices, zeros({}, g.dtype()), false));
                     if (c.needs(1)) c.set(1, index(g, indices));
                   });
  return self;
}

Tensor masked_fill(const Tensor& t, const Tensor& mask, const Operand& value) {
  require(mask.dtype() == Dtype::bool_, "masked_fill_ only supports boolean masks, but got mask with dtype ",
          mask.dtype());
  require(!value.tensor || value.tensor->dim() == 0,
          "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
          value.tensor ? value.tensor->dim() : 0, " dimension(s).");
  if (value.tensor) return to(where(mask, to(*value.tensor, t.dtype()), t), t.dtype());
  require(fits(value.scalar, t.dtype()), "value ", value.scalar, " cannot be converted to type ", t.dtype(),
          " without overflow");
  const bool truncates = value.scalar.kind() == Category::Floating && category(t.dtype()) == Category::Integer;
  return to(where(mask, truncates ? Scalar(value.scalar.integer()) : value.scalar, t), t.dtype());
}

namespace {

Tensor triangle(const Tensor& t, int64_t diagonal, bool lower) {
  require(t.dim() >= 2, lower ? "tril" : "triu", ": input tensor must have at least 2 dimensions, got shape ",
          t.shape());
  const int64_t rows = t.size(-2), columns = t.size(-1);
  GradMode off(false);
  const Tensor i = unsqueeze(arange(Scalar(0), Scalar(rows), Scalar(1), Dtype::int64), 1),
               j = arange(Scalar(0), Scalar(columns), Scalar(1), Dtype::int64);
  return lower ? le(sub(j, Scalar(diagonal)), i) : ge(sub(j, Scalar(diagonal)), i);
}

}  // namespace

Tensor tril(const Tensor& t, int64_t diagonal) {
  return where(triangle(t, diagonal, true), t, scalar_tensor(Scalar(0), t.dtype()));
}
Tensor triu(const Tensor& t, int64_t diagonal) {
  return where(triangle(t, diagonal, false), t, scalar_tensor(Scalar(0), t.dtype()));
}

}  // namespace flambeau
