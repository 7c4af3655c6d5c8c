// Operators that read sizes, compute with them, and require relations between them.
#include <cmath>

#include "program/operators.h"

namespace flambeau::program {

namespace {

bool is_integer(const Value& v) { return v.index() == 1 || v.index() == 2; }  // true for a bool or an int64_t

int64_t floor_quotient(int64_t a, int64_t b) {
  require<ValueError>(b != 0, "division of a size by 0");
  if (b == -1) return int64_t(-uint64_t(a));
  return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

double real(const Value& v) { return As<double>::get(v); }
int64_t integer(const Value& v) { return As<Scalar>::get(v).integer(); }

// Returns of_integers(a, b) if both values are integers, otherwise of_reals(a, b).
template <class Whole, class Real>
Value combined(const Value& a, const Value& b, Whole of_integers, Real of_reals) {
  if (is_integer(a) && is_integer(b)) return of_integers(integer(a), integer(b));
  return of_reals(real(a), real(b));
}

Value power_of(const Value& a, const Value& b) {
  if (!is_integer(a) || !is_integer(b) || integer(b) < 0) return std::pow(real(a), real(b));
  int64_t out = 1;
  for (int64_t i = 0; i < integer(b); ++i)
    require<ValueError>(!__builtin_mul_overflow(out, integer(a), &out), "a power of sizes does not fit into 64 bits");
  return out;
}

void check_input(const Tensor& t, std::string_view name, int64_t dims) {
  require(t.dim() == dims, "the program was traced with a tensor of ", dims, " dimensions for '", name,
          "', got one of shape ", t.shape());
}

Value element(const Tensor& t) {
  const Scalar s = item(t);
  if (s.kind() == Category::Boolean) return s.truth();
  if (s.kind() == Category::Complex) return s.complex();
  if (s.kind() == Category::Integer) return s.integer();
  return s.real();
}

void without_derivative(const Tensors& inputs, std::string_view name) {
  for (const Tensor& t : inputs)
    require<NotImplementedError>(!recording(t), "a program cannot compute the gradient of ", name,
                                 ": run it under flambeau.no_grad()");
}

// Repeats a list like the Python expression [size] * times.
Value repeated(const Value& items, int64_t times) {
  const Values* const list = std::get_if<Values>(&items);
  if (!list) wrong_value("a list", items);
  Values out;
  for (int64_t i = 0; i < times; ++i) out.insert(out.end(), list->begin(), list->end());
  return out;
}

void require_relation(bool condition, const Value& a, const Value& b, std::string_view text) {
  if (condition) return;
  const auto shown = [](const Value& v) {
    return is_integer(v) ? std::to_string(integer(v)) : std::to_string(real(v));
  };
  detail::raise<RequirementError>("the program was traced with inputs for which ", text, "; now the two values are ",
                                  shown(a), " and ", shown(b), ". Trace the model with inputs like these");
}

}  // namespace

Family number_operators() {
  // Overflow wraps around. Sizes of tensors that fit in memory do not overflow.
  const auto plus = [](const Value& a, const Value& b) {
    return combined(a, b, [](int64_t x, int64_t y) { return int64_t(uint64_t(x) + uint64_t(y)); }, std::plus<double>());
  };
  const auto minus = [](const Value& a, const Value& b) {
    return combined(
        a, b, [](int64_t x, int64_t y) { return int64_t(uint64_t(x) - uint64_t(y)); }, std::minus<double>());
  };
  const auto times = [](const Value& a, const Value& b) {
    return combined(
        a, b, [](int64_t x, int64_t y) { return int64_t(uint64_t(x) * uint64_t(y)); }, std::multiplies<double>());
  };
  const auto quotient = [](const Value& a, const Value& b) {
    return combined(a, b, floor_quotient, [](double x, double y) { return std::floor(x / y); });
  };
  const auto remainder = [](const Value& a, const Value& b) {
    return combined(
        a, b, [](int64_t x, int64_t y) { return int64_t(uint64_t(x) - uint64_t(floor_quotient(x, y)) * uint64_t(y)); },
        [](double x, double y) { return x - std::floor(x / y) * y; });
  };
  return {
      op("size", [](const Tensor& t, int64_t dim) { return t.size(dim); }),
      op("stride", [](const Tensor& t, int64_t dim) { return t.stride(dim); }),
      op("item", element),
      op("repeated", repeated),
      op("without_derivative", without_derivative),
      op("check_input", check_input),
      op("number_add", plus),
      op("number_sub", minus),
      op("number_mul", times),
      op("number_floordiv", quotient),
      op("number_mod", remainder),
      op("number_truediv", [](const Value& a, const Value& b) { return real(a) / real(b); }),
      op("number_pow", power_of),
      op("number_neg",
         [](const Value& a) { return is_integer(a) ? Value(int64_t(-uint64_t(integer(a)))) : Value(-real(a)); }),
      op("number_int", [](const Value& a) { return As<Scalar>::get(a).integer(); }),
      op("require_eq",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) == real(b), a, b, s); }),
      op("require_ne",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) != real(b), a, b, s); }),
      op("require_lt",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) < real(b), a, b, s); }),
      op("require_le",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) <= real(b), a, b, s); }),
      op("require_gt",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) > real(b), a, b, s); }),
      op("require_ge",
         [](const Value& a, const Value& b, std::string_view s) { require_relation(real(a) >= real(b), a, b, s); }),
  };
}

}  // namespace flambeau::program
