// Note [Stream order]
#include "cuda/runtime/allocator.h"

#include <algorithm>
#include <array>
#include <iomanip>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "cuda/runtime/devices.h"
#include "flambeau/errors.h"
#include "flambeau/interpreter.h"

namespace flambeau::cuda {

namespace {

struct BySize {
  using is_transparent = void;
  bool operator()(const Block* a, const Block* b) const {
    return a->size != b->size ? a->size < b->size : a->address < b->address;
  }
  bool operator()(const Block* a, size_t size) const { return a->size < size; }
};

struct Pool {  // free blocks of one stream
  std::set<Block*, BySize> small, large;
  std::set<Block*, BySize>& of(bool is_small) { return is_small ? small : large; }
  // Freed blocks of at most kLittleBlock bytes, by size, which serve most requests of small operators. These blocks
  // still count as used. They are merged with adjacent blocks only if no other block serves a request.
  std::array<std::vector<Block*>, kLittleBlock / kBlockUnit + 1> little;
  std::vector<Block*>& of_size(size_t size) { return little[size / kBlockUnit]; }
};

struct Pending {  // a block that was freed, but is still used by other streams
  Block* block;
  std::vector<EventHandle*> events = {};  // one event for each stream that was removed from other_streams
};

struct Megabytes {
  size_t bytes;
  friend std::ostream& operator<<(std::ostream& out, Megabytes m) {
    return out << std::fixed << std::setprecision(1) << double(m.bytes) / (1 << 20) << " MiB";
  }
};

class Allocator {
 public:
  explicit Allocator(int device) : device_(device) {}

  Block* allocate(size_t bytes) {
    std::unique_lock lock(mutex_);
    require(bytes <= size_t(1) << 60, "CUDA out of memory. Tried to allocate ", bytes, " bytes");
    if (!pending_.empty()) collect_pending(activate(device_));
    const size_t size = rounded_request(bytes);
    StreamHandle* stream = current_stream(device_);
    const Owner owner{stream, captures_.empty() ? 0 : graph_of(stream)};
    Pool& pool = pool_of(owner);
    Block* block = take_little(pool, size);
    if (!block) {
      const bool small = size <= kSmallBlock;
      block = take_free(pool.of(small), size);
      if (!block && join_little(pool)) block = take_free(pool.of(small), size);
      if (!block) block = take_segment(size, small, owner, lock);
      if (!block) raise_out_of_memory(bytes);
      cut(block, size);
      block->used = true;
    }
    count(allocated_, peak_allocated_, block->size);
    ++statistics_.allocations;
    return block;
  }

  void free(Block* block) {
    const std::lock_guard lock(mutex_);
    allocated_ -= block->size;
    ++statistics_.frees;
    if (block->other_streams.empty()) {
      if (block->size > kLittleBlock) return insert_free_block(block);
      return pool_of(owner_of(block)).of_size(block->size).push_back(block);
    }
    pending_.push_back({block});
    record(pending_.back());
  }

  void release() {
    std::unique_lock lock(mutex_);
    wait(lock);
    release_segments(activate(device_));
  }

