// Matrix products by cuBLASLt, which is loaded at run time if it is installed.
#pragma once

#include <optional>

#include "device/linalg/tile_arguments.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

// A matrix in the form that cuBLASLt expects: column-major, with columns `leading` elements apart. It contains the
// transpose of the given matrix (rows, columns) or, if `transposed` is set, the matrix itself, which the library then
// has to transpose. `row` and `column` are the strides of the given matrix. If neither stride is 1, the matrix does not
// have this form.
struct LibraryLayout {
  bool transposed;
  int64_t rows, columns, leading;
};
constexpr std::optional<LibraryLayout> library_layout(int64_t rows, int64_t columns, int64_t row, int64_t column) {
  const auto fits = [](int64_t across, int64_t leading, int64_t within) { return across == 1 || leading >= within; };
  if ((column == 1 || columns == 1) && fits(rows, row, columns))
    return LibraryLayout{false, columns, rows, rows == 1 ? columns : row};
  if ((row == 1 || rows == 1) && fits(columns, column, rows))
    return LibraryLayout{true, rows, columns, columns == 1 ? rows : column};
  return std::nullopt;
}

// Returns true if the library computes products of this dtype.
bool library_multiplies(Dtype d);
// Computes a product with elements of the types `in` and `out`. Returns false, without any effect, if the library does
// not support it.
bool library_product(int device, const ProductArguments& a, Dtype in, Dtype out);

}  // namespace flambeau::cuda
