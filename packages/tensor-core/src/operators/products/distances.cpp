// Distances between vectors, and normalisation of vectors.
#include "flambeau/operators/distances.h"
#include "flambeau/operator.h"

#include <cmath>

#include "core/working_memory.h"
#include "cuda/distances.h"
#include "flambeau/interpreter.h"
#include "flambeau/parallel.h"
#include "flambeau/pointwise/selection.h"
#include "kernels/layers/networks.h"

namespace flambeau {

namespace {

void require_inexact_difference(const char* name, const Tensor& difference) {
  require(is_inexact(difference.dtype()), name, ": Expected a floating point or complex tensor as input. Got ",
          difference.dtype());
}

Dtype working_type(const Tensor& t) { return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32; }
// Returns the indices of all pairs of different rows, as a tensor (2, pairs).
Tensor pairs_of(int64_t n) { return triangle_indices(n, n, 1, false, Dtype::int64); }

// Returns the distances between all pairs of rows, without recording.
Tensor distances_of_rows(const Tensor& input, double p) {
  const int64_t n = input.shape()[0], m = input.shape()[1];
  if (n < 2 || input.is_meta()) return empty({n * (n - 1) / 2}, input.dtype());
  const Dtype type = working_type(input);
  const Tensor rows = contiguous(to(input, type));
  if (cuda::runs_on_gpu(rows)) {
    const Tensor all = empty({1, n, n}, type), both = reshape(rows, {1, n, m}), pairs = pairs_of(n);
    cuda::distances(all, both, both, p);
    const Tensor flat_indices = select(pairs, 0, 0) * Scalar(n) + select(pairs, 0, 1);
    return to(index_select(reshape(all, {n * n}), 0, flat_indices), input.dtype());
  }
  const Tensor out = empty({n * (n - 1) / 2}, type);
  const auto distances = kernels::networks().distances[type == Dtype::float64];
  const int64_t size = item_size(type);
  // Computes the distances between row i and the rows after it.
  const auto after = [&](int64_t i) {
    distances(rows.bytes() + i * m * size, rows.bytes() + (i + 1) * m * size, n - i - 1, m, p,
              out.bytes() + (i * (n - 1) - i * (i - 1) / 2) * size);
  };
  parallel_items(n / 2, std::max<int64_t>(1, 40000 / (n * (m + 1))), [&](int64_t begin, int64_t end) {
    // An item combines one of the first rows with one of the last rows, so that all items take the same time.
    for (int64_t i = begin; i < end; ++i) {
      poll_signals();
      after(i);
      if (const int64_t other = n - 2 - i; other > i) after(other);
    }
  });
  return to(out, input.dtype());
}

void check_rows(const Tensor& a, const Tensor& b, double p) {
  for (const auto& [name, x] : {std::pair("X1", &a), std::pair("X2", &b)}) {
    require(x->dim() >= 2, "cdist only supports at least 2D tensors, ", name, " got: ", x->dim(), "D");
    require(is_floating(x->dtype()), "cdist only supports floating-point dtypes, ", name, " got: ", x->dtype());
  }
  require(a.size(-1) == b.size(-1), "X1 and X2 must have the same number of columns. X1: ", a.size(-1),
          " X2: ", b.size(-1));
  require(a.dtype() == b.dtype(), "cdist expects X1 and X2 to have the same dtype, got ", a.dtype(), " and ",
          b.dtype());
  require(p >= 0, "cdist only supports non-negative p values, got ", p);
}

Tensor differences_of(const Tensor& a, const Tensor& b) { return unsqueeze(a, -2) - unsqueeze(b, -3); }

// Computes the squared distances x^2 - 2 x y + y^2 as one product of (-2 x, x^2, 1) and (y, 1, y^2), and returns the
// distances.
Tensor euclidean_by_product(const Tensor& a, const Tensor& b) {
  const auto square = [](const Tensor& t) { return sum(t * t, Shape{-1}, true, {}); };
  const Tensor x = square(a), y = square(b);
  const Tensor left = cat({a * Scalar(-2.0), x, ones(x.shape(), x.dtype())}, -1);
  const Tensor right = cat({b, ones(y.shape(), y.dtype()), y}, -1);
  return sqrt(clamp_min(matmul(left, transpose(right, -1, -2)), Scalar(0.0)));
}

// Two batches of matrices, (..., n, m) and (..., k, m), which broadcast against each other.
struct RowPairs {
  Tensor x, y;
  Shape batch;
  int64_t count, n, k, m;

