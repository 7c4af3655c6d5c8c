// Reading and writing blocks at offsets. Note [Blocks]
#include <algorithm>
#include <atomic>
#include <cstring>

#include "core/in_place.h"
#include "core/overlap.h"
#include "cuda/indexing.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"
#include "operators/indexing/combined_writes.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

Tensor index_tensor(const Tensor& index, const char* name) {
  require(index.dtype() == Dtype::int64 || index.dtype() == Dtype::int32 || index.numel() == 0, name,
          "(): Expected dtype int32/int64 for index, got ", index.dtype());
  NoRecording off;
  const bool moves = OnDevice::current() == DeviceType::Cuda;  // an index of one element may be in host memory
  return to(moves ? to(index, OnDevice::current()) : index, Dtype::int64);
}

namespace {

template <class E>
[[noreturn, gnu::cold]] void reject_first(const int64_t* entries, int64_t n, int64_t low, int64_t size,
                                          const char* prefix, int64_t dim) {
  const int64_t* wrong = std::find_if(entries, entries + n, [=](int64_t i) { return i < low || i >= size; });
  detail::raise<E>(prefix, "index ", *wrong, " is out of bounds for dimension ", dim, " with size ", size);
}

}  // namespace

Tensor without_repeats(const Tensor& t) {
  Shape shape = t.shape();
  for (int d = 0; d < t.dim(); ++d)
    if (t.strides()[d] == 0) shape[d] = 1;
  return from_storage(t.impl()->storage, shape, t.strides(), t.offset(), t.dtype());
}

template <class E>
bool check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size, const char* prefix, int64_t dim) {
  const auto [any_negative, any_outside] = kernels::table().check_entries(entries, n, low, size);
  if (FLAMBEAU_UNLIKELY(any_outside)) reject_first<E>(entries, n, low, size, prefix, dim);
  return any_negative;
}
template bool check_entries<Error>(const int64_t*, int64_t, int64_t, int64_t, const char*, int64_t);

template <class E>
bool check_range(const Tensor& index, int64_t size, NegativeIndex negative, const char* prefix, int64_t dim) {
  if (index.numel() == 0 || index.is_meta()) return false;
  if (cuda::runs_on_gpu(index)) {
    require<E>(size > 0, prefix, "there is no index in bounds for dimension ", dim, " with size 0");
    return true;
  }
  NoRecording off;
  const Tensor i = index.is_contiguous() ? index : contiguous(without_repeats(index));
  const int64_t *entries = i.data<int64_t>(), low = negative == NegativeIndex::FromEnd ? -size : 0;
  std::atomic<bool> any_negative = false;
  parallel_for(i.numel(), 65536, [&](int64_t begin, int64_t end) {
    if (check_entries<E>(entries + begin, end - begin, low, size, prefix, dim)) any_negative = true;
  });
  return any_negative;
}
template bool check_range<Error>(const Tensor&, int64_t, NegativeIndex, const char*, int64_t);
template bool check_range<IndexError>(const Tensor&, int64_t, NegativeIndex, const char*, int64_t);

Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read,
                 bool may_overlap) {
  if (write == Write::Fresh) {
    NoRecording off;
    return {clone(t), t, Recording::kFresh};
  }
  bool recorded = false;
  for (const Tensor* other : read) {
    reject_overlap(t, *other);
    recorded |= other->defined() && other->requires_grad();
  }
  may_overlap ? begin_overlapping_change(t, name, recorded) : begin_inplace(t, name, recorded);
  return {t, t, Recording::kInPlace};
}

Tensor without_overlap(const Tensor& source, const Tensor& target) {
  NoRecording off;
  return may_overlap(source, target) ? clone(source) : contiguous(source);
}

void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative) {
  std::vector<const Tensor*> pointers;
  for (const Tensor& t : saved) pointers.push_back(&t);
  const Tensor* outputs[] = {&target.out};
  Recording r{name,
              target.kind,
              outputs,
              1,
              inputs.begin(),
              int(inputs.size()),
              pointers.data(),
              int(pointers.size()),
              std::move(derivative)};
  autograd_hooks->record(r);
}