  MemoryStatistics statistics() {
    const std::lock_guard lock(mutex_);
    join_little();
    MemoryStatistics out = statistics_;
    out.allocated = allocated_, out.reserved = reserved_;
    out.peak_allocated = peak_allocated_, out.peak_reserved = peak_reserved_;
    for (auto& [owner, pool] : pools_)
      for (const auto* blocks : {&pool.small, &pool.large})
        if (!blocks->empty()) out.largest_free = std::max(out.largest_free, (*blocks->rbegin())->size);
    return out;
  }
  void reset_peak() {
    const std::lock_guard lock(mutex_);
    peak_allocated_ = allocated_, peak_reserved_ = reserved_;
  }
  double fraction() {
    const std::lock_guard lock(mutex_);
    return fraction_;
  }
  void set_fraction(double fraction) {
    size_t free = 0, total = 0;
    check(activate(device_).cuMemGetInfo_v2(&free, &total), "querying the free memory of a GPU");
    const std::lock_guard lock(mutex_);
    fraction_ = fraction;
    limit_ = fraction < 1 ? size_t(fraction * double(total)) : kNoLimit;
  }
  int64_t begin_pool(unsigned long long capture) {
    const std::lock_guard lock(mutex_);
    graphs_.insert(++last_graph_);
    return captures_[capture] = last_graph_;
  }
  void end_pool(unsigned long long capture) {
    const std::lock_guard lock(mutex_);
    captures_.erase(capture);
  }
  void release_pool(int64_t number) {
    const std::lock_guard lock(mutex_);
    join_little();
    graphs_.erase(number);
    last_pool_ = nullptr;
    for (auto at = pools_.begin(); at != pools_.end();) {
      if (at->first.second != number) {
        ++at;
        continue;
      }
      Pool& common = pool_of({at->first.first, 0});
      common.small.merge(at->second.small);
      common.large.merge(at->second.large);
      at = pools_.erase(at);
    }
  }
  void use(Block* block, StreamOf other) {
    const std::lock_guard lock(mutex_);
    auto& streams = block->other_streams;
    const StreamOf own{device_, block->stream};
    if (other != own && std::find(streams.begin(), streams.end(), other) == streams.end()) streams.push_back(other);
  }

 private:
  using Owner = std::pair<StreamHandle*, int64_t>;  // a stream, and the index of a graph or 0

  static void count(size_t& total, size_t& peak, size_t bytes) {
    total += bytes;
    peak = std::max(peak, total);
  }

  // Returns the index of the graph that captures the stream's work, even if the stream has only joined the capture of
  // another stream. Returns 0 if the stream is not captured.
  int64_t graph_of(StreamHandle* stream) const {
    if (!stream) return 0;
    const CaptureStatus now = capture_status(device_, stream);
    const auto found = now.status ? captures_.find(now.number) : captures_.end();
    return found == captures_.end() ? 0 : found->second;
  }
  Pool& pool_of(Owner owner) {  // the pool is usually the same as in the previous call
    if (!last_pool_ || last_owner_ != owner) last_owner_ = owner, last_pool_ = &pools_[owner];
    return *last_pool_;
  }
  Owner owner_of(const Block* block) const {
    return {block->stream, block->pool && graphs_.contains(block->pool) ? block->pool : 0};
  }
  std::set<Block*, BySize>& free_blocks(const Block* block) { return pool_of(owner_of(block)).of(block->small); }

  static Block* take_little(Pool& pool, size_t size) {
    if (size > kLittleBlock || pool.of_size(size).empty()) return nullptr;
    Block* block = pool.of_size(size).back();
    pool.of_size(size).pop_back();
    return block;
  }
  bool join_little(Pool& pool) {
    bool any = false;
    for (std::vector<Block*>& blocks : pool.little) {
      for (Block* block : blocks) insert_free_block(block);
      any |= !blocks.empty();
      blocks.clear();
    }
    return any;
  }
  void join_little() {
    for (auto& [owner, pool] : pools_) join_little(pool);
  }

  static Block* take_free(std::set<Block*, BySize>& blocks, size_t size) {
    const auto found = blocks.lower_bound(size);
    if (found == blocks.end()) return nullptr;
    Block* block = *found;
    blocks.erase(found);
    return block;
  }

  int allocate_segment(const Driver& d, size_t bytes, DevicePointer& address) const {
    return bytes > limit_ || reserved_ > limit_ - bytes ? code::kOutOfMemory : d.cuMemAlloc_v2(&address, bytes);
  }

  Block* take_segment(size_t size, bool small, Owner owner, std::unique_lock<std::mutex>& lock) {
    const Driver& d = activate(device_);
    const size_t bytes = segment_size(size);
    DevicePointer address = 0;
    int code = allocate_segment(d, bytes, address);
    if (code == code::kOutOfMemory) {  // try again after releasing cached blocks
      ++statistics_.retries;
      wait(lock);
      release_segments(d);
      code = allocate_segment(d, bytes, address);
    }
    if (code == code::kOutOfMemory) return nullptr;
    check(code, "allocating memory");
    count(reserved_, peak_reserved_, bytes);
    ++statistics_.segments;
    Block* block = new Block{address, bytes, owner.first, device_, small};
    block->pool = owner.second;
    return block;
  }

