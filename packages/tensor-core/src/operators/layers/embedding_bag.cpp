// embedding_bag: sums, means and maxima over bags of rows of a table, without a tensor of the gathered rows.
#include <algorithm>
#include <vector>

#include "core/working_memory.h"
#include "cuda/layers/bags.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/operators/sorting.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"

namespace flambeau {

namespace {

struct Bags {
  int64_t count, rows, width, padding;
  BagMode mode;
  Tensor indices;   // int64, contiguous
  Tensor begins;    // (bags + 1): position of the first index of each bag, and the end of the last bag
  Tensor bag_of;    // index of the bag to which each index belongs
  Tensor sizes;     // number of indices in each bag that are not padding
  Tensor extremes;  // for Max, (bags, width): index of the row from which each value comes, or -1 in an empty bag
};

// Pointers to the data that the loops over bags read.
template <class T>
struct Sources {
  const int64_t *indices, *begins, *sizes;
  const T *table, *weights;  // weights may be null
};

template <class T>
void fill_largest(const Bags& bags, const Sources<T>& in, int64_t begin, int64_t end, T* out, int64_t* extremes) {
  std::fill(out, out + bags.width, T(0));
  bool first = true;
  for (int64_t i = begin; i < end; ++i) {
    const int64_t index = in.indices[i];
    if (index == bags.padding) continue;
    const T* row = in.table + index * bags.width;
    for (int64_t d = 0; d < bags.width; ++d)
      if (first || row[d] > out[d]) {
        out[d] = row[d];
        extremes[d] = index;
      }
    first = false;
  }
}

// Sums a bag that contains padding: calls add(first, last, sums) for each range of indices that are not padding, and
// adds `sums` to `out`.
template <class T, class F>
void add_unpadded(const Bags& bags, const Sources<T>& in, int64_t begin, int64_t end, T* out, F&& add) {
  std::fill(out, out + bags.width, T(0));
  std::vector<T> sums(size_t(bags.width), T(0));
  for (int64_t i = begin; i < end; ++i) {
    if (in.indices[i] == bags.padding) continue;
    const int64_t first = i;
    while (i < end && in.indices[i] != bags.padding) ++i;
    add(first, i, sums.data());
    for (int64_t d = 0; d < bags.width; ++d) out[d] += sums[size_t(d)];
  }
}

// Computes the values of bag b.
template <class T>
void fill_bag(const Bags& bags, const Sources<T>& in, int64_t b, T* out, int64_t* extremes) {
  const int64_t begin = in.begins[b], end = in.begins[b + 1], size = in.sizes[b];
  if (bags.mode == BagMode::Max) return fill_largest(bags, in, begin, end, out, extremes);
  const auto add = [&](int64_t first, int64_t last, T* sums) {
    kernels::networks().sum_rows[sizeof(T) == 8](
        reinterpret_cast<const char*>(in.table), in.indices + first,
        reinterpret_cast<const char*>(in.weights ? in.weights + first : nullptr), last - first, bags.width,
        reinterpret_cast<char*>(sums));
  };
  if (size == end - begin)
    add(begin, end, out);
  else
    add_unpadded(bags, in, begin, end, out, add);
  if (bags.mode == BagMode::Mean && size > 1)
    for (int64_t d = 0; d < bags.width; ++d) out[d] /= T(size);
}

// Computes the values of all bags on a GPU, in the dtype of the table. Also computes the sizes of the bags.
Tensor forward_on_gpu(Bags& bags, const Tensor& weight, const Tensor& per_sample) {
  const Tensor table = contiguous(weight), scale = per_sample.defined() ? contiguous(per_sample) : per_sample;
  const Tensor out = empty({bags.count, bags.width}, weight.dtype());
  const bool largest = bags.mode == BagMode::Max;
  if (largest) bags.extremes = empty({bags.count, bags.width}, Dtype::int64);
  const auto integers = [](const Tensor& t) {
    return t.defined() ? reinterpret_cast<int64_t*>(t.device_bytes()) : nullptr;
  };
  cuda::fill_bags(out.device().index, weight.dtype(),
                  {table.device_bytes(),
                   scale.defined() ? scale.device_bytes() : nullptr,
                   integers(bags.indices),
                   integers(bags.begins),
                   out.device_bytes(),
                   integers(bags.extremes),
                   integers(bags.sizes),
                   bags.count,
                   bags.indices.numel(),
                   bags.width,
                   bags.rows,
                   bags.padding,
                   bags.mode == BagMode::Mean,
                   {}});
  return out;
}

Tensor forward(Bags& bags, const Tensor& weight, const Tensor& per_sample) {
  if (cuda::runs_on_gpu(weight)) return forward_on_gpu(bags, weight, per_sample);
  const Dtype type = weight.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
  const Tensor table = contiguous(to(weight, type)),
               scale = per_sample.defined() ? contiguous(to(per_sample, type)) : per_sample;
  Tensor out = empty({bags.count, bags.width}, type);
  if (bags.mode == BagMode::Max) bags.extremes = full({bags.count, bags.width}, Scalar(-1), Dtype::int64);
  dispatch_real(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t each = bags.count ? bags.indices.numel() * bags.width / bags.count : 0;
    const Sources<T> in{bags.indices.data<int64_t>(), bags.begins.data<int64_t>(), bags.sizes.data<int64_t>(),
                        table.data<T>(), scale.defined() ? scale.data<T>() : nullptr};
    T* values = out.data<T>();
    int64_t* extremes = bags.extremes.defined() ? bags.extremes.data<int64_t>() : nullptr;
    parallel_items(bags.count, std::max<int64_t>(1, 16384 / (each + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b)
        fill_bag<T>(bags, in, b, values + b * bags.width, extremes ? extremes + b * bags.width : nullptr);
    });
  });
  return to(out, weight.dtype());
}

Tensor bags_of_indices(const Bags& bags) {
  if (cuda::runs_on_gpu(bags.indices)) {
    const Tensor positions = arange(Scalar(0), Scalar(bags.indices.numel()), Scalar(1), Dtype::int64);
    return searchsorted(bags.begins, positions, true, Tensor(), false) - Scalar(1);
  }
  Tensor out = empty(bags.indices.shape(), Dtype::int64);
  const int64_t* begins = bags.begins.data<int64_t>();
  for (int64_t b = 0; b < bags.count; ++b)
    std::fill(out.data<int64_t>() + begins[b], out.data<int64_t>() + begins[b + 1], b);
  return out;
}

// Returns the factor of each index, without per-sample weights: 0 for padding, otherwise 1. For means, the factor is
// divided by the size of the bag. If `by_frequency`, it is divided by the number of occurrences of the index.
Tensor gradient_weights(const Bags& bags, Dtype type, bool by_frequency) {
  Tensor share = to(ne(bags.indices, Scalar(bags.padding)), type);
  if (bags.mode == BagMode::Mean)
    share = share / to(index_select(clamp_min(bags.sizes, Scalar(1)), 0, bags.bag_of), type);
  if (by_frequency) {
    const Tensor frequency = index_add(zeros({bags.rows}, type), 0, bags.indices, ones(bags.indices.shape(), type));
    share = share / index_select(frequency, 0, bags.indices);
  }
  return share;
}

Tensor weight_gradient(const Bags& bags, const Tensor& grad, const Tensor& per_sample, bool by_frequency) {
  const Tensor zero = zeros({bags.rows, bags.width}, grad.dtype());
  if (bags.mode == BagMode::Max) {
    const Tensor seen = ge(bags.extremes, Scalar(0));
    return scatter_add(zero, 0, clamp_min(bags.extremes, Scalar(0)), where(seen, grad, Scalar(0.0)));
  }
  Tensor share = gradient_weights(bags, grad.dtype(), by_frequency);
  if (per_sample.defined()) share = share * per_sample;
  return index_add(zero, 0, bags.indices, index_select(grad, 0, bags.bag_of) * unsqueeze(share, 1));
}

// Returns bags + 1 positions in the indices: the start of each bag, and the end of the last one.
Tensor bag_starts(const Tensor& input, const Tensor& offsets, bool last_given) {
  require<ValueError>(input.dim() == 1 || input.dim() == 2, "input has to be 1D or 2D Tensor, but got Tensor of ",
                      "dimension ", input.dim());
  if (input.dim() == 2) {
    require<ValueError>(!offsets.defined(), "if input is 2D, then offsets has to be None, as input is treated as a ",
                        "mini-batch of fixed length sequences. However, found offsets of shape ",
                        offsets.defined() ? offsets.shape() : Shape());
    return arange(Scalar(0), Scalar(input.size(0) + 1), Scalar(1), Dtype::int64) * Scalar(input.size(1));
  }
  require<ValueError>(offsets.defined(), "offsets has to be a 1D Tensor but got None");
  require<ValueError>(offsets.dim() == 1, "offsets has to be a 1D Tensor, but got shape ", offsets.shape());
  require(offsets.dtype() == Dtype::int64 || offsets.dtype() == Dtype::int32,
          "embedding_bag: offsets must be int32 or int64, got ", offsets.dtype());
  if (last_given) return offsets;
  return cat({to(offsets, Dtype::int64), full({1}, Scalar(input.numel()), Dtype::int64)}, 0);
}

void check_shapes(const Tensor& weight, const Tensor& indices, const Tensor& begins) {
  require(weight.dim() == 2, "embedding_bag: weight has to be a 2D Tensor, but got Tensor of dimension ", weight.dim());
  require<NotImplementedError>(is_floating(weight.dtype()), "\"embedding_bag\" not implemented for '", weight.dtype(),
                               "'");
  require(indices.dim() == 1 && begins.dim() == 1 && begins.numel() > 0,
          "embedding_bag: indices and offsets must be one-dimensional, got ", indices.shape(), " and ", begins.shape());
  for (const Tensor* t : {&indices, &begins})
    require(t->dtype() == Dtype::int64 || t->dtype() == Dtype::int32,
            "embedding_bag: indices and offsets must be int32 or int64, got ", t->dtype());
}

void check_indices(const Bags& bags, const Shape& weight) {
  const int64_t *index = bags.indices.data<int64_t>(), n = bags.indices.numel();
  uint64_t outside = 0;  // the highest bit of `outside` becomes 1 if any index is out of range
  for (int64_t i = 0; i < n; ++i) outside |= uint64_t(index[i]) | (uint64_t(bags.rows) - 1 - uint64_t(index[i]));
  if (!(outside >> 63)) return;
  const int64_t* found = std::find_if(index, index + n, [&](int64_t i) { return i < 0 || i >= bags.rows; });
  detail::raise<Error>("embedding_bag: Expected idx >= 0 && idx < num_embeddings but found idx to be ", *found,
                       " for a weight of shape ", weight);
}

// Computes the sizes of the bags. Raises an error if the starts of the bags are not valid.
void measure_sizes(Bags& bags) {
  const int64_t *at = bags.begins.data<int64_t>(), n = bags.indices.numel();
  const int64_t* index = bags.indices.data<int64_t>();
  int64_t* sizes = bags.sizes.data<int64_t>();
  require(at[0] == 0,
          "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from position 0. ",
          "However, got ", at[0]);
  for (int64_t b = 0; b < bags.count; ++b) {
    require(at[b] <= at[b + 1] && at[b + 1] <= n, "embedding_bag: offsets must not decrease nor exceed the ",
            "number of indices ", n, ", got ", at[b], " before ", at[b + 1]);
    sizes[b] = at[b + 1] - at[b];
    if (bags.padding >= 0) sizes[b] -= std::count(index + at[b], index + at[b + 1], bags.padding);
  }
}

Bags make_bags(const Tensor& weight, const Tensor& indices, const Tensor& begins, BagMode mode, int64_t padding) {
  check_shapes(weight, indices, begins);
  Bags bags{begins.numel() - 1,
            weight.size(0),
            weight.size(1),
            padding,
            mode,
            contiguous(to(indices, Dtype::int64)),
            contiguous(to(begins, Dtype::int64)),
            {},
            {},
            {}};
  bags.sizes = zeros({bags.count}, Dtype::int64);
  if (cuda::runs_on_gpu(bags.indices)) return bags;  // the kernel checks indices that could access invalid memory
  check_indices(bags, weight.shape());
  measure_sizes(bags);
  return bags;
}

// Returns the number of indices that belong to bags. If the end of the last bag is given, other indices may follow it.
int64_t count_in_bags(const Tensor& begins, int64_t n) {
  if (begins.dim() != 1 || begins.numel() == 0 || cuda::runs_on_gpu(begins)) return n;
  const int64_t last = begins.numel() - 1, end = item(select(begins, 0, last)).integer();
  return end < 0 ? n : std::min(end, n);
}

}  // namespace

