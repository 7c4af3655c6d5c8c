// The sizes of a convolution.
#pragma once

#include <algorithm>
#include <array>

#include "flambeau/tensor.h"
#include "kernels/table.h"

namespace flambeau {

// Depth, height and width. Dimensions that a convolution does not have are of size 1.
using Sizes = std::array<int64_t, 3>;
inline int64_t product(const Sizes& s) { return s[0] * s[1] * s[2]; }

// The three functions of Note [Convolution] in operators/convolution/convolution.cpp.
enum class ConvolutionFunction : uint8_t { Forward, InputGradient, WeightGradient };

struct ConvolutionGeometry {
  int64_t batch, channels, filters, groups;
  int dims;                 // 1, 2 or 3
  Sizes size, kernel, out;  // sizes of the input, of the weight (filters, channels / groups, ...) and of the output
  Sizes stride, padding, dilation;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t taps() const { return group_channels() * product(kernel); }
  int64_t positions() const { return product(out); }
  int64_t reach(int i) const { return dilation[i] * (kernel[i] - 1); }  // distance from the first tap to the last
  bool plain() const {  // true for a 1x1 convolution, for which the image is already the matrix
    return product(kernel) == 1 && product(stride) == 1 && padding == Sizes{0, 0, 0};
  }
  // Returns true if the kernel covers the image. The only output position is then a product of flat images.
  bool covers_image() const { return kernel == size && product(out) == 1 && padding == Sizes{0, 0, 0}; }
  // Returns the convolution with stride 1 that computes the gradient of the input from the gradient of the output: with
  // flipped weights, and with channels and filters exchanged.
  ConvolutionGeometry flipped() const {
    ConvolutionGeometry g = *this;
    std::swap(g.channels, g.filters);
    std::swap(g.size, g.out);
    for (int i = 0; i < 3; ++i) g.padding[i] = reach(i) - padding[i];
    return g;
  }
  kernels::Patches patches() const { return {group_channels(), size, kernel, out, stride, padding, dilation}; }
  Shape input_shape() const { return shape(batch, channels, size); }
  Shape weight_shape() const { return shape(filters, group_channels(), kernel); }
  Shape output_shape() const { return shape(batch, filters, out); }

 private:
  Shape shape(int64_t first, int64_t second, const Sizes& sizes) const {
    Shape s{first, second};
    s.append(sizes.end() - dims, sizes.end());
    return s;
  }
};

}  // namespace flambeau