namespace {

// Drops dimensions of size one and merges adjacent dimensions whose elements are evenly spaced in memory.
void merge(Shape& size, Shape& stride) {
  Shape sizes, strides;
  for (size_t i = 0; i < size.size(); ++i) {
    if (size[i] == 1) continue;
    if (!sizes.empty() && strides.back() == stride[i] * size[i]) {
      sizes.back() *= size[i];
      strides.back() = stride[i];
    } else {
      sizes.push_back(size[i]);
      strides.push_back(stride[i]);
    }
  }
  size = sizes;
  stride = strides;
}

int64_t offset_at(int64_t position, const Shape& size, const Shape& stride) {
  int64_t offset = 0;
  for (size_t d = size.size(); d-- > 0;) {
    offset += position % size[d] * stride[d];
    position /= size[d];
  }
  return offset;
}

// Calls row(offset, index, length, stride) for every row of a block. `offset` is the distance between the first
// elements of the block and of the row in the tensor, and `index` is the position of the row's first element in the
// block.
template <class F>
FLAMBEAU_INLINE void for_rows(const Blocks& b, F&& row) {
  const size_t dims = b.inner_size.size();
  if (dims == 0) return row(int64_t(0), int64_t(0), int64_t(1), int64_t(1));
  const int64_t length = b.inner_size[dims - 1], stride = b.inner_stride[dims - 1];
  if (dims == 1) return row(int64_t(0), int64_t(0), length, stride);
  Shape size = b.inner_size, strides = b.inner_stride;
  size.pop_back();
  strides.pop_back();
  for (int64_t r = 0; r < b.inner / length; ++r) row(offset_at(r, size, strides), r * length, length, stride);
}

// Copies blocks of one element. This is the loop for x[i, j] and for an index along the last dimension.
template <class T>
void load_elements(const Tensor& t, const Blocks& b, const Tensor& out) {
  const int64_t* offsets = b.offsets.data<int64_t>();
  const T* from = t.data<T>();
  parallel_items(b.outer * b.count, 16384, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end;) {
      const int64_t o = i / b.count, first = i - o * b.count, n = std::min(b.count - first, end - i);
      const T* base = from + offset_at(o, b.outer_size, b.outer_stride);
      T* __restrict to = out.data<T>() + i;
      for (int64_t k = 0; k < n; ++k) to[k] = base[offsets[first + k]];
      i += n;
    }
  });
}

}  // namespace

Blocks blocks_around(const Tensor& t, int64_t first_dim, int64_t last_dim) {
  Blocks b;
  for (int64_t d = 0; d < t.dim(); ++d) {
    if (d >= first_dim && d <= last_dim) continue;
    Shape &size = d < first_dim ? b.outer_size : b.inner_size,
          &stride = d < first_dim ? b.outer_stride : b.inner_stride;
    size.push_back(t.shape()[d]);
    stride.push_back(t.strides()[d]);
  }
  b.outer = product(b.outer_size);
  b.inner = product(b.inner_size);
  merge(b.outer_size, b.outer_stride);
  merge(b.inner_size, b.inner_stride);
  return b;
}

void pick(Blocks& b, const Tensor& t, int64_t dim, const Tensor& index, NegativeIndex negative) {
  const Tensor i = contiguous(index);
  const int64_t size = t.dim() ? t.shape()[dim] : 1, stride = t.dim() ? t.strides()[dim] : 1;
  b.count = i.numel();
  b.step = stride;
  b.extent = (size - 1) * stride + 1;
  if (stride == 1 && negative == NegativeIndex::Rejected && !cuda::runs_on_gpu(t)) {  // the entries are the offsets
    b.offsets = i;
    return;
  }
  b.offsets = empty({b.count}, Dtype::int64);
  if (b.offsets.is_meta()) return;
  if (cuda::runs_on_gpu(t)) return cuda::pick(b.offsets, i, size, stride, negative == NegativeIndex::FromEnd, false);
  const int64_t* entries = i.data<int64_t>();
  int64_t* offsets = b.offsets.data<int64_t>();
  for (int64_t k = 0; k < b.count; ++k) offsets[k] = (entries[k] + (entries[k] < 0 ? size : 0)) * stride;
}

