// isin: membership of elements in a set.
#include <cstring>
#include <vector>

#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

constexpr int64_t kMaxDirectTests =
    16;  // maximum number of test elements for which each element is compared with all of them

// Returns contains(element) for every element. If `invert`, negates the results.
template <class T, class F>
Tensor marked(const Tensor& elements, bool invert, F contains) {
  const Tensor out = empty(elements.shape(), Dtype::bool_);
  parallel_for(elements.numel(), 8192, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out.data<bool>()[i] = contains(elements.data<T>()[i]) != invert;
  });
  return out;
}

// A hash set with open addressing. Empty slots contain the set's first element, which counts only in its own slot.
template <class T>
class HashSet {
 public:
  HashSet(const T* first, int64_t count) : first_(*first) {
    int bits = 1;
    while ((int64_t(1) << bits) < 2 * count) ++bits;
    shift_ = 64 - bits;
    slots_.assign(size_t(1) << bits, first_);
    for (const T* t = first; t < first + count; ++t)
      if (*t == *t) slots_[find(*t)] = *t;  // NaN is equal to no element, so it is not inserted
  }
  bool contains(T v) const { return slots_[find(v)] == v; }

 private:
  // Returns the slot that contains the element, or the empty slot where it would be inserted.
  size_t find(T v) const {
    size_t at = hash(v) >> shift_;
    while (slots_[at] != v && slots_[at] != first_) at = (at + 1) & (slots_.size() - 1);
    return at;
  }
  static uint64_t hash(T v) {
    uint64_t bits = 0;
    if (v != T(0)) std::memcpy(&bits, &v, sizeof(T));  // 0 and -0 are equal, so they must have the same hash
    return (bits ^ bits >> 32) * 0x9E3779B97F4A7C15;
  }
  std::vector<T> slots_;
  T first_;
  int shift_;
};

template <class T>
Tensor searched(const Tensor& elements, const Tensor& tests, bool invert) {
  const T* first = tests.data<T>();
  const T* last = first + tests.numel();
  if (tests.numel() <= kMaxDirectTests)
    return marked<T>(elements, invert, [=](T v) {
      bool found = false;
      for (const T* t = first; t < last; ++t) found |= *t == v;
      return found;
    });
  while (first < last && *first != *first) ++first;
  if (first == last) return full(elements.shape(), Scalar(invert), Dtype::bool_);
  const HashSet<T> set(first, last - first);
  return marked<T>(elements, invert, [&set](T v) { return set.contains(v); });
}

Tensor searched_on_gpu(const Tensor& elements, const Tensor& tests, bool invert) {
  const int64_t count = tests.numel();
  if (count == 0) return full(elements.shape(), Scalar(invert), Dtype::bool_);
  const Tensor sorted = sort(reshape(tests, {count}), 0, false).values, flat = reshape(elements, {elements.numel()});
  // NaN is sorted last, is equal to no element, and would break the search.
  const Tensor steps = is_floating(tests.dtype()) ? where(isnan(sorted), Scalar(INFINITY), sorted) : sorted;
  const Tensor insertion_point = clamp_max(searchsorted(steps, flat, false, Tensor(), false), Scalar(count - 1));
  const Tensor found = reshape(eq(index_select(sorted, 0, insertion_point), flat), elements.shape());
  return invert ? logical_not(found) : found;
}

}  // namespace

Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert) {
  NoRecording off;
  for (const Tensor* t : {&elements, &test_elements})
    require(t->dtype() != Dtype::bool_, "Unsupported input type encountered for isin(): bool");
  const Dtype type = promote(elements.dtype(), test_elements.dtype()), in = dtype_of(compute_type(type));
  const Tensor x = contiguous(to(elements, in)), tests = contiguous(to(test_elements, in));
  Tensor out;
  dispatch_all(in, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>)
      out = cuda::runs_on_gpu(x) ? searched_on_gpu(x, to(tests, x.device()), invert) : searched<T>(x, tests, invert);
    else
      require<NotImplementedError>(false, "\"isin\" not implemented for '", type, "'");
  });
  return out;
}

namespace {

// Returns a mask of the elements that occur in `tests`. One of the two arguments may be a number.
Tensor is_in(const Operand& elements, const Operand& tests, bool, bool invert) {
  if (!tests.tensor) {
    require<TypeError>(elements.tensor, "isin(): argument 'test_elements' must be Tensor if 'elements' is a number");
    return invert ? ne(elements, tests) : eq(elements, tests);
  }
  if (elements.tensor) return isin(*elements.tensor, *tests.tensor, invert);
  return isin(scalar_tensor(elements.scalar, default_dtype(elements.scalar.kind())), *tests.tensor, invert);
}

const Operator isin_operator(
    {.signature = "isin(elements, test_elements, *, assume_unique=False, invert=False)",
     .forms = kFunction | kOut | kExactOut,
     .doc =
         R"(Return a mask of the elements that are among the test elements or, if ``invert``, that are not among them.

Elements or test elements may be a number.

``assume_unique`` is accepted and has no effect. Raises RuntimeError for booleans. Not differentiable.

>>> flambeau.isin(flambeau.tensor([1, 2, 3]), flambeau.tensor([2, 3]))
tensor([False,  True,  True]))",
     .forward = is_in,
     .reference = "np.isin(elements, test_elements, invert=invert)",
     .samples = "i(4, 5), i(3); i(6), 2; 3, i(20); i(6), i(3), invert=True"});

}  // namespace

}  // namespace flambeau
