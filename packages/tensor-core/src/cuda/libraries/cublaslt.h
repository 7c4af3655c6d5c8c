// Matrix products by cuBLASLt, which is opened at run time where it is installed.
#pragma once

#include <optional>

#include "device/linalg/tile_arguments.h"
#include "flambeau/dtype.h"

namespace flambeau::cuda {

// A matrix (rows, columns) of any strides, as the library reads its transpose: by columns `leading` apart. The
// transpose itself lies so where `transposed` is false. Nothing where neither stride is 1.
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
// False, with nothing done, where it does not do this one. `in` and `out` are the elements' types.
bool library_product(int device, const ProductArguments& a, Dtype in, Dtype out);

}  // namespace flambeau::cuda
