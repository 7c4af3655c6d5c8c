// Matrix products on a GPU: by cuBLASLt if it is installed and supports them, otherwise by flambeau's tiles.
#include <limits>

#include "cuda/division.h"
#include "cuda/libraries/cublaslt.h"
#include "cuda/operators.h"
#include "cuda/runtime/cuda_modules.h"
#include "flambeau/copies.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::cuda {

namespace {

CudaModule& module_of(Dtype in, Dtype out, int64_t tile, bool tf32) {
  static auto* modules = new CudaModules;
  const uint64_t key = ((uint64_t(in) * 16 + uint64_t(out)) * 2 + (tile == kLargeTile)) * 2 + tf32;
  return modules->find(key, [&] {
    std::string source = "#include \"device/linalg/product.h\"\nFLAMBEAU_PRODUCT(";
    source += std::string(type_name(in)) + ", " + type_name(out) + ", " + std::to_string(tile) +
              (tf32 ? ", true)\n" : ", false)\n");
    return std::make_unique<CudaModule>("matrix product", source, kTileKernels);
  });
}

Operand2D matrix_of(const Tensor& t) {
  const int d = t.dim();
  return {t.device_bytes(), t.stride(d - 2), t.stride(d - 1), d == 3 ? t.stride(0) : 0};
}

}  // namespace

void multiply(const Tensor& out, const Tensor& a, const Tensor& b, const Tensor& bias) {
  if (out.numel() == 0) return;
  const int d = out.dim(), device = out.device().index;
  const Dtype in = a.dtype();
  const OnDevice scope(out.device());
  const int64_t m = out.size(d - 2), n = out.size(d - 1), k = a.size(d - 1), batch = d == 3 ? out.size(0) : 1;
  ProductArguments p{{m, n, k, batch, 0, 0, 1, k},
                     nullptr,
                     matrix_of(a),
                     matrix_of(b),
                     out.device_bytes(),
                     out.stride(d - 2),
                     out.stride(d - 1),
                     d == 3 ? out.stride(0) : 0,
                     nullptr,
                     0};
  if (bias.defined()) p.bias = bias.device_bytes(), p.bias_stride = bias.stride(0);
  if (library_multiplies(in)) {  // the library requires that the rows or the columns of operands are contiguous
    const bool left = library_layout(m, k, p.left.row, p.left.column).has_value(),
               right = library_layout(k, n, p.right.row, p.right.column).has_value();
    if (!left || !right) return multiply(out, left ? a : clone(a), right ? b : clone(b), bias);
    if (library_product(device, p, in, out.dtype())) return;
  }
  const int64_t tile = tile_of(m, n, batch, accumulator_size(in));
  CudaModule& module = module_of(in, out.dtype(), tile, in == Dtype::float32 && tf32_allowed());
  const int64_t each = divide_up(m, tile) * divide_up(n, tile),
                most = std::max<int64_t>(std::numeric_limits<int32_t>::max() / each, 1);
  for (int64_t first = 0; first < batch; first += most) {
    ProductArguments part = p;
    part.left.data += first * p.left.batch * item_size(in);
    part.right.data += first * p.right.batch * item_size(in);
    part.out += first * p.out_batch * item_size(out.dtype());
    part.division = division_of(m, n, k, std::min(most, batch - first), tile);
    run_tiles(device, module, part, in);
  }
}

}  // namespace flambeau::cuda
