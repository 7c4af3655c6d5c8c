// Losses, normalisation, dropout and the optimizers' steps.
#include "flambeau/networks.h"
#include "flambeau/rows/losses.h"

#include <algorithm>
#include <array>

#include "calls/bind.h"
#include "calls/warning.h"

namespace flambeau::python {

namespace {

void warn_of_broadcast(const Tensor& input, const Tensor& target) {
  std::ostringstream text;
  text << "Using a target size (" << target.shape() << ") that is different to the input size (" << input.shape()
       << "): the two are broadcast, which compares every prediction with every target if one is [N] and the other "
          "[N, 1]. Give both the same shape.";
  warn(text.str());
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
}

}  // namespace

void bind_networks() {
  def("mse_loss(input, target, reduction='mean')", kFunction | kFloat32,
      "The mean of (input - target)**2, or with reduction='sum' their sum, with 'none' all of them.\n\n"
      "Warns if the shapes differ and broadcast. Gradient: both, any order.",
      [](const Tensor& input, const Tensor& target, Reduction reduction) {
        if (input.shape() != target.shape()) warn_of_broadcast(input, target);
        return mse_loss(input, target, reduction);
      });
  bind_sampling();
}

}  // namespace flambeau::python
