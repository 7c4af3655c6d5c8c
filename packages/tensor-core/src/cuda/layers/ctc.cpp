#include "cuda/layers/ctc.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"
#include "device/layers/ctc_arguments.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kAlpha, kBeta, kGradient };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "ctc_loss", std::string("#include \"device/layers/ctc.h\"\nFLAMBEAU_CTC(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"alpha", "beta", "gradient"});
  });
}

CtcArguments arguments(const CtcTensors& c) {
  CtcArguments a{};
  a.steps = c.logs.size(0), a.batch = c.logs.size(1), a.classes = c.logs.size(2);
  a.blank = c.blank, a.states = c.states;
  const auto* lengths = reinterpret_cast<const int64_t*>(c.lengths.device_bytes());
  a.targets = reinterpret_cast<const int64_t*>(c.targets.device_bytes());
  a.first = lengths, a.labels = lengths + a.batch, a.times = lengths + 2 * a.batch;
  a.logs = c.logs.device_bytes(), a.alpha = c.alpha.device_bytes(), a.losses = c.losses.device_bytes();
  a.chains = reinterpret_cast<int32_t*>(c.chains.device_bytes());
  a.reporter = reporter(c.logs.device().index);
  return a;
}

void run(const CtcTensors& c, Kernel kernel, int64_t blocks, const CtcArguments& a) {
  if (blocks) launch(c.logs.device().index, module_of(c.logs.dtype()), kernel, {unsigned(blocks)}, kCtcThreads, a);
}

}  // namespace

void ctc_forward(CtcTensors& c) {
  const int64_t steps = c.logs.size(0), batch = c.logs.size(1);
  c.alpha = empty({batch, steps, c.states}, c.logs.dtype());
  c.losses = empty({batch}, c.logs.dtype());
  c.chains = empty({batch, c.states, 2}, Dtype::int32);
  run(c, kAlpha, batch, arguments(c));
}

Tensor ctc_backward(const CtcTensors& c, const Tensor& scale, bool zero_infinity) {
  const Tensor beta = empty(c.alpha.shape(), c.alpha.dtype()), grad = empty(c.logs.shape(), c.logs.dtype());
  CtcArguments a = arguments(c);
  a.beta = beta.device_bytes(), a.grad = grad.device_bytes(), a.scale = scale.device_bytes();
  a.zero_infinity = zero_infinity;
  run(c, kBeta, a.batch, a);
  run(c, kGradient, a.batch * a.steps, a);
  return grad;
}

}  // namespace flambeau::cuda
