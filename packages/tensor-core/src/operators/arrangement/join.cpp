// Concatenation and stacking.
#include <cstring>

#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"

namespace flambeau {

namespace {

constexpr int64_t kMaxSerial = 32768;  // up to this number of elements, a second thread costs more than it gains

// Concatenates small contiguous tensors of one dtype on the CPU: each row of `out` consists of one row of each tensor.
// Returns false for other tensors.
bool copy_rows(const Tensor& out, const Tensors& tensors, int64_t rows) {
  if (out.numel() > kMaxSerial || out.is_meta() || cuda::runs_on_gpu(out)) return false;
  for (const Tensor& t : tensors)
    if (!t.is_contiguous() || t.dtype() != out.dtype()) return false;
  const int64_t size = item_size(out.dtype()), stride = rows ? out.numel() / rows * size : 0;
  char* to = out.bytes();
  for (const Tensor& t : tensors) {
    const int64_t length = rows ? t.numel() / rows * size : 0;
    for (int64_t row = 0; length && row < rows; ++row)
      std::memcpy(to + row * stride, t.bytes() + row * length, size_t(length));
    to += length;
  }
  return true;
}

// Returns true for one-dimensional empty tensors. As in PyTorch, they can be concatenated with tensors of any shape.
bool is_skipped(const Tensor& t) { return t.dim() == 1 && t.size(0) == 0; }

// Returns the tensor that determines the shape. The other tensors must have the same shape, except in the concatenated
// dimension.
const Tensor& model_of(const Tensors& tensors) {
  const Tensor* model = &tensors[0];
  for (const Tensor& t : tensors) {
    require(t.dim() > 0, "zero-dimensional tensor (at position ", &t - tensors.data(), ") cannot be concatenated");
    if (is_skipped(*model) && !is_skipped(t)) model = &t;
  }
  return *model;
}

// Returns the memory format of the result: channels-last if all tensors have this format, otherwise contiguous.
MemoryFormat joined_format(const Tensors& tensors, int64_t dims) {
  if (dims != 4 && dims != 5) return MemoryFormat::Contiguous;
  for (const Tensor& t : tensors)
    if (!is_skipped(t) && suggested_format(t) == MemoryFormat::Contiguous) return MemoryFormat::Contiguous;
  return dims == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
}

Shape joined_shape(const Tensors& tensors, const Tensor& model, int64_t dim) {
  Shape shape = model.shape();
  shape[dim] = 0;
  for (const Tensor& t : tensors) {
    if (is_skipped(t)) continue;
    require(t.dim() == model.dim(), "Tensors must have same number of dimensions: got ", model.dim(), " and ", t.dim());
    for (int i = 0; i < t.dim(); ++i)
      require(i == dim || t.shape()[i] == model.shape()[i], "Sizes of tensors must match except in dimension ", dim,
              ". Expected size ", model.shape()[i], " but got size ", t.shape()[i], " for tensor number ",
              &t - tensors.data(), " in the list: shapes ", model.shape(), " and ", t.shape());
    require(!__builtin_add_overflow(shape[dim], t.shape()[dim], &shape[dim]), "cat(): the sizes along dimension ", dim,
            " add up to more than 2**63 - 1");
  }
  return shape;
}

void copy_slices(const Tensor& out, const Tensors& tensors, int64_t dim) {
  NoRecording off;
  int64_t at = 0;
  for (const Tensor& t : tensors) {
    if (is_skipped(t)) continue;
    copy_values(slice(out, dim, at, at + t.shape()[dim], 1), t);
    at += t.shape()[dim];
  }
}

// Splits the gradient into a slice for each input. Size -1 marks a skipped input.
void cut_gradient(const Context& c, const Shape& sizes, int64_t dim) {
  int64_t at = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const bool skipped = sizes[i] < 0;
    if (c.needs(int(i)))
      c.set(int(i), skipped ? zeros({0}, c.gradient().dtype()) : slice(c.gradient(), dim, at, at + sizes[i], 1));
    if (!skipped) at += sizes[i];
  }
}

void record_cat(const Tensor& out, const Tensors& tensors, int64_t dim) {
  std::vector<const Tensor*> inputs;
  Shape sizes;
  for (const Tensor& t : tensors) {
    inputs.push_back(&t);
    sizes.push_back(is_skipped(t) ? -1 : t.shape()[dim]);
  }
  const Tensor* outputs[] = {&out};
  Recording r{"Cat",
              Recording::kFresh,
              outputs,
              1,
              inputs.data(),
              int(inputs.size()),
              nullptr,
              0,
              [sizes, dim](const Context& c) { cut_gradient(c, sizes, dim); }};
  autograd_hooks->record(r);
}

Tensor joined(const Tensors& tensors, const Tensor& model, int64_t dim, MemoryFormat format) {
  Dtype dtype = tensors[0].dtype();
  bool needs = false;
  for (const Tensor& t : tensors) {
    dtype = promote(dtype, t.dtype());
    needs |= t.tracked();
  }
  const Shape shape = joined_shape(tensors, model, dim);
  const bool rows = format == MemoryFormat::Contiguous;
  const Tensor out = rows ? empty(shape, dtype) : empty_strided(shape, strides_in(format, shape), dtype);
  if (!rows || !copy_rows(out, tensors, product(Shape(shape.begin(), shape.begin() + dim))))
    copy_slices(out, tensors, dim);
  if (needs && recording_enabled()) record_cat(out, tensors, dim);
  return out;
}

}  // namespace

Tensor cat(const Tensors& tensors, int64_t dim) {
  require<ValueError>(!tensors.empty(), "cat(): expected a non-empty list of Tensors");
  const Tensor& model = model_of(tensors);
  return joined(tensors, model, is_skipped(model) ? 0 : model.wrap_dim(dim), joined_format(tensors, model.dim()));
}

const Operator cat_operator({.signature = "cat|concat|concatenate(tensors, dim=0)",
                             .forms = kFunction | kOut | kWidest,
                             .doc = R"(Join tensors along a dimension. Gradient: all tensors.

>>> flambeau.cat([flambeau.ones(2), flambeau.zeros(1)])
tensor([1., 1., 0.]))",
                             .forward = cat});

Tensor stack(const Tensors& tensors, int64_t dim) {
  require(!tensors.empty(), "stack expects a non-empty TensorList");
  dim = Tensor::wrap_dim(dim, tensors[0].dim() + 1);
  bool tracked = false;
  for (const Tensor& t : tensors) {
    require(t.shape() == tensors[0].shape(), "stack expects each tensor to be equal size, but got ", tensors[0].shape(),
            " at entry 0 and ", t.shape(), " at entry ", &t - tensors.data());
    tracked |= t.tracked();
  }
  if (!tracked || !recording_enabled()) {
    Shape shape = tensors[0].shape();
    const int64_t rows = product(Shape(shape.begin(), shape.begin() + dim));
    shape.insert(size_t(dim), int64_t(tensors.size()));
    const Tensor out = empty(shape, tensors[0].dtype());
    if (copy_rows(out, tensors, rows)) return out;
  }
  Tensors raised;
  for (const Tensor& t : tensors) raised.push_back(unsqueeze(t, dim));
  return joined(raised, raised[0], dim, MemoryFormat::Contiguous);
}

const Operator stack_operator({.signature = "stack(tensors, dim=0)",
                               .forms = kFunction | kOut | kWidest,
                               .doc = "Join tensors of the same shape along a new dimension.",
                               .forward = stack});

}  // namespace flambeau
