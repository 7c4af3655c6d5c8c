// The update rules of all optimizers as in their papers, for the kernels of CPUs and GPUs. GPU kernels apply them to
// one element at a time. Note [Optimizer rules] in flambeau/kernels/optimizer_rule.h
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "flambeau/kernels/optimizer_rule.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

inline double sign_of(double maximize) { return maximize != 0 ? -1 : 1; }

// Rounds a scalar to the value that the next step will read.
template <class Step>
double rounded_scalar(const Step& s, double value) {
  return s.single ? double(float(value)) : value;
}

// Base class with the members that most rules share. See OptimizerRule for their meaning. prepare() returns the
// coefficients of a step, which depend on the options and the number of the step; it is a template since modules of
// GPUs, which do not call it, need not compile it. apply() updates n elements of a parameter in the type T of the
// kernel.
struct RuleBase {
  static constexpr const char* states[] = {nullptr};
  static constexpr const char* scalars[] = {nullptr};
  static constexpr bool counts = true;
  static bool needs(int, const double*) { return true; }
  static double initial(int, const double*) { return 0; }
  static double initial_scalar(int, const double*) { return 0; }
};

// Sutskever et al. 2013, in PyTorch's form: the learning rate multiplies the whole momentum buffer.
struct Sgd : RuleBase {
  static constexpr const char* name = "sgd";
  enum { lr, momentum, dampening, weight_decay, nesterov, maximize };
  static constexpr const char* options[] = {"lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize"};
  static constexpr const char* states[] = {"momentum_buffer"};
  static constexpr bool counts = false;
  static bool needs(int, const double* o) { return o[momentum] != 0; }

  template <class T>
  struct Coefficients {
    T lr, decay, sign, keep, add, momentum, nesterov;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.lr = o[lr],
            .decay = o[weight_decay],
            .sign = sign_of(o[maximize]),
            .keep = s.new_states ? 0 : o[momentum],
            .add = s.new_states ? 1 : 1 - o[dampening],
            .momentum = o[momentum],
            .nesterov = o[nesterov]};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict buffer, T*, T*, int64_t n,
                    Coefficients<T> c) {
    if (!buffer) {
      for (int64_t i = 0; i < n; ++i) p[i] -= c.lr * (c.sign * grad[i] + c.decay * p[i]);
      return;
    }
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      buffer[i] = c.keep * buffer[i] + c.add * g;
      p[i] -= c.lr * (c.nesterov != T(0) ? g + c.momentum * buffer[i] : buffer[i]);
    }
  }
};

// Kingma, Ba 2015 (arXiv:1412.6980). `largest` (AMSGrad): Reddi, Kale, Kumar 2018 (arXiv:1904.09237). Decoupled weight
// decay: Loshchilov, Hutter 2019 (arXiv:1711.05101).
struct Adam : RuleBase {
  static constexpr const char* name = "adam";
  enum { lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled };
  static constexpr const char* options[] = {"lr",           "betas.0", "betas.1",  "eps",
                                            "weight_decay", "amsgrad", "maximize", "decoupled_weight_decay"};
  static constexpr const char* states[] = {"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  static bool needs(int state, const double* o) { return state < 2 || o[amsgrad] != 0; }

  template <class T>
  struct Coefficients {
    T rate, root, beta1, rest1, beta2, rest2, eps, decay, shrink, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double *o = s.options, t = s.number;
    return {.rate = o[lr] / (1 - std::pow(o[beta1], t)),
            .root = 1 / std::sqrt(1 - std::pow(o[beta2], t)),
            .beta1 = o[beta1],
            .rest1 = 1 - o[beta1],
            .beta2 = o[beta2],
            .rest2 = 1 - o[beta2],
            .eps = o[eps],
            .decay = o[decoupled] != 0 ? 0 : o[weight_decay],
            .shrink = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1,
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T* __restrict largest,
                    int64_t n, Coefficients<T> c) {
    const auto update = [&](int64_t i, auto&& square) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      m[i] = c.beta1 * m[i] + c.rest1 * g;
      v[i] = c.beta2 * v[i] + c.rest2 * g * g;
      p[i] = p[i] * c.shrink - c.rate * m[i] / (std::sqrt(square(i)) * c.root + c.eps);
    };
    if (largest)
      for (int64_t i = 0; i < n; ++i)
        update(i, [&](int64_t k) { return largest[k] = largest[k] > v[k] ? largest[k] : v[k]; });
    else
      for (int64_t i = 0; i < n; ++i) update(i, [&](int64_t k) { return v[k]; });
  }
};

// Zeiler 2012, arXiv:1212.5701.
struct Adadelta : RuleBase {
  static constexpr const char* name = "adadelta";
  enum { lr, rho, eps, weight_decay, maximize };
  static constexpr const char* options[] = {"lr", "rho", "eps", "weight_decay", "maximize"};
  static constexpr const char* states[] = {"square_avg", "acc_delta"};

