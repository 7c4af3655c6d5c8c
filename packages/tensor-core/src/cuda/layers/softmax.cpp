// Softmax, its logarithm and log-sum-exp on a GPU.
#include "cuda/operators.h"
#include "cuda/reduce.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

Step around(const Tensor& t, int64_t dim) {
  Step s{1, 1, 1};
  for (int64_t i = 0; i < t.dim(); ++i) (i < dim ? s.outer : i > dim ? s.inner : s.length) *= t.shape()[size_t(i)];
  return s;
}

Tensor along(const char* op, uint64_t number, const Tensor& first, const Tensor* second, int64_t dim) {
  static auto* modules = new CudaModules;
  const Dtype in = first.dtype();
  CudaModule& module = modules->find(number * 64 + uint64_t(in), [&] { return lines("layers/softmax", op, in); });
  const Tensor out = empty(first.shape(), in);
  ReduceArguments a{};
  a.in[0] = first.device_bytes();
  if (second) a.in[1] = second->device_bytes();
  a.out[0] = out.device_bytes();
  run_lines(first.device().index, module, a, around(first, dim), item_size(in));
  return out;
}

}  // namespace

Tensor softmax(bool logarithm, const Tensor& t, int64_t dim) {
  return along(logarithm ? "LogSoftmax" : "Softmax", logarithm, contiguous(t), nullptr, dim);
}

Tensor softmax_backward(bool logarithm, const Tensor& grad, const Tensor& result, int64_t dim) {
  const Tensor y = contiguous(result), g = contiguous(to(grad, y.dtype()));
  return along(logarithm ? "LogSoftmaxBackward" : "SoftmaxBackward", 2 + logarithm, g, &y, dim);
}

Tensor logsumexp(const Tensor& t, int64_t outer, int64_t length, int64_t inner) {
  static auto* modules = new CudaModules;
  const Dtype in = t.dtype();
  CudaModule& module = modules->find(uint64_t(in), [&] { return reduction("LogSumExp", in, "layers/softmax"); });
  const Tensor out = empty({outer * inner}, in);
  ReduceArguments a{};
  a.in[0] = t.device_bytes();
  a.out[0] = out.device_bytes();
  run_reduction(t.device().index, module, a, {outer, length, inner}, item_size(in), 2 * accumulator_size(in));
  return out;
}

}  // namespace flambeau::cuda
