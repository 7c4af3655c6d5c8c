// Sampling of an image at the points of a grid. Note [Sampling] in kernels/layers/grid_sample.cpp.
#include "cuda/layers/grid_sample.h"
#include "core/working_memory.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/images/grid_sample_derivative.h"

namespace flambeau {

namespace {

using kernels::kPoints;
using kernels::Sampling;

struct SamplingGeometry {
  Sampling sampling;
  int64_t batch, channels, pixels, points;  // pixels: pixels of an image; points: points of a grid
  Shape out_shape;

  int64_t blocks() const { return (points + kPoints - 1) / kPoints; }  // number of blocks of points for each image
};

// Computes the taps for the blocks [begin, end) of points. Calls body(sample, first point, number of points, taps) for
// each block.
template <class T, class F>
void over_blocks(const SamplingGeometry& l, const Tensor& grid, bool slopes, int64_t begin, int64_t end, F&& body) {
  kernels::Taps<T> taps;
  const int64_t blocks = l.blocks();
  for (int64_t i = begin; i < end; ++i) {
    const int64_t n = i / blocks, first = i % blocks * kPoints, count = std::min(kPoints, l.points - first);
    const T* at = grid.data<T>() + (n * l.points + first) * l.sampling.dims;
    kernels::networks().place_taps[sizeof(T) == 8](l.sampling, reinterpret_cast<const char*>(at), count, &taps, slopes);
    body(n, first, count, &taps);
  }
}

Tensor forward(const SamplingGeometry& l, const Tensor& input, const Tensor& grid) {
  Tensor out = empty(l.out_shape, input.dtype());
  if (out.is_meta()) return out;
  if (cuda::runs_on_gpu(out)) {
    cuda::GridSample(l.sampling, input, grid, false).sample(out);
    return out;
  }
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto sample = kernels::networks().sample[sizeof(T) == 8];
    const int64_t work = std::min(l.points, kPoints) * (l.channels + 8) * l.sampling.taps();
    parallel_items(l.batch * l.blocks(), std::max<int64_t>(1, 65536 / (work + 1)), [&](int64_t begin, int64_t end) {
      over_blocks<T>(l, grid, false, begin, end, [&](int64_t n, int64_t first, int64_t count, const void* taps) {
        for (int64_t c = n * l.channels; c < (n + 1) * l.channels; ++c)
          sample(l.sampling, count, taps, reinterpret_cast<const char*>(input.data<T>() + c * l.pixels),
                 reinterpret_cast<char*>(out.data<T>() + c * l.points + first));
      });
    });
  });
  return out;
}

struct Gradients {
  Tensor input, grid;
};

// Returns the gradient of the image. Adds the contribution of each tap to its pixel, for all channels at once. Taps
// outside the image are added to an extra row, which is dropped.
Tensor image_gradient(const SamplingGeometry& l, const cuda::GridSample& gpu_sampling, const Tensor& grad,
                      const Shape& shape) {
  const int64_t taps = l.sampling.taps(), total = l.batch * l.points, rows = l.batch * l.pixels;
  const Tensor first =
      reshape(arange(Scalar(0), Scalar(l.batch), Scalar(1), Dtype::int64) * Scalar(l.pixels), {l.batch, 1});
  const Tensor at = to(reshape(gpu_sampling.index(), {taps, l.batch, l.points}), Dtype::int64);
  const Tensor row_index = where(lt(at, Scalar(0)), Scalar(rows), at + first);
  const Tensor channels_last = transpose(reshape(grad, {l.batch, l.channels, l.points}), 1, 2);
  const Tensor share = reshape(gpu_sampling.weight(), {taps, l.batch, l.points, 1}) * channels_last;
  const Tensor sums = index_add(zeros({rows + 1, l.channels}, grad.dtype()), 0, reshape(row_index, {taps * total}),
                                reshape(share, {taps * total, l.channels}));
  const Tensor images = reshape(narrow(sums, 0, 0, rows), {l.batch, l.pixels, l.channels});
  return reshape(contiguous(transpose(images, 1, 2)), shape);
}

