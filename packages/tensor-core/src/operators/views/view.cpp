// Views: another shape and strides over the same storage. Each with its derivative beside it.
#include "operators/views/view.h"

#include <algorithm>

#include "flambeau/interpreter.h"
#include "flambeau/operator.h"

namespace flambeau {

Tensor make_view(const Tensor& t, const Shape& shape, const Shape& strides, int64_t offset, Dtype dtype) {
  Tensor view = from_storage(t.impl()->storage, shape, strides, offset, dtype);
  view.impl()->base = t.impl()->base ? t.impl()->base : t.ref();
  view.impl()->view_kind = !grad_enabled()  ? (inference_mode() ? ViewKind::Inference : ViewKind::NoGrad)
                           : t.impl()->base ? t.impl()->view_kind
                                            : ViewKind::Recorded;
  return view;
}

void become(const Tensor& self, const Tensor& view) {
  wait_for_operators();
  TensorImpl &to = *self.impl(), &from = *view.impl();
  if (to.requires_grad && grad_enabled()) {
    require(bool(to.autograd->grad_fn),
            "a leaf Variable that requires grad is being used in an in-place operation; do it under no_grad()");
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

Shape wrapped(const Tensor& t, const Shape& dims, const char* name) {
  Shape out = dims;
  uint64_t seen = 0;
  for (int64_t& d : out) {
    d = t.wrap_dim(d);
    require(!(seen >> d & 1), name, ": dim ", d, " appears multiple times in the list of dims");
    seen |= uint64_t(1) << d;
  }
  return out;
}

// Resolves one -1 in `size`.
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
    require(known != 0, name, ": cannot infer the size of dimension ", unknown, " of ", size,
            " because the other dimensions hold no elements: the unspecified dimension size -1 can be any value");
    if (numel % known == 0) out[size_t(unknown)] = numel / known;
    known *= out[size_t(unknown)];
  }
  require(known == numel, "shape '", size, "' is invalid for input of size ", numel);
  return out;
}

// Strides that show `t` as `size` without a copy, if there are any.
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
    auto fit = [&](int64_t& v, const char* what) {
      require(from > to || v % ratio == 0, what, " ", v, " must be divisible by ", ratio, " to view ", t.dtype(),
              " as ", dtype);
      v = from > to ? v * ratio : v / ratio;
    };
    fit(shape.back(), "self.size(-1)");
    fit(offset, "self.storage_offset()");
    for (size_t i = 0; i + 1 < strides.size(); ++i) fit(strides[i], "a stride");
  }
  return from_storage(t.impl()->storage, shape, strides, offset, dtype);
}

const Operator view_operator(
    {.signature = "view(input, *size|dtype)",
     .forms = kMethod | kCopy,
     .doc = "Another shape over the same memory, -1 for one inferred size; with a dtype, the bytes read as that dtype.",
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
  if (!strides) return view(clone(t), shape);
  return recorded("View", t, make_view(t, shape, *strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return reshape(g, from); });
}

const Operator reshape_operator({.signature = "reshape(input, *shape)",
                                 .forms = kFunction | kMethod,
                                 .doc = "Another shape, a view where possible.",
                                 .forward = reshape,
                                 .reference = "np.reshape(input, shape)",
                                 .samples = "f(2, 6), (3, -1); f(0, 3), (3, 0)"});

Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1) {
  dim0 = t.wrap_dim(dim0);
  dim1 = t.wrap_dim(dim1);
  Shape shape = t.shape(), strides = t.strides();
  if (t.dim() > 0) {
    std::swap(shape[dim0], shape[dim1]);
    std::swap(strides[dim0], strides[dim1]);
  }
  return recorded("Transpose", t, make_view(t, shape, strides, t.offset()),
                  [dim0, dim1](const Tensor& g) { return transpose(g, dim0, dim1); });
}

const Operator transpose_operator({.signature = "transpose(input, dim0, dim1)",
                                   .forms = kFunction | kMethod | kCopy | kBecome,
                                   .doc = "Two dimensions exchanged; a view.",
                                   .forward = transpose,
                                   .reference = "np.swapaxes(input, dim0, dim1)",
                                   .samples = "f(2, 3, 4), 0, -1; f(2, 3), 1, 1"});

