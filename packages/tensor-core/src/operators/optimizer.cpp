// Optimizer steps over lists of parameters: one call, one pass over each parameter's memory.
#include <cmath>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

constexpr int64_t kChunk = 32768;

void check_list(const Tensors& params, const Tensors& others, const char* what) {
  require(params.size() == others.size(), "expected ", params.size(), " ", what, ", one for each parameter, got ",
          others.size());
  for (size_t i = 0; i < params.size(); ++i) {
    require(others[i].shape() == params[i].shape(), what, "[", i, "] has shape ", others[i].shape(), ", its parameter ",
            params[i].shape());
    require(others[i].dtype() == params[i].dtype(), what, "[", i, "] has dtype ", others[i].dtype(), ", its parameter ",
            params[i].dtype());
  }
}

// A complex parameter is stepped as its two parts.
Tensor parts(const Tensor& t) { return is_complex(t.dtype()) ? view_as_real(t) : t; }

Tensor working(const Tensor& t) {  // contiguous, float32 or float64; t itself if it already is
  return contiguous(to(t, t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32));
}

// Refuses what cannot be stepped, before anything is written, and counts the change.
void begin_step(const char* name, std::initializer_list<const Tensors*> lists) {
  for (const Tensor& p : **lists.begin())
    require<NotImplementedError>(is_inexact(p.dtype()), name, ": parameters must be floating-point or complex, got ",
                                 p.dtype());
  GradMode off(false);
  for (const Tensors* list : lists)
    for (const Tensor& t : *list) begin_inplace(t, name);
}

// Runs update(parameter index, pointers, elements) in chunks; what is written goes back to tensors that needed a copy.
// lists[0] are the parameters, written as all but lists[1], the gradients. An empty list gives null pointers.
template <class F>
void each_chunk(std::initializer_list<const Tensors*> lists, F&& update) {
  GradMode off(false);
  const Tensors& params = **lists.begin();
  for (size_t i = 0; i < params.size(); ++i) {
    Tensor used[5];
    int count = 0;
    for (const Tensors* list : lists) {
      if (!list->empty()) used[count] = working(parts((*list)[i]));
      ++count;
    }
    const int64_t size = item_size(used[0].dtype());
    parallel_for(used[0].numel(), kChunk, [&](int64_t begin, int64_t end) {
      char* at[5] = {};
      for (int k = 0; k < count; ++k)
        if (used[k].defined()) at[k] = used[k].bytes() + begin * size;
      update(i, used[0].dtype() == Dtype::float64, at, end - begin);
    });
    int k = 0;
    for (const Tensors* list : lists) {
      if (k != 1 && !list->empty() && !used[k].same((*list)[i])) copy_values(parts((*list)[i]), used[k]);
      ++k;
    }
  }
}

}  // namespace

void sgd_(const Tensors& params, const Tensors& grads, const Tensors& momentum_buffers, const SgdOptions& o) {
  check_list(params, grads, "grads");
  if (!momentum_buffers.empty()) check_list(params, momentum_buffers, "momentum_buffers");
  const kernels::SgdStep step{o.lr,       o.momentum, o.dampening, o.weight_decay, o.maximize ? -1.0 : 1.0,
                              o.nesterov, o.first};
  begin_step("sgd_", {&params, &momentum_buffers});
  each_chunk({&params, &grads, &momentum_buffers}, [&](size_t, bool real64, char* const* at, int64_t n) {
    kernels::table().sgd[real64](at[0], at[1], at[2], n, step);
  });
}

void adam_(const Tensors& params, const Tensors& grads, const Tensors& exp_avgs, const Tensors& exp_avg_sqs,
           const Tensors& max_exp_avg_sqs, const Tensors& steps, const AdamOptions& o) {
  check_list(params, grads, "grads");
  check_list(params, exp_avgs, "exp_avgs");
  check_list(params, exp_avg_sqs, "exp_avg_sqs");
  if (o.amsgrad) check_list(params, max_exp_avg_sqs, "max_exp_avg_sqs");
  require(steps.size() == params.size(), "expected ", params.size(), " steps, one for each parameter, got ",
          steps.size());
  for (const Tensor& s : steps)
    require(s.numel() == 1 && s.dtype() == Dtype::float32, "adam_: steps must be float32 scalars, got ", s.dtype(),
            " of shape ", s.shape());
  static const Tensors none;
  const Tensors& largest = o.amsgrad ? max_exp_avg_sqs : none;
  begin_step("adam_", {&params, &exp_avgs, &exp_avg_sqs, &largest, &steps});
  std::vector<kernels::AdamStep> each;
  each.reserve(params.size());
  for (const Tensor& s : steps) {
    const double t = double(*s.data<float>() += 1);
    each.push_back({o.beta1, o.beta2, o.eps, o.decoupled ? 0 : o.weight_decay, o.lr / (1 - std::pow(o.beta1, t)),
                    std::sqrt(1 - std::pow(o.beta2, t)), o.decoupled ? 1 - o.lr * o.weight_decay : 1,
                    o.maximize ? -1.0 : 1.0});
  }
  each_chunk({&params, &grads, &exp_avgs, &exp_avg_sqs, &largest},
             [&](size_t i, bool real64, char* const* at, int64_t n) {
               kernels::table().adam[real64](at[0], at[1], at[2], at[3], at[4], n, each[i]);
             });
}

}  // namespace flambeau
