// The caching allocator of GPU memory.
//
// Note [Stream order]
// The allocator requests memory from the driver in segments, which are divided into blocks. A block belongs to the
// stream that it was allocated for. When the block is freed, it serves the next request of that stream immediately,
// even if the stream's earlier work is pending, because the work of the next owner runs later. If another stream has
// also used the block (record_stream), it is reused only after that stream has completed the work that was queued when
// the block was freed.
#pragma once

#include <optional>
#include <vector>

#include "cuda/runtime/driver.h"
#include "flambeau/cuda.h"

namespace flambeau::cuda {

struct StreamOf {
  int device;
  StreamHandle* stream;
  bool operator==(const StreamOf&) const = default;
};

struct Block {
  DevicePointer address;
  size_t size;
  StreamHandle* stream;
  int device;
  bool small;  // true if the segment contains small blocks
  bool used = false;
  Block *before = nullptr, *after = nullptr;  // adjacent blocks in the segment
  std::vector<StreamOf> other_streams = {};   // other streams that also use the block
  int64_t pool = 0;                           // index of the graph whose memory contains the block, or 0
};

// Allocates a block for the current stream. If there is not enough memory, raises OutOfMemoryError, whose message
// describes the free memory.
Block* allocate_block(int device, size_t bytes);
void free_block(Block* block) noexcept;
void use_block(Block* block, StreamOf other);  // records that another stream also uses the block

// Returns memory of the current device for use during one call, or nothing if there is not enough memory.
std::optional<Tensor> workspace(size_t bytes);

// Private memory of graphs. Memory that the streams of a capture allocate between begin_pool() and end_pool() is not
// used for anything else until release_pool(). `capture` is the driver's number of the capture, which all of its
// streams share.
int64_t begin_pool(int device, unsigned long long capture);
void end_pool(int device, unsigned long long capture);
void release_pool(int device, int64_t pool);

// Sizes of blocks are multiples of kBlockUnit bytes.
inline constexpr size_t kBlockUnit = 512;
inline constexpr size_t kLittleBlock = size_t(32) << 10, kSmallBlock = size_t(1) << 20, kSmallSegment = size_t(2) << 20,
                        kLargeSegment = size_t(20) << 20, kLargeBlock = size_t(10) << 20;
constexpr size_t rounded_request(size_t bytes) {
  return bytes < kBlockUnit ? kBlockUnit : (bytes + kBlockUnit - 1) / kBlockUnit * kBlockUnit;
}
// Returns the size in bytes of the segment to allocate for a request, which must be a result of rounded_request().
constexpr size_t segment_size(size_t request) {
  if (request <= kSmallBlock) return kSmallSegment;
  if (request < kLargeBlock) return kLargeSegment;
  return (request + kSmallSegment - 1) / kSmallSegment * kSmallSegment;
}

}  // namespace flambeau::cuda