  RowPairs(const Tensor& a, const Tensor& b, Dtype type)
      : batch(broadcast(Shape(a.shape().begin(), a.shape().end() - 2), Shape(b.shape().begin(), b.shape().end() - 2))),
        count(product(batch)),
        n(a.size(-2)),
        k(b.size(-2)),
        m(a.size(-1)) {
    x = contiguous(to(expand(a, shape(n, m)), type));
    y = contiguous(to(expand(b, shape(k, m)), type));
  }
  Shape shape(int64_t rows, int64_t columns) const {
    Shape s = batch;
    s.push_back(rows);
    s.push_back(columns);
    return s;
  }
  Tensor matrices(const Tensor& t) const { return reshape(t, {count, t.size(-2), m}); }
  int64_t grain() const { return std::max<int64_t>(1, 40000 / (k * (m + 1) + 1)); }
};

Tensor distances_of_pairs(const Tensor& a, const Tensor& b, double p) {
  NoRecording off;
  const RowPairs r(a, b, working_type(a));
  const Tensor out = empty(r.shape(r.n, r.k), r.x.dtype());
  if (out.is_meta()) return to(out, a.dtype());
  if (cuda::runs_on_gpu(out)) {
    cuda::distances(out, r.matrices(r.x), r.matrices(r.y), p);
    return to(out, a.dtype());
  }
  const auto distances = kernels::networks().distances[out.dtype() == Dtype::float64];
  const int64_t size = item_size(out.dtype());
  parallel_items(r.count * r.n, r.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      poll_signals();
      distances(r.x.bytes() + i * r.m * size, r.y.bytes() + i / r.n * r.k * r.m * size, r.k, r.m, p,
                out.bytes() + i * r.k * size);
    }
  });
  return to(out, a.dtype());
}

// Returns the gradient of `a`. `grad` is the gradient of the distances, (..., n, k).
Tensor gradient_of_pairs(const Tensor& a, const Tensor& b, const Tensor& grad, const Tensor& distances, double p) {
  const RowPairs r(a, b, working_type(a));
  const Tensor g = contiguous(to(grad, r.x.dtype())), d = contiguous(to(distances, r.x.dtype()));
  const Tensor out = zeros(r.shape(r.n, r.m), r.x.dtype());
  if (cuda::runs_on_gpu(out)) {
    cuda::distance_slopes(out, r.matrices(r.x), r.matrices(r.y), g, d, p);
    return sum_to(to(out, a.dtype()), a.shape());
  }
  const auto slopes = kernels::networks().distance_slopes[out.dtype() == Dtype::float64];
  const int64_t size = item_size(out.dtype());
  parallel_items(r.count * r.n, r.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      poll_signals();
      slopes(r.x.bytes() + i * r.m * size, r.y.bytes() + i / r.n * r.k * r.m * size, r.k, r.m, p,
             g.bytes() + i * r.k * size, d.bytes() + i * r.k * size, out.bytes() + i * r.m * size);
    }
  });
  return sum_to(to(out, a.dtype()), a.shape());
}

// Returns the derivatives of the distances d (..., 1) with respect to the differences (..., m), computed with
// differentiable tensor operators.
Tensor differentiable_slope(const Tensor& difference, const Tensor& d, double p) {
  const Tensor none = eq(difference, Scalar(0)), size = abs(difference);
  Tensor slope = sgn(difference);
  if (p == 0) slope = slope * Scalar(0.0);
  if (std::isinf(p)) slope = slope * to(eq(size, d), slope.dtype());
  if (p != 0 && p != 1 && !std::isinf(p))
    slope = slope * pow(where(none, Scalar(1.0), size) / where(none, Scalar(1.0), d), Scalar(p - 1));
  return slope;
}