  template <class T>
  struct Coefficients {
    T lr, rho, rest, eps, decay, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.lr = o[lr],
            .rho = o[rho],
            .rest = 1 - o[rho],
            .eps = o[eps],
            .decay = o[weight_decay],
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict squares, T* __restrict steps, T*,
                    int64_t n, Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      squares[i] = c.rho * squares[i] + c.rest * g * g;
      const T step = std::sqrt(steps[i] + c.eps) / std::sqrt(squares[i] + c.eps) * g;
      steps[i] = c.rho * steps[i] + c.rest * step * step;
      p[i] -= c.lr * step;
    }
  }
};

// Duchi, Hazan, Singer 2011, JMLR 12.
struct Adagrad : RuleBase {
  static constexpr const char* name = "adagrad";
  enum { lr, lr_decay, eps, weight_decay, initial_accumulator_value, maximize };
  static constexpr const char* options[] = {"lr",      "lr_decay", "eps", "weight_decay", "initial_accumulator_value",
                                            "maximize"};
  static constexpr const char* states[] = {"sum"};
  static double initial(int, const double* o) { return o[initial_accumulator_value]; }

  template <class T>
  struct Coefficients {
    T rate, eps, decay, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.rate = o[lr] / (1 + (s.number - 1) * o[lr_decay]),
            .eps = o[eps],
            .decay = o[weight_decay],
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict sum, T*, T*, int64_t n,
                    Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      sum[i] += g * g;
      p[i] -= c.rate * g / (std::sqrt(sum[i]) + c.eps);
    }
  }
};

// Kingma, Ba 2015, section 7.1: Adam in the maximum norm.
struct Adamax : RuleBase {
  static constexpr const char* name = "adamax";
  enum { lr, beta1, beta2, eps, weight_decay, maximize };
  static constexpr const char* options[] = {"lr", "betas.0", "betas.1", "eps", "weight_decay", "maximize"};
  static constexpr const char* states[] = {"exp_avg", "exp_inf"};

  template <class T>
  struct Coefficients {
    T rate, rest1, beta2, eps, decay, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.rate = o[lr] / (1 - std::pow(o[beta1], s.number)),
            .rest1 = 1 - o[beta1],
            .beta2 = o[beta2],
            .eps = o[eps],
            .decay = o[weight_decay],
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict norm, T*, int64_t n,
                    Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i], magnitude = std::fabs(g) + c.eps, before = c.beta2 * norm[i];
      m[i] += c.rest1 * (g - m[i]);
      norm[i] = before > magnitude ? before : magnitude;
      p[i] -= c.rate * m[i] / norm[i];
    }
  }
};

// Polyak, Juditsky 1992, SIAM J. Control Optim. 30: decreasing step sizes, and the average of the iterates.
struct Asgd : RuleBase {
  static constexpr const char* name = "asgd";
  enum { lr, lambd, alpha, t0, weight_decay, maximize };
  static constexpr const char* options[] = {"lr", "lambd", "alpha", "t0", "weight_decay", "maximize"};
  static constexpr const char* states[] = {"ax"};
  static constexpr const char* scalars[] = {"eta", "mu"};
  static double initial_scalar(int scalar, const double* o) { return scalar == 0 ? o[lr] : 1; }

