// The unique elements or slices of a tensor. NaN is not equal to NaN.
#include <numeric>

#include "core/rare_polls.h"
#include "cuda/indexing.h"
#include "cuda/sorting.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "operators/indexing/indexing.h"
#include "operators/sorting/order.h"
#include "operators/without_derivative.h"

namespace flambeau {

namespace {

using namespace order;

// Divides [begin, end) into chunks and calls f(first, last) for each chunk, without the GIL. Handles signals between
// chunks.
template <class F>
void each_chunk(int64_t begin, int64_t end, F&& f) {
  constexpr int64_t kChunk = 1 << 16;
  const GilRelease release(end - begin > kGilGrain);
  for (; begin < end; begin += kChunk) {
    poll_signals();
    f(begin, std::min(end, begin + kChunk));
  }
}

// Returns one value for each run of equal adjacent elements among n sorted elements. starts_run(i) returns true if a
// run begins at element i > 0. value(values, run, i) stores the value of a run that begins at element i. position(i)
// returns the position of element i in the input. The loops over elements have no branches, because these would be
// mispredicted.
template <class Start, class Value, class Position>
Unique runs(int64_t n, const Shape& shape, Dtype dtype, bool inverse, bool counts, Start starts_run, Value value,
            Position position) {
  int64_t count = n > 0;
  each_chunk(1, n, [&](int64_t begin, int64_t end) {
    int64_t starts = 0;
    for (int64_t i = begin; i < end; ++i) starts += starts_run(i);
    count += starts;
  });
  Unique out{empty({count}, dtype), inverse ? empty(shape, Dtype::int64) : Tensor(),
             counts ? empty({count}, Dtype::int64) : Tensor()};
  if (n == 0) return out;
  const Tensor first_elements = empty({count + 1}, Dtype::int64);
  int64_t* const first = first_elements.data<int64_t>();
  int64_t run = 1;  // number of runs that have begun; limited because other threads may change the elements meanwhile
  first[0] = 0;
  each_chunk(1, n, [&](int64_t begin, int64_t end) {
    int64_t begun = run;
    for (int64_t i = begin; i < end; ++i) {
      first[begun] = i;  // the next iteration overwrites this unless a run starts here
      begun = std::min(begun + starts_run(i), count);
    }
    run = begun;
  });
  std::fill(first + run, first + count, n - 1);
  first[count] = n;
  each_chunk(0, count, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) value(out.values, i, first[i]);
    for (int64_t i = begin; counts && i < end; ++i) out.counts.data<int64_t>()[i] = first[i + 1] - first[i];
  });
  if (!inverse) return out;
  int64_t* const of = out.inverse.data<int64_t>();
  of[position(0)] = run = 0;
  each_chunk(1, n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) of[position(i)] = run += starts_run(i);
  });
  return out;
}

// Like runs(), but on a GPU. `starts` is true at the first element of each run. If `position` is undefined, the
// elements are in the order of the input.
Unique runs_on_gpu(const Tensor& sorted, const Tensor& starts, const Tensor& position, const Shape& shape, bool inverse,
                   bool counts) {
  const int64_t n = sorted.numel();
  const Tensor run = inverse ? empty({n}, Dtype::int64) : Tensor();
  const Tensor first = cuda::true_positions(starts, run);
  const int64_t count = first.numel();
  Unique out{index_select(sorted, 0, first), inverse ? empty(shape, Dtype::int64) : Tensor(),
             counts ? full({count}, Scalar(n), Dtype::int64) : Tensor()};
  if (inverse && n > 0) {
    Blocks blocks;
    blocks.offsets = position;
    blocks.count = n;
    blocks.distinct = true;
    position.defined() ? store_blocks(out.inverse, blocks, run, Combine::Assign)
                       : copy_values(out.inverse, reshape(run, shape));
  }
  if (counts && count > 0) {
    copy_values(narrow(out.counts, 0, 0, count - 1), narrow(first, 0, 1, count - 1));
    out.counts = sub(out.counts, first);
  }
  return out;
}

