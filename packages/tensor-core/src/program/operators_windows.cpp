// Operators over windows: convolutions, pools, padding, resampling.
#include <cmath>

#include "program/operators.h"

namespace flambeau::program {

namespace {

template <int Dims>
Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                const Value& padding, const Shape& dilation, int64_t groups) {
  ConvolutionOptions options{stride, {0}, dilation, groups};
  if (const std::string* mode = std::get_if<std::string>(&padding))
    options.same = *mode == "same";
  else
    options.padding = As<const Shape&>::get(padding);
  return convolution(Dims, input, weight, bias, options);
}

template <int Dims>
Tensor convolve_transposed(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                           const Shape& padding, const Shape& output_padding, int64_t groups, const Shape& dilation) {
  return transposed_convolution(Dims, input, weight, bias, {stride, padding, dilation, groups}, output_padding);
}

// One for each spatial dimension, or one for all.
std::vector<double> factors_of(const Value& v, int dims) {
  const Values* list = std::get_if<Values>(&v);
  if (!list) return std::vector<double>(size_t(dims), As<double>::get(v));
  std::vector<double> out;
  for (const Value& factor : *list) out.push_back(As<double>::get(factor));
  return out;
}

Tensor resize_image(const Tensor& input, const Value& size, const Value& factor, std::string_view mode,
                    std::optional<bool> align_corners, std::optional<bool> recompute, bool antialias) {
  const int dims = std::max(input.dim() - 2, 0);
  std::vector<double> scales(size_t(dims), 0.0);
  Shape target;
  if (std::holds_alternative<None>(size)) {
    scales = factors_of(factor, dims);
    for (int i = 0; i < dims; ++i)
      target.push_back(int64_t(std::floor(double(input.size(i + 2)) * scales.at(size_t(i)))));
    if (recompute.value_or(false)) scales.assign(size_t(dims), 0.0);
  } else {
    target = As<const Shape&>::get(size);
    if (target.size() == 1) target.resize(size_t(dims), target[0]);
  }
  if (mode == "area") return adaptive_average_pool(dims, input, OptionalSizes(target.begin(), target.end()));
  const Interpolation kernel = mode == "nearest"         ? Interpolation::Nearest
                               : mode == "nearest-exact" ? Interpolation::NearestExact
                               : mode == "bicubic"       ? Interpolation::Cubic
                                                         : Interpolation::Linear;
  return interpolate(input, target, scales, kernel, align_corners.value_or(false), antialias);
}

Tensor sample(const Tensor& input, const Tensor& grid, std::string_view mode, std::string_view padding,
              std::optional<bool> align_corners) {
  return grid_sampler(input, grid,
                      {mode == "bilinear"  ? 0
                       : mode == "nearest" ? 1
                                           : 2,
                       padding == "zeros"    ? 0
                       : padding == "border" ? 1
                                             : 2,
                       align_corners.value_or(false)});
}

}  // namespace

Family window_operators() {
  return {
      op("conv1d", convolve<1>, {2}),
      op("conv2d", convolve<2>, {2}),
      op("conv3d", convolve<3>, {2}),
      op("conv_transpose1d", convolve_transposed<1>, {2}),
      op("conv_transpose2d", convolve_transposed<2>, {2}),
      op("conv_transpose3d", convolve_transposed<3>, {2}),
      op("nn_interpolate", resize_image),
      op("nn_grid_sample", sample),
  };
}

}  // namespace flambeau::program
