// Unscaling of gradients: multiplies them by the inverse scale and checks in the same pass that they are finite.
#include <atomic>
#include <cmath>

#include "cuda/layers/optimizer.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/operators/optimizer.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

// Multiplies n values by `factor`. Returns true if all of them were finite: v - v is 0 for a finite v and NaN
// otherwise.
template <class T>
bool scale_values(T* values, int64_t n, double factor) {
  using Working = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Working by = Working(factor);
  bool finite = true;
  for (int64_t i = 0; i < n; ++i) {
    const Working v = convert<Working>(values[i]);
    finite &= v - v == Working(0);
    values[i] = convert<T>(v * by);
  }
  return finite;
}

bool scale_tensor(const Tensor& t, double factor) {
  std::atomic<bool> finite = true;
  dispatch(t.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_integral_v<T>)
      parallel_for(t.numel(), 32768, [&](int64_t begin, int64_t end) {
        if (!scale_values(t.data<T>() + begin, end - begin, factor)) finite = false;
      });
  });
  return finite;
}

}  // namespace

bool scale_gradients(const std::vector<Tensor>& gradients, double factor) {
  NoRecording off;
  for (const Tensor& g : gradients)
    require<NotImplementedError>(is_inexact(g.dtype()), "gradients must be floating-point or complex, got ", g.dtype());
  for (const Tensor& g : gradients) begin_inplace(g, "unscale_");
  bool finite = true;
  std::vector<Tensor> parts, used, on_gpu;
  for (const Tensor& g : gradients) {
    parts.push_back(is_complex(g.dtype()) ? view_as_real(g) : g);
    used.push_back(contiguous(parts.back()));
    if (cuda::runs_on_gpu(g))
      on_gpu.push_back(used.back());
    else
      finite &= scale_tensor(used.back(), factor);
  }
  finite &= cuda::scale(on_gpu, factor);
  for (size_t i = 0; i < parts.size(); ++i)
    if (!used[i].same(parts[i])) copy_values(parts[i], used[i]);
  return finite;
}

const Operator _scale_gradients_operator(
    {.signature = "_scale_gradients(gradients, factor)",
     .forms = kPrivate,
     .doc = "Multiply gradients in place, and return True if all of their elements were finite.",
     .forward = scale_gradients});

}  // namespace flambeau
