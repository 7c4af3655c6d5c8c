// The caching allocator of host memory.
//
// Note [Host memory]
// Every size belongs to a class: multiples of 64 bytes up to 4096, then four classes for each power of two. Blocks of
// up to 128 KiB are cut from chunks of one megabyte. Each larger block is mapped from the system separately.
//
// A free block of up to 4096 bytes goes to a list of its thread. A list that grows beyond a limit moves as a whole, as
// a batch, to a stack that all threads share. Threads also take batches from this stack, so that memory can be reused
// if one thread allocates it and another thread frees it. Larger blocks are shared immediately, but a thread first
// looks for a block that it has freed itself, because writing to memory that is in the caches of another core takes
// twice as long.
//
// Memory that stays unused for about a second returns to the system. A thread, the trimmer, counts ticks, removes
// blocks that were cached some ticks ago, and unmaps chunks with no block in use. It sleeps while nothing is cached.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iomanip>
#include <mutex>
#include <new>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "flambeau/errors.h"
#include "flambeau/interpreter.h"
#include "flambeau/memory.h"
#include "platform/memory.h"
#include "platform/process.h"

namespace flambeau {

namespace {

#ifdef __SANITIZE_ADDRESS__
constexpr bool kReuse = false;  // no reuse, so that the sanitizer sees the bounds and the lifetime of each block
#else
constexpr bool kReuse = true;
#endif
constexpr size_t kAlignment = 64, kSmallLimit = 4096, kSlots = kSmallLimit / kAlignment;
constexpr size_t kThreadBytes = size_t(64) << 10;  // maximum number of bytes in each free list of a thread
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kChunk = size_t(1) << 20, kCutLimit = size_t(128) << 10;
constexpr size_t kBatchBytes = size_t(16) << 10;  // number of bytes cut from chunks at once for a thread's list
constexpr size_t kCacheLimit = size_t(1) << 30;
constexpr int kLargeClasses = 4 * 64;
constexpr auto kTick = std::chrono::milliseconds(250);
constexpr uint32_t kIdleTicks = 4;

struct FreeBlock {
  FreeBlock* next;
  uint32_t depth;  // number of blocks from here to the end of the list (set in a thread's list and in a batch)
  uint32_t tick;   // when the block was cached (set in the first block of a batch and in large blocks)
  union {
    FreeBlock* next_batch;  // set in the first block of a batch
    const void* thread;     // set in large blocks: the thread that freed the block, whose core has it in its caches
  };
};

constexpr size_t slot_of(size_t bytes) { return (bytes - (bytes > 0)) / kAlignment; }
constexpr size_t slot_bytes(size_t slot) { return (slot + 1) * kAlignment; }

struct SizeClass {
  int index;  // index among the classes of large blocks
  size_t bytes;
};
SizeClass large_class(size_t bytes) {
  const int log = 63 - __builtin_clzll(bytes);
  const size_t quarter = size_t(1) << (log - 2);
  const size_t rounded = (bytes + quarter - 1) / quarter * quarter;
  const int exact_log = 63 - __builtin_clzll(rounded);
  return {exact_log * 4 + int(rounded >> (exact_log - 2) & 3), rounded};
}
constexpr size_t bytes_of_class(int index) {
  return (size_t(1) << index / 4) + size_t(index % 4) * ((size_t(1) << index / 4) / 4);
}

void* map_block(size_t bytes) {
  void* const block = platform::map_pages(bytes, bytes >= kHugePage ? kHugePage : 0);
  if (block && bytes >= kHugePage) platform::prefer_huge_pages(block, bytes);
  return block;
}

// A megabyte, aligned to its size, that is divided into blocks of one size.
struct alignas(kAlignment) Chunk {
  Chunk *next, *previous;  // adjacent chunks in the list of chunks that have free blocks of this size
  FreeBlock* free;
  uint32_t cut, free_count;