  // Reduces a block to `size` bytes. The rest becomes a free block if it is large enough for other requests.
  void cut(Block* block, size_t size) {
    const size_t rest = block->size - size;
    if (rest < (block->small ? kBlockUnit : kSmallBlock)) return;
    Block* tail = new Block{block->address + size, rest, block->stream, device_, block->small};
    tail->pool = block->pool;
    tail->before = block, tail->after = block->after;
    if (tail->after) tail->after->before = tail;
    block->after = tail;
    block->size = size;
    free_blocks(block).insert(tail);
  }

  void insert_free_block(Block* block) {
    auto& blocks = free_blocks(block);
    block->used = false;
    if (Block* b = block->before; b && !b->used) {
      blocks.erase(b);
      block = absorb(b);
    }
    if (Block* a = block->after; a && !a->used) {
      blocks.erase(a);
      absorb(block);
    }
    blocks.insert(block);
  }
  // Merges a block with the following one, and returns it.
  static Block* absorb(Block* block) {
    Block* gone = block->after;
    block->size += gone->size;
    block->after = gone->after;
    if (block->after) block->after->before = block;
    delete gone;
    return block;
  }

  // Records an event in each of the other streams that have used the block, after their current work. Does nothing
  // while one of these streams is captured, because the event would become part of the graph and would never complete.
  void record(Pending& pending) {
    auto& streams = pending.block->other_streams;
    for (const auto& [device, stream] : streams)
      if (stream && is_capturing(device, stream)) return;
    for (; !streams.empty(); streams.pop_back()) {
      const auto [device, stream] = streams.back();
      pending.events.push_back(create_event(device, false));
      record_event(device, pending.events.back(), stream);
    }
  }
  bool has_completed(Pending& pending) {
    record(pending);
    return pending.block->other_streams.empty() &&
           std::all_of(pending.events.begin(), pending.events.end(),
                       [&](EventHandle* event) { return query_event(device_, event); });
  }

  // If this raises an error, the current block and the remaining ones stay pending.
  void collect_pending(const Driver& d) {
    for (size_t i = 0; i < pending_.size();) {
      if (!has_completed(pending_[i])) {
        ++i;
        continue;
      }
      std::swap(pending_[i], pending_.back());
      const Pending come = std::move(pending_.back());
      pending_.pop_back();
      for (EventHandle* event : come.events) d.cuEventDestroy_v2(event);
      insert_free_block(come.block);
    }
  }

  // Waits for all work on free or pending blocks, because the driver may free memory without waiting. During a capture,
  // it is only possible to wait for the events of pending blocks. Releases the lock while it waits, so that other
  // threads can allocate memory.
  void wait(std::unique_lock<std::mutex>& lock) {
    for (Pending& each : pending_) record(each);  // record() also handles streams of other GPUs
    const Driver& d = activate(device_);
    const bool capturing = !captures_.empty();
    const int64_t frees = statistics_.frees;
    std::vector<Pending> waited_for = std::exchange(pending_, {});
    lock.unlock();
    int code = wait(d, waited_for, !capturing);
    lock.lock();
    std::move(waited_for.begin(), waited_for.end(), std::back_inserter(pending_));
    if (!code && statistics_.frees != frees && captures_.empty()) code = d.cuCtxSynchronize();
    check(code, "waiting for a GPU");
    collect_pending(d);
    activate(device_);
  }
  static int wait(const Driver& d, const std::vector<Pending>& pending, bool for_everything) {
    const GilRelease release(GilRelease::Wait);
    int code = for_everything ? d.cuCtxSynchronize() : 0;
    for (const Pending& each : pending)
      for (EventHandle* event : each.events)
        if (!code) code = d.cuEventSynchronize(event);
    return code;
  }

