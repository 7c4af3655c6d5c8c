#include "view_geometry.h"

namespace flambeau::autograd {

namespace {

int64_t elements(int64_t n, Dtype from, Dtype to) {
  return is_complex(from) == is_complex(to) ? n : is_complex(from) ? 2 * n : n / 2;
}

}  // namespace

ViewGeometry ViewGeometry::of(const Tensor& view, const Tensor& base) {
  return {base.shape(),
          base.strides(),
          view.shape(),
          view.strides(),
          view.offset() - elements(base.offset(), base.dtype(), view.dtype()),
          base.dtype(),
          view.dtype()};
}

Tensor ViewGeometry::base_zeros() const {
  int64_t extent = 1;
  for (size_t i = 0; i < base_shape.size(); ++i) {
    if (base_shape[i] == 0) return zeros(base_shape, base_dtype);
    extent += (base_shape[i] - 1) * base_strides[i];
  }
  const Tensor memory = zeros({extent}, base_dtype);
  return as_strided(memory, base_shape, base_strides, 0);
}

Tensor ViewGeometry::base_copy(const Tensor& gradient) const {
  if (base_strides == contiguous_strides(base_shape)) return clone(gradient);
  const Tensor whole = base_zeros();
  copy_(whole, gradient);
  return whole;
}

Tensor ViewGeometry::part_of(const Tensor& whole) const {
  const Tensor root = whole.impl()->base ? Tensor(whole.impl()->base) : whole;
  return as_strided(reinterpreted(root), shape, strides, elements(whole.offset(), base_dtype, dtype) + offset);
}

Tensor ViewGeometry::reinterpreted(const Tensor& root) const {
  if (is_complex(base_dtype) == is_complex(dtype)) return root;
  if (is_complex(base_dtype)) return view_as_real(root);
  return view_as_complex(view(narrow(view(root, {-1}), 0, 0, root.numel() / 2 * 2), {-1, 2}));
}

}  // namespace flambeau::autograd
