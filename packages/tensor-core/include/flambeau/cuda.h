// GPUs: which there are, their streams, their memory, and which calls they serve. Nothing here needs CUDA to build;
// where there is no driver, device_count() is 0 and obstacle() says why.
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
FLAMBEAU_API const std::string& obstacle();  // why there is no GPU, in a sentence; empty where there is one
FLAMBEAU_API int current_device();           // of this thread
FLAMBEAU_API void set_device(int device);
FLAMBEAU_API const Properties& properties(int device);
FLAMBEAU_API int device_of(int64_t address);  // whose memory that is; ValueError for memory of no GPU

// Work that is done in its order, beside that of other streams.
FLAMBEAU_API StreamHandle* current_stream(int device);  // of this thread; null: the default stream
FLAMBEAU_API void set_stream(int device, StreamHandle* stream);
FLAMBEAU_API StreamHandle* create_stream(int device, int priority);
FLAMBEAU_API void destroy_stream(int device, StreamHandle* stream);
FLAMBEAU_API bool query_stream(int device, StreamHandle* stream);  // whether all of its work is done
// Waits for the work so far, then raises what kernels have reported meanwhile (report.h).
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

// Work that is launched as a whole, time and again. What is done on the stream between begin_capture and end_capture is
// noted instead of done; the memory it takes meanwhile belongs to the graph.
struct Graph;
FLAMBEAU_API Graph* begin_capture(int device, StreamHandle* stream);
// The work may draw from a generator other than the default one, which must be there at each launch.
FLAMBEAU_API void register_generator(Graph* graph, Generator* generator);
FLAMBEAU_API void end_capture(Graph* graph);
FLAMBEAU_API void launch_graph(Graph* graph);  // on the thread's current stream of its GPU
FLAMBEAU_API void destroy_graph(Graph* graph);
FLAMBEAU_API bool is_capturing(int device, StreamHandle* stream);

// Memory of the host that GPUs reach, so that copies run beside other work.
FLAMBEAU_API Ref<Storage> pinned_storage(size_t bytes);
FLAMBEAU_API bool is_pinned(const Storage& storage);
class FLAMBEAU_API NonBlocking {  // for a scope: copies from and to pinned memory do not wait
 public:
  explicit NonBlocking(bool wanted);
  ~NonBlocking();
  NonBlocking(const NonBlocking&) = delete;

 private:
  bool former_;
};

struct MemoryStatistics {
  size_t allocated, reserved, peak_allocated, peak_reserved;  // bytes
  size_t largest_free;                                        // of what is reserved
  int64_t allocations, frees, segments, retries, out_of_memory;
};
FLAMBEAU_API MemoryStatistics memory_statistics(int device);
FLAMBEAU_API void reset_peak_memory(int device);
FLAMBEAU_API void release_cached_memory();  // gives what is reserved and not in use back to the driver
FLAMBEAU_API std::pair<size_t, size_t> free_and_total_memory(int device);
// How much of a GPU's memory the process may take: what it holds beyond that already stays.
FLAMBEAU_API double memory_fraction(int device);
FLAMBEAU_API void set_memory_fraction(int device, double fraction);
// The storage is also used by another stream, perhaps of another GPU: its memory is not reused before that stream has
// come to where the storage ends.
FLAMBEAU_API void record_stream(const Storage& storage, int device, StreamHandle* stream);

// The running call, for its duration. Note [Two memories]
class FLAMBEAU_API Call {
 public:
  Call();
  ~Call();
  Call(const Call&) = delete;

 private:
  bool formerly_on_host_;
};
// Whether the running call has gone over to the host, since it reached for elements there.
FLAMBEAU_API bool on_host();
// Whether what is done to a tensor is to be done by a kernel of its GPU.
inline bool takes(const Tensor& t) { return FLAMBEAU_UNLIKELY(t.is_cuda()) && !on_host(); }
// How often calls have gone over to the host, by the operator's name.
FLAMBEAU_API std::vector<std::pair<std::string, int64_t>> host_calls();
FLAMBEAU_API void forget_host_calls();

}  // namespace flambeau::cuda
