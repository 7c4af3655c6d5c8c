#include "core/looked_up.h"

#include <algorithm>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/narrow_table.h"

namespace flambeau {

namespace {

constexpr int64_t kBlock = 256;                     // values computed at a time
constexpr int64_t kMany = int64_t(1) << 18;         // elements that are worth 65536 values
constexpr int64_t kGrain = 32768, kFewBlocks = 16;  // elements and blocks worth a thread

// What a table is made of: the operand `at` takes every value of its type, the others are numbers.
struct Function {
  PointwiseKernel kernel;
  Dtype in, from;
  const Operand* operands;
  int count, at;

  // The values for operands whose bits are those of the numbers from `first` on.
  void tabulate(char* to, Dtype dtype, int64_t first, int64_t blocks) const {
    alignas(64) char room[kMaxOperands + 1][kBlock * sizeof(Complex<double>)];
    uint16_t bits[kBlock];
    char* pointers[kMaxOperands + 1] = {room[0]};
    for (int k = 0; k < count; ++k) {
      pointers[k + 1] = room[k + 1];
      if (k != at)
        dispatch_all(in, [&](auto tag) {
          using T = typename decltype(tag)::type;
          std::fill_n(reinterpret_cast<T*>(room[k + 1]), kBlock, operands[k].scalar.to<T>());
        });
    }
    const Dtype of = operands[at].tensor->dtype();
    const auto& cast = kernels::table().cast;
    for (const int64_t end = first + blocks * kBlock; first < end; first += kBlock, to += kBlock * item_size(dtype)) {
      for (int64_t i = 0; i < kBlock; ++i) bits[i] = uint16_t(first + i);
      cast[int(in)][int(of)](pointers[at + 1], item_size(in), reinterpret_cast<const char*>(bits), sizeof(bits[0]),
                             kBlock);
      kernel(pointers, kBlock);
      cast[int(dtype)][int(from)](to, item_size(dtype), room[0], item_size(from), kBlock);
    }
  }
};

// The one operand that is a tensor, or -1.
int only_tensor(const Operand* operands, int count) {
  int at = -1;
  for (int k = 0; k < count; ++k)
    if (operands[k].tensor) {
      if (at >= 0) return -1;
      at = k;
    }
  return at;
}

}  // namespace

bool run_looked_up(PointwiseOp op, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                   int count, Dtype in) {
  const int at = only_tensor(operands, count);
  if (at < 0 || output.is_meta()) return false;
  const Tensor& t = *operands[at].tensor;
  const int64_t size = item_size(t.dtype()), to_size = item_size(output.dtype());
  if (size > 2 || to_size > 8 || t.dtype() == in || !t.is_contiguous() || !output.is_contiguous() ||
      !(t.shape() == output.shape()))
    return false;
  const auto& narrow = kernels::narrow_table();
  if (size == 2 && (output.numel() < kMany || !narrow.is_slow[int(op)])) return false;
  const int64_t blocks = (int64_t(1) << 8 * size) / kBlock;
  const Tensor table = empty({blocks * kBlock}, output.dtype());
  const Function function{kernel, in, from, operands, count, at};
  parallel_items(blocks, kFewBlocks, [&](int64_t begin, int64_t end) {
    function.tabulate(table.bytes() + begin * kBlock * to_size, output.dtype(), begin * kBlock, end - begin);
  });
  const auto look_up = narrow.look_up[size - 1][__builtin_ctz(unsigned(to_size))];
  parallel_for(output.numel(), kGrain, [&](int64_t begin, int64_t end) {
    look_up(output.bytes() + begin * to_size, t.bytes() + begin * size, table.bytes(), end - begin);
  });
  return true;
}

}  // namespace flambeau
