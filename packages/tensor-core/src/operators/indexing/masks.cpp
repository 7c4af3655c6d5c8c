// Masks: positions of true elements, and reading and writing at these positions. Also take() and put(), which index the
// flattened tensor.
#include <cstring>
#include <optional>

#include "core/in_place.h"
#include "cuda/indexing.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

namespace {

constexpr int64_t kChunk = 16384;

// A mask that is divided into chunks. The number of true elements before each chunk is known, so that threads can
// process chunks independently.
struct Chunks {
  const uint8_t* flags;
  int64_t total, chunks;
  Shape before;  // number of true elements before each chunk, and the total number at the end

  explicit Chunks(const Tensor& mask)
      : flags(mask.data<uint8_t>()),
        total(mask.numel()),
        chunks((total + kChunk - 1) / kChunk),
        before(size_t(chunks) + 1) {
    parallel_items(chunks, 4, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        int64_t count = 0;
        for (int64_t i = c * kChunk; i < std::min(total, (c + 1) * kChunk); ++i) count += flags[i] != 0;
        before[size_t(c) + 1] = count;
      }
    });
    for (size_t c = 1; c < before.size(); ++c) before[c] += before[c - 1];
  }
  int64_t count() const { return before.back(); }

  // Calls body(position, number of true elements before it) for every true element.
  template <class F>
  void visit(const F& body) const {
    parallel_items(chunks, 4, [&](int64_t begin, int64_t end) {
      int64_t n = before[size_t(begin)];
      for (int64_t i = begin * kChunk; i < std::min(total, end * kChunk); ++i)
        if (flags[i]) body(i, n++);
    });
  }
};

Tensor as_mask(const Tensor& t) { return contiguous(t.dtype() == Dtype::bool_ ? t : ne(t, Scalar(0))); }

// Returns the positions of the true elements of a contiguous mask on a GPU, as blocks of one element.
Blocks true_blocks(const Tensor& mask) {
  Blocks b;
  b.offsets = cuda::true_positions(mask, {});
  b.count = b.offsets.numel();
  b.distinct = true;
  return b;
}

// Writes the index of each dimension. `stride` is the distance between the indices of two dimensions.
void write_position(int64_t* to, int64_t stride, int64_t position, const Shape& shape) {
  for (size_t d = shape.size(); d-- > 0;) {
    const int64_t next = d ? position / shape[d] : 0;
    to[int64_t(d) * stride] = position - next * shape[d];
    position = next;
  }
}

}  // namespace

// The indices of each dimension are contiguous, as those of PyTorch, because most programs use the columns.
Tensor nonzero(const Tensor& t) {
  NoRecording off;
  const Tensor mask = as_mask(t);
  if (cuda::runs_on_gpu(mask)) return transpose(cuda::coordinates(cuda::true_positions(mask, {}), t.shape()), 0, 1);
  const Chunks chunks(mask);
  const int64_t count = chunks.count();
  const Tensor columns = empty({t.dim(), count}, Dtype::int64);
  int64_t* to = columns.data<int64_t>();
  const Shape& shape = t.shape();
  if (t.dim() == 1)
    chunks.visit([=](int64_t position, int64_t n) { to[n] = position; });
  else
    chunks.visit([=, &shape](int64_t position, int64_t n) { write_position(to + n, count, position, shape); });
  return transpose(columns, 0, 1);
}

const Operator argwhere_operator({.signature = "argwhere(input)",
                                  .forms = kFunction | kMethod,
                                  .doc = "Return the indices of the elements that are not 0, one row for each element.",
                                  .forward = nonzero,
                                  .reference = "np.argwhere(input)",
                                  .samples = "i(3, 4) // 5; b(2, 3, 2)"});

Tensor nonzero_static(const Tensor& t, int64_t size, int64_t fill_value) {
  require(size >= 0, "nonzero_static: 'size' must be an non-negative integer, got ", size);
  const Tensor out = full({size, t.dim()}, Scalar(fill_value), Dtype::int64), found = nonzero(t);
  const int64_t n = std::min(size, found.shape()[0]);
  if (n > 0) copy_values(narrow(out, 0, 0, n), narrow(found, 0, 0, n));
  return out;
}

const Operator nonzero_static_operator(
    {.signature = "nonzero_static(input, *, size, fill_value=-1)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = "Return the first `size` rows of nonzero(input). If there are fewer rows, append rows of fill_value.",
     .forward = nonzero_static});

