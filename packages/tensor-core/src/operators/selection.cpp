// Selecting along a dimension by rank or frequency, without sorting all of it. Note [Keys]
#include <limits>

#include "cuda/sorting.h"
#include "flambeau/sorting.h"
#include "operators/chosen.h"
#include "operators/order.h"

namespace flambeau {

namespace {

using namespace order;

// The k smallest items of a row where k is small: whole blocks that hold nothing below the largest of them are skipped
// at vector speed.
template <class T>
void smallest_few(const BitsOf<T>* in, int64_t n, int64_t k, Key<T> flip, Item<Key<T>>* kept) {
  using K = Key<T>;
  constexpr int64_t kBlock = 32;
  make_items<T, K>(in, 0, k, flip, 0, kept);
  std::make_heap(kept, kept + k);
  for (int64_t i = k; i < n;) {
    const K limit = key_in<K>(kept[0]);
    if (i + kBlock <= n) {
      int below = 0;
      for (int64_t j = 0; j < kBlock; ++j) below += K(key_of<T>(in[i + j]) ^ flip) < limit;
      if (below == 0) {
        i += kBlock;
        continue;
      }
    }
    for (const int64_t stop = std::min(n, i + kBlock); i < stop; ++i) {
      const auto item = pack<K>(key_of<T>(in[i]) ^ flip, i);
      if (item >= kept[0]) continue;
      std::pop_heap(kept, kept + k);
      kept[k - 1] = item;
      std::push_heap(kept, kept + k);
    }
  }
}

// The k smallest items of a row in the order of their positions.
template <class T>
void smallest_many(const BitsOf<T>* in, int64_t n, int64_t k, Key<T> flip, Item<Key<T>>* items, Item<Key<T>>* kept) {
  make_items<T, Key<T>>(in, 0, n, flip, 0, items);
  const auto limit = select_item(items, n, k - 1, digits(differing_bits<T>(in, n)));
  for (int64_t i = 0, found = 0; found < k; ++i) {
    const auto item = pack<Key<T>>(key_of<T>(in[i]) ^ flip, i);
    kept[found] = item;
    found += item <= limit;
  }
}

// On a GPU: `count` elements of every row from the rank `first` on, by sorting the row.
void sorted_part(const Rows& rows, int64_t first, int64_t count, bool descending, const TensorPair& out) {
  const Tensor values = empty({rows.count, rows.length}, out.values.dtype());
  const Tensor indices = empty({rows.count, rows.length}, Dtype::int64);
  cuda::sort(rows.input, rows.count, rows.length, descending, values, indices);
  copy_values(out.values, reshape(narrow(values, 1, first, count), out.values.shape()));
  copy_values(out.indices, reshape(narrow(indices, 1, first, count), out.values.shape()));
}

// On a GPU: of every row the element of its rank, which `ranks` gives for the sorted rows (count, length) as (count, 1).
template <class F>
void ranked_part(const Rows& rows, const TensorPair& out, F&& ranks) {
  const Tensor values = empty({rows.count, rows.length}, out.values.dtype());
  const Tensor indices = empty({rows.count, rows.length}, Dtype::int64);
  cuda::sort(rows.input, rows.count, rows.length, false, values, indices);
  const Tensor rank = ranks(values);
  copy_values(out.values, reshape(gather(values, 1, rank), out.values.shape()));
  copy_values(out.indices, reshape(gather(indices, 1, rank), out.values.shape()));
}

// Of the median, or of the first NaN where NaN is not ignored.
Tensor median_ranks(const Tensor& sorted, bool ignore_nan) {
  const int64_t n = sorted.size(1);
  const Tensor numbers = Scalar(n) - sum(isnan(sorted), Shape{1}, true, Dtype::int64);
  const Tensor middle = floor_divide(clamp_min(numbers, Scalar(1)) - Scalar(1), Scalar(2));
  return ignore_nan ? middle : where(lt(numbers, Scalar(n)), numbers, middle);
}

// Of the last one of the most frequent elements, of the smallest of these.
Tensor mode_ranks(const Tensor& sorted) {
  const int64_t n = sorted.size(1);
  const Tensor place = arange(Scalar(0), Scalar(n), Scalar(1), Dtype::int64);
  const Tensor here = narrow(sorted, 1, 1, n - 1), before = narrow(sorted, 1, 0, n - 1);
  const Tensor begins = logical_and(ne(here, before), logical_not(logical_and(isnan(here), isnan(before))));
  const Tensor starts = where(begins, narrow(place, 0, 1, n - 1), Scalar(0));
  const Tensor first = cummax(cat({zeros({sorted.size(0), 1}, Dtype::int64), starts}, 1), 1).values;
  return argmax(place - first, 1, true);
}

TensorPair back(const TensorPair& pair, const Tensor& t, int64_t dim, bool keepdim) {
  const auto move = [&](Tensor x) {
    if (t.dim() == 0) return x;
    x = contiguous(transpose(x, dim, -1));
    return keepdim ? x : squeeze(x, Shape{dim});
  };
  return {move(pair.values), move(pair.indices)};
}

// One element of each row: position(row's elements, n, room for items) says which; on a GPU ranks(sorted rows) does.
template <class F, class R>
TensorPair one_of_each(const char* name, const Tensor& t, int64_t dim, bool keepdim, F&& position, R&& ranks) {
  dim = t.wrap_dim(dim);
  TensorPair out;
  {
    NoRecording off;
    const Rows rows(t, dim);
    const int64_t n = rows.length;
    out = {rows.result(1, t.dtype()), rows.result(1, Dtype::int64)};
    dispatch_ordered(t.dtype(), name, [&](auto tag) {
      using T = typename decltype(tag)::type;
      if (cuda::takes(rows.input)) return ranked_part(rows, out, ranks);
      parallel_items(rows.count, std::max<int64_t>(1, 4096 / n), [&](int64_t begin, int64_t end) {
        const Room<Item<Key<T>>> items(n);
        for (int64_t r = begin; r < end; ++r) {
          const int64_t at = position(tag, rows.row<T>(r), n, items.data());
          out.indices.data<int64_t>()[r] = at;
          reinterpret_cast<BitsOf<T>*>(out.values.bytes())[r] = rows.row<T>(r)[at];
        }
      });
    });
    out = back(out, t, dim, keepdim);
  }
  record_chosen(name, out, t, dim, keepdim);
  return out;
}

void require_length(const Tensor& t, int64_t dim, const char* name) {
  require<IndexError>(t.dim() == 0 || t.size(dim) > 0, name, "(): Expected reduction dim ", t.wrap_dim(dim),
                      " to have non-zero size, got shape ", t.shape());
}

// The position of the element of rank k in a row.
template <class T>
int64_t ranked(const BitsOf<T>* in, int64_t n, int64_t k, Item<Key<T>>* items) {
  make_items<T, Key<T>>(in, 0, n, 0, 0, items);
  return index_in<Key<T>>(select_item(items, n, k, digits(differing_bits<T>(in, n))));
}

template <class T>
int64_t median_of(const BitsOf<T>* in, int64_t n, bool ignore_nan, Item<Key<T>>* items) {
  int64_t nans = 0;
  for (int64_t i = 0; i < n; ++i) nans += is_nan<T>(in[i]);
  if (nans && !ignore_nan) return std::find_if(in, in + n, is_nan<T>) - in;
  return ranked<T>(in, n, (std::max<int64_t>(n - nans, 1) - 1) / 2, items);
}

// The smallest of the most frequent elements, at its last position.
template <class T>
int64_t mode_of(const BitsOf<T>* in, int64_t n) {
  int64_t result = 0;
  sort_row<T>(in, n, 0, [&](const auto& sorted) {
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

}  // namespace

TensorPair topk(const Tensor& t, int64_t k, int64_t dim, bool largest, bool sorted) {
  dim = t.wrap_dim(dim);
  require(k >= 0 && k <= (t.dim() ? t.size(dim) : 1), "topk(): k = ", k, " is out of range for dimension ", dim,
          " of a tensor of shape ", t.shape());
  TensorPair out;
  {
    NoRecording off;
    const Rows rows(t, dim);
    const int64_t n = rows.length;
    const bool few = k <= kSmall && k <= n / 8;
    out = {rows.result(k, t.dtype()), rows.result(k, Dtype::int64)};
    dispatch_ordered(t.dtype(), "topk", [&](auto tag) {
      using T = typename decltype(tag)::type;
      using K = Key<T>;
      const K flip = largest ? K(~K(0)) : K(0);
      if (k == 0) return;
      if (cuda::takes(rows.input)) return sorted_part(rows, 0, k, largest, out);
      parallel_items(rows.count, std::max<int64_t>(1, 4096 / n), [&](int64_t begin, int64_t end) {
        const Room<Item<K>> items(few ? 0 : n), kept(k);
        for (int64_t r = begin; r < end; ++r) {
          const auto* in = rows.row<T>(r);
          few ? smallest_few<T>(in, n, k, flip, kept.data())
              : smallest_many<T>(in, n, k, flip, items.data(), kept.data());
          const Item<K>* chosen = sorted ? sort_items(kept.data(), items.data(), k, all_digits<T>(), 1) : kept.data();
          for (int64_t i = 0; i < k; ++i) {
            const int64_t at = index_in<K>(chosen[i]);
            out.indices.data<int64_t>()[r * k + i] = at;
            reinterpret_cast<BitsOf<T>*>(out.values.bytes())[r * k + i] = in[at];
          }
        }
      });
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
      "Kthvalue", t, dim, keepdim,
      [k](auto tag, const auto* in, int64_t n, auto* items) {
        return ranked<typename decltype(tag)::type>(in, n, k - 1, items);
      },
      [k](const Tensor& sorted) { return full({sorted.size(0), 1}, Scalar(k - 1), Dtype::int64); });
}

TensorPair median(const Tensor& t, int64_t dim, bool keepdim, bool ignore_nan) {
  require_length(t, dim, ignore_nan ? "nanmedian" : "median");
  return one_of_each(
      "Median", t, dim, keepdim,
      [ignore_nan](auto tag, const auto* in, int64_t n, auto* items) {
        return median_of<typename decltype(tag)::type>(in, n, ignore_nan, items);
      },
      [ignore_nan](const Tensor& sorted) { return median_ranks(sorted, ignore_nan); });
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
        const auto ranks = [ignore_nan](const Tensor& sorted) { return median_ranks(sorted, ignore_nan); };
        if (cuda::takes(x))
          return ranked_part(Rows(reshape(x, {x.numel()}), 0), {out, empty({}, Dtype::int64)}, ranks);
        using T = typename decltype(tag)::type;
        const Room<Item<Key<T>>> items(x.numel());
        const auto* in = reinterpret_cast<const BitsOf<T>*>(x.bytes());
        *reinterpret_cast<BitsOf<T>*>(out.bytes()) = in[median_of<T>(in, x.numel(), ignore_nan, items.data())];
      });
  }
  if (recording(t)) record_shared("Median", out, t, {});
  return out;
}

TensorPair mode(const Tensor& t, int64_t dim, bool keepdim) {
  require_length(t, dim, "mode");
  return one_of_each(
      "Mode", t, dim, keepdim,
      [](auto tag, const auto* in, int64_t n, auto*) { return mode_of<typename decltype(tag)::type>(in, n); },
      mode_ranks);
}

}  // namespace flambeau
