// Cumulative sums, products, maxima and minima along a dimension, with their derivatives.
#include <limits>

#include "cuda/operators.h"
#include "flambeau/operator.h"
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/narrow_table.h"
#include "operators/arithmetic/chosen.h"

namespace flambeau {

namespace {

// A tensor as (outer, length, inner), where `length` is the size of the dimension. It is contiguous and has a dtype of
// the kernels.
struct Lines {
  Tensor input;
  int64_t outer = 1, length = 1, inner = 1;

  Lines(const Tensor& t, int64_t dim, Dtype in) : input(contiguous(to(detach(t), in))) {
    for (int i = 0; i < t.dim(); ++i) (i < dim ? outer : i > dim ? inner : length) *= t.shape()[i];
  }
  // Calls body(offset of the first row in elements, number of rows) for ranges of rows, on several threads if there is
  // enough work. Requires inner == 1.
  template <class F>
  void each_rows(F&& body) const {
    if (length == 0 || input.is_meta()) return;
    parallel_items(outer, std::max<int64_t>(1, 32768 / length),
                   [&](int64_t begin, int64_t end) { body(begin * length, end - begin); });
  }
  // Calls body(offset in elements, number of columns) for ranges of columns, on several threads if there is enough
  // work.
  template <class F>
  void each(F&& body) const {
    const int64_t step = length * inner;
    if (step == 0 || input.is_meta()) return;
    if (outer != 1 || inner < 128)
      return parallel_items(outer, std::max<int64_t>(1, 32768 / step), [&](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o) body(o * step, inner);
      });
    parallel_for(inner, std::max<int64_t>(64, 32768 / length),
                 [&](int64_t begin, int64_t end) { body(begin, end - begin); });
  }
};

constexpr int64_t kLongRow = 4096;  // longer rows are scanned in blocks
constexpr int64_t kMinRows = 8;     // at least this many shorter rows are scanned several at a time
constexpr int64_t kBlock = kernels::kScanBlock;

Dtype state_type(Dtype d) {
  return d == Dtype::float32 ? Dtype::float64 : d == Dtype::complex64 ? Dtype::complex128 : d;
}

// The scan of rows in the dtypes in which they are stored. If these dtypes differ from those of the kernels, rows are
// converted a few blocks at a time, so that the converted blocks stay in the cache. Note [Converted in the cache] in
// softmax.cpp
struct RowScan {
  static constexpr int64_t kPieceElements = 8 * kBlock;  // number of elements that are converted at a time
  const kernels::ScanKernels& kernels;
  // cuts: true if rows are divided into blocks. Rows of some products are not divided, because the product of a block
  // may be out of range.
  bool product, cuts;
  Dtype in, from, to;  // dtypes of the kernels, of the input rows and of the output rows

  Tensor converted(const char* values, int64_t n) const {
    Tensor room = empty({n}, in);
    kernels::table().cast[int(in)][int(from)](room.bytes(), item_size(in), values, item_size(from), n);
    return room;
  }
  void totals(char* states, const char* values, int64_t count, int64_t n) const {
    kernels.totals(states, from == in ? values : converted(values, count * n).bytes(), count, n);
  }
  void blocks(char* out, const char* values, char* before, int64_t count, int64_t n, bool running) const {
    const Tensor read = from == in ? Tensor() : converted(values, count * n);
    const Tensor written = to == in ? Tensor() : empty({count * n}, in);
    char* const result = to == in ? out : written.bytes();
    kernels.blocks(result, from == in ? values : read.bytes(), before, count, n, running);
    if (to != in) kernels::table().cast[int(to)][int(in)](out, item_size(to), result, item_size(in), count * n);
  }
  // Calls part(first, count) for groups of at most `together` blocks.
  template <class F>
  static void in_parts(int64_t begin, int64_t end, int64_t together, F&& part) {
    for (; begin < end; begin += together) part(begin, std::min(together, end - begin));
  }

  // Scans rows that are not divided into blocks.
  void short_rows(const Lines& l, char* out) const {
    const int64_t together = std::max<int64_t>(1, kPieceElements / l.length), size = l.length;
    parallel_items(l.outer, std::max<int64_t>(1, 32768 / l.length), [&](int64_t begin, int64_t end) {
      in_parts(begin, end, together, [&](int64_t r, int64_t count) {
        blocks(out + r * size * item_size(to), l.input.bytes() + r * size * item_size(from), nullptr, count, size,
               false);
      });
    });
  }

