// Operators that combine matrix products and multiplications.
#include "flambeau/operators/products.h"
#include "flambeau/operator.h"
#include "flambeau/pointwise/arithmetic.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace flambeau {

namespace {

Tensor reshaped_to(const Tensor& t, int64_t rows, int64_t columns) {
  return t.dim() == 2 && t.shape()[0] == rows && t.shape()[1] == columns ? t : reshape(t, {rows, columns});
}

// Returns beta * input + alpha * product. If beta is 0, the values of `input` are not read. For booleans, + means "or"
// and * means "and".
Tensor scaled_sum(const Tensor& input, const Tensor& product, Scalar beta, Scalar alpha) {
  const bool logical = product.dtype() == Dtype::bool_;
  const auto alone = [&](const Tensor& t) { return clone(expand(t, broadcast(t.shape(), input.shape()))); };
  if (logical) {
    const Tensor term = alpha.truth() ? product : zeros(product.shape(), Dtype::bool_);
    return beta.truth() ? term | input : alone(term);
  }
  const Tensor term = alpha.equals(1) ? product : product * alpha;
  if (!beta.equals(0)) return (beta.equals(1) ? input : input * beta) + term;
  const Operand both[] = {input, term};
  return alone(to(term, result_type(both, 2)));
}

}  // namespace

Tensor outer(const Tensor& a, const Tensor& b) {
  require(a.dim() == 1 && b.dim() == 1, "outer: Expected 1-D arguments, but got ", a.dim(), "-D and ", b.dim(), "-D");
  return mul(unsqueeze(a, 1), b);
}

const Operator outer_operator({.signature = "outer|ger(input, vec2)",
                               .forms = kFunction | kMethod | kOut,
                               .doc = "Compute the outer product of two vectors.",
                               .forward = outer,
                               .reference = "np.outer(input, vec2)",
                               .samples = "f(2), f(3); i(2), i(3)"});

Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.dim() == 0 || b.dim() == 0) return a * b;
  require(a.size(-1) == b.size(-1), "inner() the last dimension must match on both input tensors but got shapes ",
          a.shape(), " and ", b.shape());
  if (a.dim() == 1 && b.dim() == 1) return dot(a, b);
  return tensordot(a, b, {-1}, {-1});
}

const Operator inner_operator(
    {.signature = "inner(input, other)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Compute sums of products over the last dimensions of both tensors; a 0-d tensor multiplies the other tensor.

Gradient: both operands. Raises RuntimeError if the last sizes differ.

>>> flambeau.inner(flambeau.tensor([1, 2]), flambeau.tensor([[3, 4], [5, 6]]))
tensor([11, 17]))",
     .forward = inner,
     .reference = "np.inner(input, other)",
     .samples = "f(3), f(3); f(2, 3), f(4, 3)"});

Tensor addr(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  require(a.dim() == 1 && b.dim() == 1, "addr: Expected 1-D argument vec1 and vec2, but got ", a.dim(), "-D and ",
          b.dim(), "-D");
  const Operand vectors[] = {a, b};
  const Dtype dtype = promote(input.dtype(), result_type(vectors, 2));
  if (!is_inexact(dtype) && dtype != Dtype::bool_)
    for (const auto& [name, value] : {std::pair("beta", beta), std::pair("alpha", alpha)})
      require(value.kind() != Category::Floating, "For integral input tensors, argument ", name,
              " must not be a floating point number.");
  const Shape shape{a.numel(), b.numel()};
  require(broadcast(input.shape(), shape) == shape, "addr: the input's shape ", input.shape(), " does not expand to ",
          shape);
  if (is_floating(dtype) && item_size(dtype) > 2 && input.dtype() == dtype && !beta.equals(0))
    return addcmul(beta.equals(1) ? input : input * beta, unsqueeze(alpha.equals(1) ? a : a * alpha, 1), b);
  if (dtype != Dtype::float16 && dtype != Dtype::bfloat16)
    return scaled_sum(input, unsqueeze(to(a, dtype), 1) * b, beta, alpha);
  const auto to_float32 = [](const Tensor& t) {
    return to(t, Dtype::float32);
  };  // float32, so that the result is rounded only once
  return to(scaled_sum(to_float32(input), unsqueeze(to_float32(a), 1) * to_float32(b), beta, alpha), dtype);
}

const Operator addr_operator(
    {.signature = "addr(input, vec1, vec2, *, beta=1, alpha=1)",
     .forms = kFunction | kMethod | kOut | kInPlace,
     .doc = R"(Compute ``beta * input + alpha * outer(vec1, vec2)``; ``input`` is broadcast, and ignored if beta is 0.

Gradient: input and both vectors.)",
     .forward = addr,
     .reference = "beta * input + alpha * np.outer(vec1, vec2)",
     .samples = "f(2, 3), f(2), f(3); f(3), f(2), f(3), beta=2, alpha=0.5"});

