// Tensors cut into parts, stacked from parts, and copied with one part replaced.
#include "bind.h"

namespace flambeau::python {

Tensors given_tensors(const char* function, PyObject* given) {
  static const Parameter parameter{PyUnicode_InternFromString("tensors")};
  if (is_tensor(given)) return {tensor_of(given)};
  return From<const Tensors&>::get({function, &parameter, 0}, given);
}

namespace {

constexpr int kBoth = kFunction | kMethod, kUsual = kBoth | kOut;

Tensor raised_to_1(const Tensor& t) { return t.dim() == 0 ? reshape(t, {1}) : t; }
Tensor raised_to_2(const Tensor& t) { return t.dim() < 2 ? reshape(t, {1, t.numel()}) : t; }
Tensor raised_to_3(const Tensor& t) { return t.dim() < 3 ? unsqueeze(raised_to_2(t), -1) : t; }

template <Tensor (*raised)(const Tensor&)>
PyObject* raise_all(PyObject* given) {
  if (is_tensor(given)) return wrap_tensor(raised(tensor_of(given)));
  Tensors tensors = given_tensors("atleast", given);
  for (Tensor& t : tensors) t = raised(t);
  return to_python(tensors);
}

template <Tensor (*raised)(const Tensor&)>
Tensors all_raised(const Tensors& given, const char* name) {
  require(!given.empty(), name, " expects a non-empty TensorList");
  Tensors out;
  for (const Tensor& t : given) out.push_back(raised(t));
  return out;
}

Tensor as_columns(const Tensor& t) { return t.dim() < 2 ? reshape(t, {t.numel(), 1}) : t; }

void bind_stacks() {
  def("atleast_1d(*tensors)", kFunction,
      "A view with at least one dimension; of several tensors, a tuple of them. Gradient: input.",
      raise_all<raised_to_1>);
  def("atleast_2d(*tensors)", kFunction,
      "A view with at least two dimensions, a vector as one row; of several tensors, a tuple of them. Gradient: input.",
      raise_all<raised_to_2>);
  def("atleast_3d(*tensors)", kFunction,
      "A view with at least three dimensions, (1, n, 1) of a vector; of several tensors, a tuple of them. Gradient: "
      "input.",
      raise_all<raised_to_3>);
  def("hstack(tensors)", kFunction | kOut, "Tensors joined along the second dimension; vectors along the first.",
      [](const Tensors& given) {
        const Tensors rows = all_raised<raised_to_1>(given, "hstack");
        return cat(rows, rows[0].dim() == 1 ? 0 : 1);
      });
  for (const char* signature : {"vstack(tensors)", "row_stack(tensors)"})
    def(signature, kFunction | kOut, "Tensors joined along the first dimension; vectors count as one row each.",
        [](const Tensors& given) { return cat(all_raised<raised_to_2>(given, "vstack"), 0); });
  def("dstack(tensors)", kFunction | kOut, "Tensors joined along the third dimension, after atleast_3d.",
      [](const Tensors& given) { return cat(all_raised<raised_to_3>(given, "dstack"), 2); });
  def("column_stack(tensors)", kFunction | kOut,
      "Tensors joined along the second dimension; vectors count as one column each.",
      [](const Tensors& given) { return cat(all_raised<as_columns>(given, "column_stack"), 1); });
  def("broadcast_tensors(*tensors)", kFunction,
      "The tensors expanded to their common shape; views. Gradient: summed back.", [](PyObject* given) {
        Tensors tensors = given_tensors("broadcast_tensors", given);
        Shape shape;
        for (const Tensor& t : tensors) shape = broadcast(shape, t.shape());
        for (Tensor& t : tensors) t = expand(t, shape);
        return to_python(tensors);
      });
}

// Where to cut: a number of parts, or the positions of the cuts.
struct Cuts {
  Shape positions;
  std::optional<int64_t> sections;
};
Cuts cuts_from(const char* function, PyObject* o) {
  static const Parameter parameter{PyUnicode_InternFromString("indices_or_sections")};
  const Call call{function, &parameter, 1};
  if (is_tensor(o)) {
    const Tensor t = to(tensor_of(o), Dtype::int64);
    require(t.dim() <= 1 && category(tensor_of(o).dtype()) == Category::Integer, function,
            " expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor of integers, but "
            "got a ",
            tensor_of(o).dtype(), " one with ", t.dim(), " dims");
    if (t.dim() == 0) return {{}, item(t).integer()};
    const Tensor each = contiguous(t);
    return {Shape(each.data<int64_t>(), each.data<int64_t>() + each.numel()), {}};
  }
  if (PyIndex_Check(o)) return {{}, From<int64_t>::get(call, o)};
  return {From<const Shape&>::get(call, o), {}};
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
Tensors cut_along(const Tensor& t, PyObject* where) {
  constexpr const char* name = kLeast == 1 ? "hsplit" : kLeast == 2 ? "vsplit" : "dsplit";
  require(t.dim() >= kLeast, name, " requires a tensor with at least ", kLeast, " dimension", kLeast > 1 ? "s" : "",
          ", but got a tensor with ", t.dim(), " dimensions!");
  const int64_t dim = kLeast == 1 ? (t.dim() == 1 ? 0 : 1) : kLeast == 2 ? 0 : 2;
  const Cuts cuts = cuts_from(name, where);
  if (cuts.sections && !is_tensor(where))
    require(*cuts.sections != 0 && t.size(dim) % *cuts.sections == 0, name, " attempted to split along dimension ", dim,
            ", but the size of the dimension ", t.size(dim), " is not divisible by the split_size ", *cuts.sections,
            "!");
  return cut(t, cuts, dim);
}

void bind_cuts() {
  def("tensor_split(input, indices_or_sections|indices|sections|tensor_indices_or_sections, dim=0)", kBoth,
      "Parts of nearly equal size, as many as said, or cut at the given positions; a tensor of integers serves as "
      "either. Views. Gradient: each its part.",
      [](const Tensor& t, PyObject* where, int64_t dim) { return cut(t, cuts_from("tensor_split", where), dim); });
  def("hsplit(input, indices_or_sections|indices|sections)", kBoth,
      "tensor_split along the second dimension (the first of a vector), into equal parts where a number is given.",
      cut_along<1>);
  def("vsplit(input, indices_or_sections|indices|sections)", kBoth,
      "tensor_split along the first of at least two dimensions, into equal parts where a number is given.",
      cut_along<2>);
  def("dsplit(input, indices_or_sections|indices|sections)", kBoth,
      "tensor_split along the third dimension, into equal parts where a number is given.", cut_along<3>);
}

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

void bind_replacements() {
  def("fill_diagonal_(input, fill_value, wrap=False)", kMethod,
      "Sets the main diagonal of a matrix, or of a tensor whose dimensions are all equal, to a number.\n\n"
      "wrap: in a tall matrix the diagonal begins anew after each whole round. Raises RuntimeError for less than 2 "
      "dimensions and for unequal ones beyond 2. Gradient: zero where it was filled.",
      [](Self self, Scalar value, bool wrap) -> PyObject* {
        fill_diagonal_(tensor_of(self), value, wrap);
        return Py_NewRef(self);
      });
  def("select_scatter(input, src, dim, index)", kUsual,
      "A copy of input with src in the place of input.select(dim, index). Gradient: input and src.",
      [](const Tensor& t, const Tensor& src, int64_t dim, int64_t index) {
        return with_part(t, src, [&](const Tensor& out) { return select(out, dim, index); });
      });
  def("slice_scatter(input, src, dim=0, start=None, end=None, step=1)", kUsual,
      "A copy of input with src in the place of input[start:end:step] along dim. Gradient: input and src.",
      [](const Tensor& t, const Tensor& src, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end,
         int64_t step) {
        return with_part(t, src, [&](const Tensor& out) {
          return slice(out, dim, start.value_or(0), end.value_or(INT64_MAX), step);
        });
      });
  def("diagonal_scatter(input, src, offset=0, dim1=0, dim2=1)", kUsual,
      "A copy of input with src in the place of input.diagonal(offset, dim1, dim2). Gradient: input and src.",
      [](const Tensor& t, const Tensor& src, int64_t offset, int64_t dim1, int64_t dim2) {
        return with_part(t, src, [&](const Tensor& out) { return diagonal(out, offset, dim1, dim2); });
      });
  def("as_strided_scatter(input, src, size, stride, storage_offset=None)", kUsual,
      "A copy of input with src in the place of its as_strided(size, stride, storage_offset). Gradient: input and src.",
      [](const Tensor& t, const Tensor& src, const Shape& size, const Shape& stride, std::optional<int64_t> offset) {
        return with_part(t, src, [&](const Tensor& out) { return as_strided(out, size, stride, offset); });
      });
}

}  // namespace

void bind_parts() {
  bind_stacks();
  bind_cuts();
  bind_replacements();
}

}  // namespace flambeau::python
