#include "cuda/geometry.h"

#include <algorithm>

namespace flambeau::cuda {

bool StridedLayout::side_by_side(const int64_t* item_sizes) const {
  if (dims > 1) return false;
  for (int k = 0; k < pointers; ++k)
    if (dims == 1 && stride[k][0] != item_sizes[k]) return false;
  return true;
}

bool StridedLayout::has_packs(int64_t width, const int64_t* item_sizes, const uint64_t* addresses) const {
  if (dims == 0 || width == 1 || size[0] < width) return false;
  for (int k = 0; k < pointers; ++k) {
    if (stride[k][0] == 0) continue;
    const int64_t bytes = width * item_sizes[k];
    if (stride[k][0] != item_sizes[k] || addresses[k] % uint64_t(bytes) != 0) return false;
    for (int d = 1; d < dims; ++d)
      if (stride[k][d] % bytes != 0) return false;
  }
  return stride[0][0] != 0;
}

void StridedLayout::divide_rows(int64_t width) {
  size[0] = (size[0] + width - 1) / width;
  for (int k = 0; k < pointers; ++k) stride[k][0] *= width;
}

StridedLayout layout_of(const Tensor* const* tensors, int count) {
  const Tensor& first = *tensors[0];
  Shape order;  // the innermost dimension is first
  for (int64_t d = first.dim() - 1; d >= 0; --d)
    if (first.shape()[size_t(d)] != 1) order.push_back(d);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return first.strides()[size_t(a)] < first.strides()[size_t(b)]; });
  StridedLayout out;
  out.pointers = count;
  for (const int64_t d : order) {
    int64_t strides[kPointers] = {};
    for (int k = 0; k < count; ++k) {
      if (!tensors[k]) continue;
      const Tensor& t = *tensors[k];
      const int64_t own = d - (first.dim() - t.dim());
      if (own >= 0 && t.shape()[size_t(own)] != 1) strides[k] = t.strides()[size_t(own)] * item_size(t.dtype());
    }
    const int64_t n = first.shape()[size_t(d)];
    bool merges = out.dims > 0;
    for (int k = 0; k < count && merges; ++k)
      merges = strides[k] == out.stride[k][out.dims - 1] * out.size[out.dims - 1];
    if (merges) {
      out.size[out.dims - 1] *= n;
      continue;
    }
    out.size[out.dims] = n;
    for (int k = 0; k < count; ++k) out.stride[k][out.dims] = strides[k];
    ++out.dims;
  }
  return out;
}

void each_part(const StridedLayout& layout, const std::function<void(const StridedLayout&)>& run) {
  const bool too_many = layout.count() >= kMaxElements;
  if (layout.dims <= kLoopDims && !too_many) return run(layout);
  const int last = layout.dims - 1;
  const int64_t n = layout.size[last], step = too_many ? std::max<int64_t>(n / 2, 1) : 1;
  for (int64_t at = 0; at < n; at += step) {
    StridedLayout part = layout;
    part.size[last] = std::min(step, n - at);
    for (int k = 0; k < layout.pointers; ++k) part.offset[k] += at * layout.stride[k][last];
    if (part.size[last] == 1) --part.dims;
    each_part(part, run);
  }
}

int transposed_dim(const StridedLayout& layout, const int64_t* item_sizes) {
  constexpr int64_t kShortest = 8;  // smaller matrices leave most of a tile unused
  if (layout.dims < 2 || layout.stride[0][0] != item_sizes[0] || layout.size[0] < kShortest) return 0;
  if (layout.stride[1][0] == item_sizes[1] || layout.stride[1][0] == 0) return 0;
  for (int d = 1; d < layout.dims; ++d)
    if (layout.stride[1][d] == item_sizes[1] && layout.size[d] >= kShortest) return d;
  return 0;
}

TransposeArguments transpose_arguments(const StridedLayout& layout, int dim, char* out, const char* in, int64_t tile) {
  TransposeArguments a{};
  a.out = out + layout.offset[0], a.in = in + layout.offset[1];
  a.columns = uint32_t(layout.size[0]), a.rows = uint32_t(layout.size[dim]);
  a.row_stride = layout.stride[0][dim], a.column_stride = layout.stride[1][0];
  a.tiles[0] = Divider(uint32_t((a.columns + tile - 1) / tile));
  a.tiles[1] = Divider(uint32_t((a.rows + tile - 1) / tile));
  for (int d = 1; d < layout.dims; ++d) {
    if (d == dim) continue;
    a.sizes[a.dims] = Divider(uint32_t(layout.size[d]));
    for (int k = 0; k < 2; ++k) a.strides[k][a.dims] = layout.stride[k][d];
    ++a.dims;
  }
  return a;
}

}  // namespace flambeau::cuda