namespace {

// Computes the Kronecker product of the dimensions from d on. a and b have the sizes m and n.
template <class T>
void multiply_each(const Shape& m, const Shape& n, size_t d, const T* a, const T* b, T* out) {
  if (d == m.size()) {
    *out = *a * *b;
  } else if (d + 1 == m.size()) {
    for (int64_t i = 0; i < m[d]; ++i, out += n[d])
      for (int64_t k = 0; k < n[d]; ++k) out[k] = a[i] * b[k];
  } else {
    const int64_t a_step = product(Shape(m.begin() + d + 1, m.end())),
                  b_step = product(Shape(n.begin() + d + 1, n.end()));
    for (int64_t i = 0; i < m[d]; ++i)
      for (int64_t k = 0; k < n[d]; ++k, out += a_step * b_step)
        multiply_each(m, n, d + 1, a + i * a_step, b + k * b_step, out);
  }
}

// Computes a small product in one pass. Returns an undefined tensor if another algorithm is better.
Tensor small_kron(const Tensor& a, const Tensor& b, const Shape& m, const Shape& n, const Shape& shape) {
  constexpr int64_t kSmall = 32768;  // maximum number of elements of the result
  const Dtype type = a.dtype();
  const bool whole = a.is_contiguous() && b.is_contiguous() && b.dtype() == type && !recording(a, b);
  if (!whole || !is_inexact(type) || item_size(to_real(type)) < 4 || a.numel() * b.numel() > kSmall) return Tensor();
  const Tensor out = empty(shape, type);
  dispatch_all(type, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_floating_point_v<T> || is_complex_type<T>)
      if (out.numel()) multiply_each(m, n, 0, a.data<T>(), b.data<T>(), out.data<T>());
  });
  return out;
}

}  // namespace

Tensor kron(const Tensor& a, const Tensor& b) {
  constexpr int64_t kLarge = 4096;
  const int dims = std::max(a.dim(), b.dim());
  Shape shape_a, shape_b, result, first, second;
  for (int d = 0; d < dims; ++d) {
    const int i = d - (dims - a.dim()), j = d - (dims - b.dim());
    const int64_t m = i < 0 ? 1 : a.shape()[size_t(i)], n = j < 0 ? 1 : b.shape()[size_t(j)];
    shape_a.push_back(m), shape_a.push_back(1);
    shape_b.push_back(1), shape_b.push_back(n);
    result.push_back(m * n);
    first.push_back(m), second.push_back(n);
  }
  if (const Tensor out = small_kron(a, b, first, second, result)) return out;
  Tensor x = reshape(a, shape_a), y = reshape(b, shape_b);
  if (dims && x.numel() * y.numel() > kLarge) {  // the dimensions are reordered, so that complete rows are multiplied
    shape_a.back() = shape_b.back();
    shape_b[shape_b.size() - 2] = shape_a[shape_a.size() - 2];
    x = contiguous(expand(x, shape_a));
    y = contiguous(expand(y, shape_b));
  }
  return reshape(x * y, result);
}

const Operator kron_operator(
    {.signature = "kron(input, other)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(Compute the Kronecker product: blocks of each element of ``input`` times ``other``. Gradient: both operands.

>>> flambeau.kron(flambeau.tensor([1, 10]), flambeau.tensor([2, 3]))
tensor([ 2,  3, 20, 30]))",
     .forward = kron,
     .reference = "np.kron(input, other)",
     .samples = "f(2, 3), f(3, 2); f(2), f(2, 2); i(2), i(3)"});

