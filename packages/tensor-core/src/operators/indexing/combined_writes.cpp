#include "operators/indexing/combined_writes.h"

#include "flambeau/element.h"
#include "flambeau/errors.h"
#include "flambeau/pointwise/basic.h"
#include "kernels/narrow_table.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

namespace {

template <class T, Combine how>
void write_at(void* to_bytes, const void* from_bytes, const int64_t* index, const RowLayout& p) {
  auto* to = static_cast<Stored<T>*>(to_bytes);
  const auto* from = static_cast<const Stored<T>*>(from_bytes);
  const bool all = p.low == 0 && p.high == INT64_MAX && p.index_step == 1;
  for (int64_t r = 0; r < p.rows; ++r, index += p.index_row, to += p.row, from += p.from_row) {
    const auto write = [=](int64_t at, int64_t other)
                           __attribute__((always_inline)) { to[at] = combine<how, T>(to[at], from[other]); };
    if (all && p.scale == 1 && p.step == 0)  // the indexed dimension is the last
      for (int64_t j = 0; j < p.count; ++j) write(index[j], j * p.from_step);
    else if (all && p.from_step == 1 && p.step == 1)  // the indexed dimension is not the last
      for (int64_t j = 0; j < p.count; ++j) write(j + index[j] * p.scale, j);
    else
      for (int64_t j = 0; j < p.count; ++j) {
        const int64_t at = index[j * p.index_step] * p.scale + j * p.step;
        if (at >= p.low && at < p.high) write(at, j * p.from_step);
      }
  }
}

template <class T, Combine how>
void write_row(void* to_bytes, int64_t step, const void* from_bytes, int64_t from_step, int64_t count) {
  auto* to = static_cast<Stored<T>*>(to_bytes);
  const auto* from = static_cast<const Stored<T>*>(from_bytes);
  if (step == 1 && from_step == 1)
    for (int64_t j = 0; j < count; ++j) to[j] = combine<how, T>(to[j], from[j]);
  else if (step == 1 && from_step == 0)
    for (int64_t j = 0; j < count; ++j) to[j] = combine<how, T>(to[j], *from);
  else
    for (int64_t j = 0; j < count; ++j) to[j * step] = combine<how, T>(to[j * step], from[j * from_step]);
}

// Adds a row of half-precision numbers with the kernel of `add`, which converts them with vector instructions.
template <class T>
void add_row(void* to, int64_t step, const void* from, int64_t from_step, int64_t count) {
  constexpr int64_t kShort = 8;
  if (step != 1 || from_step != 1 || count < kShort)
    return write_row<T, Combine::Add>(to, step, from, from_step, count);
  static const PointwiseKernel add = kernels::narrow_kernel(op::add, dtype_of<T>());
  char* const pointers[] = {static_cast<char*>(to), static_cast<char*>(to),
                            const_cast<char*>(static_cast<const char*>(from))};
  add(pointers, count);
}

template <class T>
constexpr bool kHalf = std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>;
template <class T, Combine how>
constexpr CombinedWrites writes_of{write_at<T, how>, write_row<T, how>};
template <class T>
  requires kHalf<T>
constexpr CombinedWrites writes_of<T, Combine::Add>{write_at<T, Combine::Add>, add_row<T>};

}  // namespace

ScatterReduction scatter_reduction_of(std::string_view name) {
  constexpr std::pair<std::string_view, ScatterReduction> names[] = {{"sum", ScatterReduction::Sum},
                                                                     {"prod", ScatterReduction::Prod},
                                                                     {"mean", ScatterReduction::Mean},
                                                                     {"amax", ScatterReduction::Max},
                                                                     {"amin", ScatterReduction::Min}};
  for (const auto& [text, reduction] : names)
    if (text == name) return reduction;
  detail::raise<Error>("reduce argument must be either sum, prod, mean, amax or amin, got ", name);
}

CombinedWrites combined_writes(Dtype dtype, Combine how) {
  require<NotImplementedError>(!is_complex(dtype) || (how != Combine::Max && how != Combine::Min),
                               "amax and amin are not defined for complex numbers, got ", dtype);
  const bool copies = how == Combine::Assign && is_small_float(dtype);
  return dispatch_all(copies ? Dtype::int8 : dtype, [how]<class T>(TypeTag<T>) -> CombinedWrites {
    using Same = SameBits<T>;  // Note [Same bits]
    switch (how) {
      case Combine::Assign:
        return writes_of<Same, Combine::Assign>;
      case Combine::Add:
        return writes_of<Same, Combine::Add>;
      case Combine::Multiply:
        return writes_of<Same, Combine::Multiply>;
      case Combine::Max:
        return writes_of<T, Combine::Max>;
      default:
        return writes_of<T, Combine::Min>;
    }
  });
}

}  // namespace flambeau
