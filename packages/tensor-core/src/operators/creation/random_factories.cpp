// New tensors of random numbers.
#include <utility>

#include "operators/creation/factories.h"

namespace flambeau {

namespace {

Tensor uniform(const Shape& size, Generator* g, MaybeDtype dtype) {
  const Tensor out = empty(size, dtype.value_or(default_dtype()));
  fill_uniform(out, 0, 1, g);
  return out;
}

const Operator rand_operator({.signature = "rand(*size, generator=None, dtype=None)",
                              .forms = kFunction | kOut | kFactory,
                              .doc = "Return uniform random numbers in [0, 1): multiples of 2**-24 in float32, 2**-53 "
                                     "in float64, 2**-11 in float16 and 2**-8 in bfloat16.",
                              .forward = uniform});

Tensor standard_normal(const Shape& size, Generator* g, MaybeDtype dtype) {
  const Tensor out = empty(size, dtype.value_or(default_dtype()));
  fill_normal(out, 0, 1, g);
  return out;
}

const Operator randn_operator({.signature = "randn(*size, generator=None, dtype=None)",
                               .forms = kFunction | kOut | kFactory,
                               .doc = R"(Return standard normal random numbers.

Source: Box and Muller 1958.)",
                               .forward = standard_normal});

const Operator randperm_operator({.signature = "randperm(n, *, generator=None, dtype=None)",
                                  .forms = kFunction | kOut | kFactory,
                                  .doc = "Return a random permutation of 0 ... n - 1.",
                                  .forward = [](int64_t n, Generator* g, MaybeDtype dtype) {
                                    return random_permutation(n, dtype.value_or(Dtype::int64), g);
                                  }});

// --- integers ---

// Bounds of random integers, from randint(high, size), randint(low, high, size) and similar calls.
struct Bounds {
  int64_t low, high;
};
Bounds bounds(const char* function, std::optional<int64_t> low, std::optional<int64_t> high) {
  if (!high) std::swap(low, high);
  require<TypeError>(high.has_value(), function, "() missing 1 required positional arguments: \"high\"");
  return {low.value_or(0), *high};
}

using NumberOrSizes = std::optional<std::variant<int64_t, Shape>>;

// Returns the argument, which must be a number. Raises TypeError for a tuple of sizes.
std::optional<int64_t> number_of(const char* argument, const NumberOrSizes& given) {
  if (!given) return std::nullopt;
  require<TypeError>(std::holds_alternative<int64_t>(*given), argument, " must be int, not tuple");
  return std::get<int64_t>(*given);
}

Tensor randint(std::optional<int64_t> low, NumberOrSizes high, NumberOrSizes size, Generator* g, MaybeDtype dtype) {
  if (!size) size = std::exchange(high, std::nullopt);  // randint(high, size)
  require<TypeError>(size && std::holds_alternative<Shape>(*size),
                     "randint(): argument 'size' must be tuple of ints; call it as randint(high, size) or "
                     "randint(low, high, size)");
  const Bounds b = bounds("randint", low, number_of("randint(): argument 'high' (position 2)", high));
  const Tensor out = empty(std::get<Shape>(*size), dtype.value_or(Dtype::int64));
  fill_integers(out, b.low, b.high, g);
  return out;
}

const Operator randint_operator(
    {.signature = "randint(low=None, high=None, size=None, *, generator=None, dtype=None)",
     .forms = kFunction | kOut | kFactory,
     .doc = "Return uniform random integers in [low, high); randint(high, size) starts at 0.",
     .forward = randint});

// The default of `to` is (), so that random_(to) and random_(from, None) can be distinguished.
Tensor random_(const Tensor& t, int64_t from, const NumberOrSizes& to, Generator* g) {
  const bool missing = to == NumberOrSizes(Shape());
  if (!to || (missing && from == 0))
    fill_whole_numbers(t, to ? std::nullopt : std::optional(from), g);
  else if (missing)
    fill_integers(t, 0, from, g);
  else
    fill_integers(t, from, *number_of("random_(): argument 'to' (position 3)", to), g);
  return t;
}

const Operator random__operator(
    {.signature = "random_(input, from_=0, to=(), *, generator=None)",
     .forms = kMethod,
     .doc = R"(Fill with uniform random integers: random_(from, to) in [from, to), random_(to) in [0, to).

Without an upper bound, the largest number is the last integer up to which the dtype represents all integers.)",
     .forward = random_});