void load_blocks(const Tensor& t, const Blocks& b, const Tensor& out) {
  if (out.numel() == 0 || out.is_meta()) return;
  if (cuda::runs_on_gpu(out)) return cuda::load_blocks(t, b, out);
  const int64_t item = item_size(t.dtype());
  if (b.inner == 1)
    return dispatch_size(item, [&](auto tag) { load_elements<typename decltype(tag)::type>(t, b, out); });
  const int64_t* offsets = b.offsets.data<int64_t>();
  const auto copy = kernels::table().cast[int(t.dtype())][int(t.dtype())];
  const bool whole = b.inner_size.size() == 1 && b.inner_stride[0] == 1;
  const int64_t bytes = b.inner * item;
  parallel_items(b.outer * b.count, std::max<int64_t>(1, 65536 / bytes), [&](int64_t begin, int64_t end) {
    char* to = out.bytes() + begin * bytes;
    for (int64_t i = begin; i < end;) {
      const int64_t o = i / b.count, first = i - o * b.count, n = std::min(b.count - first, end - i);
      const char* outer = t.bytes() + offset_at(o, b.outer_size, b.outer_stride) * item;
      for (int64_t k = first; k < first + n; ++k, to += bytes) {
        const char* from = outer + offsets[k] * item;
        if (whole)
          std::memcpy(to, from, size_t(bytes));
        else
          for_rows(b, [&](int64_t offset, int64_t position, int64_t length, int64_t stride) {
            copy(to + position * item, item, from + offset * item, stride * item, length);
          });
      }
      i += n;
    }
  });
}

namespace {

// Writes the blocks whose offsets are in [low, high), for the outer positions from `begin` to `end`.
void store_range(const Tensor& t, const Blocks& b, const Tensor& source, const CombinedWrites& writes, int64_t begin,
                 int64_t end, int64_t low, int64_t high) {
  const int64_t item = item_size(t.dtype()), step = source.numel() == 1 ? 0 : 1;
  const int64_t* offsets = b.offsets.data<int64_t>();
  for (int64_t o = begin; o < end; ++o) {
    char* base = t.bytes() + offset_at(o, b.outer_size, b.outer_stride) * item;
    const char* values = source.bytes() + o * b.count * b.inner * step * item;
    if (b.inner == 1) {
      writes.at(base, values, offsets, {.count = b.count, .from_step = step, .low = low, .high = high});
      continue;
    }
    for (int64_t k = 0; k < b.count; ++k) {
      if (offsets[k] < low || offsets[k] >= high) continue;
      for_rows(b, [&](int64_t offset, int64_t position, int64_t length, int64_t stride) {
        writes.row(base + (offsets[k] + offset) * item, stride, values + (k * b.inner + position) * step * item, step,
                   length);
      });
    }
  }
}

}  // namespace

void store_blocks(const Tensor& t, const Blocks& b, const Tensor& source, Combine c) {
  if (b.outer * b.count * b.inner == 0 || t.is_meta()) return;
  const CombinedWrites writes = combined_writes(t.dtype(), c);
  if (cuda::runs_on_gpu(t)) return cuda::store_blocks(t, b, source, c);
  const int64_t grain = 32768, work = b.count * b.inner;
  const auto store = [&](int64_t begin, int64_t end, int64_t low, int64_t high) {
    store_range(t, b, source, writes, begin, end, low, high);
  };
  const bool repeated = std::find(b.outer_stride.begin(), b.outer_stride.end(), 0) != b.outer_stride.end();
  if ((b.outer >= 8 && !repeated) || b.outer * work <= grain || num_threads() == 1)
    return parallel_items(b.outer, std::max<int64_t>(1, grain / work),
                          [&](int64_t begin, int64_t end) { store(begin, end, 0, INT64_MAX); });
  // If single elements fit the cache, writing them takes less time than comparing their offsets in each thread.
  if (b.inner == 1 && t.numel() * item_size(t.dtype()) <= int64_t(8) << 20) return store(0, b.outer, 0, INT64_MAX);
  // Every thread visits all offsets, but writes only to its own part of the memory. No two threads write the same
  // element, and each element is written in the order of the offsets.
  int64_t extent = 1;
  for (int64_t k = 0; k < b.count; ++k) extent = std::max(extent, b.offsets.data<int64_t>()[k] + 1);
  parallel_items(extent, std::max<int64_t>(1, extent / std::max<int64_t>(1, b.outer * work / grain)),
                 [&](int64_t low, int64_t high) { store(0, b.outer, low, high); });
}

}  // namespace flambeau
