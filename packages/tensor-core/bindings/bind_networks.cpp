// What networks are made of: losses, normalisation, dropout, and the optimizers' steps.
#include "flambeau/networks.h"
#include "flambeau/rows/losses.h"

#include <algorithm>
#include <array>

#include "bind.h"
#include "warning.h"

namespace flambeau::python {

namespace {

void warn_of_broadcast(const Tensor& input, const Tensor& target) {
  std::ostringstream text;
  text << "Using a target size (" << target.shape() << ") that is different to the input size (" << input.shape()
       << "): the two are broadcast, which compares every prediction with every target if one is [N] and the other "
          "[N, 1]. Give both the same shape.";
  warn(text.str());
}

const Tensor& tensor_or_none(const char* function, const char* names, PyObject* o) {
  static const Tensor none;
  require<TypeError>(o == Py_None || is_tensor(o), function, "(): ", names, " must be Tensors or None");
  return o == Py_None ? none : tensor_of(o);
}

// Column 0 of the statistics is the mean, column 1 one over the deviation.
Tensor statistic(const Normalized& n, int column, const Shape& shape) {
  return to(reshape(select(n.statistics, 1, column), shape), n.values.dtype());
}

// The mean and one over the deviation of rows, which a group normalisation has computed: on the graph where x is.
Tensors moments(const Normalized& n, const Tensor& x, const Shape& as_rows, const Shape& shape, double eps) {
  if (!recording(x) || x.numel() == 0) return {n.values, statistic(n, 0, shape), statistic(n, 1, shape)};
  const Tensor rows = reshape(x, as_rows), means = mean(rows, Shape{-1}, true, {});
  const Tensor inverse = rsqrt(add(mean(square(sub(rows, means)), Shape{-1}, true, {}), eps));
  return {n.values, reshape(means, shape), reshape(inverse, shape)};
}

void bind_normalizations() {
  def("instance_norm(input, weight, bias, running_mean, running_var, use_input_stats, momentum, eps, "
      "cudnn_enabled=False)",
      kFunction,
      "batch_norm of each sample by itself; the running statistics take the mean over the samples.\n\nGradient: input, "
      "weight, bias, any order. Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022.",
      [](const Tensor& x, PyObject* w, PyObject* b, PyObject* mean, PyObject* var, bool use_input_stats,
         double momentum, double eps, bool) {
        constexpr const char *function = "instance_norm", *names = "weight, bias and running statistics";
        return instance_norm(x, tensor_or_none(function, names, mean), tensor_or_none(function, names, var),
                             tensor_or_none(function, names, w), tensor_or_none(function, names, b), use_input_stats,
                             momentum, eps);
      });
  def("native_layer_norm(input, normalized_shape, weight, bias, eps)", kFunction,
      "layer_norm, the mean and one over the deviation of each row. Gradient: through the first, as in PyTorch.",
      [](const Tensor& x, const Shape& shape, PyObject* w, PyObject* b, double eps) {
        constexpr const char *function = "native_layer_norm", *names = "weight and bias";
        const Normalized n =
            layer_norm(x, shape, tensor_or_none(function, names, w), tensor_or_none(function, names, b), eps);
        Shape rows = x.shape();
        for (size_t i = rows.size() - shape.size(); i < rows.size(); ++i) rows[i] = 1;
        return Tensors{n.values, statistic(n, 0, rows), statistic(n, 1, rows)};
      });
  def("native_group_norm(input, weight, bias, N, C, HxW, group, eps)", kFunction,
      "group_norm, the mean and one over the deviation (N, groups). Gradient: through all three.",
      [](const Tensor& x, PyObject* w, PyObject* b, int64_t batch, int64_t channels, int64_t inner, int64_t groups,
         double eps) {
        constexpr const char *function = "native_group_norm", *names = "weight and bias";
        const uint64_t numbers = uint64_t(batch) * uint64_t(channels) * uint64_t(inner);  // whatever was given for them
        require(x.dim() >= 2 && x.size(0) == batch && x.size(1) == channels && uint64_t(x.numel()) == numbers,
                "native_group_norm: N, C, HxW of ", Shape{batch, channels, inner}, " do not fit input ", x.shape());
        const Normalized n =
            group_norm(x, groups, tensor_or_none(function, names, w), tensor_or_none(function, names, b), eps);
        return moments(n, x, {batch * groups, -1}, {batch, groups}, eps);
      });
  def("native_batch_norm(input, weight, bias, running_mean, running_var, training, momentum, eps)", kFunction | kOut,
      "batch_norm, the mean and one over the deviation of each channel (empty outside training). Gradient: through "
      "the first.",
      [](const Tensor& x, PyObject* w, PyObject* b, PyObject* mean, PyObject* var, bool training, double momentum,
         double eps) {
        constexpr const char *function = "native_batch_norm", *names = "all but input, training, momentum and eps";
        const Normalized n =
            batch_norm(x, tensor_or_none(function, names, mean), tensor_or_none(function, names, var),
                       tensor_or_none(function, names, w), tensor_or_none(function, names, b), training, momentum, eps);
        if (!training) return Tensors{n.values, empty({0}, x.dtype()), empty({0}, x.dtype())};
        const Shape channels{n.statistics.size(0)};
        return Tensors{n.values, statistic(n, 0, channels), statistic(n, 1, channels)};
      });
}

namespace {

template <int Rank>
Tensor grid_sampler_of(const Tensor& input, const Tensor& grid, int64_t mode, int64_t padding, bool align_corners) {
  require(Rank == 0 || (input.dim() == Rank && grid.dim() == Rank), "grid_sampler_", Rank - 2, "d(): expected ", Rank,
          "D input and grid, but got input with sizes ", input.shape(), " and grid with sizes ", grid.shape());
  return grid_sampler(input, grid, {mode, padding, align_corners});
}

// Where a name stands among others.
template <size_t N>
int64_t place_of(std::string_view name, const std::array<std::string_view, N>& names, const char* expected) {
  const auto found = std::find(names.begin(), names.end(), name);
  require<ValueError>(found != names.end(), "nn.functional.grid_sample(): expected ", expected, ", but got: '", name,
                      "'");
  return found - names.begin();
}

constexpr const char* kCornersUnsaid =
    "Default grid_sample and affine_grid behavior is align_corners=False. Please specify align_corners if a particular "
    "behavior is desired.";

Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode, std::string_view padding,
                   std::optional<bool> align_corners) {
  static constexpr std::array<std::string_view, 3> modes{"bilinear", "nearest", "bicubic"},
      paddings{"zeros", "border", "reflection"};
  const GridSampling options{
      place_of(mode, modes, "mode to be 'bilinear', 'nearest' or 'bicubic'"),
      place_of(padding, paddings, "padding_mode to be 'zeros', 'border', or 'reflection'"),
      align_corners.value_or(false),
  };
  if (!align_corners) warn(kCornersUnsaid);
  return grid_sampler(input, grid, options);
}

}  // namespace

void bind_sampling() {
  def_functional("grid_sample(input, grid, mode='bilinear', padding_mode='zeros', align_corners=None)",
                 R"(Reads an image at the points of a grid, whose coordinates -1 and 1 are the image's edges.

Args:
    input: ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
    grid: ``(N, h, w, 2)`` or ``(N, d, h, w, 3)``; x, the last dimension of the image, comes first.
    mode: ``"bilinear"`` (trilinear in 3-D), ``"nearest"`` or ``"bicubic"`` (2-D).
    padding_mode: what lies beyond the image: ``"zeros"``, its ``"border"`` or its ``"reflection"``.
    align_corners: -1 and 1 are the centres of the corner pixels, not their outer edges. None warns.
Returns: ``(N, C, h, w)`` or ``(N, C, d, h, w)``.
Raises: ValueError for a mode that there is not; RuntimeError for shapes that do not fit.
Gradient: both, any order. Source: Jaderberg et al. 2015, arXiv:1506.02025.)",
                 grid_sample, kFloat32);
  def("grid_sampler(input, grid, interpolation_mode, padding_mode, align_corners)", kFunction | kFloat32,
      R"(Reads an image (N, C, H, W) at the points (N, h, w, 2) of a grid, or (N, C, D, H, W) at (N, d, h, w, 3).

The coordinates -1 and 1 are the image's edges. Modes: 0 bilinear, 1 nearest, 2 bicubic; paddings: 0 zeros, 1 border,
2 reflection.

Gradient: both, any order. Source: Jaderberg et al. 2015, arXiv:1506.02025.)",
      grid_sampler_of<0>);
  def("grid_sampler_2d(input, grid, interpolation_mode, padding_mode, align_corners)", kFunction | kFloat32,
      "`grid_sampler` of images ``(N, C, H, W)``; RuntimeError for another rank.", grid_sampler_of<4>);
  def("grid_sampler_3d(input, grid, interpolation_mode, padding_mode, align_corners)", kFunction | kFloat32,
      "`grid_sampler` of volumes ``(N, C, D, H, W)``; RuntimeError for another rank.", grid_sampler_of<5>);
}

}  // namespace