// --- tensors with the shape of other tensors ---

const Operator rand_like_operator({.signature = "rand_like(input, *, generator=None, dtype=None, memory_format=None)",
                                   .forms = kFunction | kFactory,
                                   .doc = "Return uniform random numbers in [0, 1) with the shape of input.",
                                   .forward = [](const Tensor& t, Generator* g, MaybeDtype dtype, MaybeFormat format) {
                                     const Tensor out = empty_like(t, dtype, format);
                                     fill_uniform(out, 0, 1, g);
                                     return out;
                                   }});

const Operator randn_like_operator({.signature = "randn_like(input, *, generator=None, dtype=None, memory_format=None)",
                                    .forms = kFunction | kFactory,
                                    .doc = "Return standard normal random numbers with the shape of input.",
                                    .forward = [](const Tensor& t, Generator* g, MaybeDtype dtype, MaybeFormat format) {
                                      const Tensor out = empty_like(t, dtype, format);
                                      fill_normal(out, 0, 1, g);
                                      return out;
                                    }});

const Operator randint_like_operator(
    {.signature = "randint_like(input, low=None, high=None, *, generator=None, dtype=None, memory_format=None)",
     .forms = kFunction | kFactory,
     .doc = "Return uniform random integers in [low, high) with the shape of input; randint_like(input, high) starts "
            "at 0.",
     .forward = [](const Tensor& t, std::optional<int64_t> low, std::optional<int64_t> high, Generator* g,
                   MaybeDtype dtype, MaybeFormat format) {
       const Bounds b = bounds("randint_like", low, high);
       const Tensor out = empty_like(t, dtype, format);
       fill_integers(out, b.low, b.high, g);
       return out;
     }});

// Returns a number, or the value of a tensor without dimensions.
Scalar single(const Operand& o) {
  require<TypeError>(!o.tensor || o.tensor->dim() == 0,
                     "normal(): size is only allowed if mean and std are both numbers");
  return o.tensor ? item(*o.tensor) : o.scalar;
}

Tensor normal(const Operand& mean, const Operand& std, const std::optional<Shape>& size, Generator* g,
              MaybeDtype dtype) {
  require<TypeError>(size || mean.tensor || std.tensor, "normal(): size is required if mean and std are both numbers");
  Tensor out;
  if (size) {
    out = empty(*size, dtype.value_or(default_dtype()));
    fill_normal(out, single(mean).real(), single(std).real(), g);
    return out;
  }
  require(std.tensor || std.scalar.real() >= 0, "normal expects std >= 0.0, but found std ", std.scalar);
  const Tensor &m = mean.tensor ? *mean.tensor : *std.tensor, &s = std.tensor ? *std.tensor : m;
  {
    NoRecording off;
    require(!std.tensor || s.numel() == 0 || item(all(ge(s, 0), {}, false)).truth(),
            "normal expects all elements of std >= 0.0");
    out = empty(broadcast(m.shape(), s.shape()), m.dtype());
    fill_normal(out, 0, std.tensor ? 1 : std.scalar.real(), g);
    out = to(add(std.tensor ? mul(out, std) : out, mean), m.dtype());
  }
  if (recording(m, s))
    record("Normal", out, {&m, &s}, {}, [sizes = std::pair(m.shape(), s.shape())](const Context& c) {
      if (c.needs(0)) c.set(0, zeros(sizes.first, c.gradient().dtype()));
      if (c.needs(1)) c.set(1, zeros(sizes.second, c.gradient().dtype()));
    });
  return out;
}

const Operator normal_operator(
    {.signature = "normal(mean, std=1, size=None, *, generator=None, dtype=None)",
     .forms = kFunction | kOut | kFactory,
     .doc =
         R"(Return normal random numbers. mean and std are tensors that broadcast or, with size, numbers.

Gradient: 0.)",
     .forward = normal});

}  // namespace

}  // namespace flambeau
