// Philox 4x32-10, one counter at a time: a stream for an element that needs an unknown number of random numbers.
#pragma once

#include <cmath>
#include <cstdint>

namespace flambeau::kernels {

// Note [Element streams]
// A Philox counter has 128 bits. Kernels that fill tensors use its lower half and leave the upper half at 0. The upper
// half is e + 1 in the stream of element e. The lower half counts from the first of the kStreamGroups groups that the
// call reserved. Therefore no two streams use the same counter.
inline constexpr int64_t kStreamGroups = 1 << 16;

class ElementStream {
 public:
  ElementStream(uint64_t seed, uint64_t offset, uint64_t element)
      : seed_(seed), counter_(offset * 16), element_(element + 1) {}

  double uniform() {  // the centre of one of 2**52 intervals of (0, 1)
    const uint64_t high = word(), low = word();
    return (double((high << 32 | low) >> 12) + 0.5) * 0x1p-52;
  }

  // A normal number (Box and Muller 1958) and a uniform number from only four words, for rejection sampling: 52 bits
  // for the radius, 32 for the angle and 32 for the uniform number.
  struct Trial {
    double normal, uniform;
  };
  Trial trial() {
    const double radius = std::sqrt(-2 * std::log(uniform())), turn = short_uniform();
    return {radius * std::cos(6.283185307179586 * turn), short_uniform()};
  }

 private:
  double short_uniform() { return (double(word()) + 0.5) * 0x1p-32; }
  uint32_t word() {
    if (left_ == 0) refill();
    return words_[--left_];
  }
  void refill() {
    uint32_t c0 = uint32_t(counter_), c1 = uint32_t(counter_ >> 32), c2 = uint32_t(element_),
             c3 = uint32_t(element_ >> 32), k0 = uint32_t(seed_), k1 = uint32_t(seed_ >> 32);
    for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
      const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
      c0 = uint32_t(p1 >> 32) ^ c1 ^ k0;
      c2 = uint32_t(p0 >> 32) ^ c3 ^ k1;
      c1 = uint32_t(p1);
      c3 = uint32_t(p0);
    }
    words_[0] = c0, words_[1] = c1, words_[2] = c2, words_[3] = c3;
    ++counter_;
    left_ = 4;
  }

  uint64_t seed_, counter_, element_;
  uint32_t words_[4] = {};
  int left_ = 0;
};

}  // namespace flambeau::kernels
