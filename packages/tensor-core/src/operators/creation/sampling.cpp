// Samplers that use rejection or search. Each element uses a separate random stream. Note [Element streams]
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "cuda/random.h"
#include "flambeau/kernels/samplers.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "operators/creation/gamma_variates.h"
#include "operators/random/pytorch_order.h"
#include "tasks/sample_errors.h"

namespace flambeau {

namespace {

using kernels::ElementStream;

// Draws one sample for each pair of parameters (`second` may be undefined). Replaces samples below `least` with
// `least`.
template <class Kind>
Tensor sample_each(Kind, const Tensor& first, const Tensor& second, Dtype dtype, Generator* generator,
                   double least = -std::numeric_limits<double>::infinity()) {
  const Tensor out = empty(first.shape(), Dtype::float64);
  const cuda::DrawPosition drawn = cuda::take_groups(generator, kernels::kStreamGroups, out);
  if (cuda::runs_on_gpu(out)) {
    cuda::sample(Kind::kKind, out, first, second, drawn, least);
    return flambeau::to(out, dtype);
  }
  const double *x = first.data<double>(), *y = second.defined() ? second.data<double>() : x;
  double* to = out.data<double>();
  parallel_for(out.numel(), 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      ElementStream stream(drawn.seed, drawn.offset, uint64_t(i));
      const double value = Kind::one(stream, x[i], y[i]);
      to[i] = value < least ? least : value;  // NaN stays NaN
    }
  });
  return flambeau::to(out, dtype);
}

Tensor in_double(const Tensor& t) {
  NoRecording off;
  return contiguous(to(t, Dtype::float64));
}

// Converts a tensor to the dtype in which PyTorch's samplers compute: float64 for float64, otherwise float32.
Tensor in_sampling_dtype(const Tensor& t) {
  NoRecording off;
  return contiguous(t.dtype() == Dtype::float64 ? t : to(t, Dtype::float32));
}

Tensor zeros_of(const Tensor& t) { return zeros(t.shape(), t.dtype()); }

// Returns the smallest positive normal number of a dtype.
double smallest_normal(Dtype dtype) {
  if (dtype == Dtype::float64) return std::numeric_limits<double>::min();
  return dtype == Dtype::float16 ? 0x1p-14 : double(std::numeric_limits<float>::min());
}

void require_rates(const Tensor& rates) {
  if (cuda::runs_on_gpu(rates)) return;  // the kernel reports invalid rates
  const double* r = rates.data<double>();
  for (int64_t i = 0; i < rates.numel(); ++i) require(kernels::is_rate(r[i]), WrongRate{r[i]});
}

}  // namespace

Tensor poisson(const Tensor& rate, Generator* generator) {
  require<NotImplementedError>(is_floating(rate.dtype()), "poisson is implemented for floating-point rates, got ",
                               rate.dtype());
  const Tensor rates = in_double(rate);
  require_rates(rates);
  PyTorchStream* const stream = pytorch::stream_for(rate, generator);
  Tensor out = stream ? to(pytorch::poisson(*stream, in_sampling_dtype(rate)), rate.dtype())
                      : sample_each(kernels::Poisson(), rates, Tensor(), rate.dtype(), generator);
  if (recording(rate)) record("Poisson", out, {&rate}, {}, [](const Context& c) { c.set(0, zeros_of(c.gradient())); });
  return out;
}

const Operator poisson_operator({.signature = "poisson(input, generator=None)",
                                 .forms = kFunction,
                                 .doc = "Draw Poisson random numbers with the rates in input.\n\nGradient: 0.\nSource: "
                                        "Hoermann 1993 (PTRS), for rates of at least 10.",
                                 .forward = poisson});

Tensor binomial(const Tensor& count, const Tensor& prob, Generator* generator) {
  for (const auto& [name, t] : {std::pair("count", &count), std::pair("prob", &prob)})
    require<ValueError>(is_floating(t->dtype()), "binomial only supports floating-point dtypes for ", name,
                        ", got: ", t->dtype());
  require(count.dtype() == prob.dtype(), "binomial: count and prob must have the same dtype, got ", count.dtype(),
          " and ", prob.dtype());
  const Shape shape = broadcast(count.shape(), prob.shape());
  const Tensor counts = expand(detach(count), shape), probs = expand(detach(prob), shape);
  PyTorchStream* const stream = pytorch::stream_for(count, generator);
  Tensor out = stream
                   ? to(pytorch::binomial(*stream, in_sampling_dtype(counts), in_sampling_dtype(probs)), count.dtype())
                   : sample_each(kernels::Binomial(), in_double(counts), in_double(probs), count.dtype(), generator);
  if (recording(count, prob))
    record("Binomial", out, {&count, &prob}, {}, [](const Context& c) {
      for (int i : {0, 1})
        if (c.needs(i)) c.set(i, zeros_of(c.gradient()));
    });
  return out;
}

