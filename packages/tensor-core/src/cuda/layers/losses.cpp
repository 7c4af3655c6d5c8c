// Classification losses on a GPU.
#include "cuda/operators.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"
#include "device/layers/loss_arguments.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kPick, kNllGradient, kSoftmaxGradient };

CudaModule& module_of(Dtype type) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(type), [&] {
    return std::make_unique<CudaModule>(
        "losses", std::string("#include \"device/layers/losses.h\"\nFLAMBEAU_LOSSES(") + type_name(type) + ")\n",
        std::initializer_list<const char*>{"pick", "nll_gradient", "softmax_gradient"});
  });
}
const char* pointer(const Tensor& t) { return t.defined() ? t.device_bytes() : nullptr; }
LossArguments arguments(const ClassScores& s, const Tensor& out) {
  LossArguments a{};
  a.batch = s.batch, a.classes = s.classes, a.inner = s.inner, a.ignored = s.ignored;
  a.labels = reinterpret_cast<const int64_t*>(pointer(s.labels));
  a.out = out.device_bytes();
  return a;
}

}  // namespace

Tensor picked(const ClassScores& s, const Tensor& scores, const Tensor& logarithms, const Tensor& weight,
              const Tensor& weights) {
  const Tensor out = empty(s.labels.shape(), scores.dtype());
  if (out.numel() == 0) return out;
  const int device = out.device().index;
  LossArguments a = arguments(s, out);
  a.scores = pointer(scores), a.logarithms = pointer(logarithms), a.weight = pointer(weight);
  a.weights = weights.device_bytes();
  a.reporter = reporter(device);
  launch(device, module_of(scores.dtype()), kPick, {unsigned(divide_up(out.numel(), kThreads))}, kThreads, a);
  return out;
}

Tensor picked_gradient(const ClassScores& s, const Shape& shape, const Tensor& factors, const Tensor& scores,
                       const Tensor& logarithms) {
  const Tensor out = empty(shape, factors.dtype());
  if (out.numel() == 0) return out;
  LossArguments a = arguments(s, out);
  a.factors = pointer(factors), a.scores = pointer(scores), a.logarithms = pointer(logarithms);
  const int64_t step = s.classes * s.inner;
  const bool together = step < kLossElements;
  if (together) a.sample = Divider(uint32_t(step));
  const int64_t blocks = together ? divide_up(s.batch * step, kLossElements) : s.batch * divide_up(step, kLossElements);
  launch(out.device().index, module_of(factors.dtype()), scores.defined() ? kSoftmaxGradient : kNllGradient,
         {unsigned(blocks)}, kThreads, a);
  return out;
}

}  // namespace flambeau::cuda