  static Chunk* of(void* block) { return reinterpret_cast<Chunk*>(reinterpret_cast<size_t>(block) / kChunk * kChunk); }
  static constexpr uint32_t capacity(size_t bytes) { return uint32_t((kChunk - sizeof(Chunk)) / bytes); }
};

// All chunks with blocks of one size.
class Chunks {
 public:
  // Returns null if there is not enough memory.
  FreeBlock* take(size_t bytes) {
    if (!open_ && !add()) return nullptr;
    Chunk& chunk = *open_;
    FreeBlock* block = chunk.free;
    if (block) {
      chunk.free = block->next;
      --chunk.free_count;
    } else {
      block = reinterpret_cast<FreeBlock*>(reinterpret_cast<char*>(&chunk + 1) + chunk.cut++ * bytes);
    }
    if (!chunk.free && chunk.cut == Chunk::capacity(bytes)) remove(chunk);
    return block;
  }
  // Returns the chunk if none of its blocks is in use. Then the chunk is no longer in the list, and the caller must
  // unmap it.
  Chunk* free_block(FreeBlock* block, size_t bytes) {
    Chunk& chunk = *Chunk::of(block);
    if (!chunk.free && chunk.cut == Chunk::capacity(bytes)) insert(chunk);
    block->next = chunk.free;
    chunk.free = block;
    if (++chunk.free_count < chunk.cut) return nullptr;
    remove(chunk);
    return &chunk;
  }

