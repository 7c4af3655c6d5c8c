// Operators that split a tensor into parts along a dimension.
#include <algorithm>

#include "flambeau/operator.h"
#include "flambeau/scalar_type.h"
#include "operators/views/view.h"

namespace flambeau {

namespace {

// Maximum number of parts. It is needed because a dimension of size 0 could be split into any number of parts.
constexpr int64_t kMaxParts = int64_t(1) << 24;

// Records the parts as outputs of a single node, whose derivative concatenates their gradients. With a node for each
// part, every gradient would be padded with zeros, and the padded gradients would be added.
template <class F>
Tensors recorded_parts(const char* name, const Tensor& t, Tensors parts, F&& joined) {
  if (!grad_enabled()) return parts;
  for (const Tensor& part : parts)
    if (part.impl()->view_kind == ViewKind::Recorded) part.impl()->view_kind = ViewKind::OneOfSeveral;
  if (!t.requires_grad() || t.storage().inference() || parts.empty()) return parts;
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
  bool overflow = false;
  for (int64_t s : sizes) {
    require(s >= 0, "split_with_sizes expects split_sizes to have only non-negative entries, but got ", sizes);
    overflow |= __builtin_add_overflow(total, s, &total);
  }
  require(t.dim() > 0 && !overflow && total == t.size(dim), "split_with_sizes expects split_sizes to sum exactly to ",
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
                                          .doc = "Return views of parts of the given sizes along a dimension.",
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
                                .doc = "Return views of the slices along a dimension.",
                                .forward = unbind,
                                .reference = "list(np.moveaxis(input, dim, 0))",
                                .samples = "f(2, 3); f(2, 3), -1"});

namespace {

// Returns parts of equal size, except for the last, which may be smaller.
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
  if (total == 0 && chunks <= kMaxParts) return split(t, Shape(size_t(chunks), 0), dim);  // as in PyTorch
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
     .doc = R"(Return views of parts of one size, or of the given sizes, along a dimension.

>>> flambeau.split(flambeau.arange(5), 2)
(tensor([0, 1]), tensor([2, 3]), tensor([4])))",
     .forward = split_by,
     .reference = "np.split(tensor, range(split_size_or_sections, tensor.shape[dim], split_size_or_sections) if "
                  "isinstance(split_size_or_sections, int) else np.cumsum(split_size_or_sections)[:-1], dim)",
     .samples = "f(5, 2), 2; f(2, 5), (3, 2), 1; f(2, 5), 9, -1"});

const Operator unsafe_split_operator(
    {.signature = "unsafe_split(tensor, split_size, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Split like split(). The parts may be changed in place.",
     .forward = [](const Tensor& t, const std::variant<int64_t, Shape>& sizes,
                   int64_t dim) { return changeable(split_by(t, sizes, dim)); },
     .reference = "np.split(tensor, range(split_size, tensor.shape[dim], split_size), dim)",
     .samples = "f(5, 2), 2; f(2, 5), 9, -1"});

const Operator unsafe_split_with_sizes_operator(
    {.signature = "unsafe_split_with_sizes(input, split_sizes, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Split like split_with_sizes(). The parts may be changed in place.",
     .forward = [](const Tensor& t, const Shape& sizes, int64_t dim) { return changeable(split(t, sizes, dim)); },
     .reference = "np.split(input, np.cumsum(split_sizes)[:-1], dim)",
     .samples = "f(5, 2), (2, 3); f(2, 5), (1, 0, 4), -1"});

const Operator chunk_operator(
    {.signature = "chunk(input, chunks, dim=0)",
     .forms = kFunction | kMethod,
     .doc = R"(Return views of at most `chunks` parts of equal size; the last part may be smaller.

>>> flambeau.chunk(flambeau.arange(5), 2)
(tensor([0, 1, 2]), tensor([3, 4])))",
     .forward = chunk,
     .reference = "np.split(input, range(-(-input.shape[dim] // chunks), input.shape[dim], -(-input.shape[dim] // "
                  "chunks)), dim)",
     .samples = "f(5, 2), 2; f(2, 6), 4, 1"});

const Operator unsafe_chunk_operator({.signature = "unsafe_chunk(input, chunks, dim=0)",
                                      .forms = kFunction | kMethod,
                                      .doc = "Split like chunk(). The parts may be changed in place.",
                                      .forward = [](const Tensor& t, int64_t chunks,
                                                    int64_t dim) { return changeable(chunk(t, chunks, dim)); },
                                      .reference = "np.split(input, range(-(-input.shape[dim] // chunks), "
                                                   "input.shape[dim], -(-input.shape[dim] // chunks)), dim)",
                                      .samples = "f(5, 2), 2; f(2, 6), 4, 1"});

