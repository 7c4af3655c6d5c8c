// Convolutions with stride 1 and their gradients. This file pads the image, packs the weights, and loops over the
// samples. The kernels are described in Note [Direct convolution].
#include <algorithm>
#include <cstring>
#include <vector>

#include "flambeau/interpreter.h"
#include "flambeau/parallel.h"
#include "operators/convolution/convolution.h"

namespace flambeau {

namespace {

using Geometry = ConvolutionGeometry;
using kernels::kDirectSlack;

// A convolution in the form that the kernel takes: a padded image as a flat array, taps as offsets into this array, and
// output positions in complete rows of the padded image.
struct Flat {
  int64_t channels;
  Sizes size, padding, out;
  int64_t rows, taps;  // number of filters; number of weights of each filter
  std::vector<int32_t> offsets;

  explicit Flat(const Geometry& g)
      : channels(g.group_channels()),
        size(g.size),
        padding(g.padding),
        out(g.out),
        rows(g.group_filters()),
        taps(g.taps()) {
    offsets.reserve(size_t(taps));
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t kd = 0; kd < g.kernel[0]; ++kd)
        for (int64_t kh = 0; kh < g.kernel[1]; ++kh)
          for (int64_t kw = 0; kw < g.kernel[2]; ++kw)
            offsets.push_back(
                int32_t(c * volume() + kd * g.dilation[0] * plane() + kh * g.dilation[1] * row() + kw * g.dilation[2]));
  }
  int64_t row() const { return size[2] + 2 * padding[2]; }
  int64_t plane() const { return (size[1] + 2 * padding[1]) * row(); }
  int64_t volume() const { return (size[0] + 2 * padding[0]) * plane(); }
  int64_t columns() const { return (out[0] - 1) * plane() + out[1] * row(); }
  int64_t image_size() const {  // number of elements, including those that taps read after the last row
    return channels * volume() + (offsets.empty() ? 0 : offsets.back() % row()) + 2 * kDirectSlack;
  }

  template <class T>
  void pad(const T* from, T* to) const {
    std::fill(to, to + image_size(), T(0));
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t z = 0; z < size[0]; ++z)
        for (int64_t y = 0; y < size[1]; ++y, from += size[2])
          std::memcpy(to + c * volume() + (z + padding[0]) * plane() + (y + padding[1]) * row() + padding[2], from,
                      size_t(size[2]) * sizeof(T));
  }
  // Calls line(column, position) for every row of a filter's output. `column` is the index of the row's first element
  // in the result of the kernel, in which rows have padding. `position` is its index in the output.
  template <class F>
  void each_line(F&& line) const {
    int64_t at = 0;
    for (int64_t z = 0; z < out[0]; ++z)
      for (int64_t y = 0; y < out[1]; ++y, at += out[2]) line(z * plane() + y * row(), at);
  }
};

// Packs weights (rows, taps) into the kernel's panels.
template <class T>
void pack_panels(const T* w, int64_t rows, int64_t taps, T* to) {
  const int64_t panel = kernels::direct_panel_rows(rows);
  for (int64_t r = 0; r < rows;) {
    const int64_t height = std::min(panel, rows - r);
    for (int64_t t = 0; t < taps; ++t)
      for (int64_t i = 0; i < height; ++i) *to++ = w[(r + i) * taps + t];
    r += height;
  }
}

// Computes the convolution of `images` (batch, groups * channels, ...) with the weights in `panels`, one set of panels
// for each group. `out` has the shape (batch, groups * rows, ...).
template <class T>
void sum_taps(const Geometry& g, const Flat& flat, const T* images, const char* panels, const T* bias, T* out,
              const ConvolutionFinish& finish) {
  const auto kernel = kernels::table().direct[sizeof(T) == 8];
  const int64_t ldo = flat.columns() + kDirectSlack, size = int64_t(sizeof(T));
  // Threads share the samples. If there are fewer samples than threads, they also share the panels of each sample.
  const int64_t height = kernels::direct_panel_rows(flat.rows), all = (flat.rows + height - 1) / height,
                shares = std::min(all, (num_threads() + g.batch - 1) / g.batch);
  parallel_items(g.batch * shares, sample_grain(g, shares), [&](int64_t begin, int64_t end) {
    const Block image(flat.image_size() * size), result(((all + shares - 1) / shares) * height * ldo * size);
    for (int64_t task = begin; task < end; ++task) {
      poll_signals();
      for (int64_t group = 0; group < g.groups; ++group) {
        const int64_t n = task / shares * g.groups + group, share = task % shares;
        const int64_t first = share * all / shares * height,
                      rows = std::min(flat.rows, (share + 1) * all / shares * height) - first;
        flat.pad(images + n * flat.channels * product(flat.size), reinterpret_cast<T*>(image.get()));
        kernel(rows, height, flat.taps, flat.columns(), panels + (group * flat.rows + first) * flat.taps * size,
               image.get(), flat.offsets.data(),
               bias ? reinterpret_cast<const char*>(bias + group * flat.rows + first) : nullptr, result.get(), ldo);
        for (int64_t r = 0; r < rows; ++r) {
          const T* from = reinterpret_cast<const T*>(result.get()) + r * ldo;
          T* to = out + (n * flat.rows + first + r) * product(flat.out);
          flat.each_line([&](int64_t column, int64_t at) {
            std::memcpy(to + at, from + column, size_t(flat.out[2]) * sizeof(T));
          });
          finish.apply(to, product(flat.out));
        }
      }
    }
  });
}

}  // namespace

