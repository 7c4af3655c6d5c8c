// Which elements are in a set.
#include <algorithm>

#include "flambeau/parallel.h"
#include "flambeau/sorting.h"

namespace flambeau {

namespace {

constexpr int64_t kFew = 16;  // test elements that are compared one by one

// contains(element) for every element.
template <class T, class F>
Tensor marked(const Tensor& elements, bool invert, F contains) {
  const Tensor out = empty(elements.shape(), Dtype::bool_);
  parallel_for(elements.numel(), 8192, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) out.data<bool>()[i] = contains(elements.data<T>()[i]) != invert;
  });
  return out;
}

template <class T>
Tensor searched(const Tensor& elements, const Tensor& tests, bool invert) {
  const T* first = tests.data<T>();
  const T* last = first + tests.numel();
  if (tests.numel() <= kFew)
    return marked<T>(elements, invert, [=](T v) {
      bool found = false;
      for (const T* t = first; t < last; ++t) found |= *t == v;
      return found;
    });
  while (last > first && last[-1] != last[-1]) --last;  // NaN comes last, and is equal to nothing
  return marked<T>(elements, invert, [=](T v) { return v == v && std::binary_search(first, last, v); });
}

}  // namespace

Tensor isin(const Tensor& elements, const Tensor& test_elements, bool invert) {
  NoRecording off;
  for (const Tensor* t : {&elements, &test_elements})
    require(t->dtype() != Dtype::bool_, "Unsupported input type encountered for isin(): bool");
  const Dtype type = promote(elements.dtype(), test_elements.dtype()), in = dtype_of(compute_type(type));
  const Tensor x = contiguous(to(elements, in)), flat = reshape(to(test_elements, in), {test_elements.numel()});
  const Tensor tests = contiguous(flat.numel() > kFew ? sort(flat, 0, false).values : flat);
  Tensor out;
  dispatch_all(in, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>)
      out = searched<T>(x, tests, invert);
    else
      require<NotImplementedError>(false, "\"isin\" not implemented for '", type, "'");
  });
  return out;
}

}  // namespace flambeau
