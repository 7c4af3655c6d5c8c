// Fused elementwise operators of extensions (flambeau/elementwise.h), for the instruction set in use.
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "flambeau/elementwise.h"
#include "flambeau/operators.h"

using namespace flambeau;

namespace test {
extern const Elementwise squares, snake, log_gamma_ratio, limited, sum_of_five;
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
  test_masks_and_selections();
  test_operands();
  test_errors();
  if (failures == 0) std::puts("ok");
  return failures != 0;
}