Tensor direct_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                      const ConvolutionFinish& finish) {
  const Tensor out = finish.output(g, input.dtype());
  const Flat flat(g);
  const Block panels(weight.numel() * item_size(weight.dtype()));
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const int64_t each = flat.rows * flat.taps;
    for (int64_t group = 0; group < g.groups; ++group)
      pack_panels(weight.data<T>() + group * each, flat.rows, flat.taps,
                  reinterpret_cast<T*>(panels.get()) + group * each);
    sum_taps<T>(g, flat, input.data<T>(), panels.get(), bias.defined() ? bias.data<T>() : nullptr, out.data<T>(),
                finish);
  });
  return out;
}

namespace {

// Writes the operands of the weight gradient in the layout of the kernel: padded images, and gradients with rows of the
// same length, in which padding columns are zero. Item i is group i % groups of sample i / groups.
template <class T>
void pad_items(const Flat& flat, int64_t positions, int64_t columns, const T* input, const T* grad, int64_t first,
               int64_t last, T* images, T* grads) {
  const int64_t each = std::max<int64_t>(1, 32768 / (flat.image_size() + flat.rows * columns));
  parallel_items(last - first, each, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      flat.pad(input + (first + i) * flat.channels * product(flat.size), images + i * flat.image_size());
      const T* from = grad + (first + i) * flat.rows * positions;
      T* to = grads + i * flat.rows * columns;
      std::fill(to, to + flat.rows * columns, T(0));
      for (int64_t r = 0; r < flat.rows; ++r)
        flat.each_line([&](int64_t column, int64_t at) {
          std::memcpy(to + r * columns + column, from + r * positions + at, size_t(flat.out[2]) * sizeof(T));
        });
    }
  });
}

}  // namespace

// Divides the batch into a few parts and adds the gradients of the parts at the end. At the end of a part, the kernel
// adds up its vector lanes, so parts must not be small. Threads share the parts and blocks of filters. Padded copies
// exist only for samples of the parts that are being computed.
Tensor direct_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const Flat flat(g);
  constexpr int64_t kPositions = 4096, kRowBlock = 12;
  const int64_t columns = (flat.columns() + 15) / 16 * 16;
  const int64_t parts = std::clamp<int64_t>(g.batch * columns / kPositions, 1, std::min(kConvolutionParts, g.batch));
  const int64_t together = std::min<int64_t>(parts, std::max(4, num_threads()));
  const int64_t items = ((g.batch + parts - 1) / parts) * together * g.groups;  // largest number of padded items
  const int64_t weights = g.filters * flat.taps, row_blocks = (flat.rows + kRowBlock - 1) / kRowBlock,
                size = item_size(input.dtype());
  const int64_t work = g.batch / parts * columns * flat.taps * std::min(kRowBlock, flat.rows);
  Tensor partial = empty({parts, weights}, input.dtype());
  const Block images(items * flat.image_size() * size), grads(items * flat.rows * columns * size);
  const auto first_of = [&](int64_t part) { return g.batch * part / parts * g.groups; };
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto kernel = kernels::table().direct_weight[sizeof(T) == 8];
    for (int64_t part = 0; part < parts; part += together) {
      const int64_t count = std::min(together, parts - part), origin = first_of(part);
      pad_items(flat, g.positions(), columns, input.data<T>(), grad.data<T>(), origin, first_of(part + count),
                reinterpret_cast<T*>(images.get()), reinterpret_cast<T*>(grads.get()));
      const auto run = [&](int64_t task) {
        const int64_t row = task % row_blocks * kRowBlock, group = task / row_blocks % g.groups,
                      own = part + task / row_blocks / g.groups, item = first_of(own) + group - origin;
        kernel(
            {std::min(kRowBlock, flat.rows - row), flat.taps, columns, (first_of(own + 1) - first_of(own)) / g.groups,
             g.groups * flat.rows * columns, g.groups * flat.image_size()},
            grads.get() + (item * flat.rows + row) * columns * size, images.get() + item * flat.image_size() * size,
            flat.offsets.data(),
            reinterpret_cast<char*>(partial.data<T>() + own * weights + (group * flat.rows + row) * flat.taps));
      };
      parallel_items(count * g.groups * row_blocks, std::max<int64_t>(1, 300000 / (work + 1)),
                     [&](int64_t begin, int64_t end) {
                       for (int64_t task = begin; task < end; ++task) run(task);
                     });
    }
  });
  return reshape(parts == 1 ? partial : sum(partial, Shape{0}, false, std::nullopt), g.weight_shape());
}

}  // namespace flambeau