  // Note [Long scans] in kernels/cumulative.cpp
  void long_row(const char* values, char* out, int64_t n) const {
    const int64_t whole = n / kBlock, together = (cuts ? 1 : 8) * kPieceElements / kBlock, state = kernels.state;
    const Dtype sum_dtype = state_type(in);
    const Tensor before = empty({whole + 2}, sum_dtype);
    const auto at = [&](int64_t block) { return before.bytes() + block * state; };
    const auto some = [&](int64_t b, int64_t count, int64_t length, bool running) {
      blocks(out + b * kBlock * item_size(to), values + b * kBlock * item_size(from), at(b), count, length, running);
    };
    copy_values(narrow(before, 0, 0, 1), scalar_tensor(Scalar(product ? 1 : 0), sum_dtype));
    if (num_threads() == 1 || !cuts) {
      in_parts(0, whole, together, [&](int64_t b, int64_t count) { some(b, count, kBlock, true); });
    } else {
      parallel_items(whole, 64, [&](int64_t begin, int64_t end) {
        in_parts(begin, end, together, [&](int64_t b, int64_t count) {
          totals(at(b + 1), values + b * kBlock * item_size(from), count, kBlock);
        });
      });
      const auto& scans = kernels::table().scan[int(product ? kernels::Scan::Prod : kernels::Scan::Sum)];
      scans[int(compute_type(sum_dtype))].rows(before.bytes(), before.bytes(), whole + 1, 1, 1);
      parallel_items(whole, 64, [&](int64_t begin, int64_t end) {
        in_parts(begin, end, together, [&](int64_t b, int64_t count) { some(b, count, kBlock, false); });
      });
    }
    if (n > whole * kBlock) some(whole, 1, n - whole * kBlock, !cuts);
  }
};

Tensor scan(kernels::Scan op, const Tensor& t, int64_t dim, Dtype type) {
  NoRecording off;
  const Dtype in = type == Dtype::int32 ? Dtype::int64 : dtype_of(compute_type(type));
  if (cuda::runs_on_gpu(t)) {
    const Lines l(t, dim, in);
    const auto running = op == kernels::Scan::Prod ? cuda::Scan::Prod : cuda::Scan::Sum;
    return to(cuda::scan(running, l.input, l.outer, l.length, l.inner), type);
  }
  const auto& kernels = kernels::table().scan[int(op)][int(compute_type(in))];
  const bool cuts = op == kernels::Scan::Sum || !is_inexact(in), converts = t.dtype() != in || type != in;
  if (const Lines l(t, dim, t.dtype());
      l.inner == 1 && (l.length > kLongRow ? cuts || converts : l.outer >= kMinRows)) {
    Tensor out = empty(t.shape(), type);
    const RowScan rows{kernels, op == kernels::Scan::Prod, cuts, in, t.dtype(), type};
    const int64_t size = item_size(t.dtype()), out_size = item_size(type);
    if (l.length > kLongRow)
      l.each([&](int64_t at, int64_t) {
        rows.long_row(l.input.bytes() + at * size, out.bytes() + at * out_size, l.length);
      });
    else if (!out.is_meta() && l.length > 0)
      rows.short_rows(l, out.bytes());
    return out;
  }
  const Lines l(t, dim, in);
  const int64_t size = item_size(in);
  Tensor out = empty(t.shape(), in);
  l.each([&](int64_t at, int64_t columns) {
    kernels.rows(out.bytes() + at * size, l.input.bytes() + at * size, l.length, l.inner, columns);
  });
  return to(out, type);
}

Dtype sum_type(const Tensor& t, std::optional<Dtype> dtype) {
  return dtype.value_or(category(t.dtype()) <= Category::Integer ? Dtype::int64 : t.dtype());
}

Tensor reversed(const Tensor& t, int64_t dim) {
  if (t.dim() == 0) return t;
  return index_select(t, dim, arange(Scalar(t.size(dim) - 1), Scalar(-1), Scalar(-1), Dtype::int64));
}
Tensor reversed_cumsum(const Tensor& t, int64_t dim) { return reversed(cumsum(reversed(t, dim), dim, {}), dim); }

// Returns the gradient of cumprod in linear time. The gradient can be differentiated only once. Before the first zero
// of a line, it is the sum of grad * result over the element and all later ones, divided by x. At the first zero, it is
// this sum with the zero replaced by 1 and without the division. After the first zero, it is 0.
Tensor cumprod_gradient(const Tensor& g, const Tensor& x, const Tensor& result, int64_t dim) {
  const Tensor zero = eq(x, 0), zeros_so_far = cumsum(zero, dim, {});
  const Tensor before = eq(zeros_so_far, 0), first = logical_and(zero, eq(zeros_so_far, 1));
  const Tensor at_others = reversed_cumsum(g * conj(result), dim) / conj(where(before, x, Scalar(1.0)));
  if (!item(any(zero, {}, false)).truth()) return at_others;
  const Tensor others = cumprod(where(first, Scalar(1.0), x), dim, {});
  const Tensor from_first = where(gt(zeros_so_far, 0), g * conj(others), Scalar(0.0));
  const Tensor at_first = where(first, reversed_cumsum(from_first, dim), Scalar(0.0));
  return where(before, at_others, at_first);
}

// Returns the same gradient in a form that can be differentiated any number of times. For every i, computes the
// cumulative products with x[i] replaced by 1, which takes quadratic time.
Tensor cumprod_gradient_of_any_order(const Tensor& g, const Tensor& x, int64_t dim) {
  const Tensor rows = transpose(x, dim, -1), grads = transpose(g, dim, -1);
  const int64_t n = rows.size(-1);
  const Tensor without = where(eye(n, n, Dtype::bool_), Scalar(1.0), unsqueeze(rows, -2));
  const Tensor products = triu(cumprod(without, -1, {}), 0);
  return transpose(sum(conj(products) * unsqueeze(grads, -2), Shape{-1}, false, {}), dim, -1);
}

}  // namespace

