// Creation of views, and views that have the same elements and another shape.
#include "operators/views/view.h"

#include <algorithm>

#include "core/in_place.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"

namespace flambeau {

namespace {

// Returns the ViewKind of a view of `viewed`. If `viewed` is itself a view that must not be changed in place, its views
// must not be changed in place either.
ViewKind kind_of_view(const TensorImpl& viewed) {
  if (viewed.base && viewed.view_kind != ViewKind::Recorded) return viewed.view_kind;
  if (grad_enabled()) return ViewKind::Recorded;
  return inference_mode() ? ViewKind::Inference : ViewKind::NoGrad;
}

}  // namespace

Tensor make_view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset, Dtype dtype) {
  Tensor view = from_storage(t.impl()->storage, shape, strides, offset, dtype);
  if (FLAMBEAU_UNLIKELY(t.storage().inference())) return view;  // inference tensors have no graph, so no base
  view.impl()->base = t.impl()->base ? t.impl()->base : t.ref();
  view.impl()->view_kind = kind_of_view(*t.impl());
  if (FLAMBEAU_UNLIKELY(inference_mode()) && t.requires_grad() && is_inexact(dtype))
    autograd_hooks->set_requires_grad(view, true);  // as a leaf, it can be used outside inference mode
  return view;
}

void become(const Tensor& self, const Tensor& view) {
  begin_view_change(self);
  wait_for_operators();
  TensorImpl &to = *self.impl(), &from = *view.impl();
  if (to.requires_grad && grad_enabled()) {
    to.autograd->grad_fn = meta_of(view).grad_fn;
    to.autograd->output_index = meta_of(view).output_index;
  }
  if (FLAMBEAU_UNLIKELY(to.dual)) autograd_hooks->adopt_tangents(self, view);
  to.shape = from.shape;
  to.strides = from.strides;
  to.offset = from.offset;
  to.update_geometry();
}

namespace {

// Replaces one size of -1 by the size that follows from the number of elements.
Shape infer(const Shape& size, int64_t numel, const char* name) {
  Shape out = size;
  int64_t known = 1, unknown = -1;
  for (size_t i = 0; i < out.size(); ++i) {
    if (out[i] == -1) {
      require(unknown < 0, name, ": only one dimension can be inferred, got ", size);
      unknown = int64_t(i);
    } else {
      require(out[i] >= 0, name, ": invalid shape dimension ", out[i], " in ", size);
      require(!__builtin_mul_overflow(known, out[i], &known), name, ": the shape ", size, " is too large");
    }
  }
  if (unknown >= 0) {
    require(known != 0, name, ": cannot reshape tensor of ", numel, " elements into shape ", size,
            " because the unspecified dimension size -1 can be any value and is ambiguous");
    if (numel % known == 0) out[size_t(unknown)] = numel / known;
    known *= out[size_t(unknown)];
  }
  require(known == numel, "shape '", size, "' is invalid for input of size ", numel);
  return out;
}

// Returns the strides of a view of t with the shape `size`, or nothing if this shape requires a copy.
std::optional<Shape> view_strides(const Tensor& t, const Shape& size) {
  if (t.is_contiguous()) return contiguous_strides(size);
  Shape strides(size.size());
  int64_t chunk_base = t.dim() ? t.strides()[t.dim() - 1] : 1, chunk = 1, viewed = 1;
  int d = int(size.size()) - 1;
  for (int i = t.dim() - 1; i >= 0; --i) {
    chunk *= t.shape()[i];
    if (i > 0 && (t.shape()[i - 1] == 1 || t.strides()[i - 1] == chunk * chunk_base)) continue;
    while (d >= 0 && (viewed < chunk || size[d] == 1)) {
      strides[d] = viewed * chunk_base;
      viewed *= size[d--];
    }
    if (viewed != chunk) return std::nullopt;
    if (i > 0) {
      chunk_base = t.strides()[i - 1];
      chunk = viewed = 1;
    }
  }
  if (d != -1) return std::nullopt;
  return strides;
}

}  // namespace

Tensor view(const Tensor& t, const Shape& size) {
  const Shape shape = infer(size, t.numel(), "view");
  const std::optional<Shape> strides = view_strides(t, shape);
  require(strides.has_value(),
          "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
          "contiguous subspaces): shape ",
          t.shape(), " with strides ", t.strides(), " as ", shape, ". Use .reshape(...) instead.");
  return recorded("View", t, make_view(t, shape, *strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return reshape(g, from); });
}

Tensor view_dtype(const Tensor& t, Dtype dtype) {
  const int64_t from = item_size(t.dtype()), to = item_size(dtype);
  Shape shape = t.shape(), strides = t.strides();
  int64_t offset = t.offset();
  if (from != to) {
    require(t.dim() > 0, "self.dim() cannot be 0 to view ", t.dtype(), " as ", dtype, " (different element sizes)");
    require(strides.back() == 1, "self.stride(-1) must be 1 to view ", t.dtype(), " as ", dtype,
            " (different element sizes), but got ", strides.back());
    const int64_t ratio = std::max(from, to) / std::min(from, to);
    auto fit = [&](int64_t& v, const auto&... what) {
      require(from > to || v % ratio == 0, what..., " must be divisible by ", ratio, " to view ", t.dtype(), " as ",
              dtype, " (different element sizes), but got ", v);
      v = from > to ? v * ratio : v / ratio;
    };
    fit(shape.back(), "self.size(-1)");
    fit(offset, "self.storage_offset()");
    for (size_t i = 0; i + 1 < strides.size(); ++i) fit(strides[i], "self.stride(", i, ")");
  }
  return from_storage(t.impl()->storage, shape, strides, offset, dtype);
}