 private:
  bool add() {
    void* const memory = platform::map_pages(kChunk, kChunk);
    if (memory) insert(*new (memory) Chunk{});
    return memory;
  }
  void insert(Chunk& chunk) {
    chunk.previous = nullptr;
    chunk.next = open_;
    if (open_) open_->previous = &chunk;
    open_ = &chunk;
  }
  void remove(Chunk& chunk) {
    (chunk.previous ? chunk.previous->next : open_) = chunk.next;
    if (chunk.next) chunk.next->previous = chunk.previous;
  }
  Chunk* open_ = nullptr;
};

// The number of bytes that one thread has allocated minus the number of bytes that it has freed, including blocks that
// other threads allocated. Small blocks count with the size of their class. The sums over all threads are the
// statistics. Only the thread itself writes its counter, without a locked instruction. When the thread ends, another
// thread reuses the counter with its contents.
struct Counter {
  std::atomic<size_t> small{0}, large{0};
  std::atomic<bool> flush{false};  // true if another thread has requested that this thread empty its free lists
  std::atomic<bool> owned{true};
  Counter* next = nullptr;
};
std::atomic<Counter*> counters{nullptr};
// Bytes of threads that are about to end and no longer have a counter.
std::atomic<size_t> uncounted_small{0}, uncounted_large{0};

// Computes modulo 2**64.
void add(std::atomic<size_t>& total, size_t bytes) {
  total.store(total.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
}

Counter* take_counter() {
  for (Counter* c = counters; c; c = c->next)
    if (!c->owned.exchange(true)) return c;
  Counter* made = new Counter;
  made->next = counters;
  while (!counters.compare_exchange_weak(made->next, made)) {
  }
  return made;
}

// The blocks that all threads share. The object is never destroyed, because blocks may be freed during exit.
class SharedCache {
 public:
  SharedCache() = default;

  // Returns a batch of blocks, or null if there is not enough memory. A batch of new blocks has at most `most` blocks.
  FreeBlock* take_batch(size_t slot, uint32_t most) {
    const std::lock_guard lock(mutex_);
    if (FreeBlock* const batch = batches_[slot]) {
      batches_[slot] = batch->next_batch;
      cached_ -= batch->depth * slot_bytes(slot);
      given_ += batch->depth * slot_bytes(slot);
      return batch;
    }
    FreeBlock* batch = nullptr;
    for (uint32_t depth = 1; depth <= most; ++depth) {
      FreeBlock* const block = small_chunks_[slot].take(slot_bytes(slot));
      if (!block) break;
      block->next = batch;
      block->depth = depth;
      batch = block;
      given_ += slot_bytes(slot);
    }
    return batch;
  }

  void put_batch(size_t slot, FreeBlock* batch) {
    const std::lock_guard lock(mutex_);
    batch->tick = tick_;
    batch->next_batch = batches_[slot];
    batches_[slot] = batch;
    cached_ += batch->depth * slot_bytes(slot);
    given_ -= batch->depth * slot_bytes(slot);
    wake_trimmer();
  }

  // Returns a block for a thread, or null if there is not enough memory.
  void* take_large(const SizeClass& size, const void* thread) {
    {
      const std::lock_guard lock(mutex_);
      if (large_[size.index]) {
        FreeBlock*& link = *find_large(size.index, thread);
        FreeBlock* const block = link;
        link = block->next;
        cached_ -= size.bytes;
        return block;
      }
      if (size.bytes <= kCutLimit) return large_chunks_[size.index].take(size.bytes);
    }
    return map_block(size.bytes);
  }

  void put_large(const SizeClass& size, FreeBlock* block, const void* thread) {
    Chunk* empty = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (cached_ + size.bytes <= kCacheLimit) {
        block->tick = tick_;
        block->thread = thread;
        block->next = large_[size.index];
        large_[size.index] = block;
        cached_ += size.bytes;
        return wake_trimmer();
      }
      if (size.bytes <= kCutLimit) empty = large_chunks_[size.index].free_block(block, size.bytes);
    }
    if (size.bytes > kCutLimit) platform::unmap_pages(block, size.bytes);
    if (empty) platform::unmap_pages(empty, kChunk);
  }

  // Frees the blocks that were cached before the given tick. Releases the lock between blocks and during system calls.
  void free_older(uint32_t tick) {
    for (int i = 0; i < kLargeClasses; ++i) {
      const size_t bytes = bytes_of_class(i);
      remove_older(large_[i], &FreeBlock::next, tick, [&](FreeBlock* block) -> Mapping {
        cached_ -= bytes;
        if (bytes > kCutLimit) return {block, bytes};
        return {large_chunks_[i].free_block(block, bytes), kChunk};
      });
    }
    for (size_t slot = 0; slot < kSlots; ++slot) {
      std::vector<Chunk*> empty;
      remove_older(batches_[slot], &FreeBlock::next_batch, tick, [&](FreeBlock* block) -> Mapping {
        cached_ -= block->depth * slot_bytes(slot);
        while (block)
          if (Chunk* const chunk = small_chunks_[slot].free_block(std::exchange(block, block->next), slot_bytes(slot)))
            empty.push_back(chunk);
        return {nullptr, 0};
      });
      for (Chunk* const chunk : empty) platform::unmap_pages(chunk, kChunk);
    }
  }
  void free_all() { free_older(tick_ + 1); }

  // Returns the number of bytes cached here plus the number of bytes in small blocks that threads use or cache.
  size_t cached_or_given() {
    const std::lock_guard lock(mutex_);
    return cached_ + given_;
  }

  void before_fork() { mutex_.lock(); }
  void after_fork_in_parent() { mutex_.unlock(); }
  void after_fork_in_child() {  // the child process has no trimmer
    trimming_ = false;
    new (&wake_) std::condition_variable;
    mutex_.unlock();
  }

 private:
  // Returns the link to the most recent block of a size class that the given thread has freed. If none of the first
  // kNear blocks is from this thread, returns the link to the most recent block.
  FreeBlock** find_large(int index, const void* thread) {
    constexpr int kNear = 8;
    FreeBlock** link = &large_[index];
    for (int i = 0; i < kNear && *link; ++i, link = &(*link)->next)
      if ((*link)->thread == thread) return link;
    return &large_[index];
  }

  struct Mapping {
    void* memory;
    size_t bytes;
  };

  // Removes the blocks that were cached before the given tick from `list`, which starts with the youngest block. Calls
  // free(block) for each of them with the lock held, and then unmaps the memory that free() returns, without the lock.
  template <class F>
  void remove_older(FreeBlock*& list, FreeBlock* FreeBlock::* next, uint32_t tick, F&& free) {
    FreeBlock* older;
    {
      const std::lock_guard lock(mutex_);
      FreeBlock** at = &list;
      while (*at && int32_t((*at)->tick - tick) >= 0) at = &((*at)->*next);
      older = std::exchange(*at, nullptr);
    }
    while (older) {
      FreeBlock* const block = std::exchange(older, older->*next);
      Mapping mapping;
      {
        const std::lock_guard lock(mutex_);
        mapping = free(block);
      }
      if (mapping.memory) platform::unmap_pages(mapping.memory, mapping.bytes);
    }
  }

  void wake_trimmer() {
    if (FLAMBEAU_LIKELY(awake_ && trimming_)) return;
    awake_ = true;
    if (trimming_) return wake_.notify_one();
    try {
      platform::start_background_thread([](void* cache) { static_cast<SharedCache*>(cache)->trim(); }, this);
      trimming_ = true;
    } catch (const std::system_error&) {  // the system cannot create a thread; the next cached block tries again
    }
  }

  void trim() {
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        awake_ = cached_ > 0;
        wake_.wait(lock, [this] { return awake_; });
      }
      std::this_thread::sleep_for(kTick);
      uint32_t tick;
      {
        const std::lock_guard lock(mutex_);
        tick = ++tick_;
      }
      free_older(tick - kIdleTicks);
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  FreeBlock *large_[kLargeClasses] = {}, *batches_[kSlots] = {};
  Chunks large_chunks_[kLargeClasses], small_chunks_[kSlots];
  size_t cached_ = 0, given_ = 0;
  uint32_t tick_ = 0;
  bool awake_ = false, trimming_ = false;
};

SharedCache& shared_cache() {
  static SharedCache* const cache = new SharedCache;
  return *cache;
}

// Registered when the library is loaded, before the handlers of other locks. The system runs handlers in reverse
// order before a fork, so that a fork takes the other locks first. The threads that hold these locks may allocate
// memory.
[[gnu::constructor]] void prepare_for_fork() {
  platform::at_fork([] { shared_cache().before_fork(); }, [] { shared_cache().after_fork_in_parent(); },
                    [] { shared_cache().after_fork_in_child(); });
  platform::keep_freed_memory();
}

// The free lists of one thread. The type is trivially destructible, so that destructors of other thread-local objects
// can use the lists.
struct ThreadCache {
  FreeBlock* lists[kSlots];
  Counter* counter;
  bool closed;
};
thread_local ThreadCache thread_cache FLAMBEAU_INITIAL_EXEC;

void share_list(size_t slot) {
  FreeBlock* const batch = std::exchange(thread_cache.lists[slot], nullptr);
  if (batch) shared_cache().put_batch(slot, batch);
}

void share_lists() {
  for (size_t slot = 0; slot < kSlots; ++slot) share_list(slot);
}

struct ThreadCacheCloser {
  ~ThreadCacheCloser() {
    share_lists();
    thread_cache.closed = true;
    std::exchange(thread_cache.counter, nullptr)->owned = false;
  }
};

[[gnu::noinline]] bool register_thread() {
  if (thread_cache.closed) return false;
  thread_cache.counter = take_counter();
  static thread_local ThreadCacheCloser closer;
  (void)closer;
  return true;
}
// Returns true if the thread has a counter. A thread that is about to end has no counter.
bool registered() { return FLAMBEAU_LIKELY(thread_cache.counter) || register_thread(); }

void count_large(size_t bytes) {  // the sum is modulo 2**64, because freed bytes are subtracted
  if (registered())
    add(thread_cache.counter->large, bytes);
  else
    uncounted_large += bytes;
}

[[noreturn, gnu::cold]] void raise_out_of_memory(size_t bytes) {
  constexpr const char* units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int unit = 0;
  double size = double(bytes);
  for (; size >= 1024 && unit < 6; ++unit) size /= 1024;
  std::ostringstream text;
  text << std::fixed << std::setprecision(unit ? 2 : 0) << size << ' ' << units[unit];
  detail::raise<HostMemoryError>("out of memory: tried to allocate ", text.str());
}

[[gnu::noinline]] void* allocate_large(size_t bytes) {
  if (bytes > size_t(1) << 60) raise_out_of_memory(bytes);
  const SizeClass size = large_class(bytes);
  void* block = shared_cache().take_large(size, thread_cache.counter);
  if (!block) {
    empty_cache();
    block = shared_cache().take_large(size, thread_cache.counter);
  }
  if (!block) raise_out_of_memory(bytes);
  count_large(bytes);
  return block;
}

[[gnu::noinline]] void* allocate_small(size_t slot) {
  const bool caching = registered();
  const auto most = caching ? std::max<size_t>(1, kBatchBytes / slot_bytes(slot)) : 1;
  FreeBlock* const batch = shared_cache().take_batch(slot, uint32_t(most));
  if (!batch) throw std::bad_alloc();
  if (caching) {
    thread_cache.lists[slot] = batch->next;
    add(thread_cache.counter->small, slot_bytes(slot));
  } else {
    if (batch->next) shared_cache().put_batch(slot, batch->next);
    uncounted_small += slot_bytes(slot);
  }
  return batch;
}

// Frees a small block in a thread that has no counter.
[[gnu::noinline]] void deallocate_uncounted(FreeBlock* block, size_t bytes) {
  if (register_thread()) return deallocate(block, bytes);
  const size_t slot = slot_of(bytes);
  uncounted_small -= slot_bytes(slot);
  block->next = nullptr;
  block->depth = 1;
  shared_cache().put_batch(slot, block);
}

[[gnu::noinline]] void deallocate_large(void* block, size_t bytes) {
  count_large(size_t(0) - bytes);
  shared_cache().put_large(large_class(bytes), static_cast<FreeBlock*>(block), thread_cache.counter);
}

void flush() {
  thread_cache.counter->flush = false;
  share_lists();
}

// Moves list `slot`, which is too long, to the shared cache. Moves all lists if another thread has requested this.
[[gnu::noinline]] void share_some(size_t slot) {
  if (thread_cache.counter->flush)
    flush();
  else
    share_list(slot);
}

}  // namespace

void* allocate(size_t bytes) {
  if constexpr (!kReuse) {
    void* const exact = ::operator new(bytes, std::align_val_t(kAlignment), std::nothrow);
    if (!exact) raise_out_of_memory(bytes);
    count_large(bytes);
    return exact;
  }
  if (bytes > kSmallLimit) return allocate_large(bytes);
  const size_t slot = slot_of(bytes);
  FreeBlock* const block = thread_cache.lists[slot];
  if (FLAMBEAU_UNLIKELY(!block)) return allocate_small(slot);
  thread_cache.lists[slot] = block->next;
  add(thread_cache.counter->small, slot_bytes(slot));
  return block;
}

void deallocate(void* pointer, size_t bytes) noexcept {
  FreeBlock* const block = static_cast<FreeBlock*>(pointer);
  if constexpr (!kReuse) {
    count_large(size_t(0) - bytes);
    return ::operator delete(pointer, std::align_val_t(kAlignment));
  }
  if (bytes > kSmallLimit) return deallocate_large(block, bytes);
  if (FLAMBEAU_UNLIKELY(!thread_cache.counter)) return deallocate_uncounted(block, bytes);
  const size_t slot = slot_of(bytes);
  FreeBlock* const first = thread_cache.lists[slot];
  block->next = first;
  block->depth = first ? first->depth + 1 : 1;
  thread_cache.lists[slot] = block;
  Counter& counter = *thread_cache.counter;
  add(counter.small, size_t(0) - slot_bytes(slot));
  const bool too_long = block->depth * slot_bytes(slot) > kThreadBytes;
  if (FLAMBEAU_UNLIKELY(too_long || counter.flush.load(std::memory_order_relaxed))) share_some(slot);
}

void empty_cache() {
  // Each thread empties its lists when it next frees a small block.
  for (Counter* c = counters; c; c = c->next) c->flush = true;
  if (thread_cache.counter) flush();
  shared_cache().free_all();
}

size_t cached_bytes() {
  size_t used = uncounted_small;
  for (const Counter* c = counters; c; c = c->next) used += c->small.load(std::memory_order_relaxed);
  const size_t all = shared_cache().cached_or_given();
  return all > used ? all - used : 0;  // other threads may have freed blocks in the meantime
}
size_t allocated_bytes() {
  size_t total = uncounted_small + uncounted_large;
  for (const Counter* c = counters; c; c = c->next)
    total += c->small.load(std::memory_order_relaxed) + c->large.load(std::memory_order_relaxed);
  return total;
}

}  // namespace flambeau
