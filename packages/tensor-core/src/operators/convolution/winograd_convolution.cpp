// 3x3 convolutions with fewer multiplications, for programs with folded weights.
//
// Note [Winograd]
// F(2x2, 3x3) of Lavin and Gray 2016, arXiv:1509.09308: each 2x2 tile of an output is A'((G w G') * (B' x B))A of a 4x4
// tile x of the image, where * multiplies elements. For many channels and filters, each of the 16 elements is a product
// of matrices, (filters, channels) times (channels, tiles). This takes 16 multiplications for four outputs instead of
// 36. The weights are transformed once, in float64, so the algorithm is used only if the weights are constant. Rounding
// errors are about twice as large as with a sum of products, and an infinite element makes a complete tile NaN.
// Therefore the algorithm replaces only convolutions with a folded normalisation, whose results differ from those of
// the operators in any case.
#include <algorithm>
#include <array>

#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/convolution/padded_image.h"
#include "operators/convolution/winograd_convolution.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
constexpr int64_t kElements = 16;  // number of elements of a transformed tile

int64_t whole_panels(int64_t filters) {
  const int64_t rows = kernels::products().panel_rows;
  return (filters + rows - 1) / rows * rows;
}

// Computes G w G' for one filter and channel.
template <class T>
std::array<double, kElements> transformed(const T* w) {
  const auto line = [](double a, double b, double c) {
    return std::array<double, 4>{a, (a + b + c) / 2, (a - b + c) / 2, c};
  };
  std::array<std::array<double, 4>, 3> rows;
  for (size_t i = 0; i < 3; ++i) rows[i] = line(double(w[3 * i]), double(w[3 * i + 1]), double(w[3 * i + 2]));
  std::array<double, kElements> out;
  for (size_t c = 0; c < 4; ++c) {
    const std::array<double, 4> column = line(rows[0][c], rows[1][c], rows[2][c]);
    for (size_t r = 0; r < 4; ++r) out[4 * r + c] = column[r];
  }
  return out;
}

// Convolves one sample: transforms the channels, multiplies the matrices, and transforms the products to the outputs of
// the filters.
template <class T>
class WinogradSample {
 public:
  WinogradSample(const Geometry& g, const T* panels, const T* bias, const ConvolutionFinish& finish)
      : g_(g),
        channel_(one_channel(g)),
        padded_(channel_),
        panels_(panels),
        bias_(bias),
        finish_(finish),
        tiles_{(g.out[1] + 1) / 2, (g.out[2] + 1) / 2, padded_.row, padded_.phase, 0, g.out[1], g.out[2]},
        count_(tiles_.rows * tiles_.columns),
        width_((count_ + 31) / 16 * 16),
        rows_(whole_panels(g.filters)),
        images_(kElements * g.channels * width_ * kSize),
        products_(kElements * rows_ * width_ * kSize) {}

