// Equality of two tensors. For contiguous tensors on the CPU, the comparison stops at the first block that differs.
#include <atomic>
#include <cstring>

#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

constexpr int64_t kBlock = 2048;  // number of elements that are compared at a time

// Returns true if elements of this dtype are compared without conversion.
bool has_kernel(Dtype dtype) {
  return (is_floating(dtype) || is_complex(dtype)) && dtype_of(compute_type(dtype)) == dtype;
}

bool equal_values(const Tensor& a, const Tensor& b) {
  const auto kernel = kernels::table().pointwise[int(op::eq)][int(compute_type(a.dtype()))];
  const int64_t size = item_size(a.dtype());
  std::atomic<bool> same = true;
  parallel_for(a.numel(), 65536, [&](int64_t begin, int64_t end) {
    char each[kBlock];
    for (int64_t i = begin; i < end && same.load(std::memory_order_relaxed); i += kBlock) {
      const int64_t count = std::min(kBlock, end - i);
      char* const at[] = {each, a.bytes() + i * size, b.bytes() + i * size};
      kernel(at, count);
      if (std::memchr(each, 0, size_t(count))) same.store(false, std::memory_order_relaxed);
    }
  });
  return same;
}

}  // namespace

bool equal(const Tensor& a, const Tensor& b) {
  NoRecording off;
  if (!(a.shape() == b.shape())) return false;
  require<NotImplementedError>(!a.is_meta(),
                               "equal: a tensor on the meta device has no elements that could be compared");
  const bool side_by_side = a.dtype() == b.dtype() && a.is_contiguous() && b.is_contiguous();
  if (side_by_side && !a.is_cuda() && !b.is_cuda() && has_kernel(a.dtype())) return equal_values(a, b);
  return item(all(eq(a, b), std::nullopt, false)).truth();
}

const Operator equal_operator({.signature = "equal(input, other)",
                               .forms = kFunction | kMethod,
                               .doc = "Return True if the shapes and all elements are equal.",
                               .forward = equal,
                               .reference = "np.array_equal(input, other)",
                               .samples = "f(2, 3), f(2, 3); np.ones(3), np.ones(3)"});

}  // namespace flambeau
