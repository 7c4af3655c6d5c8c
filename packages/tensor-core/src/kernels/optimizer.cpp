// Fused optimizer updates over one contiguous parameter.
#include <cmath>

#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

template <class T>
void sgd(char* param_bytes, const char* grad_bytes, char* buffer_bytes, int64_t n, const SgdStep& step) {
  T* __restrict param = reinterpret_cast<T*>(param_bytes);
  const T* __restrict grad = reinterpret_cast<const T*>(grad_bytes);
  T* __restrict buffer = reinterpret_cast<T*>(buffer_bytes);
  const T lr = T(step.lr), momentum = T(step.momentum), keep = T(1 - step.dampening), decay = T(step.weight_decay),
          sign = T(step.sign);
  if (!buffer) {
    for (int64_t i = 0; i < n; ++i) param[i] -= lr * (sign * grad[i] + decay * param[i]);
    return;
  }
  const T old = step.first ? T(0) : momentum, fresh = step.first ? T(1) : keep;
  const T from_grad = step.nesterov ? T(1) : T(0), from_buffer = step.nesterov ? momentum : T(1);
  for (int64_t i = 0; i < n; ++i) {
    const T g = sign * grad[i] + decay * param[i];
    const T b = (step.first ? T(0) : old * buffer[i]) + fresh * g;
    buffer[i] = b;
    param[i] -= lr * (from_grad * g + from_buffer * b);
  }
}

// Kingma, Ba 2015 (arXiv:1412.6980); decoupled decay: Loshchilov, Hutter 2019 (arXiv:1711.05101).
template <class T>
void adam(char* param_bytes, const char* grad_bytes, char* avg_bytes, char* sq_bytes, char* max_bytes, int64_t n,
          const AdamStep& step) {
  T* __restrict param = reinterpret_cast<T*>(param_bytes);
  const T* __restrict grad = reinterpret_cast<const T*>(grad_bytes);
  T* __restrict avg = reinterpret_cast<T*>(avg_bytes);
  T* __restrict sq = reinterpret_cast<T*>(sq_bytes);
  T* __restrict largest = reinterpret_cast<T*>(max_bytes);
  const T beta1 = T(step.beta1), beta2 = T(step.beta2), keep1 = T(1 - step.beta1), keep2 = T(1 - step.beta2),
          eps = T(step.eps), decay = T(step.weight_decay), step_size = T(step.step_size), root = T(1 / step.bias2_root),
          shrink = T(step.shrink), sign = T(step.sign);
  auto update = [&](int64_t i, T denominator_square) {
    param[i] = param[i] * shrink - step_size * avg[i] / (std::sqrt(denominator_square) * root + eps);
  };
  auto moments = [&](int64_t i) {
    const T g = sign * grad[i] + decay * param[i];
    avg[i] = beta1 * avg[i] + keep1 * g;
    return sq[i] = beta2 * sq[i] + keep2 * g * g;
  };
  if (largest)
    for (int64_t i = 0; i < n; ++i) {
      const T s = moments(i);
      largest[i] = largest[i] > s ? largest[i] : s;
      update(i, largest[i]);
    }
  else
    for (int64_t i = 0; i < n; ++i) update(i, moments(i));
}

}  // namespace

void fill_optimizer(Table& table) {
  table.sgd[0] = sgd<float>;
  table.sgd[1] = sgd<double>;
  table.adam[0] = adam<float>;
  table.adam[1] = adam<double>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
