// Reductions over dimensions, each with its derivative.
#include "flambeau/operators.h"
#include "flambeau/parallel.h"

#include <cmath>

#include "kernels/table.h"

namespace flambeau {

namespace {

// The input brought to (outer, length, inner) with the reduced dimensions in the middle.
struct Layout {
  Tensor input;  // contiguous, of the kernel's type
  int64_t outer = 1, length = 1, inner = 1;
  Shape shape;       // of the result
  Shape kept_shape;  // with the reduced dimensions as 1
};

uint64_t dim_mask(const Tensor& t, const OptionalDims& dims) {
  if (!dims || dims->empty()) return ~uint64_t(0);
  uint64_t mask = 0;
  for (int64_t d : *dims) {
    d = t.wrap_dim(d);
    require(!(mask >> d & 1), "dim ", d, " appears multiple times in the list of dims");
    mask |= uint64_t(1) << d;
  }
  return mask;
}

Layout layout(const Tensor& t, const OptionalDims& dims, bool keepdim, Dtype in) {
  const uint64_t mask = dim_mask(t, dims);
  Layout l;
  GradMode off(false);
  int first = -1, last = -1;
  bool adjacent = true;
  for (int i = 0; i < t.dim(); ++i) {
    const bool reduced = mask >> i & 1;
    l.kept_shape.push_back(reduced ? 1 : t.shape()[i]);
    if (!reduced || keepdim) l.shape.push_back(reduced ? 1 : t.shape()[i]);
    if (!reduced) continue;
    if (first < 0)
      first = i;
    else if (i != last + 1)
      adjacent = false;
    last = i;
  }
  if (first < 0) first = last = t.dim();
  Tensor input = t;
  if (!adjacent) {  // kept dimensions first, reduced ones last
    Shape order;
    for (int i = 0; i < t.dim(); ++i)
      if (!(mask >> i & 1)) order.push_back(i);
    const int kept = int(order.size());
    for (int i = 0; i < t.dim(); ++i)
      if (mask >> i & 1) order.push_back(i);
    input = permute(t, order);
    first = kept;
    last = t.dim() - 1;
  }
  l.input = contiguous(to(input, in));
  for (int i = 0; i < input.dim(); ++i) (i < first ? l.outer : i <= last ? l.length : l.inner) *= input.shape()[i];
  return l;
}

// Calls body(o, first column, columns) over the result, on several threads where it is large. Where the result has few
// columns in long rows, nothing is split: the order of additions stays one.
template <class F>
void over_results(const Layout& l, F&& body) {
  const int64_t work = l.outer * l.length * l.inner;
  if (work < 65536 || l.outer * l.inner == 1) {
    for (int64_t o = 0; o < l.outer; ++o) body(o, int64_t(0), l.inner);
  } else if (l.outer >= num_threads() || l.inner < 256) {
    parallel_items(l.outer, std::max<int64_t>(1, 32768 / (l.length * l.inner + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) body(o, int64_t(0), l.inner);
    });
  } else {
    parallel_for(l.inner, std::max<int64_t>(64, 32768 / (l.length + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t o = 0; o < l.outer; ++o) body(o, begin, end - begin);
    });
  }
}

// One long row: blocks of a fixed length on several threads, the partial results reduced by the same kernel.
Tensor reduce_long_row(kernels::ReduceKernel kernel, const Tensor& flat) {
  constexpr int64_t kBlock = 65536;
  const int64_t n = flat.numel(), size = item_size(flat.dtype()), blocks = (n + kBlock - 1) / kBlock;
  Tensor partial = empty({blocks}, flat.dtype());
  parallel_items(blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b)
      kernel(partial.bytes() + b * size, flat.bytes() + b * kBlock * size, std::min(kBlock, n - b * kBlock), 1, 1);
  });
  Tensor out = empty({}, flat.dtype());
  kernel(out.bytes(), partial.bytes(), blocks, 1, 1);
  return out;
}

void require_order(bool ordered, const Tensor& t) {
  require<NotImplementedError>(ordered, "the largest or smallest of complex numbers is not defined: got ", t.dtype());
}

