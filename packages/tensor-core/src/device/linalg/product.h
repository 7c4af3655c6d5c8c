// Matrix products for matrices with any strides. Note [Tiles]. A module invokes FLAMBEAU_PRODUCT(In, Out, tile, tf32).
#pragma once

#include "device/linalg/tile.h"

namespace flambeau::cuda {

template <class In, class Out, int kSize>
struct Product {
  using T = In;
  using V = typename Accumulator<In>::type;
  using Arguments = ProductArguments;
  static constexpr int kRows = kSize, kColumns = kSize;
  static constexpr bool kColumnsOnly = false;

  static int64_t magnitude(int64_t stride) { return stride < 0 ? -stride : stride; }
  static bool left_along_k(const Arguments& a) { return magnitude(a.left.column) < magnitude(a.left.row); }
  static bool right_along_k(const Arguments& a) { return magnitude(a.right.row) < magnitude(a.right.column); }

  struct StridedVector {  // a row or a column
    const In* first;
    int64_t step;
    In at(const Arguments&, int64_t p) const { return first[p * step]; }
    template <int kCount>
    void take(const Arguments&, int64_t p, int64_t end, In (&to)[kCount]) const {
      if (step == 1) return take_contiguous(first + p, end - p, to);
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = p + i < end ? first[(p + i) * step] : In{};
    }
  };
  struct Left : StridedVector {
    Left() = default;
    Left(const Arguments& a, int64_t batch, int64_t i)
        : StridedVector{reinterpret_cast<const In*>(a.left.data) + batch * a.left.batch + i * a.left.row,
                        a.left.column} {}
  };
  struct Right : StridedVector {
    Right() = default;
    Right(const Arguments& a, int64_t batch, int64_t j)
        : StridedVector{reinterpret_cast<const In*>(a.right.data) + batch * a.right.batch + j * a.right.column,
                        a.right.row} {}
  };
  static void store(const Arguments& a, int64_t batch, int64_t i, int64_t j, V value) {
    if (a.bias) value += convert<V>(reinterpret_cast<const In*>(a.bias)[j * a.bias_stride]);
    reinterpret_cast<Out*>(a.out)[batch * a.out_batch + i * a.out_row + j * a.out_column] = convert<Out>(value);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_PRODUCT(In, Out, size, tf32) FLAMBEAU_TILES(flambeau::cuda::Product<In, Out, size>, tf32)
