// Memory formats: the order of a tensor's elements in memory.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

// Preserve: the order of the tensor that is copied, or of the argument of a _like function. ChannelsLast: (N, C, H, W)
// with the channels innermost.
enum class MemoryFormat : uint8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };

FLAMBEAU_API Tensor empty_strided(const Shape& shape, const Shape& strides, Dtype dtype);
// Returns the contiguous strides of a shape in a format. Raises RuntimeError for a wrong number of dimensions.
FLAMBEAU_API Shape strides_in(MemoryFormat format, const Shape& shape);
// Returns the strides of a new tensor with the shape of `t` in a format; Preserve keeps the order of `t`.
FLAMBEAU_API Shape strides_like(const Tensor& t, MemoryFormat format);
FLAMBEAU_API bool is_contiguous(const Tensor& t, MemoryFormat format);
// ChannelsLast or ChannelsLast3d if the dimensions of (N, C, ..., H, W) are nested in that order, with or without gaps;
// Contiguous for any other order.
FLAMBEAU_API MemoryFormat suggested_format(const Tensor& t);
// Returns the format of the result of a layer for images: the format of its input, or contiguous on a GPU.
inline MemoryFormat result_format(const Tensor& input) {
  return input.is_cuda() ? MemoryFormat::Contiguous : suggested_format(input);
}
// Converts a new, unrecorded tensor to exactly the strides of a format. Copies only if the order of elements changes.
FLAMBEAU_API Tensor laid_out(const Tensor& fresh, MemoryFormat format);
FLAMBEAU_API Tensor clone(const Tensor& t, MemoryFormat format);
FLAMBEAU_API Tensor to(const Tensor& t, Dtype dtype, MemoryFormat format);
// Returns `t` itself if it is contiguous in that format.
FLAMBEAU_API Tensor contiguous(const Tensor& t, MemoryFormat format);

}  // namespace flambeau
