// A 1x1 convolution and the depthwise convolution of its result.
//
// Note [Paired convolutions]
// Inverted residual blocks (Sandler et al. 2018, "MobileNetV2", https://arxiv.org/abs/1801.04381) expand the channels
// with a 1x1 convolution, and the next convolution filters each channel separately. In early layers the expanded image
// is larger than the input and the output together, and does not fit in a core's cache. Therefore both convolutions are
// computed together, in bands of output rows and for few channels at a time. The rows of the input that a band needs
// are packed once, as the right matrix of the product (Note [Packed matrices]), and stay in the cache while all
// channels read them. The product for a few filters is copied to padded images and filtered at once (Note [Depthwise
// convolution]). If the windows of adjacent bands share rows, both bands compute these rows.
#include "operators/convolution/paired_convolution.h"

#include <algorithm>

#include "flambeau/parallel.h"
#include "operators/convolution/padded_image.h"
#include "operators/convolution/select_algorithm.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;

// Minimum number of bytes of the first result, for one sample, from which a pair may be faster.
constexpr int64_t kLarge = int64_t(1) << 20;
// Number of bytes of the packed rows of a band. Rows at the edges of bands are computed twice, so short bands cost
// more.
constexpr int64_t kBandBytes = 256 << 10, kMinBandRows = 6;
constexpr int64_t kPanels = 2;  // number of panels of filters whose images exist at the same time

