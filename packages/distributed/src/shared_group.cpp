#include "shared_group.h"

#include <sched.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/uio.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstring>

namespace flambeau::distributed {

namespace {

constexpr size_t kLine = 128;  // alignment in bytes, two cache lines, that avoids false sharing
// Up to this number of bytes, each rank reduces the whole input, because a second synchronisation would take longer.
constexpr size_t kOnePhase = 16 << 10;
constexpr size_t kBlock = 64 << 10;        // bytes that are read from another process at a time
constexpr int kAttemptsBeforeYield = 200;  // attempts to advance the jobs before wait() yields the processor
constexpr int kShortPauses = 1000;         // number of short pauses of the background thread before it takes long ones
constexpr std::chrono::microseconds kShortPause(20), kLongPause(500);

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

using Clock = std::chrono::steady_clock;

// Treats the ranges as one concatenated array. Calls function(memory, offset, bytes) for each part of a range that is
// in the range of `length` bytes from `begin` on. `offset` is relative to the begin of the range.
template <class F>
void for_each_part(const std::vector<MemoryRange>& ranges, size_t begin, size_t length, F function) {
  size_t start = 0;
  const size_t end = begin + length;
  for (const MemoryRange& range : ranges) {
    const size_t from = std::max(begin, start), to = std::min(end, start + range.bytes);
    if (from < to) function(range.data + (from - start), from - begin, to - from);
    start += range.bytes;
    if (start >= end) return;
  }
}

void gather(char* to, const std::vector<MemoryRange>& ranges, size_t begin, size_t length) {
  for_each_part(ranges, begin, length, [&](char* data, size_t at, size_t n) { std::memcpy(to + at, data, n); });
}

void scatter(const char* from, const std::vector<MemoryRange>& ranges, size_t begin, size_t length) {
  for_each_part(ranges, begin, length, [&](char* data, size_t at, size_t n) { std::memcpy(data, from + at, n); });
}

// Copies memory of another process. Returns false if the system does not permit or support it.
bool read_process([[maybe_unused]] int process, [[maybe_unused]] const char* from, [[maybe_unused]] char* to,
                  [[maybe_unused]] size_t bytes) {
#ifdef __linux__
  iovec local{to, bytes}, remote{const_cast<char*>(from), bytes};
  return process_vm_readv(process, &local, 1, &remote, 1, 0) == ssize_t(bytes);
#else
  return false;
#endif
}

}  // namespace

bool can_read(int process, const char* address) {
  char byte = 0;
  return read_process(process, address, &byte, 1);
}

struct SharedGroup::Block {
  alignas(kLine) std::atomic<uint64_t> written;
  alignas(kLine) std::atomic<uint64_t> reduced;
  alignas(kLine) std::atomic<uint64_t> read;
  alignas(kLine) int process;
  char keys[kDepth][kKeySize];
  char text[kTextSize];
};

SharedGroup::SharedGroup(char* memory, int rank, int size, size_t chunk)
    : memory_(memory), rank_(rank), size_(size), chunk_(chunk) {
  block(rank).process = getpid();
}

SharedGroup::~SharedGroup() { close(); }

size_t SharedGroup::memory_size(int size, size_t chunk) { return size * sizeof(Block) + kDepth * (size + 1) * chunk; }

SharedGroup::Block& SharedGroup::block(int rank) const { return reinterpret_cast<Block*>(memory_)[rank]; }

char* SharedGroup::slot(int rank, uint64_t turn) const {
  return memory_ + size_ * sizeof(Block) + (kDepth * rank + turn % kDepth) * chunk_;
}

void SharedGroup::begin(std::shared_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    queue_.push_back(std::move(job));
  }
  try_to_advance();  // publishes this rank's first turn at once, because the other ranks may be waiting for it
}

void SharedGroup::attend() {
  {
    const std::lock_guard lock(mutex_);
    if (!thread_.joinable() && !ended_) thread_ = std::thread(&SharedGroup::run, this);
  }
  changed_.notify_all();
}

int SharedGroup::wait(const Job& job, double seconds) {
  const auto deadline = Clock::now() + std::chrono::duration<double>(seconds);
  int looks = 0;
  while (seconds >= 0 && job.state.load(std::memory_order_acquire) == Job::kPending) {
    if (try_to_advance()) {
      looks = 0;
    } else if (++looks < kAttemptsBeforeYield) {
      pause();
      continue;
    } else {
      sched_yield();
    }
    if (Clock::now() >= deadline) break;
  }
  return job.state.load(std::memory_order_acquire);
}

void SharedGroup::close() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SharedGroup::run() {
  int pauses = 0;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ended_ || !queue_.empty(); });
      if (ended_) return;
    }
    const bool moved = try_to_advance();
    pauses = moved ? 0 : std::min(pauses + 1, kShortPauses);
    if (!moved) std::this_thread::sleep_for(pauses < kShortPauses ? kShortPause : kLongPause);
  }
}

