// Padding with what an image holds already: maps of Note [Resampling] with one tap a place.
#include <algorithm>
#include <cstdlib>

#include "operators/resampling.h"

namespace flambeau {

namespace {

constexpr const char* kNodes[] = {"ReflectionPad", "ReplicationPad", "CircularPad"};

struct Padding {  // of one dimension
  int64_t size, before, after;

  int64_t out() const { return size + before + after; }
  int64_t reflected(int64_t o) const { return size - 1 - std::abs(size - 1 - std::abs(o - before)); }
  int64_t replicated(int64_t o) const { return std::clamp<int64_t>(o - before, 0, size - 1); }
  // What negative amounts leave is what goes round.
  int64_t wrapped(int64_t o) const {
    const int64_t first = std::max<int64_t>(-before, 0), rest = size - first - std::max<int64_t>(-after, 0);
    const int64_t place = (o - std::max<int64_t>(before, 0)) % rest;
    return first + (place < 0 ? place + rest : place);
  }
};

void check(const Padding& p, PadMode mode, int64_t dim, const Tensor& input) {
  require(mode != PadMode::Reflect || (p.before < p.size && p.after < p.size),
          "Padding size should be less than the corresponding input dimension, but got: padding (", p.before, ", ",
          p.after, ") at dimension ", dim, " of input ", input.shape());
  require(mode != PadMode::Circular || (p.before <= p.size && p.after <= p.size),
          "Padding value causes wrapping around more than once: padding (", p.before, ", ", p.after, ") at dimension ",
          dim, " of input ", input.shape());
  require(mode != PadMode::Circular || p.out() >= 0, "Negative padding value is resulting in an empty dimension: (",
          p.before, ", ", p.after, ") at dimension ", dim, " of input ", input.shape());
  require(mode == PadMode::Circular || (p.size > 0 && p.out() > 0), "input of shape ", input.shape(), " (size ", p.size,
          " at dimension ", dim, ") is too small for padding (", p.before, ", ", p.after, ")");
  require(p.out() < (int64_t(1) << 31), "pad: sizes must be below 2**31, got ", p.out(), " at dimension ", dim);
}

}  // namespace

Tensor pad_edges(const Tensor& input, const Shape& amounts, PadMode mode) {
  const size_t dims = amounts.size() / 2;
  require(amounts.size() % 2 == 0 && dims <= input.shape().size(),
          "pad: expected a pair of amounts for some of the last ", input.dim(), " dimensions, got ", amounts);
  if (is_complex(input.dtype()))
    return complex(pad_edges(real(input), amounts, mode), pad_edges(imag(input), amounts, mode));
  auto map = std::make_shared<Resampling>();
  for (size_t i = 0; i < dims; ++i) {
    const int64_t dim = input.dim() - int64_t(dims - i);
    constexpr int64_t kLargest = int64_t(1) << 31;
    const size_t at = 2 * (dims - 1 - i);  // the last dimension comes first
    require(std::abs(amounts[at]) < kLargest && std::abs(amounts[at + 1]) < kLargest,
            "pad: amounts must be below 2**31, got ", amounts);
    const Padding p{input.size(dim), amounts[at], amounts[at + 1]};
    check(p, mode, dim, input);
    if (p.before == 0 && p.after == 0) {
      map->axes.push_back(nullptr);
      continue;
    }
    auto m = std::make_unique<SparseMatrix>(p.size, p.out(), true);
    for (int64_t o = 0; o < p.out(); ++o) {
      const int64_t from = mode == PadMode::Reflect     ? p.reflected(o)
                           : mode == PadMode::Replicate ? p.replicated(o)
                                                        : p.wrapped(o);
      m->add_row(from, from + 1, 1);
    }
    map->axes.push_back(std::move(m));
  }
  return resample(kNodes[size_t(mode)], std::move(map), input);
}

}  // namespace flambeau