Tensor reduce(kernels::Reduce op, const Layout& l) {
  const auto kernel = kernels::table().reduce[int(op)][int(compute_type(l.input.dtype()))];
  require_order(kernel, l.input);
  const int64_t size = item_size(l.input.dtype());
  if (l.outer == 1 && l.inner == 1 && l.length >= 2 * 65536) return reshape(reduce_long_row(kernel, l.input), l.shape);
  Tensor out = empty(l.shape, l.input.dtype());
  over_results(l, [&](int64_t o, int64_t column, int64_t columns) {
    kernel(out.bytes() + (o * l.inner + column) * size, l.input.bytes() + (o * l.length * l.inner + column) * size,
           l.length, l.inner, columns);
  });
  return out;
}

Tensor arg_reduce(bool largest, const Layout& l) {
  const auto& table = kernels::table();
  const auto kernel = (largest ? table.argmax : table.argmin)[int(compute_type(l.input.dtype()))];
  require_order(kernel, l.input);
  const int64_t size = item_size(l.input.dtype());
  Tensor out = empty(l.shape, Dtype::int64);
  over_results(l, [&](int64_t o, int64_t column, int64_t columns) {
    kernel(out.data<int64_t>() + o * l.inner + column, l.input.bytes() + (o * l.length * l.inner + column) * size,
           l.length, l.inner, columns);
  });
  return out;
}

Dtype compute_dtype(Dtype d) { return dtype_of(compute_type(d)); }
Dtype sum_dtype(Dtype d) { return is_inexact(d) ? d : Dtype::int64; }

Shape kept_shape(const Tensor& t, const OptionalDims& dims) {
  const uint64_t mask = dim_mask(t, dims);
  Shape shape = t.shape();
  for (size_t i = 0; i < shape.size(); ++i)
    if (mask >> i & 1) shape[i] = 1;
  return shape;
}

int64_t reduced_count(const Tensor& t, const OptionalDims& dims) {
  const uint64_t mask = dim_mask(t, dims);
  int64_t n = 1;
  for (int i = 0; i < t.dim(); ++i)
    if (mask >> i & 1) n *= t.shape()[i];
  return n;
}

void require_elements(const Tensor& t, const OptionalDims& dims, const char* name) {
  const uint64_t mask = dim_mask(t, dims);
  for (int i = 0; i < t.dim(); ++i)
    require<IndexError>(!(mask >> i & 1) || t.shape()[i] > 0, name, "(): Expected reduction dim ", i,
                        " to have non-zero size, got shape ", t.shape());
}

Tensor spread(const Tensor& g, const Shape& kept, const Shape& shape) { return expand(reshape(g, kept), shape); }

}  // namespace

Tensor sum(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(sum_dtype(t.dtype()));
  Tensor out = to(
      reduce(kernels::Reduce::Sum, layout(t, dim, keepdim, type == Dtype::int32 ? Dtype::int64 : compute_dtype(type))),
      type);
  if (is_inexact(type) && recording(t))
    record("Sum", out, {&t}, {}, [kept = kept_shape(t, dim), shape = t.shape()](const Context& c) {
      c.set(0, spread(c.gradient(), kept, shape));
    });
  return out;
}

Tensor mean(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(t.dtype());
  require(is_inexact(type),
          "mean(): could not infer output dtype. Input dtype must be either a floating point or complex dtype. Got: ",
          type, "; convert first, e.g. x.float().mean()");
  const double count = double(reduced_count(t, dim));
  Tensor out;
  {
    GradMode off(false);
    out = reduce(kernels::Reduce::Sum, layout(t, dim, keepdim, compute_dtype(type)));
    out = to(div(out, count), type);
  }
  if (recording(t))
    record("Mean", out, {&t}, {}, [kept = kept_shape(t, dim), shape = t.shape(), count](const Context& c) {
      c.set(0, spread(div(c.gradient(), count), kept, shape));
    });
  return out;
}

