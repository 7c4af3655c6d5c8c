#include "core/overlap.h"

#include <algorithm>
#include <functional>
#include <vector>

namespace flambeau {

namespace {

struct Dimension {
  int64_t size, stride;  // stride: in bytes
};

// Returns the dimensions that have several elements and a stride other than 0. The last dimension is added: the bytes
// of an element.
std::vector<Dimension> byte_dimensions(const Tensor& t) {
  const int64_t bytes = item_size(t.dtype());
  std::vector<Dimension> dimensions;
  for (int i = 0; i < t.dim(); ++i)
    if (t.shape()[i] > 1 && t.strides()[i] != 0) dimensions.push_back({t.shape()[i], t.strides()[i] * bytes});
  dimensions.push_back({bytes, 1});
  return dimensions;
}

struct Interval {
  int64_t first, last;
};
bool disjoint(Interval a, Interval b) { return a.last < b.first || b.last < a.first; }

// Returns the positions of the first and the last byte of a tensor in its storage.
Interval range(int64_t offset, const std::vector<Dimension>& dimensions) {
  int64_t last = offset;
  for (const Dimension& d : dimensions) last += (d.size - 1) * d.stride;
  return {offset, last};
}

// Represents the addresses of a tensor as numbers with one digit for each of `strides`, which are in descending order
// and divide each other. Returns the range of each digit, or nothing if a digit can carry into the next higher digit.
std::vector<Interval> digits(int64_t offset, const std::vector<Dimension>& dimensions,
                             const std::vector<int64_t>& strides) {
  std::vector<Interval> intervals;
  for (size_t i = 0; i < strides.size(); ++i) {
    const int64_t first = offset / strides[i];
    offset %= strides[i];
    int64_t last = first;
    for (const Dimension& d : dimensions) last += d.stride == strides[i] ? d.size - 1 : 0;
    if (i > 0 && last >= strides[i - 1] / strides[i]) return {};
    intervals.push_back({first, last});
  }
  return intervals;
}

}  // namespace

bool same_elements(const Tensor& a, const Tensor& b) {
  return a.impl()->storage.get() == b.impl()->storage.get() && a.offset() == b.offset() && a.strides() == b.strides() &&
         a.shape() == b.shape() && a.dtype() == b.dtype();
}

bool may_overlap(const Tensor& a, const Tensor& b) {
  if (a.impl()->storage.get() != b.impl()->storage.get() || a.is_meta() || a.numel() == 0 || b.numel() == 0)
    return false;
  const std::vector<Dimension> of_a = byte_dimensions(a), of_b = byte_dimensions(b);
  const int64_t first_a = a.offset() * item_size(a.dtype()), first_b = b.offset() * item_size(b.dtype());
  if (disjoint(range(first_a, of_a), range(first_b, of_b))) return false;

  std::vector<int64_t> strides;
  for (const auto* dimensions : {&of_a, &of_b})
    for (const Dimension& d : *dimensions) strides.push_back(d.stride);
  std::sort(strides.begin(), strides.end(), std::greater<>());
  strides.erase(std::unique(strides.begin(), strides.end()), strides.end());
  for (size_t i = 1; i < strides.size(); ++i)
    if (strides[i - 1] % strides[i] != 0) return true;

  const std::vector<Interval> digits_a = digits(first_a, of_a, strides), digits_b = digits(first_b, of_b, strides);
  for (size_t i = 0; i < digits_a.size() && i < digits_b.size(); ++i)
    if (disjoint(digits_a[i], digits_b[i])) return false;
  return true;
}

}  // namespace flambeau
