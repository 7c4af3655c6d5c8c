// Streams and events. An operation runs when it is submitted. With FLAMBEAU_EMULATED_DEFERRED=1 it runs as late as
// possible, when something waits for it; this shows where a wait is missing. Operations that wait for other ranks stay
// queued, together with all operations behind them, until the other ranks arrive.
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "state.h"

namespace emulated {

bool deferred() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_DEFERRED");
  return text && std::string_view(text) == "1";
}

std::shared_ptr<Stream> find_stream(const Call& call, Stream* handle) {
  const bool legacy = handle == nullptr || handle == reinterpret_cast<Stream*>(1);
  return legacy ? call.context->legacy : state().streams.find(handle);
}

bool advance(Stream& stream, unsigned long long until) {
  if (stream.done >= until) return true;
  if (stream.advancing) return false;  // a cycle: this stream waits for work that waits for this stream
  stream.advancing = true;
  while (stream.done < until && !stream.queue.empty()) {
    Queued& next = stream.queue.front();
    if (!stream.context->sticky && next.ready && !next.ready()) break;
    const Operation work = std::move(next.work);
    stream.queue.pop_front();
    if (!stream.context->sticky) work();
    ++stream.done;
  }
  stream.advancing = false;
  return stream.done >= until || stream.queue.empty();
}

void run(Stream& stream, unsigned long long until) {
  for (Patience patience; !advance(stream, until); patience.pause())
    if (patience.exhausted()) device_failure(*stream.context, kLaunchTimeout, "work waits for what never comes");
}

void run_all(Context& context) {
  run(*context.legacy, context.legacy->submitted);
  const auto streams = state().streams;  // a copy, because other threads may change the list while this one waits
  for (const auto& [handle, stream] : streams)
    if (stream->context == &context) run(*stream, stream->submitted);
}

namespace {

void push(Stream& stream, Queued queued) {
  stream.queue.push_back(std::move(queued));
  ++stream.submitted;
}

double milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
}

}  // namespace

Patience::Patience() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_TIMEOUT");
  deadline_ = milliseconds() + 1e3 * (text && *text ? std::strtod(text, nullptr) : 60);
}
bool Patience::exhausted() const { return milliseconds() > deadline_; }
void Patience::pause() {
  state().mutex.unlock();
  usleep(100);
  state().mutex.lock();
}

void wait_for(Stream& stream, const std::shared_ptr<Stream>& other, unsigned long long position) {
  if (other->done < position) push(stream, {[] {}, [other, position] { return advance(*other, position); }});
}

int submit(const std::shared_ptr<Stream>& stream, Operation operation, std::function<bool()> ready) {
  if (stream->capture) {
    if (!stream->capture->valid) return kCaptureInvalidated;
    stream->capture->graph->operations.push_back(std::move(operation));
    stream->joined[stream.get()] = ++stream->capture->work[stream.get()];
    return kSuccess;
  }
  Context& context = *stream->context;
  if (stream == context.legacy) {
    for (const auto& [handle, other] : state().streams) {
      if (other->context != &context || !other->blocking) continue;
      if (other->capture) {
        other->capture->valid = false;
        return kCaptureImplicit;
      }
      wait_for(*stream, other, other->submitted);
    }
  } else if (stream->blocking) {
    wait_for(*stream, context.legacy, context.legacy->submitted);
  }
  push(*stream, {std::move(operation), std::move(ready)});
  if (!deferred()) advance(*stream, stream->submitted);
  return kSuccess;
}

void forget_streams() {
  State& s = state();
  s.executables.clear();
  s.graphs.clear();
  s.events.clear();
  s.streams.clear();
  s.captures.clear();
}

}  // namespace emulated

using namespace emulated;

#define FIND_STREAM                              \
  const auto stream = find_stream(call, handle); \
  if (!stream) return kInvalidHandle

EMULATED_API int cuStreamCreateWithPriority(Stream** handle, unsigned flags, int) {
  EMULATED_CALL();
  if (flags > 1) return kInvalidValue;
  auto stream = std::make_shared<Stream>();
  stream->context = call.context;
  stream->blocking = flags == 0;
  *handle = state().streams.add(stream);
  return kSuccess;
}

EMULATED_API int cuCtxGetStreamPriorityRange(int* least, int* greatest) {
  EMULATED_CALL();
  *least = 0, *greatest = -5;
  return kSuccess;
}

EMULATED_API int cuStreamCreate(Stream** handle, unsigned flags) {
  return cuStreamCreateWithPriority(handle, flags, 0);
}

EMULATED_API int cuStreamDestroy_v2(Stream* handle) {
  EMULATED_CALL();
  const auto stream = state().streams.find(handle);
  if (!stream) return kInvalidHandle;
  if (stream->capture) {
    stream->capture->valid = false;
    if (stream->capture->origin == handle) std::erase(state().captures, stream->capture.get());
  }
  run(*stream, stream->submitted);
  state().streams.remove(handle);
  return kSuccess;
}

