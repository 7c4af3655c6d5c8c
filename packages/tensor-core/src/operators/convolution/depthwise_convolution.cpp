// Convolutions in which each group has one channel. This file pads the image and loops over the channels. The kernel is
// described in Note [Depthwise convolution].
#include <algorithm>
#include <vector>

#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/convolution/padded_image.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

template <class T>
void convolve_channels(const Geometry& g, const T* input, const T* weights, const T* bias, T* out,
                       const ConvolutionFinish& finish) {
  constexpr int64_t kShare = 100000;  // number of multiply-adds that justify an additional thread
  const PaddedImage padded(g);
  const std::vector<int32_t> taps = padded.taps();
  const std::optional<Bounds> limits = finish.limits();
  const kernels::ChannelPlane plane{g.out[1], g.out[2],    g.stride[1] * padded.row,
                                    g.taps(), taps.data(), limits.value_or(Bounds())};
  const auto kernel = kernels::networks().depthwise[sizeof(T) == 8];
  const int64_t filters = g.group_filters(), area = g.out[1] * g.out[2];
  parallel_items(g.batch * g.channels, std::max<int64_t>(1, kShare / (filters * g.taps() * g.positions() + 1)),
                 [&](int64_t begin, int64_t end) {
                   const Block image((padded.size() + kernels::kDirectSlack) * int64_t(sizeof(T)));
                   T* const from = reinterpret_cast<T*>(image.get());
                   std::fill_n(from, padded.size(), T(0));
                   for (int64_t channel = begin; channel < end; ++channel) {
                     padded.insert(from, input + channel * product(g.size));
                     for (int64_t f = channel * filters; f < (channel + 1) * filters; ++f) {
                       for (int64_t d = 0; d < g.out[0]; ++d)
                         kernel(plane, reinterpret_cast<const char*>(from + d * g.stride[0] * padded.plane),
                                reinterpret_cast<const char*>(weights + f % g.filters * g.taps()),
                                bias ? double(bias[f % g.filters]) : 0,
                                reinterpret_cast<char*>(out + (f * g.out[0] + d) * area));
                       if (!limits) finish.apply(out + f * g.positions(), g.positions());
                     }
                   }
                 });
}

}  // namespace

Tensor depthwise_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                         const ConvolutionFinish& finish) {
  const Tensor out = finish.output(g, input.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    convolve_channels<T>(g, input.data<T>(), weight.data<T>(), bias.defined() ? bias.data<T>() : nullptr, out.data<T>(),
                         finish);
  });
  return out;
}

}  // namespace flambeau
