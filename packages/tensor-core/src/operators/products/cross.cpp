// The cross product of vectors of three elements.
#include <algorithm>

#include "flambeau/cuda.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "operators/saved_factors.h"

namespace flambeau {

namespace {

// Computes the cross products of vectors whose three components are `inner` elements apart.
template <class T>
void cross_values(const T* a, const T* b, T* out, int64_t outer, int64_t inner) {
  parallel_items(outer, std::max<int64_t>(1, 16384 / inner), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const T *x = a + o * 3 * inner, *y = b + o * 3 * inner;
      T* to = out + o * 3 * inner;
      for (int64_t i = 0; i < inner; ++i) {
        const T x0 = x[i], x1 = x[i + inner], x2 = x[i + 2 * inner];
        const T y0 = y[i], y1 = y[i + inner], y2 = y[i + 2 * inner];
        to[i] = T(x1 * y2 - x2 * y1);
        to[i + inner] = T(x2 * y0 - x0 * y2);
        to[i + 2 * inner] = T(x0 * y1 - x1 * y0);
      }
    }
  });
}

Tensor cross_on_gpu(const Tensor& a, const Tensor& b, int64_t dim) {
  const auto component = [&](int64_t i) {
    const int64_t j = (i + 1) % 3, k = (i + 2) % 3;
    return select(a, dim, j) * select(b, dim, k) - select(a, dim, k) * select(b, dim, j);
  };
  return stack({component(0), component(1), component(2)}, dim);
}

}  // namespace

Tensor cross(const Tensor& input, const Tensor& other, int64_t dim) {
  require(input.dim() == other.dim(), "linalg.cross: inputs must have the same number of dimensions, got ", input.dim(),
          " and ", other.dim());
  dim = input.wrap_dim(dim);
  require(input.size(dim) == 3 && other.size(dim) == 3, "linalg.cross: inputs dimension ", dim,
          " must have length 3. Got ", input.size(dim), " and ", other.size(dim));
  const Dtype dtype = promote(input.dtype(), other.dtype());
  require<NotImplementedError>(dtype != Dtype::bool_, "\"cross\" not implemented for 'bool'");
  const bool half = dtype == Dtype::float16 || dtype == Dtype::bfloat16;
  const Dtype in = half ? Dtype::float32 : dtype;
  const Shape shape = broadcast(input.shape(), other.shape());
  Tensor out = empty(shape, in);
  {
    NoRecording off;
    const Tensor a = contiguous(expand(to(input, in), shape)), b = contiguous(expand(to(other, in), shape));
    if (cuda::runs_on_gpu(out)) out = cross_on_gpu(a, b, dim);
    int64_t inner = 1;
    for (int i = int(dim) + 1; i < out.dim(); ++i) inner *= shape[size_t(i)];
    dispatch_all(in, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if constexpr (!std::is_same_v<T, bool> && !std::is_same_v<T, float16> && !std::is_same_v<T, bfloat16>)
        if (out.numel() > 0 && out.device() == DeviceType::Cpu)
          cross_values(a.data<T>(), b.data<T>(), out.data<T>(), out.numel() / (3 * inner), inner);
    });
    out = to(out, dtype);
  }
  if (is_inexact(dtype) && recording(input, other))
    record("LinalgCross", out, {&input, &other}, {&saved_factor(input, other), &saved_factor(other, input)},
           [dim](const Context& c) {
             if (c.needs(0)) c.set(0, cross(conj(c.saved(1)), c.gradient(), dim));
             if (c.needs(1)) c.set(1, cross(c.gradient(), conj(c.saved(0)), dim));
           });
  return out;
}

namespace {

int64_t dimension_of_three(const Tensor& t) {
  for (int64_t d = 0; d < t.dim(); ++d)
    if (t.size(d) == 3) return d;
  detail::raise<Error>("no dimension of size 3 in input of shape ", t.shape());
}

const Operator cross_operator(
    {.signature = "cross(input, other, dim=None)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Compute the cross product of vectors of three elements along ``dim`` (default: the first one of size 3; a
warning is issued once).

The other dimensions are broadcast. Raises RuntimeError if ``dim`` does not have three elements.
Gradient: both operands.

>>> flambeau.cross(flambeau.tensor([1, 0, 0]), flambeau.tensor([0, 1, 0]))
tensor([0, 0, 1]))",
     .forward =
         [](const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
           if (!dim)
             warn_once(
                 "Using cross without specifying the dim arg is deprecated. Pass dim, or call linalg.cross, whose "
                 "default is dim=-1.");
           return cross(a, b, dim ? *dim : dimension_of_three(a));
         },
     .reference = "np.cross(input, other, axis=-1 if dim is None else dim)",
     .samples = "f(2, 3), f(2, 3); f(3), f(3); f(3, 2), f(3, 2), 0"});

}  // namespace

const Operator linalg_cross_operator(
    {.signature = "cross(input, other, *, dim=-1)",
     .forms = kPrivate | kOut | kExactOut,
     .doc = R"(Compute the cross products of vectors of three elements along a dimension; other dimensions broadcast.

Gradient: both operands, any order.

>>> flambeau.linalg.cross(flambeau.tensor([1.0, 0.0, 0.0]), flambeau.tensor([0.0, 1.0, 0.0]))
tensor([0., 0., 1.]))",
     .forward = cross,
     .module = "flambeau.linalg",
     .reference = "np.cross(input, other, axis=dim)",
     .samples = "f(3), f(3); f(2, 3), f(2, 3); f(3, 2), f(3, 2), dim=0"});

}  // namespace flambeau
