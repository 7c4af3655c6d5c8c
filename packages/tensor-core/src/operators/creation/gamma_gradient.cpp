// The derivatives of gamma and Dirichlet variates with respect to their concentrations. The formulas are in
// flambeau/kernels/gamma_slopes.h and beta_slopes.h.
#include "flambeau/kernels/gamma_slopes.h"

#include "cuda/random.h"
#include "flambeau/kernels/beta_slopes.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "operators/creation/gamma_variates.h"

namespace flambeau {

namespace {

// Returns the derivative of each sample with respect to its concentration. `logarithms`: true if the samples are
// logarithms of gamma variates. The result is computed in float64 and has the dtype of the samples. It is recorded only
// so that a second derivative raises an error.
Tensor slopes(const char* name, const Tensor& concentration, const Tensor& sample, bool logarithms) {
  require(concentration.shape() == sample.shape(), name, ": concentration and sample must have the same shape, got ",
          concentration.shape(), " and ", sample.shape());
  Tensor out;
  {
    NoRecording off;
    const Tensor alphas = contiguous(to(concentration, Dtype::float64)),
                 samples = contiguous(to(sample, Dtype::float64));
    const Tensor result = empty(sample.shape(), Dtype::float64);
    if (cuda::runs_on_gpu(result)) {
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

Tensor dirichlet_grad(const Tensor& x, const Tensor& concentration, const Tensor& total) {
  require(x.shape() == concentration.shape() && x.shape() == total.shape(),
          "dirichlet_grad: expected tensors of the same shape, got x ", x.shape(), ", concentration ",
          concentration.shape(), " and total ", total.shape());
  Tensor out;
  {
    NoRecording off;
    const auto in_double = [](const Tensor& t) { return contiguous(to(t, Dtype::float64)); };
    const Tensor points = in_double(x), own = in_double(concentration), all = in_double(total);
    const Tensor result = empty(x.shape(), Dtype::float64);
    if (cuda::runs_on_gpu(result)) {
      cuda::beta_slopes(result, points, own, all);
    } else {
      const double *at = points.data<double>(), *a = own.data<double>(), *sum = all.data<double>();
      double* to_ = result.data<double>();
      parallel_for(result.numel(), 64, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) to_[i] = kernels::beta_slope(a[i], sum[i] - a[i], at[i]);
      });
    }
    out = to(result, x.dtype());
  }
  if (recording(x, concentration, total))
    record("DirichletGrad", out, {&x, &concentration, &total}, {}, [](const Context&) {
      detail::raise<NotImplementedError>("the derivative of _sample_dirichlet is not differentiable itself");
    });
  return out;
}

}  // namespace flambeau
