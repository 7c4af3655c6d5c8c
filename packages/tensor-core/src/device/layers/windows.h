// Unfolds sliding windows to columns (samples, channels * taps, positions), and folds columns back to images by summing
// overlapping windows. Each thread computes one element of the result. A module invokes FLAMBEAU_WINDOWS(T).
#pragma once

#include "device/layers/convolution.h"

namespace flambeau::cuda {

template <class T>
inline void unfold(const ConvolutionArguments& a) {
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.division.elements()) return;
  const int64_t column = at / a.positions, row = column % (a.channels * a.area),
                sample = column / (a.channels * a.area);
  const typename Forward<T, 64>::Patch window(a, 0, sample * a.positions + at % a.positions);
  const T* seen = window.find(a, uint32_t(row % a.area));
  reinterpret_cast<T*>(a.out)[at] = seen ? seen[row / a.area * a.volume] : T{};
}

template <class T>
inline void fold(const ConvolutionArguments& a) {
  using Gradient = InputGradient<T, 64>;
  const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (at >= a.division.elements()) return;
  const int64_t image = at / a.volume;  // index of the sample's channel
  const T* columns = reinterpret_cast<const T*>(a.grad) + image * a.area * a.positions;
  const Coordinates coordinates = Gradient::Outputs::padded(a, int32_t(at % a.volume));
  typename Gradient::V sum = 0;
  for (int64_t t = 0; t < a.area; ++t, columns += a.positions)
    if (const Coordinates o = Gradient::Outputs::window(a, coordinates, unravel(uint32_t(t), a.taps));
        o.inside(a.outputs.size))
      sum += convert<typename Gradient::V>(columns[o.number(a.outputs.size)]);
  reinterpret_cast<T*>(a.out)[at] = convert<T>(sum);
}

}  // namespace flambeau::cuda

#define FLAMBEAU_WINDOWS(T)                                                                         \
  FLAMBEAU_KERNEL(unfolded, flambeau::cuda::ConvolutionArguments) { flambeau::cuda::unfold<T>(a); } \
  FLAMBEAU_KERNEL(folded, flambeau::cuda::ConvolutionArguments) { flambeau::cuda::fold<T>(a); }