template <class T>
class Pair {
 public:
  Pair(const FirstOfPair& first, const SecondOfPair& second, const Tensor& out)
      : first_(first), second_(second), a_(first.geometry), b_(second.geometry), out_(out.data<T>()) {
    const int64_t bytes = a_.channels * product(a_.size) * int64_t(sizeof(T)), threads = num_threads();
    const int64_t wanted = ((bytes + kBandBytes - 1) / kBandBytes + threads - 1) / threads * threads;
    bands_ = std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, b_.out[1] / kMinBandRows));
    most_rows_ = ((b_.out[1] + bands_ - 1) / bands_ - 1) * b_.stride[1] + b_.reach(1) + 1;
  }

  void run() const {
    parallel_items(a_.batch * bands_, 1, [&](int64_t begin, int64_t end) {
      const Memory memory(*this);
      for (int64_t i = begin; i < end; ++i) compute(memory, i / bands_, i % bands_);
    });
  }

 private:
  int64_t filters_at_once() const { return std::min(a_.filters, kPanels * kernels::products().panel_rows); }

  // The memory that a thread uses, large enough for the largest band.
  struct Memory {
    explicit Memory(const Pair& pair)
        : input((pair.columns(pair.most_rows_) + kernels::products().panel_columns[sizeof(T) == 8]) * pair.a_.channels *
                int64_t(sizeof(T))),
          expanded(pair.filters_at_once() * pair.columns(pair.most_rows_) * int64_t(sizeof(T))),
          image((pair.most_rows_ * PaddedImage(pair.b_).row + kernels::kDirectSlack) * int64_t(sizeof(T))) {}
    Block input, expanded, image;
  };

  // Output rows [begin, end), and the rows [first_row, last_row) of the first convolution's result that they read.
  // `padding`: number of rows of the padded image before first_row.
  struct Band {
    int64_t begin, end, first_row, last_row, padding;
  };

  int64_t columns(int64_t rows) const { return rows * a_.size[2]; }
  Band band(int64_t number) const {
    const int64_t begin = b_.out[1] * number / bands_, end = b_.out[1] * (number + 1) / bands_,
                  top = begin * b_.stride[1] - b_.padding[1],
                  bottom = (end - 1) * b_.stride[1] - b_.padding[1] + b_.reach(1) + 1,
                  first_row = std::clamp<int64_t>(top, 0, a_.size[1]);
    return {begin, end, first_row, std::clamp(bottom, first_row, a_.size[1]), std::max<int64_t>(0, first_row - top)};
  }

  void compute(const Memory& memory, int64_t sample, int64_t number) const {
    const Band rows = band(number);
    const int64_t n = columns(rows.last_row - rows.first_row), area = product(a_.size), channels = a_.channels,
                  step = filters_at_once(), first_column = columns(rows.first_row);
    const T* const input = first_.input.data<T>() + sample * channels * area + first_column;
    const kernels::ProductTable& table = kernels::products();
    table.pack_columns[kKind](memory.input.get(), n, channels, {input, area, 1});
    const kernels::PackedMatrix right{{input, area, 1}, memory.input.get(), channels};
    Epilogue epilogue = first_.epilogue;
    epilogue.set_result(memory.expanded.get());
    for (int64_t f = 0; f < a_.filters; f += step) {
      const int64_t count = std::min(step, a_.filters - f);
      kernels::ProductFinish finish = epilogue.finish();
      if (first_.bias.defined()) finish.row_bias = first_.bias.data<T>() + f;
      const T* const weights = first_.weight.data<T>() + f * channels;
      const kernels::PackedMatrix left{
          {weights, channels, 1}, static_cast<const T*>(first_.panels) + f * channels, channels};
      table.finished_gemm[kKind](count, n, channels, left, right, memory.expanded.get(), n, finish);
      filter(memory, rows, n, sample, f, count);
    }
  }

  // Computes the output rows of `count` channels, beginning with `channel`. memory.expanded contains the images of
  // these channels.
  void filter(const Memory& memory, const Band& rows, int64_t n, int64_t sample, int64_t channel, int64_t count) const {
    Geometry g = b_;  // geometry of one channel, restricted to the rows
    g.batch = g.channels = g.filters = g.groups = 1;
    g.size[1] = rows.last_row - rows.first_row;
    g.padding[1] = 0;
    const PaddedImage padded(g);
    const std::vector<int32_t> taps = padded.taps();
    const std::optional<Bounds> limits = second_.epilogue.limits();
    const kernels::ChannelPlane plane{
        rows.end - rows.begin, b_.out[2], b_.stride[1] * padded.row, g.taps(), taps.data(), limits.value_or(Bounds())};
    T* const image = reinterpret_cast<T*>(memory.image.get());
    std::fill_n(image, most_rows_ * padded.row + kernels::kDirectSlack, T(0));
    for (int64_t c = 0; c < count; ++c) {
      padded.insert(image + rows.padding * padded.row, reinterpret_cast<const T*>(memory.expanded.get()) + c * n);
      const int64_t f = channel + c;
      T* const to = out_ + ((sample * b_.filters + f) * b_.out[1] + rows.begin) * b_.out[2];
      kernels::networks().depthwise[kKind](
          plane, memory.image.get(), reinterpret_cast<const char*>(second_.weight.data<T>() + f * g.taps()),
          second_.bias.defined() ? double(second_.bias.data<T>()[f]) : 0, reinterpret_cast<char*>(to));
      if (!limits) second_.epilogue.apply(reinterpret_cast<char*>(to), plane.rows * plane.columns);
    }
  }

  static constexpr int kKind = sizeof(T) == 8;
  const FirstOfPair& first_;
  const SecondOfPair& second_;
  const Geometry &a_, &b_;
  T* const out_;
  int64_t bands_, most_rows_;
};

}  // namespace

bool is_large(const Geometry& first, Dtype dtype) {
  return first.filters * first.positions() * item_size(dtype) >= kLarge;
}

bool can_pair(const Geometry& first, const Geometry& second, Dtype dtype) {
  return first.plain() && first.groups == 1 && second.dims == 2 && second.group_filters() == 1 &&
         select_algorithm(ConvolutionFunction::Forward, second, dtype) == ConvolutionAlgorithm::Depthwise;
}

void paired_convolution(const FirstOfPair& first, const SecondOfPair& second, const Tensor& out) {
  dispatch_real(out.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    Pair<T>(first, second, out).run();
  });
}

}  // namespace flambeau
