// Classification losses for logits (batch, classes, inner) and labels (batch, inner). A module invokes
// FLAMBEAU_LOSSES(T), which defines the kernels
//
//   pick                the loss and the weight of each label: the negative log-likelihood, or with `logarithms` the
//                       cross-entropy
//   nll_gradient        the gradient of the negative log-likelihood
//   softmax_gradient    the gradient of the cross-entropy
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/loss_arguments.h"
#include "device/threads/kernel.h"
#include "device/threads/plane_position.h"
#include "flambeau/kernels/math.h"

namespace flambeau::cuda {

template <class T>
struct Losses {
  static T* pointer(char* p) { return reinterpret_cast<T*>(p); }
  static const T* pointer(const char* p) { return reinterpret_cast<const T*>(p); }

  static void pick(const LossArguments& a) {
    const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= a.batch * a.inner) return;
    const bool ignored = a.labels[i] == a.ignored;
    const int64_t label = ignored ? 0 : checked_index(a.reporter, a.labels[i], a.classes, false);
    const T score = pointer(a.scores)[(i / a.inner * a.classes + label) * a.inner + i % a.inner];
    const T weight = ignored ? T(0) : a.weight ? pointer(a.weight)[label] : T(1);
    pointer(a.weights)[i] = weight;
    pointer(a.out)[i] = ignored ? T(0) : weight * ((a.logarithms ? pointer(a.logarithms)[i] : T(0)) - score);
  }

  // One block processes kLossElements scores, of one sample or of several small ones.
  template <bool softmax>
  static void gradient(const LossArguments& a) {
    const int64_t step = a.classes * a.inner;
    if (step < kLossElements) return gradient_of_samples<softmax>(a, step);
    const int64_t blocks = (step + kLossElements - 1) / kLossElements;
    const int64_t sample = blockIdx.x / blocks, first = blockIdx.x % blocks * kLossElements;
    for (int64_t e = first + threadIdx.x; e < step && e < first + kLossElements; e += blockDim.x)
      gradient_at<softmax>(a, sample, step, e);
  }

 private:
  template <bool softmax>
  static void gradient_of_samples(const LossArguments& a, int64_t step) {
    const int64_t count = a.batch * step, first = int64_t(blockIdx.x) * kLossElements;
    for (int64_t at = first + threadIdx.x; at < count && at < first + kLossElements; at += blockDim.x) {
      const int64_t sample = divide(at, a.sample);
      gradient_at<softmax>(a, sample, step, uint32_t(at - sample * step));
    }
  }
  template <bool softmax, class Index>
  static void gradient_at(const LossArguments& a, int64_t sample, int64_t step, Index e) {
    const Index label_class = a.inner == 1 ? e : e / Index(a.inner);
    const int64_t i = sample * a.inner + (e - label_class * Index(a.inner));
    const T factor = pointer(a.factors)[i], mine = a.labels[i] == label_class ? factor : T(0);
    T term = T(0);
    if constexpr (softmax)
      term = kernels::FLAMBEAU_ISA::exp(pointer(a.scores)[sample * step + e] - pointer(a.logarithms)[i]) * factor;
    pointer(a.out)[sample * step + e] = a.labels[i] == a.ignored ? T(0) : term - mine;
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_LOSSES(T)                                                                                        \
  FLAMBEAU_KERNEL(pick, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::pick(a); }                    \
  FLAMBEAU_KERNEL(nll_gradient, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::gradient<false>(a); } \
  FLAMBEAU_KERNEL(softmax_gradient, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::gradient<true>(a); }
