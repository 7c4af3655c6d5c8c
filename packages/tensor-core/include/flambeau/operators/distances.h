// Distances between vectors, and normalisation (operators/products/distances.cpp).
#pragma once

#include "flambeau/operators.h"

namespace flambeau {

FLAMBEAU_API Tensor dist(const Tensor& a, const Tensor& b, double p);  // the p-norm of a - b
FLAMBEAU_API Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim);
FLAMBEAU_API Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t dim, double eps);
FLAMBEAU_API Tensor pdist(const Tensor& input, double p);
enum class Euclidean : uint8_t { ByProductIfLarge, ByProduct, ByDifferences };  // how distances for p = 2 are computed
FLAMBEAU_API Tensor cdist(const Tensor& a, const Tensor& b, double p, Euclidean way);
FLAMBEAU_API Tensor renorm(const Tensor& input, double p, int64_t dim, double maxnorm);

}  // namespace flambeau
