// The ranks of a clique of the emulated NCCL and what passes between them, in memory that their processes share.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>

namespace emulated {

// What a rank asks for, as it tells the others.
struct Heading {
  int kind, element, op, root;
  size_t count;
  bool operator==(const Heading&) const = default;
};

constexpr size_t kCapacity = size_t(64) << 20;  // bytes that a rank can send another at once

// From one rank to another: empty until the first has filled it, and again when the second has taken what was there.
struct Box {
  std::atomic<int> full;
  Heading heading;
  size_t bytes;
  char contents[kCapacity];
};

class Clique {
 public:
  static constexpr int kMost = 16;

  // That of a file, which the first rank makes; null where others take it for one of another size.
  static std::shared_ptr<Clique> named(const char* path, int ranks);
  static std::shared_ptr<Clique> here(int ranks);  // of this process alone
  ~Clique();
  Clique(const Clique&) = delete;

  int size() const { return ranks_; }
  bool join(int rank, int device);  // whether the rank was free
  bool complete() const;
  bool has_a_device_twice() const;
  Box& box(int from, int to) const { return boxes_[from * ranks_ + to]; }

 private:
  struct Members {
    std::atomic<int> ranks;
    std::atomic<int> devices[kMost];  // and one, of those that have joined
  };
  explicit Clique(int ranks) : ranks_(ranks) {}
  void map(int file);

  int ranks_;
  Members* members_ = nullptr;
  Box* boxes_ = nullptr;
};

}  // namespace emulated
