// A batch of matrices as an argument of kernels. Host and device code include this file.
#pragma once

#include <cstdint>

namespace flambeau::cuda {

struct Matrices {  // strides in elements
  char* data;
  int64_t batch, row, column;
};

template <class T>
inline T& element(const Matrices& a, int64_t matrix, int64_t row, int64_t column) {
  return reinterpret_cast<T*>(a.data)[matrix * a.batch + row * a.row + column * a.column];
}

}  // namespace flambeau::cuda
