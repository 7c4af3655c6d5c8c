// The order in which blocks and the threads of a block run: FLAMBEAU_EMULATED_ORDER=forward, reverse or random (with
// FLAMBEAU_EMULATED_SEED). If the result of a kernel depends on the order, a barrier is missing.
#pragma once

#include <cstdlib>
#include <numeric>
#include <string_view>

namespace emulated {

// A permutation of 0 ... size - 1 that needs no memory: i -> (i * stride + offset) mod size.
class Order {
 public:
  explicit Order(unsigned long long size) : size_(size) {
    const char* text = std::getenv("FLAMBEAU_EMULATED_ORDER");
    const std::string_view order = text ? text : "forward";
    if (order == "reverse") {
      stride_ = size - 1;
      offset_ = size - 1;
    } else if (order == "random") {
      offset_ = random() % size;
      do stride_ = random() % size + 1;
      while (std::gcd(stride_, size) != 1);
    }
  }
  unsigned long long size() const { return size_; }
  unsigned long long operator[](unsigned long long i) const {
    return (unsigned long long)(((unsigned __int128)i * stride_ + offset_) % size_);
  }

 private:
  unsigned long long size_, stride_ = 1, offset_ = 0;

  static unsigned long long random() {
    static unsigned long long state = [] {
      const char* seed = std::getenv("FLAMBEAU_EMULATED_SEED");
      return seed ? std::strtoull(seed, nullptr, 10) : 0;
    }();
    state += 0x9E3779B97F4A7C15;  // splitmix64
    unsigned long long z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }
};

}  // namespace emulated
