// Copies to and from GPUs, and fill operations.
#include "core/device_memory.h"
#include "cuda/operators.h"
#include "cuda/runtime/devices.h"
#include "flambeau/copies.h"
#include "flambeau/interpreter.h"

namespace flambeau::cuda {

namespace {

size_t bytes_of(const Tensor& t) { return size_t(t.numel() * item_size(t.dtype())); }
DevicePointer address_of(const Tensor& t) { return reinterpret_cast<DevicePointer>(t.device_bytes()); }

// In the functions below, tensors are contiguous and have the same dtype and number of elements.

void copy_within_device(int device, const Tensor& to, const Tensor& from) {
  check(activate(device).cuMemcpyDtoDAsync_v2(address_of(to), address_of(from), bytes_of(to), current_stream(device)),
        "copying on the GPU");
}

void from_host(int device, const Tensor& to, const Tensor& from) {
  const DevicePointer address = address_of(to);
  const void* const host = from.bytes();
  StreamHandle* const stream = current_stream(device);
  const bool pinned = is_pinned(from.storage());
  if (!pinned) require_no_capture(device, stream);
  {
    const GilRelease release(GilRelease::Wait);
    copy_from_host(device, address, host, bytes_of(to), pinned);
  }
  if (!pinned) return;
  waits(from.storage()) ? synchronize(device, stream) : use_pinned(from.impl()->storage, device, stream);
}

void to_host(int device, const Tensor& to, const Tensor& from) {
  const DevicePointer address = address_of(from);
  void* const host = to.bytes();
  const Driver& d = activate(device);
  StreamHandle* const stream = current_stream(device);
  {
    const GilRelease release(GilRelease::Wait);
    check(d.cuMemcpyDtoHAsync_v2(host, address, bytes_of(to), stream), "copying to the host");
  }
  waits(to.storage()) ? synchronize(device, stream) : use_pinned(to.impl()->storage, device, stream);
}

void between(int target, int origin, const Tensor& to, const Tensor& from) {
  synchronize(target, current_stream(target));  // earlier work may still use the target
  check(activate(origin).cuMemcpyPeerAsync(address_of(to), context_of(target), address_of(from), context_of(origin),
                                           bytes_of(to), current_stream(origin)),
        "copying from one GPU to another");
  synchronize(origin, current_stream(origin));
}

void transfer(const Tensor& to, const Tensor& from) {
  const Device target = to.device(), origin = from.device();
  if (target == origin)
    copy_within_device(target.index, to, from);
  else if (origin == DeviceType::Cpu)
    from_host(target.index, to, from);
  else if (target == DeviceType::Cpu)
    to_host(origin.index, to, from);
  else
    between(target.index, origin.index, to, from);
}

bool is_plain(const Tensor& t, const Tensor& like) {
  return t.is_contiguous() && t.dtype() == like.dtype() && t.shape() == like.shape();
}

// Kernels do not support small floats. They copy the elements as int8.
Tensor as_int8(const Tensor& t) {
  return from_storage(t.impl()->storage, t.shape(), t.strides(), t.offset(), Dtype::int8);
}

Tensor room_for(const Tensor& t, Device device) {
  const OnDevice scope(device);
  return empty(t.shape(), t.dtype());
}

}  // namespace

void copy_from_host(int device, DevicePointer to, const void* host, size_t bytes, bool pinned) {
  const Driver& d = activate(device);
  StreamHandle* const stream = current_stream(device);
  check(d.cuMemcpyHtoDAsync_v2(to, host, bytes, stream), "copying to the GPU");
  if (!pinned && reads_pageable_memory(device)) check(d.cuStreamSynchronize(stream), "copying to the GPU");
}

bool copy(const Tensor& to, const Tensor& from) {
  if (on_host()) return false;
  if (to.device() == from.device() && !(is_plain(from, to) && to.is_contiguous())) {
    if (is_small_float(to.dtype()) && from.dtype() == to.dtype())
      convert_elements(as_int8(from), Dtype::int8, as_int8(to));
    else
      convert_elements(from, from.dtype(), to);
    return true;
  }
  // Between devices, only contiguous memory is copied. Layouts and dtypes are converted before and after the copy.
  Tensor source = from;
  if (!is_plain(from, to)) copy_values(source = room_for(to, from.device()), from);
  const Tensor target = to.is_contiguous() ? to : room_for(to, to.device());
  transfer(target, source);
  if (!to.is_contiguous()) copy_values(to, target);
  return true;
}

void fill(const Tensor& t, Scalar value) {
  if (is_small_float(t.dtype())) {
    const Tensor code = scalar_tensor(value, t.dtype());
    return convert_elements(Scalar(int64_t(*code.bytes())), Dtype::int8, as_int8(t));
  }
  // The value is passed to the kernel in this dtype, which represents all values of the tensor's dtype exactly.
  const Dtype in = t.dtype() == Dtype::bool_                            ? Dtype::uint8
                   : is_floating(t.dtype()) && item_size(t.dtype()) < 4 ? Dtype::float32
                                                                        : t.dtype();
  convert_elements(t.dtype() == Dtype::bool_ ? Scalar(value.truth()) : value, in, t);
}

Scalar item(const Tensor& t) {
  const Tensor one = room_for(t, DeviceType::Cpu);
  to_host(t.device().index, one, t);
  return flambeau::item(one);
}

namespace {
[[maybe_unused]] const bool installed = [] {
  device_memory.copy = copy;
  device_memory.fill = [](const Tensor& t, Scalar value) { return !on_host() && (fill(t, value), true); };
  device_memory.item = [](const Tensor& t) { return on_host() ? std::nullopt : std::optional(cuda::item(t)); };
  return true;
}();
}  // namespace

}  // namespace flambeau::cuda
