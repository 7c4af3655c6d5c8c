// The update rules of all optimizers as in their papers, for the kernels of CPUs and GPUs. GPU kernels apply them to
// one element at a time. Note [Optimizer rules] in flambeau/kernels/optimizer_rule.h
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

inline double sign_of(double maximize) { return maximize != 0 ? -1 : 1; }

// Rounds a scalar to the value that the next step will read.
template <class Step>
double rounded_scalar(const Step& s, double value) {
  return s.single ? double(float(value)) : value;
}

// Base class with the members that most rules share. See OptimizerRule for their meaning. prepare() writes the
// coefficients c, which apply() reads by the same indices.
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[lr], c[1] = o[weight_decay], c[2] = sign_of(o[maximize]);
    c[3] = s.new_states ? 0 : o[momentum], c[4] = s.new_states ? 1 : 1 - o[dampening];
    c[5] = o[nesterov], c[6] = o[momentum];
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict buffer, T*, T*, int64_t n, const T* c) {
    const T lr = c[0], decay = c[1], sign = c[2], old = c[3], fresh = c[4], ahead = c[5], momentum = c[6];
    if (!buffer) {
      for (int64_t i = 0; i < n; ++i) p[i] -= lr * (sign * grad[i] + decay * p[i]);
      return;
    }
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i];
      buffer[i] = old * buffer[i] + fresh * g;
      p[i] -= lr * (ahead != T(0) ? g + momentum * buffer[i] : buffer[i]);
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double *o = s.options, t = s.number;
    c[0] = o[lr] / (1 - std::pow(o[beta1], t)), c[1] = 1 / std::sqrt(1 - std::pow(o[beta2], t));
    c[2] = o[beta1], c[3] = 1 - o[beta1], c[4] = o[beta2], c[5] = 1 - o[beta2], c[6] = o[eps];
    c[7] = o[decoupled] != 0 ? 0 : o[weight_decay];
    c[8] = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1, c[9] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T* __restrict largest,
                    int64_t n, const T* c) {
    const T rate = c[0], root = c[1], beta1 = c[2], rest1 = c[3], beta2 = c[4], rest2 = c[5], eps = c[6], decay = c[7],
            shrink = c[8], sign = c[9];
    const auto update = [&](int64_t i, auto&& square) {
      const T g = sign * grad[i] + decay * p[i];
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] = p[i] * shrink - rate * m[i] / (std::sqrt(square(i)) * root + eps);
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[lr], c[1] = o[rho], c[2] = 1 - o[rho], c[3] = o[eps], c[4] = o[weight_decay], c[5] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict squares, T* __restrict steps, T*,
                    int64_t n, const T* c) {
    const T lr = c[0], rho = c[1], rest = c[2], eps = c[3], decay = c[4], sign = c[5];
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i];
      squares[i] = rho * squares[i] + rest * g * g;
      const T step = std::sqrt(steps[i] + eps) / std::sqrt(squares[i] + eps) * g;
      steps[i] = rho * steps[i] + rest * step * step;
      p[i] -= lr * step;
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[lr] / (1 + (s.number - 1) * o[lr_decay]), c[1] = o[eps], c[2] = o[weight_decay];
    c[3] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict sum, T*, T*, int64_t n, const T* c) {
    const T rate = c[0], eps = c[1], decay = c[2], sign = c[3];
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i];
      sum[i] += g * g;
      p[i] -= rate * g / (std::sqrt(sum[i]) + eps);
    }
  }
};