const Operator view_operator({.signature = "view(input, *size|dtype)",
                              .forms = kMethod | kCopy,
                              .doc = "Return a view with another shape; one size may be -1 and is inferred. With a "
                                     "dtype, reinterpret the bytes as that dtype.",
                              .forward =
                                  [](const Tensor& t, const std::variant<Dtype, Shape>& given) {
                                    const Shape* const size = std::get_if<Shape>(&given);
                                    return size ? view(t, *size) : view_dtype(t, std::get<Dtype>(given));
                                  },
                              .reference = "input.reshape(size)",
                              .samples = "f(2, 6), (3, 4); f(2, 6), -1; f(1), ()"});

Tensor reshape(const Tensor& t, const Shape& size) {
  const Shape shape = infer(size, t.numel(), "reshape");
  const std::optional<Shape> strides = view_strides(t, shape);
  if (!strides) {  // the result is a copy with its own memory, so it is not a view
    const Tensor copy = contiguous(t);
    return recorded("UnsafeView", copy,
                    from_storage(copy.impl()->storage, shape, contiguous_strides(shape), copy.offset(), copy.dtype()),
                    [from = t.shape()](const Tensor& g) { return reshape(g, from); });
  }
  return recorded("View", t, make_view(t, shape, *strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return reshape(g, from); });
}

const Operator reshape_operator({.signature = "reshape(input, *shape)",
                                 .forms = kFunction | kMethod,
                                 .doc = "Return the tensor with another shape, as a view if possible.",
                                 .forward = reshape,
                                 .reference = "np.reshape(input, shape)",
                                 .samples = "f(2, 6), (3, -1); f(0, 3), (3, 0)"});

const Operator ravel_operator(
    {.signature = "ravel(input)",
     .forms = kFunction | kMethod,
     .doc = "Flatten to one dimension. The result is contiguous. It is a view if the input is contiguous.",
     .forward = [](const Tensor& t) { return reshape(contiguous(t), {-1}); },
     .reference = "input.ravel()",
     .samples = "f(2, 3); f()"});

const Operator reshape_as_operator({.signature = "reshape_as(input, other)",
                                    .forms = kMethod,
                                    .doc = "Return the tensor with the shape of other, like reshape(other.shape).",
                                    .forward = [](const Tensor& t,
                                                  const Tensor& other) { return reshape(t, other.shape()); },
                                    .reference = "input.reshape(other.shape)",
                                    .samples = "f(2, 6), f(3, 4)"});

const Operator view_as_operator({.signature = "view_as(input, other)",
                                 .forms = kMethod,
                                 .doc = "Return a view with the shape of other, like view(other.shape).",
                                 .forward = [](const Tensor& t, const Tensor& other) { return view(t, other.shape()); },
                                 .reference = "input.reshape(other.shape)",
                                 .samples = "f(2, 6), f(3, 4)"});

Tensor flatten(const Tensor& t, int64_t start_dim, int64_t end_dim) {
  start_dim = t.wrap_dim(start_dim);
  end_dim = t.wrap_dim(end_dim);
  require(start_dim <= end_dim, "flatten() has invalid args: start_dim cannot come after end_dim");
  if (t.dim() == 0) return reshape(t, {1});

  if (start_dim == end_dim) return t;
  Shape shape(t.shape().begin(), t.shape().begin() + start_dim);
  shape.push_back(1);
  for (int64_t i = start_dim; i <= end_dim; ++i) shape.back() *= t.shape()[i];
  shape.append(t.shape().begin() + end_dim + 1, t.shape().end());
  return reshape(t, shape);
}

const Operator flatten_operator({.signature = "flatten(input, start_dim=0, end_dim=-1)",
                                 .forms = kFunction | kMethod,
                                 .doc = "Merge the dimensions start_dim to end_dim into one.",
                                 .forward = flatten,
                                 .reference = "input.reshape(2, 12) if start_dim else input.reshape(-1)",
                                 .samples = "f(2, 3, 4); f(2, 3, 4), 1"});

Tensor unflatten(const Tensor& t, int64_t dim, const Shape& sizes) {
  dim = t.wrap_dim(dim);
  require(!sizes.empty(), "unflatten: sizes must be non-empty");
  const Shape inner = infer(sizes, t.size(dim), "unflatten");
  Shape shape(t.shape().begin(), t.shape().begin() + dim);
  shape.append(inner.begin(), inner.end());
  shape.append(t.shape().begin() + dim + 1, t.shape().end());
  return view(t, shape);
}

const Operator unflatten_operator({.signature = "unflatten(input, dim, sizes)",
                                   .forms = kFunction | kMethod,
                                   .doc = "Return a view with one dimension split into several.",
                                   .forward = unflatten,
                                   .reference = "input.reshape(2, 2, 3) if dim == 1 else input.reshape(2, 3, 4)",
                                   .samples = "f(2, 6), 1, (2, 3); f(6, 4), 0, (2, -1)"});

}  // namespace flambeau