  template <class T>
  struct Coefficients {
    T eta, shrink, mu, decay, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    double &eta = s.scalars[0], &mu = s.scalars[1];
    const Coefficients<double> c = {
        .eta = eta, .shrink = 1 - o[lambd] * eta, .mu = mu, .decay = o[weight_decay], .sign = sign_of(o[maximize])};
    eta = o[lr] / std::pow(1 + o[lambd] * o[lr] * s.number, o[alpha]);
    mu = 1 / std::max(1.0, s.number - o[t0]);
    return c;
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict average, T*, T*, int64_t n,
                    Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      p[i] = p[i] * c.shrink - c.eta * g;
      average[i] = c.mu == T(1) ? p[i] : average[i] + (p[i] - average[i]) * c.mu;
    }
  }
};

// Dozat 2016: Adam with Nesterov's momentum.
struct Nadam : RuleBase {
  static constexpr const char* name = "nadam";
  enum { lr, beta1, beta2, eps, weight_decay, momentum_decay, maximize, decoupled };
  static constexpr const char* options[] = {"lr",           "betas.0",        "betas.1",  "eps",
                                            "weight_decay", "momentum_decay", "maximize", "decoupled_weight_decay"};
  static constexpr const char* states[] = {"exp_avg", "exp_avg_sq"};
  static constexpr const char* scalars[] = {"mu_product"};
  static double initial_scalar(int, const double*) { return 1; }

  template <class T>
  struct Coefficients {
    T of_grad, of_m, rest1, beta2, rest2, correct, eps, decay, shrink, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double *o = s.options, t = s.number;
    const auto momentum = [&](double at) { return o[beta1] * (1 - 0.5 * std::pow(0.96, at * o[momentum_decay])); };
    const double mu = momentum(t), next = momentum(t + 1),
                 product = s.scalars[0] = rounded_scalar(s, s.scalars[0] * rounded_scalar(s, mu));
    return {.of_grad = o[lr] * (1 - mu) / (1 - product),
            .of_m = o[lr] * next / (1 - product * next),
            .rest1 = 1 - o[beta1],
            .beta2 = o[beta2],
            .rest2 = 1 - o[beta2],
            .correct = 1 / (1 - std::pow(o[beta2], t)),
            .eps = o[eps],
            .decay = o[decoupled] != 0 ? 0 : o[weight_decay],
            .shrink = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1,
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T*, int64_t n,
                    Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      p[i] *= c.shrink;
      const T g = c.sign * grad[i] + c.decay * p[i];
      m[i] += c.rest1 * (g - m[i]);
      v[i] = c.beta2 * v[i] + c.rest2 * g * g;
      p[i] -= (c.of_grad * g + c.of_m * m[i]) / (std::sqrt(v[i] * c.correct) + c.eps);
    }
  }
};

// Liu et al. 2020, arXiv:1908.03265: Adam without the denominator until its variance is tractable.
struct Radam : RuleBase {
  static constexpr const char* name = "radam";
  enum { lr, beta1, beta2, eps, weight_decay, maximize, decoupled };
  static constexpr const char* options[] = {
      "lr", "betas.0", "betas.1", "eps", "weight_decay", "maximize", "decoupled_weight_decay"};
  static constexpr const char* states[] = {"exp_avg", "exp_avg_sq"};

  template <class T>
  struct Coefficients {
    T rate, rectifier, rest1, beta2, rest2, eps, decay, shrink, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double *o = s.options, t = s.number, power = std::pow(o[beta2], t), left = 1 - power;
    const double most = 2 / (1 - o[beta2]) - 1, rho = most - 2 * t * power / left;
    const bool rectified = rho > 5;
    return {
        .rate = o[lr] / (1 - std::pow(o[beta1], t)),
        .rectifier = rectified ? std::sqrt(left * (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) : 0,
        .rest1 = 1 - o[beta1],
        .beta2 = o[beta2],
        .rest2 = 1 - o[beta2],
        .eps = o[eps],
        .decay = o[decoupled] != 0 ? 0 : o[weight_decay],
        .shrink = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1,
        .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T*, int64_t n,
                    Coefficients<T> c) {
    const bool rectified = c.rectifier != T(0);
    for (int64_t i = 0; i < n; ++i) {
      p[i] *= c.shrink;
      const T g = c.sign * grad[i] + c.decay * p[i];
      m[i] += c.rest1 * (g - m[i]);
      v[i] = c.beta2 * v[i] + c.rest2 * g * g;
      p[i] -= c.rate * m[i] * (rectified ? c.rectifier / (std::sqrt(v[i]) + c.eps) : T(1));
    }
  }
};

// Tieleman, Hinton 2012, lecture 6.5; centred: Graves 2013, arXiv:1308.0850.
struct Rmsprop : RuleBase {
  static constexpr const char* name = "rmsprop";
  enum { lr, alpha, eps, weight_decay, momentum, centered, maximize };
  static constexpr const char* options[] = {"lr", "alpha", "eps", "weight_decay", "momentum", "centered", "maximize"};
  static constexpr const char* states[] = {"square_avg", "momentum_buffer", "grad_avg"};
  static bool needs(int state, const double* o) {
    return state == 0 || (state == 1 ? o[momentum] > 0 : o[centered] != 0);
  }