namespace {

// Returns the elements of `from` at the true elements of `flags`. Both tensors are contiguous and have the same shape.
Tensor selected(const Tensor& from, const Tensor& flags) {
  if (cuda::runs_on_gpu(from)) {
    const Blocks picked = true_blocks(flags);
    const Tensor out = empty({picked.count}, from.dtype());
    load_blocks(from, picked, out);
    return out;
  }
  const Chunks chunks(flags);
  const Tensor out = empty({chunks.count()}, from.dtype());
  dispatch_size(item_size(from.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    chunks.visit([in = from.data<T>(), to = out.data<T>()](int64_t position, int64_t n) { to[n] = in[position]; });
  });
  return out;
}

}  // namespace

Tensor masked_select(const Tensor& t, const Tensor& mask) {
  require(mask.dtype() == Dtype::bool_, "masked_select: expected BoolTensor for mask, got ", mask.dtype());
  const Shape shape = broadcast(t.shape(), mask.shape());
  Tensor out;
  {
    NoRecording off;
    out = selected(contiguous(expand(t, shape)), contiguous(expand(mask, shape)));
  }
  if (recording(t))
    record("MaskedSelect", out, {&t}, {&mask}, [shape](const Context& c) {
      c.set(0, masked_scatter(zeros(shape, c.gradient().dtype()), expand(c.saved(0), shape), c.gradient(),
                              Write::InPlace));
    });
  return out;
}

const Operator masked_select_operator({.signature = "masked_select(input, mask)",
                                       .forms = kFunction | kMethod | kOut | kExactOut,
                                       .doc = "Return the elements where mask is true as a vector. Gradient: input.",
                                       .forward = masked_select,
                                       .reference = "input[mask]",
                                       .samples = "f(3, 4), b(3, 4); i(3, 4), b(3, 4)"});

namespace {

// The positions of the true elements of a contiguous mask. Values are written to these positions in order.
class MaskedPositions {
 public:
  explicit MaskedPositions(const Tensor& flags) : on_gpu_(cuda::runs_on_gpu(flags)) {
    if (on_gpu_)
      blocks_ = true_blocks(flags);
    else
      chunks_.emplace(flags);
  }
  int64_t count() const { return on_gpu_ ? blocks_.count : chunks_->count(); }

  void write(const Tensor& out, const Tensor& values) const {
    if (on_gpu_) return store_blocks(out, blocks_, values, Combine::Assign);
    dispatch_size(item_size(out.dtype()), [&](auto tag) {
      using T = typename decltype(tag)::type;
      chunks_->visit(
          [in = values.data<T>(), to = out.data<T>()](int64_t position, int64_t n) { to[position] = in[n]; });
    });
  }

 private:
  bool on_gpu_;
  std::optional<Chunks> chunks_;  // on the CPU
  Blocks blocks_;                 // on a GPU
};

void masked_scatter_derivative(const Context& c, const Shape& source) {
  const Tensor &g = c.gradient(), &mask = c.saved(0);
  if (c.needs(0)) c.set(0, masked_fill(g, mask, Scalar(0)));
  if (!c.needs(1)) return;
  const Tensor used = masked_select(g, mask), whole = zeros({product(source)}, g.dtype());
  copy_(narrow(whole, 0, 0, used.numel()), used);
  c.set(1, reshape(whole, source));
}

}  // namespace

Tensor masked_scatter(const Tensor& t, const Tensor& mask, const Tensor& source, Write write) {
  require(t.dtype() == source.dtype(), "masked_scatter: expected self and source to have same dtypes but got ",
          t.dtype(), " and ", source.dtype());
  require(mask.dtype() == Dtype::bool_, "masked_scatter_ only supports boolean masks, but got mask with dtype ",
          mask.dtype());
  if (write == Write::Fresh) {
    const Shape shape = broadcast(t.shape(), mask.shape());
    return masked_scatter(clone(expand(t, shape)), mask, source, Write::InPlace);
  }
  Tensor flags, values;
  {
    NoRecording off;
    flags = contiguous(expand(mask, t.shape()));
    values = without_overlap(source, t);
  }
  const MaskedPositions positions(flags);
  require(positions.count() <= values.numel(),
          "Number of elements of source < number of ones in mask: ", values.numel(), " and ", positions.count());
  begin_inplace(t, "masked_scatter_", source.requires_grad());
  const Tensor out = t.is_contiguous() ? t : [&] {
    NoRecording off;
    return clone(t);
  }();
  positions.write(out, values);
  if (!out.same(t)) copy_values(t, out);
  if (recording(t, source))
    record(
        "MaskedScatter", t, {&t, &source}, {&mask},
        [shape = source.shape()](const Context& c) { masked_scatter_derivative(c, shape); }, Recording::kInPlace);
  return t;
}

