// Linear maps that act on each spatial dimension by itself: interpolation and average pooling. Internal to them.
//
// Note [Resampling]
// Such a map is a sparse matrix for every dimension, applied to one after the other on each plane. Its derivative is
// the map of the transposed matrices, whose derivative is the first again: derivatives of any order need nothing more.
#pragma once

#include <memory>

#include "flambeau/operators/networks.h"
#include "kernels/layers/networks.h"
#include "tasks/resampling.h"

namespace flambeau {

// Note [Recent maps]
// A layer that is called over and over would make its map anew every time, which costs more than applying a small one.
// Each thread keeps the few it used last, with the matrices as the kernels read them, by the numbers they are made
// from.
using MapKey = SmallVector<int64_t, 24>;
std::shared_ptr<const Resampling> recent_map(const char* name, const MapKey& key);  // null if it is not among them
void keep_map(const char* name, const MapKey& key, const std::shared_ptr<const Resampling>& map);

// Applies the map to the last axes.size() dimensions of a floating tensor, or of an integer one in int64.
Tensor resample(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input);
// The map that make() gives, or a recent one made from the same numbers.
template <class F>
Tensor resample(const char* name, const MapKey& key, F&& make, const Tensor& input) {
  std::shared_ptr<const Resampling> map = recent_map(name, key);
  if (!map) keep_map(name, key, map = make());
  return resample(name, std::move(map), input);
}
// The derivative of `out`, which that map gave.
void record_resampling(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input, const Tensor& out);

}  // namespace flambeau