Tensor tensordot(const Tensor& a, const Tensor& b, const Shape& first, const Shape& second) {
  require(first.size() == second.size(), "both dimension lists should have same length, got ", first, " and ", second);
  Tensor x = a, y = b;
  Shape x_order, y_order, shape, taken, given;
  for (int64_t d : first) taken.push_back(a.wrap_dim(d));
  for (int64_t d : second) given.push_back(b.wrap_dim(d));
  const auto contains = [](const Shape& dims, int64_t d) {
    return std::find(dims.begin(), dims.end(), d) != dims.end();
  };
  int64_t length = 1, rows = 1, columns = 1;
  for (size_t k = 0; k < taken.size(); ++k) {
    const int64_t i = taken[k], j = given[k], m = a.size(i), n = b.size(j);
    require(m == n || m == 1 || n == 1, "contracted dimensions need to match, but first has size ", m, " in dim ", i,
            " and second has size ", n, " in dim ", j);
    if (m != n && n == 1) x = sum(x, Shape{i}, true, a.dtype());
    if (m != n && n != 1) y = sum(y, Shape{j}, true, b.dtype());
    length *= std::min(m, n);
  }
  for (int64_t d = 0; d < a.dim(); ++d)
    if (!contains(taken, d)) x_order.push_back(d), shape.push_back(a.size(d)), rows *= a.size(d);
  y_order = given;
  for (int64_t d = 0; d < b.dim(); ++d)
    if (!contains(given, d)) y_order.push_back(d), shape.push_back(b.size(d)), columns *= b.size(d);
  x_order.append(taken.begin(), taken.end());
  const Tensor out =
      mm(reshaped_to(permute(x, x_order), rows, length), reshaped_to(permute(y, y_order), length, columns));
  return shape == out.shape() ? out : reshape(out, shape);
}

namespace {

// The dimensions to contract: their number, a list of dimensions for each of the two tensors, or a tensor that contains
// the number or the lists.
using Contraction = std::variant<Tensor, int64_t, std::vector<Shape>>;

Shape integers_of(const Tensor& t) {
  const Tensor flat = flatten(t, 0, -1);
  Shape out;
  for (int64_t i = 0; i < flat.numel(); ++i) out.push_back(item(select(flat, 0, i)).integer());
  return out;
}

Contraction in_tensor(const Tensor& dims) {
  require<TypeError>(category(dims.dtype()) == Category::Integer && dims.dim() <= 2,
                     "tensordot(): dims must be an int or two lists of ints, got a ", dims.dtype(), " tensor of shape ",
                     dims.shape());
  if (dims.dim() == 0) return item(dims).integer();
  std::vector<Shape> lists;
  for (const Tensor& row : unbind(dims, 0)) lists.push_back(integers_of(row));
  return lists;
}

Tensor contracted(const Tensor& a, const Tensor& b, const Contraction& dims) {
  if (const Tensor* given = std::get_if<Tensor>(&dims)) return contracted(a, b, in_tensor(*given));
  if (const auto* lists = std::get_if<std::vector<Shape>>(&dims)) {
    require(lists->size() == 2, "tensordot expects dims to be an int or two lists of ints");
    return tensordot(a, b, (*lists)[0], (*lists)[1]);
  }
  const int64_t count = std::get<int64_t>(dims);
  require(count >= 0, "tensordot expects dims >= 0, but got dims=", count);
  require(count <= std::min(a.dim(), b.dim()), "tensordot expects dims < ndim_a or ndim_b, but got dims=", count,
          " for shapes ", a.shape(), " and ", b.shape());
  Shape first, second;
  for (int64_t d = 0; d < count; ++d) first.push_back(a.dim() - count + d), second.push_back(d);
  return tensordot(a, b, first, second);
}

const Operator tensordot_operator(
    {.signature = "tensordot(a, b, dims=2)",
     .forms = kFunction | kOut | kExactOut | kLowerPrecision,
     .doc =
         R"(Sum products over the last ``dims`` dimensions of ``a`` and the first of ``b``, or over two lists.

Args:
    dims: a number, or a list of dimensions of ``a`` and one of ``b`` in the same order; a size of 1 is broadcast.
Raises: RuntimeError if the sizes do not match.
Gradient: both operands.

>>> flambeau.tensordot(flambeau.ones(2, 3), flambeau.ones(3, 4), 1).shape
flambeau.Size([2, 4]))",
     .forward = contracted,
     .reference = "np.tensordot(a, b, dims)",
     .samples = "f(2, 3), f(3, 4), 1; f(2, 3), f(2, 3); f(2, 3, 4), f(4, 3), ([1, 2], [1, 0])"});

}  // namespace

Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  const auto batch_of = [](const Tensor& t) { return Shape(t.shape().begin(), t.shape().end() - (t.dim() ? 1 : 0)); };
  require(x1.dim() == x2.dim() && x1.dim() > 0 && batch_of(x1) == batch_of(x2),
          "bilinear(): input batch dimensions do not match: got ", x1.shape(), " and ", x2.shape());
  require(weight.dim() == 3 && x1.size(-1) == weight.size(1) && x2.size(-1) == weight.size(2),
          "bilinear(): inputs of sizes ", x1.shape(), " and ", x2.shape(), " do not match the weight of size ",
          weight.shape());
  const int64_t outputs = weight.size(0), first = weight.size(1), second = weight.size(2);
  require(!bias.defined() || (bias.dim() == 1 && bias.size(0) == outputs),
          "bilinear(): bias size does not match weight size: got ", bias.defined() ? bias.shape() : Shape(),
          " but expected ", outputs);
  Shape shape = batch_of(x1);
  const int64_t rows = product(shape);
  const Tensor flat = reshape(permute(weight, {1, 0, 2}), {first, outputs * second});
  const Tensor products = reshape(mm(reshaped_to(x1, rows, first), flat), {rows, outputs, second});
  Tensor out = reshape(bmm(products, reshape(x2, {rows, second, 1})), {rows, outputs});
  if (bias.defined()) out = out + bias;
  shape.push_back(outputs);
  return reshape(out, shape);
}