Tensor cumsum(const Tensor& t, int64_t dim, std::optional<Dtype> dtype) {
  dim = t.wrap_dim(dim);
  const Dtype type = sum_type(t, dtype);
  Tensor out = scan(kernels::Scan::Sum, t, dim, type);
  if (category(type) > Category::Integer && recording(t))
    record("Cumsum", out, {&t}, {}, [dim](const Context& c) { c.set(0, reversed_cumsum(c.gradient(), dim)); });
  return out;
}

const Operator cumsum_operator(
    {.signature = "cumsum(input, dim, *, dtype=None)",
     .forms = kFunction | kMethod | kOut | kDtypeOut | kInPlace,
     .doc =
         R"(Compute the cumulative sum along a dimension, accumulated in float64, or in int64 for integers.

The result does not depend on the number of threads.

Gradient: input, any order.)",
     .forward = cumsum,
     .reference = "np.cumsum(input, dim)",
     .samples = "f(5), 0; f(2, 5), 1; i(2, 5), -1; b(5), 0"});

Tensor cumprod(const Tensor& t, int64_t dim, std::optional<Dtype> dtype) {
  dim = t.wrap_dim(dim);
  const Dtype type = sum_type(t, dtype);
  const Tensor x = to(t, type);
  Tensor out = scan(kernels::Scan::Prod, x, dim, type);
  if (category(type) > Category::Integer && recording(x))
    record("Cumprod", out, {&x}, {&x, &out}, [dim](const Context& c) {
      const Tensor &g = c.gradient(), &x = c.saved(0);
      if (x.dim() == 0) return c.set(0, g);
      c.set(0,
            recording_enabled() ? cumprod_gradient_of_any_order(g, x, dim) : cumprod_gradient(g, x, c.saved(1), dim));
    });
  return out;
}

const Operator cumprod_operator(
    {.signature = "cumprod(input, dim, *, dtype=None)",
     .forms = kFunction | kMethod | kOut | kDtypeOut | kInPlace,
     .doc = R"(Compute the cumulative product along a dimension, accumulated in float64, or in int64 for integers.

Gradient: input, also if it contains zeros. Second derivatives need memory proportional to the square of the length.)",
     .forward = cumprod,
     .reference = "np.cumprod(input, dim)",
     .samples = "f(5), 0; f(2, 5), 1; i(2, 5), -1"});

namespace {

// Returns, for each position, the sum of grad * exp(x - result) over this and all later positions. Positive and
// negative gradients are summed separately, as logarithms.
Tensor logcumsumexp_gradient(const Tensor& grad, const Tensor& x, const Tensor& result, int64_t dim) {
  if (is_complex(x.dtype())) {
    const Tensor terms = reversed(log(grad) - conj(result), dim);
    return exp(reversed(logcumsumexp(terms, dim), dim) + conj(x));
  }
  const auto part = [&](const Tensor& size) {
    const Tensor present = gt(size, 0);
    const Tensor logarithm = where(present, log(where(present, size, Scalar(1.0))) - result,
                                   Scalar(-std::numeric_limits<double>::infinity()));
    return exp(reversed(logcumsumexp(reversed(logarithm, dim), dim), dim) + x);
  };
  return part(grad) - part(-grad);
}

}  // namespace

