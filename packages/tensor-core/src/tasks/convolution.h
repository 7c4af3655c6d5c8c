// The sizes of a convolution.
#pragma once

#include <algorithm>
#include <array>

#include "flambeau/tensor.h"
#include "kernels/table.h"

namespace flambeau {

// Depth, height and width; the dimensions a convolution does not have are 1 long, and untouched by it.
using Sizes = std::array<int64_t, 3>;
inline int64_t product(const Sizes& s) { return s[0] * s[1] * s[2]; }

struct ConvolutionGeometry {
  int64_t batch, channels, filters, groups;
  int dims;                 // 1, 2 or 3
  Sizes size, kernel, out;  // of the input, the weight (filters, channels / groups, ...) and the output
  Sizes stride, padding, dilation;

  int64_t group_channels() const { return channels / groups; }
  int64_t group_filters() const { return filters / groups; }
  int64_t taps() const { return group_channels() * product(kernel); }
  int64_t positions() const { return product(out); }
  int64_t reach(int i) const { return dilation[i] * (kernel[i] - 1); }  // from the first tap to the last
  bool plain() const {  // a 1x1 convolution: the image already is the matrix
    return product(kernel) == 1 && product(stride) == 1 && padding == Sizes{0, 0, 0};
  }
  bool whole() const {  // the kernel covers the image: one position, a product of flat images
    return kernel == size && product(out) == 1 && padding == Sizes{0, 0, 0};
  }
  // Whether Note [Direct convolution] in kernels/direct_convolution.cpp applies, and does not compute much more than is
  // asked for: positions come in steps, rows at the width of the padded image. The other ways unfold each position for
  // all filters together: the fewer of them, the more may be computed in vain.
  bool direct() const { return unit() && in_vain(out, size[2] + 2 * padding[2]) <= 1.05 + few(group_filters()); }
  bool direct_weights() const {
    return unit() && in_vain(out, size[2] + 2 * padding[2]) <= 1.02 + few(group_filters());
  }
  bool unit() const {  // stride 1, and an image and weights that fit
    if (product(stride) != 1 || plain()) return false;
    double image = double(group_channels()), gradient = double(group_filters());
    for (int i = 0; i < 3; ++i) {
      // A transposed convolution's output_padding makes the input longer than the windows reach.
      if (padding[i] > reach(i) || out[i] != size[i] + 2 * padding[i] - reach(i)) return false;
      image *= double(size[i] + 2 * padding[i]);
      gradient *= double(out[i] + 2 * reach(i));
    }
    return std::max(image, gradient) < double(1 << 30);
  }
  // With unit(), the convolution that gives the input's gradient of the output's: with the weights turned round and
  // channels and filters exchanged.
  ConvolutionGeometry turned() const {
    ConvolutionGeometry g = *this;
    std::swap(g.channels, g.filters);
    std::swap(g.size, g.out);
    for (int i = 0; i < 3; ++i) g.padding[i] = reach(i) - padding[i];
    return g;
  }
  // Whether Note [Implicit unfolding] in implicit_convolution.cpp applies: offsets into the padded samples fit, and
  // these are no larger than what unfolding them would take.
  bool implicit() const {
    double volume = double(group_channels());
    for (int i = 0; i < 3; ++i) volume *= double(size[i] + 2 * padding[i] + stride[i]);
    const double unfolded = double(taps()) * double(positions()) + double(group_channels() * product(size));
    return !plain() && !whole() && volume <= 4 * unfolded && volume * double(batch) < double(1 << 30);
  }
  // Whether Note [Shifted products] in kernels/shifted_products.cpp applies: there are channels and filters to fill a
  // tile with.
  bool shifted() const { return implicit() && group_channels() >= 8 && group_filters() >= 16; }
  kernels::Patches patches() const { return {group_channels(), size, kernel, out, stride, padding, dilation}; }
  Shape input_shape() const { return shape(batch, channels, size); }
  Shape weight_shape() const { return shape(filters, group_channels(), kernel); }
  Shape output_shape() const { return shape(batch, filters, out); }

 private:
  static double few(int64_t filters) { return std::min(12.0 / double(filters), 1.3); }
  static double in_vain(const Sizes& positions, int64_t width) {
    constexpr int64_t kStep = 16;
    const int64_t lanes = (positions[0] * positions[1] * width + kStep - 1) / kStep * kStep;
    return double(lanes) / double(product(positions));
  }
  Shape shape(int64_t first, int64_t second, const Sizes& sizes) const {
    Shape s{first, second};
    s.append(sizes.end() - dims, sizes.end());
    return s;
  }
};

}  // namespace flambeau
