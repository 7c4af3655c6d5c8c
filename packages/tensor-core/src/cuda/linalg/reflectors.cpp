// QR factorizations by Householder reflectors, and multiplication by the reflectors. Note [Elimination]. The kernels
// are in device/linalg/reflectors.h.
#include "cuda/linalg/elimination.h"
#include "cuda/linalg/matrices.h"
#include "cuda/runtime/cuda_modules.h"
#include "device/linalg/reflectors_arguments.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kPanel, kVectors, kTriangle };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "reflectors",
        std::string("#include \"device/linalg/reflectors.h\"\nFLAMBEAU_REFLECTORS(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"panel", "vectors", "triangle"});
  });
}

char* factors(const Tensor& tau, int64_t first) { return tau.device_bytes() + first * item_size(tau.dtype()); }

// Multiplies c by Q = 1 - V T V^H or, if `adjoint`, by Q^H. The columns of `panel` contain the reflectors; their
// factors are the elements of `tau` from `first` on.
void apply_panel(const Tensor& panel, const Tensor& tau, int64_t first, bool adjoint, const Tensor& c) {
  const int64_t count = panel.size(0), rows = panel.size(1), width = panel.size(2);
  const int device = panel.device().index;
  CudaModule& module = module_of(panel.dtype());
  const Tensor vectors = empty({count, rows, width}, panel.dtype()),
               triangle = empty({count, width, width}, panel.dtype());
  const ReflectorVectorsArguments v{matrices(panel), vectors.device_bytes(), count, rows, width};
  launch(device, module, kVectors, {unsigned(divide_up(vectors.numel(), kThreads))}, kThreads, v);
  const Tensor adjoint_vectors = cuda::adjoint(vectors), gram = product_of(adjoint_vectors, vectors);
  const ReflectorTriangleArguments t{
      factors(tau, first), gram.device_bytes(), tau.stride(0), width, triangle.device_bytes(), adjoint};
  launch(device, module, kTriangle, {unsigned(count)}, 32, t);
  subtract_product(c, vectors, product_of(triangle, product_of(adjoint_vectors, c)));
}

}  // namespace

void factor_qr(const Tensor& a, const Tensor& tau) {
  const int64_t m = a.size(1), n = a.size(2), steps = tau.size(1);
  if (a.numel() == 0) return;
  for (int64_t k = 0; k < steps; k += kReflectors) {
    const int64_t width = std::min<int64_t>(kReflectors, steps - k), right = k + width;
    const Tensor panel = part(a, k, m - k, k, width);
    const ReflectorPanelArguments p{matrices(panel), m - k, width, factors(tau, k), tau.stride(0)};
    launch(a.device().index, module_of(a.dtype()), kPanel, {unsigned(a.size(0))}, kReflectorThreads, p);
    if (right < n) apply_panel(panel, tau, k, true, part(a, k, m - k, right, n - right));
  }
}

void reflect(const Tensor& vectors, const Tensor& tau, const Tensor& c, bool adjoint, bool fresh) {
  const int64_t m = c.size(1), n = c.size(2), k = tau.size(1);
  if (c.numel() == 0) return;
  const int64_t blocks = divide_up(k, int64_t(kReflectors));
  for (int64_t s = 0; s < blocks; ++s) {
    const int64_t i = (adjoint ? s : blocks - 1 - s) * kReflectors, width = std::min<int64_t>(kReflectors, k - i);
    const int64_t left = fresh ? i : 0;  // if c was the identity, its first i columns do not change in these rows
    apply_panel(part(vectors, i, m - i, i, width), tau, i, adjoint, part(c, i, m - i, left, n - left));
  }
}

}  // namespace flambeau::cuda
