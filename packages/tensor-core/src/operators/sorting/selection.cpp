// Selection of elements along a dimension by rank or by frequency, without a complete sort. Note [Keys]
#include <limits>

#include "cuda/sorting.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "operators/arithmetic/chosen.h"
#include "operators/sorting/order.h"

namespace flambeau {

namespace {

using namespace order;

constexpr int64_t kBlock = 32;
// Returns true if all keys of a block exceed `limit`. Returns false for an incomplete block. Vector instructions
// quickly skip blocks in which all elements are too large.
template <class T>
FLAMBEAU_INLINE bool all_exceed(const BitsOf<T>* in, int64_t n, Key<T> flip, Key<T> limit) {
  if (n < kBlock) return false;
  int found = 0;
  for (int64_t j = 0; j < kBlock; ++j) found += Key<T>(key_of<T>(in[j]) ^ flip) <= limit;
  return found == 0;
}

// Selects the k smallest items of a row. Fast for small k.
template <class T>
void smallest_few(const BitsOf<T>* in, int64_t n, int64_t k, Key<T> flip, Item<Key<T>>* kept) {
  using K = Key<T>;
  make_items<T>(in, 0, k, flip, kept);
  std::make_heap(kept, kept + k);
  for (int64_t i = k; i < n;) {
    const int64_t stop = std::min(n, i + kBlock);
    const K limit = key_in<K>(kept[0]);
    if (limit == 0 || all_exceed<T>(in + i, stop - i, flip, limit - 1)) {
      i = stop;
      continue;
    }
    for (; i < stop; ++i) {
      const auto item = pack<K>(key_of<T>(in[i]) ^ flip, i);
      if (item >= kept[0]) continue;
      std::pop_heap(kept, kept + k);
      kept[k - 1] = item;
      std::push_heap(kept, kept + k);
    }
  }
}

// Selects the k smallest items of a row, in the order of their positions.
template <class T>
void smallest_many(const BitsOf<T>* in, int64_t n, int64_t k, Key<T> flip, Key<T>* keys, Item<Key<T>>* kept) {
  auto [limit, equal] = choose<T>(in, n, k - 1, flip, keys);
  for (int64_t i = 0, found = 0; found < k;) {
    const int64_t stop = std::min(n, i + kBlock);
    if (all_exceed<T>(in + i, stop - i, flip, limit)) {
      i = stop;
      continue;
    }
    for (; i < stop && found < k; ++i) {
      const Key<T> key = key_of<T>(in[i]) ^ flip;
      kept[found] = pack<Key<T>>(key, i);
      found += (key < limit) | ((key == limit) & (equal >= 0));
      equal -= key == limit;
    }
  }
}

Tensor as_rows(const SortedRows& rows) { return reshape(rows.input, {rows.count, rows.length}); }

// On a GPU: writes the elements of each row that are at `positions` (count, n), and these positions.
void put_chosen(const SortedRows& rows, const Tensor& positions, const TensorPair& out) {
  copy_values(out.values, reshape(gather(as_rows(rows), 1, positions), out.values.shape()));
  copy_values(out.indices, reshape(positions, out.indices.shape()));
}

// On a GPU: writes the first k elements of every row, in sorted order.
void first_part(const SortedRows& rows, int64_t k, bool descending, const TensorPair& out) {
  const bool few = rows.length > cuda::kMaxBlockRow && k <= rows.length / 4;
  const Tensor chosen = few ? cuda::select(rows.input, rows.count, rows.length,
                                           full({rows.count}, Scalar(k - 1), Dtype::int64), k, descending)
                            : Tensor();
  const Tensor candidates = few ? gather(as_rows(rows), 1, chosen) : as_rows(rows);
  const Tensor order = empty(candidates.shape(), Dtype::int64);
  cuda::sort(candidates, rows.count, candidates.size(1), descending, Tensor(), order);
  put_chosen(rows, few ? gather(chosen, 1, order) : narrow(order, 1, 0, k), out);
}

// On a GPU: writes the element of each row whose rank is in `ranks` (count, 1).
void ranked_part(const SortedRows& rows, const Tensor& ranks, const TensorPair& out) {
  if (rows.length > cuda::kMaxBlockRow)
    return put_chosen(rows, cuda::select(rows.input, rows.count, rows.length, ranks, 0, false), out);
  const Tensor order = empty({rows.count, rows.length}, Dtype::int64);
  cuda::sort(rows.input, rows.count, rows.length, false, Tensor(), order);
  put_chosen(rows, gather(order, 1, ranks), out);
}

// Returns the rank of the median of each row or, if NaN is not ignored and the row contains NaN, of the first NaN.
Tensor median_ranks(const SortedRows& rows, bool ignore_nan) {
  const int64_t n = rows.length;
  const Tensor numbers = Scalar(n) - sum(isnan(as_rows(rows)), Shape{1}, true, Dtype::int64);
  const Tensor middle = floor_divide(clamp_min(numbers, Scalar(1)) - Scalar(1), Scalar(2));
  return ignore_nan ? middle : where(lt(numbers, Scalar(n)), numbers, middle);
}

// On a GPU: writes the most frequent element of each row and its last position. If several elements are equally
// frequent, the smallest is chosen.
void most_frequent_part(const SortedRows& rows, const TensorPair& out) {
  const int64_t n = rows.length;
  const Tensor sorted = empty({rows.count, n}, out.values.dtype()), order = empty({rows.count, n}, Dtype::int64);
  cuda::sort(rows.input, rows.count, n, false, sorted, order);
  const Tensor positions = arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  const Tensor here = narrow(sorted, 1, 1, n - 1), before = narrow(sorted, 1, 0, n - 1);
  const Tensor begins = logical_and(ne(here, before), logical_not(logical_and(isnan(here), isnan(before))));
  const Tensor starts = where(begins, narrow(positions, 0, 1, n - 1), Scalar(0));
  const Tensor first = cummax(cat({zeros({rows.count, 1}, Dtype::int64), starts}, 1), 1).values;
  put_chosen(rows, gather(order, 1, argmax(positions - first, 1, true)), out);
}

TensorPair back(const TensorPair& pair, const Tensor& t, int64_t dim, bool keepdim) {
  const auto move = [&](Tensor x) {
    if (t.dim() == 0) return x;
    x = contiguous(transpose(x, dim, -1));
    return keepdim ? x : squeeze(x, Shape{dim});
  };
  return {move(pair.values), move(pair.indices)};
}

// Allocates a result with one element of each row, and calls choose(tag, rows, out), which writes the result.
template <class F>
TensorPair one_of_each(const char* name, const Tensor& t, int64_t dim, bool keepdim, F&& choose) {
  dim = t.wrap_dim(dim);
  TensorPair out;
  {
    NoRecording off;
    const SortedRows rows(t, dim);
    out = {rows.result(1, t.dtype()), rows.result(1, Dtype::int64)};
    dispatch_ordered(t.dtype(), name, [&](auto tag) {
      if (rows.count > 0) choose(tag, rows, out);
    });
    out = back(out, t, dim, keepdim);
  }
  record_chosen(name, out, t, dim, keepdim);
  return out;
}

// Calls position(elements of the row, n, buffer for n keys) for every row. Writes the returned position and the element
// at this position.
template <class T, class F>
void put_positions(const SortedRows& rows, const TensorPair& out, F&& position) {
  const int64_t n = rows.length;
  parallel_items(rows.count, std::max<int64_t>(1, 4096 / n), [&](int64_t begin, int64_t end) {
    const ItemBuffer<Key<T>> keys(n);
    for (int64_t r = begin; r < end; ++r) {
      const int64_t at = position(rows.row<T>(r), n, keys.data());
      out.indices.data<int64_t>()[r] = at;
      reinterpret_cast<BitsOf<T>*>(out.values.bytes())[r] = rows.row<T>(r)[at];
    }
  });
}

void require_length(const Tensor& t, int64_t dim, const char* name) {
  require<IndexError>(t.dim() == 0 || t.size(dim) > 0, name, "(): Expected reduction dim ", t.wrap_dim(dim),
                      " to have non-zero size, got shape ", t.shape());
}

// Returns the position of the element that has the rank k in a row.
template <class T>
int64_t ranked(const BitsOf<T>* in, int64_t n, int64_t k, Key<T>* keys) {
  constexpr int64_t kBlock = 64;
  auto [key, before] = choose<T>(in, n, k, 0, keys);
  int64_t i = 0;
  for (; i + kBlock <= n; i += kBlock) {  // skip blocks that do not contain the element, with vector instructions
    int32_t equal = 0;
    for (int64_t j = 0; j < kBlock; ++j) equal += key_of<T>(in[i + j]) == key;
    if (equal > before) break;
    before -= equal;
  }
  while (key_of<T>(in[i]) != key || before-- > 0) ++i;
  return i;
}

template <class T>
int64_t median_of(const BitsOf<T>* in, int64_t n, bool ignore_nan, Key<T>* keys) {
  int64_t nans = 0;
  for (int64_t i = 0; i < n; ++i) nans += is_nan<T>(in[i]);
  if (nans && !ignore_nan) return std::find_if(in, in + n, is_nan<T>) - in;
  return ranked<T>(in, n, (std::max<int64_t>(n - nans, 1) - 1) / 2, keys);
}

// Returns the last position of the most frequent element. If several elements are equally frequent, uses the smallest
// of them.
template <class T>
int64_t mode_of(const BitsOf<T>* in, int64_t n) {
  int64_t result = 0;
  SortedRow<T>(in, n, 0).read([&](const auto& sorted) {
    int64_t most = 0, run = 0;
    for (int64_t i = 0; i < n; ++i) {
      run = i > 0 && sorted.key(i) == sorted.key(i - 1) ? run + 1 : 1;
      if (run <= most) continue;
      most = run;
      result = sorted.index(i);
    }
  });
  return result;
}

// Writes the first k elements of every row. If `sorted`, they are in the order of their keys; `flip` reverses this
// order.
template <class T>
void first_of_rows(const SortedRows& rows, int64_t k, Key<T> flip, bool sorted, const TensorPair& out) {
  using K = Key<T>;
  const int64_t n = rows.length;
  if (short_rows(rows.count, n, k))
    return parallel_items(rows.count, std::max<int64_t>(kernels::kShortOrderRows, 4096 / n),
                          [&](int64_t begin, int64_t end) {
                            first_of_short_rows<T>(rows.row<T>(begin), end - begin, n, k, flip != 0,
                                                   reinterpret_cast<BitsOf<T>*>(out.values.bytes()) + begin * k,
                                                   out.indices.data<int64_t>() + begin * k);
                          });
  const bool few = k <= kSmall && k <= n / 8;
  parallel_items(rows.count, std::max<int64_t>(1, 4096 / n), [&](int64_t begin, int64_t end) {
    const ItemBuffer<K> keys(few ? 0 : n);
    const ItemBuffer<Item<K>> items(few ? 0 : k), kept(k);
    for (int64_t r = begin; r < end; ++r) {
      const auto* in = rows.row<T>(r);
      few ? smallest_few<T>(in, n, k, flip, kept.data()) : smallest_many<T>(in, n, k, flip, keys.data(), kept.data());
      const auto item = [from = kept.data()](int64_t i) { return from[i]; };
      Item<K>* const room = few ? kept.data() : items.data();  // few elements are sorted where they are kept
      const Item<K>* chosen = sorted ? sort_items(item, room, kept.data(), k, all_digits<T>(), 1) : kept.data();
      for (int64_t i = 0; i < k; ++i) {
        const int64_t at = index_in<K>(chosen[i]);
        out.indices.data<int64_t>()[r * k + i] = at;
        reinterpret_cast<BitsOf<T>*>(out.values.bytes())[r * k + i] = in[at];
      }
    }
  });
}

}  // namespace

TensorPair topk(const Tensor& t, int64_t k, int64_t dim, bool largest, bool sorted) {
  dim = t.wrap_dim(dim);
  require(k >= 0 && k <= (t.dim() ? t.size(dim) : 1), "topk(): k = ", k, " is out of range for dimension ", dim,
          " of a tensor of shape ", t.shape());
  TensorPair out;
  {
    NoRecording off;
    const SortedRows rows(t, dim);
    out = {rows.result(k, t.dtype()), rows.result(k, Dtype::int64)};
    dispatch_ordered(t.dtype(), "topk", [&](auto tag) {
      using T = typename decltype(tag)::type;
      if (k == 0) return;
      if (cuda::runs_on_gpu(rows.input)) return first_part(rows, k, largest, out);
      first_of_rows<T>(rows, k, largest ? Key<T>(~Key<T>(0)) : Key<T>(0), sorted, out);
    });
    out = back(out, t, dim, true);
  }
  record_chosen("Topk", out, t, dim, true);
  return out;
}

TensorPair kthvalue(const Tensor& t, int64_t k, int64_t dim, bool keepdim) {
  require_length(t, dim, "kthvalue");
  require(k >= 1 && k <= (t.dim() ? t.size(dim) : 1), "kthvalue(): selected number k out of range for dimension ", dim,
          ": k = ", k, ", shape ", t.shape());
  return one_of_each(
      "Kthvalue", t, dim, keepdim, [k]<class T>(TypeTag<T>, const SortedRows& rows, const TensorPair& out) {
        if (cuda::runs_on_gpu(rows.input))
          return ranked_part(rows, full({rows.count, 1}, Scalar(k - 1), Dtype::int64), out);
        put_positions<T>(rows, out,
                         [k](const auto* in, int64_t n, Key<T>* keys) { return ranked<T>(in, n, k - 1, keys); });
      });
}

TensorPair median(const Tensor& t, int64_t dim, bool keepdim, bool ignore_nan) {
  require_length(t, dim, ignore_nan ? "nanmedian" : "median");
  return one_of_each("Median", t, dim, keepdim,
                     [ignore_nan]<class T>(TypeTag<T>, const SortedRows& rows, const TensorPair& out) {
                       if (cuda::runs_on_gpu(rows.input)) return ranked_part(rows, median_ranks(rows, ignore_nan), out);
                       put_positions<T>(rows, out, [ignore_nan](const auto* in, int64_t n, Key<T>* keys) {
                         return median_of<T>(in, n, ignore_nan, keys);
                       });
                     });
}

Tensor median_all(const Tensor& t, bool ignore_nan) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (t.numel() == 0)
    return full({}, is_floating(t.dtype()) ? Scalar(nan) : Scalar(std::numeric_limits<int64_t>::min()), t.dtype());
  Tensor out;
  {
    NoRecording off;
    const Tensor x = contiguous(t);
    out = empty({}, t.dtype());
    if (!out.is_meta())
      dispatch_ordered(t.dtype(), "median", [&](auto tag) {
        if (cuda::runs_on_gpu(x)) {
          const SortedRows row(reshape(x, {x.numel()}), 0);
          return ranked_part(row, median_ranks(row, ignore_nan), {out, empty({}, Dtype::int64)});
        }
        using T = typename decltype(tag)::type;
        const ItemBuffer<Key<T>> keys(x.numel());
        const auto* in = reinterpret_cast<const BitsOf<T>*>(x.bytes());
        const GilRelease release(x.numel() > kGilGrain);
        *reinterpret_cast<BitsOf<T>*>(out.bytes()) = in[median_of<T>(in, x.numel(), ignore_nan, keys.data())];
      });
  }
  if (recording(t))
    record("Median", out, {&t}, {&t, &out},
           [](const Context& c) { c.set(0, shared_gradient(c.gradient(), c.saved(0), c.saved(1))); });
  return out;
}

