// Operators that replace or resize the memory of a tensor.
#include <algorithm>
#include <cstring>

#include "flambeau/interpreter.h"
#include "flambeau/kept_values.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"

namespace flambeau {

void set_storage(const Tensor& self, const Tensor& source, const Shape& shape, const Shape& strides, int64_t offset) {
  require(!self.requires_grad() || !grad_enabled(),
          "set_: the storage of a tensor that requires grad cannot be replaced");
  require(self.dtype() == source.dtype(), "set_: expected a source of dtype ", self.dtype(), ", got ", source.dtype());
  NoRecording off;
  const Tensor view = as_strided(source, shape, strides, offset);  // as_strided() checks the bounds
  wait_for_operators();
  TensorImpl &to = *self.impl(), &from = *view.impl();
  count_uncounted_change();
  to.storage = from.storage;
  to.offset = from.offset;
  to.shape = from.shape;
  to.strides = from.strides;
  to.base = Ref<TensorImpl>();
  to.update_geometry();
}

namespace {

void require_strides(const Shape& shape) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 1;)
    require(!__builtin_mul_overflow(step, std::max<int64_t>(shape[i], 1), &step),
            "resize_: Stride calculation overflowed for the shape ", shape);
}

// Returns the memory format of a tensor: channels-last if it is contiguous in that format, else contiguous.
MemoryFormat format_of(const Tensor& t) {
  for (const MemoryFormat format : {MemoryFormat::ChannelsLast, MemoryFormat::ChannelsLast3d})
    if (!t.is_contiguous() && is_contiguous(t, format)) return format;
  return MemoryFormat::Contiguous;
}

}  // namespace

Tensor resize_(const Tensor& self, const Shape& shape, MemoryFormat format) {
  require(!self.requires_grad() || self.storage().inference(), "cannot resize variables that require grad");
  if (self.shape() == shape && format == MemoryFormat::Contiguous) return self;
  for (int64_t s : shape) require(s >= 0, "resize_: negative size in ", shape);
  require_strides(shape);
  const Shape strides = strides_in(format, shape);
  const Tensor whole = empty_strided(shape, strides, self.dtype());  // this raises an error if the size is too large
  const int64_t item = item_size(self.dtype()), before = int64_t(self.storage().bytes()),
                needed = int64_t(whole.storage().bytes()) + self.offset() * item;
  wait_for_operators();
  TensorImpl& impl = *self.impl();
  if (needed > before) {
    require(impl.storage->writable(), "resize_: the tensor's memory is read-only; it cannot be resized to ", shape);
    const Ref<Storage> larger = Storage::create(size_t(needed));
    std::memcpy(larger->data(), impl.storage->data(), size_t(before));
    count_uncounted_change();
    raise_version(*larger, impl.storage->version());
    impl.storage = larger;
  }
  if (impl.shape != shape && impl.counts_changes) impl.storage->bump_version();
  impl.shape = shape;
  impl.strides = strides;
  impl.update_geometry();
  return self;
}

const Operator resize_as__operator({.signature = "resize_as_(input, the_template, *, memory_format=None)",
                                    .forms = kFunction | kMethod,
                                    .doc = "Resize a tensor in place to the shape of another one.",
                                    .forward = [](const Tensor& t, const Tensor& other,
                                                  std::optional<MemoryFormat> format) {
                                      if (format == MemoryFormat::Preserve) format = format_of(other);
                                      return resize_(t, other.shape(), format.value_or(MemoryFormat::Contiguous));
                                    }});

const Operator resize__operator(
    {.signature = "resize_(input, *size, memory_format=None)",
     .forms = kMethod,
     .doc = R"(Change the shape in place. The storage grows if necessary; the added elements are uninitialised.)",
     .forward = [](const Tensor& t, const Shape& size, std::optional<MemoryFormat> format) {
       return resize_(t, size, format.value_or(MemoryFormat::Contiguous));
     }});

}  // namespace flambeau
