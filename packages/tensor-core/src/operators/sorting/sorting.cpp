// Sorting along a dimension. Note [Keys]
#include "flambeau/operators/sorting.h"
#include "flambeau/operator.h"

#include "cuda/sorting.h"
#include "operators/arithmetic/chosen.h"
#include "operators/sorting/order.h"

namespace flambeau {

namespace order {

template <class T>
template <class K>
void SortedRow<T>::sort_long(const BitsOf<T>* in, int64_t n, const Span<T>& span, int64_t chunks) {
  using R = Rank<T, K>;
  base_ = span.base(flip_);
  low_ = span.low();
  narrow_ = R::kNarrow;
  const R rank{flip_, base_, low_};
  const Digits digits{kShift<K> + (R::kNarrow ? 0 : low_), span.bits()};
  const ItemBuffer<Item<K>> items(n), scratch(n);
  const auto item = [=](int64_t i) { return rank.item(in, i); };
  const Item<K>* sorted = sort_items(item, items.data(), scratch.data(), n, digits, chunks);
  items_ = sorted;
  memory_ = (sorted == items.data() ? items : scratch).memory();
}

template <class T>
SortedRow<T>::SortedRow(const BitsOf<T>* in, int64_t n, Key<T> flip) : flip_(flip), items_(few_) {
  if (n <= kSmall) {
    make_items<T>(in, 0, n, flip, few_);
    sort_small(few_, n);
    return;
  }
  const GilRelease release(n > kGilGrain);
  constexpr int64_t kChunk = 32768;
  const int64_t chunks = std::clamp<int64_t>(n / kChunk, 1, num_threads()), step = (n + chunks - 1) / chunks;
  std::vector<Span<T>> spans(size_t(chunks), Span<T>{});
  parallel_tasks(chunks, [&](int64_t c) {
    const int64_t begin = std::min(n, c * step);
    Span<T> span;
    span.add(in + begin, std::min(n - begin, step));
    spans[size_t(c)] = span;
  });
  Span<T> span;
  for (const Span<T>& part : spans) span.add(part);
  if (sizeof(Key<T>) == 8 && span.bits() <= 32)
    sort_long<uint32_t>(in, n, span, chunks);
  else
    sort_long<Key<T>>(in, n, span, chunks);
}
#define FLAMBEAU_SORTED_ROW(name, type, category) template class SortedRow<type>;
FLAMBEAU_REAL_DTYPES(FLAMBEAU_SORTED_ROW)
#undef FLAMBEAU_SORTED_ROW

}  // namespace order

namespace {

using namespace order;

// The memory to which the values and the positions of a row are written. A pointer is null if the result is not
// requested.
template <class T>
struct Target {
  BitsOf<T>* values;
  int64_t* indices;
  int64_t stride;