// Computes the gradients of both inputs with differentiable tensor operators, for higher derivatives.
void differentiable_gradient(const Context& c, double p) {
  const Tensor slope = differentiable_slope(differences_of(c.saved(0), c.saved(1)), unsqueeze(c.saved(2), -1), p);
  const Tensor shares = slope * unsqueeze(c.gradient(), -1);
  if (c.needs(0)) c.set(0, sum_to(sum(shares, Shape{-2}, false, {}), c.saved(0).shape()));
  if (c.needs(1)) c.set(1, sum_to(-sum(shares, Shape{-3}, false, {}), c.saved(1).shape()));
}

Tensor cdist_pair_by_pair(const Tensor& a, const Tensor& b, double p) {
  const Tensor out = distances_of_pairs(a, b, p);
  if (recording(a, b))
    record("Cdist", out, {&a, &b}, {&a, &b, &out}, [p](const Context& c) {
      if (recording_enabled()) return differentiable_gradient(c, p);
      const Tensor &a = c.saved(0), &b = c.saved(1), &d = c.saved(2), &g = c.gradient();
      if (c.needs(0)) c.set(0, gradient_of_pairs(a, b, g, d, p));
      if (c.needs(1)) c.set(1, gradient_of_pairs(b, a, transpose(g, -1, -2), transpose(d, -1, -2), p));
    });
  return out;
}

// Returns the symmetric matrix with zeros on its diagonal. `values` contains the entries above the diagonal, row by
// row.
Tensor symmetric_matrix(const Tensor& values, int64_t n) {
  const Tensor pairs = pairs_of(n), flat_indices = select(pairs, 0, 0) * Scalar(n) + select(pairs, 0, 1);
  const Tensor upper = reshape(index_copy(zeros({n * n}, values.dtype()), 0, flat_indices, values), {n, n});
  return upper + transpose(upper, 0, 1);
}

void pdist_gradient(const Context& c, double p) {
  const Tensor &input = c.saved(0), &distances = c.saved(1), &grad = c.gradient();
  const int64_t n = input.shape()[0];
  if (!recording_enabled()) {
    const Tensor g = symmetric_matrix(grad, n), d = symmetric_matrix(distances, n);
    return c.set(0, gradient_of_pairs(input, input, g, d, p));
  }
  const Tensor pairs = pairs_of(n), first = select(pairs, 0, 0), second = select(pairs, 0, 1);
  const Tensor difference = index_select(input, 0, first) - index_select(input, 0, second);
  const Tensor share = differentiable_slope(difference, unsqueeze(distances, 1), p) * unsqueeze(grad, 1);
  const Tensor zero = zeros(input.shape(), input.dtype());
  c.set(0, index_add(zero, 0, first, share) - index_add(zero, 0, second, share));
}

// Returns the gradient of x. The derivative of distance[i, j] with respect to x[i] is (x[i] - y[j]) / distance[i, j].
// `share` is the gradient of the distances divided by the distances.
Tensor euclidean_gradient(const Tensor& x, const Tensor& y, const Tensor& share) {
  return sum_to(x * sum(share, Shape{-1}, true, {}) - matmul(share, y), x.shape());
}

}  // namespace

Tensor dist(const Tensor& a, const Tensor& b, double p) {
  const Tensor difference = a - b;
  require_inexact_difference("dist", difference);
  return vector_norm(difference, p, std::nullopt, false);
}

const Operator dist_operator(
    {.signature = "dist(input, other, p=2)",
     .forms = kFunction | kMethod,
     .doc = "Compute the p-norm of ``input - other`` over all elements. Gradient: both operands, any order.",
     .forward = dist,
     .reference = "np.linalg.norm((input - other).reshape(-1), p)",
     .samples = "f(2, 3), f(2, 3); f(2, 3), f(3), 1"});

