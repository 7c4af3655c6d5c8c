// LDL factorizations and the solution of linear systems with them. The kernels are in device/linalg/indefinite.h.
#include "cuda/linalg/elimination.h"
#include "cuda/linalg/matrices.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/report.h"
#include "device/linalg/indefinite_arguments.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kFactor, kSolve };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "LDL factorizations",
        std::string("#include \"device/linalg/indefinite.h\"\nFLAMBEAU_INDEFINITE(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"factor", "solve"});
  });
}

}  // namespace

void factor_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& info, bool hermitian) {
  fill(info, Scalar(0));
  if (a.numel() == 0) return;
  const IndefiniteArguments f{a.device_bytes(), integers(pivots), integers(info), a.size(1), hermitian};
  launch(a.device().index, module_of(a.dtype()), kFactor, {unsigned(a.size(0))}, kIndefiniteThreads, f);
}

void solve_indefinite(const Tensor& a, const Tensor& pivots, const Tensor& b, bool hermitian) {
  if (b.numel() == 0) return;
  const int device = b.device().index;
  const IndefiniteSolveArguments s{a.device_bytes(), b.device_bytes(), integers(pivots), b.size(0),
                                   b.size(1),        b.size(2),        hermitian,        reporter(device)};
  launch(device, module_of(b.dtype()), kSolve, column_grid(s.columns, kIndefiniteColumns, s.count), kIndefiniteThreads,
         s);
}

}  // namespace flambeau::cuda
