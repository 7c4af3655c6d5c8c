// One matrix in memory: its factorizations, and triangular systems. Internal.
//
// Note [Blocked factorizations]
// A panel of kPanel columns is factored by the kernel, in a compact copy; what lies right of it follows by a triangular
// solve and one matrix product, which does nearly all of the work. Householder's reflectors of a panel act together as
// 1 - V T V^H with a small triangular T (Schreiber, Van Loan 1989). Batches are split over the threads; within one
// large matrix it is the products that are. Golub, Van Loan, Matrix Computations, 4th edition, chapters 3 to 5.
#pragma once

#include <algorithm>

#include "flambeau/parallel.h"
#include "flambeau/tensor.h"
#include "kernels/table.h"

namespace flambeau::blocked {

struct Block {  // a row-major matrix in memory
  char* data;
  int64_t ld;  // elements between rows
  Dtype dtype;

  char* at(int64_t i, int64_t j) const { return data + (i * ld + j) * item_size(dtype); }
  Block from(int64_t i, int64_t j) const { return {at(i, j), ld, dtype}; }
  kernels::Matrix plain() const { return {data, ld, 1}; }
  kernels::Matrix transposed() const { return {data, 1, ld}; }
};

// Runs body(first, last) over ranges of columns, which have no part in each other: a thread that goes all the way with
// its own finds them in its cache. Ranges are so wide that products take the same path in each.
template <class F>
void over_columns(int64_t columns, double work, F&& body) {  // work: multiply-adds a column
  constexpr int64_t kGroup = 64;
  const int64_t groups = std::max<int64_t>(1, columns / kGroup);
  parallel_items(groups, std::max<int64_t>(1, int64_t(100000 / (kGroup * work + 1))),
                 [&](int64_t begin, int64_t end) { body(begin * kGroup, end == groups ? columns : end * kGroup); });
}

void exchange_rows(const Block& a, int64_t first, int64_t last, int64_t i, int64_t j);  // of the columns [first, last)
void solve(int64_t n, int64_t columns, const kernels::Triangle& a, const Block& b);     // B = A^-1 B
// In place. The results count from 1 the step at which an LU factor has a zero and a leading minor is not positive; 0
// is success.
int64_t lu(int64_t m, int64_t n, const Block& a, int32_t* pivots);  // pivots counted from 0
int64_t cholesky(int64_t n, const Block& a);                        // the upper factor
void qr(int64_t m, int64_t n, const Block& a, char* tau);
// C = Q C or Q^H C. `fresh`: C was the identity, whose columns left of a block the block leaves alone.
void reflect(int64_t m, int64_t n, int64_t k, const Block& v, const char* tau, bool adjoint, bool fresh,
             const Block& c);

}  // namespace flambeau::blocked