const Operator binomial_operator(
    {.signature = "binomial(count, prob, generator=None)",
     .forms = kFunction,
     .doc =
         R"(Draw binomial random numbers: the number of successes in `count` trials with probability `prob`.

count and prob are broadcast and have the same floating dtype.

Gradient: 0.
Source: Hoermann 1993 (BTRS), for at least 10 expected successes.)",
     .forward = binomial});

Tensor standard_gamma(const Tensor& concentration, Generator* generator) {
  require<NotImplementedError>(is_floating(concentration.dtype()),
                               "_standard_gamma is implemented for floating-point tensors, got ",
                               concentration.dtype());
  PyTorchStream* const stream = pytorch::stream_for(concentration, generator);
  Tensor out = stream ? to(pytorch::standard_gamma(*stream, in_sampling_dtype(concentration)), concentration.dtype())
                      : sample_each(kernels::Gamma(), in_double(concentration), Tensor(), concentration.dtype(),
                                    generator, smallest_normal(concentration.dtype()));
  if (recording(concentration))
    record("StandardGamma", out, {&concentration}, {&concentration, &out},
           [](const Context& c) { c.set(0, mul(c.gradient(), standard_gamma_grad(c.saved(0), c.saved(1)))); });
  return out;
}

const Operator _standard_gamma_operator(
    {.signature = "_standard_gamma(input, generator=None)",
     .forms = kPrivate,
     .doc = R"(Draw gamma random numbers with the concentrations in input and rate 1.

Gradient: input, by implicit reparameterisation.
Source: Marsaglia and Tsang 2000; Figurnov, Mohamed, Mnih 2018, arXiv:1805.08498.)",
     .forward = standard_gamma});

Tensor standard_log_gamma(const Tensor& concentration, Generator* generator) {
  require<NotImplementedError>(is_floating(concentration.dtype()),
                               "_standard_log_gamma is implemented for floating-point tensors, got ",
                               concentration.dtype());
  const Tensor alphas = to(concentration, Dtype::float64);
  Tensor out = sample_each(kernels::LogGamma(), in_double(concentration), Tensor(), Dtype::float64, generator);
  if (recording(alphas))
    record("StandardLogGamma", out, {&alphas}, {&alphas, &out},
           [](const Context& c) { c.set(0, mul(c.gradient(), standard_log_gamma_grad(c.saved(0), c.saved(1)))); });
  return out;
}

const Operator _standard_log_gamma_operator(
    {.signature = "_standard_log_gamma(input, generator=None)",
     .forms = kPrivate,
     .doc = R"(Draw logarithms of gamma random numbers with the concentrations in input and rate 1, in float64.

The logarithms do not underflow if the concentration is small.

Gradient: input, by implicit reparameterisation.)",
     .forward = standard_log_gamma});

namespace {

Tensor dirichlet_points(const Tensor& concentration, Generator* generator) {
  NoRecording off;
  const Dtype dtype = concentration.dtype();
  Tensor point;
  if (PyTorchStream* const stream = pytorch::stream_for(concentration, generator)) {
    const Tensor gammas = pytorch::standard_gamma(*stream, in_double(concentration));
    point = to(div(gammas, sum(gammas, Shape{-1}, true, std::nullopt)), dtype);
  } else {
    point = to(softmax(standard_log_gamma(concentration, generator), -1, {}), dtype);
  }
  // Samples are kept away from 0 and from 1, where a density can be zero or infinite. The largest sample is 1 - last.
  const double last = dtype == Dtype::float64   ? 0x1p-53
                      : dtype == Dtype::float32 ? 0x1p-24
                      : dtype == Dtype::float16 ? 0x1p-11
                                                : 0x1p-8;
  return clamp_max(clamp_min(point, smallest_normal(dtype)), 1 - last);
}

}  // namespace

// The derivative moves each coordinate along its marginal distribution and scales the others in proportion: Figurnov,
// Mohamed, Mnih 2018, arXiv:1805.08498; Jankowiak, Obermeyer 2018, arXiv:1806.01851.
Tensor sample_dirichlet(const Tensor& concentration, Generator* generator) {
  require(concentration.dim() > 0, "_sample_dirichlet: the concentrations must have at least one dimension");
  const Tensor out = dirichlet_points(concentration, generator);
  if (recording(concentration))
    record("SampleDirichlet", out, {&concentration}, {&concentration, &out}, [](const Context& c) {
      const Tensor a = to(c.saved(0), Dtype::float64), total = expand(sum(a, Shape{-1}, true, std::nullopt), a.shape());
      const Tensor mean = sum(mul(c.saved(1), c.gradient()), Shape{-1}, true, std::nullopt);
      c.set(0, mul(dirichlet_grad(c.saved(1), a, total), sub(c.gradient(), mean)));
    });
  return out;
}

const Operator _sample_dirichlet_operator(
    {.signature = "_sample_dirichlet(input, generator=None)",
     .forms = kPrivate,
     .doc = R"(Draw Dirichlet random vectors with the concentrations along the last dimension of input.

No coordinate is 0 or 1, even for very small concentrations.

Gradient: input, by implicit reparameterisation of the marginal distributions.)",
     .forward = sample_dirichlet});

}  // namespace flambeau