Tensor prod(const Tensor& t, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
  const Dtype type = dtype.value_or(sum_dtype(t.dtype()));
  Tensor out = to(reduce(kernels::Reduce::Prod, layout(t, dim, keepdim, compute_dtype(type))), type);
  if (is_inexact(type) && recording(t))
    record("Prod", out, {&t}, {&t, &out}, [kept = kept_shape(t, dim), dim](const Context& c) {
      const Tensor& x = c.saved(0);
      // Without zeros, grad * result / x; the products of all others, one element at a time, where there are any.
      const bool zeros_present = item(any(eq(detach(x), 0), {}, false)).truth();
      if (!zeros_present) return c.set(0, reshape(c.gradient() * conj(c.saved(1)), kept) / conj(x));
      Shape order;
      const uint64_t mask = dim_mask(x, dim);
      for (int i = 0; i < x.dim(); ++i)
        if (!(mask >> i & 1)) order.push_back(i);
      const int kept_dims = int(order.size());
      for (int i = 0; i < x.dim(); ++i)
        if (mask >> i & 1) order.push_back(i);
      const Tensor moved = permute(x, order);
      const Tensor rows = flatten(unsqueeze(moved, x.dim()), kept_dims, -1);  // (..., n)
      const int64_t n = rows.size(-1);
      Shape square(rows.shape());
      square.insert(size_t(kept_dims), n);
      const Tensor others =
          prod(where(eye(n, n, Dtype::bool_), Scalar(1.0), expand(unsqueeze(rows, kept_dims), square)), Shape{-1},
               false, std::nullopt);
      Shape inverse(order.size());
      for (size_t i = 0; i < order.size(); ++i) inverse[order[i]] = int64_t(i);
      c.set(0, conj(permute(reshape(others, moved.shape()), inverse)) * reshape(c.gradient(), kept));
    });
  return out;
}

Tensor var(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim) {
  if (is_complex(t.dtype())) return var(real(t), dim, correction, keepdim) + var(imag(t), dim, correction, keepdim);
  require(is_floating(t.dtype()), "std and var only support floating point and complex dtypes, got ", t.dtype());
  const double count = double(reduced_count(t, dim)), divisor = std::max(0.0, count - correction);
  Tensor out;
  {
    GradMode off(false);
    Shape order;
    const uint64_t mask = dim_mask(t, dim);
    for (int i = 0; i < t.dim(); ++i)
      if (!(mask >> i & 1)) order.push_back(i);
    const int kept = int(order.size());
    for (int i = 0; i < t.dim(); ++i)
      if (mask >> i & 1) order.push_back(i);
    const Dtype in = compute_dtype(t.dtype());
    const Tensor rows = contiguous(to(permute(t, order), in));
    Shape tail;
    for (int i = kept; i < t.dim(); ++i) tail.push_back(i);
    Layout l = layout(rows, tail, false, in);
    if (kept == t.dim()) l.length = 1;
    const Tensor means = kept == t.dim() ? clone(rows) : div(reduce(kernels::Reduce::Sum, l), count);
    const auto kernel = kernels::table().squared_deviation[in == Dtype::float64];
    Tensor result = empty(l.kept_shape, in);
    const int64_t rows_count = result.numel(), length = rows_count ? rows.numel() / rows_count : 0;
    parallel_items(rows_count, std::max<int64_t>(1, 32768 / (length + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const double mean = in == Dtype::float64 ? means.data<double>()[r] : double(means.data<float>()[r]);
        const double value = kernel(rows.bytes() + r * length * item_size(in), length, mean) / divisor;
        if (in == Dtype::float64)
          result.data<double>()[r] = value;
        else
          result.data<float>()[r] = float(value);
      }
    });
    Shape shape = kept_shape(t, dim);
    if (!keepdim) {
      shape.clear();
      for (int i = 0; i < t.dim(); ++i)
        if (!(mask >> i & 1)) shape.push_back(t.shape()[i]);
    }
    out = to(reshape(result, shape), t.dtype());
  }
  if (recording(t))
    record("Var", out, {&t}, {&t}, [kept = kept_shape(t, dim), dim, divisor](const Context& c) {
      const Tensor& x = c.saved(0);
      c.set(0, reshape(c.gradient(), kept) * ((x - mean(x, dim, true, std::nullopt)) * Scalar(2.0 / divisor)));
    });
  return out;
}

