// Sampling of images at the points of a grid on a GPU. All tensors are contiguous float32 or float64.
#pragma once

#include "device/layers/grid_sample_arguments.h"
#include "flambeau/cuda.h"

namespace flambeau::cuda {

class GridSample {
 public:
  // image: (batch, channels, ...); grid: (batch, ..., dims). `slopes`: set this if point_gradient() will be called.
  GridSample(const kernels::Sampling& sampling, const Tensor& image, const Tensor& grid, bool slopes);
  void sample(const Tensor& out) const;
  void point_gradient(const Tensor& out, const Tensor& grad) const;
  // Both tensors have the shape (taps, points of all images). index(): the position of each tap in its image, or -1
  // outside the image. weight(): the weight of each tap.
  const Tensor& index() const { return index_; }
  const Tensor& weight() const { return weight_; }

 private:
  GridArguments arguments(const Tensor& grad, const Tensor& out) const;

  kernels::Sampling sampling_;
  Tensor image_, grid_, index_, weight_, slope_;
  int64_t batch_, channels_, points_, places_;
};

}  // namespace flambeau::cuda
