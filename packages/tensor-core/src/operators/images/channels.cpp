// Rearrangement of channels: pixel_shuffle, pixel_unshuffle and channel_shuffle.
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"

namespace flambeau {

namespace {

Shape leading(const Tensor& t, size_t kept) { return Shape(t.shape().begin(), t.shape().end() - kept); }

Shape joined(Shape first, std::initializer_list<int64_t> rest) {
  first.append(rest.begin(), rest.end());
  return first;
}

// Returns a permutation that keeps the first `before` dimensions. After them follow the dimensions `rest`, which are
// counted from dimension `before`.
Shape order(size_t before, std::initializer_list<int64_t> rest) {
  Shape out;
  for (size_t i = 0; i < before; ++i) out.push_back(int64_t(i));
  for (int64_t d : rest) out.push_back(int64_t(before) + d);
  return out;
}

}  // namespace

Tensor pixel_shuffle(const Tensor& input, int64_t r) {
  require(input.dim() >= 3, "pixel_shuffle expects input to have at least 3 dimensions, but got input with ",
          input.dim(), " dimension(s)");
  require(r > 0 && r < (int64_t(1) << 31), "pixel_shuffle expects a positive upscale_factor, but got ", r);
  const int64_t channels = input.size(-3), height = input.size(-2), width = input.size(-1);
  require(channels % (r * r) == 0,
          "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square ",
          "of upscale_factor, but input.size(-3)=", channels, " is not divisible by ", r * r);
  const Shape batch = leading(input, 3);
  const Tensor parts = reshape(input, joined(batch, {channels / (r * r), r, r, height, width}));
  return reshape(permute(parts, order(batch.size(), {0, 3, 1, 4, 2})),
                 joined(batch, {channels / (r * r), height * r, width * r}));
}

const Operator pixel_shuffle_operator(
    {.signature = "pixel_shuffle(input, upscale_factor)",
     .forms = kFunction,
     .doc = "Rearrange (*, C * r**2, H, W) to (*, C, H * r, W * r). Gradient: input.\n\nSource: Shi et al. 2016, "
            "arXiv:1609.05158.",
     .forward = pixel_shuffle,
     .reference = "input.reshape(2, 2, 2, 3, 4).transpose(0, 3, 1, 4, 2).reshape(2, 6, 8)",
     .samples = "f(8, 3, 4), 2"});

Tensor pixel_unshuffle(const Tensor& input, int64_t r) {
  require(input.dim() >= 3, "pixel_unshuffle expects input to have at least 3 dimensions, but got input with ",
          input.dim(), " dimension(s)");
  require(r > 0 && r < (int64_t(1) << 31), "pixel_unshuffle expects a positive downscale_factor, but got ", r);
  const int64_t channels = input.size(-3), height = input.size(-2), width = input.size(-1);
  require(height % r == 0 && width % r == 0, "pixel_unshuffle expects height and width to be divisible by ",
          "downscale_factor, but ", height, " x ", width, " are not divisible by ", r);
  const Shape batch = leading(input, 3);
  const Tensor parts = reshape(input, joined(batch, {channels, height / r, r, width / r, r}));
  return reshape(permute(parts, order(batch.size(), {0, 2, 4, 1, 3})),
                 joined(batch, {channels * r * r, height / r, width / r}));
}

const Operator pixel_unshuffle_operator(
    {.signature = "pixel_unshuffle(input, downscale_factor)",
     .forms = kFunction,
     .doc = "Rearrange (*, C, H * r, W * r) to (*, C * r**2, H, W), the inverse of pixel_shuffle. Gradient: input.",
     .forward = pixel_unshuffle,
     .reference = "input.reshape(2, 3, 2, 4, 2).transpose(0, 2, 4, 1, 3).reshape(8, 3, 4)",
     .samples = "f(2, 6, 8), 2"});

Tensor channel_shuffle(const Tensor& input, int64_t groups) {
  require(input.dim() > 2, "channel_shuffle expects input with > 2 dims, but got input with sizes ", input.shape());
  require(groups > 0, "Number of groups to divide channels in must be positive. Value of groups:", groups);
  const int64_t channels = input.size(1);
  require(channels % groups == 0, "Number of channels must be divisible by groups. Got ", channels, " channels and ",
          groups, " groups.");
  Shape shape{input.size(0), groups, channels / groups};
  shape.append(input.shape().begin() + 2, input.shape().end());
  return reshape(transpose(reshape(input, shape), 1, 2), input.shape());
}

const Operator channel_shuffle_operator(
    {.signature = "channel_shuffle|native_channel_shuffle(input, groups)",
     .forms = kFunction,
     .doc = R"(Interleave groups of the channels (dimension 1). Gradient: input.

Source: Zhang et al. 2018, arXiv:1707.01083.

>>> flambeau.channel_shuffle(flambeau.arange(4).reshape(1, 4, 1, 1), 2).flatten()
tensor([0, 2, 1, 3]))",
     .forward = channel_shuffle,
     .reference = "input.reshape(len(input), groups, -1, *input.shape[2:]).swapaxes(1, 2).reshape(input.shape)",
     .samples = "f(2, 6, 2, 2), 3; f(1, 4, 2, 2), 2"});

}  // namespace flambeau