  void release_segments(const Driver& d) {
    join_little();
    for (auto& [owner, pool] : pools_) {
      if (owner.second) continue;  // each replay of the graph writes to its memory, even to free blocks
      for (auto* blocks : {&pool.small, &pool.large})
        std::erase_if(*blocks, [&](Block* block) {
          if (block->before || block->after) return false;
          check(d.cuMemFree_v2(block->address), "freeing memory");
          reserved_ -= block->size;
          --statistics_.segments;
          delete block;
          return true;
        });
    }
  }

  [[noreturn]] void raise_out_of_memory(size_t bytes) {
    ++statistics_.out_of_memory;
    size_t free = 0, total = 0, largest = 0;
    activate(device_).cuMemGetInfo_v2(&free, &total);
    for (auto& [owner, pool] : pools_)
      for (const auto* blocks : {&pool.small, &pool.large})
        if (!blocks->empty()) largest = std::max(largest, (*blocks->rbegin())->size);
    std::ostringstream allowed;
    if (limit_ != kNoLimit)
      allowed << " This process may take " << Megabytes{limit_} << " (cuda.set_per_process_memory_fraction).";
    detail::raise<OutOfMemoryError>("CUDA out of memory. Tried to allocate ", Megabytes{bytes}, ". GPU ", device_,
                                    " has a total capacity of ", Megabytes{total}, " of which ", Megabytes{free},
                                    " is free.", allowed.str(), " Tensors hold ", Megabytes{allocated_}, "; another ",
                                    Megabytes{reserved_ - allocated_}, " is reserved but unused, in blocks of at most ",
                                    Megabytes{largest},
                                    ". To use less memory, reduce the batch size, wrap code that needs no gradients in "
                                    "flambeau.no_grad(), and delete tensors that are no longer used.");
  }

  const int device_;
  std::mutex mutex_;
  std::map<Owner, Pool> pools_;
  Owner last_owner_;
  Pool* last_pool_ = nullptr;
  std::map<unsigned long long, int64_t> captures_;  // captures in progress; the keys are the driver's capture numbers
  std::set<int64_t> graphs_;                        // graphs with private memory
  int64_t last_graph_ = 0;
  std::vector<Pending> pending_;
  static constexpr size_t kNoLimit = SIZE_MAX;
  size_t limit_ = kNoLimit;
  double fraction_ = 1;
  size_t allocated_ = 0, reserved_ = 0, peak_allocated_ = 0, peak_reserved_ = 0;
  MemoryStatistics statistics_{};
};

Allocator& allocator(int device) { return of_device<Allocator>(device); }

}  // namespace

Block* allocate_block(int device, size_t bytes) { return allocator(device).allocate(bytes); }
void free_block(Block* block) noexcept try {
  allocator(block->device).free(block);
} catch (const Error&) {  // the process ends, was forked, or its GPU has failed, so the memory no longer exists
}

std::optional<Tensor> workspace(size_t bytes) try {
  return empty({int64_t(bytes)}, Dtype::uint8);
} catch (const OutOfMemoryError&) {
  return std::nullopt;
}

MemoryStatistics memory_statistics(int device) {
  check_device(device);
  return allocator(device).statistics();
}
void reset_peak_memory(int device) {
  check_device(device);
  allocator(device).reset_peak();
}
void release_cached_memory() {
  for (int device = 0; device < device_count(); ++device) allocator(device).release();
  release_pinned();
}
std::pair<size_t, size_t> free_and_total_memory(int device) {
  size_t free = 0, total = 0;
  check(activate(device).cuMemGetInfo_v2(&free, &total), "querying the free memory of a GPU");
  return {free, total};
}
double memory_fraction(int device) {
  check_device(device);
  return allocator(device).fraction();
}
void set_memory_fraction(int device, double fraction) {
  check_device(device);
  allocator(device).set_fraction(fraction);
}
int64_t begin_pool(int device, unsigned long long capture) { return allocator(device).begin_pool(capture); }
void end_pool(int device, unsigned long long capture) { allocator(device).end_pool(capture); }
void release_pool(int device, int64_t pool) { allocator(device).release_pool(pool); }
void use_block(Block* block, StreamOf other) { allocator(block->device).use(block, other); }

}  // namespace flambeau::cuda
