// Factorizations of one matrix in memory, and triangular systems.
//
// Note [Blocked factorizations]
// The kernel factors a panel of kPanel columns in a compact copy. The columns to its right are updated by a triangular
// solve and one matrix product, which does nearly all of the work. The Householder reflectors of a panel act together
// as 1 - V T V^H with a small triangular T (Schreiber, Van Loan 1989). Threads share the matrices of a batch; for one
// large matrix they share the products. Golub, Van Loan, Matrix Computations, 4th edition, chapters 3 to 5.
#pragma once

#include <algorithm>

#include "flambeau/parallel.h"
#include "flambeau/tensor.h"
#include "kernels/table.h"

namespace flambeau::blocked {

struct Block {  // a row-major matrix in memory
  char* data;
  int64_t ld;  // distance between adjacent rows, in elements
  Dtype dtype;

  char* at(int64_t i, int64_t j) const { return data + (i * ld + j) * item_size(dtype); }
  Block from(int64_t i, int64_t j) const { return {at(i, j), ld, dtype}; }
  kernels::Matrix plain() const { return {data, ld, 1}; }
  kernels::Matrix transposed() const { return {data, 1, ld}; }
};

// Divides independent columns into ranges and runs body(first, last) for each, so that the columns of a thread stay in
// its cache. Ranges are so wide that all of them use the same product algorithm.
template <class F>
void over_columns(int64_t columns, double work, F&& body) {  // work: multiply-adds for each column
  constexpr int64_t kGroup = 64;
  const int64_t groups = std::max<int64_t>(1, columns / kGroup);
  parallel_items(groups, std::max<int64_t>(1, int64_t(100000 / (kGroup * work + 1))),
                 [&](int64_t begin, int64_t end) { body(begin * kGroup, end == groups ? columns : end * kGroup); });
}

// Exchanges the rows i and j in the columns [first, last).
void exchange_rows(const Block& a, int64_t first, int64_t last, int64_t i, int64_t j);
// Computes B = A^-1 B.
void solve(int64_t n, int64_t columns, const kernels::Triangle& a, const Block& b);
// These functions work in place. They return 0 on success. Otherwise lu() returns the number of the first step, counted
// from 1, in which the diagonal element of U is 0, and cholesky() the size of the first leading minor that is not
// positive.
int64_t lu(int64_t m, int64_t n, const Block& a, int32_t* pivots);  // pivots are counted from 0
// Computes the upper factor.
int64_t cholesky(int64_t n, const Block& a);
void qr(int64_t m, int64_t n, const Block& a, char* tau);
// Computes C = Q C or, if `adjoint`, C = Q^H C. `fresh`: C is initially the identity, so a block of reflectors does not
// change the columns to the left of the block.
void reflect(int64_t m, int64_t n, int64_t k, const Block& v, const char* tau, bool adjoint, bool fresh,
             const Block& c);

}  // namespace flambeau::blocked
