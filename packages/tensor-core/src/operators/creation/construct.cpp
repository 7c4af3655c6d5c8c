// Sequences and the identity matrix.
#include <algorithm>
#include <cmath>

#include "cuda/operators.h"
#include "cuda/random.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

using cuda::LinearSequence;

// Computes out[i] = value(i) for a contiguous tensor, in double.
template <class F>
void sequence(const Tensor& out, F value) {
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data<T>();
    constexpr int kBlock = 4096;  // indices within a block are ints, which vector instructions convert to double
    parallel_for(out.numel(), 65536, [=](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; block += kBlock)
        for (int i = 0, n = int(std::min<int64_t>(kBlock, end - block)); i < n; ++i) {
          const double v = value(double(block) + double(i));
          if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
            to[block + i] = T(int64_t(v));
          else
            to[block + i] = convert<T>(v);
        }
    });
  });
}

void fill_line(const Tensor& out, const LinearSequence& line) {
  if (out.is_meta()) return;
  if (cuda::runs_on_gpu(out)) return cuda::sequence(out, line);
  if (line.half == INFINITY)
    sequence(out, [=](double i) { return line.first + i * line.step; });
  else
    sequence(out, [=](double i) { return line.at(i); });
}

// Computes out[i] = first + i * step in integers, with vector instructions instead of one element after the other.
void whole_sequence(const Tensor& out, int64_t first, int64_t step) {
  if (out.is_meta()) return;
  if (cuda::runs_on_gpu(out)) return cuda::whole_sequence(out, first, step);
  dispatch(same_bits(out.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = out.data<T>();
    parallel_for(out.numel(), 65536, [=](int64_t begin, int64_t end) {
      constexpr int kLanes = 8, kBlock = 64;
      int64_t lanes[kLanes], i = begin;
      if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
        // Adding a constant to the previous block uses vector instructions, even those of the baseline instruction set.
        if (end - begin >= 2 * kBlock) {
          for (; i < begin + kBlock; ++i) to[i] = T(first + i * step);
          for (; i + kBlock <= end; i += kBlock)
            for (int l = 0; l < kBlock; ++l) to[i + l] = T(to[i + l - kBlock] + T(kBlock * step));
          for (; i < end; ++i) to[i] = T(first + i * step);
          return;
        }
      for (int l = 0; l < kLanes; ++l) lanes[l] = first + (begin + l) * step;
      for (; i + kLanes <= end; i += kLanes)
        for (int l = 0; l < kLanes; ++l) {
          to[i + l] = convert<T>(lanes[l]);
          lanes[l] += kLanes * step;
        }
      for (int l = 0; i < end; ++i, ++l) to[i] = convert<T>(lanes[l]);
    });
  });
}

// Converts a number to a dtype and back, so that, for example, the ends of a range of integers are integers.
Scalar rounded(Scalar s, Dtype dtype) {
  require(s.imaginary() == 0, "complex ", s, " can't be cast to ", dtype);
  return item(scalar_tensor(s, dtype));
}

void require_real_ends(const char* function, Scalar start, Scalar end, Dtype dtype) {
  require(is_complex(dtype) || (start.kind() != Category::Complex && end.kind() != Category::Complex), function,
          "(): inferred dtype complex can't be safely cast to passed dtype ", dtype);
}

