// Runs a pointwise kernel over tensors of any layout and dtype: broadcasting, blocks through the cache, threads.
#include "flambeau/pointwise.h"

#include <cstring>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

constexpr int64_t kBlockBytes = 8192;  // converted at a time: four operands fit the first-level cache
constexpr int64_t kGrain = 32768;      // elements worth a thread
constexpr int kMaxPointers =
    kMaxOperands + 3;  // a derivative reads grad, three operands and the result, and writes one

struct alignas(64) Buffers {
  char bytes[kMaxPointers][kBlockBytes];
};

int64_t block_of(Dtype in, Dtype from) {  // elements
  return kBlockBytes / std::max<int64_t>({8, item_size(in), item_size(from)});
}

void fill_block(char* to, Scalar value, Dtype dtype, int64_t n) {
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (sizeof(T) >= 4) {
      const T v = value.to<T>();
      for (int64_t i = 0; i < n; ++i) reinterpret_cast<T*>(to)[i] = v;
    }
  });
}

// The common case: every tensor contiguous, of the output's shape and the kernel's type.
void run_direct(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands, int count,
                Dtype in) {
  const int64_t n = output.numel(), in_size = item_size(in), out_size = item_size(from);
  bool any_scalar = false;
  for (int k = 0; k < count; ++k) any_scalar |= !operands[k].tensor;
  char* pointers[kMaxPointers];
  if (!any_scalar && n <= kGrain) {
    pointers[0] = output.bytes();
    for (int k = 0; k < count; ++k) pointers[k + 1] = operands[k].tensor->bytes();
    kernel(pointers, n);
    return;
  }
  const int64_t block = block_of(in, from);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    Buffers buffers;
    char* at[kMaxPointers];
    for (int k = 0; k < count; ++k)
      if (!operands[k].tensor) fill_block(buffers.bytes[k + 1], operands[k].scalar, in, std::min(block, end - begin));
    const int64_t step = any_scalar ? block : end - begin;
    for (int64_t i = begin; i < end; i += step) {
      at[0] = output.bytes() + i * out_size;
      for (int k = 0; k < count; ++k)
        at[k + 1] = operands[k].tensor ? operands[k].tensor->bytes() + i * in_size : buffers.bytes[k + 1];
      kernel(at, std::min(step, end - i));
    }
  });
}

// Shapes and byte strides of the output (0) and the operands (1...), neighbouring dimensions merged where they can be.
struct Plan {
  int dims = 0;
  int64_t size[kMaxDims];
  int64_t stride[kMaxPointers][kMaxDims];
  char* base[kMaxPointers];
};

void add_strides(Plan& plan, int k, const Tensor& t, const Shape& shape) {
  const size_t shift = shape.size() - t.shape().size();
  for (size_t i = 0; i < shape.size(); ++i)
    plan.stride[k][i] = i < shift || t.shape()[i - shift] == 1 ? 0 : t.strides()[i - shift] * item_size(t.dtype());
  plan.base[k] = t.bytes();
}

void coalesce(Plan& plan, int pointers) {
  int kept = 0;
  for (int i = 0; i < plan.dims; ++i) {
    if (plan.size[i] == 1) continue;
    bool merge = kept > 0;
    for (int k = 0; k < pointers && merge; ++k) merge = plan.stride[k][kept - 1] == plan.stride[k][i] * plan.size[i];
    if (!merge) ++kept;
    plan.size[kept - 1] = merge ? plan.size[kept - 1] * plan.size[i] : plan.size[i];
    for (int k = 0; k < pointers; ++k) plan.stride[k][kept - 1] = plan.stride[k][i];
  }
  if (kept == 0) {
    kept = 1;
    plan.size[0] = 1;
    for (int k = 0; k < pointers; ++k) plan.stride[k][0] = 0;
  }
  plan.dims = kept;
}

// Elements [begin, end) of the plan in row-major order.
void run_range(const Plan& plan, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
               int count, Dtype in, int64_t begin, int64_t end) {
  Buffers buffers;
  const auto& cast = kernels::table().cast;
  const int64_t block = block_of(in, from);
  const int64_t in_size = item_size(in), from_size = item_size(from), out_size = item_size(output.dtype());
  const int last = plan.dims - 1;
  int64_t position[kMaxDims], rest = begin;
  for (int d = last; d >= 0; --d) {
    position[d] = rest % plan.size[d];
    rest /= plan.size[d];
  }
  for (int k = 0; k < count; ++k)
    if (!operands[k].tensor) fill_block(buffers.bytes[k + 1], operands[k].scalar, in, std::min(block, end - begin));
  char* at[kMaxPointers];
  while (begin < end) {
    const int64_t n = std::min({plan.size[last] - position[last], end - begin, block});
    for (int k = 0; k < count; ++k) {
      if (!operands[k].tensor) {
        at[k + 1] = buffers.bytes[k + 1];
        continue;
      }
      char* source = plan.base[k + 1];
      for (int d = 0; d <= last; ++d) source += position[d] * plan.stride[k + 1][d];
      const int64_t stride = plan.stride[k + 1][last];
      const Dtype dtype = operands[k].tensor->dtype();
      if (dtype == in && stride == in_size) {
        at[k + 1] = source;
      } else {
        at[k + 1] = buffers.bytes[k + 1];
        cast[int(in)][int(dtype)](at[k + 1], in_size, source, stride, n);
      }
    }
    char* target = plan.base[0];
    for (int d = 0; d <= last; ++d) target += position[d] * plan.stride[0][d];
    const int64_t out_stride = plan.stride[0][last];
    const bool direct = output.dtype() == from && (out_stride == out_size || n == 1);
    at[0] = direct ? target : buffers.bytes[0];
    kernel(at, n);
    if (!direct) cast[int(output.dtype())][int(from)](target, out_stride, buffers.bytes[0], from_size, n);
    begin += n;
    position[last] += n;
    for (int d = last; d > 0 && position[d] == plan.size[d]; --d) {
      position[d] = 0;
      ++position[d - 1];
    }
  }
}

