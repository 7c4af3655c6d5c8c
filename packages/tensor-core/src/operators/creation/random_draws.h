// Generation of random words, and fills with numbers made from them: by Philox on the CPU or on a GPU, or by PyTorch's
// generator.
#pragma once

#include <algorithm>
#include <limits>

#include "cuda/random.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"
#include "operators/random/pytorch_order.h"

namespace flambeau::drawing {

inline constexpr int64_t kGroups = 16;
inline constexpr int64_t kWords = kGroups * kernels::kGroup;

// Returns the number of groups by which n elements advance the stream. It is a multiple of kGroups.
inline int64_t groups_for(int64_t n, int64_t words_each) {
  const int64_t chunk = kWords / words_each;
  return (n + chunk - 1) / chunk * kGroups;
}

// Calls block(words, first, count) for blocks of the elements [0, n). `first` is the index of the block's first
// element. `words_each` is the number of words for one element.
template <class F>
void draw(int64_t n, int64_t words_each, Generator* generator, F&& block) {
  const int64_t chunk = kWords / words_each, chunks = (n + chunk - 1) / chunk;
  Generator& g = generator ? *generator : default_generator();
  const uint64_t seed = g.seed(), offset = g.reserve(groups_for(n, words_each));
  parallel_items(chunks, 16, [&](int64_t begin, int64_t end) {
    alignas(64) uint32_t words[kWords];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t count = std::min(chunk, n - i * chunk);
      const int64_t groups = (count * words_each + kernels::kGroup - 1) / kernels::kGroup;
      kernels::table().random_bits(words, groups, seed, offset + uint64_t(i * kGroups));
      block(words, i * chunk, count);
    }
  });
}

// Runs body(tensor) on contiguous memory: on `target` itself, or on a buffer that is copied to it afterwards.
template <class F>
void on_contiguous(const Tensor& target, F&& body) {
  const Tensor buffer = target.is_contiguous() ? target : empty(target.shape(), target.dtype());
  body(buffer);
  if (!buffer.same(target)) copy_values(target, buffer);
}

// Fills `t` in place. If the generator is compatible with PyTorch, calls from_stream(tensor, stream), which fills a
// tensor in memory order. Otherwise calls body(tensor).
template <class Stream, class F>
void in_place(const Tensor& t, const char* name, const char* node, Generator* generator, Stream&& from_stream,
              F&& body) {
  begin_inplace(t, name);
  if (!t.is_meta()) {
    if (PyTorchStream* const stream = pytorch::stream_for(t, generator))
      on_contiguous(t.is_contiguous() ? t : permute(detach(t), pytorch::memory_order(t)),
                    [&](const Tensor& out) { from_stream(out, *stream); });
    else
      on_contiguous(t, body);
  }
  forget_history(t, node);
}

inline uint64_t uint64_of(const uint32_t* words) { return uint64_t(words[0]) << 32 | words[1]; }
inline double unit(const uint32_t* words) { return double(uint64_of(words) >> 11) * 0x1p-53; }  // uniform in [0, 1)

// Fills a tensor on a GPU with random numbers. Each number is computed from `words` random words.
inline void draw_on_gpu(cuda::Distribution kind, const Tensor& out, int64_t words, Generator* generator,
                        std::initializer_list<double> numbers, uint64_t threshold = 0, uint64_t range = 0,
                        const Tensor& in = {}) {
  const cuda::DrawPosition drawn = cuda::take_groups(generator, groups_for(out.numel(), words), out);
  cuda::draw(kind, out, in, words, drawn, numbers, threshold, range);
}

// The largest finite number of a dtype, and `digits`, the largest d for which the dtype represents all integers up to
// 2**d.
struct DtypeLimits {
  double largest;
  int digits;
};
inline DtypeLimits dtype_limits(Dtype d) {
  if (d == Dtype::float16) return {65504.0, 11};
  if (d == Dtype::bfloat16) return {0x1.FEp127, 8};
  return d == Dtype::float32 ? DtypeLimits{std::numeric_limits<float>::max(), 24}
                             : DtypeLimits{std::numeric_limits<double>::max(), 53};
}

}  // namespace flambeau::drawing
