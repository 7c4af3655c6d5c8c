// Linear maps that act on each spatial dimension by itself: interpolation and average pooling. Internal to them.
//
// Note [Resampling]
// Such a map is a sparse matrix for every dimension, applied to one after the other on each plane. Its derivative is
// the map of the transposed matrices, whose derivative is the first again: derivatives of any order need nothing more.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "flambeau/networks.h"
#include "kernels/networks.h"

namespace flambeau {

class SparseMatrix {
 public:
  SparseMatrix(int64_t columns, int64_t rows, bool uniform) : columns_(columns), uniform_(uniform) {
    ends_.reserve(size_t(rows));
    index_.reserve(size_t(2 * rows));  // about
    weight_.reserve(size_t(2 * rows));
  }
  // Rows are added in order: the taps of one, then end_row().
  void add(int64_t column, double weight) {
    index_.push_back(int32_t(column));
    weight_.push_back(weight);
  }
  void end_row() { ends_.push_back(int64_t(index_.size())); }
  // The taps [first, last) with one weight, and the row's end.
  void add_row(int64_t first, int64_t last, double weight) {
    for (int64_t i = first; i < last; ++i) add(i, weight);
    end_row();
  }

  int64_t rows() const { return int64_t(ends_.size()); }
  int64_t columns() const { return columns_; }
  size_t taps() const { return index_.size(); }
  std::vector<double>& weights() { return weight_; }
  const std::vector<double>& weights() const { return weight_; }
  const std::vector<int64_t>& ends() const { return ends_; }
  const std::vector<int32_t>& index() const { return index_; }
  SparseMatrix transposed() const;

 private:
  friend class RunMatrix;
  int64_t columns_;
  bool uniform_;  // the taps of a row have one weight
  std::vector<int64_t> ends_;
  std::vector<int32_t> index_;
  std::vector<double> weight_;
};

// One matrix for each of the last dimensions; none where a dimension stays as it is.
struct Resampling {
  std::vector<std::unique_ptr<SparseMatrix>> axes;
};

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
