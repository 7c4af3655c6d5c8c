// Random choice of categories with given weights.
#include <algorithm>
#include <numeric>
#include <vector>

#include "core/rare_polls.h"
#include "cuda/random.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/operators/sorting.h"
#include "flambeau/parallel.h"
#include "operators/random/pytorch_order.h"
#include "tasks/sample_errors.h"

namespace flambeau {

namespace {

// Samples by inversion: finds the insertion positions of uniform numbers in the cumulative sums of each row.
void with_replacement(const Tensor& weights, int64_t draws, int64_t* out, Generator* generator) {
  const int64_t rows = weights.shape()[0], categories = weights.shape()[1];
  const Tensor uniform = empty({rows, draws}, Dtype::float64);
  fill_uniform(uniform, 0, 1, generator);
  parallel_items(rows, std::max<int64_t>(1, 4096 / (categories + draws)), [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<size_t>(categories));
    for (int64_t row = begin; row < end; ++row) {
      const double *w = weights.data<double>() + row * categories, *u = uniform.data<double>() + row * draws;
      std::partial_sum(w, w + categories, sums.begin());
      // Rounding can move a number beyond the end; it then selects the last category with a positive weight.
      int64_t last = categories - 1;
      while (last > 0 && w[last] == 0) --last;
      for (int64_t i = 0; i < draws; ++i) {
        const auto at = std::upper_bound(sums.begin(), sums.end(), u[i] * sums.back()) - sums.begin();
        out[row * draws + i] = std::min<int64_t>(at, last);
      }
    }
  });
}

// Writes, for each row, the positions of its largest keys in descending order.
void largest_keys(const Tensor& keys, int64_t draws, int64_t* out) {
  const int64_t rows = keys.shape()[0], categories = keys.shape()[1];
  parallel_items(rows, std::max<int64_t>(1, 1024 / (categories + 1)), [&](int64_t begin, int64_t end) {
    std::vector<int64_t> order(static_cast<size_t>(categories));
    for (int64_t row = begin; row < end; ++row) {
      const double* key = keys.data<double>() + row * categories;
      std::iota(order.begin(), order.end(), 0);
      RarePolls poll;
      const auto larger = [key, &poll](int64_t a, int64_t b) {
        poll();
        return key[a] > key[b] || (key[a] == key[b] && a < b);
      };
      if (draws < categories) std::nth_element(order.begin(), order.begin() + draws, order.end(), larger);
      std::sort(order.begin(), order.begin() + draws, larger);
      std::copy(order.begin(), order.begin() + draws, out + row * draws);
    }
  });
}

// Samples the categories with the largest keys. A key is a weight divided by an exponential random number (Efraimidis
// and Spirakis 2006). If a PyTorch generator supplies these numbers, the keys have the dtype of the weights.
void without_replacement(const Tensor& weights, int64_t draws, int64_t* out, Generator* generator) {
  const Tensor numbers = empty_strided(weights.shape(), strides_like(weights, MemoryFormat::Preserve), weights.dtype());
  fill_exponential(numbers, 1, generator);
  largest_keys(contiguous(to(div(weights, numbers), Dtype::float64)), draws, out);
}

// Samples with or without replacement on a GPU. If weights are invalid, the categories are arbitrary.
Tensor drawn_on_gpu(const Tensor& weights, int64_t draws, bool replacement, Generator* generator) {
  const int64_t rows = weights.size(0), categories = weights.size(1);
  cuda::check_weights(weights);
  if (!replacement) {
    const Tensor keys = empty(weights.shape(), Dtype::float64);
    fill_exponential(keys, 1, generator);
    return topk(weights / keys, draws, 1, true, true).indices;
  }
  const Tensor uniform = empty({rows, draws}, Dtype::float64);
  fill_uniform(uniform, 0, 1, generator);
  const Tensor sums = cumsum(weights, 1, {}), indices = arange(Scalar(0), Scalar(categories), Scalar(1), Dtype::int64);
  const Tensor at = searchsorted(sums, uniform * narrow(sums, 1, categories - 1, 1), true, Tensor(), false);
  return minimum(at, amax(where(gt(weights, Scalar(0)), indices, Scalar(0)), Shape{1}, true));
}

void check_weights(const Tensor& weights) {
  const int64_t categories = weights.shape()[1];
  for (int64_t row = 0; row < weights.shape()[0]; ++row) {
    const double* w = weights.data<double>() + row * categories;
    double sum = 0;
    for (int64_t i = 0; i < categories; ++i) {
      require(kernels::is_weight(w[i]), WrongWeight{row, i, w[i]});
      sum += w[i];
    }
    require(sum > 0, WrongDistribution{row});
  }
}

}  // namespace

Tensor multinomial(const Tensor& weights, int64_t draws, bool replacement, Generator* generator) {
  require(weights.dim() == 1 || weights.dim() == 2, "prob_dist must be 1 or 2 dim, got shape ", weights.shape());
  require(is_floating(weights.dtype()),
          "multinomial only supports floating-point dtypes for input, got: ", weights.dtype());
  require(draws > 0, "cannot sample n_sample <= 0 samples, got ", draws);
  const int64_t categories = weights.shape()[size_t(weights.dim() - 1)];
  require(replacement || draws <= categories,
          "cannot sample n_sample > prob_dist.size(-1) samples without replacement: ", draws, " of ", categories);
  NoRecording off;
  const bool single = weights.dim() == 1;
  const Tensor rows = contiguous(to(single ? unsqueeze(weights, 0) : weights, Dtype::float64));
  if (cuda::runs_on_gpu(rows) && rows.numel() > 0) {
    const Tensor drawn = drawn_on_gpu(rows, draws, replacement, generator);
    return single ? squeeze(drawn, Shape{0}) : drawn;
  }
  check_weights(rows);
  const Tensor out = empty(single ? Shape{draws} : Shape{rows.shape()[0], draws}, Dtype::int64);
  if (!out.numel()) return out;
  if (PyTorchStream* const stream = pytorch::stream_for(weights, generator)) {
    // Pass the weights in their own dtype, because PyTorch rounds quotients and sums to it.
    const Tensor given = single ? unsqueeze(weights, 0) : weights;
    if (replacement && draws > 1)
      pytorch::draw_indices(*stream, contiguous(given), draws, out.data<int64_t>());
    else
      without_replacement(given, draws, out.data<int64_t>(), generator);
    return out;
  }
  (replacement ? with_replacement : without_replacement)(rows, draws, out.data<int64_t>(), generator);
  return out;
}

const Operator multinomial_operator(
    {.signature = "multinomial(input, num_samples, replacement=False, *, generator=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Draw int64 indices with the weights in the rows of input.

Without replacement, the indices are in the order in which they are drawn.
Raises RuntimeError for weights that are negative, not finite, or all 0 in a row.
Source: Efraimidis and Spirakis 2006, for sampling without replacement.)",
     .forward = multinomial});

}  // namespace flambeau
