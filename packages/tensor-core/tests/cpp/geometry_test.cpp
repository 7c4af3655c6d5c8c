// Tests on the host of the arithmetic of kernel launches, with extreme shapes. The sources, such as
// src/cuda/geometry.cpp, are compiled into this program, because they are not part of the library's interface.
#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include "cuda/geometry.cpp"
#include "cuda/layers/attention.h"
#include "cuda/runtime/allocator.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/plans.cpp"
#include "flambeau/operators.h"

using namespace flambeau;
using namespace flambeau::cuda;

namespace {

int failures = 0;

void check(bool condition, const char* text, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: %s\n", line, text);
  ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

void dividers() {
  std::mt19937_64 random(0);
  std::vector<uint32_t> divisors = {1, 2, 3, 5, 7, 9, 10, 641, 65535, 65536, 65537, 0x7FFFFFFF, 0x40000000, 0x40000001};
  for (int i = 0; i < 500; ++i) divisors.push_back(uint32_t(random() % 0x7FFFFFFF) + 1);
  for (const uint32_t d : divisors) {
    const Divider divider(d);
    std::vector<uint64_t> numbers = {0, 1, 0x7FFFFFFF, 0x7FFFFFFE, d, d - 1, 2ull * d, 2ull * d - 1};
    for (int i = 0; i < 200; ++i) numbers.push_back(random() % 0x80000000);
    for (const uint64_t n : numbers)
      if (n < 0x80000000) CHECK(divider.quotient(uint32_t(n)) == n / d);
  }
}

// Returns the offsets of all tensors in each step of the loop over a layout, computed like in the kernel.
std::vector<std::vector<int64_t>> walk(const StridedLayout& part) {
  std::vector<std::vector<int64_t>> out;
  for (int64_t i = 0; i < part.count(); ++i) {
    std::vector<int64_t> offsets(part.offset, part.offset + part.pointers);
    uint32_t left = uint32_t(i);
    for (int d = 0; d < part.dims; ++d) {
      const uint32_t next = d + 1 < part.dims ? Divider(uint32_t(part.size[d])).quotient(left) : 0;
      for (int k = 0; k < part.pointers; ++k)
        offsets[size_t(k)] += part.stride[k][d] * int64_t(left - next * uint32_t(part.size[d]));
      left = next;
    }
    out.push_back(offsets);
  }
  return out;
}

// Checks that a loop visits each element of the first tensor, with the element of the second one that broadcasting
// assigns to it.
void check_walk(const Tensor& first, const Tensor& second) {
  const Tensor* tensors[] = {&first, &second};
  const Tensor spread = expand(second, first.shape());
  std::map<int64_t, int64_t> expected;
  for (int64_t i = 0; i < first.numel(); ++i) {
    int64_t a = 0, b = 0, rest = i;
    for (int d = first.dim() - 1; d >= 0; --d) {
      const int64_t at = rest % first.shape()[size_t(d)];
      rest /= first.shape()[size_t(d)];
      a += at * first.strides()[size_t(d)], b += at * spread.strides()[size_t(d)];
    }
    expected[a * item_size(first.dtype())] = b * item_size(second.dtype());
  }
  std::map<int64_t, int64_t> given;
  each_part(layout_of(tensors, 2), [&](const StridedLayout& part) {
    CHECK(part.dims <= kLoopDims && part.count() < kMaxElements);
    for (const auto& offsets : walk(part)) given[offsets[0]] = offsets[1];
  });
  CHECK(given == expected);
}

void layouts() {
  const Tensor x = zeros({4, 3, 5}, Dtype::float32);
  check_walk(x, zeros({3, 5}, Dtype::float64));
  check_walk(x, zeros({}, Dtype::int8));
  check_walk(x, zeros({4, 1, 1}, Dtype::float32));
  check_walk(transpose(x, 0, 2), zeros({5, 3, 4}, Dtype::float32));
  check_walk(slice(x, 2, 0, 5, 2), zeros({3, 1}, Dtype::float16));
  check_walk(zeros({}, Dtype::float32), zeros({}, Dtype::float32));
  check_walk(zeros({1, 1, 7, 1}, Dtype::float32), zeros({7, 1}, Dtype::float32));
}

// Rows are processed in packs if they are aligned and each operand is contiguous or repeated along them.
void packs() {
  const Tensor x = zeros({6, 4, 24}, Dtype::float32);
  const auto part = [&](int64_t dim, int64_t begin, int64_t end) { return slice(x, dim, begin, end, 1); };
  const auto packed = [](const Tensor& first, const Tensor& second, uint64_t second_address = 0) {
    const Tensor* tensors[] = {&first, &second};
    const int64_t sizes[] = {item_size(first.dtype()), item_size(second.dtype())};
    const uint64_t addresses[] = {uint64_t(first.offset() * sizes[0]), second_address};
    return layout_of(tensors, 2).has_packs(16 / std::max(sizes[0], sizes[1]), sizes, addresses);
  };
  CHECK(packed(x, part(0, 0, 1)) && packed(x, part(1, 0, 1)) && packed(x, part(2, 0, 1)));
  CHECK(packed(part(2, 4, 23), part(2, 0, 1)) && !packed(part(2, 3, 23), part(2, 0, 1)));
  CHECK(packed(part(2, 0, 4), part(2, 0, 1)) && !packed(part(2, 0, 3), part(2, 0, 1)));
  CHECK(packed(x, zeros({24}, Dtype::float16), 8) && !packed(x, zeros({24}, Dtype::float16), 4));
  CHECK(packed(x, zeros({24}, Dtype::float64), 16) && !packed(x, zeros({24}, Dtype::complex128)));
  CHECK(!packed(transpose(x, 1, 2), zeros({24, 4}, Dtype::float32)));
  CHECK(!packed(slice(x, 2, 0, 24, 2), part(2, 0, 1)));
  CHECK(!packed(zeros({}, Dtype::float32), zeros({}, Dtype::float32)));

  const Tensor* tensors[] = {&x, &x};
  StridedLayout layout = layout_of(tensors, 1);
  layout.divide_rows(8);
  CHECK(layout.size[0] == 72 && layout.stride[0][0] == 32);
}

// Copies use tiles if the innermost dimensions of the two tensors differ.
void transposes() {
  const auto dim = [](const Tensor& to, const Tensor& from) {
    const Tensor* tensors[] = {&to, &from};
    const int64_t sizes[] = {item_size(to.dtype()), item_size(from.dtype())};
    return transposed_dim(layout_of(tensors, 2), sizes);
  };
  const Tensor x = zeros({6, 40, 24}, Dtype::float32), half = zeros({6, 24, 40}, Dtype::float16);
  CHECK(dim(x, transpose(half, 1, 2)) == 1 && dim(transpose(half, 1, 2), x) == 1);
  CHECK(dim(x, transpose(zeros({24, 40, 6}, Dtype::float32), 0, 2)) == 0);  // the rows are short
  CHECK(dim(x, x) == 0 && dim(x, zeros({24}, Dtype::float32)) == 0 && dim(x, zeros({40, 1}, Dtype::float32)) == 0);
  CHECK(dim(slice(x, 2, 0, 24, 2), transpose(slice(half, 1, 0, 12, 1), 1, 2)) == 0);

  const Tensor from = transpose(half, 1, 2);
  const Tensor* tensors[] = {&x, &from};
  const TransposeArguments a = transpose_arguments(layout_of(tensors, 2), 1, nullptr, nullptr, 32);
  CHECK(a.columns == 24 && a.rows == 40 && a.row_stride == 96 && a.column_stride == 80);
  CHECK(a.tiles[0].divisor == 1 && a.tiles[1].divisor == 2 && a.dims == 1 && a.sizes[0].divisor == 6);
  CHECK(a.strides[0][0] == 3840 && a.strides[1][0] == 1920);
}

// Tensors with more dimensions than a kernel supports, none of which can be merged.
void many_dimensions() {
  Shape doubled;
  for (int i = 0; i < 14; ++i) doubled.push_back(2);
  Tensor x = zeros(doubled, Dtype::int8);
  for (int i = 0; i < 7; ++i) x = transpose(x, i, 13 - i);
  check_walk(x, zeros(doubled, Dtype::float32));
}

// Returns a layout of these sizes. No memory is allocated, because only the geometry is tested.
StridedLayout huge(std::vector<int64_t> sizes) {
  StridedLayout l;
  l.pointers = 1;
  int64_t stride = 4;
  for (const int64_t size : sizes) {
    l.size[l.dims] = size;
    l.stride[0][l.dims++] = stride;
    stride *= 2 * size;
  }
  return l;
}
void many_elements() {
  for (const auto& sizes :
       {std::vector<int64_t>{int64_t(1) << 33}, {3, int64_t(1) << 31}, {int64_t(1) << 31, 5}, {70000, 70001}}) {
    const StridedLayout whole = huge(sizes);
    int64_t covered = 0, end = 0;
    each_part(whole, [&](const StridedLayout& part) {
      CHECK(part.count() > 0 && part.count() < kMaxElements);
      covered += part.count();
      int64_t last = part.offset[0];
      for (int d = 0; d < part.dims; ++d) last += (part.size[d] - 1) * part.stride[0][d];
      end = std::max(end, last);
    });
    int64_t last = 0;
    for (int d = 0; d < whole.dims; ++d) last += (whole.size[d] - 1) * whole.stride[0][d];
    CHECK(covered == whole.count() && end == last);
  }
}

void segments() {
  for (size_t bytes : {size_t(0), size_t(1), size_t(511), size_t(512), size_t(513), kSmallBlock, kSmallBlock + 1,
                       kLargeBlock, kLargeBlock + 1, (size_t(1) << 40) + 3}) {
    const size_t request = rounded_request(bytes);
    CHECK(request >= bytes && request >= kBlockUnit && request % kBlockUnit == 0 && request - bytes <= kBlockUnit);
    CHECK(segment_size(request) >= request && segment_size(request) % kBlockUnit == 0);
  }
  CHECK(divide_up(0, 256) == 0 && divide_up(1, 256) == 1 && divide_up(256, 256) == 1 && divide_up(257, 256) == 2);
  CHECK(divide_up(INT64_MAX, 2) == INT64_MAX / 2 + 1);
}

// Checks that the parts cover the length of a line, that none is empty, and that the grid is valid.
template <class Plan>
void check_parts(const Plan& plan, const Step& s) {
  CHECK(plan.part >= 1 && plan.parts >= 1 && plan.parts == plan.grid.y);
  CHECK(plan.part * plan.parts >= s.length && (plan.parts == 1 || plan.part * (plan.parts - 1) < s.length));
  CHECK(plan.grid.x >= 1 && plan.grid.x < 1u << 31 && plan.grid.y < 65536);
}
void check_reduction(const ReducePlan& plan, const Step& s, int64_t item_size) {
  check_parts(plan, s);
  if (plan.kernel == ReducePlan::kHeldRows) {
    CHECK(s.inner == 1 && plan.grid.x == s.outer && plan.lanes % 32 == 0 && plan.lanes <= kMaxHeldThreads);
    return;
  }
  const int64_t teams = kReduceThreads / (plan.lanes * plan.slots);
  CHECK(plan.lanes * plan.slots * teams == kReduceThreads);
  if (s.inner == 1) {
    CHECK(plan.kernel == ReducePlan::kLongRows ? plan.grid.x == s.outer : plan.grid.x * teams >= s.outer);
    return;
  }
  const int64_t count = plan.kernel == ReducePlan::kWideColumns ? std::min<int64_t>(4, 16 / item_size) : 1;
  CHECK(s.inner % count == 0);
  const int64_t tiles = divide_up(s.inner / count, plan.lanes);
  CHECK(plan.grid.x == tiles * divide_up(s.outer, teams));
}
// Checks that the blocks of a join cover all columns, and that no thread combines many states if others could help.
void check_join(const Step& s) {
  const JoinPlan plan = join_plan_of(s);
  CHECK(plan.lanes * plan.slots == kJoinThreads && plan.grid.y == 1 && plan.grid.x < 1u << 31);
  CHECK(plan.grid.x == s.outer * divide_up(s.inner, plan.lanes) && plan.lanes < 2 * s.inner);
  CHECK(plan.slots == kJoinThreads || divide_up(s.length, plan.slots) <= 16);
}
void plans() {
  const int64_t sizes[] = {1, 2, 3, 31, 33, 127, 1000, 4096, 65537, 1 << 20, (1 << 24) + 1};
  for (const int64_t outer : sizes)
    for (const int64_t length : {int64_t(0), int64_t(1), int64_t(17), int64_t(513), int64_t(100003), int64_t(1) << 33})
      for (const int64_t inner : sizes) {
        if (double(outer) * double(length + 1) * double(inner) > 1e12) continue;
        const Step s{outer, length, inner};
        for (const int64_t size : {1, 2, 4, 8, 16}) {
          check_reduction(plan_of(s, size), s, size);
          for (const int64_t inputs : {1, 2}) {
            const ReducePlan plan = plan_of_lines(s, size, inputs);
            check_reduction(plan, s, size);
            CHECK(plan.parts == 1);
            if (inner > 1 || plan.kernel == ReducePlan::kLongRows) continue;
            CHECK(plan.lanes * kHeldPacks / inputs * 16 >= s.length * size);  // each thread holds its share of a row
          }
          if (length == 0) continue;
          if (outer * inner < 1 << 30) check_join({outer, plan_of(s, size).parts, inner});
          check_parts(scan_plan_of(s, size, false), s);
          CHECK(scan_plan_of(s, size, true).parts == 1);
        }
      }
}

// Checks that each visible key is in one part, that no part is empty, and that there are at most 256 blocks.
void parts_of_keys() {
  for (const int64_t batch : {int64_t(0), int64_t(1), int64_t(7), int64_t(128), int64_t(1) << 30})
    for (const int64_t queries : {1, 16, 64, 65, 5000})
      for (const int64_t keys : {int64_t(0), int64_t(1), int64_t(1023), int64_t(1024), int64_t(5000), int64_t(1) << 33})
        for (const bool causal : {false, true}) {
          const KeyParts parts = key_parts(batch, queries, keys, causal);
          const int64_t seen = causal ? std::min(queries, keys) : keys;
          CHECK(parts.count >= 1 && parts.count <= 256);
          if (parts.count == 1) continue;
          CHECK(parts.length % 64 == 0 && parts.length >= 256 && parts.length * parts.count >= seen);
          CHECK(parts.length * (parts.count - 1) < seen);
          CHECK(batch * divide_up(queries, 64) * parts.count <= 256);
        }
  CHECK(key_parts(1, 1, 1023, false).count == 1 && key_parts(1, 1, 1024, false).count == 4);
  CHECK(key_parts(32, 1, 4096, false).count == 8 && key_parts(1, 1, 4096, true).count == 1);
  CHECK(key_parts(129, 1, 1 << 20, false).count == 1 && key_parts(8, 16, 1 << 20, false).count == 32);
}

}  // namespace

int main() {
  parts_of_keys();
  dividers();
  plans();
  layouts();
  packs();
  transposes();
  many_dimensions();
  many_elements();
  segments();
  if (!failures) std::puts("ok");
  return failures != 0;
}
