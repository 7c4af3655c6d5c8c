// Implementation of reductions. Note [Reducing]
#include "operators/reductions/reduction.h"

#include <numeric>

#include "cuda/operators.h"

namespace flambeau {

uint64_t dim_mask(const Tensor& t, const OptionalDims& dims) {
  if (!dims || dims->empty()) return ~uint64_t(0);
  uint64_t mask = 0;
  for (int64_t d : *dims) {
    d = t.wrap_dim(d);
    require(!(mask >> d & 1), "dim ", d, " appears multiple times in the list of dims");
    mask |= uint64_t(1) << d;
  }
  return mask;
}

Shape kept_shape(const Tensor& t, const OptionalDims& dims) { return reduced_shape(t, dims, true); }

Shape reduced_shape(const Tensor& t, const OptionalDims& dims, bool keepdim) {
  const uint64_t mask = dim_mask(t, dims);
  Shape shape;
  for (int i = 0; i < t.dim(); ++i) {
    const bool reduced = mask >> i & 1;
    if (!reduced || keepdim) shape.push_back(reduced ? 1 : t.shape()[i]);
  }
  return shape;
}

int64_t reduced_count(const Tensor& t, const OptionalDims& dims) {
  const uint64_t mask = dim_mask(t, dims);
  int64_t n = 1;
  for (int i = 0; i < t.dim(); ++i)
    if (mask >> i & 1) n *= t.shape()[i];
  return n;
}

void require_elements(const Tensor& t, const OptionalDims& dims, const char* name) {
  const uint64_t mask = dim_mask(t, dims);
  for (int i = 0; i < t.dim(); ++i)
    require<IndexError>(!(mask >> i & 1) || t.shape()[i] > 0, name, "(): Expected reduction dim ", i,
                        " to have non-zero size, got shape ", t.shape());
}

ReductionLayout layout(const Tensor& t, uint64_t mask) {
  ReductionLayout l;
  if (t.is_contiguous()) {
    l.input = t;
  } else {
    NoRecording off;
    Shape order(size_t(t.dim()));
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return t.strides()[a] > t.strides()[b]; });
    l.input = permute(t, order);
    if (l.input.is_contiguous())
      l.order = order;
    else
      l.input = contiguous(t);
  }
  for (int i = 0; i < t.dim(); ++i) {
    const int64_t d = l.order.empty() ? i : l.order[i], size = t.shape()[d];
    const bool reduced = mask >> d & 1;
    if (size == 1) continue;
    if (!l.segments.empty() && l.segments.back().reduced == reduced)
      l.segments.back().size *= size;
    else
      l.segments.push_back({size, reduced});
  }
  return l;
}

Tensor reshape_reduced(const Tensor& flat, const ReductionLayout& l, const Tensor& t, uint64_t mask, bool keepdim) {
  Shape shape;
  for (int i = 0; i < t.dim(); ++i) {
    const bool reduced = mask >> i & 1;
    if (!reduced || keepdim) shape.push_back(reduced ? 1 : t.shape()[i]);
  }
  if (l.order.empty()) {
    resize(flat, shape);
    return flat;
  }
  NoRecording off;
  // sizes: the sizes of the kept dimensions, in memory order. where: for each kept dimension, its index in `sizes`.
  // kept: these indices in the order of the dimensions.
  Shape sizes, kept, where(size_t(t.dim()));
  for (int64_t d : l.order)
    if (!(mask >> d & 1)) {
      where[d] = int64_t(sizes.size());
      sizes.push_back(t.shape()[d]);
    }
  for (int i = 0; i < t.dim(); ++i)
    if (!(mask >> i & 1)) kept.push_back(where[i]);
  return view(contiguous(permute(view(flat, sizes), kept)), shape);
}

void divide_in_place(const Tensor& t, double divisor) {
  if (t.is_meta()) return;
  if (cuda::runs_on_gpu(t)) {
    const Operand both[] = {t, Scalar(divisor)};
    return cuda::pointwise(row_of(op::div), cuda::kValue, t, both, 2, t.dtype());
  }
  const int64_t n = t.numel() * (is_complex(t.dtype()) ? 2 : 1);
  const auto divide = [=](auto* values) {
    for (int64_t i = 0; i < n; ++i) values[i] /= divisor;
  };
  to_real(t.dtype()) == Dtype::float64 ? divide(t.data<double>()) : divide(t.data<float>());
}

int64_t block_length(int64_t outer, int64_t length, int64_t inner, int64_t block) {
  constexpr int64_t kEnough = 16;  // a step with at least this many results is not divided
  const int64_t rows = std::max<int64_t>(1, block / std::max<int64_t>(1, inner));
  return outer >= kEnough || inner > 1024 || length < 2 * rows ? length : rows;
}

