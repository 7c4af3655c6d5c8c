// Steps of an optimizer for all parameters of a group.
#include "flambeau/operators/optimizer.h"

#include "cuda/layers/optimizer.h"
#include "flambeau/cuda.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

constexpr int64_t kGrain = 8192;                      // number of elements that justify a thread
constexpr int kTensors = 2 + OptimizerRule::kStates;  // a parameter, its gradient and its states

Tensor like_parameter(const OptimizerTarget& t, int i) {
  return i == 0 ? t.parameter : i == 1 ? t.gradient : t.states[i - 2];
}

void check(const OptimizerRule& rule, const OptimizerTarget& t) {
  require<NotImplementedError>(is_inexact(t.parameter.dtype()), rule.name,
                               ": parameters must be floating-point or complex, got ", t.parameter.dtype());
  for (int i = 1; i < kTensors; ++i) {
    const Tensor other = like_parameter(t, i);
    if (!other.defined()) continue;
    const char* const what = i == 1 ? "the gradient" : rule.states[i - 2];
    require(other.shape() == t.parameter.shape(), rule.name, ": ", what, " has shape ", other.shape(),
            ", its parameter ", t.parameter.shape());
    require(other.dtype() == t.parameter.dtype(), rule.name, ": ", what, " has dtype ", other.dtype(),
            ", its parameter ", t.parameter.dtype());
  }
  require(!rule.counts || (t.number.numel() == 1 && t.number.dtype() == Dtype::float32), rule.name,
          ": step must be a float32 number, got ", rule.counts ? t.number.dtype() : Dtype::float32, " of shape ",
          rule.counts ? t.number.shape() : Shape());
}

// Checks all tensors first, and then increments the versions of the tensors that the step will change.
void begin(const OptimizerRule& rule, const std::vector<OptimizerTarget>& targets) {
  for (const OptimizerTarget& t : targets) check(rule, t);
  for (const OptimizerTarget& t : targets) {
    begin_inplace(t.parameter, rule.name);
    for (const Tensor& s : t.states)
      if (s.defined()) begin_inplace(s, rule.name);
  }
}

// Returns a complex tensor as a view of its real and imaginary parts, which are updated like real numbers.
Tensor parts(const Tensor& t) { return is_complex(t.dtype()) ? view_as_real(t) : t; }

// Returns a contiguous float32 or float64 tensor: t itself if possible, otherwise a copy.
Tensor in_working_dtype(const Tensor& t) {
  return contiguous(to(t, t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32));
}

double counted(const Tensor& number) {
  if (!number.is_cuda()) return double(*number.data<float>() += 1);
  const double next = item(number).real() + 1;
  fill_(number, Scalar(next));
  return next;
}

void coefficients_of(const OptimizerRule& rule, const double* options, const OptimizerTarget& t, double* out) {
  const double number = rule.counts ? counted(t.number) : 0;
  double scalars[OptimizerRule::kScalars] = {};
  bool single = true;
  for (int i = 0; rule.scalars[i]; ++i) {
    scalars[i] = item(t.scalars[i]).real();
    single &= t.scalars[i].dtype() != Dtype::float64;
  }
  rule.prepare({options, number, t.new_states, scalars, single}, out);
  for (int i = 0; rule.scalars[i]; ++i) fill_(t.scalars[i], Scalar(scalars[i]));
}

// Copies the results to the tensors of which a copy was updated.
void write_back(const OptimizerTarget& t, const Tensor* used) {
  for (int i = 0; i < kTensors; ++i)
    if (const Tensor given = like_parameter(t, i); i != 1 && given.defined() && !used[i].same(given))
      copy_values(parts(given), used[i]);
}

void apply(const OptimizerRule& rule, const OptimizerTarget& t, const double* coefficients) {
  Tensor used[kTensors];
  for (int i = 0; i < kTensors; ++i)
    if (const Tensor given = like_parameter(t, i); given.defined()) used[i] = in_working_dtype(parts(given));
  const bool is_double = used[0].dtype() == Dtype::float64;
  const int64_t size = item_size(used[0].dtype());
  parallel_for(used[0].numel(), kGrain, [&](int64_t first, int64_t last) {
    char* at[kTensors] = {};
    for (int i = 0; i < kTensors; ++i)
      if (used[i].defined()) at[i] = used[i].bytes() + first * size;
    rule.apply[is_double](at, last - first, coefficients);
  });
  write_back(t, used);
}

// Updates all given parameters, which are on a GPU, together.
void apply_on_gpu(const OptimizerRule& rule, const std::vector<const OptimizerTarget*>& targets,
                  std::vector<cuda::OptimizerWork>& work) {
  for (size_t k = 0; k < targets.size(); ++k)
    for (int i = 0; i < kTensors; ++i)
      if (const Tensor given = like_parameter(*targets[k], i); given.defined())
        work[k].at[i] = contiguous(parts(given));
  cuda::optimizer_step(rule, work);
  for (size_t k = 0; k < targets.size(); ++k) write_back(*targets[k], work[k].at);
}

}  // namespace

const OptimizerRule* optimizer_rule(std::string_view name) {
  for (const OptimizerRule& rule : std::span(kernels::table().optimizers, size_t(kernels::table().optimizer_count)))
    if (name == rule.name) return &rule;
  return nullptr;
}

void optimizer_step(const OptimizerRule& rule, const double* options, const std::vector<OptimizerTarget>& targets) {
  NoRecording off;
  begin(rule, targets);
  std::vector<const OptimizerTarget*> on_gpu;
  std::vector<cuda::OptimizerWork> work;
  for (const OptimizerTarget& t : targets) {
    double coefficients[OptimizerRule::kCoefficients] = {};
    coefficients_of(rule, options, t, coefficients);
    if (!cuda::runs_on_gpu(t.parameter)) {
      apply(rule, t, coefficients);
      continue;
    }
    on_gpu.push_back(&t);
    std::copy_n(coefficients, OptimizerRule::kCoefficients, work.emplace_back().coefficients);
  }
  if (!on_gpu.empty()) apply_on_gpu(rule, on_gpu, work);
}

}  // namespace flambeau
