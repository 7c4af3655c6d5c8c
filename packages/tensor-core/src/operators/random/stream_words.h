// Random words for fills from PyTorch's generators. The words are taken in order by one thread, and several threads may
// convert them.
#pragma once

#include <algorithm>
#include <memory>

#include "flambeau/dtype.h"
#include "flambeau/interpreter.h"
#include "flambeau/parallel.h"
#include "flambeau/pytorch_stream.h"

namespace flambeau::pytorch {

inline constexpr int64_t kFewWords = 2048;  // maximum number of words that are stored on the stack
inline constexpr int64_t kManyWords = 32768;
// Grain for elements whose computation needs a logarithm or a similar function in float64.
inline constexpr int64_t kHeavyGrain = 256;
inline constexpr int64_t kLightGrain = kManyWords;

// Calls block(words, first, count) for ranges of the elements [0, n). `first` is the index of the range's first
// element. `each` is the number of words for one element. Uses several threads if there are more than `grain` elements.
template <class F>
void draw(PyTorchStream& stream, int64_t n, int64_t each, int64_t grain, F&& block) {
  alignas(64) uint32_t few[kFewWords];
  if (n * each <= kFewWords) {
    stream.fill(few, n * each);
    return block(static_cast<const uint32_t*>(few), int64_t(0), n);
  }
  const std::unique_ptr<uint32_t[]> many(new uint32_t[kManyWords]);
  uint32_t* const words = many.get();
  const int64_t chunk = kManyWords / each;
  const GilRelease release;
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t count = std::min(chunk, n - first);
    stream.fill(words, count * each);
    parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      block(static_cast<const uint32_t*>(words + begin * each), first + begin, end - begin);
    });
  }
}

// Converts a number as PyTorch does: to half precision via float32.
template <class T>
T narrowed(double value) {
  if constexpr (std::is_floating_point_v<T>)
    return T(value);
  else if constexpr (std::is_integral_v<T>)
    return convert<T>(value);
  else
    return convert<T>(float(value));
}

inline uint64_t uint64_of(const uint32_t* words) { return uint64_t(words[0]) << 32 | words[1]; }
inline double uniform53(const uint32_t* words) {
  return double(int64_t(uint64_of(words) & 0x1fffffffffffffull)) * 0x1p-53;
}
inline float uniform24(uint32_t word) { return float(int32_t(word & 0xffffffu)) * 0x1p-24f; }

}  // namespace flambeau::pytorch
