// Joining tensors.
#include <cstring>

#include "flambeau/cuda.h"
#include "flambeau/operators.h"

namespace flambeau {

namespace {

constexpr int64_t kFew = 32768;  // elements that one thread copies before another could have begun

// Contiguous tensors of one dtype beside each other: each gives a row to every row of `out`.
bool copy_rows(const Tensor& out, const Tensors& tensors, int64_t rows) {
  if (out.numel() > kFew || out.is_meta() || cuda::takes(out)) return false;
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

}  // namespace

Tensor cat(const Tensors& tensors, int64_t dim) {
  require<ValueError>(!tensors.empty(), "cat(): expected a non-empty list of Tensors");
  // One-dimensional empty tensors join anything, as in PyTorch.
  auto skipped = [](const Tensor& t) { return t.dim() == 1 && t.size(0) == 0; };
  const Tensor* model = &tensors[0];
  Dtype dtype = tensors[0].dtype();
  for (const Tensor& t : tensors) {
    require(t.dim() > 0, "zero-dimensional tensor (at position ", &t - tensors.data(), ") cannot be concatenated");
    if (skipped(*model) && !skipped(t)) model = &t;
    dtype = promote(dtype, t.dtype());
  }
  dim = model->wrap_dim(dim);
  Shape shape = model->shape();
  shape[dim] = 0;
  bool needs = false;
  for (const Tensor& t : tensors) {
    needs |= t.tracked();
    if (skipped(t)) continue;
    require(t.dim() == model->dim(), "Tensors must have same number of dimensions: got ", model->dim(), " and ",
            t.dim());
    for (int i = 0; i < t.dim(); ++i)
      require(i == dim || t.shape()[i] == model->shape()[i], "Sizes of tensors must match except in dimension ", dim,
              ". Expected size ", model->shape()[i], " but got size ", t.shape()[i], " for tensor number ",
              &t - tensors.data(), " in the list: shapes ", model->shape(), " and ", t.shape());
    shape[dim] += t.shape()[dim];
  }
  Tensor out = empty(shape, dtype);
  const bool copied = copy_rows(out, tensors, product(Shape(shape.begin(), shape.begin() + dim)));
  if (!copied) {
    NoRecording off;
    int64_t at = 0;
    for (const Tensor& t : tensors) {
      if (skipped(t)) continue;
      copy_values(slice(out, dim, at, at + t.shape()[dim], 1), t);
      at += t.shape()[dim];
    }
  }
  if (needs && recording_enabled()) {
    std::vector<const Tensor*> inputs;
    Shape sizes;
    for (const Tensor& t : tensors) {
      inputs.push_back(&t);
      sizes.push_back(skipped(t) ? -1 : t.shape()[dim]);
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
                [sizes, dim](const Context& c) {
                  int64_t at = 0;
                  for (size_t i = 0; i < sizes.size(); ++i) {
                    if (sizes[i] < 0) {
                      if (c.needs(int(i))) c.set(int(i), zeros({0}, c.gradient().dtype()));
                      continue;
                    }
                    if (c.needs(int(i))) c.set(int(i), slice(c.gradient(), dim, at, at + sizes[i], 1));
                    at += sizes[i];
                  }
                }};
    autograd_hooks->record(r);
  }
  return out;
}

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
  return cat(raised, dim);
}

}  // namespace flambeau