Gradients backward(const SamplingGeometry& l, const Tensor& grad, const Tensor& input, const Tensor& grid, bool image,
                   bool points) {
  Gradients result;
  if (cuda::runs_on_gpu(input)) {
    const cuda::GridSample gpu_sampling(l.sampling, input, grid, points);
    if (image) result.input = image_gradient(l, gpu_sampling, grad, input.shape());
    if (points) gpu_sampling.point_gradient(result.grid = empty(grid.shape(), grid.dtype()), grad);
    return result;
  }
  if (image) result.input = zeros(input.shape(), input.dtype());
  if (points) result.grid = empty(grid.shape(), grid.dtype());
  dispatch_real(input.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const auto kernel = kernels::networks().sample_backward[sizeof(T) == 8];
    const int dims = l.sampling.dims;
    // One thread processes all blocks of an image, because they add to the same gradient.
    const int64_t together = image ? l.blocks() : 1;
    parallel_items(l.batch * l.blocks() / std::max<int64_t>(1, together), 1, [&](int64_t begin, int64_t end) {
      over_blocks<T>(l, grid, points, begin * together, end * together,
                     [&](int64_t n, int64_t first, int64_t count, const void* taps) {
                       T point_grad[3 * kPoints] = {};
                       for (int64_t c = n * l.channels; c < (n + 1) * l.channels; ++c)
                         kernel(l.sampling, count, taps, reinterpret_cast<const char*>(input.data<T>() + c * l.pixels),
                                reinterpret_cast<const char*>(grad.data<T>() + c * l.points + first),
                                image ? reinterpret_cast<char*>(result.input.data<T>() + c * l.pixels) : nullptr,
                                points ? reinterpret_cast<char*>(point_grad) : nullptr);
                       if (!points) return;
                       T* to = result.grid.data<T>() + (n * l.points + first) * dims;
                       for (int64_t p = 0; p < count; ++p)
                         for (int d = 0; d < dims; ++d) to[p * dims + d] = point_grad[d * kPoints + p];
                     });
    });
  });
  return result;
}

Tensor prepared(const Tensor& t) {
  return contiguous(to(t, t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32));
}

void check_batch_sizes(const Tensor& input, const Tensor& grid) {
  require(input.size(0) == grid.size(0), "grid_sampler(): expected grid and input to have same batch size, but got ",
          "input with sizes ", input.shape(), " and grid with sizes ", grid.shape());
}

void check(const Tensor& input, const Tensor& grid, Sampling::Mode mode) {
  require(input.dim() == 4 || input.dim() == 5, "grid_sampler(): expected 4D or 5D input and grid with same number of ",
          "dimensions, but got input with sizes ", input.shape(), " and grid with sizes ", grid.shape());
  require(input.dim() == grid.dim(), "grid_sampler(): expected 4D or 5D input and grid with same number of ",
          "dimensions, but got input with sizes ", input.shape(), " and grid with sizes ", grid.shape());
  require(input.dtype() == grid.dtype(), "grid_sampler(): expected input and grid to have same dtype, but input has ",
          input.dtype(), " and grid has ", grid.dtype());
  require<NotImplementedError>(is_floating(input.dtype()), "\"grid_sampler\" not implemented for '", input.dtype(),
                               "'");
  check_batch_sizes(input, grid);
  require(grid.size(-1) == input.dim() - 2, "grid_sampler(): expected grid to have size ", input.dim() - 2,
          " in last dimension, but got grid with sizes ", grid.shape());
  for (int i = 2; i < input.dim(); ++i)
    require(input.size(i) > 0, "grid_sampler(): expected input to have non-empty spatial dimensions, but input has ",
            "sizes ", input.shape());
  require(mode != Sampling::Bicubic || input.dim() == 4,
          "grid_sampler(): bicubic interpolation only supports 4D input");
}

SamplingGeometry geometry_of(const Tensor& input, const Tensor& grid, const GridSampling& o) {
  require(o.mode >= 0 && o.mode <= 2 && o.padding >= 0 && o.padding <= 2,
          "grid_sampler(): the interpolation mode and the padding mode must be 0, 1 or 2, got ", o.mode, " and ",
          o.padding);
  SamplingGeometry l{
      {Sampling::Mode(o.mode), Sampling::Padding(o.padding), o.align_corners, input.dim() - 2, {1, 1, 1}},
      0,
      0,
      0,
      0,
      {}};
  check(input, grid, l.sampling.mode);
  for (int i = 2; i < input.dim(); ++i) l.sampling.size[3 - input.dim() + i] = input.size(i);
  l.batch = input.size(0);
  l.channels = input.size(1);
  l.pixels = l.sampling.size[0] * l.sampling.size[1] * l.sampling.size[2];
  require(l.pixels < (int64_t(1) << 31), "grid_sampler(): images must have fewer than 2**31 pixels, got ",
          input.shape());
  l.out_shape = {l.batch, l.channels};
  l.out_shape.append(grid.shape().begin() + 1, grid.shape().end() - 1);
  l.points = l.batch ? grid.numel() / (l.batch * l.sampling.dims) : 0;
  return l;
}

}  // namespace

namespace {

Tensor values(const SamplingGeometry& layout, const Tensor& input, const Tensor& grid) {
  NoRecording off;
  return to(forward(layout, prepared(input), prepared(grid)), input.dtype());
}

TensorPair gradients(const SamplingGeometry& layout, const Tensor& grad, const Tensor& input, const Tensor& grid,
                     bool of_input, bool of_grid) {
  const Gradients g = backward(layout, prepared(grad), prepared(input), prepared(grid), of_input, of_grid);
  return {of_input ? to(g.input, input.dtype()) : Tensor(), of_grid ? to(g.grid, grid.dtype()) : Tensor()};
}

}  // namespace

