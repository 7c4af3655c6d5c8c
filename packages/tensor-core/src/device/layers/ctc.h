// Connectionist temporal classification: Note [CTC] in operators/losses/ctc_loss.cpp. A module invokes
// FLAMBEAU_CTC(T), which defines the kernels
//
//   alpha       log-probabilities of the paths up to each state, the losses, and `chains`; one block per sequence
//   beta        log-probabilities of the paths from each state on; one block per sequence
//   gradient    one block per time step of a sequence
#pragma once

#include "device/layers/ctc_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/teams.h"
#include "flambeau/kernels/math.h"

namespace flambeau::cuda {

struct CtcSum {
  template <class T>
  static T join(T x, T y) {
    return x + y;
  }
};

template <class T>
struct Ctc {
  const CtcArguments& a;
  const int64_t sequence, states, times;

  Ctc(const CtcArguments& arguments, int64_t n)
      : a(arguments), sequence(n), states(2 * arguments.labels[n] + 1), times(arguments.times[n]) {}

  static T log_zero() { return -T(INFINITY); }
  int64_t label(int64_t s) const {
    return s % 2 ? checked_index(a.reporter, a.targets[a.first[sequence] + s / 2], a.classes, false) : a.blank;
  }
  const T* logs(int64_t t) const { return static_cast<const T*>(a.logs) + (t * a.batch + sequence) * a.classes; }
  T* row(void* ways, int64_t t) const { return static_cast<T*>(ways) + (sequence * a.steps + t) * a.states; }
  int32_t* chain(int64_t i) const { return a.chains + (sequence * a.states + i) * 2; }

  static T log_add(T x, T y, T z) {
    using namespace kernels::FLAMBEAU_ISA;
    const T larger = x > y ? x : y, largest = larger > z ? larger : z;
    if (largest == log_zero()) return log_zero();
    return largest + T(log(T(exp(x - largest)) + T(exp(y - largest)) + T(exp(z - largest))));
  }

  // Computes the logarithms of the path probabilities, from the first step and state on or, if `backwards`, from the
  // last step and state on.
  template <bool backwards>
  void walk(void* ways) const {
    constexpr int64_t back = backwards ? 1 : -1;
    for (int64_t step = 0; step < times; ++step) {
      const int64_t t = backwards ? times - 1 - step : step;
      T* now = row(ways, t);
      const T *own = logs(t), *before = row(ways, step ? t + back : t);
      for (int64_t r = threadIdx.x; r < states; r += kCtcThreads) {
        const int64_t s = backwards ? states - 1 - r : r, mine = label(s);
        if (step == 0) {
          now[s] = r < 2 ? own[mine] : log_zero();
          continue;
        }
        const bool skips = s % 2 && r >= 2 && mine != label(s + 2 * back);
        const T ways_here =
            log_add(before[s], r >= 1 ? before[s + back] : log_zero(), skips ? before[s + 2 * back] : log_zero());
        now[s] = ways_here == log_zero() ? ways_here : ways_here + own[mine];
      }
      __syncthreads();
    }
  }

  void find_chains() const {
    const int64_t count = states / 2;
    for (int64_t i = threadIdx.x; i < count; i += kCtcThreads) {
      const int64_t mine = label(2 * i + 1);
      int64_t next = i + 1, former = i - 1;
      while (next < count && label(2 * next + 1) != mine) ++next;
      while (former >= 0 && label(2 * former + 1) != mine) --former;
      chain(i)[0] = next < count ? int32_t(next) : -1;
      chain(i)[1] = former < 0;
    }
  }

  T loss() const {
    if (times == 0) return states == 1 ? T(0) : -log_zero();
    const T* last = row(a.alpha, times - 1);  // a path ends with the last label or the blank after it
    const T all = log_add(last[states - 1], states > 1 ? last[states - 2] : log_zero(), log_zero());
    return -all;
  }

  void gradient(int64_t t) const {
    using namespace kernels::FLAMBEAU_ISA;
    const T of_loss = static_cast<const T*>(a.losses)[sequence], scale = static_cast<const T*>(a.scale)[sequence];
    const bool infinite = of_loss == -log_zero();
    const T *from = logs(t), *ways_to = row(a.alpha, t);
    T *to = static_cast<T*>(a.grad) + (from - static_cast<const T*>(a.logs)), *shares = row(a.beta, t);
    const bool nothing = t >= times || (infinite && a.zero_infinity);
    for (int64_t c = threadIdx.x; c < a.classes; c += kCtcThreads)
      to[c] = nothing ? T(0) : infinite ? T(NAN) : T(exp(from[c])) * scale;
    if (nothing || infinite) return;
    T of_blank(0);
    for (int64_t s = threadIdx.x; s < states; s += kCtcThreads) {
      const T way = ways_to[s] + shares[s];
      const int64_t mine = label(s);
      shares[s] = way == log_zero() ? T(0) : T(exp(way + of_loss - from[mine]));
      if (mine == a.blank) of_blank += shares[s];
    }
    of_blank = join_block<CtcSum, kCtcThreads>(of_blank);  // the barrier in join_block makes all shares visible
    if (threadIdx.x == 0) to[a.blank] -= of_blank * scale;
    for (int64_t i = threadIdx.x; i < states / 2; i += kCtcThreads) {
      const int64_t mine = label(2 * i + 1);
      if (mine == a.blank || !chain(i)[1]) continue;
      T total(0);
      for (int64_t j = i; j >= 0; j = chain(j)[0]) total += shares[2 * j + 1];
      to[mine] -= total * scale;
    }
  }
};

template <class T>
void ctc_alpha(const CtcArguments& a) {
  const Ctc<T> ctc(a, blockIdx.x);
  ctc.find_chains();
  ctc.template walk<false>(a.alpha);
  if (threadIdx.x == 0) static_cast<T*>(a.losses)[blockIdx.x] = ctc.loss();
}
template <class T>
void ctc_beta(const CtcArguments& a) {
  Ctc<T>(a, blockIdx.x).template walk<true>(a.beta);
}
template <class T>
void ctc_gradient(const CtcArguments& a) {
  Ctc<T>(a, blockIdx.x % a.batch).gradient(blockIdx.x / a.batch);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_CTC(T)                                                                                      \
  FLAMBEAU_COOPERATIVE_KERNEL(alpha, flambeau::cuda::CtcArguments, 256) { flambeau::cuda::ctc_alpha<T>(a); } \
  FLAMBEAU_COOPERATIVE_KERNEL(beta, flambeau::cuda::CtcArguments, 256) { flambeau::cuda::ctc_beta<T>(a); }   \
  FLAMBEAU_COOPERATIVE_KERNEL(gradient, flambeau::cuda::CtcArguments, 256) { flambeau::cuda::ctc_gradient<T>(a); }
