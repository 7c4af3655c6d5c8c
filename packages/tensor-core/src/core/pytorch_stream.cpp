// Random words of PyTorch's generators. Note [PyTorch's streams]
#include "flambeau/pytorch_stream.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "flambeau/errors.h"
#include "kernels/twister_table.h"

namespace flambeau {

namespace {

// Layout of the saved state of PyTorch's CPU generator; the padding is 0.
struct SavedStream {
  uint64_t seed;
  // left: the number of remaining words of this state plus one, because PyTorch decrements it before a draw.
  int32_t left, seeded;
  uint64_t next;
  uint64_t words[PyTorchStream::kWords];
  double unused_x, next_normal, unused_rho;
  int32_t has_next_normal, padding;
  float next_float_normal;
  uint8_t has_next_float_normal, more_padding[3];
};
static_assert(sizeof(SavedStream) == PyTorchStream::kStateBytes);

}  // namespace

PyTorchStream::PyTorchStream(uint64_t seed) : seed_(seed) {
  state_[0] = uint32_t(seed);
  for (uint32_t i = 1; i < kWords; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

PyTorchStream::PyTorchStream(const PyTorchStream& other) {
  const std::lock_guard lock(other.mutex_);
  seed_ = other.seed_;
  std::copy_n(other.state_, kWords, state_);
  std::copy_n(other.tempered_, kWords, tempered_);
  left_ = other.left_;
  fresh_ = other.fresh_;
  next_normal_ = other.next_normal_;
  next_float_normal_ = other.next_float_normal_;
}

void PyTorchStream::refill() {
  const kernels::TwisterTable& table = kernels::twister_table();
  table.twist(state_);
  table.temper(tempered_, state_, kWords);
  left_ = kWords;
  fresh_ = false;
}

void PyTorchStream::fill(uint32_t* words, int64_t n) {
  const std::lock_guard lock(mutex_);
  while (n > 0) {
    if (left_ == 0) refill();
    const int count = int(std::min<int64_t>(left_, n));
    std::copy_n(tempered_ + kWords - left_, count, words);
    left_ -= count;
    words += count;
    n -= count;
  }
}

// The method of Box and Muller (1958) gives two normal numbers. The second one is kept for the next call.
double PyTorchStream::Draws::normal() {
  std::optional<double>& next = stream_.next_normal_;
  if (next) {
    const double value = *next;
    next.reset();
    return value;
  }
  const double fraction = uniform(), radius = std::sqrt(-2.0 * std::log1p(-uniform())),
               angle = 6.283185307179586 * fraction;
  next = radius * std::sin(angle);
  return radius * std::cos(angle);
}

void PyTorchStream::save(char* bytes) const {
  const std::lock_guard lock(mutex_);
  SavedStream saved{};
  saved.seed = seed_;
  saved.left = fresh_ ? 1 : left_ + 1;
  saved.seeded = 1;
  saved.next = fresh_ ? 0 : uint64_t(kWords - left_);
  std::copy_n(state_, kWords, saved.words);
  saved.has_next_normal = next_normal_.has_value();
  saved.next_normal = next_normal_.value_or(0);
  saved.has_next_float_normal = next_float_normal_.has_value();
  saved.next_float_normal = next_float_normal_.value_or(0);
  std::memcpy(bytes, &saved, sizeof(saved));
}

void PyTorchStream::restore(const char* bytes) {
  SavedStream saved;
  std::memcpy(&saved, bytes, sizeof(saved));
  const bool is_fresh = saved.left == 1 && saved.next == 0;
  require(saved.seeded == 1 && saved.left >= 1 && saved.left <= kWords && saved.next <= kWords &&
              (is_fresh || uint64_t(saved.left) == kWords + 1 - saved.next),
          "Invalid mt19937 state");
  const std::lock_guard lock(mutex_);
  seed_ = saved.seed;
  fresh_ = is_fresh;
  left_ = saved.left - 1;
  std::transform(saved.words, saved.words + kWords, state_, [](uint64_t word) { return uint32_t(word); });
  kernels::twister_table().temper(tempered_, state_, kWords);
  next_normal_ = saved.has_next_normal ? std::optional(saved.next_normal) : std::nullopt;
  next_float_normal_ = saved.has_next_float_normal ? std::optional(saved.next_float_normal) : std::nullopt;
}

}  // namespace flambeau