Tensor standard_deviation(const Tensor& t, const OptionalDims& dim, double correction, bool keepdim) {
  Tensor out;
  {
    GradMode off(false);
    out = sqrt(var(t, dim, correction, keepdim));
  }
  if (recording(t))
    record("Std", out, {&t}, {&t, &out},
           [kept = kept_shape(t, dim), dim,
            divisor = std::max(0.0, double(reduced_count(t, dim)) - correction)](const Context& c) {
             const Tensor &x = c.saved(0), &result = c.saved(1);
             const Tensor zero = eq(result, 0), safe = where(zero, Scalar(1.0), result);
             const Tensor scaled = where(zero, Scalar(0.0), c.gradient() / (safe * Scalar(divisor)));
             c.set(0, reshape(scaled, kept) * (x - mean(x, dim, true, std::nullopt)));
           });
  return out;
}

namespace {

// The extreme values; the gradient is shared evenly among equal ones.
Tensor extreme(bool largest, const Tensor& t, const OptionalDims& dim, bool keepdim, const char* node) {
  require_elements(t, dim, largest ? "amax" : "amin");
  Tensor out = to(
      reduce(largest ? kernels::Reduce::Max : kernels::Reduce::Min, layout(t, dim, keepdim, compute_dtype(t.dtype()))),
      t.dtype());
  if (recording(t))
    record(node, out, {&t}, {&t, &out}, [kept = kept_shape(t, dim), dim](const Context& c) {
      const Tensor mask = to(eq(c.saved(0), reshape(detach(c.saved(1)), kept)), c.gradient().dtype());
      c.set(0, mask * (reshape(c.gradient(), kept) / sum(mask, dim, true, std::nullopt)));
    });
  return out;
}

TensorPair extreme_dim(bool largest, const Tensor& t, int64_t dim, bool keepdim, const char* node) {
  dim = t.wrap_dim(dim);
  require_elements(t, Shape{dim}, largest ? "max" : "min");
  Tensor indices = arg_reduce(largest, layout(t, Shape{dim}, true, compute_dtype(t.dtype())));
  Tensor values;
  {
    GradMode off(false);
    values = t.dim() ? gather(t, dim, indices) : clone(t);
    if (!keepdim && t.dim()) {
      values = squeeze(values, Shape{dim});
      indices = squeeze(indices, Shape{dim});
    }
  }
  if (recording(t))
    record(node, {&values}, {&t}, {&indices}, [shape = t.shape(), dim, keepdim](const Context& c) {
      if (shape.empty()) return c.set(0, c.gradient());
      const Tensor g = keepdim ? c.gradient() : unsqueeze(c.gradient(), dim),
                   i = keepdim ? c.saved(0) : unsqueeze(c.saved(0), dim);
      c.set(0, scatter_add(zeros(shape, g.dtype()), dim, i, g));
    });
  return {values, indices};
}

Tensor arg_extreme(bool largest, const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  require<IndexError>(t.numel() > 0 || (dim && t.size(*dim) > 0), largest ? "argmax" : "argmin",
                      "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim "
                      "with the 'dim' argument.");
  return arg_reduce(largest,
                    layout(t, dim ? OptionalDims(Shape{*dim}) : OptionalDims(), keepdim, compute_dtype(t.dtype())));
}

Tensor truth(kernels::Reduce op, const Tensor& t, const OptionalDims& dim, bool keepdim) {
  GradMode off(false);
  const Tensor mask = t.dtype() == Dtype::bool_ ? t : ne(t, 0);
  Tensor out = to(reduce(op, layout(mask, dim, keepdim, Dtype::int32)), Dtype::bool_);
  return t.dtype() == Dtype::uint8 ? to(out, Dtype::uint8) : out;
}

}  // namespace

