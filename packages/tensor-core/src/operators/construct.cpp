// Sequences and the identity matrix.
#include <cmath>

#include "flambeau/operators.h"
#include "flambeau/parallel.h"

namespace flambeau {

Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<Dtype> dtype) {
  const bool integral =
      start.kind() < Category::Floating && end.kind() < Category::Floating && step.kind() < Category::Floating;
  const Dtype type = dtype.value_or(integral ? Dtype::int64 : default_dtype());
  require(step.real() != 0, "step must be nonzero");
  require(std::isfinite(start.real()) && std::isfinite(end.real()) && std::isfinite(step.real()),
          "unsupported range: ", start, " -> ", end);
  require((step.real() > 0) == (end.real() >= start.real()) || end.real() == start.real(),
          "upper bound and lower bound inconsistent with step sign: arange(", start, ", ", end, ", ", step, ")");
  double count;
  if (integral) {
    const int64_t s = step.integer(), span = end.integer() - start.integer();
    count = double(span / s + (span % s != 0));
  } else {
    count = std::ceil((end.real() - start.real()) / step.real());
  }
  require(count < 1e15, "arange: ", count, " elements are too many");
  Tensor out = empty({int64_t(count)}, type);
  const int64_t first = start.integer(), whole_step = step.integer();
  const double real_first = start.real(), real_step = step.real();
  dispatch(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data<T>();
    parallel_for(out.numel(), 65536, [=](int64_t begin, int64_t end) {
      if (std::is_integral_v<T> && integral)
        for (int64_t i = begin; i < end; ++i) to[i] = convert<T>(first + i * whole_step);
      else
        for (int64_t i = begin; i < end; ++i) {
          const double value = real_first + double(i) * real_step;
          if constexpr (std::is_integral_v<T>)
            to[i] = T(int64_t(value));
          else
            to[i] = convert<T>(value);
        }
    });
  });
  return out;
}

Tensor linspace(Scalar start, Scalar end, int64_t steps, Dtype dtype) {
  require(steps >= 0, "number of steps must be non-negative, got ", steps);
  Tensor out = empty({steps}, dtype);
  const double step = steps > 1 ? (end.real() - start.real()) / double(steps - 1) : 0;
  dispatch(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < steps; ++i)  // from both ends, so that the last value is exact
      out.data<T>()[i] = convert<T>(i < steps / 2 || steps == 1 ? start.real() + double(i) * step
                                                                : end.real() - double(steps - 1 - i) * step);
  });
  return out;
}

Tensor eye(int64_t n, int64_t m, Dtype dtype) {
  require(n >= 0 && m >= 0, "n and m must be non-negative, got ", n, " and ", m);
  Tensor out = zeros({n, m}, dtype);
  fill_(diagonal(out, 0, 0, 1), Scalar(1));
  return out;
}

}  // namespace flambeau
