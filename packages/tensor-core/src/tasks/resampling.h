// Linear maps that act on each spatial dimension separately. Note [Resampling] in operators/images/resampling.h
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

namespace flambeau {

class SparseMatrix {
 public:
  SparseMatrix(int64_t columns, int64_t rows, bool uniform) : columns_(columns), uniform_(uniform) {
    ends_.reserve(size_t(rows));
    index_.reserve(size_t(2 * rows));  // an estimate of the number of taps
    weight_.reserve(size_t(2 * rows));
  }
  // Returns a matrix without taps that allocates nothing, for meta tensors.
  static SparseMatrix of_size(int64_t columns, int64_t rows) {
    SparseMatrix m(columns, 0, true);
    m.rows_without_taps_ = rows;
    return m;
  }
  // Rows are added in order. For each row, call add() for its taps, then end_row().
  void add(int64_t column, double weight) {
    index_.push_back(int32_t(column));
    weight_.push_back(weight);
  }
  void end_row() { ends_.push_back(int64_t(index_.size())); }
  // Adds a row with the taps [first, last), which have the same weight.
  void add_row(int64_t first, int64_t last, double weight) {
    for (int64_t i = first; i < last; ++i) add(i, weight);
    end_row();
  }

  int64_t rows() const { return int64_t(ends_.size()) + rows_without_taps_; }
  int64_t columns() const { return columns_; }
  size_t taps() const { return index_.size(); }
  std::vector<double>& weights() { return weight_; }
  const std::vector<double>& weights() const { return weight_; }
  const std::vector<int64_t>& ends() const { return ends_; }
  const std::vector<int32_t>& index() const { return index_; }
  SparseMatrix transposed() const;

 private:
  friend class RunMatrix;
  int64_t columns_, rows_without_taps_ = 0;
  bool uniform_;  // true if the taps of each row have the same weight
  std::vector<int64_t> ends_;
  std::vector<int32_t> index_;
  std::vector<double> weight_;
};

// One matrix for each of the last dimensions. The matrix is null for a dimension that is not resampled.
struct Resampling {
  std::vector<std::unique_ptr<SparseMatrix>> axes;
};

}  // namespace flambeau
