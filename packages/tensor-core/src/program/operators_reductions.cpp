// Reductions, running sums, order.
#include "flambeau/sorting.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

double correction_of(std::optional<bool> unbiased, std::optional<double> correction) {
  return correction.value_or(unbiased.value_or(true) ? 1 : 0);
}

// max(input), max(input, dim, keepdim), max(input, other)
template <bool largest>
Values extreme(const Tensor& t, const Value& dim_or_other, bool keepdim) {
  if (std::holds_alternative<None>(dim_or_other)) return {largest ? max_all(t) : min_all(t)};
  if (const Tensor* other = std::get_if<Tensor>(&dim_or_other))
    return {largest ? maximum(t, *other) : minimum(t, *other)};
  const int64_t dim = As<int64_t>::get(dim_or_other);
  const TensorPair pair = largest ? max_dim(t, dim, keepdim) : min_dim(t, dim, keepdim);
  return {pair.values, pair.indices};
}

template <bool ignore_nan>
Values middle(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  if (!dim) return {median_all(t, ignore_nan)};
  const TensorPair pair = median(t, *dim, keepdim, ignore_nan);
  return {pair.values, pair.indices};
}

Values parts_of(const Unique& unique, bool inverse, bool counts) {
  Values out{unique.values};
  if (inverse) out.emplace_back(unique.inverse);
  if (counts) out.emplace_back(unique.counts);
  return out;
}

}  // namespace

Family reduction_operators() {
  return {
      op("var",
         [](const Tensor& t, const OptionalDims& dim, std::optional<bool> unbiased, bool keepdim,
            std::optional<double> correction) { return var(t, dim, correction_of(unbiased, correction), keepdim); }),
      op("std",
         [](const Tensor& t, const OptionalDims& dim, std::optional<bool> unbiased, bool keepdim,
            std::optional<double> correction) {
           return standard_deviation(t, dim, correction_of(unbiased, correction), keepdim);
         }),
      op("var_mean",
         [](const Tensor& t, const OptionalDims& dim, std::optional<bool> unbiased, bool keepdim,
            std::optional<double> correction) {
           return spread_mean(t, dim, correction_of(unbiased, correction), keepdim, false);
         }),
      op("std_mean",
         [](const Tensor& t, const OptionalDims& dim, std::optional<bool> unbiased, bool keepdim,
            std::optional<double> correction) {
           return spread_mean(t, dim, correction_of(unbiased, correction), keepdim, true);
         }),
      op("max", extreme<true>),
      op("min", extreme<false>),
      op("cummax", cummax),
      op("cummin", cummin),
      op("sort", [](const Tensor& t, int64_t dim, bool descending, bool) { return sort(t, dim, descending); }),
      op("topk", topk),
      op("kthvalue", kthvalue),
      op("median", middle<false>),
      op("nanmedian", middle<true>),
      op("mode", mode),
      op("unique",
         [](const Tensor& t, bool, bool inverse, bool counts, std::optional<int64_t> dim) {
           return parts_of(dim ? unique_slices(t, *dim, true, inverse, counts) : unique(t, inverse, counts), inverse,
                           counts);
         }),
      op("unique_consecutive",
         [](const Tensor& t, bool inverse, bool counts, std::optional<int64_t> dim) {
           return parts_of(
               dim ? unique_slices(t, *dim, false, inverse, counts) : unique_consecutive(t, inverse, counts), inverse,
               counts);
         }),
      op("searchsorted",
         [](const Tensor& sequence, const Operand& values, bool int32, bool right, std::optional<std::string_view> side,
            const Tensor& sorter) {
           return searchsorted(sequence, values.tensor ? *values.tensor : wrapped_number(values.scalar),
                               right || side == "right", sorter, int32);
         },
         {5}),
      op("bucketize",
         [](const Operand& values, const Tensor& boundaries, bool int32, bool right) {
           return searchsorted(boundaries, values.tensor ? *values.tensor : wrapped_number(values.scalar), right, {},
                               int32);
         }),
  };
}

}  // namespace flambeau::program
