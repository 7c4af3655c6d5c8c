// Sorting along a dimension. Note [Keys]
#include "flambeau/sorting.h"

#include "operators/chosen.h"
#include "operators/order.h"

namespace flambeau {

namespace {

using namespace order;

// The positions of one row in order, and its values where `values` is given.
template <class T>
void sort_into(const BitsOf<T>* in, int64_t n, bool descending, BitsOf<T>* values, int64_t* indices) {
  const Key<T> flip = descending ? Key<T>(~Key<T>(0)) : Key<T>(0);
  sort_row<T>(in, n, flip, [=](const auto& sorted) {
    parallel_for(n, 32768, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) indices[i] = sorted.index(i);
      for (int64_t i = begin; values && i < end; ++i) {
        const Key<T> key = sorted.key(i) ^ flip;
        values[i] = ambiguous<T>(key) ? in[indices[i]] : bits_of<T>(key);
      }
    });
  });
}

// Values (undefined where not wanted) and indices.
TensorPair sorted_pair(const Tensor& t, int64_t dim, bool descending, bool with_values) {
  dim = t.wrap_dim(dim);
  NoRecording off;
  const Rows rows(t, dim);
  const int64_t n = rows.length;
  require<NotImplementedError>(n < int64_t(1) << 32, "sort(): rows of more than 2**32 - 1 elements are not supported");
  TensorPair out{with_values ? rows.result(n, t.dtype()) : Tensor(), rows.result(n, Dtype::int64)};
  dispatch_ordered(t.dtype(), "sort", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto sort_rows = [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r)
        sort_into<T>(rows.row<T>(r), n, descending,
                     with_values ? reinterpret_cast<BitsOf<T>*>(out.values.bytes()) + r * n : nullptr,
                     out.indices.data<int64_t>() + r * n);
    };
    if (n == 0) return;
    if (rows.count < num_threads())  // the threads share each row
      sort_rows(0, rows.count);
    else
      parallel_items(rows.count, std::max<int64_t>(1, 4096 / n), sort_rows);
  });
  const auto back = [&](const Tensor& x) { return x.defined() && t.dim() ? contiguous(transpose(x, dim, -1)) : x; };
  return {back(out.values), back(out.indices)};
}

}  // namespace

TensorPair sort(const Tensor& t, int64_t dim, bool descending) {
  TensorPair out = sorted_pair(t, dim, descending, true);
  record_chosen("Sort", out, t, t.wrap_dim(dim), true);
  return out;
}

Tensor argsort(const Tensor& t, int64_t dim, bool descending) { return sorted_pair(t, dim, descending, false).indices; }

}  // namespace flambeau
