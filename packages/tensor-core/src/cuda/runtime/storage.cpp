// Storages on a GPU.
//
// Note [Two memories]
// The contents of a CUDA storage are on its GPU until an operator requests the host pointer (Storage::data). Then the
// contents are copied to the host and stay there, because the operator may write through the pointer. The next request
// for the GPU pointer (Storage::device_data) copies them back. Therefore all operators work on CUDA tensors: operators
// with GPU kernels at the speed of the GPU, other operators at the cost of the copies. host_calls() counts the calls of
// the latter.
//
// An operator that accesses elements on the host may keep pointers to them until it returns. Therefore the rest of the
// call runs on the host (on_host, which cuda::runs_on_gpu checks), so that no part of it invalidates the pointers. A
// Call is the scope of this rule: one call from Python, or one node in a backward pass.
#include <map>
#include <mutex>

#include "cuda/runtime/allocator.h"
#include "cuda/runtime/devices.h"
#include "cuda/runtime/report.h"

#include "flambeau/interpreter.h"

namespace flambeau {

namespace {

thread_local int running_calls = 0;
thread_local bool call_on_host = false;
std::mutex moving;

std::mutex counts_mutex;
std::map<std::string, int64_t>& counts() {
  static auto* once = new std::map<std::string, int64_t>;
  return *once;
}

void fall_back_to_host() {
  if (!running_calls || call_on_host) return;
  call_on_host = true;
  const std::lock_guard lock(counts_mutex);
  ++counts()[OnDevice::operation()];
}

void* copy_to_host(int device, const void* data, size_t bytes) {
  void* const host = allocate(bytes);
  const cuda::Driver& d = cuda::activate(device);
  cuda::StreamHandle* const stream = cuda::current_stream(device);
  int code = running_calls ? 0 : d.cuCtxSynchronize();  // another thread's stream may still use the memory
  if (!code) code = d.cuMemcpyDtoHAsync_v2(host, reinterpret_cast<cuda::DevicePointer>(data), bytes, stream);
  if (!code) code = d.cuStreamSynchronize(stream);
  if (code) deallocate(host, bytes);
  cuda::check(code, "copying to the host");
  return host;
}

}  // namespace

namespace cuda {

Call::Call() : formerly_on_host_(call_on_host) { ++running_calls; }
Call::~Call() {
  --running_calls;
  call_on_host = formerly_on_host_;
}
bool on_host() { return call_on_host; }

std::vector<std::pair<std::string, int64_t>> host_calls() {
  const std::lock_guard lock(counts_mutex);
  return {counts().begin(), counts().end()};
}
void forget_host_calls() {
  const std::lock_guard lock(counts_mutex);
  counts().clear();
}

void record_stream(const Storage& storage, int device, StreamHandle* stream) { storage.record_stream(device, stream); }

}  // namespace cuda

void Storage::allocate_on_device() {
  if (bytes_ == 0) return;
  cuda::Block* block = cuda::allocate_block(device_.index, bytes_);
  context_ = block;
  data_ = reinterpret_cast<void*>(block->address);
}

void Storage::record_stream(int device, cuda::StreamHandle* stream) const {
  if (device_ == DeviceType::Cuda && !deleter_ && context_)
    cuda::use_block(static_cast<cuda::Block*>(context_), {device, stream});
}

// Several threads of a parallel loop may request the pointer at the same time.
void* Storage::move_to_host() const {
  fall_back_to_host();
  if (__atomic_load_n(&on_host_, __ATOMIC_ACQUIRE)) return host_;
  {
    // Releases the GIL before taking the lock, because a thread with the GIL may wait for the lock.
    const GilRelease release(GilRelease::Wait);
    const std::lock_guard lock(moving);
    if (on_host_) return host_;
    host_ = on_device_ && bytes_ ? copy_to_host(device_.index, data_, bytes_) : allocate(bytes_);
    __atomic_store_n(&on_device_, false, __ATOMIC_RELEASE);
    __atomic_store_n(&on_host_, true, __ATOMIC_RELEASE);
  }
  if (running_calls) cuda::raise_reports(device_.index);
  return host_;
}

void Storage::move_to_device() const {
  require(device_ == DeviceType::Cuda, OnDevice::operation(),
          ": Expected all tensors to be on the same device, but found one on ", device_,
          " together with tensors on a GPU");
  // New storages have no contents to copy, so the GIL need not be released.
  if (const std::unique_lock lock(moving, std::try_to_lock); lock && !on_host_) {
    __atomic_store_n(&on_device_, true, __ATOMIC_RELEASE);
    return;
  }
  const GilRelease release(GilRelease::Wait);
  const std::lock_guard lock(moving);
  if (on_device_) return;
  if (on_host_ && bytes_) {
    cuda::require_no_capture(device_.index, cuda::current_stream(device_.index));
    cuda::copy_from_host(device_.index, reinterpret_cast<cuda::DevicePointer>(data_), host_, bytes_, false);
  }
  drop_host();
  __atomic_store_n(&on_device_, true, __ATOMIC_RELEASE);
}

void Storage::drop_host() const {
  if (on_host_) deallocate(host_, bytes_);
  on_host_ = false;
  host_ = nullptr;
}

void Storage::destroy_on_device() {
  drop_host();
  if (!deleter_ && context_) cuda::free_block(static_cast<cuda::Block*>(context_));
}

}  // namespace flambeau