Tensor logcumsumexp(const Tensor& t, int64_t dim) {
  dim = t.wrap_dim(dim);
  require<NotImplementedError>(is_inexact(t.dtype()), "\"logcumsumexp\" not implemented for '", t.dtype(), "'");
  Tensor out;
  {
    NoRecording off;
    const Dtype in = dtype_of(compute_type(t.dtype()));
    const Lines l(t, dim, in);
    const int64_t size = item_size(in);
    const bool on_gpu = cuda::runs_on_gpu(l.input);
    const Tensor converted =
        on_gpu ? cuda::scan(cuda::Scan::LogSumExp, l.input, l.outer, l.length, l.inner) : empty(t.shape(), in);
    if (!on_gpu)
      l.each([&](int64_t at, int64_t columns) {
        kernels::table().logcumsumexp[int(compute_type(in)) - int(Compute::f32)](
            converted.bytes() + at * size, l.input.bytes() + at * size, l.length, l.inner, columns);
      });
    out = to(converted, t.dtype());
  }
  if (recording(t))
    record("Logcumsumexp", out, {&t}, {&t, &out}, [dim](const Context& c) {
      const Tensor &g = c.gradient(), &x = c.saved(0);
      c.set(0, x.dim() == 0 ? g : logcumsumexp_gradient(g, x, c.saved(1), dim));
    });
  return out;
}

const Operator logcumsumexp_operator({.signature = "logcumsumexp(input, dim)",
                                      .forms = kFunction | kMethod | kOut | kExactOut,
                                      .doc = R"(Compute log(cumsum(exp(input))) along a dimension without overflow.

Raises NotImplementedError for integers. Gradient: input.)",
                                      .forward = logcumsumexp,
                                      .reference = "np.logaddexp.accumulate(input, dim)",
                                      .samples = "f(5), 0; f(2, 5), 1"});

namespace {

TensorPair running_extreme(bool largest, const Tensor& t, int64_t dim) {
  dim = t.wrap_dim(dim);
  const auto& table = kernels::table();
  const auto& narrow = kernels::narrow_table();
  const kernels::Narrow type = kernels::narrow_type(t.dtype());
  const bool on_gpu = cuda::runs_on_gpu(t);
  const bool is_narrow =
      type != kernels::Narrow::none && narrow.cummax[int(type)] && !(on_gpu && is_floating(t.dtype()));
  const Dtype in = is_narrow ? t.dtype() : dtype_of(compute_type(t.dtype()));
  require<NotImplementedError>(category(t.dtype()) <= Category::Floating, largest ? "\"cummax\"" : "\"cummin\"",
                               " not implemented for '", t.dtype(), "'");
  const auto kernel = is_narrow ? (largest ? narrow.cummax : narrow.cummin)[int(type)]
                                : (largest ? table.cummax : table.cummin)[int(compute_type(in))];
  TensorPair out{{}, empty(t.shape(), Dtype::int64)};
  {
    NoRecording off;
    const Lines l(t, dim, in);
    const auto running = largest ? cuda::Scan::Max : cuda::Scan::Min;
    const Tensor values =
        on_gpu ? cuda::scan(running, l.input, l.outer, l.length, l.inner, out.indices) : empty(t.shape(), in);
    const auto run = [&](int64_t at, int64_t columns) {
      kernel(values.bytes() + at * item_size(in), out.indices.data<int64_t>() + at,
             l.input.bytes() + at * item_size(in), l.length, l.inner, columns);
    };
    if (!on_gpu) l.inner == 1 ? l.each_rows(run) : l.each(run);
    out.values = to(values, t.dtype());
  }
  record_chosen(largest ? "Cummax" : "Cummin", out, t, dim, true);
  return out;
}

}  // namespace

TensorPair cummax(const Tensor& t, int64_t dim) { return running_extreme(true, t, dim); }

const Operator cummax_operator(
    {.signature = "cummax(input, dim)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Compute the cumulative maximum along a dimension and its index, as (values, indices).

If several elements are equal, the index of the last one is returned. NaN counts as largest.

Gradient: input; it flows to the elements at the indices.)",
     .forward = cummax,
     .fields = "values, indices",
     .reference = "(lambda values: (values, np.maximum.accumulate(np.where(input == values, "
                  "np.indices(input.shape)[dim], 0), dim)))(np.maximum.accumulate(input, dim))",
     .samples = "f(5), 0; f(2, 5), 1; i(20, 2), 0"});

TensorPair cummin(const Tensor& t, int64_t dim) { return running_extreme(false, t, dim); }

const Operator cummin_operator(
    {.signature = "cummin(input, dim)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc =
         R"(Compute the cumulative minimum along a dimension and its index, as (values, indices).

If several elements are equal, the index of the last one is returned. NaN counts as smallest.

Gradient: input; it flows to the elements at the indices.)",
     .forward = cummin,
     .fields = "values, indices",
     .reference = "(lambda values: (values, np.maximum.accumulate(np.where(input == values, "
                  "np.indices(input.shape)[dim], 0), dim)))(np.minimum.accumulate(input, dim))",
     .samples = "f(5), 0; f(2, 5), 1; i(20, 2), 0"});

}  // namespace flambeau
