// Checks of the arguments of linear algebra operators, and their errors.
#pragma once

#include "flambeau/operators/linalg.h"

namespace flambeau::linalg {

// Requires float32, float64, complex64 or complex128.
inline void check_inexact(const char* name, const Tensor& t) {
  const Dtype type = t.dtype();
  require(
      is_inexact(type) && item_size(to_real(type)) >= 4, "linalg.", name, ": ",
      is_floating(type) ? "Low precision dtypes not supported" : "Expected a floating point or complex tensor as input",
      ". Got ", type);
}

inline void check_dtypes(const char* name, const Tensor& a, const Tensor& b) {
  require(a.dtype() == b.dtype(), "linalg.", name, ": Expected A and B to have the same dtype, but found A of type ",
          a.dtype(), " and B of type ", b.dtype(), " instead");
}

inline void check_fit(const char* name, const Tensor& a, const Tensor& b, bool left) {
  require(b.dim() >= 2 && a.size(-1) == b.size(left ? -2 : -1), "linalg.", name,
          ": Incompatible shapes of A and B for the equation ", left ? "AX = B" : "XA = B", " (", a.shape(), " and ",
          b.shape(), ")");
}

// Raises LinAlgError for the first matrix of the batch whose info is not 0. explain(std::ostream&, info) writes the
// reason.
template <class F>
void check_info(const char* name, const Tensor& info, F&& explain) {
  const Tensor on_cpu = info.is_cuda() ? to(info, DeviceType::Cpu) : info;
  const int32_t* codes = on_cpu.data<int32_t>();
  for (int64_t i = 0; i < info.numel(); ++i) {
    if (codes[i] == 0) continue;
    std::ostringstream text;
    text << "linalg." << name << ": ";
    if (info.dim()) text << "(Batch element " << i << "): ";
    explain(text, codes[i]);
    throw LinAlgError(text.str());
  }
}

inline void explain_singular(std::ostream& text, int32_t info) {
  text << "The solver failed because the input matrix is singular: the diagonal element " << info
       << " of its factor U is zero.";
}

}  // namespace flambeau::linalg