// The split of a dimension: a number of equal parts, or the positions at which it is split.
struct SplitPoints {
  Shape positions;
  std::optional<int64_t> sections;
};
using Given = std::variant<Tensor, int64_t, Shape>;
SplitPoints cuts_from(const char* function, const Given& given) {
  if (const int64_t* sections = std::get_if<int64_t>(&given)) return {{}, *sections};
  if (const Shape* positions = std::get_if<Shape>(&given)) return {*positions, {}};
  const Tensor &own = std::get<Tensor>(given), t = to(own, Dtype::int64);
  require(category(own.dtype()) == Category::Integer, function,
          " expected tensor_indices_or_sections to have dtype of long, but got ", scalar_type(own.dtype()));
  require(t.dim() <= 1, function,
          " expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got a tensor "
          "with ",
          t.dim(), " dims");
  if (t.dim() == 0) return {{}, item(t).integer()};
  const Tensor each = contiguous(t);
  return {Shape(each.data<int64_t>(), each.data<int64_t>() + each.numel()), {}};
}

Tensors split_at(const Tensor& t, const SplitPoints& cuts, int64_t dim) {
  require(t.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with ", t.dim(),
          " dims");
  const int64_t total = t.size(dim);
  Shape sizes;
  if (cuts.sections) {
    const int64_t n = *cuts.sections;
    require(n > 0, "number of sections must be larger than 0, got ", n);
    require(n <= kMaxParts, "number of sections must be at most ", kMaxParts, ", got ", n);
    for (int64_t i = 0; i < n; ++i) sizes.push_back(total / n + (i < total % n));
    return split(t, sizes, dim);
  }
  Shape ends;
  bool in_order = true;
  for (size_t i = 0; i <= cuts.positions.size(); ++i) {
    const int64_t end = i < cuts.positions.size() ? cuts.positions[i] : total, before = ends.empty() ? 0 : ends.back();
    ends.push_back(std::clamp<int64_t>(end < 0 ? end + total : end, 0, total));
    sizes.push_back(std::max<int64_t>(0, ends.back() - before));
    in_order &= ends.back() >= before;
  }
  if (in_order) return split(t, sizes, dim);
  Tensors parts;
  for (size_t i = 0; i < sizes.size(); ++i) parts.push_back(narrow(t, dim, i ? ends[i - 1] : 0, sizes[i]));
  return parts;
}

template <int kMin>
Tensors cut_along(const Tensor& t, const Given& where) {
  constexpr const char* name = kMin == 1 ? "torch.hsplit" : kMin == 2 ? "torch.vsplit" : "torch.dsplit";
  require(t.dim() >= kMin, name, " requires a tensor with at least ", kMin, " dimension", kMin > 1 ? "s" : "",
          ", but got a tensor with ", t.dim(), " dimensions!");
  const int64_t dim = kMin == 1 ? (t.dim() == 1 ? 0 : 1) : kMin == 2 ? 0 : 2;
  const SplitPoints cuts = cuts_from(name, where);
  if (cuts.sections && !std::holds_alternative<Tensor>(where))
    require(*cuts.sections != 0 && t.size(dim) % *cuts.sections == 0, name, " attempted to split along dimension ", dim,
            ", but the size of the dimension ", t.size(dim), " is not divisible by the split_size ", *cuts.sections,
            "!");
  return split_at(t, cuts, dim);
}

const Operator tensor_split_operator(
    {.signature = "tensor_split(input, indices_or_sections|indices|sections|tensor_indices_or_sections, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Return views of a number of parts of nearly equal size, or of the parts between the given positions. A "
            "tensor of integers may specify either. Gradient: input.",
     .forward = [](const Tensor& t, const Given& where,
                   int64_t dim) { return split_at(t, cuts_from("tensor_split", where), dim); },
     .reference = "np.array_split(input, indices_or_sections, dim)",
     .samples = "f(7, 2), 3; f(2, 7), (2, 5), 1; f(5), (4, 4)"});

const Operator hsplit_operator({.signature = "hsplit(input, indices_or_sections|indices|sections)",
                                .forms = kFunction | kMethod,
                                .doc = "Split like tensor_split along the second dimension, or a vector along the "
                                       "first; an integer is the number of equal parts.",
                                .forward = cut_along<1>,
                                .reference = "np.hsplit(input, indices_or_sections)",
                                .samples = "f(2, 4), 2; f(6), (1, 3)"});

const Operator vsplit_operator(
    {.signature = "vsplit(input, indices_or_sections|indices|sections)",
     .forms = kFunction | kMethod,
     .doc =
         "Split like tensor_split along the first of at least two dimensions; an integer is the number of equal parts.",
     .forward = cut_along<2>,
     .reference = "np.vsplit(input, indices_or_sections)",
     .samples = "f(4, 2), 2; f(4, 2), (1, 3)"});

const Operator dsplit_operator(
    {.signature = "dsplit(input, indices_or_sections|indices|sections)",
     .forms = kFunction | kMethod,
     .doc = "Split like tensor_split along the third dimension; an integer is the number of equal parts.",
     .forward = cut_along<3>,
     .reference = "np.dsplit(input, indices_or_sections)",
     .samples = "f(2, 2, 4), 2; f(2, 2, 4), (1,)"});

}  // namespace

}  // namespace flambeau
