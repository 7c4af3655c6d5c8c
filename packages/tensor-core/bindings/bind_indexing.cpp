// Reading and writing at computed positions. Most writing operators come as a pair, name and name_.
#include "bind.h"

namespace flambeau::python {

struct Indices {  // a tuple or list of index tensors, None where a dimension is kept
  Tensors tensors;
};
template <>
struct From<const Indices&> {
  static Indices get(const Call& call, PyObject* o) {
    if (!PyList_Check(o) && !PyTuple_Check(o)) wrong_argument(call, "tuple of Tensors", o);
    const Object items = stable_items(o);
    Indices out;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
      PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
      if (item != Py_None && !is_tensor(item)) wrong_element(call, "tuple of Tensors", i, item);
      out.tensors.push_back(item == Py_None ? Tensor() : tensor_of(item));
    }
    return out;
  }
};

struct FoldName {  // how scatter_reduce and index_reduce call it
  Fold fold;
  std::string_view text;
};
template <>
struct From<FoldName> {
  static FoldName get(const Call& call, PyObject* o) {
    if (!PyUnicode_Check(o)) wrong_argument(call, "str", o);
    const std::string_view text = text_of(o);
    constexpr std::pair<std::string_view, Fold> names[] = {
        {"sum", Fold::Sum}, {"prod", Fold::Prod}, {"mean", Fold::Mean}, {"amax", Fold::Max}, {"amin", Fold::Min}};
    for (const auto& [name, fold] : names)
      if (text == name) return {fold, text};
    detail::raise<Error>("reduce argument must be either sum, prod, mean, amax or amin, got ", text);
  }
};

namespace {

constexpr int kBoth = kFunction | kMethod, kUsual = kBoth | kOut;

// name(...) as F(Write::Fresh, ...), with out=, and the method name_(...) as F(Write::InPlace, ...).
template <auto F, class... Arguments>
void def_pair(std::string signature, int flags, const char* doc, Tensor (*)(Write, Arguments...)) {
  def(signature, kUsual | flags, doc, +[](Arguments... arguments) -> Tensor { return F(Write::Fresh, arguments...); });
  signature.insert(signature.find('('), "_");
  def(signature, kMethod, doc, +[](Arguments... arguments) -> Tensor { return F(Write::InPlace, arguments...); });
}
template <auto F>
void writing(const char* signature, const char* doc, int flags = 0) {
  def_pair<F>(signature, flags, doc, +F);
}

Tensor scatter_any(Write write, const Tensor& t, int64_t dim, const Tensor& index, PyObject* src, PyObject* value,
                   PyObject* reduce) {
  PyObject* given = src != Py_None ? src : value;
  Operand operand(0);
  if (given == Py_None || !to_operand(given, operand)) {
    if (PyErr_Occurred()) throw PythonError();
    detail::raise<TypeError>("scatter(): argument 'src' must be Tensor or Number, not ", Py_TYPE(given)->tp_name);
  }
  if (reduce == Py_None)
    return operand.tensor ? scatter(t, dim, index, *operand.tensor, write)
                          : scatter_value(t, dim, index, operand.scalar, write);
  require<TypeError>(PyUnicode_Check(reduce), "scatter(): argument 'reduce' must be str, not ",
                     Py_TYPE(reduce)->tp_name);
  const std::string_view how = text_of(reduce);
  require(how == "add" || how == "multiply", "reduce argument must be either add or multiply.");
  const Tensor source = operand.tensor ? *operand.tensor : full(index.shape(), operand.scalar, t.dtype());
  return how == "add" ? scatter_add(t, dim, index, source, write)
                      : scatter_reduce(t, dim, index, source, Fold::Prod, true, write);
}

Tensor take_along_dim(const Tensor& t, const Tensor& index, std::optional<int64_t> given) {
  if (!given) return take_along_dim(reshape(t, {t.numel()}), reshape(index, {index.numel()}), 0);
  const int64_t dim = t.wrap_dim(*given);
  require(index.dtype() == Dtype::int64 || index.dtype() == Dtype::int32,
          "take_along_dim(): Expected dtype int32/int64 for index, got ", index.dtype());
  Shape a = t.shape(), b = index.shape();
  require(a.size() == b.size(),
          "take_along_dim(): input and indices should have the same number of dimensions, but got ", a.size(),
          " dimensions for input, and ", b.size(), " dimensions for indices");
  if (a.empty()) return gather(t, dim, index);
  const Tensor from_start = where(lt(index, Scalar(0)), add(index, Scalar(a[dim])), index);
  const int64_t length = a[dim], picked = b[dim];
  a[dim] = b[dim] = 1;
  Shape source = broadcast(a, b), target = source;
  source[dim] = length;
  target[dim] = picked;
  return gather(expand(t, source), dim, expand(from_start, target));
}

void bind_scatter() {
  writing<scatter_any>("scatter(input, dim, index, src=None, value=None, *, reduce=None)",
                       "input with src, a tensor or a number, written at index along a dimension; with reduce='add' or "
                       "'multiply' combined with what is there. Gradient: input and src.");
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source) {
    return scatter_add(t, dim, index, source, write);
  }>("scatter_add(input, dim, index, src)",
     "input with src added at index along a dimension, in index order. Gradient: input and src.");
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, FoldName reduce,
             bool include_self) { return scatter_reduce(t, dim, index, source, reduce.fold, include_self, write); }>(
      "scatter_reduce(input, dim, index, src, reduce, *, include_self=True)",
      "What src writes to one place of input reduced to one value: the 'sum', 'prod', 'mean', 'amax' or 'amin', of "
      "input's own value too if include_self. Gradient: input and src; extremes share it.");
  def("take_along_dim(input, indices, dim=None)", kUsual,
      "gather() with input and indices broadcast against each other outside dim; of the flattened input without dim.",
      take_along_dim);
}