template <class T>
Unique unique_of(const Tensor& t, bool inverse, bool counts) {
  const Tensor flat = reshape(contiguous(t), {t.numel()});
  if (cuda::runs_on_gpu(flat)) {
    const Tensor sorted = empty({t.numel()}, t.dtype()), position = empty({t.numel()}, Dtype::int64);
    cuda::sort(flat, 1, t.numel(), false, sorted, position);
    return runs_on_gpu(sorted, cuda::run_starts(sorted), position, t.shape(), inverse, counts);
  }
  const auto* in = reinterpret_cast<const BitsOf<T>*>(flat.bytes());
  Unique out;
  SortedRow<T>(in, t.numel(), 0).read([&](const auto& sorted) {
    out = runs(
        t.numel(), t.shape(), t.dtype(), inverse, counts,
        [&](int64_t i) {
          const Key<T> key = sorted.key(i);
          return (key != sorted.key(i - 1)) | (kReal<T> && key == kNan<T>);
        },
        [&](const Tensor& values, int64_t at, int64_t i) {
          reinterpret_cast<BitsOf<T>*>(values.bytes())[at] = in[sorted.index(i)];
        },
        [&](int64_t i) { return sorted.index(i); });
  });
  return out;
}

template <class T>
Unique consecutive_of(const Tensor& t, bool inverse, bool counts) {
  const Tensor flat = reshape(contiguous(t), {t.numel()});
  if (cuda::runs_on_gpu(flat)) return runs_on_gpu(flat, cuda::run_starts(flat), {}, t.shape(), inverse, counts);
  const auto* in = reinterpret_cast<const BitsOf<T>*>(flat.bytes());
  return runs(
      t.numel(), t.shape(), t.dtype(), inverse, counts,
      [=](int64_t i) { return (key_of<T>(in[i]) != key_of<T>(in[i - 1])) | is_nan<T>(in[i]); },
      [=](const Tensor& values, int64_t at, int64_t i) { reinterpret_cast<BitsOf<T>*>(values.bytes())[at] = in[i]; },
      [](int64_t i) { return i; });
}

// Slices as rows of keys. The keys are compared column by column.
template <class K>
struct KeyRows {
  std::vector<K> keys;
  int64_t columns;
  K nan;  // the key of NaN, or 0 if the dtype has no NaN

  const K* row(int64_t i) const { return keys.data() + i * columns; }
  bool less(int64_t a, int64_t b) const {
    return std::lexicographical_compare(row(a), row(a) + columns, row(b), row(b) + columns);
  }
  bool equal(int64_t a, int64_t b) const {
    return std::equal(row(a), row(a) + columns, row(b), [this](K x, K y) { return x == y && (nan == 0 || x != nan); });
  }
};

// Returns the indices of the rows (n, columns) in lexicographic order. Sorts stably by each column, from the last to
// the first.
Tensor order_of_rows(const Tensor& rows) {
  Tensor order = arange(Scalar(0), Scalar(rows.size(0)), Scalar(1), Dtype::int64);
  for (int64_t c = rows.size(1); c-- > 0;)
    order = index_select(order, 0, argsort(index_select(select(rows, 1, c), 0, order), 0, false));
  return order;
}

// Like row_runs(), but on a GPU.
Unique row_runs_on_gpu(const Tensor& rows, bool sort, bool inverse, bool counts) {
  const int64_t n = rows.size(0);
  const Tensor order = sort ? order_of_rows(rows) : arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  const Tensor sorted = sort ? index_select(rows, 0, order) : rows;
  const Tensor differ = any(ne(narrow(sorted, 0, 1, n - 1), narrow(sorted, 0, 0, n - 1)), Shape{1}, false);
  const Tensor starts = cat({ones({1}, Dtype::bool_), differ}, 0);
  return runs_on_gpu(order, starts, sort ? order : Tensor(), {n}, inverse, counts);
}

// Returns the unique rows. Each unique row is given by the index of the first row in its run of equal rows.
template <class K>
Unique row_runs(const KeyRows<K>& keys, int64_t n, bool sort, bool inverse, bool counts) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  if (sort) {
    const GilRelease release(n * keys.columns > kGilGrain);
    RarePolls poll;
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      poll();
      return keys.less(a, b);
    });
  }
  return runs(
      n, {n}, Dtype::int64, inverse, counts,
      [&](int64_t i) { return !keys.equal(order[size_t(i - 1)], order[size_t(i)]); },
      [&](const Tensor& first, int64_t at, int64_t i) { first.data<int64_t>()[at] = order[size_t(i)]; },
      [&](int64_t i) { return order[size_t(i)]; });
}

