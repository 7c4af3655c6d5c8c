// The sequential stream of PyTorch's CPU generator: MT19937 (Matsumoto and Nishimura 1998), and the second normal
// number of a pair, which the next call returns. Note [PyTorch's streams]
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>

#include "flambeau/fork_safe_mutex.h"
#include "flambeau/macros.h"

namespace flambeau {

class FLAMBEAU_API PyTorchStream {
 public:
  static constexpr int kWords = 624;
  static constexpr int64_t kStateBytes = 5056;
  explicit PyTorchStream(uint64_t seed);
  PyTorchStream(const PyTorchStream& other);
  PyTorchStream& operator=(const PyTorchStream&) = delete;

  uint64_t seed() const { return seed_; }
  // The state in the layout of PyTorch's torch.get_rng_state(), kStateBytes; restore() raises an error for bytes that
  // are not such a state.
  void save(char* bytes) const;
  void restore(const char* bytes);

  // Stores the next n words. Do not hold a lock that another thread may need to finish its own call.
  void fill(uint32_t* words, int64_t n);

  // Draws numbers one by one. Other threads that use the stream wait until this object is destroyed.
  class FLAMBEAU_API Draws {
   public:
    explicit Draws(PyTorchStream& stream) : stream_(stream), lock_(stream.mutex_) {}
    uint32_t word() {
      if (stream_.left_ == 0) stream_.refill();
      return stream_.tempered_[kWords - stream_.left_--];
    }
    uint64_t wide() {
      const uint64_t high = word();
      return high << 32 | word();
    }
    double uniform() { return double(wide() & ((uint64_t(1) << 53) - 1)) * 0x1p-53; }  // [0, 1)
    double normal();                                                                   // mean 0, deviation 1

   private:
    PyTorchStream& stream_;
    const std::lock_guard<ForkSafeMutex> lock_;
  };

 private:
  void refill();
  mutable ForkSafeMutex mutex_;  // held without the GIL
  uint64_t seed_;
  uint32_t state_[kWords], tempered_[kWords];
  int left_ = 0;       // words that were not read yet
  bool fresh_ = true;  // true if nothing was read after seeding
  std::optional<double> next_normal_;
  std::optional<float> next_float_normal_;  // kept for programs that save it; no operator on the CPU sets it
};

}  // namespace flambeau