Tensor grid_sampler(const Tensor& input, const Tensor& grid, const GridSampling& options) {
  const Tensor out = values(geometry_of(input, grid, options), input, grid);
  if (recording(input, grid))
    record(input.dim() == 4 ? "GridSampler2D" : "GridSampler3D", out, {&input, &grid}, {&input, &grid},
           [options](const Context& c) {
             const Tensor &grad = c.gradient(), &input = c.saved(0), &grid = c.saved(1);
             const TensorPair g =
                 recording_enabled()
                     ? grid_sample_gradients_with_history(grad, input, grid, options, c.needs(0), c.needs(1))
                     : gradients(geometry_of(input, grid, options), grad, input, grid, c.needs(0), c.needs(1));
             if (c.needs(0)) c.set(0, g.values);
             if (c.needs(1)) c.set(1, g.indices);
           });
  return out;
}

namespace {

template <int Rank>
Tensor grid_sampler_of(const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners) {
  if (input.dim() && grid.dim()) check_batch_sizes(input, grid);  // this check comes first, as in PyTorch
  require(Rank == 0 || (input.dim() == Rank && grid.dim() == Rank), "grid_sampler_", Rank - 2, "d(): expected ", Rank,
          "D input and grid, but got input with sizes ", input.shape(), " and grid with sizes ", grid.shape());
  return grid_sampler(input, grid, {mode, padding, align_corners});
}

const Operator grid_sampler_operator(
    {.signature = "grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)",
     .forms = kFunction | kFloat32,
     .doc = R"(Sample an image (N, C, H, W) at the points (N, h, w, 2) of a grid, or (N, C, D, H, W) at (N, d, h, w, 3).

The coordinates -1 and 1 are the image's edges. Modes: 0 bilinear, 1 nearest, 2 bicubic; paddings: 0 zeros, 1 border,
2 reflection.

Gradient: input and grid, any order. Source: Jaderberg et al. 2015, arXiv:1506.02025.)",
     .forward = grid_sampler_of<0>});

const Operator grid_sampler_2d_operator(
    {.signature = "grid_sampler_2d(input, grid, interpolation_mode, padding_mode, align_corners)",
     .forms = kFunction | kFloat32,
     .doc = "Apply `grid_sampler` to images ``(N, C, H, W)``. Raises RuntimeError for other shapes.",
     .forward = grid_sampler_of<4>});

const Operator grid_sampler_3d_operator(
    {.signature = "grid_sampler_3d(input, grid, interpolation_mode, padding_mode, align_corners)",
     .forms = kFunction | kFloat32,
     .doc = "Apply `grid_sampler` to volumes ``(N, C, D, H, W)``. Raises RuntimeError for other shapes.",
     .forward = grid_sampler_of<5>});

// Returns the position of a name in a list.
int64_t position_of(std::string_view name, std::initializer_list<std::string_view> names, const char* expected) {
  const auto* found = std::find(names.begin(), names.end(), name);
  require<ValueError>(found != names.end(), "nn.functional.grid_sample(): expected ", expected, ", but got: '", name,
                      "'");
  return found - names.begin();
}

Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode, std::string_view padding,
                   std::optional<bool> align_corners) {
  const GridSampling options{
      position_of(mode, {"bilinear", "nearest", "bicubic"}, "mode to be 'bilinear', 'nearest' or 'bicubic'"),
      position_of(padding, {"zeros", "border", "reflection"}, "padding_mode to be 'zeros', 'border', or 'reflection'"),
      align_corners.value_or(false)};
  if (!align_corners)
    warn(
        "Default grid_sample and affine_grid behavior is align_corners=False. Please specify align_corners if a "
        "particular behavior is desired.");
  return grid_sampler(input, grid, options);
}

const Operator nn_grid_sample_operator(
    {.signature = "grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=None)",
     .forms = kPrivate | kNetwork | kFloat32,
     .doc = R"(Sample an image at the points of a grid. The coordinates -1 and 1 are the edges of the image.

Args:
    input: ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
    grid: ``(N, h, w, 2)`` or ``(N, d, h, w, 3)``; x, the last dimension of the image, comes first.
    mode: ``"bilinear"`` (trilinear in 3-D), ``"nearest"`` or ``"bicubic"`` (2-D).
    padding_mode: values outside the image: ``"zeros"``, its ``"border"`` or its ``"reflection"``.
    align_corners: if True, -1 and 1 are the centres of the corner pixels, otherwise their outer edges. None is like
        False, but issues a warning.
Returns: ``(N, C, h, w)`` or ``(N, C, d, h, w)``.
Raises: ValueError for an unknown mode; RuntimeError for shapes that do not match.
Gradient: input and grid, any order. Source: Jaderberg et al. 2015, arXiv:1506.02025.)",
     .forward = grid_sample,
     .reference = "(lambda last: (lambda at: input[:, :, at[..., 1], at[..., 0]])(np.clip(np.rint((grid[0] + 1) / 2 * "
                  "last), 0, last).astype(int)))(np.array(input.shape[:1:-1]) - 1)",
     .samples = "f(1, 2, 4, 5), f(1, 3, 2, 2), 'nearest', 'border', True"});

}  // namespace

}  // namespace flambeau
