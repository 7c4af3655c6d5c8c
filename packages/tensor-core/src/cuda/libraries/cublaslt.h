// Matrix products by cuBLASLt, which is loaded at run time if it is installed.
#pragma once

#include <optional>

#include "device/linalg/tile_arguments.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

// Description of a matrix (rows, columns) for cuBLASLt, which reads its transpose in column-major order with columns
// `leading` elements apart. `transposed`: the library has to transpose. Empty if neither stride is 1.
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
// Returns false and does nothing if the library does not support this product. `in` and `out` are the element types.
bool library_product(int device, const ProductArguments& a, Dtype in, Dtype out);

}  // namespace flambeau::cuda