const Operator bilinear_operator({.signature = "bilinear(input1, input2, weight, bias=None)",
                                  .forms = kFunction,
                                  .doc = R"(Compute ``x1 @ weight[k] @ x2 + bias[k]`` for every k.

Args:
    input1, input2: ``(*, D1)`` and ``(*, D2)``.
    weight: ``(K, D1, D2)``.
    bias: ``(K,)`` or None.
Returns: ``(*, K)``.)",
                                  .forward = bilinear,
                                  .reference = "np.einsum('ni,oij,nj->no', input1, weight, input2) + bias",
                                  .samples = "f(4, 2), f(4, 3), f(5, 2, 3), f(5)"});

namespace {

// The best split of each range of factors: cuts[i][j] is the last factor in the left part of the split of the factors i
// to j that needs the fewest multiplications. Cormen et al., section 15.2.
using Cuts = std::vector<std::vector<size_t>>;
Cuts cuts_of(const std::vector<int64_t>& sizes) {
  const size_t n = sizes.size() - 1;
  std::vector<std::vector<double>> cost(n, std::vector<double>(n, 0));
  Cuts cut(n, std::vector<size_t>(n, 0));
  for (size_t width = 1; width < n; ++width)
    for (size_t i = 0; i + width < n; ++i) {
      const size_t j = i + width;
      cost[i][j] = std::numeric_limits<double>::infinity();
      for (size_t k = i; k < j; ++k) {
        const double all = cost[i][k] + cost[k + 1][j] + double(sizes[i]) * double(sizes[k + 1]) * double(sizes[j + 1]);
        if (all < cost[i][j]) cost[i][j] = all, cut[i][j] = k;
      }
    }
  return cut;
}

Tensor multiplied(const Tensors& factors, const Cuts& cut, size_t i, size_t j) {
  if (i == j) return factors[i];
  const size_t k = cut[i][j];
  return mm(multiplied(factors, cut, i, k), multiplied(factors, cut, k + 1, j));
}

}  // namespace

Tensor multi_dot(const Tensors& given) {
  Tensors factors = given;
  const size_t n = factors.size();
  require(n >= 2, "multi_dot(): expected at least 2 tensors but got ", n);
  const bool row = factors[0].dim() == 1, column = factors[n - 1].dim() == 1;
  if (row) factors[0] = unsqueeze(factors[0], 0);
  if (column) factors[n - 1] = unsqueeze(factors[n - 1], 1);
  std::vector<int64_t> sizes;
  for (size_t i = 0; i < n; ++i) {
    require(factors[i].dim() == 2, "multi_dot(): tensor ", i, " must be ", i == 0 || i == n - 1 ? "1D or 2D" : "2D",
            " but got ", factors[i].dim(), "D");
    require(i == 0 || factors[i].size(0) == factors[i - 1].size(1), "multi_dot(): tensors ", i - 1, " and ", i,
            " with shapes ", factors[i - (i > 0)].shape(), " and ", factors[i].shape(), " cannot be multiplied");
    if (i == 0) sizes.push_back(factors[0].size(0));
    sizes.push_back(factors[i].size(1));
  }
  Tensor out = n == 2 ? mm(factors[0], factors[1]) : multiplied(factors, cuts_of(sizes), 0, n - 1);
  if (row) out = squeeze(out, Shape{0});

  return column ? squeeze(out, Shape{-1}) : out;
}

const Operator linalg_multi_dot_operator(
    {.signature = "multi_dot(tensors)",
     .forms = kPrivate | kOut | kExactOut | kLowerPrecision,
     .doc = R"(Compute the product of two or more matrices in the order that needs the fewest multiplications.

Args:
    tensors: matrices; the first may be a vector (a row), and the last may be a vector (a column).
Gradient: all tensors, any order.)",
     .forward = multi_dot,
     .module = "flambeau.linalg"});

}  // namespace flambeau