  template <class T>
  struct Coefficients {
    T lr, alpha, rest, eps, decay, momentum, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.lr = o[lr],
            .alpha = o[alpha],
            .rest = 1 - o[alpha],
            .eps = o[eps],
            .decay = o[weight_decay],
            .momentum = o[momentum],
            .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict squares, T* __restrict buffer,
                    T* __restrict mean, int64_t n, Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T g = c.sign * grad[i] + c.decay * p[i];
      T square = squares[i] = c.alpha * squares[i] + c.rest * g * g;
      if (mean) {
        mean[i] += c.rest * (g - mean[i]);
        square -= mean[i] * mean[i];
      }
      T step = g / (std::sqrt(square) + c.eps);
      if (buffer) step = buffer[i] = c.momentum * buffer[i] + step;
      p[i] -= c.lr * step;
    }
  }
};

// Riedmiller, Braun 1993: uses only the signs of the gradients.
struct Rprop : RuleBase {
  static constexpr const char* name = "rprop";
  enum { lr, shrink, grow, least, most, maximize };
  static constexpr const char* options[] = {"lr", "etas.0", "etas.1", "step_sizes.0", "step_sizes.1", "maximize"};
  static constexpr const char* states[] = {"prev", "step_size"};
  static double initial(int state, const double* o) { return state == 1 ? o[lr] : 0; }

  template <class T>
  struct Coefficients {
    T shrink, grow, least, most, sign;
  };
  template <class Step>
  static Coefficients<double> prepare(const Step& s) {
    const double* o = s.options;
    return {.shrink = o[shrink], .grow = o[grow], .least = o[least], .most = o[most], .sign = sign_of(o[maximize])};
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict previous, T* __restrict size, T*,
                    int64_t n, Coefficients<T> c) {
    for (int64_t i = 0; i < n; ++i) {
      const T slope = c.sign * grad[i], agreement = slope * previous[i];
      const T factor = agreement > 0 ? c.grow : agreement < 0 ? c.shrink : T(1), wanted = size[i] * factor;
      const T g = agreement < 0 ? T(0) : slope;
      size[i] = wanted < c.least ? c.least : wanted > c.most ? c.most : wanted;
      p[i] -= g > 0 ? size[i] : g < 0 ? -size[i] : g;
      previous[i] = g;
    }
  }
};

// Copies coefficients as `prepare` of a rule returns them to an array of numbers.
template <class Rule>
void store_coefficients(const typename Rule::template Coefficients<double>& from, double* to) {
  static_assert(sizeof from <= OptimizerRule::kCoefficients * sizeof(double));
  std::memcpy(to, &from, sizeof from);
}

// Returns the coefficients that store_coefficients() wrote, converted to T.
template <class Rule, class T>
auto load_coefficients(const double* from) {
  using Coefficients = typename Rule::template Coefficients<T>;
  T numbers[sizeof(Coefficients) / sizeof(T)];
  for (T& number : numbers) number = T(*from++);
  Coefficients result;
  std::memcpy(&result, numbers, sizeof result);
  return result;
}

}  // namespace

}  // namespace flambeau::kernels::FLAMBEAU_ISA

#define FLAMBEAU_OPTIMIZER_RULES(RULE) \
  RULE(Adadelta)                       \
  RULE(Adagrad)                        \
  RULE(Adam)                           \
  RULE(Adamax)                         \
  RULE(Asgd)                           \
  RULE(Nadam)                          \
  RULE(Radam)                          \
  RULE(Rmsprop)                        \
  RULE(Rprop)                          \
  RULE(Sgd)
