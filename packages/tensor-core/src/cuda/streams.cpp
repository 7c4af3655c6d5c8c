// Streams: which one a thread works on, and waiting for them.
#include <memory>

#include "cuda/devices.h"
#include "cuda/report.h"

namespace flambeau::cuda {

namespace {
// One of each GPU, once a thread has chosen any. Static room for threads is scarce: a library that a program loads gets
// what is left of it.
thread_local std::unique_ptr<StreamHandle*[]> streams_of_thread;
}  // namespace

StreamHandle* current_stream(int device) { return streams_of_thread ? streams_of_thread[size_t(device)] : nullptr; }
void set_stream(int device, StreamHandle* stream) {
  check_device(device);
  if (!streams_of_thread) streams_of_thread = std::make_unique<StreamHandle*[]>(kMaxDevices);
  streams_of_thread[size_t(device)] = stream;
}

StreamHandle* create_stream(int device, int priority) {
  constexpr unsigned kIndependent = 1;  // of the default stream
  StreamHandle* stream = nullptr;
  check(activate(device).cuStreamCreateWithPriority(&stream, kIndependent, priority), "creating a stream");
  return stream;
}
void destroy_stream(int device, StreamHandle* stream) {
  check(activate(device).cuStreamDestroy_v2(stream), "ending a stream");
}

void synchronize(int device) {
  check(activate(device).cuCtxSynchronize(), "waiting for a GPU");
  raise_reports(device);
}
void synchronize(int device, StreamHandle* stream) {
  check(activate(device).cuStreamSynchronize(stream), "waiting for a stream");
  raise_reports(device);
}

}  // namespace flambeau::cuda