TensorPair mode(const Tensor& t, int64_t dim, bool keepdim) {
  require_length(t, dim, "mode");
  return one_of_each("Mode", t, dim, keepdim, []<class T>(TypeTag<T>, const SortedRows& rows, const TensorPair& out) {
    if (cuda::runs_on_gpu(rows.input)) return most_frequent_part(rows, out);
    put_positions<T>(rows, out, [](const auto* in, int64_t n, Key<T>*) { return mode_of<T>(in, n); });
  });
}

namespace {

template <bool ignore_nan>
TensorOrTensors median_of(const Tensor& t, std::optional<int64_t> dim, bool keepdim) {
  if (!dim) return median_all(t, ignore_nan);
  const TensorPair along = median(t, *dim, keepdim, ignore_nan);
  return Tensors{along.values, along.indices};
}

const Operator topk_operator(
    {.signature = "topk(input, k, dim=-1, largest=True, sorted=True)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Return the k largest (or smallest) elements along a dimension: (values, indices).

NaN counts as largest; equal elements keep their order. Raises RuntimeError if k is out of range.
Gradient: input.

>>> flambeau.topk(flambeau.tensor([3, 1, 2]), 2).values
tensor([3, 2]))",
     .forward = topk,
     .fields = "values, indices",
     .reference = "(lambda order: (np.take_along_axis(input, order, dim), order))(np.argsort(-input if largest else "
                  "input, dim, kind=\"stable\").take(range(k), dim))",
     .samples = "f(3, 4), 2; f(3, 4), 2, 0, False"});