namespace {

// Writes the value to the elements where the mask is true. If an element of an expanded tensor is repeated, it is
// written if the mask is true for any of its repetitions.
void fill_masked(const Tensor& t, const Tensor& mask, const Tensor& value, bool expanded) {
  NoRecording off;
  if (!expanded) return copy_values(t, where(mask, value, t));
  const Tensor unique = without_repeats(t);
  const Tensor any_mask = gt(sum_to(to(expand(mask, t.shape()), Dtype::int64), unique.shape()), Scalar(0));
  copy_values(unique, where(any_mask, value, unique));
}

}  // namespace

Tensor masked_fill(const Tensor& t, const Tensor& mask, const Operand& value, Write write) {
  require(mask.dtype() == Dtype::bool_, "masked_fill_ only supports boolean masks, but got mask with dtype ",
          mask.dtype());
  require(!value.tensor || value.tensor->dim() == 0,
          "masked_fill_ only supports a 0-dimensional value tensor, but got tensor with ",
          value.tensor ? value.tensor->dim() : 0, " dimension(s).");
  require(value.tensor || fits(value.scalar, t.dtype()), "value ", value.scalar, " cannot be converted to type ",
          t.dtype(), " without overflow");
  require(!value.tensor || is_complex(t.dtype()) || !is_complex(value.tensor->dtype()), "value of type ",
          value.tensor ? value.tensor->dtype() : t.dtype(), " cannot be converted to type ", t.dtype(),
          " without overflow");
  const Tensor filling = value.tensor ? to(*value.tensor, t.dtype()) : scalar_tensor(value.scalar, t.dtype());
  if (write == Write::Fresh)  // the result is row-major for every layout of the input and the mask
    return where(mask.shape() == t.shape() ? contiguous(mask) : mask, filling, contiguous(t));
  require(broadcast(t.shape(), mask.shape()) == t.shape(), "output with shape ", t.shape(),
          " doesn't match the broadcast shape of the mask ", mask.shape());
  reject_overlap(t, mask, true);
  const bool expanded = warn_if_expanded(t, "masked_fill_", "tensor[mask] = scalar");
  begin_overlapping_change(t, "masked_fill_", filling.requires_grad());
  fill_masked(t, mask, filling, expanded);
  if (recording(t, filling))
    record(
        "MaskedFill", t, {&t, &filling}, {&mask},
        [](const Context& c) {
          const Tensor &g = c.gradient(), &mask = c.saved(0);
          if (c.needs(0)) c.set(0, masked_fill(g, mask, Scalar(0)));
          if (c.needs(1)) c.set(1, where(mask, g, zeros({}, g.dtype())));
        },
        Recording::kInPlace);
  return t;
}

// take() and put(), whose indices refer to the flattened tensor.

namespace {

Tensor flat_index(const Tensor& t, const Tensor& index, const char* name) {
  require(index.dtype() == Dtype::int64, name, "(): Expected a long tensor for index, but got ", index.dtype());
  const int64_t n = t.numel();
  require<IndexError>(n > 0 || index.numel() == 0, name, "(): tried to take from an empty tensor");
  const Tensor i = index.dim() == 1 ? index : reshape(index, {index.numel()});
  try {
    if (!check_range<IndexError>(i, n, NegativeIndex::FromEnd, "", 0)) return i;
  } catch (const IndexError& e) {
    require<IndexError>(false, "out of range: tried to access a position of a tensor of ", n, " elements: ", e.what());
  }
  return where(lt(i, Scalar(0)), add(i, Scalar(n)), i);
}

}  // namespace

Tensor take(const Tensor& t, const Tensor& index) {
  const Tensor taken = index_select(t.dim() == 1 ? t : reshape(t, {t.numel()}), 0, flat_index(t, index, "take"));
  return index.dim() == 1 ? taken : reshape(taken, index.shape());
}

const Operator take_operator({.signature = "take(input, index)",
                              .forms = kFunction | kMethod | kOut | kExactOut,
                              .doc = "Return the elements at `index` of the flattened input. Gradient: input.",
                              .forward = take,
                              .reference = "np.take(input, index)",
                              .samples = "f(2, 3), k(6, 2, 2); f(5), k(5)"});