// Returns the keys of the rows of a matrix.
template <class T>
KeyRows<Key<T>> keys_of(const Tensor& rows) {
  KeyRows<Key<T>> keys{std::vector<Key<T>>(size_t(rows.numel())), rows.size(1), kReal<T> ? Key<T>(kNan<T>) : Key<T>(0)};
  const auto* in = reinterpret_cast<const BitsOf<T>*>(rows.bytes());
  each_chunk(0, rows.numel(), [&](int64_t begin, int64_t end) {
    std::transform(in + begin, in + end, keys.keys.begin() + begin, key_of<T>);
  });
  return keys;
}

}  // namespace

Unique unique(const Tensor& t, bool inverse, bool counts) {
  Unique out;
  {
    NoRecording off;
    dispatch_ordered(t.dtype(), "unique",
                     [&](auto tag) { out = unique_of<typename decltype(tag)::type>(t, inverse, counts); });
  }
  record_without_derivative("unique", {&out.values}, t);
  return out;
}

Unique unique_consecutive(const Tensor& t, bool inverse, bool counts) {
  Unique out;
  {
    NoRecording off;
    dispatch_ordered(t.dtype(), "unique",
                     [&]<class T>(TypeTag<T>) { out = consecutive_of<SameBits<T>>(t, inverse, counts); });
  }
  record_without_derivative("unique_consecutive", {&out.values}, t);
  return out;
}

namespace {

Unique slices_of(const Tensor& t, int64_t dim, bool sort, bool inverse, bool counts) {
  NoRecording off;
  const int64_t n = t.size(dim);
  dim = t.wrap_dim(dim);
  if (t.numel() == 0) {
    require(n == 0, "unique(): dimensions of size 0 are only supported for dim itself, got dim ", dim, " and shape ",
            t.shape());
    return {clone(t), empty({0}, Dtype::int64), empty({0}, Dtype::int64)};
  }
  Shape dims = {dim};
  for (int64_t d = 0; d < t.dim(); ++d)
    if (d != dim) dims.push_back(d);
  const Tensor rows = reshape(contiguous(permute(t, dims)), {n, t.numel() / n});
  Unique out;
  dispatch_ordered(t.dtype(), "unique", [&](auto tag) {
    out = cuda::runs_on_gpu(rows) ? row_runs_on_gpu(rows, sort, inverse, counts)
                                  : row_runs(keys_of<typename decltype(tag)::type>(rows), n, sort, inverse, counts);
  });
  out.values = index_select(t, dim, out.values);
  return out;
}

}  // namespace

Unique unique_slices(const Tensor& t, int64_t dim, bool sort, bool inverse, bool counts) {
  Unique out = slices_of(t, dim, sort, inverse, counts);
  record_without_derivative(sort ? "unique" : "unique_consecutive", {&out.values}, t);
  return out;
}

namespace {

// Returns the values or, if other results are requested, a tuple of the values and the other results.
TensorOrTensors unpacked(const Unique& unique, bool inverse, bool counts) {
  if (!inverse && !counts) return unique.values;
  Tensors out{unique.values};
  if (inverse) out.push_back(unique.inverse);
  if (counts) out.push_back(unique.counts);
  return out;
}

TensorOrTensors unique_values(const Tensor& t, bool, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unpacked(dim ? unique_slices(t, *dim, true, inverse, counts) : unique(t, inverse, counts), inverse, counts);
}

TensorOrTensors consecutive_values(const Tensor& t, bool inverse, bool counts, std::optional<int64_t> dim) {
  return unpacked(dim ? unique_slices(t, *dim, false, inverse, counts) : unique_consecutive(t, inverse, counts),
                  inverse, counts);
}

const Operator unique_operator(
    {.signature = "unique(input, sorted=True, return_inverse=False, return_counts=False, dim=None)",
     .forms = kFunction | kMethod,
     .doc =
         "Return the unique elements in ascending order, or the unique slices along a dimension. With "
         "return_inverse, also return the index of the unique element for each element; with return_counts, the "
         "number of occurrences. Every NaN is unique. Not differentiable: a backward pass raises NotImplementedError.",
     .forward = unique_values,
     .reference = "np.unique(input, return_inverse=return_inverse, return_counts=return_counts)",
     .samples = "f(4, 5); i(20), True, True, True"});

const Operator unique_consecutive_operator(
    {.signature = "unique_consecutive(input, return_inverse=False, return_counts=False, dim=None)",
     .forms = kFunction | kMethod,
     .doc = "Return the first element (or slice) of every run of equal elements (or slices). The other results are the "
            "same as for unique(). Not differentiable.",
     .forward = consecutive_values});

}  // namespace

}  // namespace flambeau