Tensor pairwise_distance(const Tensor& a, const Tensor& b, double p, double eps, bool keepdim) {
  return vector_norm(a - b + Scalar(eps), p, Shape{-1}, keepdim);
}

const Operator pairwise_distance_operator(
    {.signature = "pairwise_distance(x1, x2, p=2.0, eps=1e-06, keepdim=False)",
     .forms = kFunction,
     .doc = "Compute the p-norms of ``x1 - x2 + eps`` along the last dimension. Gradient: both operands, any order.",
     .forward = pairwise_distance,
     .reference = "np.linalg.norm(x1 - x2 + eps, p, -1)",
     .samples = "f(2, 3), f(2, 3); f(2, 3), f(2, 3), 1.0"});

Tensor cosine_similarity(const Tensor& a, const Tensor& b, int64_t dim, double eps) {
  const Dtype dtype = promote(a.dtype(), b.dtype());
  require(is_floating(dtype), "expected common dtype to be floating point, yet common dtype is ", dtype);
  const Shape shape = broadcast(a.shape(), b.shape());
  const auto unit = [&](const Tensor& t) {
    const Tensor x = t.shape() == shape ? to(t, dtype) : expand(to(t, dtype), shape);
    return x / clamp_min(vector_norm(x, 2, Shape{dim}, true), Scalar(eps));
  };
  return sum(unit(a) * unit(b), Shape{dim}, false, {});
}

const Operator cosine_similarity_operator(
    {.signature = "cosine_similarity(x1, x2, dim=1, eps=1e-08)",
     .forms = kFunction,
     .doc =
         R"(Compute ``x1 . x2 / (max(|x1|, eps) max(|x2|, eps))`` along a dimension. Gradient: both operands, any order.

Raises RuntimeError for integers or shapes that do not broadcast.

>>> flambeau.cosine_similarity(flambeau.tensor([[3.0, 4.0]]), flambeau.tensor([[4.0, 3.0]]))
tensor([0.9600]))",
     .forward = cosine_similarity,
     .reference = "(x1 * x2).sum(dim) / np.linalg.norm(x1, axis=dim) / np.linalg.norm(x2, axis=dim)",
     .samples = "f(2, 3), f(2, 3)"});

Tensor pdist(const Tensor& input, double p) {
  require(input.dim() == 2, "pdist only supports 2D tensors, got: ", input.dim(), "D");
  require(is_floating(input.dtype()), "pdist only supports floating-point dtypes, got ", input.dtype());
  require(p >= 0, "pdist only supports non-negative p values, got ", p);
  Tensor out;
  {
    NoRecording off;
    out = distances_of_rows(input, p);
  }
  if (recording(input)) record("Pdist", out, {&input}, {&input, &out}, [p](const Context& c) { pdist_gradient(c, p); });
  return out;
}

const Operator pdist_operator(
    {.signature = "pdist(input, p=2.0)",
     .forms = kFunction,
     .doc = R"(Compute the p-norm distances between all pairs of rows of a matrix (n, m), as a vector (n (n - 1) / 2,).

Raises RuntimeError for an invalid shape or dtype, or a negative p. Gradient: input, any order.)",
     .forward = pdist,
     .reference = "scipy.spatial.distance.pdist(input, 'minkowski', p=p)",
     .samples = "f(4, 3); f(4, 3), 3.0"});

Tensor cdist(const Tensor& a, const Tensor& b, double p, Euclidean way) {
  constexpr int64_t kLarge = 25;  // if there are more rows than this, the matrix product is used
  check_rows(a, b, p);
  if (p != 2) return cdist_pair_by_pair(a, b, p);
  Tensor out;
  {
    NoRecording off;
    const bool product = way == Euclidean::ByProduct ||
                         (way == Euclidean::ByProductIfLarge && std::max(a.size(-2), b.size(-2)) > kLarge);
    out = product ? euclidean_by_product(a, b) : distances_of_pairs(a, b, 2);
  }
  if (recording(a, b))
    record("Cdist", out, {&a, &b}, {&a, &b, &out}, [](const Context& c) {
      const Tensor &a = c.saved(0), &b = c.saved(1), &distance = c.saved(2), none = eq(distance, Scalar(0));
      const Tensor share = where(none, Scalar(0.0), c.gradient() / where(none, Scalar(1.0), distance));
      if (c.needs(0)) c.set(0, euclidean_gradient(a, b, share));
      if (c.needs(1)) c.set(1, euclidean_gradient(b, a, transpose(share, -1, -2)));
    });
  return out;
}