void bind_networks() {
  def("linear(input, weight, bias=None)", kFunction | kOut | kLowerPrecision,
      "input @ weight.T + bias: (*, in), (out, in), (out) give (*, out). Gradient: all three.", linear);
  bind_normalizations();
  def("mse_loss(input, target, reduction='mean')", kFunction | kFloat32,
      "The mean of (input - target)**2, or with reduction='sum' their sum, with 'none' all of them.\n\n"
      "Warns if the shapes differ and broadcast. Gradient: both, any order.",
      [](const Tensor& input, const Tensor& target, Reduction reduction) {
        if (input.shape() != target.shape()) warn_of_broadcast(input, target);
        return mse_loss(input, target, reduction);
      });
  def("_binary_cross_entropy(input, target)", kPrivate,
      "-(y * log(x) + (1 - y) * log(1 - x)), each logarithm at least -100. Gradient: both, any order.",
      [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy(x, y); });
  def("_binary_cross_entropy_with_logits(input, target)", kPrivate,
      "The binary cross entropy of sigmoid(x), exact for any x. Gradient: both, any order.",
      [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy_with_logits(x, y); });
  def("_absolute_error(input, target)", kPrivate, "|x - y|. Gradient: both, any order.",
      [](const Tensor& x, const Tensor& y) { return _absolute_error(x, y); });
  def("_huber(input, target, delta)", kPrivate,
      "d**2 / 2 where d = abs(x - y) is below delta, else delta * (d - delta / 2). Gradient: both, any order.",
      [](const Tensor& x, const Tensor& y, Scalar delta) { return _huber(x, y, delta); });
  def("_multi_margin_loss(input, target, p, margin, weight, reduction)", kPrivate | kFloat32,
      "sum over j != y of max(0, margin - x[y] + x[j])**p / C, times weight[y]. Gradient: input, any order.",
      [](const Tensor& input, const Tensor& target, int64_t p, double margin, PyObject* weight, Reduction reduction) {
        return multi_margin_loss(input, target, p, margin, tensor_or_none("multi_margin_loss", "weight", weight),
                                 reduction);
      });
  bind_sampling();
  def("embedding_renorm_(input, indices, max_norm, norm_type)", kFunction,
      "Scales the rows of input that are in indices and whose norm is above max_norm to it, in place; no gradient.\n\n"
      "Raises IndexError for an index that there is not.",
      [](Self self, const Tensor& indices, double max_norm, double norm_type) {
        embedding_renorm_(tensor_of(self), indices, max_norm, norm_type);
        return Py_NewRef(self);
      });
  def("dropout(input, p=0.5, training|train=True, *, generator=None)", kFunction,
      "Each element 0 with probability p, else divided by 1 - p; input itself outside training.\n\nThe mask is not "
      "stored: the derivative draws it again. Gradient: input.",
      [](PyObject* input, double p, bool training, Generator* generator) -> PyObject* {
        require<TypeError>(is_tensor(input), "dropout(): argument 'input' (position 1) must be Tensor, not ",
                           Py_TYPE(input)->tp_name);
        const Tensor out = dropout(tensor_of(input), p, training, generator);
        return out.same(tensor_of(input)) ? Py_NewRef(input) : wrap_tensor(out);
      });
}

}  // namespace flambeau::python