const Operator swapaxes_operator({.signature = "swapaxes(input, axis0, axis1)",
                                  .forms = kFunction | kMethod | kBecome,
                                  .doc = "Two dimensions exchanged; a view.",
                                  .forward = transpose,
                                  .reference = "np.swapaxes(input, axis0, axis1)",
                                  .samples = "f(2, 3, 4), 0, 2; f(2, 3), -1, 0"});

const Operator swapdims_operator({.signature = "swapdims(input, dim0, dim1)",
                                  .forms = kFunction | kMethod | kBecome,
                                  .doc = "Two dimensions exchanged; a view.",
                                  .forward = transpose,
                                  .reference = "np.swapaxes(input, dim0, dim1)",
                                  .samples = "f(2, 3, 4), 0, 2; f(2, 3), -1, 0"});

Tensor permute(const Tensor& t, const Shape& dims) {
  require(int(dims.size()) == t.dim(),
          "permute: number of dimensions in the tensor input does not match the length of the "
          "desired ordering of dimensions i.e. input.dim() = ",
          t.dim(), " is not equal to len(dims) = ", dims.size());
  const Shape order = wrapped(t, dims, "permute");
  Shape shape(order.size()), strides(order.size()), inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) {
    shape[i] = t.shape()[order[i]];
    strides[i] = t.strides()[order[i]];
    inverse[order[i]] = int64_t(i);
  }
  return recorded("Permute", t, make_view(t, shape, strides, t.offset()),
                  [inverse](const Tensor& g) { return permute(g, inverse); });
}

const Operator permute_operator({.signature = "permute(input, *dims)",
                                 .forms = kFunction | kMethod | kCopy,
                                 .doc = "The dimensions in another order; a view.",
                                 .forward = permute,
                                 .reference = "np.transpose(input, dims)",
                                 .samples = "f(2, 3, 4), (2, 0, 1); f(2, 3, 4), (-1, 1, 0)"});

namespace {

Tensor movedim(const Tensor& t, const Shape& source, const Shape& destination) {
  require(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", source,
          " dims) should contain the same number of dims as destination (", destination, " dims)");
  Shape order(size_t(t.dim()), -1);
  uint64_t taken = 0;
  for (size_t i = 0; i < source.size(); ++i) {
    require(order[t.wrap_dim(destination[i])] < 0 && !(taken >> t.wrap_dim(source[i]) & 1),
            "movedim: repeated dim in source or destination");
    order[t.wrap_dim(destination[i])] = t.wrap_dim(source[i]);
    taken |= uint64_t(1) << t.wrap_dim(source[i]);
  }
  int64_t next = 0;
  for (int64_t& o : order) {
    if (o >= 0) continue;
    while (taken >> next & 1) ++next;
    o = next++;
  }
  return permute(t, order);
}

const Operator movedim_operator({.signature = "movedim|moveaxis(input, source, destination)",
                                 .forms = kFunction | kMethod,
                                 .doc = "Dimensions moved to other positions; a view.",
                                 .forward = movedim,
                                 .reference = "np.moveaxis(input, source, destination)",
                                 .samples = "f(2, 3, 4), 0, 2; f(2, 3, 4), (0, 1), (-1, 0)"});

}  // namespace

Tensor expand(const Tensor& t, const Shape& size) {
  require(int(size.size()) >= t.dim(), "expand: the number of sizes provided (", size.size(),
          ") must be greater or equal to the number of dimensions in the tensor (", t.dim(), ")");
  Shape shape = size, strides(size.size());
  const size_t shift = size.size() - t.shape().size();
  for (size_t i = 0; i < size.size(); ++i) {
    const int64_t own = i < shift ? 1 : t.shape()[i - shift];
    if (shape[i] == -1) {
      require(i >= shift,
              "expand: the expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ", i);
      shape[i] = own;
    }
    require(shape[i] == own || (own == 1 && shape[i] >= 0), "The expanded size of the tensor (", shape[i],
            ") must match the existing size (", own, ") at non-singleton dimension ", i, ".  Target sizes: ", size,
            ".  Tensor sizes: ", t.shape());
    strides[i] = own == 1 ? (shape[i] == 1 && i >= shift ? t.strides()[i - shift] : 0) : t.strides()[i - shift];
  }
  return recorded("Expand", t, make_view(t, shape, strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return sum_to(g, from); });
}

