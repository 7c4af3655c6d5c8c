// What the two ways of computing a convolution share. Internal to the convolution family.
#pragma once

#include "flambeau/operators.h"
#include "kernels/table.h"

namespace flambeau {

struct ConvolutionGeometry {
  int64_t batch, channels, height, width;  // input
  int64_t filters, kernel_h, kernel_w;     // weight: (filters, channels / groups, kernel_h, kernel_w)
  int64_t out_h, out_w;
  int64_t stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, groups;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t taps() const { return group_channels() * kernel_h * kernel_w; }
  int64_t positions() const { return out_h * out_w; }
  bool plain() const {  // a 1x1 convolution: the image already is the matrix
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 && pad_h == 0 && pad_w == 0;
  }
  // Whether Note [Direct convolution] in kernels/direct_convolution.cpp applies.
  bool direct() const {
    return stride_h == 1 && stride_w == 1 && !plain() && pad_h <= dilation_h * (kernel_h - 1) &&
           pad_w <= dilation_w * (kernel_w - 1) &&
           group_channels() * (height + 2 * pad_h) * (width + 2 * pad_w) < (int64_t(1) << 30) &&
           group_filters() * (out_h + 2 * dilation_h * kernel_h) * (out_w + 2 * dilation_w * kernel_w) <
               (int64_t(1) << 30);
  }
  kernels::Patches patches() const {
    return {group_channels(), height,   width, kernel_h, kernel_w,   out_h,     out_w,
            stride_h,         stride_w, pad_h, pad_w,    dilation_h, dilation_w};
  }
  Shape input_shape() const { return {batch, channels, height, width}; }
  Shape weight_shape() const { return {filters, group_channels(), kernel_h, kernel_w}; }
  Shape output_shape() const { return {batch, filters, out_h, out_w}; }
};

class Block {  // scratch memory of a scope
 public:
  explicit Block(int64_t bytes) : bytes_(size_t(bytes)), data_(static_cast<char*>(allocate(bytes_))) {}
  ~Block() { deallocate(data_, bytes_); }
  Block(const Block&) = delete;
  char* get() const { return data_; }

 private:
  size_t bytes_;
  char* data_;
};

template <class F>
inline void dispatch_real(Dtype d, F&& f) {
  if (d == Dtype::float64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

// Parts of a batch whose weight gradients are summed apart: a fixed number, so that the order of additions does not
// depend on the threads.
inline constexpr int64_t kConvolutionParts = 16;

// Samples worth a thread of their own.
inline int64_t sample_grain(const ConvolutionGeometry& g) {
  return std::max<int64_t>(1, 300000 / (g.filters * g.taps() * g.positions() + 1));
}

// For contiguous float32 or float64 operands and geometries with direct(). Nothing is recorded.
Tensor direct_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor direct_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor direct_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

}  // namespace flambeau
