// Joining, and copies with the elements in other places.
#include "bind.h"
#include "flambeau/grids.h"

namespace flambeau::python {

namespace {
constexpr int kBoth = kFunction | kMethod;

Tensor repeat_interleaved(const Tensor& t, PyObject* repeats, std::optional<int64_t> dim,
                          std::optional<int64_t> output_size) {
  if (repeats == Py_None) {  // the repeats themselves: how often each position occurs
    require(t.dim() == 1, "repeat_interleave only accept 1D vector as repeat, got shape ", t.shape());
    return repeat_interleave(arange(Scalar(0), Scalar(t.numel()), Scalar(1), Dtype::int64), t, 0, output_size);
  }
  if (is_tensor(repeats)) return repeat_interleave(t, tensor_of(repeats), dim, output_size);
  static const Parameter parameter{PyUnicode_InternFromString("repeats")};
  const int64_t count = From<int64_t>::get({"repeat_interleave", &parameter, 1}, repeats);
  require(count >= 0, "Repeats must be non-negative, got ", count);
  return repeat_interleave(t, scalar_tensor(Scalar(count), Dtype::int64), dim, output_size);
}

Dtype index_dtype(std::optional<Dtype> dtype) { return dtype.value_or(Dtype::int64); }

void bind_triangles() {
  def("tril_indices(row, col, offset=0, *, dtype=None, device=None, layout=None)", kFunction,
      "The positions in the lower triangle of a (row, col) matrix, (2, n).",
      [](int64_t rows, int64_t columns, int64_t offset, std::optional<Dtype> dtype, Placement place, PyObject*) {
        const OnDevice scope(place.of_fresh());
        return triangle_indices(rows, columns, offset, true, index_dtype(dtype));
      });
  def("triu_indices(row, col, offset=0, *, dtype=None, device=None, layout=None)", kFunction,
      "The positions in the upper triangle of a (row, col) matrix, (2, n).",
      [](int64_t rows, int64_t columns, int64_t offset, std::optional<Dtype> dtype, Placement place, PyObject*) {
        const OnDevice scope(place.of_fresh());
        return triangle_indices(rows, columns, offset, false, index_dtype(dtype));
      });
}

void bind_grids() {
  def("meshgrid(*tensors, indexing='ij')", kFunction,
      R"(Coordinate grids of vectors; ``indexing='xy'`` exchanges the first two dimensions, as NumPy does.

Raises RuntimeError for tensors of more than one dimension or of different dtypes, and for another ``indexing``.

>>> flambeau.meshgrid(flambeau.tensor([1, 2]), flambeau.tensor([3, 4, 5]))[1]
tensor([[3, 4, 5],
        [3, 4, 5]]))",
      [](PyObject* tensors, std::string_view indexing) {
        require(indexing == "ij" || indexing == "xy",
                "meshgrid: indexing must be one of 'xy' or 'ij', but received: ", indexing);
        return meshgrid(given_tensors("meshgrid", tensors), indexing == "xy");
      });
  def("cartesian_prod(*tensors)", kFunction,
      R"(All ways to choose one element of each vector, ``(product of sizes, vectors)``; a single vector as it is.

>>> flambeau.cartesian_prod(flambeau.tensor([1, 2]), flambeau.tensor([3, 4]))
tensor([[1, 3],
        [1, 4],
        [2, 3],
        [2, 4]]))",
      [](PyObject* tensors) { return cartesian_prod(given_tensors("cartesian_prod", tensors)); });
  def("block_diag(*tensors)", kFunction,
      R"(The matrices along the diagonal of one, zeros elsewhere; vectors count as one row. Gradient: each its block.

Raises RuntimeError for a tensor of more than two dimensions.

>>> flambeau.block_diag(flambeau.ones(1, 2), flambeau.tensor([[2.0]]))
tensor([[1., 1., 0.],
        [0., 0., 2.]]))",
      [](PyObject* tensors) { return block_diag(given_tensors("block_diag", tensors)); });
}

}  // namespace

void bind_joining() {
  for (const char* signature : {"cat(tensors, dim=0)", "concat(tensors, dim=0)", "concatenate(tensors, dim=0)"})
    def(signature, kFunction | kOut | kWidest, "Tensors joined along a dimension. Gradient: each its part.", cat);
  def("repeat_interleave(input, repeats=None, dim=None, *, output_size=None)", kBoth,
      "Each slice along a dimension (of the flattened input without dim) repeated as often as `repeats`, one number or "
      "one a slice, says. Of a vector of repeats alone: the positions repeated. Gradient: input.",
      repeat_interleaved);
  bind_triangles();
  bind_grids();
}

}  // namespace flambeau::python
