// Classification losses for logits (batch, classes, inner) and labels (batch, inner). A module invokes
// FLAMBEAU_LOSSES(T), which defines the kernels
//
//   pick                the loss and the weight of each label. The loss is the negative log-likelihood or, with
//                       `logarithms`, the cross-entropy
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

  // The label of a sample at one position along `inner`, with the values that the gradients of all scores at this
  // position need.
  struct Label {
    int64_t label;
    T factor, logarithm;
    bool ignored;
  };

  // One block processes kLossElements scores of one sample, or of several small samples.
  template <bool softmax>
  static void gradient(const LossArguments& a) {
    const int64_t step = a.classes * a.inner;
    if (step < kLossElements) return gradient_of_samples<softmax>(a, step);
    const int64_t blocks = (step + kLossElements - 1) / kLossElements;
    const int64_t sample = blockIdx.x / blocks, first = blockIdx.x % blocks * kLossElements;
    const int64_t end = first + kLossElements < step ? first + kLossElements : step;
    if (a.inner == 1) {
      const Label label = label_at<softmax>(a, sample);
      return each_score<softmax, 8>(a, sample * step + first, int(end - first),
                                    [&](int e, T score) { return gradient_of<softmax>(label, first + e, score); });
    }
    each_score<softmax, 1>(a, sample * step + first, int(end - first), [&](int e, T score) {
      const int64_t label_class = (first + e) / a.inner, i = sample * a.inner + (first + e - label_class * a.inner);
      return gradient_of<softmax>(label_at<softmax>(a, i), label_class, score);
    });
  }

 private:
  // Calls f(index, score) for each of `count` scores and stores the results. A thread loads `together` scores before it
  // stores their results.
  template <bool softmax, int together, class F>
  static void each_score(const LossArguments& a, int64_t start, int count, F f) {
    const T* scores = pointer(a.scores) + start;
    T* out = pointer(a.out) + start;
    const int step = int(blockDim.x);
    for (int at = int(threadIdx.x); at < count; at += together * step) {
      T loaded[together] = {};
      if constexpr (softmax)
#pragma unroll
        for (int j = 0; j < together; ++j)
          if (at + j * step < count) loaded[j] = scores[at + j * step];
#pragma unroll
      for (int j = 0; j < together; ++j)
        if (at + j * step < count) out[at + j * step] = f(at + j * step, loaded[j]);
    }
  }
  template <bool softmax>
  static void gradient_of_samples(const LossArguments& a, int64_t step) {
    const int64_t count = a.batch * step, first = int64_t(blockIdx.x) * kLossElements;
    for (int64_t at = first + threadIdx.x; at < count && at < first + kLossElements; at += blockDim.x) {
      const int64_t sample = divide(at, a.sample);
      const uint32_t e = uint32_t(at - sample * step), label_class = a.inner == 1 ? e : e / uint32_t(a.inner);
      const Label label = label_at<softmax>(a, sample * a.inner + (e - label_class * uint32_t(a.inner)));
      pointer(a.out)[at] = gradient_of<softmax>(label, label_class, softmax ? pointer(a.scores)[at] : T(0));
    }
  }
  template <bool softmax>
  static Label label_at(const LossArguments& a, int64_t i) {
    const T logarithm = softmax ? pointer(a.logarithms)[i] : T(0);
    return {a.labels[i], pointer(a.factors)[i], logarithm, a.labels[i] == a.ignored};
  }
  template <bool softmax>
  static T gradient_of(const Label& l, int64_t label_class, T score) {
    T term = T(0);
    if constexpr (softmax) term = kernels::FLAMBEAU_ISA::exp(score - l.logarithm) * l.factor;
    return l.ignored ? T(0) : term - (l.label == label_class ? l.factor : T(0));
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_LOSSES(T)                                                                                        \
  FLAMBEAU_KERNEL(pick, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::pick(a); }                    \
  FLAMBEAU_KERNEL(nll_gradient, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::gradient<false>(a); } \
  FLAMBEAU_KERNEL(softmax_gradient, flambeau::cuda::LossArguments) { flambeau::cuda::Losses<T>::gradient<true>(a); }
