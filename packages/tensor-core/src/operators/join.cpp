// Joining tensors.
#include "flambeau/operators.h"

namespace flambeau {

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
  {
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
  Tensors raised;
  for (const Tensor& t : tensors) {
    require(t.shape() == tensors[0].shape(), "stack expects each tensor to be equal size, but got ", tensors[0].shape(),
            " at entry 0 and ", t.shape(), " at entry ", &t - tensors.data());
    raised.push_back(unsqueeze(t, dim));
  }
  return cat(raised, dim);
}

}  // namespace flambeau
