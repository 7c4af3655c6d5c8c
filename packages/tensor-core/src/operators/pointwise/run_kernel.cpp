// Runs a pointwise kernel on tensors of any layout and dtype. Broadcasts operands, copies blocks through the cache, and
// uses several threads.
#include "flambeau/pointwise.h"

#include <vector>

#include "flambeau/parallel.h"
#include "operators/pointwise/operand_layout.h"

namespace flambeau {

namespace {

constexpr int64_t kBlockBytes = 8192;  // size of a converted block; four of them fit in the first-level cache
constexpr int64_t kGrain = 32768;      // number of elements that justify a thread
constexpr int kMaxPointers =
    kMaxOperands + 3;  // a derivative reads grad, three operands and the result, and writes one

struct alignas(64) Buffers {
  char bytes[kMaxPointers][kBlockBytes + kSlack];
};

// Returns the number of elements in a block.
int64_t block_of(Dtype in, Dtype from) { return kBlockBytes / std::max(item_size(number_type(in)), item_size(from)); }

// Handles the common case: all tensors are contiguous and have the shape of the output and the dtype of the kernel.
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
  const Dtype number = number_type(in);
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    Buffers buffers;
    char* at[kMaxPointers];
    for (int k = 0; k < count; ++k)
      if (!operands[k].tensor)
        fill_block(buffers.bytes[k + 1], operands[k].scalar, number, std::min(block, end - begin));
    const int64_t step = any_scalar ? block : end - begin;
    for (int64_t i = begin; i < end; i += step) {
      at[0] = output.bytes() + i * out_size;
      for (int k = 0; k < count; ++k)
        at[k + 1] = operands[k].tensor ? operands[k].tensor->bytes() + i * in_size : buffers.bytes[k + 1];
      kernel(at, std::min(step, end - i));
    }
  });
}

// Shorter rows are copied to blocks of many rows, because one call of the kernel for each row would take too long. The
// limit is higher if an operand repeats, because filling such a block with it is faster than filling each row.
constexpr int64_t kShortRow = 64, kShortRepeating = 768;

// A kernel with its operands and their layouts. layouts[0] is the layout of the output.
struct KernelPlan {
  PointwiseKernel kernel;
  Dtype in, from;
  const Operand* operands;
  int count;
  int64_t row;   // length of the longest rows that are contiguous in every tensor
  bool by_rows;  // true if rows are processed one by one, without copies to blocks
  OperandLayout layouts[kMaxPointers];
};

// If an operand has one value for each row, a buffer contains this number of copies of the value, and the kernel
// processes rows in pieces of this size.
constexpr int64_t kPiece = 256;
void run_pieces(const KernelPlan& plan, char** at, const int64_t* step, int64_t n) {
  for (int64_t done = 0; done < n; done += kPiece) {
    plan.kernel(at, std::min(kPiece, n - done));
    for (int k = 0; k <= plan.count; ++k) at[k] += step[k];
  }
}

// Returns the number of elements in a block. If rows are short and an operand is periodic, the number is a multiple of
// the operand's period, so that the operand is loaded only once.
int64_t block_size(const KernelPlan& plan, int64_t elements) {
  int64_t block = std::min(block_of(plan.in, plan.from), elements);
  for (int k = 1; k <= plan.count && !plan.by_rows; ++k)
    if (const int64_t period = plan.operands[k - 1].tensor ? plan.layouts[k].period() : 0; period && period <= block)
      block -= block % period;
  return block;
}
bool is_constant_within(const KernelPlan& plan, const OperandLayout& layout, int64_t block) {
  const int64_t period = plan.by_rows ? 0 : layout.period();
  return layout.is_constant() || (period && block % period == 0);
}

// Processes the elements [begin, end). Long rows are processed as stored, and short rows are copied to blocks first.
void run_range(const KernelPlan& plan, int64_t begin, int64_t end) {
  Buffers buffers;
  Cursor cursors[kMaxPointers];
  char* at[kMaxPointers];
  const int64_t block = block_size(plan, end - begin);
  bool moves[kMaxPointers], by_pieces = false;
  int64_t step[kMaxPointers] = {kPiece * item_size(plan.from)};
  cursors[0].start(plan.layouts[0], begin);
  for (int k = 1; k <= plan.count; ++k) {
    moves[k] = plan.operands[k - 1].tensor && !is_constant_within(plan, plan.layouts[k], block);
    const bool repeats = moves[k] && plan.layouts[k].step() == 0 && plan.by_rows;
    step[k] = moves[k] && !repeats ? kPiece * item_size(plan.in) : 0;
    by_pieces |= repeats;
    if (plan.operands[k - 1].tensor) cursors[k].start(plan.layouts[k], begin);
    if (!plan.operands[k - 1].tensor)
      fill_block(at[k] = buffers.bytes[k], plan.operands[k - 1].scalar, number_type(plan.in), block);
    else if (!moves[k])
      at[k] = fetch(cursors[k], block, buffers.bytes[k], plan.in);
  }
  Cursor& out = cursors[0];
  const bool direct = out.layout->dtype == plan.from && out.layout->step() == item_size(plan.from);
  while (begin < end) {
    int64_t n = std::min(block, end - begin);
    if (plan.by_rows) n = std::min(n, plan.row - begin % plan.row);
    for (int k = 1; k <= plan.count; ++k)
      if (moves[k]) {
        const bool repeats = by_pieces && step[k] == 0;
        at[k] = fetch(cursors[k], repeats ? std::min(n, kPiece) : n, buffers.bytes[k], plan.in);
        if (repeats && n > kPiece) cursors[k].advance(n - kPiece);
      }
    const bool writes_directly = direct && n <= out.left();
    at[0] = writes_directly ? out.at : buffers.bytes[0];
    by_pieces ? run_pieces(plan, at, step, n) : plan.kernel(at, n);
    writes_directly ? out.advance(n) : put(out, n, buffers.bytes[0], plan.from);
    begin += n;
  }
}

