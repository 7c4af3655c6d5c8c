// Counter-based random numbers (Philox 4x32-10; Salmon et al. 2011): element i of a fill depends on seed, offset and i
// alone, so neither the number of threads nor the instruction set changes a result.
#pragma once

#include "flambeau/tensor.h"

namespace flambeau {

class FLAMBEAU_API Generator {
 public:
  explicit Generator(uint64_t seed) : seed_(seed) {}
  uint64_t seed() const { return seed_; }
  uint64_t offset() const { return offset_; }
  void set_state(uint64_t seed, uint64_t offset) {
    seed_ = seed;
    offset_ = offset;
  }
  uint64_t reserve(int64_t blocks) {  // takes `blocks` counters of four 32-bit words each
    return std::exchange(offset_, offset_ + uint64_t(blocks));
  }

 private:
  uint64_t seed_;
  uint64_t offset_ = 0;
};

FLAMBEAU_API Generator& default_generator();

// In-place fills; `generator` may be null for the default one.
FLAMBEAU_API void fill_uniform(const Tensor& t, double low, double high, Generator* generator);
FLAMBEAU_API void fill_normal(const Tensor& t, double mean, double std, Generator* generator);
FLAMBEAU_API void fill_bernoulli(const Tensor& t, double p, Generator* generator);
FLAMBEAU_API void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator);
FLAMBEAU_API Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator);

}  // namespace flambeau