Tensor amax(const Tensor& t, const OptionalDims& dim, bool keepdim) { return extreme(true, t, dim, keepdim, "Amax"); }
Tensor amin(const Tensor& t, const OptionalDims& dim, bool keepdim) { return extreme(false, t, dim, keepdim, "Amin"); }
Tensor max_all(const Tensor& t) {
  require(t.numel() > 0,
          "max(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
          "'dim' argument.");
  return extreme(true, t, {}, false, "Max");
}
Tensor min_all(const Tensor& t) {
  require(t.numel() > 0,
          "min(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
          "'dim' argument.");
  return extreme(false, t, {}, false, "Min");
}
TensorPair max_dim(const Tensor& t, int64_t dim, bool keepdim) { return extreme_dim(true, t, dim, keepdim, "Max"); }
TensorPair min_dim(const Tensor& t, int64_t dim, bool keepdim) { return extreme_dim(false, t, dim, keepdim, "Min"); }
Tensor argmax(const Tensor& t, std::optional<int64_t> dim, bool keepdim) { return arg_extreme(true, t, dim, keepdim); }
Tensor argmin(const Tensor& t, std::optional<int64_t> dim, bool keepdim) { return arg_extreme(false, t, dim, keepdim); }
// Over booleans as integers the extreme values are "any" and "all"; an empty reduction gives the identity of each.
Tensor any(const Tensor& t, const OptionalDims& dim, bool keepdim) {
  return truth(kernels::Reduce::Sum, t, dim, keepdim);
}
Tensor all(const Tensor& t, const OptionalDims& dim, bool keepdim) {
  return truth(kernels::Reduce::Prod, t, dim, keepdim);
}

namespace {

double sum_of_squares(const char* data, int64_t n, Dtype dtype) {
  constexpr int64_t kChunk = 65536;  // a fixed one: the result does not depend on the number of threads
  const auto kernel = kernels::table().squared_deviation[dtype == Dtype::float64];
  if (n <= kChunk) return kernel(data, n, 0);
  std::vector<double> parts(size_t((n + kChunk - 1) / kChunk));
  parallel_items(int64_t(parts.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      parts[size_t(i)] = kernel(data + i * kChunk * item_size(dtype), std::min(kChunk, n - i * kChunk), 0);
  });
  double total = 0;
  for (double part : parts) total += part;
  return total;
}

// The 2-norm where what is reduced lies together in memory, in one pass; undefined elsewhere.
Tensor norm_of_rows(const Tensor& x, const OptionalDims& dim, bool keepdim) {
  const Dtype real = to_real(x.dtype());
  if (!x.is_contiguous() || (real != Dtype::float32 && real != Dtype::float64) || x.dim() == 0) return Tensor();
  const uint64_t mask = dim_mask(x, dim);
  int kept = 0;
  while (kept < x.dim() && !(mask >> kept & 1)) ++kept;
  for (int i = kept; i < x.dim(); ++i)
    if (!(mask >> i & 1)) return Tensor();
  Shape shape(x.shape().begin(), x.shape().begin() + kept);
  const int64_t rows = product(shape);
  const int64_t length = rows ? x.numel() / rows * (is_complex(x.dtype()) ? 2 : 1) : 0;
  for (int i = kept; keepdim && i < x.dim(); ++i) shape.push_back(1);
  const Tensor out = empty(shape, real);
  parallel_items(rows, std::max<int64_t>(1, 32768 / (length + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const double value = std::sqrt(sum_of_squares(x.bytes() + r * length * item_size(real), length, real));
      if (real == Dtype::float64)
        out.data<double>()[r] = value;
      else
        out.data<float>()[r] = float(value);
    }
  });
  return out;
}

}  // namespace

