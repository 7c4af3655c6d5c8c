// Logarithms of gamma variates, which do not underflow for small concentrations, and variates of derived distributions.
#pragma once

#include "flambeau/random.h"

namespace flambeau {

// Returns logarithms of standard gamma variates. The result is float64 for any dtype of the concentration.
FLAMBEAU_API Tensor standard_log_gamma(const Tensor& concentration, Generator* generator);
// Returns d log_sample / d concentration, with the underlying uniform number held fixed. Both are float64.
FLAMBEAU_API Tensor standard_log_gamma_grad(const Tensor& concentration, const Tensor& log_sample);
// Returns, for each coordinate x of a Dirichlet variate, the derivative of x with respect to the concentration of the
// same coordinate, divided by 1 - x. The coordinate moves along its marginal beta distribution with a fixed quantile.
// `total` is the sum of the variate's concentrations. The result has the dtype of x.
FLAMBEAU_API Tensor dirichlet_grad(const Tensor& x, const Tensor& concentration, const Tensor& total);
// Returns Dirichlet variates, whose coordinates along the last dimension sum to 1. No coordinate is exactly 0 or 1.
FLAMBEAU_API Tensor sample_dirichlet(const Tensor& concentration, Generator* generator);

}  // namespace flambeau
