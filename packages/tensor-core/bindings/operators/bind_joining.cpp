// The positions in triangles of matrices.
#include "calls/bind.h"

namespace flambeau::python {

namespace {
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

}  // namespace

void bind_joining() { bind_triangles(); }

}  // namespace flambeau::python
