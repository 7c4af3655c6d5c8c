// Collective operations between processes on one machine, through shared memory. Internal to flambeau.distributed.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "reductions.h"

namespace flambeau::distributed {

inline constexpr int kMaxRanks = 64;
inline constexpr size_t kKeySize = 32, kTextSize = 256;  // sizes in bytes of Job::key and Job::text

// kCheck transfers no data: it only compares the calls of the ranks. kAllReduceInPlace reads the other processes'
// memory directly, so that no rank copies its input to shared memory. It requires can_read().
enum class Kind { kCheck, kAllReduce, kBroadcast, kAllGather, kReduceScatter, kAllReduceInPlace };

struct MemoryRange {
  char* data;
  size_t bytes;
};

// A call of a collective operation. The memory of the ranges must not be freed while the job is pending.
struct Job {
  enum State { kPending, kDone, kMismatch };

  Kind kind;
  int root = -1;
  Reduction reduction = nullptr;
  size_t element_size = 1;
  std::vector<MemoryRange> inputs, outputs;
  size_t bytes = 0;                    // size of the input, or of the output for kReduceScatter
  std::array<char, kKeySize> key{};    // signature of the call, which must be equal on all ranks
  std::array<char, kTextSize> text{};  // description of the call for the error message of a mismatch

  std::atomic<int> state = kPending;
  std::string texts;  // after a mismatch: the descriptions of all ranks' calls, concatenated

  // The number of the job's first turn, the number of its turns, and how many of them this rank has written, reduced
  // and read. Note [Turns]
  uint64_t first = 0, turns = 0, written = 0, reduced = 0, read = 0;
  size_t length = 0;  // number of bytes that one turn transfers
  bool begun = false, agreed = false, explained = false;
  bool broken = false;  // true if the memory of another process could not be read, because that process has ended
};

// Note [Turns]: a collective transfers its data in turns, one chunk in each turn. In a turn, a rank writes its chunk to
// one of its slots and reads the slots of the other ranks. If the ranks share the work of a reduction, each rank
// reduces its part of the chunk before the others read the result. Counters in shared memory contain the number of
// turns that each rank has written, reduced and read since the group was created. Each rank has kDepth slots and uses
// them in rotation. It reuses a slot as soon as all ranks have read the slot's previous turn, so a rank can be up to
// kDepth turns ahead of the others. The ranks compare the signatures of their calls during the first turn. Equal
// signatures imply equal numbers of turns.
inline constexpr uint64_t kDepth = 8;

// Returns true if the system permits this process to read the memory of another process (process_vm_readv).
bool can_read(int process, const char* address);

// One rank's interface to a group of processes that share a block of memory.
class SharedGroup {
 public:
  // `memory` has memory_size() bytes, which were zero when the group was created.
  SharedGroup(char* memory, int rank, int size, size_t chunk);
  ~SharedGroup();
  SharedGroup(const SharedGroup&) = delete;
  SharedGroup& operator=(const SharedGroup&) = delete;
  static size_t memory_size(int size, size_t chunk);

  // Adds a job to the queue. Jobs run in the order in which they were added.
  void begin(std::shared_ptr<Job> job);
  // Makes a background thread advance the jobs until none is pending.
  void attend();
  // Advances the jobs until `job` is no longer pending or the time is over, and returns the state of `job`. If
  // `seconds` is negative, only returns the state.
  int wait(const Job& job, double seconds);
  // Ends the background thread. Pending jobs remain pending.
  void close();

 private:
  struct Block;
  using Counter = std::atomic<uint64_t> Block::*;

  Block& block(int rank) const;
  char* slot(int rank, uint64_t turn) const;
  char* result(uint64_t turn) const { return slot(size_, turn); }
  bool try_to_advance();
  bool advance();
  bool step(Job& job);
  void prepare(Job& job);
  void check(Job& job);
  void write(Job& job);
  void reduce(Job& job);
  void read(Job& job);
  void reduce_part(const Job& job, char* out, uint64_t turn, size_t at, size_t n) const;
  bool in_two_phases(const Job& job) const;
  void reduce_in_place(Job& job);
  void read_in_place(Job& job);
  bool fetch(const Job& job, int rank, size_t offset, size_t n, char* to) const;
  std::pair<size_t, size_t> share(const Job& job, int rank) const;
  void publish(Counter counter, uint64_t value);
  uint64_t least(Counter counter) const;
  void run();

  char* memory_;
  int rank_, size_;
  size_t chunk_;
  uint64_t turn_ = 0;    // first turn of the next job
  std::mutex progress_;  // protects turn_ and the progress of the jobs
  std::mutex mutex_;     // protects the members below
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace flambeau::distributed
