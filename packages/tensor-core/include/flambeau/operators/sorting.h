// Sorting, selecting, searching and counting.
#pragma once

#include <variant>

#include "flambeau/operators.h"

namespace flambeau {

// Sorting and selection along a dimension (operators/sorting/sorting.cpp, selection.cpp). Sorting is stable, and NaN
// counts as the largest value.
FLAMBEAU_API TensorPair sort(const Tensor& t, int64_t dim, bool descending);
FLAMBEAU_API Tensor argsort(const Tensor& t, int64_t dim, bool descending);
FLAMBEAU_API Tensor msort(const Tensor& t);  // the values alone, along the first dimension
FLAMBEAU_API TensorPair topk(const Tensor& t, int64_t k, int64_t dim, bool largest, bool sorted);
FLAMBEAU_API TensorPair kthvalue(const Tensor& t, int64_t k, int64_t dim, bool keepdim);
FLAMBEAU_API Tensor median_all(const Tensor& t, bool ignore_nan);
FLAMBEAU_API TensorPair median(const Tensor& t, int64_t dim, bool keepdim, bool ignore_nan);
FLAMBEAU_API TensorPair mode(const Tensor& t, int64_t dim, bool keepdim);

// Unique elements (operators/sorting/unique.cpp)
struct Unique {
  Tensor values, inverse, counts;
};
FLAMBEAU_API Unique unique(const Tensor& t, bool inverse, bool counts);
FLAMBEAU_API Unique unique_consecutive(const Tensor& t, bool inverse, bool counts);
// Unique slices along a dimension.
FLAMBEAU_API Unique unique_slices(const Tensor& t, int64_t dim, bool sort, bool inverse, bool counts);

// Positions in sorted sequences, and histograms (operators/sorting/search.cpp, histogram.cpp)
FLAMBEAU_API Tensor searchsorted(const Tensor& sequence, const Tensor& values, bool right, const Tensor& sorter,
                                 bool int32);
FLAMBEAU_API Tensor bincount(const Tensor& t, const Tensor& weights, int64_t minlength);
FLAMBEAU_API Tensor histc(const Tensor& t, int64_t bins, double low, double high);

// Returns a mask of the elements that are among the test elements or, with `invert`, of the other elements
// (operators/sorting/membership.cpp).
FLAMBEAU_API Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert);

// Counts points (n, dimensions) in the cells of a grid (operators/reductions/histogramdd.cpp). Each dimension has
// edges, or a number of bins of equal width between its limits. `limits` contains the first and last edge of each
// dimension in turn, or is empty.
using Bins = std::variant<Tensor, int64_t>;
struct Histogram {
  Tensor counts;
  Tensors edges;
};
FLAMBEAU_API Histogram histogramdd(const char* name, const Tensor& points, const std::vector<Bins>& bins,
                                   const std::vector<double>& limits, const Tensor& weight, bool density);

}  // namespace flambeau