void bind_slices() {
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source, Scalar alpha) {
    return index_add(t, dim, i, alpha.equals(1) ? source : mul(source, alpha), write);
  }>("index_add(input, dim, index, source, *, alpha=1)",
     "input with alpha * source added at the slices `index`, in index order. Gradient: input and source.");
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source) {
    return index_copy(t, dim, i, source, write);
  }>("index_copy(input, dim, index, source)",
     "input with the slices `index` along a dimension replaced by source's. Gradient: input and source.", kWidest);
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& i, const Operand& value) {
    return index_fill(t, dim, i, value, write);
  }>("index_fill(input, dim, index, value)",
     "input with the slices `index` along a dimension set to a number or 0-d tensor. Gradient: input and value.");
  writing<[](Write write, const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source, FoldName reduce,
             bool include_self) {
    require(reduce.fold != Fold::Sum,
            "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got sum.");
    return index_reduce(t, dim, i, source, reduce.fold, include_self, write);
  }>("index_reduce(input, dim, index, source, reduce, *, include_self=True)",
     "The slices of source that go to one slice of input reduced to one: 'prod', 'mean', 'amax' or 'amin', with "
     "input's own if include_self. Gradient: input and source; extremes share it.");
}

void bind_positions() {
  writing<[](Write write, const Tensor& t, const Indices& indices, const Tensor& values, bool accumulate) {
    return index_put(t, indices.tensors, values, accumulate, write);
  }>("index_put(input, indices, values, accumulate=False)",
     "input[indices] = values, or += if accumulate: one index tensor or mask a dimension, None where all is meant. "
     "Gradient: input and values.");
  writing<[](Write write, const Tensor& t, const Tensor& index, const Tensor& source, bool accumulate) {
    return put(t, index, source, accumulate, write);
  }>("put(input, index, source, accumulate=False)",
     "input, read as one row, with source written (or added, if accumulate) at `index`. Gradient: input and source.");
  def("nonzero(input, *, as_tuple=False)", kUsual,
      "The indices of the elements that are not 0, one row each; with as_tuple, one tensor a dimension.",
      [](const Tensor& t, bool as_tuple) {
        if (!as_tuple) return wrap_tensor(nonzero(t));
        return to_python(unbind(nonzero(t.dim() ? t : reshape(t, {1})), 1));
      });
}

void bind_masks() {
  writing<[](Write write, const Tensor& t, const Tensor& mask, const Operand& value) {
    return masked_fill(t, mask, value, write);
  }>("masked_fill(input, mask, value)",
     "value where mask is true, else input. Gradient: input, and value if it is a tensor.");
  writing<[](Write write, const Tensor& t, const Tensor& mask, const Tensor& source) {
    return masked_scatter(t, mask, source, write);
  }>("masked_scatter(input, mask, source)",
     "input with the elements where mask is true replaced by source's first ones, in order. Gradient: input and "
     "source.");
}

}  // namespace

void bind_indexing() {
  bind_scatter();
  bind_slices();
  bind_positions();
  bind_masks();
}

}  // namespace flambeau::python
