// Copies and fills. The ranges of device memory are checked when the function is called and again when the operation
// runs.
#include <algorithm>
#include <cstring>

#include "state.h"

using namespace emulated;

namespace {

using Address = unsigned long long;

struct Side {
  char* start;
  Context* context;  // null for the host
  static Side host(const void* start) { return {static_cast<char*>(const_cast<void*>(start)), nullptr}; }
  static Side device(Address address) {
    char* start = reinterpret_cast<char*>(address);
    return {start, context_of(start)};
  }
  bool valid(size_t bytes) const { return context && context->memory.contains(start, bytes); }
};

bool pinned(const char* address) {
  auto& memory = state().host_memory;
  auto it = memory.upper_bound(const_cast<char*>(address));
  return it != memory.begin() && size_t(address - (--it)->first) < it->second;
}

void copy_now(Side to, Side from, size_t bytes) {
  for (const Side& side : {to, from})
    if (side.context && !side.valid(bytes))
      return device_failure(*side.context, kIllegalAddress, "a copy reached memory that has been freed");
  std::optional<Access> opened_to, opened_from;
  if (to.context) opened_to.emplace(to.context->memory);
  if (from.context) opened_from.emplace(from.context->memory);
  std::memmove(to.start, from.start, bytes);
}

// As with the real driver, pageable host memory has been read or written when the call returns. If the GPU can access
// pageable memory itself (FLAMBEAU_EMULATED_PAGEABLE=1), it may be read later.
int submit_copy(const Call& call, Side to, Side from, size_t bytes, Stream* handle) {
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  if (bytes == 0) return kSuccess;
  const bool late = (deferred() || stream->done < stream->submitted) && !stream->capture;
  if (late && !from.context && !pinned(from.start) && !reads_pageable_memory()) {
    auto staged = std::make_shared<std::vector<char>>(from.start, from.start + bytes);
    return submit(stream, [to, staged, bytes] { copy_now(to, Side::host(staged->data()), bytes); });
  }
  const int error = submit(stream, [to, from, bytes] { copy_now(to, from, bytes); });
  if (late && !to.context && !pinned(to.start)) run(*stream, stream->submitted);
  return error;
}

}  // namespace

EMULATED_API int cuMemcpyHtoDAsync_v2(Address to, const void* from, size_t bytes, Stream* stream) {
  EMULATED_CALL();
  if (bytes && (!Side::device(to).valid(bytes) || context_of(from))) return kInvalidValue;
  return submit_copy(call, Side::device(to), Side::host(from), bytes, stream);
}

EMULATED_API int cuMemcpyDtoHAsync_v2(void* to, Address from, size_t bytes, Stream* stream) {
  EMULATED_CALL();
  if (bytes && (!Side::device(from).valid(bytes) || context_of(to))) return kInvalidValue;
  return submit_copy(call, Side::host(to), Side::device(from), bytes, stream);
}

EMULATED_API int cuMemcpyDtoDAsync_v2(Address to, Address from, size_t bytes, Stream* stream) {
  EMULATED_CALL();
  if (bytes && (!Side::device(to).valid(bytes) || !Side::device(from).valid(bytes))) return kInvalidValue;
  if (to < from + bytes && from < to + bytes) return kInvalidValue;  // the driver's behaviour is undefined
  return submit_copy(call, Side::device(to), Side::device(from), bytes, stream);
}

EMULATED_API int cuMemcpyPeerAsync(Address to, Context* to_context, Address from, Context* from_context, size_t bytes,
                                   Stream* stream) {
  EMULATED_CALL();
  const Side target = Side::device(to), source = Side::device(from);
  if (bytes && (!target.valid(bytes) || !source.valid(bytes))) return kInvalidValue;
  if (bytes && (target.context != to_context || source.context != from_context)) return kInvalidContext;
  return submit_copy(call, target, source, bytes, stream);
}

template <class T>
static int submit_fill(const Call& call, Address to, T value, size_t count, Stream* handle) {
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  const Side target = Side::device(to);
  if (to % sizeof(T) || (count && !target.valid(count * sizeof(T)))) return kInvalidValue;
  return submit(stream, [target, value, count] {
    if (count == 0) return;
    if (!target.valid(count * sizeof(T)))
      return device_failure(*target.context, kIllegalAddress, "a fill reached memory that has been freed");
    const Access access(target.context->memory);
    std::fill_n(reinterpret_cast<T*>(target.start), count, value);
  });
}

EMULATED_API int cuMemsetD8Async(Address to, unsigned char value, size_t count, Stream* handle) {
  EMULATED_CALL();
  return submit_fill(call, to, value, count, handle);
}

EMULATED_API int cuMemsetD32Async(Address to, unsigned value, size_t count, Stream* handle) {
  EMULATED_CALL();
  return submit_fill(call, to, value, count, handle);
}
