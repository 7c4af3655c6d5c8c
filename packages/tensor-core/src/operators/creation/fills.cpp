// In-place fills with random numbers, and draws with the elements of a tensor as probabilities.
#include "flambeau/operator.h"

namespace flambeau {

namespace {

Tensor bernoulli(const Tensor& input, std::optional<double> p, Generator* g) {
  Tensor out = empty(input.shape(), input.dtype());
  if (p)
    fill_bernoulli(out, *p, g);
  else
    fill_bernoulli(out, input, g);
  if (recording(input))
    record("Bernoulli", out, {&input}, {},
           [](const Context& c) { c.set(0, zeros(c.gradient().shape(), c.gradient().dtype())); });
  return out;
}

const Operator bernoulli_operator(
    {.signature = "bernoulli(input, p=None, *, generator=None)",
     .forms = kFunction | kMethod | kOut | kAnyOut,
     .doc = R"(Draw Bernoulli samples: 1 with the probability in input (or p for all elements), otherwise 0.

Gradient: 0.)",
     .forward = bernoulli});

const Operator uniform__operator({.signature = "uniform_(input, from_=0, to=1, *, generator=None)",
                                  .forms = kMethod,
                                  .doc = "Fill with uniform random numbers in [from, to).",
                                  .forward = [](const Tensor& t, double from, double to, Generator* g) {
                                    fill_uniform(t, from, to, g);
                                    return t;
                                  }});

const Operator normal__operator({.signature = "normal_(input, mean=0, std=1, *, generator=None)",
                                 .forms = kMethod,
                                 .doc = "Fill with normal random numbers.",
                                 .forward = [](const Tensor& t, double mean, double std, Generator* g) {
                                   fill_normal(t, mean, std, g);
                                   return t;
                                 }});

const Operator exponential__operator({.signature = "exponential_(input, lambd=1, *, generator=None)",
                                      .forms = kMethod,
                                      .doc = "Fill with exponential random numbers of rate lambd, which are never 0.",
                                      .forward = [](const Tensor& t, double rate, Generator* g) {
                                        fill_exponential(t, rate, g);
                                        return t;
                                      }});

const Operator cauchy__operator({.signature = "cauchy_(input, median=0, sigma=1, *, generator=None)",
                                 .forms = kMethod,
                                 .doc = "Fill with Cauchy random numbers.",
                                 .forward = [](const Tensor& t, double median, double sigma, Generator* g) {
                                   fill_cauchy(t, median, sigma, g);
                                   return t;
                                 }});

const Operator log_normal__operator(
    {.signature = "log_normal_(input, mean=1, std=2, *, generator=None)",
     .forms = kMethod,
     .doc = "Fill with log-normal random numbers, whose logarithms have this mean and standard deviation.",
     .forward = [](const Tensor& t, double mean, double std, Generator* g) {
       fill_log_normal(t, mean, std, g);
       return t;
     }});

const Operator geometric__operator({.signature = "geometric_(input, p, *, generator=None)",
                                    .forms = kMethod,
                                    .doc = "Fill with geometric random numbers: the number of trials up to and "
                                           "including the first success, where each trial succeeds with probability p.",
                                    .forward = [](const Tensor& t, double p, Generator* g) {
                                      fill_geometric(t, p, g);
                                      return t;
                                    }});

const Operator bernoulli__operator(
    {.signature = "bernoulli_(input, p=0.5, *, generator=None)",
     .forms = kMethod,
     .doc = "Fill with 1 with probability p, otherwise with 0. p is a number or a tensor that broadcasts.",
     .forward = [](const Tensor& t, const Operand& p, Generator* g) {
       p.tensor ? fill_bernoulli(t, *p.tensor, g) : fill_bernoulli(t, p.scalar.real(), g);
       return t;
     }});

}  // namespace

}  // namespace flambeau