constexpr int64_t kShortRow = 32;  // elements: a call of the kernel costs more than copying shorter rows together

template <class T>
void copy_row(char* to, const char* from, int64_t stride, int64_t n) {
  T* const out = reinterpret_cast<T*>(to);
  if (stride == 0) {
    const T value = *reinterpret_cast<const T*>(from);
    for (int64_t i = 0; i < n; ++i) out[i] = value;
  } else if (stride == sizeof(T)) {
    for (int64_t i = 0; i < n; ++i) out[i] = reinterpret_cast<const T*>(from)[i];
  } else {
    for (int64_t i = 0; i < n; ++i, from += stride) out[i] = *reinterpret_cast<const T*>(from);
  }
}

// Elements [begin, begin + n) of an operand in row-major order, one after the other and converted, to `to`.
void gather(const Plan& plan, int k, Dtype dtype, Dtype in, int64_t begin, int64_t n, char* to) {
  const int64_t size = item_size(in), *stride = plan.stride[k];
  const int last = plan.dims - 1;
  const auto copy = dtype != in ? nullptr : size == 4 ? copy_row<uint32_t> : size == 8 ? copy_row<uint64_t> : nullptr;
  const auto cast = kernels::table().cast[int(in)][int(dtype)];
  const char* from = plan.base[k];
  int64_t position[kMaxDims];
  for (int d = last; d >= 0; --d) {
    position[d] = begin % plan.size[d];
    begin /= plan.size[d];
    from += position[d] * stride[d];
  }
  while (n > 0) {
    const int64_t row = std::min(plan.size[last] - position[last], n);
    copy ? copy(to, from, stride[last], row) : cast(to, size, from, stride[last], row);
    to += row * size;
    n -= row;
    position[last] += row;
    from += row * stride[last];
    for (int d = last; d > 0 && position[d] == plan.size[d]; --d) {
      from += stride[d - 1] - position[d] * stride[d];
      position[d] = 0;
      ++position[d - 1];
    }
  }
}

// As run_range where rows are short and the output is contiguous: blocks of many rows.
void run_blocks(const Plan& plan, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                int count, Dtype in, int64_t begin, int64_t end) {
  Buffers buffers;
  const int64_t block = std::min(block_of(in, from), end - begin), in_size = item_size(in);
  char* at[kMaxPointers];
  bool dense[kMaxPointers];
  for (int k = 0; k < count; ++k) {
    const Tensor* t = operands[k].tensor;
    dense[k] = t && t->dtype() == in && t->is_contiguous() && t->numel() == output.numel();
    if (!t) fill_block(buffers.bytes[k + 1], operands[k].scalar, in, block);
  }
  for (; begin < end; begin += block) {
    const int64_t n = std::min(block, end - begin);
    for (int k = 0; k < count; ++k) {
      at[k + 1] = dense[k] ? plan.base[k + 1] + begin * in_size : buffers.bytes[k + 1];
      if (operands[k].tensor && !dense[k]) gather(plan, k + 1, operands[k].tensor->dtype(), in, begin, n, at[k + 1]);
    }
    at[0] = output.bytes() + begin * item_size(from);
    kernel(at, n);
  }
}

}  // namespace

void run_kernel(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands, int count,
                Dtype in) {
  if (output.numel() == 0) return;
  bool direct = output.is_contiguous() && output.dtype() == from;
  for (int k = 0; k < count && direct; ++k)
    if (const Tensor* t = operands[k].tensor)
      direct = t->is_contiguous() && t->dtype() == in && t->shape() == output.shape();
  if (direct) return run_direct(kernel, output, from, operands, count, in);
  Plan plan;
  plan.dims = output.dim();
  for (int d = 0; d < plan.dims; ++d) plan.size[d] = output.shape()[d];
  add_strides(plan, 0, output, output.shape());
  for (int k = 0; k < count; ++k) {
    if (operands[k].tensor)
      add_strides(plan, k + 1, *operands[k].tensor, output.shape());
    else
      std::memset(plan.stride[k + 1], 0, sizeof(int64_t) * size_t(plan.dims));
  }
  coalesce(plan, count + 1);
  const bool short_rows = plan.dims > 1 && plan.size[plan.dims - 1] < kShortRow;
  const auto run = short_rows && output.is_contiguous() && output.dtype() == from ? run_blocks : run_range;
  parallel_for(output.numel(), kGrain,
               [&](int64_t begin, int64_t end) { run(plan, kernel, output, from, operands, count, in, begin, end); });
}

}  // namespace flambeau
