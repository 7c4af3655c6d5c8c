// Binary search in sorted sequences.
#include <algorithm>

#include "cuda/sorting.h"
#include "flambeau/operator.h"
#include "flambeau/operators/sorting.h"
#include "flambeau/parallel.h"

namespace flambeau {

namespace {

// Returns true if the position at which `value` is inserted is after `element`. NaN is larger than all numbers.
template <bool right, class T>
bool beyond(T element, T value) {
  return right ? !(element > value) : !(element >= value);
}

// For each of several values, counts the sorted elements that are less than the value or, if `right`, not greater.
// Several searches run at the same time, because each step of a single search waits for memory.
template <bool right, int together, class T>
void count_below(const T* sequence, const int64_t* sorter, int64_t n, const T* values, int64_t* out) {
  const auto element = [=](int64_t i) { return sequence[sorter ? sorter[i] : i]; };
  int64_t begin[together] = {}, left = n;
  for (; left > 1; left -= left / 2)
    for (int j = 0; j < together; ++j)
      begin[j] += beyond<right>(element(begin[j] + left / 2 - 1), values[j]) ? left / 2 : 0;
  for (int j = 0; j < together; ++j) out[j] = begin[j] + (left && beyond<right>(element(begin[j]), values[j]));
}

template <bool right, class T>
void count_all_below(const T* sequence, const int64_t* sorter, int64_t n, const T* values, int64_t count,
                     int64_t* out) {
  constexpr int kUnroll = 8;
  int64_t i = 0;
  for (; i + kUnroll <= count; i += kUnroll)
    sorter ? count_below<right, kUnroll>(sequence, sorter, n, values + i, out + i)
           : count_below<right, kUnroll, T>(sequence, nullptr, n, values + i, out + i);
  for (; i < count; ++i) count_below<right, 1>(sequence, sorter, n, values + i, out + i);
}

void check_shapes(const Tensor& sequence, const Tensor& values) {
  if (values.dim() == 0 || sequence.dim() == 0) {
    require(sequence.dim() == 1,
            "searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
            "boundaries tensor of shape ",
            sequence.shape(), " and input value of shape ", values.shape());
  }
  if (sequence.dim() == 1) return;
  bool same = sequence.dim() == values.dim();
  for (int i = 0; same && i + 1 < sequence.dim(); ++i) same = sequence.shape()[i] == values.shape()[i];
  require(same,
          "searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries tensor "
          "and input value tensor must match, but we got boundaries tensor of shape ",
          sequence.shape(), " and input value tensor of shape ", values.shape());
}

void check_sorter(const Tensor& sorter, const Tensor& sequence) {
  require(sorter.shape() == sequence.shape(),
          "searchsorted(): boundary and sorter must have the same size, but got boundary tensor ", sequence.shape(),
          " and sorter tensor ", sorter.shape());
  require(sorter.dtype() == Dtype::int64, "searchsorted(): sorter must be a tensor of long dtype but got dtype ",
          sorter.dtype());
  const int64_t n = sorter.numel(), length = sorter.dim() ? sorter.shape().back() : 1;
  if (cuda::runs_on_gpu(sorter))
    return require(
        n == 0 || item(all(logical_and(ge(sorter, Scalar(0)), lt(sorter, Scalar(length))), {}, false)).truth(),
        "searchsorted(): sorter index out of range");
  const int64_t* index = sorter.data<int64_t>();
  for (int64_t i = 0; i < n; ++i)
    require(index[i] >= 0 && index[i] < length, "searchsorted(): sorter index out of range: ", index[i]);
}

}  // namespace

Tensor searchsorted(const Tensor& sequence, const Tensor& values, bool right, const Tensor& sorter, bool int32) {
  NoRecording off;
  check_shapes(sequence, values);
  const Operand operands[] = {sequence, values};
  const Dtype type = result_type(operands, 2), in = dtype_of(compute_type(type));
  const Tensor s = contiguous(to(sequence, in)), v = contiguous(to(values, in));
  const Tensor order = sorter.defined() ? contiguous(sorter) : sorter;
  if (order.defined()) check_sorter(order, sequence);
  const int64_t n = s.shape().back();
  require(!int32 || n < INT32_MAX,
          "searchsorted(): the size of boundaries' last dimension should be less than 2147483647, but we got ", n);
  const int64_t queries = sequence.dim() == 1 ? v.numel() : v.shape().back();
  const Tensor out = empty(v.shape(), Dtype::int64);
  if (out.is_meta()) return int32 ? to(out, Dtype::int32) : out;
  dispatch_all(in, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_arithmetic_v<T>) {
      if (cuda::runs_on_gpu(out)) return cuda::search(s, order, v, n, queries, right, out);
      const auto search = right ? count_all_below<true, T> : count_all_below<false, T>;
      parallel_for(v.numel(), 4096, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end;) {  // values of one row, which belong to one sequence
          const int64_t row = sequence.dim() == 1 ? 0 : i / queries, stop = std::min(end, (row + 1) * queries);
          search(s.data<T>() + row * n, order.defined() ? order.data<int64_t>() + row * n : nullptr, n, v.data<T>() + i,
                 stop - i, out.data<int64_t>() + i);
          i = stop;
        }
      });
    } else {
      require<NotImplementedError>(false, "\"searchsorted\" not implemented for '", type, "'");
    }
  });
  return int32 ? to(out, Dtype::int32) : out;
}

namespace {

Tensor search(const Tensor& sequence, const Operand& values, bool int32, bool right,
              std::optional<std::string_view> side, const Tensor& sorter) {
  require(!side || *side == "left" || *side == "right", "searchsorted(): side can only be 'left' or 'right' but got ",
          side.value_or(""));
  require(!side || !right || *side == "right",
          "searchsorted(): side and right can't be set to opposites, got side of left while right was True");
  return searchsorted(sequence, values.tensor ? *values.tensor : wrapped_number(values.scalar),
                      right || side == "right", sorter, int32);
}

Tensor bucketize(const Operand& values, const Tensor& boundaries, bool int32, bool right) {
  require(boundaries.dim() == 1, "boundaries tensor must be 1 dimension, but got shape ", boundaries.shape());
  return search(boundaries, values, int32, right, {}, {});
}

const Operator searchsorted_operator(
    {.signature = "searchsorted(sorted_sequence, input, *, out_int32=False, right=False, side=None, sorter=None)",
     .forms = kFunction | kOut | kExactOut,
     .doc =
         R"(Count the elements of a sorted sequence that are less than each value (with right=True: not greater).

The sequence is a vector, or has one row for each row of the values. The result is int64.

Raises RuntimeError for shapes that do not match. Not differentiable.)",
     .forward = search,
     .reference = "np.searchsorted(sorted_sequence, input, side or ('right' if right else 'left'), sorter)",
     .samples = "np.sort(f(6)), f(2, 3); np.sort(i(6)), i(5), right=True"});

const Operator bucketize_operator(
    {.signature = "bucketize(input, boundaries, *, out_int32=False, right=False)",
     .forms = kFunction | kOut | kExactOut,
     .doc = "Return the index of the bucket of each value, like searchsorted(boundaries, input).",
     .forward = bucketize,
     .reference = "np.searchsorted(boundaries, input, 'right' if right else 'left')",
     .samples = "f(2, 3), np.sort(f(6)); i(5), np.sort(i(6)), right=True"});

}  // namespace

}  // namespace flambeau