// Advances the first job of the queue, unless another thread is doing so. Returns true if there was progress.
bool SharedGroup::try_to_advance() {
  const std::unique_lock lock(progress_, std::try_to_lock);
  return lock && advance();
}

bool SharedGroup::advance() {
  std::shared_ptr<Job> job;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) return false;
    job = queue_.front();
  }
  const bool moved = step(*job);
  if (job->state.load(std::memory_order_relaxed) == Job::kPending) return moved;
  {
    const std::lock_guard lock(mutex_);
    queue_.pop_front();
  }
  advance();  // publishes the first turn of the next job at once, because the other ranks may be waiting for it
  return true;
}

// Advances a job as far as possible without waiting. Returns true if there was progress.
bool SharedGroup::step(Job& job) {
  if (job.broken) return false;
  if (!job.begun) prepare(job);
  const uint64_t before = job.written + job.reduced + job.read;
  const uint64_t free = least(&Block::read) + kDepth, allowed = job.agreed ? job.turns : 1;
  if (job.written < allowed && job.first + job.written < free) write(job);
  const uint64_t written = least(&Block::written);
  if (!job.agreed) {
    if (written > job.first) check(job);
    return job.agreed || job.explained || job.written + job.reduced + job.read > before;
  }
  if (job.reduced < job.turns && job.first + job.reduced < written) reduce(job);
  const uint64_t readable = in_two_phases(job) ? least(&Block::reduced) : written;
  if (job.read < job.reduced && job.first + job.read < readable) read(job);
  if (job.kind == Kind::kAllReduceInPlace && least(&Block::read) <= job.first) return job.read > before;
  if (job.read == job.turns) job.state.store(Job::kDone, std::memory_order_release);
  return job.written + job.reduced + job.read > before;
}

void SharedGroup::prepare(Job& job) {
  job.begun = true;
  job.first = turn_;
  job.length = job.kind == Kind::kReduceScatter ? chunk_ / size_ / kLine * kLine : chunk_;
  const bool in_place = job.kind == Kind::kAllReduceInPlace;
  job.turns = in_place ? 1 : std::max<size_t>(1, (job.bytes + job.length - 1) / job.length);
  std::memcpy(block(rank_).keys[turn_ % kDepth], job.key.data(), kKeySize);
}

// After all ranks have written their first turns, compares the signatures of their calls. If these differ, publishes
// the text of this rank's call, and ends the job as a mismatch when all ranks have published their texts.
void SharedGroup::check(Job& job) {
  if (!job.explained) {
    job.agreed = true;
    for (int rank = 0; rank < size_; ++rank) {
      job.agreed &= std::memcmp(block(rank).keys[job.first % kDepth], job.key.data(), kKeySize) == 0;
    }
    if (job.agreed) {
      turn_ += job.turns;
      return;
    }
    job.explained = true;
    std::memcpy(block(rank_).text, job.text.data(), kTextSize);
    publish(&Block::reduced, job.first + 1);
  }
  if (least(&Block::reduced) <= job.first) return;
  for (int rank = 0; rank < size_; ++rank) job.texts.append(block(rank).text, kTextSize);
  ++turn_;
  publish(&Block::read, turn_);
  job.state.store(Job::kMismatch, std::memory_order_release);
}

void SharedGroup::write(Job& job) {
  const uint64_t turn = job.first + job.written;
  const size_t offset = job.written * job.length, n = std::min(job.length, job.bytes - offset);
  char* to = slot(rank_, turn);
  if (job.kind == Kind::kAllReduceInPlace) {
    std::memcpy(to, job.outputs.data(), job.outputs.size() * sizeof(MemoryRange));
  } else if (job.kind == Kind::kReduceScatter) {
    for (int rank = 0; rank < size_; ++rank) gather(to + rank * n, job.inputs, rank * job.bytes + offset, n);
  } else if (job.kind != Kind::kBroadcast || job.root == rank_) {
    gather(to, job.inputs, offset, n);
  }
  ++job.written;
  publish(&Block::written, turn + 1);
}

// Returns true if each rank reduces only its share of a turn and then reads the shares of the other ranks. If it
// returns false, each rank reduces all data.
bool SharedGroup::in_two_phases(const Job& job) const {
  return job.kind == Kind::kAllReduceInPlace || (job.kind == Kind::kAllReduce && size_ > 2 && job.bytes > kOnePhase);
}

// Reduces this rank's share of a turn if the job runs in two phases.
void SharedGroup::reduce(Job& job) {
  const uint64_t turn = job.first + job.reduced;
  if (job.kind == Kind::kAllReduceInPlace) {
    reduce_in_place(job);
    if (job.broken) return;
  } else if (in_two_phases(job)) {
    const size_t n = std::min<size_t>(job.length, job.bytes - job.reduced * job.length);
    const size_t share = (n / size_ / kLine + 1) * kLine;
    const size_t from = std::min(share * rank_, n), to = std::min(from + share, n);
    if (from < to) reduce_part(job, result(turn) + from, turn, from, to - from);
  }
  ++job.reduced;
  publish(&Block::reduced, turn + 1);
}