Tensor vector_norm(const Tensor& t, double p, const OptionalDims& dim, bool keepdim) {
  const Tensor x = is_inexact(t.dtype()) ? t : to(t, default_dtype());
  if (std::isinf(p)) {
    const OptionalDims dims = dim.value_or(Shape{});
    return p > 0 ? amax(abs(x), dims, keepdim) : amin(abs(x), dims, keepdim);
  }
  if (p == 0) return sum(sign(abs(x)), dim, keepdim, std::nullopt);
  if (p == 1) return sum(abs(x), dim, keepdim, std::nullopt);
  Tensor out;
  {
    GradMode off(false);
    if (p == 2) out = norm_of_rows(x, dim, keepdim);
    if (!out.defined())
      out = p == 2 ? sqrt(sum(is_complex(x.dtype()) ? square(abs(x)) : square(x), dim, keepdim, std::nullopt))
                   : pow(sum(pow(abs(x), Scalar(p)), dim, keepdim, std::nullopt), Scalar(1 / p));
  }
  if (recording(x))  // grad * sign(x) * (|x| / result)**(p - 1), 0 where x is 0
    record("Norm", out, {&x}, {&x, &out}, [kept = kept_shape(x, dim), p](const Context& c) {
      const Tensor& x = c.saved(0);
      const Tensor norm = reshape(c.saved(1), kept), g = reshape(c.gradient(), kept);
      const Tensor share = x / where(eq(norm, 0), Scalar(1.0), norm);
      if (p == 2) return c.set(0, g * share);
      const Tensor size = where(eq(share, 0), Scalar(1.0), abs(share));
      c.set(0, g * sgn(x) * where(eq(share, 0), Scalar(0.0), pow(size, Scalar(p - 1))));
    });
  return out;
}

Tensor logsumexp(const Tensor& t, const Shape& dim, bool keepdim) {
  const Tensor x = is_inexact(t.dtype()) ? t : to(t, default_dtype());
  Tensor out;
  {
    GradMode off(false);
    const Tensor wide = to(x, compute_dtype(x.dtype()));
    if (x.numel() == 0) {
      out = to(log(sum(exp(wide), dim, keepdim, std::nullopt)), x.dtype());
    } else {
      const Tensor largest = amax(wide, dim, true), finite = where(isfinite(largest), largest, Scalar(0.0));
      const Tensor total = to(log(sum(exp(wide - finite), dim, true, std::nullopt)) + finite, x.dtype());
      out = keepdim ? total : reshape(total, [&] {
        Shape shape;
        const uint64_t mask = dim_mask(x, dim);
        for (int i = 0; i < x.dim(); ++i)
          if (!(mask >> i & 1)) shape.push_back(x.shape()[i]);
        return shape;
      }());
    }
  }
  if (recording(x))
    record("Logsumexp", out, {&x}, {&x, &out}, [kept = kept_shape(x, dim)](const Context& c) {
      c.set(0, reshape(c.gradient(), kept) * exp(c.saved(0) - reshape(c.saved(1), kept)));
    });
  return out;
}

Tensor cumsum(const Tensor& t, int64_t dim, std::optional<Dtype> dtype) {
  dim = t.wrap_dim(dim);
  const Dtype type = dtype.value_or(sum_dtype(t.dtype())), in = compute_dtype(type);
  const Tensor x = contiguous(to(detach(t), in));
  Tensor out = empty(t.shape(), in);
  int64_t outer = 1, inner = 1;
  for (int i = 0; i < t.dim(); ++i) (i < dim ? outer : i > dim ? inner : outer) *= i == dim ? 1 : t.shape()[i];
  const int64_t length = t.dim() ? t.shape()[dim] : 1, step = length * inner * item_size(in);
  if (t.numel() > 0)
    parallel_items(outer, std::max<int64_t>(1, 32768 / (length * inner)), [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        kernels::table().cumsum[int(compute_type(in))](out.bytes() + o * step, x.bytes() + o * step, length, inner);
    });
  out = to(out, type);
  if (is_inexact(type) && recording(t))
    record("Cumsum", out, {&t}, {}, [dim](const Context& c) {
      const Tensor& g = c.gradient();
      c.set(0, sum(g, Shape{dim}, true, std::nullopt) - cumsum(g, dim, std::nullopt) + g);
    });
  return out;
}

}  // namespace flambeau
