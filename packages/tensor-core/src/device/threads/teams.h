// Threads that compute one result together: a group of lanes of a warp, or a block. They combine values in a fixed
// order.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

namespace flambeau::cuda {

inline constexpr int kTeam = 256;  // threads in a block

// Applies exchange(word) to the parts of a value, because lanes can exchange only numbers of four or eight bytes.
template <class T, class Exchange>
inline T exchanged(T value, Exchange exchange) {
  if constexpr (std::is_arithmetic_v<T> && sizeof(T) >= 4)
    return exchange(value);
  else if constexpr (std::is_arithmetic_v<T>)
    return T(exchange(int(value)));
  else {
    static_assert(sizeof(T) % 4 == 0);
    uint32_t words[sizeof(T) / 4];
    std::memcpy(words, &value, sizeof value);
#pragma unroll
    for (uint32_t& word : words) word = exchange(word);
    std::memcpy(&value, words, sizeof value);
    return value;
  }
}
// These functions return the value of another lane: of_lane() of the lane whose number differs in the given bits;
// of_lower_lane() of the lane that is `steps` lower, or the lane's own value if that lane does not exist; and
// of_lane_number() of the lane with the given number. All lanes of the warp must take part.
template <class T>
inline T of_lane(T value, int bits) {
  return exchanged(value, [=](auto word) { return __shfl_xor_sync(~0u, word, bits); });
}
template <class T>
inline T of_lower_lane(T value, int steps) {
  return exchanged(value, [=](auto word) { return __shfl_up_sync(~0u, word, unsigned(steps)); });
}
template <class T>
inline T of_lane_number(T value, int lane) {
  return exchanged(value, [=](auto word) { return __shfl_sync(~0u, word, lane); });
}

// Combines the states of `lanes` adjacent threads. `lanes` is a power of two up to 32.
template <class Op, class State>
inline State join_lanes(State state, int lanes) {
  for (int bits = 1; bits < lanes; bits *= 2) state = Op::join(state, of_lane(state, bits));
  return state;
}

// Combines the states of all threads of a block and returns the result to each thread. The number of threads is 32
// times a power of two.
template <class Op, int threads, class State>
inline State join_block(State state) {
  constexpr int kWarps = threads / 32;
  static_assert((kWarps & (kWarps - 1)) == 0);
  __shared__ State parts[kWarps];
  state = join_lanes<Op>(state, 32);
  __syncthreads();  // all reads of the previous contents are complete
  const int lane = int(threadIdx.x) % 32;
  if (lane == 0) parts[threadIdx.x / 32] = state;
  __syncthreads();
  return of_lane_number(join_lanes<Op>(parts[lane % kWarps], kWarps), 0);
}

// Like join_block(), for blocks of up to 1024 threads. The number of threads is a multiple of 32. A kernel may call
// this only once.
template <class Op, class State>
inline State join_block_once(State state) {
  __shared__ State parts[32];
  state = join_lanes<Op>(state, 32);
  const int lane = int(threadIdx.x) % 32;
  if (lane == 0) parts[threadIdx.x / 32] = state;
  __syncthreads();
  return join_lanes<Op>(lane < int(blockDim.x / 32) ? parts[lane] : Op::template identity<State>(), 32);
}

// Hides the origin of a value that stays in registers from the compiler. The compiler then computes dependent values
// again instead of keeping them in more registers.
template <class T>
inline void keep_in_registers(T& value) {
#ifndef FLAMBEAU_EMULATED
  uint32_t words[sizeof(T) / 4];
  std::memcpy(words, &value, sizeof value);
#pragma unroll
  for (uint32_t& word : words) asm volatile("" : "+r"(word));
  std::memcpy(&value, words, sizeof value);
#endif
}

// 16 bytes of elements, which are read or written at once if their address is aligned.
template <class T>
struct alignas(16) Pack {
  static constexpr int kWidth = 16 / int(sizeof(T));
  T values[kWidth];
};
inline bool is_aligned(const void* address) { return reinterpret_cast<uintptr_t>(address) % 16 == 0; }
template <class T>
inline Pack<T> load(const T* from, bool aligned) {
  if (aligned) return *reinterpret_cast<const Pack<T>*>(from);
  Pack<T> pack;
#pragma unroll
  for (int j = 0; j < Pack<T>::kWidth; ++j) pack.values[j] = from[j];
  return pack;
}
template <class T>
inline void store(T* to, const Pack<T>& pack, bool aligned) {
  if (aligned) {
    *reinterpret_cast<Pack<T>*>(to) = pack;
    return;
  }
#pragma unroll
  for (int j = 0; j < Pack<T>::kWidth; ++j) to[j] = pack.values[j];
}

}  // namespace flambeau::cuda