Tensor renorm(const Tensor& input, double p, int64_t dim, double maxnorm) {
  require(p > 0, "renorm: non-positive-norm not supported, got p = ", p);
  require(input.dim() >= 2, "renorm: input needs at least 2 dimensions, got ", input.dim(), " dimensions");
  require(maxnorm >= 0, "renorm: expected maxnorm to be >= 0 but got ", maxnorm);
  const int64_t kept = input.wrap_dim(dim);
  const bool half = input.dtype() == Dtype::float16 || input.dtype() == Dtype::bfloat16;
  const Tensor converted = half ? to(input, Dtype::float32) : input;
  require_inexact_difference("renorm", converted);
  Shape others;
  for (int64_t d = 0; d < input.dim(); ++d)
    if (d != kept) others.push_back(d);
  const Tensor norm = vector_norm(converted, p, others, true);
  const Tensor factor = _norm_limit(norm, Scalar(maxnorm));
  return to(converted * factor, input.dtype());
}

const Operator renorm_operator(
    {.signature = "renorm(input, p, dim, maxnorm)",
     .forms = kFunction | kMethod | kInPlace | kOut | kExactOut,
     .doc = R"(Scale down slices along ``dim`` whose p-norm is larger than ``maxnorm``; their norm becomes ``maxnorm``.

Raises RuntimeError for fewer than two dimensions, p <= 0 or a negative ``maxnorm``. Gradient: input.)",
     .forward = renorm,
     .reference = "np.stack([row * min(1, maxnorm / (np.linalg.norm(row, p) + 1e-7)) for row in input])",
     .samples = "f(3, 4), 2, 0, 1.5"});

namespace {

Euclidean euclidean_mode(std::string_view mode) {
  if (mode == "use_mm_for_euclid_dist_if_necessary") return Euclidean::ByProductIfLarge;
  if (mode == "use_mm_for_euclid_dist") return Euclidean::ByProduct;
  require<ValueError>(mode == "donot_use_mm_for_euclid_dist", mode,
                      " is not a valid value for compute_mode; expected use_mm_for_euclid_dist_if_necessary, "
                      "use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist");
  return Euclidean::ByDifferences;
}

const Operator cdist_operator(
    {.signature = "cdist(x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary')",
     .forms = kFunction | kFloat32,
     .doc = R"(Compute the p-norm distances (..., n, k) between the rows of x1 (..., n, m) and of x2 (..., k, m).

Args:
    x1, x2: floating tensors of the same dtype; leading dimensions are broadcast.
    p: from 0 (the number of coordinates that differ) to inf.
    compute_mode: when to compute Euclidean distances by a matrix product, which is faster and less exact:
        use_mm_for_euclid_dist_if_necessary (beyond 25 rows), use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist.
Raises: RuntimeError for invalid shapes, dtypes or a negative p; ValueError for another mode.
Gradient: both operands, any order; 0 where the distance is 0.

>>> flambeau.cdist(flambeau.tensor([[0.0, 0.0]]), flambeau.tensor([[3.0, 4.0], [0.0, 1.0]]))
tensor([[5., 1.]]))",
     .forward =
         [](const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
           return cdist(a, b, p, mode ? euclidean_mode(*mode) : Euclidean::ByProductIfLarge);
         },
     .reference = "scipy.spatial.distance.cdist(x1, x2, \"minkowski\", p=p)",
     .samples = "f(3, 4), f(5, 4); f(3, 4), f(5, 4), 3.0"});

}  // namespace

}  // namespace flambeau
