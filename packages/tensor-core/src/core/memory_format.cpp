// Memory formats and copies in another format.
#include "flambeau/memory_format.h"

#include <algorithm>

#include "flambeau/autograd.h"
#include "flambeau/copies.h"

namespace flambeau {

namespace {

// Returns the strides of a tensor without gaps whose dimensions have the given order in memory, the outermost first.
Shape packed(const Shape& shape, const Shape& order) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    strides[size_t(order[i])] = step;
    step *= std::max<int64_t>(shape[size_t(order[i])], 1);
  }
  return strides;
}

// Returns the dimensions in descending order of their strides. Dimensions with stride 0 keep their position relative to
// the adjacent dimensions.
Shape nesting(const Tensor& t) {
  Shape order;
  for (int64_t dim = 0; dim < t.dim(); ++dim) {
    size_t at = order.size();
    for (size_t i = order.size(); i-- > 0;) {
      const int64_t own = t.strides()[dim], other = t.strides()[size_t(order[i])];
      if (own == 0 || other == 0) continue;
      if (own < other || (own == other && t.shape()[dim] <= t.shape()[size_t(order[i])])) break;
      at = i;
    }
    order.push_back(dim);
    for (size_t i = order.size() - 1; i > at; --i) std::swap(order[i], order[i - 1]);
  }
  return order;
}

}  // namespace

Tensor empty_strided(const Shape& shape, const Shape& strides, Dtype dtype) {
  require(shape.size() == strides.size(), "dimensionality of sizes (", shape.size(),
          ") must match dimensionality of strides (", strides.size(), "), got ", shape, " and ", strides);
  int64_t reach = 1;
  bool none = false, overflow = false;
  for (size_t i = 0; i < shape.size(); ++i) {
    require(shape[i] >= 0, "Trying to create tensor with negative dimension ", shape[i], ": ", shape);
    require(strides[i] >= 0, "as_strided: negative strides are not supported: ", strides);
    none |= shape[i] == 0;
    int64_t extent;
    overflow |=
        __builtin_mul_overflow(shape[i] - 1, strides[i], &extent) || __builtin_add_overflow(reach, extent, &reach);
  }
  require(none || !overflow, "Storage size calculation overflowed with sizes=", shape, " and strides=", strides);
  const Tensor memory = empty({none ? 0 : reach}, dtype);
  return from_storage(memory.impl()->storage, shape, strides, 0, dtype);
}

Shape strides_in(MemoryFormat format, const Shape& shape) {
  if (format == MemoryFormat::ChannelsLast) {
    require(shape.size() == 4, "required rank 4 tensor to use channels_last format, got shape ", shape);
    return packed(shape, {0, 2, 3, 1});
  }
  if (format == MemoryFormat::ChannelsLast3d) {
    require(shape.size() == 5, "required rank 5 tensor to use channels_last_3d format, got shape ", shape);
    return packed(shape, {0, 2, 3, 4, 1});
  }
  return contiguous_strides(shape);
}

Shape strides_like(const Tensor& t, MemoryFormat format) {
  if (format != MemoryFormat::Preserve) return strides_in(format, t.shape());
  return t.is_contiguous() ? contiguous_strides(t.shape()) : packed(t.shape(), nesting(t));
}

bool is_contiguous(const Tensor& t, MemoryFormat format) {
  require(format != MemoryFormat::Preserve,
          "is_contiguous() does not support preserve_format; use contiguous_format, channels_last or channels_last_3d");
  if (format == MemoryFormat::Contiguous) return t.is_contiguous();
  if (t.dim() != (format == MemoryFormat::ChannelsLast ? 4 : 5)) return false;
  const Shape wanted = strides_in(format, t.shape());
  for (int i = 0; i < t.dim(); ++i)
    if (t.shape()[i] != 1 && t.strides()[i] != wanted[size_t(i)]) return t.numel() == 0;
  return true;
}

MemoryFormat suggested_format(const Tensor& t) {
  constexpr MemoryFormat kOther = MemoryFormat::Contiguous;
  if ((t.dim() != 4 && t.dim() != 5) || t.numel() == 0 || t.strides()[1] == 0) return kOther;
  int64_t inner = 0;
  for (int i = t.dim(); i-- > 0;) {
    // The order is: channels, spatial dimensions from the last to the first, batch.
    const int d = i == t.dim() - 1 ? 1 : i == 0 ? 0 : i + 1;
    if (t.strides()[d] < inner || (d == 0 && inner == t.strides()[1])) return kOther;  // (N, 1, 1, 1) fits both formats
    inner = t.strides()[d] * t.shape()[d];
  }
  return t.dim() == 4 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
}

Tensor laid_out(const Tensor& fresh, MemoryFormat format) {
  const Shape strides = strides_in(format, fresh.shape());
  if (fresh.strides() == strides) return fresh;
  if (is_contiguous(fresh, format))
    return from_storage(fresh.impl()->storage, fresh.shape(), strides, fresh.offset(), fresh.dtype());
  const Tensor out = empty_strided(fresh.shape(), strides, fresh.dtype());
  copy_values(out, fresh);
  return out;
}

Tensor clone(const Tensor& t, MemoryFormat format) {
  const Shape strides = strides_like(t, format);
  if (strides == contiguous_strides(t.shape())) return clone(t);
  const Tensor out = empty_strided(t.shape(), strides, t.dtype());
  copy_values(out, t);
  if (recording(t)) record("Clone", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor to(const Tensor& t, Dtype dtype, MemoryFormat format) {
  const Shape strides = strides_like(t, format);
  if (t.dtype() == dtype || strides == contiguous_strides(t.shape())) return to(t, dtype);
  const Tensor out = empty_strided(t.shape(), strides, dtype);
  copy_values(out, t);
  if (is_inexact(dtype) && recording(t))
    record("ToCopy", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor contiguous(const Tensor& t, MemoryFormat format) {
  require(format != MemoryFormat::Preserve, "preserve memory format is unsupported by the contiguous operator");
  return is_contiguous(t, format) ? t : clone(t, format);
}

}  // namespace flambeau
