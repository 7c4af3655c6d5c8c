// Merges the attention results of several parts of the keys. One block merges one query. Parts are added in a fixed
// order. A module invokes FLAMBEAU_ATTENTION_JOIN(T).
#pragma once

#include <cmath>

#include "device/elementwise/halves.h"
#include "device/layers/attention_arguments.h"
#include "device/linalg/pivots.h"
#include "device/threads/kernel.h"

namespace flambeau::cuda {

template <class T>
struct AttentionJoin {
  using V = std::conditional_t<std::is_same_v<T, double>, double, float>;
  static constexpr int kThreads = 256, kWarps = kThreads / 32;

  static void join(const AttentionJoinArguments& a) {
    __shared__ V room[kWarps][32];
    const int64_t row = blockIdx.x, batch = row / a.queries, query = row % a.queries;
    const auto row_of = [&](int64_t part) { return (batch * a.parts + part) * a.queries + query; };
    const auto logarithm = [&](int64_t part) { return reinterpret_cast<const V*>(a.part_logarithms)[row_of(part)]; };
    V most = -V(INFINITY), total = V(0);
    for (int64_t p = threadIdx.x; p < a.parts; p += kThreads) most = Larger::join(most, logarithm(p));
    most = join_block<Larger, kThreads>(most);
    const V from = most == -V(INFINITY) ? V(0) : most;
    for (int64_t p = threadIdx.x; p < a.parts; p += kThreads) total += exp(logarithm(p) - from);
    total = join_block<Plus, kThreads>(total);
    const V scale = total == V(0) ? V(0) : V(1) / total;
    const int lane = int(threadIdx.x) % 32, warp = int(threadIdx.x) / 32;
    for (int64_t column = lane; column - lane < a.width; column += 32) {
      V sum = V(0);
      if (column < a.width)
        for (int64_t p = warp; p < a.parts; p += kWarps)
          sum += exp(logarithm(p) - from) * reinterpret_cast<const V*>(a.results)[row_of(p) * a.width + column];
      __syncthreads();  // all reads of the previous contents are complete
      room[warp][lane] = sum;
      __syncthreads();
      if (warp != 0 || column >= a.width) continue;
      for (int w = 1; w < kWarps; ++w) sum += room[w][lane];
      reinterpret_cast<T*>(a.out)[row * a.width + column] = convert<T>(sum * scale);
    }
    if (threadIdx.x == 0) reinterpret_cast<V*>(a.logarithms)[row] = most + log(total);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_ATTENTION_JOIN(T)                                                 \
  FLAMBEAU_COOPERATIVE_KERNEL(join, flambeau::cuda::AttentionJoinArguments, 256) { \
    flambeau::cuda::AttentionJoin<T>::join(a);                                     \
  }
