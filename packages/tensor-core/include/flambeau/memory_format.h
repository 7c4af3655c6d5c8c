// In which order a tensor's elements lie in memory.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Preserve: the order of the tensor that is copied or imitated. ChannelsLast: of (N, C, H, W), the channels innermost.
enum class MemoryFormat : uint8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };

FLAMBEAU_API Tensor empty_strided(const Shape& shape, const Shape& strides, Dtype dtype);
// Strides without gaps for a shape; RuntimeError where the format wants another number of dimensions.
FLAMBEAU_API Shape strides_in(MemoryFormat format, const Shape& shape);
// The same for a tensor like `t`, whose own order Preserve keeps.
FLAMBEAU_API Shape strides_like(const Tensor& t, MemoryFormat format);
FLAMBEAU_API bool is_contiguous(const Tensor& t, MemoryFormat format);
// ChannelsLast or ChannelsLast3d if the dimensions of (N, C, ..., H, W) are nested in that order, with or without gaps;
// Contiguous for any other order.
FLAMBEAU_API MemoryFormat suggested_format(const Tensor& t);
// The format of the result of a layer over images, that of its input; contiguous on a GPU.
inline MemoryFormat result_format(const Tensor& input) {
  return input.is_cuda() ? MemoryFormat::Contiguous : suggested_format(input);
}
// A fresh tensor without history with exactly the strides of a format; a copy only if the order of elements changes.
FLAMBEAU_API Tensor laid_out(const Tensor& fresh, MemoryFormat format);
FLAMBEAU_API Tensor clone(const Tensor& t, MemoryFormat format);
FLAMBEAU_API Tensor to(const Tensor& t, Dtype dtype, MemoryFormat format);
// `t` itself where it lies in that order already.
FLAMBEAU_API Tensor contiguous(const Tensor& t, MemoryFormat format);

}  // namespace flambeau