EMULATED_API int cuStreamSynchronize(Stream* handle) {
  EMULATED_CALL();
  FIND_STREAM;
  if (stream->capture) stream->capture->valid = false;
  if (stream->capture) return kCaptureUnsupported;
  if (const int error = unsafe_while_capturing()) return error;
  if (stream == call.context->legacy) {
    const auto streams = state().streams;  // a copy, because other threads may change the list while this one waits
    for (const auto& [other, blocking] : streams)
      if (blocking->context == call.context && blocking->blocking) run(*blocking, blocking->submitted);
  }
  run(*stream, stream->submitted);
  return stream->context->sticky;
}

// Each query runs one operation of the stream, so that a program that only polls makes progress.
EMULATED_API int cuStreamQuery(Stream* handle) {
  EMULATED_CALL();
  FIND_STREAM;
  if (stream->capture) stream->capture->valid = false;
  if (stream->capture) return kCaptureUnsupported;
  if (stream->done == stream->submitted) return kSuccess;
  advance(*stream, stream->done + 1);
  return stream->context->sticky ? stream->context->sticky : kNotReady;
}

EMULATED_API int cuStreamWaitEvent(Stream* handle, Event* event_handle, unsigned) {
  EMULATED_CALL();
  FIND_STREAM;
  const auto event = state().events.find(event_handle);
  if (!event) return kInvalidHandle;
  if (event->capture && event->capture->valid) {
    if (stream->capture && stream->capture != event->capture) return kCaptureMerge;
    if (!stream->capture) stream->capture = event->capture;
    for (const auto& [other, work] : event->joined) stream->joined[other] = std::max(stream->joined[other], work);
    return kSuccess;
  }
  if (stream->capture) {
    if (!event->stream) return kSuccess;
    stream->capture->valid = false;
    return kCaptureIsolation;
  }
  if (!event->stream || event->done()) return kSuccess;
  return submit(
      stream, [] {}, [other = event->stream, position = event->position] { return advance(*other, position); });
}

EMULATED_API int cuLaunchHostFunc(Stream* handle, void (*function)(void*), void* data) {
  EMULATED_CALL();
  FIND_STREAM;
  return submit(stream, [function, data] {
    in_host_function = true;
    function(data);
    in_host_function = false;
  });
}

EMULATED_API int cuEventCreate(Event** handle, unsigned flags) {
  EMULATED_CALL();
  if (flags > 7) return kInvalidValue;
  auto event = std::make_shared<Event>();
  event->context = call.context;
  event->timing = !(flags & 2);
  *handle = state().events.add(event);
  return kSuccess;
}

EMULATED_API int cuEventDestroy_v2(Event* handle) {
  EMULATED_CALL();
  return state().events.remove(handle) ? kSuccess : kInvalidHandle;
}

EMULATED_API int cuEventRecord(Event* event_handle, Stream* handle) {
  EMULATED_CALL();
  FIND_STREAM;
  const auto event = state().events.find(event_handle);
  if (!event || event->context != stream->context) return kInvalidHandle;
  event->capture = stream->capture;
  event->joined = stream->joined;
  if (stream->capture) return stream->capture->valid ? kSuccess : kCaptureInvalidated;
  const int error = submit(stream, [event] { event->time = milliseconds(); });
  event->stream = stream;
  event->position = stream->submitted;
  return error;
}

#define FIND_EVENT                                \
  const auto event = state().events.find(handle); \
  if (!event) return kInvalidHandle;              \
  if (event->capture) return kCapturedEvent

EMULATED_API int cuEventQuery(Event* handle) {
  EMULATED_CALL();
  FIND_EVENT;
  if (const int error = unsafe_while_capturing()) return error;
  if (event->done()) return kSuccess;
  advance(*event->stream, event->stream->done + 1);
  return event->context->sticky ? event->context->sticky : kNotReady;
}

EMULATED_API int cuEventSynchronize(Event* handle) {
  EMULATED_CALL();
  FIND_EVENT;
  if (const int error = unsafe_while_capturing()) return error;
  if (const auto stream = event->stream) run(*stream, event->position);
  return event->context->sticky;
}

EMULATED_API int cuEventElapsedTime(float* elapsed, Event* start_handle, Event* end_handle) {
  EMULATED_CALL();
  const auto start = state().events.find(start_handle), end = state().events.find(end_handle);
  if (!start || !end || !start->timing || !end->timing || !start->stream || !end->stream) return kInvalidHandle;
  if (start->capture || end->capture) return kCapturedEvent;
  if (!start->done() || !end->done()) return kNotReady;
  *elapsed = float(end->time - start->time);
  return kSuccess;
}

EMULATED_API int cuEventElapsedTime_v2(float* elapsed, Event* start, Event* end) {
  return cuEventElapsedTime(elapsed, start, end);
}