const Operator broadcast_to_operator({.signature = "broadcast_to(input, *size)",
                                      .forms = kFunction | kMethod,
                                      .doc = "expand(size).",
                                      .forward = expand,
                                      .reference = "np.broadcast_to(input, size)",
                                      .samples = "f(3, 1), (2, 3, 4)"});

const Operator expand_operator({.signature = "expand(input, *size)",
                                .forms = kMethod | kCopy,
                                .doc = "Dimensions of size 1 repeated without a copy; -1 keeps a size.",
                                .forward = expand,
                                .reference = "np.broadcast_to(input, size)",
                                .samples = "f(3, 1), (2, 3, 4); f(), (2,)"});

Tensor squeeze(const Tensor& t, const OptionalDims& dim) {
  uint64_t mask = ~uint64_t(0);
  if (dim) {
    mask = 0;
    for (int64_t d : wrapped(t, *dim, "squeeze")) mask |= uint64_t(1) << d;
  }
  Shape shape, strides;
  for (int i = 0; i < t.dim(); ++i) {
    if (t.shape()[i] == 1 && (mask >> i & 1)) continue;
    shape.push_back(t.shape()[i]);
    strides.push_back(t.strides()[i]);
  }
  return recorded("Squeeze", t, make_view(t, shape, strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return reshape(g, from); });
}

const Operator squeeze_operator({.signature = "squeeze(input, dim=None)",
                                 .forms = kFunction | kMethod | kCopy | kBecome,
                                 .doc = "Dimensions of size 1 left out; a view.",
                                 .forward = squeeze,
                                 .reference = "np.squeeze(input, dim)",
                                 .samples = "f(1, 3, 1); f(1, 3, 1), 0; f(1, 3, 1), (0, -1)"});

Tensor unsqueeze(const Tensor& t, int64_t dim) {
  const int64_t at = Tensor::wrap_dim(dim, t.dim() + 1);
  Shape shape = t.shape(), strides = t.strides();
  const int64_t stride = at < t.dim() ? shape[at] * strides[at] : 1;
  shape.insert(size_t(at), 1);
  strides.insert(size_t(at), stride);
  return recorded("Unsqueeze", t, make_view(t, shape, strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return reshape(g, from); });
}

const Operator unsqueeze_operator({.signature = "unsqueeze(input, dim)",
                                   .forms = kFunction | kMethod | kCopy | kBecome,
                                   .doc = "A dimension of size 1 inserted; a view.",
                                   .forward = unsqueeze,
                                   .reference = "np.expand_dims(input, dim)",
                                   .samples = "f(2, 3), 1; f(), -1"});

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
                                 .doc = "Dimensions start_dim to end_dim as one.",
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
                                   .doc = "One dimension as several; a view.",
                                   .forward = unflatten,
                                   .reference = "input.reshape(2, 2, 3) if dim == 1 else input.reshape(2, 3, 4)",
                                   .samples = "f(2, 6), 1, (2, 3); f(6, 4), 0, (2, -1)"});

Tensor select(const Tensor& t, int64_t dim, int64_t index) {
  require<IndexError>(t.dim() > 0, "select() cannot be applied to a 0-dim tensor.");
  dim = t.wrap_dim(dim);
  const int64_t size = t.shape()[dim];
  require<IndexError>(index >= -size && index < size, "index ", index, " is out of bounds for dimension ", dim,
                      " with size ", size);
  const int64_t at = index < 0 ? index + size : index;
  Shape shape = t.shape(), strides = t.strides();
  const int64_t offset = t.offset() + at * strides[dim];
  shape.erase(size_t(dim));
  strides.erase(size_t(dim));
  return recorded("Select", t, make_view(t, shape, strides, offset), [from = t.shape(), dim, at](const Tensor& g) {
    Tensor whole = zeros(from, g.dtype());
    copy_(select(whole, dim, at), g);
    return whole;
  });
}

