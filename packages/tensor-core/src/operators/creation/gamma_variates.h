// Gamma variates by their logarithms, which do not underflow where the concentration is small, and what is made of
// them.
#pragma once

#include "flambeau/random.h"

namespace flambeau {

// float64, whatever the dtype of the concentration.
FLAMBEAU_API Tensor standard_log_gamma(const Tensor& concentration, Generator* generator);
// d log_sample / d concentration, with the underlying uniform number held fixed; both float64.
FLAMBEAU_API Tensor standard_log_gamma_grad(const Tensor& concentration, const Tensor& log_sample);
// How each coordinate x of a Dirichlet variate moves with its concentration along its marginal, a beta distribution:
// dx / d concentration / (1 - x) with its quantile held fixed. `total` is the sum of the variate's concentrations. In
// the dtype of x.
FLAMBEAU_API Tensor dirichlet_grad(const Tensor& x, const Tensor& concentration, const Tensor& total);
// Points of the simplex along the last dimension, no coordinate 0 or 1.
FLAMBEAU_API Tensor sample_dirichlet(const Tensor& concentration, Generator* generator);

}  // namespace flambeau