  void run(const T* image, T* out) {
    constexpr int64_t kShare = 16384;  // number of tiles that justify a thread
    parallel_items(g_.channels, std::max<int64_t>(1, kShare / count_),
                   [&](int64_t begin, int64_t end) { transform_channels(image, begin, end); });
    parallel_items(kElements, 1, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; ++e) multiply(e);
    });
    parallel_items(g_.filters, std::max<int64_t>(1, kShare / count_), [&](int64_t begin, int64_t end) {
      for (int64_t f = begin; f < end; ++f) transform_filter(f, out + f * g_.positions());
    });
  }

 private:
  static constexpr int64_t kSize = sizeof(T);
  static constexpr int kKind = sizeof(T) == 8;

  static Geometry one_channel(Geometry g) {
    g.channels = g.filters = 1;
    g.stride[2] = 2;  // with stride 2, PaddedImage stores even and odd columns separately
    return g;
  }

  void transform_channels(const T* image, int64_t begin, int64_t end) {
    const Block memory((padded_.size() + padded_.row + kernels::kDirectSlack) * kSize);
    T* const padded = reinterpret_cast<T*>(memory.get());
    kernels::WinogradTiles tiles = tiles_;
    tiles.value_stride = g_.channels * width_;
    std::fill_n(padded, padded_.size(), T(0));
    for (int64_t c = begin; c < end; ++c) {
      padded_.insert(padded, image + c * product(g_.size));
      kernels::networks().winograd_input[kKind](tiles, memory.get(), images_.get() + c * width_ * kSize);
    }
  }

  void multiply(int64_t e) {
    const T* const panels = panels_ + e * rows_ * g_.channels;
    kernels::products().finished_gemm[kKind](rows_, count_, g_.channels,
                                             {{panels, g_.channels, 1}, panels, g_.channels},
                                             {{images_.get() + e * g_.channels * width_ * kSize, width_, 1}},
                                             products_.get() + e * rows_ * width_ * kSize, width_, {});
  }

  void transform_filter(int64_t f, T* out) {
    kernels::WinogradTiles tiles = tiles_;
    tiles.value_stride = rows_ * width_;
    kernels::networks().winograd_output[kKind](tiles, products_.get() + f * width_ * kSize,
                                               bias_ ? double(bias_[f]) : 0, reinterpret_cast<char*>(out));
    finish_.apply(out, g_.positions());
  }

  const Geometry& g_;
  const Geometry channel_;
  const PaddedImage padded_;
  const T *panels_, *bias_;
  const ConvolutionFinish& finish_;
  const kernels::WinogradTiles tiles_;
  // count_: number of tiles. width_: length of a row of tiles in memory. rows_: number of filters, rounded up to
  // complete panels.
  const int64_t count_, width_, rows_;
  const Block images_, products_;
};

}  // namespace

bool winograd_is_faster(const Geometry& g) {
  constexpr int64_t kChannels = 16, kPositions = 40, kMaxElements = int64_t(1) << 19;
  return g.dims == 2 && g.groups == 1 && g.kernel == Sizes{1, 3, 3} && product(g.stride) == 1 &&
         product(g.dilation) == 1 && std::max(g.padding[1], g.padding[2]) <= 2 &&
         std::min(g.channels, g.filters) >= kChannels && g.positions() >= kPositions &&
         std::max(g.channels, g.filters) * g.positions() <= kMaxElements;
}

Tensor winograd_weights(const Tensor& weight) {
  const int64_t filters = weight.size(0), channels = weight.size(1), rows = whole_panels(filters),
                each = rows * channels;
  const Tensor matrices = zeros({kElements, rows, channels}, weight.dtype());
  const Tensor panels = empty({kElements * each + kernels::kDirectSlack}, weight.dtype());
  dispatch_real(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < filters * channels; ++i) {
      const std::array<double, kElements> values = transformed(weight.data<T>() + 9 * i);
      for (int64_t e = 0; e < kElements; ++e) matrices.data<T>()[e * each + i] = T(values[size_t(e)]);
    }
    for (int64_t e = 0; e < kElements; ++e)
      kernels::products().pack_rows[sizeof(T) == 8](panels.data<T>() + e * each, rows, channels,
                                                    {matrices.data<T>() + e * each, channels, 1});
  });
  return panels;
}

Tensor winograd_forward(const Geometry& g, const Tensor& input, const Tensor& panels, const Tensor& bias,
                        const ConvolutionFinish& finish) {
  const Tensor out = finish.output(g, input.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto run = [&](int64_t begin, int64_t end) {
      WinogradSample<T> sample(g, panels.data<T>(), bias.defined() ? bias.data<T>() : nullptr, finish);
      for (int64_t n = begin; n < end; ++n)
        sample.run(input.data<T>() + n * g.channels * product(g.size), out.data<T>() + n * g.filters * g.positions());
    };
    if (g.batch < num_threads())
      run(0, g.batch);  // all threads work on the same sample
    else
      parallel_items(g.batch, 1, run);
  });
  return out;
}

}  // namespace flambeau