const Operator select_operator({.signature = "select(input, dim, index)",
                                .forms = kFunction | kMethod | kCopy,
                                .doc = "One slice along a dimension, which disappears; a view.",
                                .forward = select,
                                .reference = "np.take(input, index, dim)",
                                .samples = "f(3, 4), 0, -1; f(3, 4), -1, 2"});

Tensor slice(const Tensor& t, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  require(t.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
  dim = t.wrap_dim(dim);
  require<ValueError>(step > 0, "slice step must be positive");
  const int64_t size = t.shape()[dim];
  if (start < 0) start = std::max<int64_t>(0, start + size);
  if (stop < 0) stop = std::max<int64_t>(0, stop + size);
  start = std::min(start, size);
  stop = std::clamp(stop, start, size);
  Shape shape = t.shape(), strides = t.strides();
  shape[dim] = (stop - start) / step + ((stop - start) % step != 0);
  const int64_t offset = t.offset() + start * strides[dim];
  if (step > 1 && __builtin_mul_overflow(strides[dim], step, &strides[dim]))
    strides[dim] = 0;  // at most one element is left
  return recorded("Slice", t, make_view(t, shape, strides, offset),
                  [from = t.shape(), dim, start, stop, step](const Tensor& g) {
                    Tensor whole = zeros(from, g.dtype());
                    copy_(slice(whole, dim, start, stop, step), g);
                    return whole;
                  });
}

Tensor narrow(const Tensor& t, int64_t dim, int64_t start, int64_t length) {
  require(t.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
  require(length >= 0, "narrow(): length must be non-negative.");
  const int64_t size = t.size(dim);
  require<IndexError>(start >= -size && start <= size, "start out of range (expected to be in range of [", -size, ", ",
                      size, "], but got ", start, ")");
  if (start < 0) start += size;
  require(start <= size - length, "start (", start, ") + length (", length, ") exceeds dimension size (", size, ").");
  return slice(t, dim, start, start + length, 1);
}

using Start = std::variant<Tensor, int64_t>;

static Tensor narrow_from(const Tensor& t, int64_t dim, const Start& start, int64_t length) {
  const Tensor* const at = std::get_if<Tensor>(&start);
  if (!at) return narrow(t, dim, std::get<int64_t>(start), length);
  require(at->dim() == 0 && category(at->dtype()) == Category::Integer,
          "start must be an 0-dim integral Tensor, got shape ", at->shape(), " and dtype ", at->dtype());
  return narrow(t, dim, item(*at).integer(), length);
}

const Operator narrow_operator({.signature = "narrow(input, dim, start, length)",
                                .forms = kFunction | kMethod,
                                .doc = "A range along a dimension; a view. start: an int, or a 0-d tensor of one.",
                                .forward = narrow_from,
                                .reference = "np.take(input, np.arange(start, start + length), dim)",
                                .samples = "f(5, 3), 0, 1, 3; f(3, 4), -1, -2, 2"});

const Operator narrow_copy_operator({.signature = "narrow_copy(input, dim, start, length)",
                                     .forms = kFunction | kMethod | kOut,
                                     .doc = "A copy of a range along a dimension.",
                                     .forward =
                                         [](const Tensor& t, int64_t dim, const Start& start, int64_t length) {
                                           require<IndexError>(dim >= -t.dim(),
                                                               "Dimension out of range (expected to be in range of [",
                                                               -t.dim(), ", ", t.dim() - 1, "], but got ", dim, ")");
                                           require(dim < t.dim(), "narrow_copy: Expected dim < ", t.dim(),
                                                   " but got dim = ", dim);
                                           return clone(narrow_from(t, dim, start, length));
                                         },
                                     .reference = "np.take(input, np.arange(start, start + length), dim)",
                                     .samples = "f(5, 3), 0, 1, 3; f(3, 4), -1, -2, 2"});

Tensor diagonal(const Tensor& t, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = t.wrap_dim(dim1);
  dim2 = t.wrap_dim(dim2);
  require(dim1 != dim2, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
  const int64_t rows = t.size(dim1), columns = t.size(dim2);
  const int64_t length =
      std::max<int64_t>(0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
  const int64_t start = length == 0 ? 0 : (offset >= 0 ? offset * t.stride(dim2) : -offset * t.stride(dim1));
  Shape shape, strides;
  for (int i = 0; i < t.dim(); ++i) {
    if (i == dim1 || i == dim2) continue;
    shape.push_back(t.shape()[i]);
    strides.push_back(t.strides()[i]);
  }
  shape.push_back(length);
  strides.push_back(t.stride(dim1) + t.stride(dim2));
  return recorded("Diagonal", t, make_view(t, shape, strides, t.offset() + start),
                  [from = t.shape(), offset, dim1, dim2](const Tensor& g) {
                    Tensor whole = zeros(from, g.dtype());
                    copy_(diagonal(whole, offset, dim1, dim2), g);
                    return whole;
                  });
}

const Operator linalg_diagonal_operator(
    {.signature = "diagonal(A, *, offset=0, dim1=-2, dim2=-1)",
     .forms = kPrivate | 0,
     .doc = "The diagonals of the matrices in the last two dimensions, as flambeau.diagonal: a view.",
     .forward = diagonal,
     .module = "flambeau.linalg",
     .reference = "np.diagonal(A, offset, dim1, dim2)",
     .samples = "f(3, 4); f(2, 3, 3), offset=1"});

const Operator diagonal_operator({.signature = "diagonal(input, offset=0, dim1=0, dim2=1)",
                                  .forms = kFunction | kMethod | kCopy,
                                  .doc = "The diagonal as the last dimension; a view.",
                                  .forward = diagonal,
                                  .reference = "np.diagonal(input, offset, dim1, dim2)",
                                  .samples = "f(3, 4); f(3, 4), 1; f(2, 3, 4), -1, -2, 0"});

namespace {

// The parts as outputs of one node: their gradients are put together at once, instead of each into a tensor of zeros.
template <class F>
Tensors recorded_parts(const char* name, const Tensor& t, Tensors parts, F&& joined) {
  if (!grad_enabled()) return parts;
  for (const Tensor& part : parts)
    if (part.impl()->view_kind == ViewKind::Recorded) part.impl()->view_kind = ViewKind::OneOfSeveral;
  if (!t.requires_grad() || parts.empty()) return parts;
  const Tensor* input = &t;
  std::vector<const Tensor*> outputs;
  for (const Tensor& part : parts) outputs.push_back(&part);
  Recording r{name,
              Recording::kView,
              outputs.data(),
              int(parts.size()),
              &input,
              1,
              nullptr,
              0,
              [n = parts.size(), joined](const Context& c) {
                Tensors gradients;
                for (size_t i = 0; i < n; ++i) gradients.push_back(c.gradient(int(i)));
                c.set(0, joined(gradients));
              }};
  autograd_hooks->record(r);
  return parts;
}

}  // namespace

Tensors split(const Tensor& t, const Shape& sizes, int64_t dim) {
  dim = t.wrap_dim(dim);
  int64_t total = 0;
  for (int64_t s : sizes) {
    require(s >= 0, "split_with_sizes expects split_sizes to have only non-negative entries, but got ", sizes);
    total += s;
  }
  require(t.dim() > 0 && total == t.size(dim), "split_with_sizes expects split_sizes to sum exactly to ",
          t.dim() ? t.size(dim) : 0, " (input tensor's size at dimension ", dim, "), but got split_sizes=", sizes);
  Tensors parts;
  int64_t start = 0;
  for (int64_t s : sizes) {
    Shape shape = t.shape();
    shape[dim] = s;
    parts.push_back(make_view(t, shape, t.strides(), t.offset() + start * t.stride(dim)));
    start += s;
  }
  return recorded_parts("Split", t, std::move(parts), [dim](const Tensors& g) { return cat(g, dim); });
}

const Operator split_with_sizes_operator({.signature = "split_with_sizes(input, split_sizes, dim=0)",
                                          .forms = kFunction | kMethod | kCopy,
                                          .doc = "Parts of the given sizes; views.",
                                          .forward = split,
                                          .reference = "np.split(input, np.cumsum(split_sizes)[:-1], dim)",
                                          .samples = "f(5, 2), (1, 0, 4); f(2, 5), (2, 3), 1"});

Tensors unbind(const Tensor& t, int64_t dim) {
  require<IndexError>(t.dim() > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
  dim = t.wrap_dim(dim);
  Shape shape, strides;
  for (int i = 0; i < t.dim(); ++i) {
    if (i == dim) continue;
    shape.push_back(t.shape()[i]);
    strides.push_back(t.strides()[i]);
  }
  Tensors parts;
  for (int64_t i = 0; i < t.size(dim); ++i)
    parts.push_back(make_view(t, shape, strides, t.offset() + i * t.stride(dim)));
  return recorded_parts("Unbind", t, std::move(parts), [dim](const Tensors& g) { return stack(g, dim); });
}

const Operator unbind_operator({.signature = "unbind(input, dim=0)",
                                .forms = kFunction | kMethod | kCopy,
                                .doc = "The slices along a dimension; views.",
                                .forward = unbind,
                                .reference = "list(np.moveaxis(input, dim, 0))",
                                .samples = "f(2, 3); f(2, 3), -1"});

Tensor sum_to(const Tensor& t, const Shape& shape) {
  if (t.shape() == shape) return t;
  Shape dims;
  const int shift = t.dim() - int(shape.size());
  for (int i = 0; i < t.dim(); ++i)
    if (i < shift || (shape[i - shift] == 1 && t.shape()[i] != 1)) dims.push_back(i);
  return reshape(sum(t, dims, true, std::nullopt), shape);
}

const Operator ravel_operator({.signature = "ravel(input)",
                               .forms = kFunction | kMethod,
                               .doc = "All dimensions as one.",
                               .forward = [](const Tensor& t) { return reshape(t, {-1}); },
                               .reference = "input.ravel()",
                               .samples = "f(2, 3); f()"});

const Operator expand_as_operator({.signature = "expand_as(input, other)",
                                   .forms = kMethod,
                                   .doc = "expand(other.shape).",
                                   .forward = [](const Tensor& t,
                                                 const Tensor& other) { return expand(t, other.shape()); },
                                   .reference = "np.broadcast_to(input, other.shape)",
                                   .samples = "f(3, 1), f(2, 3, 4)"});

const Operator t_operator({.signature = "t(input)",
                           .forms = kFunction | kMethod | kCopy | kBecome,
                           .doc = "The transpose of a matrix; a view.",
                           .forward =
                               [](const Tensor& t) {
                                 require(t.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ",
                                         t.dim(), "D");
                                 return t.dim() == 2 ? transpose(t, 0, 1) : expand(t, t.shape());
                               },
                           .reference = "input.T",
                           .samples = "f(2, 3); f(4); i(3, 2)"});

const Operator reshape_as_operator({.signature = "reshape_as(input, other)",
                                    .forms = kMethod,
                                    .doc = "reshape(other.shape).",
                                    .forward = [](const Tensor& t,
                                                  const Tensor& other) { return reshape(t, other.shape()); },
                                    .reference = "input.reshape(other.shape)",
                                    .samples = "f(2, 6), f(3, 4)"});

const Operator view_as_operator({.signature = "view_as(input, other)",
                                 .forms = kMethod,
                                 .doc = "view(other.shape).",
                                 .forward = [](const Tensor& t, const Tensor& other) { return view(t, other.shape()); },
                                 .reference = "input.reshape(other.shape)",
                                 .samples = "f(2, 6), f(3, 4)"});

namespace {

// The parts of one size; the last may be smaller.
Tensors split_evenly(const Tensor& t, int64_t step, int64_t dim) {
  const int64_t total = t.size(dim);
  Shape parts;
  for (int64_t at = 0; at < total; at += step) parts.push_back(std::min(step, total - at));
  if (parts.empty()) parts.push_back(0);
  return split(t, parts, dim);
}

Tensors split_by(const Tensor& t, const std::variant<int64_t, Shape>& sizes, int64_t dim) {
  if (const Shape* given = std::get_if<Shape>(&sizes)) return split(t, *given, dim);
  const int64_t step = std::get<int64_t>(sizes), total = t.size(dim);
  require(t.dim() > 0, "split expects at least a 1-dimensional tensor");
  require(step > 0 || (step == 0 && total == 0), "split expects split_size be positive, but got split_size=", step);
  return split_evenly(t, step, dim);
}

Tensors chunk(const Tensor& t, int64_t chunks, int64_t dim) {
  require(t.dim() > 0, "chunk expects at least a 1-dimensional tensor");
  require(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t total = t.size(dim);
  return split_evenly(t, total > chunks ? (total - 1) / chunks + 1 : 1, dim);
}

Tensors changeable(Tensors parts) {
  for (const Tensor& part : parts)
    if (part.impl()->view_kind == ViewKind::OneOfSeveral) part.impl()->view_kind = ViewKind::Recorded;
  return parts;
}

const Operator split_operator(
    {.signature = "split(tensor, split_size_or_sections|split_size, dim=0)",
     .forms = kFunction | kMethod | kCopy,
     .doc = R"(Split into parts of one size, or of the given sizes, along a dimension; views.

>>> flambeau.split(flambeau.arange(5), 2)
(tensor([0, 1]), tensor([2, 3]), tensor([4])))",
     .forward = split_by,
     .reference = "np.split(tensor, range(split_size_or_sections, tensor.shape[dim], split_size_or_sections) if "
                  "isinstance(split_size_or_sections, int) else np.cumsum(split_size_or_sections)[:-1], dim)",
     .samples = "f(5, 2), 2; f(2, 5), (3, 2), 1; f(2, 5), 9, -1"});

const Operator unsafe_split_operator(
    {.signature = "unsafe_split(tensor, split_size, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Split as split() does, into parts that may be changed in place.",
     .forward = [](const Tensor& t, const std::variant<int64_t, Shape>& sizes,
                   int64_t dim) { return changeable(split_by(t, sizes, dim)); },
     .reference = "np.split(tensor, range(split_size, tensor.shape[dim], split_size), dim)",
     .samples = "f(5, 2), 2; f(2, 5), 9, -1"});

const Operator unsafe_split_with_sizes_operator(
    {.signature = "unsafe_split_with_sizes(input, split_sizes, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Split as split_with_sizes() does, into parts that may be changed in place.",
     .forward = [](const Tensor& t, const Shape& sizes, int64_t dim) { return changeable(split(t, sizes, dim)); },
     .reference = "np.split(input, np.cumsum(split_sizes)[:-1], dim)",
     .samples = "f(5, 2), (2, 3); f(2, 5), (1, 0, 4), -1"});

const Operator chunk_operator(
    {.signature = "chunk(input, chunks, dim=0)",
     .forms = kFunction | kMethod,
     .doc = R"(Split into at most `chunks` parts of equal size, of which the last may be smaller; views.

>>> flambeau.chunk(flambeau.arange(5), 2)
(tensor([0, 1, 2]), tensor([3, 4])))",
     .forward = chunk,
     .reference = "np.split(input, range(-(-input.shape[dim] // chunks), input.shape[dim], -(-input.shape[dim] // "
                  "chunks)), dim)",
     .samples = "f(5, 2), 2; f(2, 6), 4, 1"});

const Operator unsafe_chunk_operator({.signature = "unsafe_chunk(input, chunks, dim=0)",
                                      .forms = kFunction | kMethod,
                                      .doc = "Split as chunk() does, into parts that may be changed in place.",
                                      .forward = [](const Tensor& t, int64_t chunks,
                                                    int64_t dim) { return changeable(chunk(t, chunks, dim)); },
                                      .reference = "np.split(input, range(-(-input.shape[dim] // chunks), "
                                                   "input.shape[dim], -(-input.shape[dim] // chunks)), dim)",
                                      .samples = "f(5, 2), 2; f(2, 6), 4, 1"});

}  // namespace

}  // namespace flambeau