  template <class Row>
  FLAMBEAU_INLINE void put(const Row& sorted, Key<T> flip, const BitsOf<T>* in, int64_t begin, int64_t end) const {
    for (int64_t i = begin; indices && i < end; ++i) indices[i * stride] = sorted.index(i);
    for (int64_t i = begin; values && i < end; ++i) {
      const Key<T> key = sorted.key(i) ^ flip;
      values[i * stride] = ambiguous<T>(key) ? in[sorted.index(i) * stride] : bits_of<T>(key);
    }
  }
};

// Sorts a row of at most kSmall elements. Consecutive elements of the row are target.stride elements apart.
template <class T>
void sort_short(const BitsOf<T>* in, int64_t n, Key<T> flip, const Target<T>& target) {
  using K = Key<T>;
  Item<K> items[kSmall];
  for (int64_t i = 0; i < n; ++i) items[i] = pack(K(key_of<T>(in[i * target.stride]) ^ flip), i);
  sort_small(items, n);
  target.put(Sorted<T, K>{items, {flip}}, flip, in, 0, n);
}

// Sorts a row of elements of one byte by counting them.
template <class T>
void sort_bytes(const BitsOf<T>* in, int64_t n, Key<T> flip, const Target<T>& target) {
  const auto key = [=, step = target.stride](int64_t i) { return uint8_t(key_of<T>(in[i * step]) ^ flip); };
  int64_t next_slot[256] = {};
  const auto over = [n](auto&& body) {
    for (int64_t begin = 0; begin < n; begin += kItemsPerPoll) {
      poll_signals();
      for (int64_t i = begin; i < std::min(n, begin + kItemsPerPoll); ++i) body(i);
    }
  };
  over([&](int64_t i) { ++next_slot[key(i)]; });
  int64_t total = 0;
  for (int k = 0; k < 256; ++k) {
    const int64_t count = std::exchange(next_slot[k], total), end = total + count;
    const BitsOf<T> value = bits_of<T>(Key<T>(uint8_t(k ^ int(flip))));
    for (; target.values && total < end; ++total) target.values[total * target.stride] = value;
    total = end;
  }
  if (target.indices) over([&](int64_t i) { target.indices[next_slot[key(i)]++ * target.stride] = i; });
}

template <class T>
void sort_long(const BitsOf<T>* in, int64_t n, Key<T> flip, const Target<T>& target) {
  SortedRow<T>(in, n, flip).read([&](const auto& sorted) {
    parallel_for(n, 32768, [&](int64_t begin, int64_t end) { target.put(sorted, flip, in, begin, end); });
  });
}

constexpr int64_t kFewBytes = 48;  // number of elements up to which comparing bytes is faster than counting them

// Rows of at most this length are sorted in place, even if their elements are not adjacent: the cache lines of one row
// are still in the cache for the next row.
constexpr int64_t kNear = 64;

// Returns the values and the indices. A result that is not requested is undefined.
TensorPair sorted_pair(const Tensor& t, int64_t dim, bool descending, bool with_values, bool with_indices) {
  dim = t.wrap_dim(dim);
  NoRecording off;
  const int64_t n = t.dim() ? t.size(dim) : 1;
  require<NotImplementedError>(n < int64_t(1) << 32, "sort(): rows of more than 2**32 - 1 elements are not supported");
  const bool turns = (n > kNear || cuda::runs_on_gpu(t)) && dim < t.dim() - 1;
  const Tensor input = contiguous(turns ? transpose(t, dim, -1) : t);
  const TensorPair out{with_values ? empty(input.shape(), t.dtype()) : Tensor(),
                       with_indices ? empty(input.shape(), Dtype::int64) : Tensor()};
  int64_t stride = 1;
  for (int64_t d = dim + 1; d < t.dim() && !turns; ++d) stride *= t.size(d);
  const int64_t count = input.is_meta() || n == 0 ? 0 : input.numel() / n;
  dispatch_ordered(t.dtype(), "sort", [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (cuda::runs_on_gpu(input)) return cuda::sort(input, count, n, descending, out.values, out.indices);
    const auto sort_rows = [&](int64_t begin, int64_t end) {
      const Key<T> flip = descending ? Key<T>(~Key<T>(0)) : Key<T>(0);
      const auto* in = reinterpret_cast<const BitsOf<T>*>(input.bytes());
      auto* values = with_values ? reinterpret_cast<BitsOf<T>*>(out.values.bytes()) : nullptr;
      int64_t* indices = with_indices ? out.indices.data<int64_t>() : nullptr;
      if (stride == 1 && short_rows(count, n, n)) {
        const ItemBuffer<int64_t> unwanted(indices ? 0 : (end - begin) * n);
        return first_of_short_rows<T>(in + begin * n, end - begin, n, n, descending,
                                      values ? values + begin * n : nullptr,
                                      indices ? indices + begin * n : unwanted.data());
      }
      for (int64_t r = begin; r < end; ++r) {
        const int64_t at = r / stride * (n * stride) + r % stride;
        const Target<T> target{values ? values + at : nullptr, indices ? indices + at : nullptr, stride};
        if constexpr (sizeof(T) == 1)
          if (n > kFewBytes) {
            sort_bytes<T>(in + at, n, flip, target);
            continue;
          }
        (n <= kSmall ? sort_short<T> : sort_long<T>)(in + at, n, flip, target);
      }
    };
    if (count == 0) return;
    const GilRelease release(input.numel() > kGilGrain);
    if (count < num_threads())  // all threads work on the same row
      sort_rows(0, count);
    else
      parallel_items(count, std::max<int64_t>(1, 4096 / n), sort_rows);
  });
  const auto back = [&](const Tensor& x) { return x.defined() && turns ? contiguous(transpose(x, dim, -1)) : x; };
  return {back(out.values), back(out.indices)};
}

}  // namespace

TensorPair sort(const Tensor& t, int64_t dim, bool descending) {
  TensorPair out = sorted_pair(t, dim, descending, true, true);
  record_chosen("Sort", out, t, t.wrap_dim(dim), true);
  return out;
}

Tensor argsort(const Tensor& t, int64_t dim, bool descending) {
  return sorted_pair(t, dim, descending, false, true).indices;
}

Tensor msort(const Tensor& t) {
  return recording(t) ? sort(t, 0, false).values : sorted_pair(t, 0, false, true, false).values;
}

const Operator msort_operator({.signature = "msort(input)",
                               .forms = kFunction | kMethod | kOut | kExactOut,
                               .doc = "Sort along the first dimension. Gradient: input.",
                               .forward = msort,
                               .reference = "np.sort(input, 0)",
                               .samples = "f(5); f(4, 3)"});

const Operator argsort_operator(
    {.signature = "argsort(input, dim=-1, descending=False, stable=False)",
     .forms = kFunction | kMethod,
     .doc = "Return the indices that sort a dimension, int64. They are equal to the indices that sort() returns.",
     .forward = [](const Tensor& t, int64_t dim, bool descending, bool) { return argsort(t, dim, descending); },
     .reference = "np.argsort(-input if descending else input, dim, kind='stable')",
     .samples = "f(5); f(2, 5), 0; f(2, 5), 1, True; i(30), -1, False, True"});

const Operator sort_operator(
    {.signature = "sort(input, dim=-1, descending=False, stable=False)",
     .forms = kFunction | kMethod | kOut | kExactOut,
     .doc = R"(Sort along a dimension: return (values, indices). NaN counts as largest; equal elements keep their order.

Gradient: input.

>>> flambeau.sort(flambeau.tensor([3, 1, 2])).values
tensor([1, 2, 3]))",
     .forward = [](const Tensor& t, int64_t dim, bool descending, bool) { return sort(t, dim, descending); },
     .fields = "values, indices",
     .reference = "(lambda order: (np.take_along_axis(input, order, dim), order))(np.argsort(-input if descending else "
                  "input, dim, kind=\"stable\"))",
     .samples = "f(3, 4); f(3, 4), 0, True; i(20), stable=True"});

}  // namespace flambeau
