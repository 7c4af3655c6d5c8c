// The derivative of gamma variates by their concentration, of which the formulas are in kernels/gamma_slopes.h.
#include "kernels/gamma_slopes.h"

#include "cuda/random.h"
#include "flambeau/gamma_variates.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

// Of each sample, or logarithm of one, in float64; recorded so that differentiating it raises.
Tensor slopes(const char* name, const Tensor& concentration, const Tensor& sample, bool logarithms) {
  require(concentration.shape() == sample.shape(), name, ": the shapes differ: ", concentration.shape(), " and ",
          sample.shape());
  Tensor out;
  {
    NoRecording off;
    const Tensor alphas = contiguous(to(concentration, Dtype::float64)),
                 samples = contiguous(to(sample, Dtype::float64));
    const Tensor result = empty(sample.shape(), Dtype::float64);
    if (cuda::takes(result)) {
      cuda::gamma_slopes(result, alphas, samples, logarithms);
    } else {
      const double *a = alphas.data<double>(), *z = samples.data<double>();
      double* to_ = result.data<double>();
      parallel_for(result.numel(), 256, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to_[i] = kernels::gamma_slope(a[i], z[i], logarithms);
      });
    }
    out = to(result, sample.dtype());
  }
  if (recording(concentration, sample))
    record("StandardGammaGrad", out, {&concentration, &sample}, {}, [name](const Context&) {
      detail::raise<NotImplementedError>("the derivative of ", name, " is not differentiable itself");
    });
  return out;
}

}  // namespace

Tensor standard_gamma_grad(const Tensor& concentration, const Tensor& sample) {
  return slopes("_standard_gamma", concentration, sample, false);
}

Tensor standard_log_gamma_grad(const Tensor& concentration, const Tensor& log_sample) {
  return slopes("_standard_log_gamma", concentration, log_sample, true);
}

}  // namespace flambeau
