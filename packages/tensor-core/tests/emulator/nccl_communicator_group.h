// The ranks of a communicator of the emulated NCCL, and their messages, in memory that is shared between processes.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace emulated {

// Describes a request. It is sent with the request's data so that ranks can check that their requests match.
struct Heading {
  int kind, element, op, root;
  size_t count;
  bool operator==(const Heading&) const = default;
};

constexpr size_t kCapacity = size_t(64) << 20;  // maximum number of bytes in transit from one rank to another

// A buffer for messages from one rank to another. `full` is 1 from the time the sender has filled it until the receiver
// has read it.
struct Box {
  std::atomic<int> full;
  Heading heading;
  size_t bytes;
  char contents[kCapacity];
};

class CommunicatorGroup {
 public:
  static constexpr int kMaxRanks = 16;

  // Opens the shared memory in a file, which is created if necessary. Returns null if other ranks use it with another
  // number of ranks.
  static std::shared_ptr<CommunicatorGroup> named(const char* path, int ranks);
  static std::shared_ptr<CommunicatorGroup> within_process(int ranks);  // within this process
  ~CommunicatorGroup();
  CommunicatorGroup(const CommunicatorGroup&) = delete;

  int size() const { return ranks_; }
  bool join(int rank, int device);  // returns false if the rank is already taken
  bool complete() const;
  bool has_a_device_twice() const;
  Box& box(int from, int to) const { return boxes_[from * ranks_ + to]; }

 private:
  struct Members {
    std::atomic<int> ranks;
    std::atomic<int> devices[kMaxRanks];  // device number plus one for each rank that has joined, else 0
  };
  explicit CommunicatorGroup(int ranks) : ranks_(ranks) {}
  void map(int file);

  int ranks_;
  Members* members_ = nullptr;
  Box* boxes_ = nullptr;
};

}  // namespace emulated
