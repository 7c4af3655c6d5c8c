// The derivative of grid_sample as differentiable operators, for second derivatives.
//
// Note [Differentiable taps]
// A point reads a fixed number of pixels along each dimension. The weight of a pixel is a function of its distance from
// the point. Positions are computed without recording. The distance to the pixel on the left is then made
// differentiable explicitly: it is its value, plus its slope times the change of the coordinate.
#include "operators/images/grid_sample_derivative.h"
#include "flambeau/pointwise/arithmetic.h"

#include <vector>

namespace flambeau {

namespace {

enum Mode : int64_t { kBilinear, kNearest, kBicubic };
enum Padding : int64_t { kZeros, kBorder, kReflection };

struct PixelPosition {  // a position in pixels, and its derivative with respect to the grid's coordinate
  Tensor pixel, slope;
};

struct Tap {
  Tensor index, inside, weight, slope;  // slope: derivative of the weight with respect to the grid's coordinate
};

// Moves positions outside the image into the image, as the padding mode requires, and computes their slopes.
PixelPosition pad_position(PixelPosition p, double size, const GridSampling& o) {
  if (o.padding == kReflection) {
    const double low = o.align_corners ? 0 : -0.5, span = o.align_corners ? size - 1 : size;
    if (span == 0) return {p.pixel * Scalar(0), p.slope * Scalar(0)};
    Tensor distance = p.pixel - Scalar(low);
    p.slope = where(distance < Scalar(0), -p.slope, p.slope);
    distance = abs(distance);
    const Tensor odd = ne(remainder(floor(distance / Scalar(span)), Scalar(2)), Scalar(0));
    const Tensor rest = fmod(distance, Scalar(span));
    p.pixel = where(odd, Scalar(span) - rest, rest) + Scalar(low);
    p.slope = where(odd, -p.slope, p.slope);
  }
  if (o.padding != kZeros) {
    p.slope = where((p.pixel > Scalar(0)) & (p.pixel < Scalar(size - 1)), p.slope, Scalar(0.0));
    p.pixel = clamp_max(clamp_min(p.pixel, Scalar(0.0)), Scalar(size - 1));
  }
  return p;
}

Tap tap(const Tensor& position, const Tensor& weight, const Tensor& slope, double size) {
  const Tensor inside = (position >= Scalar(0)) & (position < Scalar(size));
  return {to(where(inside, position, Scalar(0.0)), Dtype::int64), inside, weight, slope};
}

struct Kernel {
  Tensor value, slope;
};
// Returns the value and the derivative of the kernel of cubic convolution (Keys 1981). `near`: true if the distance is
// at most 1.
Kernel cubic(const Tensor& distance, bool near) {
  const double a = -0.75;
  const Tensor direction = sign(detach(distance)), d = distance * direction;
  if (near)
    return {(d * Scalar(a + 2) - Scalar(a + 3)) * d * d + Scalar(1.0),
            direction * (d * Scalar(3 * (a + 2)) - Scalar(2 * (a + 3))) * d};
  return {((d - Scalar(5.0)) * d + Scalar(8.0)) * d * Scalar(a) - Scalar(4 * a),
          direction * ((d * Scalar(3.0) - Scalar(10.0)) * d * Scalar(a) + Scalar(8 * a))};
}

std::vector<Tap> taps_along(const Tensor& x, int64_t length, const GridSampling& o) {
  const double size = double(length), half = o.align_corners ? (size - 1) / 2 : size / 2;
  const Tensor fixed = detach(x);
  PixelPosition p{fixed * Scalar(half) + Scalar((size - 1) / 2), full(fixed.shape(), Scalar(half), fixed.dtype())};
  if (o.mode != kBicubic) p = pad_position(p, size, o);
  if (o.mode == kNearest)
    return {tap(round(p.pixel), full(fixed.shape(), Scalar(1.0), fixed.dtype()), x * Scalar(0.0), size)};
  const Tensor left = floor(p.pixel), share = p.pixel - left + p.slope * (x - fixed);
  if (o.mode == kBilinear)
    return {tap(left, Scalar(1.0) - share, -p.slope, size), tap(left + Scalar(1), share, p.slope, size)};
  std::vector<Tap> taps;
  for (int k = -1; k < 3; ++k) {
    Tensor position = left + Scalar(k);
    if (o.padding != kZeros) position = pad_position({position, p.slope}, size, o).pixel;
    const Kernel weight = cubic(share - Scalar(k), k == 0 || k == 1);
    taps.push_back(tap(position, weight.value, weight.slope * p.slope, size));
  }
  return taps;
}

struct Sums {  // the sums of the gradients of a flattened image and of the flattened points
  Tensor image;
  std::vector<Tensor> points;
};

// Adds the contribution of one combination of taps, which has one tap for each dimension, x first.
void add_taps(Sums& sums, const std::vector<const Tap*>& taps, const Tensor& image, const Tensor& grad,
              const std::vector<int64_t>& sizes, bool of_image, bool of_points) {
  const size_t dims = taps.size();
  const auto weight = [&](size_t sloping) {  // product of the weights; of the slope in dimension `sloping`
    Tensor out;
    for (size_t i = 0; i < dims; ++i) {
      const Tensor& factor = i == sloping ? taps[i]->slope : taps[i]->weight;
      out = out.defined() ? out * factor : factor;
    }
    return out;
  };
  Tensor position = taps[0]->index, inside = taps[0]->inside;
  int64_t stride = 1;
  for (size_t i = 1; i < dims; ++i) {
    stride *= sizes[i - 1];
    position = position + taps[i]->index * Scalar(stride);
    inside = inside & taps[i]->inside;
  }
  const Tensor index = expand(position, grad.shape()), seen = where(inside, grad, Scalar(0.0));
  if (of_image) sums.image = scatter_add(sums.image, 2, index, seen * weight(dims));
  if (!of_points) return;
  const Tensor share = sum(seen * gather(image, 2, index), Shape{1}, true, {});
  for (size_t d = 0; d < dims; ++d) {
    const Tensor part = share * weight(d);
    sums.points[d] = sums.points[d].defined() ? sums.points[d] + part : part;
  }
}

}  // namespace

TensorPair grid_sample_gradients_with_history(const Tensor& grad, const Tensor& image, const Tensor& grid,
                                              const GridSampling& options, bool of_image, bool of_points) {
  const int64_t batch = image.size(0), channels = image.size(1),
                count = batch ? grid.numel() / grid.size(-1) / batch : 0;
  const size_t dims = size_t(image.dim() - 2);
  const Tensor points = reshape(grid, {batch, 1, count, int64_t(dims)});
  std::vector<int64_t> sizes;  // the size along x comes first
  std::vector<std::vector<Tap>> lines;
  size_t combinations = 1;
  for (size_t d = 0; d < dims; ++d) {
    sizes.push_back(image.size(-1 - int64_t(d)));
    lines.push_back(taps_along(select(points, -1, int64_t(d)), sizes[d], options));
    combinations *= lines[d].size();
  }
  const Tensor flat_image = reshape(image, {batch, channels, product(Shape(sizes.begin(), sizes.end()))});
  const Tensor flat_grad = reshape(grad, {batch, channels, count});
  Sums sums{zeros(flat_image.shape(), image.dtype()), std::vector<Tensor>(dims)};
  for (size_t k = 0; k < combinations; ++k) {
    std::vector<const Tap*> taps;
    for (size_t d = 0, rest = k; d < dims; rest /= lines[d].size(), ++d)
      taps.push_back(&lines[d][rest % lines[d].size()]);
    add_taps(sums, taps, flat_image, flat_grad, sizes, of_image, of_points);
  }
  return {of_image ? reshape(sums.image, image.shape()) : Tensor(),
          of_points ? reshape(stack(sums.points, -1), grid.shape()) : Tensor()};
}

}  // namespace flambeau