// Kingma, Ba 2015, section 7.1: Adam in the maximum norm.
struct Adamax : RuleBase {
  static constexpr const char* name = "adamax";
  enum { lr, beta1, beta2, eps, weight_decay, maximize };
  static constexpr const char* options[] = {"lr", "betas.0", "betas.1", "eps", "weight_decay", "maximize"};
  static constexpr const char* states[] = {"exp_avg", "exp_inf"};

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[lr] / (1 - std::pow(o[beta1], s.number)), c[1] = 1 - o[beta1], c[2] = o[beta2], c[3] = o[eps];
    c[4] = o[weight_decay], c[5] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict norm, T*, int64_t n,
                    const T* c) {
    const T rate = c[0], rest1 = c[1], beta2 = c[2], eps = c[3], decay = c[4], sign = c[5];
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i], magnitude = std::fabs(g) + eps, before = beta2 * norm[i];
      m[i] += rest1 * (g - m[i]);
      norm[i] = before > magnitude ? before : magnitude;
      p[i] -= rate * m[i] / norm[i];
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    double &eta = s.scalars[0], &mu = s.scalars[1];
    c[0] = eta, c[1] = 1 - o[lambd] * eta, c[2] = mu, c[3] = o[weight_decay], c[4] = sign_of(o[maximize]);
    eta = o[lr] / std::pow(1 + o[lambd] * o[lr] * s.number, o[alpha]);
    mu = 1 / std::max(1.0, s.number - o[t0]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict average, T*, T*, int64_t n, const T* c) {
    const T eta = c[0], shrink = c[1], mu = c[2], decay = c[3], sign = c[4];
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i];
      p[i] = p[i] * shrink - eta * g;
      average[i] = mu == T(1) ? p[i] : average[i] + (p[i] - average[i]) * mu;
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double *o = s.options, t = s.number;
    const auto momentum = [&](double at) { return o[beta1] * (1 - 0.5 * std::pow(0.96, at * o[momentum_decay])); };
    const double mu = momentum(t), next = momentum(t + 1),
                 product = s.scalars[0] = rounded_scalar(s, s.scalars[0] * rounded_scalar(s, mu));
    c[0] = o[lr] * (1 - mu) / (1 - product), c[1] = o[lr] * next / (1 - product * next);
    c[2] = 1 - o[beta1], c[3] = o[beta2], c[4] = 1 - o[beta2], c[5] = 1 / (1 - std::pow(o[beta2], t)), c[6] = o[eps];
    c[7] = o[decoupled] != 0 ? 0 : o[weight_decay];
    c[8] = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1, c[9] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T*, int64_t n,
                    const T* c) {
    const T of_grad = c[0], of_m = c[1], rest1 = c[2], beta2 = c[3], rest2 = c[4], correct = c[5], eps = c[6],
            decay = c[7], shrink = c[8], sign = c[9];
    for (int64_t i = 0; i < n; ++i) {
      p[i] *= shrink;
      const T g = sign * grad[i] + decay * p[i];
      m[i] += rest1 * (g - m[i]);
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= (of_grad * g + of_m * m[i]) / (std::sqrt(v[i] * correct) + eps);
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double *o = s.options, t = s.number, power = std::pow(o[beta2], t), left = 1 - power;
    const double most = 2 / (1 - o[beta2]) - 1, rho = most - 2 * t * power / left;
    const bool rectified = rho > 5;
    c[0] = o[lr] / (1 - std::pow(o[beta1], t));
    c[1] = rectified ? std::sqrt(left * (rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho)) : 0;
    c[2] = 1 - o[beta1], c[3] = o[beta2], c[4] = 1 - o[beta2], c[5] = o[eps];
    c[6] = o[decoupled] != 0 ? 0 : o[weight_decay];
    c[7] = o[decoupled] != 0 ? 1 - o[lr] * o[weight_decay] : 1, c[8] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict m, T* __restrict v, T*, int64_t n,
                    const T* c) {
    const T rate = c[0], rectifier = c[1], rest1 = c[2], beta2 = c[3], rest2 = c[4], eps = c[5], decay = c[6],
            shrink = c[7], sign = c[8];
    const bool rectified = rectifier != T(0);
    for (int64_t i = 0; i < n; ++i) {
      p[i] *= shrink;
      const T g = sign * grad[i] + decay * p[i];
      m[i] += rest1 * (g - m[i]);
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= rate * m[i] * (rectified ? rectifier / (std::sqrt(v[i]) + eps) : T(1));
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[lr], c[1] = o[alpha], c[2] = 1 - o[alpha], c[3] = o[eps], c[4] = o[weight_decay], c[5] = o[momentum];
    c[6] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict squares, T* __restrict buffer,
                    T* __restrict mean, int64_t n, const T* c) {
    const T lr = c[0], alpha = c[1], rest = c[2], eps = c[3], decay = c[4], momentum = c[5], sign = c[6];
    for (int64_t i = 0; i < n; ++i) {
      const T g = sign * grad[i] + decay * p[i];
      T square = squares[i] = alpha * squares[i] + rest * g * g;
      if (mean) {
        mean[i] += rest * (g - mean[i]);
        square -= mean[i] * mean[i];
      }
      T step = g / (std::sqrt(square) + eps);
      if (buffer) step = buffer[i] = momentum * buffer[i] + step;
      p[i] -= lr * step;
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

  template <class Step>
  static void prepare(const Step& s, double* c) {
    const double* o = s.options;
    c[0] = o[shrink], c[1] = o[grow], c[2] = o[least], c[3] = o[most], c[4] = sign_of(o[maximize]);
  }
  template <class T>
  static void apply(T* __restrict p, const T* __restrict grad, T* __restrict previous, T* __restrict size, T*,
                    int64_t n, const T* c) {
    const T shrink = c[0], grow = c[1], least = c[2], most = c[3], sign = c[4];
    for (int64_t i = 0; i < n; ++i) {
      const T given = sign * grad[i], agreement = given * previous[i];
      const T factor = agreement > 0 ? grow : agreement < 0 ? shrink : T(1), wanted = size[i] * factor;
      const T g = agreement < 0 ? T(0) : given;
      size[i] = wanted < least ? least : wanted > most ? most : wanted;
      p[i] -= g > 0 ? size[i] : g < 0 ? -size[i] : g;
      previous[i] = g;
    }
  }
};

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
