// Views that exchange, repeat, insert or remove dimensions.
#include <utility>

#include "flambeau/operator.h"
#include "operators/views/view.h"

namespace flambeau {

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

// Exchanges two dimensions. The autograd node is named `node`.
Tensor exchange(const char* node, const Tensor& t, int64_t dim0, int64_t dim1) {
  dim0 = t.wrap_dim(dim0);
  dim1 = t.wrap_dim(dim1);
  Shape shape = t.shape(), strides = t.strides();
  if (t.dim() > 0) {
    std::swap(shape[dim0], shape[dim1]);
    std::swap(strides[dim0], strides[dim1]);
  }
  return recorded(node, t, make_view(t, shape, strides, t.offset()),
                  [node, dim0, dim1](const Tensor& g) { return exchange(node, g, dim0, dim1); });
}

}  // namespace

Tensor transpose(const Tensor& t, int64_t dim0, int64_t dim1) { return exchange("Transpose", t, dim0, dim1); }

const Operator transpose_operator({.signature = "transpose(input, dim0, dim1)",
                                   .forms = kFunction | kMethod | kCopy | kBecome,
                                   .doc = "Return a view with two dimensions exchanged.",
                                   .forward = transpose,
                                   .reference = "np.swapaxes(input, dim0, dim1)",
                                   .samples = "f(2, 3, 4), 0, -1; f(2, 3), 1, 1"});

const Operator swapaxes_operator({.signature = "swapaxes(input, axis0, axis1)",
                                  .forms = kFunction | kMethod | kBecome,
                                  .doc = "Return a view with two dimensions exchanged.",
                                  .forward = transpose,
                                  .reference = "np.swapaxes(input, axis0, axis1)",
                                  .samples = "f(2, 3, 4), 0, 2; f(2, 3), -1, 0"});

const Operator swapdims_operator({.signature = "swapdims(input, dim0, dim1)",
                                  .forms = kFunction | kMethod | kBecome,
                                  .doc = "Return a view with two dimensions exchanged.",
                                  .forward = transpose,
                                  .reference = "np.swapaxes(input, dim0, dim1)",
                                  .samples = "f(2, 3, 4), 0, 2; f(2, 3), -1, 0"});

const Operator t_operator({.signature = "t(input)",
                           .forms = kFunction | kMethod | kCopy | kBecome,
                           .doc = "Return the transpose of a matrix as a view.",
                           .forward =
                               [](const Tensor& t) {
                                 require(t.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ",
                                         t.dim(), "D");
                                 return t.dim() == 2 ? exchange("T", t, 0, 1) : expand(t, t.shape());
                               },
                           .reference = "input.T",
                           .samples = "f(2, 3); f(4); i(3, 2)"});

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
                                 .doc = "Return a view with the dimensions in another order.",
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
    require(!(taken >> t.wrap_dim(source[i]) & 1), "movedim: repeated dim in `source` (", source, ")");
    require(order[t.wrap_dim(destination[i])] < 0, "movedim: repeated dim in `destination` (", destination, ")");
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
                                 .doc = "Return a view with dimensions moved to other positions.",
                                 .forward = movedim,
                                 .reference = "np.moveaxis(input, source, destination)",
                                 .samples = "f(2, 3, 4), 0, 2; f(2, 3, 4), (0, 1), (-1, 0)"});

}  // namespace

Tensor expand(const Tensor& t, const Shape& size) {
  require(int(size.size()) >= t.dim(), "expand: the number of sizes provided (", size.size(),
          ") must be greater or equal to the number of dimensions in the tensor (", t.dim(), ")");
  Shape shape = size, strides(size.size());
  const size_t shift = size.size() - t.shape().size();
  int64_t span = 1;  // the stride that unsqueeze() would give to a dimension of size 1 at this position
  for (size_t i = size.size(); i-- > 0;) {
    const int64_t own = i < shift ? 1 : t.shape()[i - shift];
    if (shape[i] == -1) {
      require(i >= shift, "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ",
              i);
      shape[i] = own;
    }
    require(shape[i] == own || (own == 1 && shape[i] >= 0), "The expanded size of the tensor (", shape[i],
            ") must match the existing size (", own, ") at non-singleton dimension ", i, ".  Target sizes: ", size,
            ".  Tensor sizes: ", t.shape());
    const int64_t kept = i < shift ? span : t.strides()[i - shift];
    strides[i] = shape[i] == own ? kept : 0;
    span = shape[i] * strides[i];
  }
  return recorded("Expand", t, make_view(t, shape, strides, t.offset()),
                  [from = t.shape()](const Tensor& g) { return sum_to(g, from); });
}

const Operator broadcast_to_operator({.signature = "broadcast_to(input, *size)",
                                      .forms = kFunction | kMethod,
                                      .doc = "Expand dimensions of size 1 to the given size, like expand(size).",
                                      .forward = expand,
                                      .reference = "np.broadcast_to(input, size)",
                                      .samples = "f(3, 1), (2, 3, 4)"});

const Operator expand_operator({.signature = "expand(input, *size)",
                                .forms = kMethod | kCopy,
                                .doc = "Return a view in which dimensions of size 1 are expanded; -1 keeps a size.",
                                .forward = expand,
                                .reference = "np.broadcast_to(input, size)",
                                .samples = "f(3, 1), (2, 3, 4); f(), (2,)"});

const Operator expand_as_operator(
    {.signature = "expand_as(input, other)",
     .forms = kMethod,
     .doc = "Expand dimensions of size 1 to the shape of other, like expand(other.shape).",
     .forward = [](const Tensor& t, const Tensor& other) { return expand(t, other.shape()); },
     .reference = "np.broadcast_to(input, other.shape)",
     .samples = "f(3, 1), f(2, 3, 4)"});

Tensor sum_to(const Tensor& t, const Shape& shape) {
  if (t.shape() == shape) return t;
  Shape dims;
  const int shift = t.dim() - int(shape.size());
  for (int i = 0; i < t.dim(); ++i)
    if (i < shift || (shape[i - shift] == 1 && t.shape()[i] != 1)) dims.push_back(i);
  return reshape(sum(t, dims, true, std::nullopt), shape);
}

const Operator sum_to_size_operator(
    {.signature = "sum_to_size(input, *size)",
     .forms = kMethod,
     .doc = "Sum over the dimensions along which a tensor with the shape ``size`` would be broadcast to the input.",
     .forward =
         [](const Tensor& t, const Shape& size) {
           const size_t shift = t.shape().size() - size.size();
           bool fits = size.size() <= t.shape().size();
           for (size_t i = 0; i < size.size() && fits; ++i) fits = size[i] == t.shape()[i + shift] || size[i] == 1;
           require(fits, "size {", size, "} is not expandable to size {", t.shape(), "}.");
           return size.empty() ? sum(t, {}, false, {}) : sum_to(t, size);
         },
     .reference = "input.sum(0) if len(size) == 1 else input.sum(1, keepdims=True)",
     .samples = "f(2, 3), (3,); f(2, 3), (2, 1)"});

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
                                 .doc = "Return a view without dimensions of size 1.",
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
                                   .doc = "Return a view with an additional dimension of size 1.",
                                   .forward = unsqueeze,
                                   .reference = "np.expand_dims(input, dim)",
                                   .samples = "f(2, 3), 1; f(), -1"});

}  // namespace flambeau
