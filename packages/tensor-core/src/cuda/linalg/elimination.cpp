// Note [Elimination]
// As on the CPU (Note [Blocked factorizations]), kernels factor panels of 32 columns and solve with diagonal blocks of
// 32 rows, for all matrices of a batch at once. Matrix products update the remaining columns; they are most of the work
// for large matrices. QR factorizations use the same scheme (reflectors.cpp): the reflectors of a panel are applied
// together. Only LDL factorizations process one pivot at a time, with a block of threads (indefinite.cpp).
#include "cuda/linalg/elimination.h"

#include "cuda/linalg/matrices.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/report.h"
#include "cuda/views.h"
#include "device/linalg/elimination_arguments.h"

namespace flambeau::cuda {

namespace {

constexpr int64_t kPanel = kEliminationPanel;

enum Kernel { kLu, kCholesky, kTriangle, kExchange };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "elimination",
        std::string("#include \"device/linalg/elimination.h\"\nFLAMBEAU_ELIMINATION(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"lu", "cholesky", "triangle", "exchange"});
  });
}

void exchange(const Tensor& a, const Tensor& pivots, int64_t first, int64_t steps, int64_t skipped, int64_t skip,
              bool back) {
  const ExchangeArguments e{
      matrices(a), a.size(0), a.size(1), a.size(2) - skip,          skipped, skip, integers(pivots), pivots.size(-1),
      first,       steps,     back,      reporter(a.device().index)};
  if (e.columns > 0 && e.count > 0)
    launch(a.device().index, module_of(a.dtype()), kExchange, column_grid(e.columns, kThreads, e.count), kThreads, e);
}

void factor_panel(Kernel kernel, const Tensor& a, int64_t first, int64_t rows, int64_t width, const Tensor& pivots,
                  const Tensor& info) {
  const PanelArguments p{matrices(part(a, first, rows, first, width)),
                         rows,
                         width,
                         first,
                         pivots.defined() ? integers(pivots) : nullptr,
                         integers(info),
                         pivots.defined() ? pivots.size(-1) : 0};
  launch(a.device().index, module_of(a.dtype()), kernel, {unsigned(a.size(0))}, kEliminationThreads, p);
}

}  // namespace

void solve_triangles(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const int64_t n = b.size(1), columns = b.size(2);
  if (b.numel() == 0) return;
  if (n <= kPanel) {
    const TriangleArguments t{matrices(a), matrices(b), b.size(0), n, columns, upper, unit};
    return launch(b.device().index, module_of(b.dtype()), kTriangle, column_grid(columns, kEliminationColumns, t.count),
                  kEliminationThreads, t);
  }
  const int64_t half = divide_up(n / 2, kPanel) * kPanel, rest = n - half;
  const Tensor above = narrowed(b, 1, 0, half), below = narrowed(b, 1, half, rest);
  const auto solve = [&](bool second) {
    second ? solve_triangles(part(a, half, rest, half, rest), below, upper, unit)
           : solve_triangles(part(a, 0, half, 0, half), above, upper, unit);
  };
  solve(upper);
  if (upper)
    subtract_product(above, part(a, 0, half, half, rest), below);
  else
    subtract_product(below, part(a, half, rest, 0, half), above);
  solve(!upper);
}

void factor_lu(const Tensor& a, const Tensor& pivots, const Tensor& info) {
  const int64_t m = a.size(1), n = a.size(2), steps = std::min(m, n);
  fill(info, Scalar(0));
  if (a.numel() == 0) return;
  for (int64_t k = 0; k < steps; k += kPanel) {
    const int64_t width = std::min(kPanel, steps - k), right = k + width;
    factor_panel(kLu, a, k, m - k, width, pivots, info);
    exchange(a, pivots, k, width, k, width, false);
    if (right == n) continue;
    const Tensor right_block = part(a, k, width, right, n - right);
    solve_triangles(part(a, k, width, k, width), right_block, false, true);
    subtract_product(part(a, right, m - right, right, n - right), part(a, right, m - right, k, width), right_block);
  }
}

void factor_cholesky(const Tensor& a, const Tensor& info) {
  const int64_t n = a.size(1);
  fill(info, Scalar(0));
  if (a.numel() == 0) return;
  for (int64_t k = 0; k < n; k += kPanel) {
    const int64_t width = std::min(kPanel, n - k), right = k + width;
    factor_panel(kCholesky, a, k, width, width, Tensor(), info);
    if (right == n) continue;
    const Tensor right_block = part(a, k, width, right, n - right);
    solve_triangles(adjoint(part(a, k, width, k, width)), right_block, false, false);
    subtract_product(part(a, right, n - right, right, n - right), adjoint(right_block), right_block);
  }
}

void exchange_rows(const Tensor& a, const Tensor& pivots, bool back) {
  exchange(a, pivots, 0, pivots.size(-1), a.size(2), 0, back);
}

void order_of_rows(const Tensor& order, const Tensor& pivots) {
  static auto* module =
      new CudaModule("order of rows", "#include \"device/linalg/elimination.h\"\nFLAMBEAU_ORDER_OF_ROWS\n", {"order"});
  if (order.numel() == 0) return;
  const int64_t rows = order.size(-1), count = order.numel() / rows;
  const OrderOfRowsArguments o{integers(pivots),
                               reinterpret_cast<int64_t*>(order.device_bytes()),
                               count,
                               pivots.size(-1),
                               rows,
                               reporter(order.device().index)};
  launch(order.device().index, *module, 0, {unsigned(divide_up(count, kThreads))}, kThreads, o);
}

}  // namespace flambeau::cuda
