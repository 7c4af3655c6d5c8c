// Logarithms of gamma variates, which do not underflow for small concentrations, and distributions derived from them.
#pragma once

#include "flambeau/random.h"

namespace flambeau {

// Returns logarithms of standard gamma variates, in float64 for any dtype of the concentration.
FLAMBEAU_API Tensor standard_log_gamma(const Tensor& concentration, Generator* generator);
// Returns d log_sample / d concentration, with the underlying uniform number held fixed. Both are float64.
FLAMBEAU_API Tensor standard_log_gamma_grad(const Tensor& concentration, const Tensor& log_sample);
// Returns the derivative of each coordinate x of a Dirichlet variate with respect to its concentration, divided by 1 -
// x, along its marginal beta distribution with the quantile held fixed. `total` is the sum of the variate's
// concentrations. The result has the dtype of x.
FLAMBEAU_API Tensor dirichlet_grad(const Tensor& x, const Tensor& concentration, const Tensor& total);
// Returns Dirichlet variates: points of the simplex along the last dimension. No coordinate is 0 or 1.
FLAMBEAU_API Tensor sample_dirichlet(const Tensor& concentration, Generator* generator);

}  // namespace flambeau
