// Linear maps that act on each spatial dimension separately. Interpolation and average pooling use them.
//
// Note [Resampling]
// A resampling map has a sparse matrix for each dimension. The matrices are applied to each plane, one dimension after
// the other. The derivative is the map of the transposed matrices, and the derivative of that map is the original map,
// so derivatives of any order are available.
#pragma once

#include <memory>

#include "flambeau/operators/networks.h"
#include "kernels/layers/networks.h"
#include "tasks/resampling.h"

namespace flambeau {

// Note [Recent maps]
// Creating a map costs more than applying a small one, so a layer that is called repeatedly should not create it again.
// Each thread caches the maps that it used last, with the matrices in the kernels' format. The key of a map consists of
// the numbers that determine it.
using MapKey = SmallVector<int64_t, 24>;
// Returns the cached map with this key, or null if it is not cached.
std::shared_ptr<const Resampling> recent_map(const char* name, const MapKey& key);
void keep_map(const char* name, const MapKey& key, const std::shared_ptr<const Resampling>& map);

// Applies the map to the last dimensions of a tensor, one for each of map->axes. Integers are computed in int64.
Tensor resample(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input);
// Applies the cached map with this key. If the key is not in the cache, calls make(), caches its result and applies it.
template <class F>
Tensor resample(const char* name, const MapKey& key, F&& make, const Tensor& input) {
  std::shared_ptr<const Resampling> map = recent_map(name, key);
  if (!map) {
    map = make();
    if (!input.is_meta()) keep_map(name, key, map);  // the map of a meta tensor may have no taps
  }
  return resample(name, std::move(map), input);
}
// Records the derivative of `out`, the result of applying `map` to `input`.
void record_resampling(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input, const Tensor& out);

}  // namespace flambeau
