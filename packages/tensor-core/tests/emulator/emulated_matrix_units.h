// Stand-ins for the PTX of device/linalg/matrix_units.h: warp instructions on small matrices, and asynchronous copies
// to shared memory. The assignment of elements to lanes follows the PTX ISA (sections on mma.m16n8k16, mma.m16n8k8,
// ldmatrix and cp.async) and was written independently of the kernels.
#pragma once

namespace emulated {

inline unsigned thread_number() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
inline void meet(SourceLocation location) { emulated_services->warp(WarpOperation::kSynchronize, ~0u, 0, 0, location); }

// Collects the values of all lanes of the warp and calls use() with them.
template <class T, class Use>
inline void exchange(const T& own, SourceLocation location, Use&& use) {
  static T brought[1024 / kWarpSize][kWarpSize];
  T* lanes = brought[thread_number() / kWarpSize];
  lanes[lane()] = own;
  meet(location);
  use(static_cast<const T*>(lanes));
  meet(location);
}

// The position of element `k` in the fragments of mma instructions, with kPerWord elements along k per word. `half` and
// `within` select the word and the element in it, and `lane` the lane in its group of four.
template <int kPerWord>
struct AlongK {
  int half, lane, within;
  explicit AlongK(int k) : half(k / (4 * kPerWord)), lane(k % (4 * kPerWord) / kPerWord), within(k % kPerWord) {}
};

// Computes sums (16 x 8) += left (16 x k) * right (k x 8) with k = 8 * kPerWord. value(word, i) returns element i of a
// word.
template <int kPerWord, class Value>
inline void multiply_accumulate(float (&sums)[4], const unsigned (&left)[4], const unsigned (&right)[2], Value&& value,
                                SourceLocation location) {
  struct Words {
    unsigned left[4], right[2];
  };
  const Words own{{left[0], left[1], left[2], left[3]}, {right[0], right[1]}};
  exchange(own, location, [&](const Words* lanes) {
    for (int i = 0; i < 4; ++i) {
      const int row = int(lane()) / 4 + i / 2 * 8, column = int(lane()) % 4 * 2 + i % 2;
      for (int k = 0; k < 8 * kPerWord; ++k) {
        const AlongK<kPerWord> at(k);
        sums[i] = fmaf(value(lanes[row % 8 * 4 + at.lane].left[row / 8 + 2 * at.half], at.within),
                       value(lanes[column * 4 + at.lane].right[at.half], at.within), sums[i]);
      }
    }
  });
}

// Lane l passes the address of row l % 8 of matrix l / 8; a row has 16 bytes. It is an error if two rows of a matrix
// are in the same banks, because that would be slow on a GPU.
inline void load_matrices(unsigned (&to)[4], const void* row, bool transposed, SourceLocation location) {
  const auto own = reinterpret_cast<unsigned long long>(row);
  if (own % 16) emulated_services->fail(716, "misaligned row of a matrix", location);
  exchange(own, location, [&](const unsigned long long* rows) {
    for (unsigned matrix = 0; matrix < 4; ++matrix) {
      unsigned banks = 0;
      for (unsigned r = 0; r < 8; ++r) banks |= 1u << rows[matrix * 8 + r] / 16 % 8;
      if (banks != 0xff) emulated_services->fail(719, "rows of a matrix lie in the same banks", location);
      const unsigned major = lane() / 4, minor = lane() % 4 * 2;
      const auto element = [&](unsigned r, unsigned c) -> unsigned {
        return reinterpret_cast<const unsigned short*>(rows[matrix * 8 + r])[c];
      };
      to[matrix] = transposed ? element(minor, major) | element(minor + 1, major) << 16
                              : element(major, minor) | element(major, minor + 1) << 16;
    }
  });
}

// Asynchronous copies may happen at any time between their start and the wait for them. Here, odd threads copy at once
// and even threads copy at the wait.
struct Copies {
  struct Copy {
    void* to;
    const void* from;
    bool in_range;
    unsigned group;
    void run() const { in_range ? std::memcpy(to, from, 16) : std::memset(to, 0, 16); }
  };
  static constexpr unsigned kMaxCopies = 256;
  Copy copies[kMaxCopies];
  unsigned first, last, group;
  void wait(unsigned pending) {
    for (; first != last && copies[first % kMaxCopies].group + pending < group; ++first)
      copies[first % kMaxCopies].run();
  }
};
inline Copies& own_copies() {
  static Copies of_thread[1024];
  return of_thread[thread_number()];
}
inline void copy_async(void* to, const void* from, bool in_range, SourceLocation location) {
  if ((reinterpret_cast<unsigned long long>(to) | reinterpret_cast<unsigned long long>(from)) % 16)
    emulated_services->fail(716, "misaligned copy", location);
  Copies& own = own_copies();
  const Copies::Copy copy{to, from, in_range, own.group};
  if (thread_number() % 2) return copy.run();
  if (own.last - own.first == Copies::kMaxCopies)
    emulated_services->fail(719, "too many copies on their way", location);
  own.copies[own.last++ % Copies::kMaxCopies] = copy;
}
inline void commit_copies() { ++own_copies().group; }
inline void wait_for_copies(unsigned pending) { own_copies().wait(pending); }

}  // namespace emulated