void SharedGroup::reduce_part(const Job& job, char* out, uint64_t turn, size_t at, size_t n) const {
  std::array<const char*, kMaxRanks> inputs;
  for (int rank = 0; rank < size_; ++rank) inputs[rank] = slot(rank, turn) + at;
  job.reduction(out, inputs.data(), size_, n / job.element_size);
}

void SharedGroup::read(Job& job) {
  const uint64_t turn = job.first + job.read;
  const size_t offset = job.read * job.length, n = std::min(job.length, job.bytes - offset);
  if (job.kind == Kind::kAllReduceInPlace) {
    read_in_place(job);
    if (job.broken) return;
  } else if (in_two_phases(job)) {
    scatter(result(turn), job.outputs, offset, n);
  } else if (job.kind == Kind::kAllReduce || job.kind == Kind::kReduceScatter) {
    const size_t start = job.kind == Kind::kReduceScatter ? rank_ * n : 0;
    for_each_part(job.outputs, offset, n,
                  [&](char* data, size_t at, size_t size) { reduce_part(job, data, turn, start + at, size); });
  } else if (job.kind == Kind::kBroadcast && job.root != rank_) {
    scatter(slot(job.root, turn), job.outputs, offset, n);
  } else if (job.kind == Kind::kAllGather) {
    for (int rank = 0; rank < size_; ++rank) scatter(slot(rank, turn), job.outputs, rank * job.bytes + offset, n);
  }
  ++job.read;
  publish(&Block::read, turn + 1);
}

// Returns the begin and the end of a rank's share, in bytes.
std::pair<size_t, size_t> SharedGroup::share(const Job& job, int rank) const {
  const size_t each = (job.bytes / size_ / kLine + 1) * kLine, from = std::min(each * rank, job.bytes);
  return {from, std::min(from + each, job.bytes)};
}

// Reads a part of another rank's ranges from its process. The addresses of the ranges are in that rank's slot. Returns
// false if the memory cannot be read.
bool SharedGroup::fetch(const Job& job, int rank, size_t offset, size_t n, char* to) const {
  const auto* theirs = reinterpret_cast<const MemoryRange*>(slot(rank, job.first));
  const std::vector<MemoryRange> ranges(theirs, theirs + job.outputs.size());
  bool complete = true;
  for_each_part(ranges, offset, n, [&](char* data, size_t at, size_t size) {
    complete &= read_process(block(rank).process, data, to + at, size);
  });
  return complete;
}

// Reduces this rank's share into its output, in blocks that fit into the cache.
void SharedGroup::reduce_in_place(Job& job) {
  const auto [from, to] = share(job, rank_);
  std::vector<char> buffer(size_ * kBlock);
  std::array<const char*, kMaxRanks> inputs;
  const bool reads_output = rank_ < 2;  // a reduction's output may be the same memory as one of its first two inputs
  for (size_t at = from; at < to && !job.broken; at += kBlock) {
    const size_t n = std::min(kBlock, to - at);
    for (int rank = 0; rank < size_; ++rank) {
      char* block = buffer.data() + rank * kBlock;
      if (rank != rank_) {
        job.broken |= !fetch(job, rank, at, n, block);
      } else if (!reads_output) {
        gather(block, job.outputs, at, n);
      }
    }
    if (job.broken) return;
    for_each_part(job.outputs, at, n, [&](char* out, size_t start, size_t size) {
      for (int rank = 0; rank < size_; ++rank) inputs[rank] = buffer.data() + rank * kBlock + start;
      if (reads_output) inputs[rank_] = out;
      job.reduction(out, inputs.data(), size_, size / job.element_size);
    });
  }
}

// Copies the shares that the other ranks have reduced from those ranks' memory to this rank's outputs.
void SharedGroup::read_in_place(Job& job) {
  for (int rank = 0; rank < size_; ++rank) {
    if (rank == rank_) continue;
    const auto [from, to] = share(job, rank);
    const size_t start = from;
    for_each_part(job.outputs, from, to - from,
                  [&](char* data, size_t at, size_t n) { job.broken |= !fetch(job, rank, start + at, n, data); });
  }
}

void SharedGroup::publish(Counter counter, uint64_t value) {
  (block(rank_).*counter).store(value, std::memory_order_release);
}

uint64_t SharedGroup::least(Counter counter) const {
  uint64_t found = UINT64_MAX;
  for (int rank = 0; rank < size_; ++rank) {
    found = std::min(found, (block(rank).*counter).load(std::memory_order_acquire));
  }
  return found;
}

}  // namespace flambeau::distributed
