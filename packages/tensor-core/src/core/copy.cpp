#include "flambeau/copies.h"

#include <algorithm>
#include <cstring>

#include "core/device_memory.h"
#include "core/overlap.h"
#include "core/strided_copy.h"
#include "flambeau/autograd.h"
#include "flambeau/interpreter.h"
#include "flambeau/memory_format.h"
#include "flambeau/out_argument.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {
constexpr const char kNoData[] = "Cannot copy out of meta tensor; no data!";
}  // namespace

void copy_values(const Tensor& destination, const Tensor& source) {
  if (destination.numel() == 0 || destination.is_meta()) return;
  require<NotImplementedError>(!source.is_meta(), kNoData);
  if (same_elements(destination, source)) return;
  if (may_overlap(destination, source)) {
    const OnDevice scope(source.device());
    const Tensor copy = empty(source.shape(), source.dtype());
    copy_values(copy, source);
    return copy_values(destination, copy);
  }
  if (FLAMBEAU_UNLIKELY(destination.is_cuda() | source.is_cuda()) && device_memory.copy(destination, source)) return;
  copy_strided(destination, source);
}

Tensor copy_(const Tensor& self, const Tensor& source) {
  require(broadcast(self.shape(), source.shape()) == self.shape(), "copy_: shape ", source.shape(),
          " cannot be broadcast to the destination's shape ", self.shape());
  begin_inplace(self, "copy_", source.requires_grad());
  copy_values(self, source);
  if (recording(self, source))
    record(
        "Copy", self, {&self, &source}, {},
        [](const Context& c) {
          if (c.needs(0)) c.set(0, zeros(c.gradient().shape(), c.gradient().dtype()));
          c.set(1, c.gradient());
        },
        Recording::kInPlace);
  return self;
}

namespace {

void fill_values(const Tensor& self, Scalar value) {
  if (!self.is_contiguous() || is_small_float(self.dtype()))
    return copy_values(self, scalar_tensor(value, self.dtype()));
  char one[sizeof(Complex<double>)];
  dispatch_all(self.dtype(), [&](auto tag) {
    const auto v = value.to<typename decltype(tag)::type>();
    std::memcpy(one, &v, sizeof(v));
  });
  const auto copy = kernels::table().cast[int(self.dtype())][int(self.dtype())];
  const int64_t size = item_size(self.dtype());
  parallel_for(self.numel(), 65536,
               [&](int64_t begin, int64_t end) { copy(self.bytes() + begin * size, size, one, 0, end - begin); });
}

void require_fit(Scalar value, Dtype dtype) {
  require(fits(value, dtype), "value ", value, " cannot be converted to type ", dtype, " without overflow");
}

void fill_anywhere(const Tensor& self, Scalar value) {
  if (self.is_meta() || (self.is_cuda() && device_memory.fill(self, value))) return;
  fill_values(self, value);
}

}  // namespace

Tensor full(const Shape& shape, Scalar value, Dtype dtype) {
  require_fit(value, dtype);
  Tensor t = empty(shape, dtype);
  fill_anywhere(t, value);
  return t;
}

Tensor fill_(const Tensor& self, Scalar value) {
  require_fit(value, self.dtype());
  begin_fill(self, "fill_");
  fill_anywhere(self, value);
  forget_history(self, "Fill");
  return self;
}

Tensor to(const Tensor& t, Device device) {
  if (t.device() == device) return t;
  require<NotImplementedError>(!t.is_meta(), kNoData);
  const OnDevice scope(device);
  const Tensor out = empty_strided(t.shape(), strides_like(t, MemoryFormat::Preserve), t.dtype());
  copy_values(out, t);
  if (is_inexact(t.dtype()) && recording(t))
    record("ToCopy", out, {&t}, {}, [from = t.device()](const Context& c) { c.set(0, to(c.gradient(), from)); });
  return out;
}

Tensor to(const Tensor& t, Dtype dtype) {
  if (t.dtype() == dtype) return t;
  Tensor out = empty(t.shape(), dtype);
  copy_values(out, t);
  if (is_inexact(dtype) && recording(t))
    record("ToCopy", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor clone(const Tensor& t) {
  Tensor out = empty(t.shape(), t.dtype());
  copy_values(out, t);
  if (recording(t)) record("Clone", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor contiguous(const Tensor& t) { return t.is_contiguous() ? t : clone(t); }

Tensor detach(const Tensor& t) { return alias(t); }

namespace {

// Returns true if the elements fill a range of memory without gaps or overlaps.
bool is_dense(const Tensor& t) {
  if (t.is_contiguous()) return true;
  Shape order(t.shape().size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return t.strides()[a] < t.strides()[b]; });

  int64_t expected = 1;
  for (int64_t d : order) {
    if (t.shape()[d] == 1) continue;
    if (t.strides()[d] != expected) return false;
    expected *= t.shape()[d];
  }
  return true;
}

}  // namespace

void reject_overlap(const Tensor& written, const Tensor& read, bool partly) {
  if (!read.defined() || !may_overlap(written, read) || !is_dense(written) || !is_dense(read)) return;
  require(partly && same_elements(written, read),
          "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
          "location. Please clone() the tensor before performing the operation.");
}

void warn_if_resized(const Tensor& out, const Shape& result) {
  if (FLAMBEAU_LIKELY(out.shape() == result) || out.numel() == 0) return;
  std::ostringstream text;
  text << "An output with one or more elements was resized since it had shape " << out.shape()
       << ", which does not match the required output shape " << result
       << ". This behavior is deprecated, and in a future PyTorch release outputs will not be resized unless they have "
          "zero elements. You can explicitly reuse an out tensor t by resizing it, inplace, to zero elements with "
          "t.resize_(0).";
  warn(text.str());
}

void resize(const Tensor& t, const Shape& shape) {
  if (!(t.shape() == shape)) resize(t, shape, contiguous_strides(shape));
}

void resize(const Tensor& t, const Shape& shape, const Shape& strides) {
  TensorImpl& impl = *t.impl();
  // Other threads may use the tensor, unless it is a result that is still being computed.
  if (impl.use_count() > 1 || impl.python_object) wait_for_operators();
  require(impl.storage->writable(), "out: the tensor's memory is read-only; it cannot be resized to ", shape);
  int64_t bytes = item_size(impl.dtype);
  bool overflow = false;
  for (int64_t s : shape) overflow |= __builtin_mul_overflow(bytes, s, &bytes);
  if (overflow || bytes > int64_t(impl.storage->bytes()) - impl.offset * item_size(impl.dtype)) {
    impl.storage = empty(shape, impl.dtype).impl()->storage;
    impl.offset = 0;
  }
  impl.shape = shape;
  impl.strides = strides;
  impl.update_geometry();
}

void forget_history(const Tensor& self, const char* name) {
  if (recording(self))
    record(
        name, self, {&self}, {}, [](const Context& c) { c.set(0, zeros(c.gradient().shape(), c.gradient().dtype())); },
        Recording::kInPlace);
}

void adopt_history(const Tensor& self, const Tensor& result) {
  if (recording(result))
    record("Identity", self, {&result}, {}, [](const Context& c) { c.set(0, c.gradient()); }, Recording::kInPlace);
}

}  // namespace flambeau
