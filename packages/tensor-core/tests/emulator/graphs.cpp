// Stream capture. Operations submitted during a capture are stored in the order of the calls, and cuGraphLaunch runs
// them.
#include <pthread.h>

#include <algorithm>

#include "state.h"

namespace emulated {

int unsafe_while_capturing() {
  if (capture_mode == 2) return kSuccess;
  for (Capture* capture : state().captures) {
    const bool own = pthread_equal(capture->thread, pthread_self());
    if (capture->mode == 2 || (!own && (capture->mode == 1 || capture_mode == 1))) continue;
    capture->valid = false;
    return kCaptureUnsupported;
  }
  return kSuccess;
}

}  // namespace emulated

using namespace emulated;

EMULATED_API int cuThreadExchangeStreamCaptureMode(int* mode) {
  EMULATED_CALL(Call::kNothing);
  if (*mode < 0 || *mode > 2) return kInvalidValue;
  std::swap(*mode, capture_mode);
  return kSuccess;
}

EMULATED_API int cuStreamBeginCapture_v2(Stream* handle, int mode) {
  EMULATED_CALL();
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  if (stream == call.context->legacy) return kCaptureUnsupported;
  if (mode < 0 || mode > 2 || stream->capture) return kInvalidValue;
  stream->capture = std::make_shared<Capture>();
  static unsigned long long captures = 0;
  stream->capture->number = ++captures;
  stream->capture->origin = stream.get();
  stream->capture->mode = mode;
  stream->capture->thread = pthread_self();
  stream->joined.clear();
  state().captures.push_back(stream->capture.get());
  return kSuccess;
}

EMULATED_API int cuStreamEndCapture(Stream* handle, Graph** graph) {
  EMULATED_CALL();
  *graph = nullptr;
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  const auto capture = stream->capture;
  if (!capture) return kInvalidValue;
  if (capture->origin != stream.get()) return kCaptureUnmatched;
  bool joined = true;
  for (const auto& [other, work] : capture->work) joined &= stream->joined[other] >= work;
  std::erase(state().captures, capture.get());
  for (const auto& [other_handle, other] : state().streams) {
    if (other->capture != capture) continue;
    other->capture = nullptr;
    other->joined.clear();
  }
  if (!capture->valid) return kCaptureInvalidated;
  capture->valid = false;  // invalidates the events that were recorded in the capture
  if (!joined) return kCaptureUnjoined;
  *graph = state().graphs.add(capture->graph);
  return kSuccess;
}

EMULATED_API int cuStreamGetCaptureInfo_v2(Stream* handle, int* status, unsigned long long* number, void*, void*,
                                           size_t*) {
  EMULATED_CALL();
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  *status = !stream->capture ? 0 : stream->capture->valid ? 1 : 2;
  if (number && *status == 1) *number = stream->capture->number;
  return kSuccess;
}

EMULATED_API int cuGraphInstantiateWithFlags(GraphExecutable** executable, Graph* handle, unsigned long long) {
  EMULATED_CALL();
  const auto graph = state().graphs.find(handle);
  if (!graph) return kInvalidValue;
  *executable = state().executables.add(std::make_shared<GraphExecutable>(GraphExecutable{graph->operations}));
  return kSuccess;
}

EMULATED_API int cuGraphLaunch(GraphExecutable* handle, Stream* stream_handle) {
  EMULATED_CALL();
  const auto executable = state().executables.find(handle);
  const auto stream = find_stream(call, stream_handle);
  if (!executable || !stream) return kInvalidHandle;
  if (executable->stream && !stream->capture) wait_for(*stream, executable->stream, executable->position);
  const int error = submit(stream, [executable, context = stream->context] {
    for (const Operation& operation : executable->operations)
      if (!context->sticky) operation();
  });
  if (!stream->capture) executable->stream = stream, executable->position = stream->submitted;
  return error;
}

EMULATED_API int cuGraphDestroy(Graph* graph) {
  EMULATED_CALL();
  return state().graphs.remove(graph) ? kSuccess : kInvalidValue;
}

EMULATED_API int cuGraphExecDestroy(GraphExecutable* executable) {
  EMULATED_CALL();
  return state().executables.remove(executable) ? kSuccess : kInvalidValue;
}
