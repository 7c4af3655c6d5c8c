// Checks and layouts of logits, labels and class weights, for losses. Internal.
#pragma once

#include "cuda/operators.h"
#include "flambeau/operators/networks.h"

namespace flambeau {

// Returns the dimension of the classes in scores of the shape (C,) or (N, C, ...)
inline int64_t dim_of_classes(const Tensor& scores) { return scores.dim() == 1 ? 0 : 1; }
// Raises NotImplementedError unless the scores are floating-point, with a hint if input and target look swapped.
void check_floating_scores(const Tensor& input, const Tensor& target, const char* name);
void check_classes(const Tensor& input, const Tensor& target, int64_t ignore_index, const char* name);
void check_weight(const Tensor& weight, int64_t classes);
// Returns true if the target of a single sample (C,) is given as a vector of one element.
bool is_vector_of_one(const Tensor& input, const Tensor& target);

// Logits (N, C, ...) and their labels, one for each inner index of a sample.
struct Labelled {
  int64_t batch, classes, inner;
  Tensor labels, weights;  // labels: int64. weights: in the scores' dtype, 0 for an ignored label
  Tensor of_class;         // on a GPU, where a kernel computes the weights from these

  Labelled(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index, Dtype type);
  // Returns a copy with the labels that the graph has saved, because the caller may have changed the original labels.
  Labelled with(const Tensor& saved, int64_t ignore_index) const;
  cuda::ClassScores gpu_scores(int64_t ignore_index) const { return {batch, classes, inner, ignore_index, labels}; }
  // Calls f(i, position of label i among the scores) for the labels of the samples [begin, end). For an ignored label
  // the position is that of class 0.
  template <class F>
  FLAMBEAU_INLINE void each(int64_t begin, int64_t end, int64_t ignore_index, F&& f) const {
    const int64_t* all = labels.data<int64_t>();
    for (int64_t n = begin; n < end; ++n)
      for (int64_t i = n * inner, at = n * classes * inner; i < (n + 1) * inner; ++i, ++at)
        f(i, at + (all[i] == ignore_index ? 0 : all[i]) * inner);
  }
};

// Returns the weight of each label's class.
Tensor weights_of(const Tensor& labels, const Tensor& weight);
Tensor reduced(const Tensor& losses, Reduction reduction);
double total_of(const Tensor& t);
// Returns a loss on the meta device, from log-probabilities: its shape and graph, without the labels' values.
Tensor loss_on_meta(const Tensor& logarithms, const Tensor& target, Reduction reduction);

}  // namespace flambeau
