// Reading and writing at computed positions.
#include "program/operators.h"

namespace flambeau::program {

namespace {

Fold fold_of(std::string_view name) {
  constexpr std::pair<std::string_view, Fold> names[] = {
      {"sum", Fold::Sum}, {"prod", Fold::Prod}, {"mean", Fold::Mean}, {"amax", Fold::Max}, {"amin", Fold::Min}};
  for (const auto& [text, fold] : names)
    if (text == name) return fold;
  detail::raise<Error>("reduce argument must be either sum, prod, mean, amax or amin, got ", name);
}

template <Write write>
Tensor scattered(const Tensor& t, int64_t dim, const Tensor& index, const Value& source, const Value& value,
                 std::optional<std::string_view> reduce) {
  const Operand given = As<const Operand&>::get(std::holds_alternative<None>(source) ? value : source);
  if (!reduce)
    return given.tensor ? scatter(t, dim, index, *given.tensor, write)
                        : scatter_value(t, dim, index, given.scalar, write);
  const Tensor tensor = given.tensor ? *given.tensor : full(index.shape(), given.scalar, t.dtype());
  return *reduce == "add" ? scatter_add(t, dim, index, tensor, write)
                          : scatter_reduce(t, dim, index, tensor, Fold::Prod, true, write);
}

// name and name_ of a function whose last parameter says where it writes.
template <Tensor (*fresh)(const Tensor&, const Tensors&, const Tensor&, bool, Write), Write write>
Tensor put_at(const Tensor& t, const Tensors& indices, const Tensor& values, bool accumulate) {
  return fresh(t, indices, values, accumulate, write);
}

// x[key] = value, where the key is a view: leading dimensions of size one beyond the view's are dropped.
void set_at(const Tensor& view, const Operand& value) {
  if (!value.tensor) return void(fill_(view, value.scalar));
  Tensor source = *value.tensor;
  while (source.dim() > view.dim() && source.shape()[0] == 1) source = select(source, 0, 0);
  copy_(view, source);
}

}  // namespace

Family indexing_operators() {
  return {
      op("scatter", scattered<Write::Fresh>),
      op("scatter_", scattered<Write::InPlace>),
      op("scatter_add", [](const Tensor& t, int64_t dim, const Tensor& index,
                           const Tensor& source) { return scatter_add(t, dim, index, source); }),
      op("scatter_add_", [](const Tensor& t, int64_t dim, const Tensor& index,
                            const Tensor& source) { return scatter_add(t, dim, index, source, Write::InPlace); }),
      op("scatter_reduce",
         [](const Tensor& t, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce,
            bool include_self) { return scatter_reduce(t, dim, index, source, fold_of(reduce), include_self); }),
      op("take_along_dim",
         [](const Tensor& t, const Tensor& index, std::optional<int64_t> dim) {
           return dim ? gather(t, *dim, index) : gather(reshape(t, {-1}), 0, reshape(index, {-1}));
         }),
      op("index_add", [](const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source,
                         Scalar alpha) { return index_add(t, dim, i, alpha.equals(1) ? source : mul(source, alpha)); }),
      op("index_add_",
         [](const Tensor& t, int64_t dim, const Tensor& i, const Tensor& source, Scalar alpha) {
           return index_add(t, dim, i, alpha.equals(1) ? source : mul(source, alpha), Write::InPlace);
         }),
      op("index_copy", [](const Tensor& t, int64_t dim, const Tensor& i,
                          const Tensor& source) { return index_copy(t, dim, i, source); }),
      op("index_copy_", [](const Tensor& t, int64_t dim, const Tensor& i,
                           const Tensor& source) { return index_copy(t, dim, i, source, Write::InPlace); }),
      op("index_fill", [](const Tensor& t, int64_t dim, const Tensor& i,
                          const Operand& value) { return index_fill(t, dim, i, value); }),
      op("index", index, {1}),
      op("index_put", put_at<index_put, Write::Fresh>, {1}),
      op("index_put_", put_at<index_put, Write::InPlace>, {1}),
      op("set_at", set_at),
      op("nonzero",
         [](const Tensor& t, bool as_tuple) {
           return as_tuple ? unbind(nonzero(t.dim() ? t : reshape(t, {1})), 1) : Tensors{nonzero(t)};
         }),
      op("masked_fill",
         [](const Tensor& t, const Tensor& mask, const Operand& value) { return masked_fill(t, mask, value); }),
      op("masked_fill_", [](const Tensor& t, const Tensor& mask,
                            const Operand& value) { return masked_fill(t, mask, value, Write::InPlace); }),
      op("masked_scatter",
         [](const Tensor& t, const Tensor& mask, const Tensor& source) { return masked_scatter(t, mask, source); }),
  };
}

}  // namespace flambeau::program
