// Collectives of processes that share memory. Internal to flambeau.distributed.
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

inline constexpr int kMostRanks = 64;
inline constexpr size_t kKeySize = 32, kTextSize = 256;  // bytes of a call's signature, and of its text

// kAllReduceInPlace reads the memory of the other processes, which have no copy of it to make: see can_read.
enum class Kind { kCheck, kAllReduce, kBroadcast, kAllGather, kReduceScatter, kAllReduceInPlace };

struct Piece {
  char* data;
  size_t bytes;
};

// A collective. The caller keeps the memory of its pieces until it is no longer pending.
struct Job {
  enum State { kPending, kDone, kMismatch };

  Kind kind;
  int root = -1;
  Reduction reduction = nullptr;
  size_t element_size = 1;
  std::vector<Piece> inputs, outputs;
  size_t bytes = 0;  // of the input; of kReduceScatter, of the output
  std::array<char, kKeySize> key{};
  std::array<char, kTextSize> text{};

  std::atomic<int> state = kPending;
  std::string texts;  // of all ranks, after a mismatch

  // Progress: the turns that are written, reduced and read. Note [Turns]
  uint64_t first = 0, turns = 0, written = 0, reduced = 0, read = 0;
  size_t length = 0;  // of a turn
  bool begun = false, agreed = false, explained = false;
  bool broken = false;  // another process's memory could not be read: it has ended
};

// Note [Turns]: a collective transfers its data in turns of one chunk each. In each turn a rank writes its chunk to its
// slot and reads the slots of the others. In between, ranks that divide the work of a reduction write their parts of
// the result. Counters in shared memory contain the number of turns that each rank has written, reduced and read since
// the group was created. A rank has kDepth slots. It writes a turn when all ranks have read the turn that used the slot
// before, so that ranks need not run at the same time. The first turn contains the signature of the call, which is
// compared first. All ranks use the same number of turns, as their signatures are equal.
inline constexpr uint64_t kDepth = 8;

// True if this process may read the memory of another one (process_vm_readv).
bool can_read(int process, const char* address);

// The part of one process in a group whose ranks share a piece of memory.
class SharedGroup {
 public:
  // The memory is zero at first, and has memory_size() bytes.
  SharedGroup(char* memory, int rank, int size, size_t chunk);
  ~SharedGroup();
  SharedGroup(const SharedGroup&) = delete;
  SharedGroup& operator=(const SharedGroup&) = delete;
  static size_t memory_size(int size, size_t chunk);

  // Begin a collective, behind those before it.
  void begin(std::shared_ptr<Job> job);
  // Have a thread make progress until no job is pending.
  void attend();
  // Make progress for some time at most, or until a job is no longer pending; none in a negative time. Returns its
  // state.
  int wait(const Job& job, double seconds);
  // End the thread. Jobs that are pending stay so.
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
  uint64_t turn_ = 0;    // the first of the next collective
  std::mutex progress_;  // of the jobs and of turn_
  std::mutex mutex_;     // of all that follows
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Job>> queue_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace flambeau::distributed