Tensor put(const Tensor& t, const Tensor& index, const Tensor& source, bool accumulate, Write write) {
  require(t.dtype() == source.dtype(),
          "put_(): self and source expected to have the same dtype, but got self.dtype = ", t.dtype(),
          " and source.dtype = ", source.dtype());
  require<IndexError>(
      source.numel() == index.numel(),
      "put_(): Expected source and index to have the same number of elements, but got source.numel() = ",
      source.numel(), ", index.numel() = ", index.numel());
  const Tensor i = flat_index(t, index, "put_");
  if (write == Write::InPlace) reject_overlap(t, source);
  const Tensor out = write == Write::Fresh ? clone(t) : t;
  if (index.numel() == 0 && !recording(t, source)) {  // nothing is written
    if (write == Write::InPlace) begin_inplace(t, "put_");
    return out;
  }
  const Tensor values = reshape(source, {source.numel()});

  if (out.is_contiguous())
    index_put(view(out, {out.numel()}), {i}, values, accumulate, Write::InPlace);
  else
    copy_(out, reshape(index_put(reshape(out, {out.numel()}), {i}, values, accumulate), out.shape()));
  return out;
}

namespace {

Tensor put_flat(Write write, const Tensor& t, const Tensor& index, const Tensor& source, bool accumulate) {
  return put(t, index, source, accumulate, write);
}
Tensor fill_mask(Write write, const Tensor& t, const Tensor& mask, const Operand& value) {
  return masked_fill(t, mask, value, write);
}
Tensor scatter_mask(Write write, const Tensor& t, const Tensor& mask, const Tensor& source) {
  return masked_scatter(t, mask, source, write);
}

const Operator put_operator(
    {.signature = "put(input, index, source, accumulate=False)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(Write source (or add it, if accumulate is true) at `index` into the flattened input.

Gradient: input and source.

>>> flambeau.put(flambeau.zeros(2, 2), flambeau.tensor([3, 0]), flambeau.tensor([1.0, 2.0]))
tensor([[2., 0.],
        [0., 1.]]))",
     .forward = writing<put_flat, Write::Fresh>,
     .in_place = writing<put_flat, Write::InPlace>,
     .reference = "(lambda out: (np.add.at(out.reshape(-1), index, source) if accumulate else np.put(out, index, "
                  "source)) or out)(input.copy())",
     .samples = "f(3, 4), np.array([5, 0, -1]), f(3); f(3, 4), k(12, 2, 3), f(2, 3), True"});

const Operator nonzero_operator(
    {.signature = "nonzero(input, *, as_tuple=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Return the indices of nonzero elements, as rows or, with as_tuple, as one tensor for each dimension.

>>> flambeau.nonzero(flambeau.tensor([[0, 1], [2, 0]]))
tensor([[0, 1],
        [1, 0]]))",
     .forward = [](const Tensor& t, bool as_tuple) -> TensorOrTensors {
       if (!as_tuple) return nonzero(t);
       return unbind(nonzero(t.dim() ? t : reshape(t, {1})), 1);
     },
     .reference = "np.nonzero(input) if as_tuple else np.argwhere(input)",
     .samples = "b(3, 4); i(5), as_tuple=True"});

const Operator masked_fill_operator(
    {.signature = "masked_fill(input, mask, value)",
     .forms = kFunction | kMethod | kOut,
     .doc = R"(Replace the elements where mask is true with a number or a 0-d tensor. Gradient: input and value.

>>> flambeau.masked_fill(flambeau.tensor([1, 2]), flambeau.tensor([True, False]), 0)
tensor([0, 2]))",
     .forward = writing<fill_mask, Write::Fresh>,
     .in_place = writing<fill_mask, Write::InPlace>,
     .reference = "np.where(mask, value, input)",
     .samples = "f(3, 4), b(3, 4), 2.5; f(3, 4), b(4), -1; i(3), b(3), 2"});

const Operator masked_scatter_operator(
    {.signature = "masked_scatter(input, mask, source)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(Replace the elements where mask is true with elements of source, in order. Gradient: input and source.

>>> flambeau.masked_scatter(flambeau.zeros(3), flambeau.tensor([True, False, True]), flambeau.tensor([1.0, 2.0]))
tensor([1., 0., 2.]))",
     .forward = writing<scatter_mask, Write::Fresh>,
     .in_place = writing<scatter_mask, Write::InPlace>,
     .reference = "(lambda out: np.place(out, mask, source.ravel()) or out)(input.copy())",
     .samples = "f(3, 4), b(3, 4), f(3, 4); i(5), b(5), i(6)"});

}  // namespace

}  // namespace flambeau