const Operator kthvalue_operator(
    {.signature = "kthvalue(input, k, dim=-1, keepdim=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Return the k-th smallest element along a dimension, as (values, indices); k = 1 is the minimum.

Raises RuntimeError if k is out of range. Gradient: input.)",
     .forward = kthvalue,
     .fields = "values, indices",
     .reference = "(lambda order: (np.take_along_axis(input, order, dim).reshape(order.shape if keepdim else "
                  "np.delete(order.shape, dim)), order.reshape(order.shape if keepdim else np.delete(order.shape, "
                  "dim))))(np.argsort(input, dim).take([k - 1], dim))",
     .samples = "f(3, 4), 2; f(3, 4), 1, 0, True"});

const Operator median_operator(
    {.signature = "median(input, dim=None, keepdim=False)",
     .forms = kFunction | kMethod | kOut,
     .doc =
         R"(Return the median of all elements or, along a dimension, the medians as (values, indices).

For an even number of elements, the median is the lower of the two middle elements. It is NaN if any element is NaN.
Gradient: input; without dim, divided evenly among the elements that are equal to the median.)",
     .forward = median_of<false>,
     .fields = "values, indices",
     .reference = "(lambda half, axis: np.sort(input, axis).take(half, axis or 0) if dim is None else (np.sort(input, "
                  "axis).take(half, axis), np.argsort(input, axis).take(half, axis)))((np.size(input) if dim is None "
                  "else input.shape[dim]) // 2, dim)",
     .samples = "f(5); f(3, 5), 1; f(3, 5), 0"});

const Operator nanmedian_operator(
    {.signature = "nanmedian(input, dim=None, keepdim=False)",
     .forms = kFunction | kMethod | kOut,
     .doc = "Return the median like median(), but ignore NaN.",
     .forward = median_of<true>,
     .fields = "values, indices",
     .reference = "(lambda half, axis: np.sort(input, axis).take(half, axis or 0) if dim is None else (np.sort(input, "
                  "axis).take(half, axis), np.argsort(input, axis).take(half, axis)))((np.size(input) if dim is None "
                  "else input.shape[dim]) // 2, dim)",
     .samples = "f(5); f(3, 5), 1; f(3, 5), 0"});

const Operator mode_operator({.signature = "mode(input, dim=-1, keepdim=False)",
                              .forms = kFunction | kMethod | kOut | kExactOut,
                              .doc = "Return the most frequent element along a dimension, as (values, indices); the "
                                     "smallest one if several are equally frequent. Gradient: input.",
                              .forward = mode,
                              .fields = "values, indices"});

}  // namespace

}  // namespace flambeau