// Returns the dimensions in descending order of their strides, or an empty shape for a contiguous tensor.
Shape dims_by_stride(const Tensor& t) {
  Shape order;
  if (t.is_contiguous()) return order;
  for (int64_t d = 0; d < t.dim(); ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return t.strides()[a] > t.strides()[b]; });
  return order;
}

// Returns true if elements that are adjacent in memory are far apart in row-major order.
bool is_transposed(const Tensor& t) {
  if (t.is_contiguous() || t.numel() < kGrain / 4) return false;
  const int64_t step = t.strides()[size_t(t.dim() - 1)];
  bool transposed = false;
  for (int d = 0; d < t.dim(); ++d) {
    if (t.shape()[d] > 1 && t.strides()[d] <= 0) return false;
    transposed |= t.shape()[d] >= 8 && t.strides()[d] < step;
  }
  return transposed && t.shape()[t.dim() - 1] >= 8;
}

void run_strided(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands, int count, Dtype in,
                 const Shape& order) {
  KernelPlan plan;
  plan.kernel = kernel;
  plan.in = in;
  plan.from = from;
  plan.operands = operands;
  plan.count = count;
  describe_layout(plan.layouts[0], output, output.shape(), order);
  plan.row = plan.layouts[0].row();
  bool repeats = false;
  for (int k = 0; k < count; ++k)
    if (const Tensor* t = operands[k].tensor) {
      describe_layout(plan.layouts[k + 1], *t, output.shape(), order);
      const OperandLayout& layout = plan.layouts[k + 1];
      plan.row = std::min(plan.row, layout.row());
      repeats |= !layout.is_constant() && (layout.step() == 0 || layout.period() > 0);
    }
  plan.by_rows = plan.row >= (repeats ? kShortRepeating : kShortRow);
  parallel_for(output.numel(), kGrain, [&](int64_t begin, int64_t end) { run_range(plan, begin, end); });
}

// Size of a panel in bytes, and minimum number of rows in a panel. Operands whose memory order differs from the order
// of the output are copied in panels of rows, which stay in the second-level cache until the kernel reads them.
constexpr int64_t kPanelBytes = 1 << 17, kMinRows = 16;
void run_transposed_panels(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands, int count,
                           Dtype in) {
  const int64_t total = output.shape()[0], width = output.numel() / total;
  const int64_t rows = std::min(total, std::max(kMinRows, kPanelBytes / (width * item_size(in))));
  NoRecording off;
  Tensor whole[kMaxPointers];
  std::vector<Operand> all(operands, operands + count);
  const auto has_rows = [&](const Tensor& t) { return t.dim() == output.dim() && t.shape()[0] == total; };
  for (int k = 0; k < count; ++k)
    if (const Tensor* t = all[k].tensor; t && !has_rows(*t) && is_transposed(*t))
      all[k].tensor = &(whole[k] = contiguous(*t));
  parallel_items((total + rows - 1) / rows, kGrain / (rows * width) + 1, [&](int64_t first, int64_t last) {
    NoRecording off;
    for (int64_t begin = first * rows; begin < std::min(last * rows, total); begin += rows) {
      const int64_t length = std::min(rows, total - begin);
      Tensor panels[kMaxPointers];
      std::vector<Operand> parts = all;
      for (int k = 0; k < count; ++k)
        if (const Tensor* t = all[k].tensor; t && has_rows(*t)) {
          panels[k] = narrow(*t, 0, begin, length);
          if (is_transposed(*t)) panels[k] = contiguous(panels[k]);
          parts[k].tensor = &panels[k];
        }
      run_strided(kernel, narrow(output, 0, begin, length), from, parts.data(), count, in, {});
    }
  });
}

}  // namespace

void run_kernel(PointwiseKernel kernel, const Tensor& output, Dtype from, const Operand* operands, int count,
                Dtype in) {
  if (output.numel() == 0 || output.is_meta()) return;
  bool direct = output.is_contiguous() && output.dtype() == from;
  for (int k = 0; k < count && direct; ++k)
    if (const Tensor* t = operands[k].tensor)
      direct = t->is_contiguous() && t->dtype() == in && t->shape() == output.shape();
  if (direct) return run_direct(kernel, output, from, operands, count, in);
  const Shape order = dims_by_stride(output);
  bool across = false;
  for (int k = 0; k < count; ++k) across = across || (operands[k].tensor && is_transposed(*operands[k].tensor));
  if (across && order.empty()) return run_transposed_panels(kernel, output, from, operands, count, in);
  run_strided(kernel, output, from, operands, count, in, order);
}

}  // namespace flambeau