__int128 exactly(Scalar s) { return s.wide() ? __int128(s.unsigned_integer()) : __int128(s.integer()); }

}  // namespace

Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<Dtype> dtype) {
  const bool integral =
      start.kind() < Category::Floating && end.kind() < Category::Floating && step.kind() < Category::Floating;
  const Dtype type = dtype.value_or(integral ? Dtype::int64 : default_dtype());
  require<NotImplementedError>(type != Dtype::bool_, "arange is not implemented for bool");
  require(step.real() != 0, "step must be nonzero");
  require(std::isfinite(start.real()) && std::isfinite(end.real()) && std::isfinite(step.real()),
          "unsupported range: ", start, " -> ", end);
  const bool whole = category(type) == Category::Integer;
  if (type == Dtype::int64 && !integral) {  // as in PyTorch, the arguments are converted first
    require<ValueError>(step.integer() != 0, "step must be nonzero: ", step, " as int64 is 0");
    return arange(Scalar(start.integer()), Scalar(end.integer()), Scalar(step.integer()), type);
  }
  require((step.real() > 0) == (end.real() >= start.real()) || end.real() == start.real(),
          "upper bound and lower bound inconsistent with step sign: arange(", start, ", ", end, ", ", step, ")");
  double count;
  if (integral) {
    const __int128 s = exactly(step), span = exactly(end) - exactly(start);
    count = double(span / s + (span % s != 0));
  } else {
    count = std::ceil((end.real() - start.real()) / step.real());
  }
  require(count < 1e15, "arange: ", count, " elements are too many");
  Tensor out = empty({int64_t(count)}, type);
  const double real_first = start.real(), real_step = step.real();
  if (whole || (integral && !is_floating(type)))
    whole_sequence(out, type == Dtype::uint64 ? int64_t(start.unsigned_integer()) : start.integer(), step.integer());
  else
    fill_line(out, LinearSequence{real_first, real_step, INFINITY, 0, 0});
  return out;
}

Tensor range_to(Scalar start, Scalar end, Scalar step, Dtype dtype) {
  require(step.real() != 0, "step must be nonzero");
  require(std::isfinite(start.real()) && std::isfinite(end.real()), "unsupported range: ", start, " -> ", end);
  const double steps = (end.real() - start.real()) / step.real();
  require(steps >= 0, "upper bound and lower bound inconsistent with step sign: range(", start, ", ", end, ", ", step,
          ")");
  require(steps < 1e15, "range: ", steps, " elements are too many");
  Tensor out = empty({int64_t(std::floor(steps)) + 1}, dtype);
  const double first = start.real(), each = step.real();
  fill_line(out, LinearSequence{first, each, INFINITY, 0, 0});
  return out;
}

Tensor linspace(Scalar start, Scalar end, int64_t steps, Dtype dtype) {
  require(steps >= 0, "number of steps must be non-negative, got ", steps);
  require_real_ends("torch.linspace", start, end, dtype);
  if (is_complex(dtype)) {
    const Dtype part = dtype == Dtype::complex64 ? Dtype::float32 : Dtype::float64;
    return complex(linspace(Scalar(start.real()), Scalar(end.real()), steps, part),
                   linspace(Scalar(start.imaginary()), Scalar(end.imaginary()), steps, part));
  }
  Tensor out = empty({steps}, dtype);
  const double first = rounded(start, dtype).real(), last = rounded(end, dtype).real();
  double step = steps > 1 ? (last - first) / double(steps - 1) : 0;
  if (dtype == Dtype::float32 && steps > 1)  // the values are rounded as in PyTorch, so that the elements are the same
    step = double(float(last - first) / float(steps - 1));
  const double half = double(steps == 1 ? 1 : steps / 2);
  // The first half is computed from the start and the rest from the end, so that the last value is exact.
  fill_line(out, LinearSequence{first, step, half, last, double(steps - 1)});
  return out;
}

Tensor logspace(Scalar start, Scalar end, int64_t steps, double base, Dtype dtype) {
  require_real_ends("torch.logspace", start, end, dtype);
  if (steps != 1 && !is_complex(dtype)) start = rounded(start, dtype), end = rounded(end, dtype);
  const Tensor exponents = linspace(start, end, steps, is_complex(dtype) ? Dtype::complex128 : Dtype::float64);
  return to(pow(Scalar(base), exponents), dtype);
}

Tensor eye(int64_t n, int64_t m, Dtype dtype) {
  require(n >= 0, "n must be greater or equal to 0, got ", n);
  require(m >= 0, "m must be greater or equal to 0, got ", m);
  Tensor out = zeros({n, m}, dtype);
  if (out.is_meta()) return out;
  fill_(from_storage(out.impl()->storage, {std::min(n, m)}, {m + 1}, 0, dtype), Scalar(1));
  return out;
}

}  // namespace flambeau
