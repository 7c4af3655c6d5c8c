#include "operators/convolution/select_algorithm.h"

#include <algorithm>

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using Algorithm = ConvolutionAlgorithm;

// Offsets into padded images and gradients are 32-bit integers.
constexpr double kMaxElements = double(1 << 30);

// The direct convolution computes positions in steps of 16, in complete rows of the padded image. It is faster if it
// computes at most this many values for each value of the result. With few filters the limit is higher, because the
// other algorithms unfold each position once for all filters, which then costs more for each value. The four numbers
// are measured (float32, AVX2 and AVX-512).
constexpr int64_t kDirectStep = 16;
constexpr double kDirectMaxRatio = 1.05, kDirectWeightsMaxRatio = 1.02;
constexpr double kFewFilters = 12, kFewFiltersMaxRatio = 1.3;

// The implicit convolution copies padded samples. It is faster if the padded samples have at most this many times the
// number of elements that unfolding would read and write.
constexpr double kPaddedMaxRatio = 4;

// The largest numbers of filters per channel for which the depthwise convolution is used, with stride 1 and with larger
// strides. It reads a channel once for each filter; the other algorithms read it once for all filters. Measured with
// float32 and AVX-512: up to these limits it takes 0.6-0.8 (stride 1) or 0.4-1.0 (larger strides) of the time of the
// other algorithms, above the limits 1.3-1.5.
constexpr int64_t kDepthwiseFilters = 1, kStridedDepthwiseFilters = 8;

// The minimum numbers of channels and filters for shifted products. They fill a tile.
constexpr int64_t kShiftedChannels = 8, kShiftedFilters = 16;

// Returns true if the stride is 1 and the padded image and the padded gradient have fewer than kMaxElements elements.
bool steps_by_one(const Geometry& g) {
  if (product(g.stride) != 1 || g.plain()) return false;
  double image = double(g.group_channels()), gradient = double(g.group_filters());
  for (size_t i = 0; i < 3; ++i) {
    // The sizes differ for a transposed convolution with output_padding, because its windows do not reach the end of
    // the input.
    if (g.padding[i] > g.reach(int(i)) || g.out[i] != g.size[i] + 2 * g.padding[i] - g.reach(int(i))) return false;
    image *= double(g.size[i] + 2 * g.padding[i]);
    gradient *= double(g.out[i] + 2 * g.reach(int(i)));
  }
  return std::max(image, gradient) < kMaxElements;
}

bool runs_directly(const Geometry& g, double most) {
  if (!steps_by_one(g)) return false;
  const int64_t width = g.size[2] + 2 * g.padding[2], positions = g.out[0] * g.out[1] * width;
  const int64_t computed = (positions + kDirectStep - 1) / kDirectStep * kDirectStep;
  const double allowed = most + std::min(kFewFilters / double(g.group_filters()), kFewFiltersMaxRatio);
  return double(computed) / double(g.positions()) <= allowed;
}

bool unfolds_implicitly(const Geometry& g) {
  if (g.plain() || g.covers_image()) return false;
  double padded = double(g.group_channels());
  for (size_t i = 0; i < 3; ++i) padded *= double(g.size[i] + 2 * g.padding[i] + g.stride[i]);
  const double unfolded = double(g.taps()) * double(g.positions()) + double(g.group_channels() * product(g.size));
  return padded <= kPaddedMaxRatio * unfolded && padded * double(g.batch) < kMaxElements;
}

bool convolves_channels(const Geometry& g, int64_t most_filters) {
  if (g.group_channels() != 1 || g.group_filters() > most_filters || g.plain() || g.covers_image()) return false;
  double padded = 1;
  for (size_t i = 0; i < 3; ++i) padded *= double(g.size[i] + 2 * g.padding[i] + g.stride[i]);
  return padded < kMaxElements && padded <= kPaddedMaxRatio * double(g.taps()) * double(g.positions());
}

Algorithm simple(const Geometry& g) { return g.covers_image() ? Algorithm::Product : Algorithm::Unfolded; }

Algorithm forward(const Geometry& g) {
  if (convolves_channels(g, kDepthwiseFilters)) return Algorithm::Depthwise;
  if (runs_directly(g, kDirectMaxRatio)) return Algorithm::Direct;
  if (convolves_channels(g, kStridedDepthwiseFilters)) return Algorithm::Depthwise;
  return unfolds_implicitly(g) ? Algorithm::Implicit : simple(g);
}

Algorithm input_gradient(const Geometry& g) {
  if (!steps_by_one(g)) return simple(g);
  const Algorithm flipped = forward(g.flipped());
  return flipped == Algorithm::Product || flipped == Algorithm::Unfolded ? simple(g) : Algorithm::Flipped;
}

Algorithm weight_gradient(const Geometry& g) {
  if (unfolds_implicitly(g) && g.group_channels() >= kShiftedChannels && g.group_filters() >= kShiftedFilters)
    return Algorithm::Shifted;
  return runs_directly(g, kDirectWeightsMaxRatio) ? Algorithm::Direct : simple(g);
}

}  // namespace

ConvolutionAlgorithm select_algorithm(ConvolutionFunction function, const ConvolutionGeometry& g, Dtype type) {
  if (!is_floating(type)) return simple(g);
  switch (function) {
    case ConvolutionFunction::Forward:
      return forward(g);
    case ConvolutionFunction::InputGradient:
      return input_gradient(g);
    default:
      return weight_gradient(g);
  }
}

}  // namespace flambeau
