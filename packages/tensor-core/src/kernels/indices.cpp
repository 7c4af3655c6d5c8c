// Checks of indices.
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The sign bit of `outside` is set if any entry is invalid. Every processor has vector instructions for these
// operations.
IndexRange check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size) {
  int64_t signs = 0, outside = 0;
  for (int64_t k = 0; k < n; ++k) {
    signs |= entries[k];
    outside |= (entries[k] - low) | (size - 1 - entries[k]);
  }
  return {signs < 0, outside < 0};
}

}  // namespace

void fill_indices(Table& table) { table.check_entries = check_entries; }

}  // namespace flambeau::kernels::FLAMBEAU_ISA
