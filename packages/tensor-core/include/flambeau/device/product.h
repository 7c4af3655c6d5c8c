// The product of matrices of any strides. Note [Tiles]. A unit says FLAMBEAU_PRODUCT(In, Out, tile).
#pragma once

#include "flambeau/device/tile.h"

namespace flambeau::cuda {

template <class In, class Out, int kSize>
struct Product {
  using V = typename Accumulator<In>::type;
  using Arguments = ProductArguments;
  static constexpr int kRows = kSize, kColumns = kSize;
  static constexpr bool kColumnsOnly = false;

  static int64_t magnitude(int64_t stride) { return stride < 0 ? -stride : stride; }
  static bool left_along_k(const Arguments& a) { return magnitude(a.left.column) < magnitude(a.left.row); }
  static bool right_along_k(const Arguments& a) { return magnitude(a.right.row) < magnitude(a.right.column); }

  struct Left {
    const In* at_row;
    Left() = default;
    Left(const Arguments& a, int64_t batch, int64_t i)
        : at_row(reinterpret_cast<const In*>(a.left.data) + batch * a.left.batch + i * a.left.row) {}
    V at(const Arguments& a, int64_t p) const { return convert<V>(at_row[p * a.left.column]); }
  };
  struct Right {
    const In* at_column;
    Right() = default;
    Right(const Arguments& a, int64_t batch, int64_t j)
        : at_column(reinterpret_cast<const In*>(a.right.data) + batch * a.right.batch + j * a.right.column) {}
    V at(const Arguments& a, int64_t p) const { return convert<V>(at_column[p * a.right.row]); }
  };
  static void store(const Arguments& a, int64_t batch, int64_t i, int64_t j, V value) {
    if (a.bias) value += convert<V>(reinterpret_cast<const In*>(a.bias)[j * a.bias_stride]);
    reinterpret_cast<Out*>(a.out)[batch * a.out_batch + i * a.out_row + j * a.out_column] = convert<Out>(value);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_PRODUCT(In, Out, size) FLAMBEAU_TILES(flambeau::cuda::Product<In, Out, size>)
