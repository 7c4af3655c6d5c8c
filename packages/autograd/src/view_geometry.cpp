#include "view_geometry.h"

#include <algorithm>

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

bool ViewGeometry::may_share_memory() const {
  Shape order(shape.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return strides[a] < strides[b]; });
  int64_t end = 1;  // number of positions that the smaller strides reach
  for (const int64_t d : order) {
    if (shape[d] == 1) continue;
    if (strides[d] < end) return true;
    end += (shape[d] - 1) * strides[d];
  }
  return false;
}

Tensor ViewGeometry::base_gradient(const Tensor& gradient) const {
  const Tensor whole = base_zeros();
  if (gradient.numel() == 0) return whole;
  if (!may_share_memory()) {
    copy_(part_of(whole), gradient);
    return whole;
  }
  const Tensor memory = view(reinterpreted(Tensor(whole.impl()->base)), {-1});
  const Tensor positions = arange(Scalar(0), Scalar(memory.numel()), Scalar(1), Dtype::int64);
  const Tensor index = reshape(as_strided(positions, shape, strides, offset), {-1});
  index_add(memory, 0, index, reshape(gradient, {-1}), Write::InPlace);
  return whole;
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
