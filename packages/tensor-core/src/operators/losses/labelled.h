// Logits with labels and class weights: checks and layouts for losses.
#pragma once

#include "cuda/operators.h"
#include "flambeau/operators/networks.h"

namespace flambeau {

// Returns the dimension of the classes, for scores of shape (C,) or (N, C, ...).
inline int64_t dim_of_classes(const Tensor& scores) { return scores.dim() == 1 ? 0 : 1; }
// Raises NotImplementedError unless the scores are floating-point, with a hint if input and target look swapped.
void check_floating_scores(const Tensor& input, const Tensor& target, const char* name);
void check_classes(const Tensor& input, const Tensor& target, int64_t ignore_index, const char* name);
void check_weight(const Tensor& weight, int64_t classes);
// Returns true if the scores (C,) belong to a single sample and the target is a vector of one element.
bool is_vector_of_one(const Tensor& input, const Tensor& target);

// The sizes of scores (N, C, ...) and their labels. A sample has a label for each of its `inner` positions.
struct LabelledScores {
  int64_t batch, classes, inner;
  Tensor labels, weights;  // labels: int64; weights: one per label, in the dtype of the scores; 0 for ignored labels
  Tensor of_class;         // weights of the classes; defined only on a GPU, where a kernel computes `weights` from them

  LabelledScores(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index, Dtype type);
  // Returns a copy with the labels `saved`, which the graph has saved, because the caller may have changed the original
  // labels.
  LabelledScores with(const Tensor& saved, int64_t ignore_index) const;
  cuda::ClassScores gpu_scores(int64_t ignore_index) const { return {batch, classes, inner, ignore_index, labels}; }
  // Calls f(i, position of the score of label i) for the labels of the samples [begin, end). For an ignored label, the
  // position is the one of class 0.
  template <class F>
  FLAMBEAU_INLINE void each(int64_t begin, int64_t end, int64_t ignore_index, F&& f) const {
    const int64_t* all = labels.data<int64_t>();
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = n * inner, at = n * classes * inner; i < (n + 1) * inner; ++i, ++at)
        f(i, at + (all[i] == ignore_index ? 0 : all[i]) * inner);
  }
};

// Returns, for each label, the weight of its class.
Tensor weights_of(const Tensor& labels, const Tensor& weight);
Tensor reduced(const Tensor& losses, Reduction reduction);
double total_of(const Tensor& t);
// Returns the loss on the meta device, computed from log-probabilities. It has a shape and a graph, and does not depend
// on the values of the labels.
Tensor loss_on_meta(const Tensor& logarithms, const Tensor& target, Reduction reduction);

}  // namespace flambeau
