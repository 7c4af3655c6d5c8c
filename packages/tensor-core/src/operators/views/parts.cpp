// Tensors cut into parts, stacked from parts, and copied with one part replaced.
#include "flambeau/operator.h"

namespace flambeau {

namespace {

Tensor raised_to_1(const Tensor& t) { return t.dim() == 0 ? reshape(t, {1}) : t; }
Tensor raised_to_2(const Tensor& t) { return t.dim() < 2 ? reshape(t, {1, t.numel()}) : t; }
Tensor raised_to_3(const Tensor& t) { return t.dim() < 3 ? unsqueeze(raised_to_2(t), -1) : t; }

template <Tensor (*raised)(const Tensor&)>
Tensors all_raised(const Tensors& given, const char* name) {
  require(!given.empty(), name, " expects a non-empty TensorList");
  Tensors out;
  for (const Tensor& t : given) out.push_back(raised(t));
  return out;
}

template <Tensor (*raised)(const Tensor&)>
TensorOrTensors raised_or_all(const TensorOrTensors& given) {
  if (const Tensor* t = std::get_if<Tensor>(&given)) return raised(*t);
  Tensors out = std::get<Tensors>(given);
  for (Tensor& t : out) t = raised(t);
  return out;
}

const Operator atleast_1d_operator(
    {.signature = "atleast_1d(*tensors)",
     .forms = kFunction,
     .doc = "A view with at least one dimension; of several tensors, a tuple of them. Gradient: input.",
     .forward = raised_or_all<raised_to_1>,
     .reference = "np.atleast_1d(tensors)",
     .samples = "np.array(2.5); f(2, 3)"});

const Operator atleast_2d_operator({.signature = "atleast_2d(*tensors)",
                                    .forms = kFunction,
                                    .doc = "A view with at least two dimensions, a vector as one row; of several "
                                           "tensors, a tuple of them. Gradient: input.",
                                    .forward = raised_or_all<raised_to_2>,
                                    .reference = "np.atleast_2d(tensors)",
                                    .samples = "np.array(2.5); f(3); f(2, 3)"});

const Operator atleast_3d_operator({.signature = "atleast_3d(*tensors)",
                                    .forms = kFunction,
                                    .doc = "A view with at least three dimensions, (1, n, 1) of a vector; of several "
                                           "tensors, a tuple of them. Gradient: input.",
                                    .forward = raised_or_all<raised_to_3>,
                                    .reference = "np.atleast_3d(tensors)",
                                    .samples = "np.array(2.5); f(3); f(2, 3)"});

Tensor as_columns(const Tensor& t) { return t.dim() < 2 ? reshape(t, {t.numel(), 1}) : t; }

const Operator hstack_operator({.signature = "hstack(tensors)",
                                .forms = kFunction | kOut,
                                .doc = "Tensors joined along the second dimension; vectors along the first.",
                                .forward = [](const Tensors& given) {
                                  const Tensors rows = all_raised<raised_to_1>(given, "hstack");
                                  return cat(rows, rows[0].dim() == 1 ? 0 : 1);
                                }});

const Operator vstack_operator({.signature = "vstack|row_stack(tensors)",
                                .forms = kFunction | kOut,
                                .doc = "Tensors joined along the first dimension; vectors count as one row each.",
                                .forward = [](const Tensors& given) {
                                  return cat(all_raised<raised_to_2>(given, "vstack"), 0);
                                }});

const Operator dstack_operator({.signature = "dstack(tensors)",
                                .forms = kFunction | kOut,
                                .doc = "Tensors joined along the third dimension, after atleast_3d.",
                                .forward = [](const Tensors& given) {
                                  return cat(all_raised<raised_to_3>(given, "dstack"), 2);
                                }});

const Operator column_stack_operator(
    {.signature = "column_stack(tensors)",
     .forms = kFunction | kOut,
     .doc = "Tensors joined along the second dimension; vectors count as one column each.",
     .forward = [](const Tensors& given) { return cat(all_raised<as_columns>(given, "column_stack"), 1); }});

const Operator broadcast_tensors_operator(
    {.signature = "broadcast_tensors(*tensors)",
     .forms = kFunction,
     .doc = "The tensors expanded to their common shape; views. Gradient: summed back.",
     .forward = [](const Tensors& given) {
       Tensors tensors = given;
       Shape shape;
       for (const Tensor& t : tensors) shape = broadcast(shape, t.shape());
       for (Tensor& t : tensors) t = expand(t, shape);
       return tensors;
     }});

// Where to cut: a number of parts, or the positions of the cuts.
struct Cuts {
  Shape positions;
  std::optional<int64_t> sections;
};
using Given = std::variant<Tensor, int64_t, Shape>;
Cuts cuts_from(const char* function, const Given& given) {
  if (const int64_t* sections = std::get_if<int64_t>(&given)) return {{}, *sections};
  if (const Shape* positions = std::get_if<Shape>(&given)) return {*positions, {}};
  const Tensor &own = std::get<Tensor>(given), t = to(own, Dtype::int64);
  require(t.dim() <= 1 && category(own.dtype()) == Category::Integer, function,
          " expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of integers, but "
          "got a ",
          own.dtype(), " one with ", t.dim(), " dims");
  if (t.dim() == 0) return {{}, item(t).integer()};
  const Tensor each = contiguous(t);
  return {Shape(each.data<int64_t>(), each.data<int64_t>() + each.numel()), {}};
}

constexpr int64_t kMostParts = int64_t(1) << 24;  // of a size of 0 any number could be asked for

Tensors cut(const Tensor& t, const Cuts& cuts, int64_t dim) {
  require(t.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with ", t.dim(),
          " dims");
  const int64_t total = t.size(dim);
  Shape sizes;
  if (cuts.sections) {
    const int64_t n = *cuts.sections;
    require(n > 0 && n <= kMostParts, "number of sections must be larger than 0 and at most ", kMostParts, ", got ", n);
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

template <int kLeast>
Tensors cut_along(const Tensor& t, const Given& where) {
  constexpr const char* name = kLeast == 1 ? "hsplit" : kLeast == 2 ? "vsplit" : "dsplit";
  require(t.dim() >= kLeast, name, " requires a tensor with at least ", kLeast, " dimension", kLeast > 1 ? "s" : "",
          ", but got a tensor with ", t.dim(), " dimensions!");
  const int64_t dim = kLeast == 1 ? (t.dim() == 1 ? 0 : 1) : kLeast == 2 ? 0 : 2;
  const Cuts cuts = cuts_from(name, where);
  if (cuts.sections && !std::holds_alternative<Tensor>(where))
    require(*cuts.sections != 0 && t.size(dim) % *cuts.sections == 0, name, " attempted to split along dimension ", dim,
            ", but the size of the dimension ", t.size(dim), " is not divisible by the split_size ", *cuts.sections,
            "!");
  return cut(t, cuts, dim);
}

const Operator tensor_split_operator(
    {.signature = "tensor_split(input, indices_or_sections|indices|sections|tensor_indices_or_sections, dim=0)",
     .forms = kFunction | kMethod,
     .doc = "Parts of nearly equal size, as many as said, or cut at the given positions; a tensor of integers serves "
            "as either. Views. Gradient: each its part.",
     .forward = [](const Tensor& t, const Given& where,
                   int64_t dim) { return cut(t, cuts_from("tensor_split", where), dim); },
     .reference = "np.array_split(input, indices_or_sections, dim)",
     .samples = "f(7, 2), 3; f(2, 7), (2, 5), 1; f(5), (4, 4)"});

const Operator hsplit_operator(
    {.signature = "hsplit(input, indices_or_sections|indices|sections)",
     .forms = kFunction | kMethod,
     .doc =
         "tensor_split along the second dimension (the first of a vector), into equal parts where a number is given.",
     .forward = cut_along<1>,
     .reference = "np.hsplit(input, indices_or_sections)",
     .samples = "f(2, 4), 2; f(6), (1, 3)"});

const Operator vsplit_operator(
    {.signature = "vsplit(input, indices_or_sections|indices|sections)",
     .forms = kFunction | kMethod,
     .doc = "tensor_split along the first of at least two dimensions, into equal parts where a number is given.",
     .forward = cut_along<2>,
     .reference = "np.vsplit(input, indices_or_sections)",
     .samples = "f(4, 2), 2; f(4, 2), (1, 3)"});

const Operator dsplit_operator(
    {.signature = "dsplit(input, indices_or_sections|indices|sections)",
     .forms = kFunction | kMethod,
     .doc = "tensor_split along the third dimension, into equal parts where a number is given.",
     .forward = cut_along<3>,
     .reference = "np.dsplit(input, indices_or_sections)",
     .samples = "f(2, 2, 4), 2; f(2, 2, 4), (1,)"});

// The copy with src in the place of the view that `part` shows of it.
template <class F>
Tensor with_part(const Tensor& t, const Tensor& src, F&& part) {
  const Tensor out = clone(t), place = part(out);
  require(place.shape() == src.shape(),
          "expected src to have a size equal to the slice of self. src size = ", src.shape(),
          ", slice size = ", place.shape());
  copy_(place, src);
  return out;
}

// The main diagonal; of a tall matrix, if it wraps, what follows after a row left out between the rounds.
void fill_diagonal_(const Tensor& t, Scalar value, bool wrap) {
  constexpr const char* name = "fill_diagonal_";
  require(t.dim() >= 2, name, ": dimensions must be larger than 1, got shape ", t.shape());
  for (int64_t d = 1; t.dim() > 2 && d < t.dim(); ++d)
    require(t.size(d) == t.size(0), name, ": all dimensions of input must be of equal length, got shape ", t.shape());
  int64_t step = 0, size = t.size(0);
  for (int64_t d = 0; d < t.dim(); ++d) step += t.stride(d), size = std::min(size, t.size(d));
  fill_(as_strided(t, {size}, {step}, t.offset()), value);
  const int64_t rows = t.size(0), columns = t.size(1);
  if (t.dim() > 2 || !wrap || rows <= columns + 1) return;
  for (int64_t first = columns + 1; first < rows; first += columns + 1)
    fill_(diagonal(slice(t, 0, first, rows, 1), 0, 0, 1), value);
}

const Operator fill_diagonal__operator(
    {.signature = "fill_diagonal_(input, fill_value, wrap=False)",
     .forms = kMethod,
     .doc = R"(Sets the main diagonal of a matrix, or of a tensor whose dimensions are all equal, to a number.

wrap: in a tall matrix the diagonal begins anew after each whole round. Raises RuntimeError for less than 2 dimensions and for unequal ones beyond 2. Gradient: zero where it was filled.)",
     .forward = [](const Tensor& t, Scalar value, bool wrap) {
       fill_diagonal_(t, value, wrap);
       return t;
     }});

const Operator select_scatter_operator(
    {.signature = "select_scatter(input, src, dim, index)",
     .forms = kFunction | kMethod | kOut,
     .doc = "A copy of input with src in the place of input.select(dim, index). Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t dim, int64_t index) {
           return with_part(t, src, [&](const Tensor& out) { return select(out, dim, index); });
         },
     .reference = "(lambda out: out.__setitem__((slice(None),) * dim + (index,), src) or out)(input.copy())",
     .samples = "f(3, 4), f(4), 0, 1; f(3, 4), f(3), 1, -1"});

const Operator slice_scatter_operator(
    {.signature = "slice_scatter(input, src, dim=0, start=None, end=None, step=1)",
     .forms = kFunction | kMethod | kOut,
     .doc = "A copy of input with src in the place of input[start:end:step] along dim. Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
            int64_t step) {
           return with_part(t, src, [&](const Tensor& out) {
             return slice(out, dim, start.value_or(0), end.value_or(INT64_MAX), step);
           });
         },
     .reference =
         "(lambda out: out.__setitem__((slice(None),) * dim + (slice(start, end, step),), src) or out)(input.copy())",
     .samples = "f(5, 4), f(2, 4), 0, 1, 5, 2; f(3, 4), f(3, 2), 1, -2"});

const Operator diagonal_scatter_operator(
    {.signature = "diagonal_scatter(input, src, offset=0, dim1=0, dim2=1)",
     .forms = kFunction | kMethod | kOut,
     .doc = "A copy of input with src in the place of input.diagonal(offset, dim1, dim2). Gradient: input and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, int64_t offset, int64_t dim1, int64_t dim2) {
           return with_part(t, src, [&](const Tensor& out) { return diagonal(out, offset, dim1, dim2); });
         },
     .reference =
         "(lambda out: np.einsum(\"ii->i\", out[:, offset:]).__setitem__(slice(None), src) or out)(input.copy())",
     .samples = "f(3, 3), f(3); f(3, 4), f(3), 1"});

const Operator as_strided_scatter_operator(
    {.signature = "as_strided_scatter(input, src, size, stride, storage_offset=None)",
     .forms = kFunction | kMethod | kOut,
     .doc = "A copy of input with src in the place of its as_strided(size, stride, storage_offset). Gradient: input "
            "and src.",
     .forward =
         [](const Tensor& t, const Tensor& src, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
           return with_part(t, src, [&](const Tensor& out) { return as_strided(out, size, stride, offset); });
         },
     .reference = "(lambda out: np.lib.stride_tricks.as_strided(out.reshape(-1)[storage_offset:], size, [8 * s for s "
                  "in stride]).__setitem__(Ellipsis, src) or out)(input.copy())",
     .samples = "f(3, 4), f(2, 2), (2, 2), (4, 1), 1"});

}  // namespace

}  // namespace flambeau
