#include "operators/pointwise/looked_up.h"

#include <algorithm>

#include "flambeau/operators.h"
#include "kernels/narrow_table.h"
#include "operators/reductions/reduction.h"

namespace flambeau {

namespace {

constexpr int64_t kBlock = 256;  // number of values that are computed at a time
// Number of entries of the largest table, and number of elements of a tensor from which such a table may be faster.
constexpr int64_t kWords = int64_t(1) << 16, kMany = 4 * kWords;
constexpr int64_t kGrain = 32768, kFewBlocks = 16;  // numbers of elements and of blocks that justify a thread

// A function that is computed by a lookup table: operand `at` is a tensor, and the other operands are numbers.
struct Function {
  PointwiseKernel kernel;
  Dtype in, from;
  const Operand* operands;
  int count, at;

  // Computes `blocks` blocks of the table. The values of the operand, as elements of type `of`, are first, first + 1
  // and so on, interpreted as integers.
  void tabulate(char* to, Dtype dtype, Dtype of, int64_t first, int64_t blocks) const {
    alignas(64) char room[kMaxOperands + 1][kBlock * sizeof(Complex<double>)];
    int64_t bits[kBlock];
    char* pointers[kMaxOperands + 1] = {room[0]};
    for (int k = 0; k < count; ++k) {
      pointers[k + 1] = room[k + 1];
      if (k != at)
        dispatch_all(in, [&](auto tag) {
          using T = typename decltype(tag)::type;
          std::fill_n(reinterpret_cast<T*>(room[k + 1]), kBlock, operands[k].scalar.to<T>());
        });
    }
    const auto& cast = kernels::table().cast;
    for (const int64_t end = first + blocks * kBlock; first < end; first += kBlock, to += kBlock * item_size(dtype)) {
      for (int64_t i = 0; i < kBlock; ++i) bits[i] = first + i;
      cast[int(in)][int(of)](pointers[at + 1], item_size(in), reinterpret_cast<const char*>(bits), sizeof(bits[0]),
                             kBlock);
      kernel(pointers, kBlock);
      cast[int(dtype)][int(from)](to, item_size(dtype), room[0], item_size(from), kBlock);
    }
  }
  Tensor table(Dtype dtype, Dtype of, int64_t first, int64_t values) const {
    const int64_t blocks = (values + kBlock - 1) / kBlock, size = item_size(dtype);
    const Tensor table = empty({blocks * kBlock}, dtype);
    parallel_items(blocks, kFewBlocks, [&](int64_t begin, int64_t end) {
      tabulate(table.bytes() + begin * kBlock * size, dtype, of, first + begin * kBlock, end - begin);
    });
    return table;
  }
};

// Returns true for operators with scalar kernels, which are many times slower than a lookup.
constexpr bool is_scalar(PointwiseOp op) { return family_of(op) == PointwiseFamily::special_scalar; }

// Returns the index of the only operand that is a tensor, or -1.
int index_of_only_tensor(const Operand* operands, int count) {
  int at = -1;
  for (int k = 0; k < count; ++k)
    if (operands[k].tensor) {
      if (at >= 0) return -1;
      at = k;
    }
  return at;
}

// The range [first, first + values) of a tensor's integers. It is empty if the range would contain more than kWords
// numbers.
struct Range {
  int64_t first = 0, values = 0;
};
Range range_of(const Tensor& t) {
  const auto within = [](const Tensor& some) {
    const TensorPair ends = reduce_both(kernels::Reduce::amin, kernels::Reduce::amax, some);
    const int64_t least = item(ends.values).integer(), largest = item(ends.indices).integer();
    const bool few = uint64_t(largest) - uint64_t(least) < kWords;
    return Range{few ? least : 0, few ? largest - least + 1 : 0};
  };
  NoRecording off;
  const Tensor flat = reshape(t, {t.numel()});
  return within(narrow(flat, 0, 0, kBlock)).values ? within(flat) : Range();
}

// Returns the kernel that reads words of `bytes` bytes and looks up elements of the dtype `to`.
auto look_up(int64_t bytes, Dtype to) {
  return kernels::narrow_table().look_up[bytes - 1][__builtin_ctz(unsigned(item_size(to)))];
}

void look_up_words(const Function& function, const Tensor& t, const Tensor& output) {
  const int64_t size = item_size(t.dtype()), to_size = item_size(output.dtype());
  const Tensor table = function.table(output.dtype(), t.dtype(), 0, int64_t(1) << 8 * size);
  const auto kernel = look_up(size, output.dtype());
  parallel_for(output.numel(), kGrain, [&](int64_t begin, int64_t end) {
    kernel(output.bytes() + begin * to_size, t.bytes() + begin * size, table.bytes(), end - begin);
  });
}

// Looks up elements by their position in the range.
template <class T>
void look_up_range(const Function& function, Range range, const Tensor& t, const Tensor& output) {
  const Tensor table = function.table(output.dtype(), Dtype::int64, range.first, range.values);
  const auto kernel = look_up(sizeof(uint16_t), output.dtype());
  parallel_for(output.numel(), kGrain, [&](int64_t begin, int64_t end) {
    uint16_t indices[kBlock];
    for (; begin < end; begin += kBlock) {
      const int64_t n = std::min(kBlock, end - begin);
      for (int64_t i = 0; i < n; ++i) indices[i] = uint16_t(t.data<T>()[begin + i] - T(range.first));
      kernel(output.bytes() + begin * item_size(output.dtype()), reinterpret_cast<const char*>(indices), table.bytes(),
             n);
    }
  });
}

}  // namespace

bool run_looked_up(PointwiseOp op, PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands,
                   int count, Dtype in) {
  const int at = index_of_only_tensor(operands, count);
  if (at < 0 || output.is_meta()) return false;
  const Tensor& t = *operands[at].tensor;
  if (item_size(output.dtype()) > 8 || t.dtype() == in || !t.is_contiguous() || !output.is_contiguous() ||
      !(t.shape() == output.shape()))
    return false;
  const Function function{kernel, in, from, operands, count, at};
  const int64_t size = item_size(t.dtype());
  const bool many = output.numel() >= kMany;
  if (size == 1 || (size == 2 && many && kernels::narrow_table().is_slow[int(op)])) {
    look_up_words(function, t, output);
    return true;
  }
  if (!many || !is_scalar(op) || (t.dtype() != Dtype::int32 && t.dtype() != Dtype::int64)) return false;
  const Range range = range_of(t);
  if (range.values) (size == 4 ? look_up_range<int32_t> : look_up_range<int64_t>)(function, range, t, output);
  return range.values != 0;
}

}  // namespace flambeau
