// Streams and events.
#include <memory>

#include "cuda/runtime/devices.h"
#include "cuda/runtime/report.h"

#include "flambeau/interpreter.h"

namespace flambeau::cuda {

namespace {
// The chosen stream of each GPU. The array is allocated when a thread first chooses a stream, because libraries that
// are loaded at run time have little static thread-local memory.
thread_local std::unique_ptr<StreamHandle*[]> streams_of_thread;

// Returns true if `code`, the result of a query, says that the work is complete, and false for kNotReady. Raises an
// error for any other code.
bool done(int code, const char* what) {
  if (code == code::kNotReady) return false;
  check(code, what);
  return true;
}
}  // namespace

StreamHandle* current_stream(int device) { return streams_of_thread ? streams_of_thread[size_t(device)] : nullptr; }
void set_stream(int device, StreamHandle* stream) {
  check_device(device);
  if (!streams_of_thread) streams_of_thread = std::make_unique<StreamHandle*[]>(kMaxDevices);
  streams_of_thread[size_t(device)] = stream;
}

StreamHandle* create_stream(int device, int priority) {
  constexpr unsigned kIndependent = 1;  // the stream does not synchronise with the default stream
  StreamHandle* stream = nullptr;
  check(activate(device).cuStreamCreateWithPriority(&stream, kIndependent, priority), "creating a stream");
  return stream;
}
void destroy_stream(int device, StreamHandle* stream) {
  check(activate(device).cuStreamDestroy_v2(stream), "destroying a stream");
}
bool query_stream(int device, StreamHandle* stream) {
  return done(activate(device).cuStreamQuery(stream), "querying a stream");
}
CaptureStatus capture_status(int device, StreamHandle* stream) {
  CaptureStatus out;
  check(activate(device).cuStreamGetCaptureInfo_v2(stream, &out.status, &out.number, nullptr, nullptr, nullptr),
        "querying the capture status of a stream");
  return out;
}

void synchronize(int device) {
  {
    const Driver& d = activate(device);
    const GilRelease release(GilRelease::Wait);
    check(d.cuCtxSynchronize(), "waiting for a GPU");
  }
  raise_reports(device);
}
void synchronize(int device, StreamHandle* stream) {
  {
    const Driver& d = activate(device);
    const GilRelease release(GilRelease::Wait);
    check(d.cuStreamSynchronize(stream), "waiting for a stream");
  }
  raise_reports(device);
}

EventHandle* create_event(int device, bool timing) {
  constexpr unsigned kNoTiming = 2;
  EventHandle* event = nullptr;
  check(activate(device).cuEventCreate(&event, timing ? 0 : kNoTiming), "creating an event");
  return event;
}
void destroy_event(int device, EventHandle* event) {
  check(activate(device).cuEventDestroy_v2(event), "destroying an event");
}
void record_event(int device, EventHandle* event, StreamHandle* stream) {
  check(activate(device).cuEventRecord(event, stream), "recording an event");
}
bool query_event(int device, EventHandle* event) {
  return done(activate(device).cuEventQuery(event), "querying an event");
}
void synchronize_event(int device, EventHandle* event) {
  {
    const Driver& d = activate(device);
    const GilRelease release(GilRelease::Wait);
    check(d.cuEventSynchronize(event), "waiting for an event");
  }
  raise_reports(device);
}
void wait_event(int device, StreamHandle* stream, EventHandle* event) {
  check(activate(device).cuStreamWaitEvent(stream, event, 0), "making a stream wait for an event");
}
float elapsed_milliseconds(int device, EventHandle* first, EventHandle* second) {
  float out = 0;
  check(activate(device).cuEventElapsedTime(&out, first, second), "measuring the time between events");
  return out;
}

}  // namespace flambeau::cuda
