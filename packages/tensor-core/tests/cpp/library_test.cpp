// The C++ interface, used without Python: small vectors, views, rows with broadcasting, reductions, products, indexing,
// errors.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"

using namespace flambeau;

namespace {

int failures = 0;

void check(bool condition, const char* text, int line) {
  if (condition) return;
  std::fprintf(stderr, "line %d: %s\n", line, text);
  ++failures;
}
#define CHECK(condition) check(condition, #condition, __LINE__)

template <class E, class F>
bool raises(F&& f, const std::string& part) {
  try {
    f();
  } catch (const E& e) {
    return std::string(e.what()).find(part) != std::string::npos;
  }
  return false;
}

Tensor iota(const Shape& shape) {
  return reshape(arange(Scalar(0), Scalar(product(shape)), Scalar(1), Dtype::float32), shape);
}
std::vector<double> values(const Tensor& t) {
  const Tensor flat = contiguous(to(t, Dtype::float64));
  return {flat.data<double>(), flat.data<double>() + flat.numel()};
}
using List = std::vector<double>;

template <class V, class T>
void change(V& v, size_t how, size_t at, const T& value, V& other) {
  constexpr bool kSmall = requires { v.erase(at); };  // true for SmallVector; std::vector::erase takes an iterator
  if (how == 0) v.push_back(value);
  if (how == 1 && !v.empty()) v.pop_back();
  if (how == 2) v.resize(at, value);
  if (how == 3) v = other;
  if (how == 4) v = V(other);
  if (how == 5) v = std::exchange(other, V());
  if constexpr (kSmall) {
    if (how == 6) v.insert(at, value);
    if (how == 7 && at < v.size()) v.erase(at);
    if (how == 8) v.append(other.begin(), other.end());
  } else {
    if (how == 6) v.insert(v.begin() + ptrdiff_t(at), value);
    if (how == 7 && at < v.size()) v.erase(v.begin() + ptrdiff_t(at));
    if (how == 8) v.insert(v.end(), other.begin(), other.end());
  }
  if (v.size() > 12) v.resize(2);
}

// Makes the same random changes to several SmallVectors, with and without heap memory, and to vectors of std.
template <class Make>
void small_vectors(Make make) {
  using T = decltype(make(0));
  SmallVector<T, 3> small[4];
  std::vector<T> expected[4];
  uint32_t state = 1;
  const auto below = [&](size_t n) { return size_t((state = state * 1664525u + 1013904223u) >> 8) % n; };
  for (int step = 0; step < 4000; ++step) {
    const size_t i = below(4), j = (i + 1 + below(3)) % 4, how = below(9), at = below(expected[i].size() + 1);
    change(small[i], how, at, make(step), small[j]);
    change(expected[i], how, at, make(step), expected[j]);
    for (size_t k : {i, j}) CHECK(std::equal(small[k].begin(), small[k].end(), expected[k].begin(), expected[k].end()));
  }
}

void views() {
  const Tensor x = iota({2, 3, 4});
  CHECK(x.is_contiguous() && x.numel() == 24 && x.size(-1) == 4 && x.stride(0) == 12);
  const Tensor t = transpose(x, 0, 2);
  CHECK((t.shape() == Shape{4, 3, 2}) && !t.is_contiguous() && t.bytes() == x.bytes());
  CHECK((values(select(select(t, 2, 1), 1, 2)) == List{20, 21, 22, 23}));
  CHECK((values(slice(view(x, {24}), 0, 1, 20, 6)) == List{1, 7, 13, 19}));
  CHECK((expand(unsqueeze(view(x, {24}), 0), {3, 24}).stride(0) == 0));
  CHECK((values(diagonal(select(x, 0, 0), 1, 0, 1)) == List{1, 6, 11}));
  CHECK(split(x, {1, 3}, 2).size() == 2 && unbind(x, 1).size() == 3);
  CHECK((reshape(t, {-1}).shape() == Shape{24}) && reshape(t, {-1}).bytes() != x.bytes());
  CHECK(raises<Error>([&] { view(t, {24}); }, "[4, 3, 2]"));
  CHECK(raises<IndexError>([&] { select(x, 3, 0); }, "[-3, 2]"));
  CHECK(raises<IndexError>([&] { select(x, 0, 2); }, "index 2"));
  CHECK(raises<Error>([&] { expand(x, {1 << 30, 1 << 30, 2, 3, 4}); }, "overflow"));
  fill_(select(x, 0, 1), Scalar(0));
  CHECK(item(sum(x, {}, false, std::nullopt)).real() == 66);
}

void rows() {
  const Tensor x = iota({3, 1}), y = iota({4});
  CHECK((values(x + y) == List{0, 1, 2, 3, 1, 2, 3, 4, 2, 3, 4, 5}));
  CHECK((values(where(x < y, x, Scalar(-1.0))) == List{-1, 0, 0, 0, -1, -1, 1, 1, -1, -1, -1, 2}));
  CHECK((x < y).dtype() == Dtype::bool_ && (to(x, Dtype::int8) / y).dtype() == Dtype::float32);
  CHECK((to(x, Dtype::int64) + Scalar(1.5)).dtype() == Dtype::float32 &&
        (to(x, Dtype::float16) * y).dtype() == Dtype::float32);
  CHECK(std::fabs(item(exp(scalar_tensor(Scalar(1.0), Dtype::float64))).real() - std::exp(1.0)) < 1e-15);
  for (int64_t n : {1, 7, 63, 64, 65, 1023, 1025, 100003}) {  // around the sizes of vectors, blocks and threads' shares
    const Tensor a = iota({n}), half = to(a, Dtype::float16);
    CHECK(values(add(a, mul(a, 2))) == values(mul(a, 3)));
    CHECK(values(logical_and(a, a)).back() == (n > 1));
    CHECK(values(eq(half, half)) == List(size_t(n), 1));
    CHECK(item(max_all(slice(a, 0, 0, n, 3))).real() == double((n - 1) / 3 * 3));
  }
  const Operand operands[] = {x, y};
  const Tensor out = empty({0}, Dtype::float64);
  pointwise_into(op::mul, operands, out);
  CHECK((out.shape() == Shape{3, 4}) && values(out) == values(x * y));
  Tensor z = iota({4});
  const Operand in_place[] = {z, Scalar(2)};
  pointwise_(op::pow, in_place);
  CHECK((values(z) == List{0, 1, 4, 9}));
  CHECK(raises<Error>([&] { iota({2}) + iota({3}); }, "[2] and [3]"));
  CHECK(raises<NotImplementedError>([&] { bitwise_and(x, y); }, "float32"));
}

// Return true if an expression contains a name as a whole word.
bool names(const std::string& expression, const std::string& name) {
  return std::regex_search(expression, std::regex("\\b" + name + "\\b"));
}
// Kernels pass to a derivative the operands that its expression names, and no others.
void reads_of_derivatives() {
  for (const PointwiseRow& row : pointwise_rows())
    for (int k = 0; k < row.arity; ++k) {
      const std::string text = row.derivatives[k];
      int reads = names(text, "result") << row.arity;
      for (int i = 0; i < row.arity; ++i) reads |= names(text, std::string(1, char('x' + i))) << i;
      check(row.reads[k] == reads && (row.expression[k] == nullptr) == (text == "none"), row.name, __LINE__);
    }
}

void reductions() {
  const Tensor x = iota({3, 4, 5});
  CHECK(item(sum(x, {}, false, std::nullopt)).real() == 1770);
  CHECK((sum(x, Shape{0, 2}, true, std::nullopt).shape() == Shape{1, 4, 1}));
  CHECK((values(sum(x, Shape{0, 2}, false, std::nullopt)) == List{330, 405, 480, 555}));
  CHECK((values(argmax(x, 1, false)) == List(15, 3)));
  CHECK(std::fabs(item(var(x, {}, 1, false)).real() - 305) < 1e-3);
  CHECK((values(sum(softmax(x, 1, std::nullopt), Shape{1}, false, std::nullopt)).size() == 15));
  CHECK((values(cumsum(iota({4}), 0, std::nullopt)) == List{0, 1, 3, 6}));
  CHECK(raises<IndexError>([&] { amax(empty({0, 3}, Dtype::float32), Shape{0}, false); }, "[0, 3]"));
  const Tensor ones_ = ones({1000003}, Dtype::float32);
  CHECK(item(sum(ones_, {}, false, std::nullopt)).real() == 1000003);
}

void products() {
  for (Dtype dtype : {Dtype::float32, Dtype::float64, Dtype::int64, Dtype::float16})
    for (int64_t m : {1, 5, 17})
      for (int64_t k : {0, 1, 9})
        for (int64_t n : {1, 8, 33}) {
          const Tensor a = to(iota({m, k}) - Scalar(3), dtype), b = to(iota({k, n}) * Scalar(0.5), dtype);
          const Tensor want = sum(unsqueeze(to(a, Dtype::float64), 2) * unsqueeze(to(b, Dtype::float64), 0), Shape{1},
                                  false, std::nullopt);
          const Tensor c = matmul(a, b), d = transpose(matmul(transpose(b, 0, 1), transpose(a, 0, 1)), 0, 1);
          CHECK(c.dtype() == dtype && values(c) == values(to(want, dtype)) && values(d) == values(c));
        }
  CHECK((matmul(iota({2, 1, 3, 4}), iota({5, 4, 2})).shape() == Shape{2, 5, 3, 2}));
  const Tensor image = iota({1, 1, 4, 4}), ones_ = ones({1, 1, 2, 2}, Dtype::float32);
  CHECK((values(convolution(2, image, ones_, Tensor(), {{2}, {0}, {1}})) == List{10, 18, 42, 50}));
  CHECK((values(max_pool(2, image, {{2}, {}, {0}, {1}}).values) == List{5, 7, 13, 15}));
  CHECK(raises<Error>([&] { matmul(iota({2, 3}), iota({2, 3})); }, "2x3 and 2x3"));
}

void indexing() {
  const Tensor x = iota({3, 4}), rows = to(iota({2}), Dtype::int64);
  CHECK((values(index(x, {rows, rows})) == List{0, 5}));
  CHECK((values(index(x, {Tensor(), rows})) == List{0, 1, 4, 5, 8, 9}));
  CHECK((values(index(x, {x > Scalar(9)})) == List{10, 11}));
  CHECK((values(gather(x, 1, full({3, 1}, Scalar(2), Dtype::int64))) == List{2, 6, 10}));
  CHECK((values(index_select(x, 0, full({2}, Scalar(2), Dtype::int64))) == List{8, 9, 10, 11, 8, 9, 10, 11}));
  Tensor y = zeros({3, 4}, Dtype::float32);
  index_put(y, {rows}, ones({}, Dtype::float32), true, Write::InPlace);
  CHECK(item(sum(y, {}, false, std::nullopt)).real() == 8);
  CHECK((cat({x, y}, 1).shape() == Shape{3, 8}) && (stack({x, y}, 0).shape() == Shape{2, 3, 4}));
  CHECK(raises<IndexError>([&] { index(x, {full({1}, Scalar(3), Dtype::int64)}); }, "index 3"));
  CHECK(raises<Error>([&] { gather(x, 0, full({1, 1}, Scalar(3), Dtype::int64)); }, "index 3"));
  CHECK(raises<Error>([&] { index_select(scalar_tensor(Scalar(1), Dtype::float32), 0, zeros({9}, Dtype::int64)); },
                      "scalar"));
}

void memory() {
  static int released;
  released = 0;
  float data[4] = {1, 2, 3, 4};
  {
    const Tensor t = from_storage(
        Storage::wrap(data, sizeof(data), [](void*) { ++released; }, nullptr, false), {4}, {1}, 0, Dtype::float32);
    CHECK((values(slice(t, 0, 1, 3, 1)) == List{2, 3}));
    CHECK(raises<Error>([&] { fill_(t, Scalar(0)); }, "read-only"));
    CHECK(released == 0);
  }
  CHECK(released == 1);
  Shape shape{1, 2, 3, 4, 5, 6, 7};  // too long for the memory inside the object
  Shape moved = std::move(shape);
  shape = moved;
  moved.insert(2, 9);
  moved.erase(0);
  CHECK(shape.size() == 7 && moved.size() == 7 && moved[1] == 9);
  Generator generator(7);
  const Tensor draws = empty({1000}, Dtype::float64);
  fill_uniform(draws, 0, 1, &generator);
  CHECK(item(min_all(draws)).real() >= 0 && item(max_all(draws)).real() < 1);
}

}  // namespace

int main() {
  reads_of_derivatives();
  small_vectors([](int step) { return int64_t(step); });
  small_vectors([](int step) { return std::to_string(step) + " in a text that is too long to lie inside"; });
  for (int threads : {1, 3}) {
    set_num_threads(threads);
    views();
    rows();
    reductions();
    products();
    indexing();
    memory();
  }
  if (failures == 0) std::puts("ok");
  return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
