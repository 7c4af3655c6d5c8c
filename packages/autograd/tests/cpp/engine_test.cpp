// The engine, used without Python: training, derivatives of derivatives, hooks, errors.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "flambeau/autograd_engine.h"
#include "flambeau/operators/networks.h"
#include "flambeau/random.h"

using namespace flambeau;
using namespace flambeau::autograd;

namespace {

int failures = 0;

void check(bool condition, const char* text, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: %s\n", line, text);
  ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

template <class F>
bool raises(F&& f, const std::string& part) {
  try {
    f();
  } catch (const Error& e) {
    return std::string(e.what()).find(part) != std::string::npos;
  }
  return false;
}

double number(const Tensor& t) { return item(t).real(); }
bool equal(const Tensor& t, const std::vector<double>& expected) {
  const Tensor values = contiguous(to(t, Dtype::float64));
  return values.numel() == int64_t(expected.size()) &&
         std::equal(expected.begin(), expected.end(), values.data<double>());
}
Tensor iota(int64_t n) { return arange(Scalar(0), Scalar(n), Scalar(1), Dtype::float32); }
Tensor total(const Tensor& t) { return sum(t, {}, false, std::nullopt); }
Tensor leaf(const Tensor& t) {
  set_requires_grad(t, true);
  return t;
}
Tensor draws(const Shape& shape, double std, Generator& generator) {
  const Tensor t = empty(shape, Dtype::float32);
  fill_normal(t, 0, std, &generator);
  return t;
}

// A network of two layers learns a sine.
void training() {
  Generator generator(0);
  const Tensor x = reshape(iota(64) / 32.0 - 1.0, {64, 1}), y = sin(x * 3.0);
  const std::vector<Tensor> parameters = {leaf(draws({16, 1}, 1, generator)), leaf(draws({16}, 1, generator)),
                                          leaf(draws({1, 16}, 0.25, generator)), leaf(zeros({1}, Dtype::float32))};
  double first = 0, last = 0;
  for (int step = 0; step < 1000; ++step) {
    const Tensor hidden = tanh(linear(x, parameters[0], parameters[1]));
    const Tensor loss = mse_loss(linear(hidden, parameters[2], parameters[3]), y, Reduction::Mean);
    backward(loss);
    last = number(loss);
    if (step == 0) first = last;
    const NoGrad updating;
    for (const Tensor& p : parameters) {
      copy_(p, p - gradient_of(p) * 0.1);
      gradient_of(p) = Tensor();
    }
  }
  CHECK(first > 0.2 && last < first / 50);  // the seed is fixed, and the loss reaches 0.003
}

void gradients() {
  const Tensor x = leaf(iota(3)), w = leaf(iota(3) + 1.0), unused = leaf(iota(3));
  backward(total(x * x * w));
  CHECK(equal(gradient_of(x), {0, 4, 12}) && equal(gradient_of(w), {0, 1, 4}) && !gradient_of(unused).defined());
  backward(x * 2.0, iota(3));  // the result is added to the gradient of x
  CHECK(equal(gradient_of(x), {0, 6, 16}));
  const std::vector<Tensor> found = grad({x * w, x * 3.0}, {w, x, unused}, {iota(3), ones({3}, Dtype::float32)});
  CHECK(equal(found[0], {0, 1, 4}) && equal(found[1], {3, 5, 9}) && !found[2].defined());
  CHECK(equal(gradient_of(x), {0, 6, 16}));

  const Tensor first = grad({total(x * x * x)}, {x}, {}, {.create_graph = true})[0];
  CHECK(first.requires_grad() && equal(grad({total(first)}, {x})[0], {0, 6, 12}));

  const Tensor squares = total(x * x);
  CHECK(equal(grad({squares}, {x}, {}, {.retain_graph = true})[0], {0, 2, 4}));
  CHECK(equal(grad({squares}, {x})[0], {0, 2, 4}));
  CHECK(raises([&] { backward(squares); }, "a second time"));
}

void recording_is_a_choice() {
  const Tensor x = leaf(iota(3));
  CHECK((x * 2.0).requires_grad());
  {
    const NoGrad off;
    CHECK(!(x * 2.0).requires_grad());
  }
  CHECK((x * 2.0).requires_grad());
  CHECK(raises([&] { fill_(x, Scalar(0)); }, "leaf Variable that requires grad"));
  set_requires_grad(x, false);
  CHECK(!(x * 2.0).requires_grad());
}

void hooks() {
  const Tensor x = leaf(iota(3)), y = x * 2.0;
  retain_grad(y);
  std::vector<double> seen;
  const int64_t doubling = register_hook(y, [](const Tensor& gradient) { return gradient * 2.0; });
  register_hook(y, [&](const Tensor& gradient) {
    seen.push_back(number(total(gradient)));
    return Tensor();
  });
  backward(total(y), {}, {.retain_graph = true});
  CHECK(equal(gradient_of(y), {2, 2, 2}) && equal(gradient_of(x), {4, 4, 4}));
  remove_hook(doubling);
  backward(total(y));
  CHECK((seen == std::vector<double>{6, 3}) && equal(gradient_of(x), {6, 6, 6}));
  const Tensor z = leaf(iota(3));
  register_hook(z, [](const Tensor&) { return zeros({2}, Dtype::float32); });
  CHECK(raises([&] { backward(total(z)); }, "has changed the size or type of gradient 0"));
  CHECK(!gradient_of(z).defined());
}

void errors() {
  const Tensor x = leaf(iota(3));
  CHECK(raises([&] { backward(x * 2.0); }, "only for scalar outputs"));
  CHECK(raises([&] { backward(x * 2.0, iota(2)); }, "Mismatch in shape"));
  CHECK(raises([&] { backward(iota(1)); }, "does not require grad"));
  CHECK(raises([&] { grad({total(x)}, {iota(3)}); }, "does not require grad"));
  CHECK(raises([&] { grad({total(x)}, {}); }, "at least one input"));
  CHECK(raises([&] { grad({total(x)}, {x}, {x, x}); }, "a gradient for each of the 1 outputs"));
  CHECK(raises([&] { set_requires_grad(to(iota(3), Dtype::int64), true); }, "floating point"));
  const Tensor saved = x * x;
  {
    const NoGrad changing;
    fill_(x, Scalar(1));
  }
  CHECK(raises([&] { backward(total(saved)); }, "modified by an inplace operation"));
}

void cycles() {
  const size_t before = allocated_bytes();
  {
    const Tensor x = leaf(iota(3));
    backward(total(x * x * x), {}, {.create_graph = true});
    CHECK(collect_cycles() == 0);  // x is in use
  }
  CHECK(allocated_bytes() > before);
  CHECK(collect_cycles() == 1 && allocated_bytes() == before);
  Tensor chain = leaf(iota(1));  // its nodes must be destroyed without recursion
  for (int i = 0; i < 200000; ++i) chain = chain + 1.0;
  backward(chain);
}

}  // namespace

int main() {
  training();
  gradients();
  recording_is_a_choice();
  hooks();
  errors();
  cycles();
  if (failures == 0) std::puts("ok");
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
