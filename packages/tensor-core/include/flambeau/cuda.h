// GPUs: devices, streams, events, graphs and memory. CUDA is not needed to build this. Without a driver, device_count()
// returns 0 and obstacle() returns the reason.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/tensor.h"

namespace flambeau {
class Generator;
}

namespace flambeau::cuda {

struct Properties {
  std::string name;
  size_t total_memory = 0;
  int major = 0, minor = 0, multiprocessors = 0, threads_per_multiprocessor = 0, shared_memory_per_block = 0,
      l2_cache = 0, warp_size = 32, registers_per_multiprocessor = 0, integrated = 0;
  std::array<unsigned char, 16> uuid{};
};

FLAMBEAU_API bool is_available();
FLAMBEAU_API int device_count();
FLAMBEAU_API const std::string& obstacle();  // why no GPU can be used, as a sentence; empty if a GPU can be used
FLAMBEAU_API int current_device();           // the current device of this thread
FLAMBEAU_API void set_device(int device);
FLAMBEAU_API const Properties& properties(int device);
FLAMBEAU_API int device_of(int64_t address);  // the GPU of an address; ValueError if it is not GPU memory

// Streams. The work of a stream runs in order and concurrently with the work of other streams.
FLAMBEAU_API StreamHandle* current_stream(int device);  // the current stream of this thread; null: the default stream
FLAMBEAU_API void set_stream(int device, StreamHandle* stream);
FLAMBEAU_API StreamHandle* create_stream(int device, int priority);
FLAMBEAU_API void destroy_stream(int device, StreamHandle* stream);
FLAMBEAU_API bool query_stream(int device, StreamHandle* stream);  // true if all of its work is complete
// Waits for the queued work, then raises the errors that kernels have reported (report.h).
FLAMBEAU_API void synchronize(int device);
FLAMBEAU_API void synchronize(int device, StreamHandle* stream);

// A point in the work of a stream.
struct EventHandle;
FLAMBEAU_API EventHandle* create_event(int device, bool timing);
FLAMBEAU_API void destroy_event(int device, EventHandle* event);
FLAMBEAU_API void record_event(int device, EventHandle* event, StreamHandle* stream);
FLAMBEAU_API bool query_event(int device, EventHandle* event);
FLAMBEAU_API void synchronize_event(int device, EventHandle* event);
FLAMBEAU_API void wait_event(int device, StreamHandle* stream, EventHandle* event);
FLAMBEAU_API float elapsed_milliseconds(int device, EventHandle* first, EventHandle* second);

// Work that is captured once and launched repeatedly. Between begin_capture and end_capture, the work of the stream is
// captured instead of executed. Memory that is allocated in between belongs to the graph.
struct Graph;
FLAMBEAU_API Graph* begin_capture(int device, StreamHandle* stream);
// Lets the captured work use a generator other than the default generator. The generator must exist at each launch.
FLAMBEAU_API void register_generator(Graph* graph, Generator* generator);
FLAMBEAU_API void end_capture(Graph* graph);
FLAMBEAU_API void launch_graph(Graph* graph);  // on the current stream of the thread
FLAMBEAU_API void destroy_graph(Graph* graph);
FLAMBEAU_API bool is_capturing(int device, StreamHandle* stream);

// Page-locked host memory, which GPUs can access directly, so that copies run asynchronously.
FLAMBEAU_API Ref<Storage> pinned_storage(size_t bytes);
FLAMBEAU_API bool is_pinned(const Storage& storage);
class FLAMBEAU_API NonBlocking {  // for a scope: copies from and to pinned memory are asynchronous
 public:
  explicit NonBlocking(bool wanted);
  ~NonBlocking();
  NonBlocking(const NonBlocking&) = delete;

 private:
  bool former_;
};

struct MemoryStatistics {
  size_t allocated, reserved, peak_allocated, peak_reserved;  // bytes
  size_t largest_free;                                        // the largest free block of the reserved memory
  int64_t allocations, frees, segments, retries, out_of_memory;
};
FLAMBEAU_API MemoryStatistics memory_statistics(int device);
FLAMBEAU_API void reset_peak_memory(int device);
FLAMBEAU_API void release_cached_memory();  // returns unused reserved memory to the driver
FLAMBEAU_API std::pair<size_t, size_t> free_and_total_memory(int device);
// The largest fraction of a GPU's memory that the process may allocate. Memory that is already allocated stays
// allocated.
FLAMBEAU_API double memory_fraction(int device);
FLAMBEAU_API void set_memory_fraction(int device, double fraction);
// Declares that another stream, possibly of another GPU, uses the storage. When the storage is freed, its memory is not
// reused before the stream has completed the work that is queued at that time.
FLAMBEAU_API void record_stream(const Storage& storage, int device, StreamHandle* stream);

// The scope of an operator call. Note [Two memories]
class FLAMBEAU_API Call {
 public:
  Call();
  ~Call();
  Call(const Call&) = delete;

 private:
  bool formerly_on_host_;
};
// Returns true if the current call runs on the host because it accessed elements there.
FLAMBEAU_API bool on_host();
// Returns true if the current operator must run as a kernel on the GPU of the tensor: the tensor is on a GPU, and the
// call has not moved to the host.
inline bool runs_on_gpu(const Tensor& t) { return FLAMBEAU_UNLIKELY(t.is_cuda()) && !on_host(); }
// The number of calls that ran on the host, per operator.
FLAMBEAU_API std::vector<std::pair<std::string, int64_t>> host_calls();
FLAMBEAU_API void forget_host_calls();

}  // namespace flambeau::cuda