Tensor embedding_bag(const Tensor& weight, const Tensor& input, const Tensor& offsets, bool last_given, BagMode mode,
                     const Tensor& factors, int64_t padding, bool by_frequency) {
  Tensor indices = reshape(input, {-1}), per_sample = factors.defined() ? reshape(factors, {-1}) : factors;
  const Tensor begins = bag_starts(input, offsets, last_given);
  require(!per_sample.defined() || mode == BagMode::Sum,
          "embedding_bag: per_sample_weights was not None, which is only supported for mode='sum'");
  require(!per_sample.defined() || (per_sample.dtype() == weight.dtype() && per_sample.shape() == indices.shape()),
          "embedding_bag: expected per_sample_weights to have the same type as the weight, ", weight.dtype(),
          ", and the indices' shape ", indices.shape(), ", got ",
          per_sample.defined() ? per_sample.dtype() : weight.dtype(), " ",
          per_sample.defined() ? per_sample.shape() : Shape());
  if (const int64_t n = indices.numel(), in_bags = count_in_bags(begins, n); in_bags < n) {
    indices = narrow(indices, 0, 0, in_bags);
    if (per_sample.defined()) per_sample = narrow(per_sample, 0, 0, in_bags);
  }
  auto bags = std::make_shared<Bags>(make_bags(weight, indices, begins, mode, padding));
  Tensor out;
  {
    NoRecording off;
    out = forward(*bags, weight, per_sample);
  }
  if (recording(weight, per_sample)) {
    bags->bag_of = bags_of_indices(*bags);
    record("EmbeddingBag", out, {&weight, &per_sample}, {&weight, &per_sample}, [bags, by_frequency](const Context& c) {
      const Tensor &weight = c.saved(0), &per_sample = c.saved(1), &grad = c.gradient();
      if (c.needs(0)) c.set(0, weight_gradient(*bags, grad, per_sample, by_frequency));
      if (c.needs(1)) {
        const Tensor rows = index_select(grad, 0, bags->bag_of) * index_select(weight, 0, bags->indices);
        c.set(1, sum(rows, Shape{1}, false, std::nullopt) * to(ne(bags->indices, Scalar(bags->padding)), grad.dtype()));
      }
    });
  }
  return out;
}

const Operator _embedding_bag_operator(
    {.signature =
         "_embedding_bag(weight, indices, offsets=None, include_last_offset=False, mode=0, per_sample_weights=None, "
         "padding_idx=-1, scale_grad_by_freq=False)",
     .forms = kPrivate,
     .doc =
         R"(Compute the sum (mode 0), mean (1) or maximum (2) over bags of rows: indices (B, N), or (N) with offsets.

Gradient: weight and per_sample_weights, any order.)",
     .forward = [](const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool last_given, int64_t mode,
                   const Tensor& per_sample, int64_t padding, bool by_frequency) {
       require<ValueError>(mode >= 0 && mode <= 2, "embedding_bag: mode must be 0, 1 or 2, got ", mode);
       return embedding_bag(weight, indices, offsets, last_given, BagMode(mode), per_sample, padding, by_frequency);
     }});

}  // namespace flambeau
