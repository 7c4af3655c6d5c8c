// Fused elementwise operators of extensions (flambeau/elementwise.h), for the instruction set in use.
#include <bit>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "flambeau/elementwise.h"
#include "flambeau/operators.h"

using namespace flambeau;

namespace test {
extern const Elementwise growth, squares, snake, log_gamma_ratio, limited, sum_of_five;
}

namespace {

int failures = 0;

void check(bool condition, const char* text, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: %s\n", line, text);
  ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

using List = std::vector<double>;
List values(const Tensor& t) {
  const Tensor flat = contiguous(to(t, Dtype::float64));
  return {flat.data<double>(), flat.data<double>() + flat.numel()};
}
Tensor of(const List& list, Dtype dtype = Dtype::float64) {
  const Tensor t = empty({int64_t(list.size())}, Dtype::float64);
  for (size_t i = 0; i < list.size(); ++i) t.data<double>()[i] = list[i];
  return to(t, dtype);
}
// Compare two lists. The tolerance `unit` is relative for numbers above 1 and absolute for others. NaN equals NaN.
bool agree(const List& a, const List& b, double unit) {
  bool all = a.size() == b.size();
  for (size_t i = 0; all && i < a.size(); ++i)
    all = (std::isnan(a[i]) && std::isnan(b[i])) || a[i] == b[i] ||
          std::fabs(a[i] - b[i]) <= unit * std::fmax(1, std::fabs(b[i]));
  return all;
}

// Arguments beyond the limits of the fast functions, alone and in one block with usual ones.
void test_arguments_beyond_the_limits_of_fast_functions() {
  List x, expected;
  for (int i = 0; i < 5000; ++i) x.push_back(i % 700 == 699 ? 1e7 * i : std::sin(i) * 20);
  x.push_back(1e30);
  for (double v : x) expected.push_back(v + std::sin(v * 2) * std::sin(v * 2) / 2);
  CHECK(agree(values(test::snake(of(x), 2)), expected, 1e-14));
  List y, ratio;
  for (double& v : x) {
    v = std::fmod(v, 50);
    y.push_back(v + 0.25);
    ratio.push_back(std::lgamma(v) - std::lgamma(v + 0.25));
  }
  CHECK(agree(values(test::log_gamma_ratio(of(x), of(y))), ratio, 1e-11));
}

// Half the spacing of a dtype, relative to 1, and a little for the errors of float32 lanes.
double rounding_error(Dtype dtype) { return (dtype == Dtype::float16 ? 0x1p-11 : 0x1p-8) * 1.04; }
void test_half_precision_rounds_accurate_results() {
  for (const Dtype dtype : {Dtype::float16, Dtype::bfloat16}) {
    const Tensor x = to(arange(-10, 10, 1.0 / 512, Dtype::float64), dtype);
    const List result = values(test::growth(x)), from = values(x);
    double most = 0;
    for (size_t i = 0; i < from.size(); ++i)
      if (from[i] != 0) most = std::fmax(most, std::fabs(result[i] / std::expm1(from[i]) - 1));
    CHECK(most < rounding_error(dtype));
  }
}
// An element beyond the limits of the fast functions does not change the results of its block.
void test_results_do_not_depend_on_other_elements() {
  for (const Dtype dtype : {Dtype::float32, Dtype::float16, Dtype::bfloat16}) {
    List x;
    for (int i = 0; i < 3000; ++i) x.push_back(std::sin(i) * 5);
    const List usual = values(test::growth(of(x, dtype)));
    x[0] = x[2999] = 5000;
    const List beside = values(test::growth(of(x, dtype)));
    CHECK(List(usual.begin() + 1, usual.end() - 1) == List(beside.begin() + 1, beside.end() - 1));
  }
}
void test_nan_of_any_bits_stays_nan() {
  const Tensor x = empty({65536}, Dtype::bfloat16);
  for (int i = 0; i < 65536; ++i) x.data<bfloat16>()[i] = bfloat16{uint16_t(i)};
  const List from = values(x), square = values(test::squares(x)), grown = values(test::growth(x));
  for (size_t i = 0; i < from.size(); ++i) CHECK(std::isnan(from[i]) == std::isnan(square[i]));
  for (size_t i = 0; i < from.size(); ++i) CHECK(std::isnan(from[i]) == std::isnan(grown[i]));
  const double all_ones = -std::bit_cast<double>(~uint64_t(0) >> 1);
  for (double v : values(test::snake(x, all_ones))) CHECK(std::isnan(v));
}

void test_masks_and_selections() {
  const List x = {-2, 0, 0.5, 1.5, 3, 4, NAN}, expected = {0.5, 4, 0.5, 0, 0, 0.5, NAN};
  for (const Dtype dtype : {Dtype::float64, Dtype::float32, Dtype::float16, Dtype::bfloat16})
    CHECK(agree(values(test::limited(of(x, dtype), 0, 3)), expected, 0));
}

void test_operands() {
  const Tensor a = arange(0, 6, 1, Dtype::float32), matrix = reshape(a, {2, 3});
  CHECK(values(test::squares(a)) == (List{0, 1, 4, 9, 16, 25}));
  CHECK(values(test::sum_of_five(a, a, a, a, a)) == (List{0, 15, 30, 45, 60, 75}));
  CHECK(values(test::sum_of_five(transpose(matrix, 0, 1), 0, 1, 0.5, of({1, 2}))) == (List{10, 18, 11, 19, 12, 20}));
  const Tensor half = to(a, Dtype::bfloat16);
  CHECK(test::sum_of_five(half, half, half, half, half).dtype() == Dtype::bfloat16);
  CHECK(values(test::sum_of_five(half, half, half, half, half)) == (List{0, 15, 30, 45, 60, 75}));
  CHECK(test::squares(empty({0, 3}, Dtype::float16)).shape() == Shape({0, 3}));
}

template <class E, class F>
bool raises(F&& f, const std::string& part) {
  try {
    f();
  } catch (const E& e) {
    return std::string(e.what()).find(part) != std::string::npos;
  }
  return false;
}

void test_errors() {
  const Tensor a = zeros({2}, Dtype::float32);
  CHECK(raises<TypeError>([&] { test::squares(a, a); }, "squares() takes 1 operands, got 2"));
  CHECK(raises<TypeError>([&] { test::squares(2.0); }, "one operand must be a Tensor"));
  CHECK(raises<TypeError>([&] { test::snake(a, Tensor()); }, "operand 2 must be a Tensor or a number, not None"));
  CHECK(raises<NotImplementedError>([&] { test::squares(zeros({2}, Dtype::int32)); }, "not implemented for 'int32'"));
  CHECK(raises<Error>([&] { test::snake(a, zeros({3}, Dtype::float32)); }, "[3]") ||
        raises<Error>([&] { test::snake(a, zeros({3}, Dtype::float32)); }, "size"));
}

}  // namespace

int main() {
  test_arguments_beyond_the_limits_of_fast_functions();
  test_half_precision_rounds_accurate_results();
  test_results_do_not_depend_on_other_elements();
  test_nan_of_any_bits_stays_nan();
  test_masks_and_selections();
  test_operands();
  test_errors();
  if (failures == 0) std::puts("ok");
  return failures != 0;
}