namespace {

using kernels::Reduce;

namespace joined_by {
#define JOIN(join, name) constexpr Reduce join = Reduce::name;
#include "flambeau/reductions.def"
}  // namespace joined_by

const kernels::ReduceEntry& entry_of(Reduce op, Dtype dtype) {
  const auto& entry = kernels::table().reduce[int(op)][int(dtype)];
  if (is_small_float(dtype)) reject_small_float(dtype);
  require<NotImplementedError>(entry.run, "the maximum and minimum of complex numbers are not defined, got ", dtype);
  return entry;
}

Tensor step(Reduce op, const Tensor& in, int64_t outer, int64_t length, int64_t inner) {
  const auto& entry = entry_of(op, in.dtype());
  if (in.is_meta()) return empty({outer * inner}, entry.result);
  if (cuda::runs_on_gpu(in)) return cuda::reduce(op, in, outer, length, inner, entry.result);
  constexpr int64_t kBlock = 65536, kMinBlock = 4 * kBlock, kMaxBlock = 16 * kBlock;
  // Products use blocks of kMinBlock to kMaxBlock elements, two blocks if possible: the product of a short block may
  // overflow or underflow even if the product of all elements does not.
  if (outer * inner == 0) return empty({0}, entry.result);
  const int64_t block = join_of(op) == Reduce::prod ? std::clamp(length * inner / 2, kMinBlock, kMaxBlock) : kBlock;
  const int64_t rows = block_length(outer, length, inner, block),
                blocks = rows < length ? (length + rows - 1) / rows : 1;
  Tensor out = empty({outer * blocks * inner}, entry.result);
  const int64_t in_size = item_size(in.dtype()), out_size = item_size(entry.result);
  if (blocks == 1) {
    over_step(outer, length, inner, [&](int64_t first, int64_t count, int64_t column, int64_t columns) {
      entry.run(out.bytes() + (first * inner + column) * out_size,
                in.bytes() + (first * length * inner + column) * in_size, count, length, inner, columns);
    });
    return out;
  }
  parallel_items(outer * blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / blocks * length + i % blocks * rows, stop = std::min(rows, length - i % blocks * rows);
      entry.run(out.bytes() + i * inner * out_size, in.bytes() + row * inner * in_size, 1, stop, inner, inner);
    }
  });
  return step(join_of(op), out, outer, blocks, inner);
}

}  // namespace

Reduce join_of(Reduce op) {
  static constexpr Reduce joins[] = {
#define REDUCTION(name, domain, join, ...) joined_by::join,
#include "flambeau/reductions.def"
  };
  return joins[int(op)];
}

Tensor cast_for_reduction(Reduce op, const Tensor& t, Dtype type) {
  const Dtype given = kernels::table().reduce[int(op)][int(t.dtype())].result;
  return t.dtype() == type || given == same_bits(type) ? t : to(t, type);
}

Tensor reduce(Reduce op, const Tensor& t, const OptionalDims& dims, bool keepdim) {
  const uint64_t mask = dim_mask(t, dims);
  const ReductionLayout l = layout(t, mask);
  auto segments = l.segments;
  Tensor x = l.input;
  bool any = false;
  for (int64_t i = int64_t(segments.size()) - 1; i >= 0; --i) {
    if (!segments[size_t(i)].reduced) continue;
    int64_t outer = 1, inner = 1;
    for (int64_t k = 0; k < i; ++k) outer *= segments[size_t(k)].size;
    for (size_t k = size_t(i) + 1; k < segments.size(); ++k) inner *= segments[k].reduced ? 1 : segments[k].size;
    x = step(any ? join_of(op) : op, x, outer, segments[size_t(i)].size, inner);
    any = true;
  }
  if (!any) x = step(op, x, 1, 1, x.numel());
  return reshape_reduced(x, l, t, mask, keepdim);
}

TensorPair reduce_both(Reduce first, Reduce second, const Tensor& t) {
  const Tensor x = layout(t, ~uint64_t(0)).input;
  constexpr int64_t rows = 4096, kGrain = 16;  // rows: elements that the first-level cache holds for the second pass
  constexpr int64_t kFetched = 4096;           // bytes of the next block to prefetch during the second pass
  const int64_t n = x.numel(), blocks = (n + rows - 1) / rows;
  if (blocks <= 1 || x.is_meta()) return {reduce(first, t, {}, false), reduce(second, t, {}, false)};
  const Reduce ops[] = {first, second};
  Tensor out[2];
  for (int k = 0; k < 2; ++k) out[k] = empty({blocks}, entry_of(ops[k], x.dtype()).result);
  parallel_items(blocks, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const char* const block = x.bytes() + i * rows * item_size(x.dtype());
      const auto run = [&](int k) {
        entry_of(ops[k], x.dtype())
            .run(out[k].bytes() + i * item_size(out[k].dtype()), block, 1, std::min(rows, n - i * rows), 1, 1);
      };
      run(0);
      for (int64_t j = 0; j < kFetched; j += 64) __builtin_prefetch(block + rows * item_size(x.dtype()) + j);
      run(1);
    }
  });
  return {reduce(join_of(first), out[0], {}, false), reduce(join_of(second), out[1], {}, false)};
}

}  // namespace flambeau
