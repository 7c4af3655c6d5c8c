// Interpolation on a regular grid, computed by a map of Note [Resampling].
#include <algorithm>
#include <bit>
#include <cmath>

#include "flambeau/operator.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/pointwise/selection.h"
#include "operators/images/resampling.h"

namespace flambeau {

namespace {

struct Grid {  // positions of the outputs along one dimension, in pixels of the input
  int64_t in, out;
  double step;  // distance between adjacent outputs
  bool align_corners;

  double source_position(int64_t o) const { return align_corners ? step * double(o) : step * (double(o) + 0.5) - 0.5; }
};

Grid grid_of(int64_t in, int64_t out, double scale, bool align_corners) {
  if (align_corners) return {in, out, out > 1 ? double(in - 1) / double(out - 1) : 0.0, true};
  return {in, out, scale > 0 ? 1 / scale : double(in) / double(out), false};
}

// Selects the nearest input of each output. Positions are computed in float32 as in PyTorch, because rounding can
// change which input is nearest.
void nearest(const Grid& g, bool exact, SparseMatrix& m) {
  const float step = float(g.step);
  for (int64_t o = 0; o < g.out; ++o) {
    int64_t at = int64_t(std::floor((float(o) + (exact ? 0.5f : 0.0f)) * step));
    if (!exact && g.out == g.in) at = o;
    if (!exact && g.out == 2 * g.in) at = o / 2;
    m.add(std::min(at, g.in - 1), 1);
    m.end_row();
  }
}

void linear(const Grid& g, SparseMatrix& m) {
  for (int64_t o = 0; o < g.out; ++o) {
    const double source_position = g.in == g.out ? double(o) : std::max(g.source_position(o), 0.0);
    const int64_t low = std::min(int64_t(source_position), g.in - 1), high = std::min(low + 1, g.in - 1);
    const double share = std::clamp(source_position - double(low), 0.0, 1.0);
    m.add(low, 1 - share);
    m.add(high, share);
    m.end_row();
  }
}

// Kernel of cubic convolution with parameter a (Keys 1981).
double cubic_kernel(double x, double a) {
  x = std::abs(x);
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

void cubic(const Grid& g, SparseMatrix& m) {
  for (int64_t o = 0; o < g.out; ++o) {
    const double source_position = g.source_position(o), low = std::floor(source_position);
    for (int64_t k = -1; k < 3; ++k)
      m.add(std::clamp<int64_t>(int64_t(low) + k, 0, g.in - 1), cubic_kernel(source_position - low - double(k), -0.75));
    m.end_row();
  }
}

// Computes the weights for interpolation with antialiasing. If the image becomes smaller, the kernel is stretched, so
// that it covers all input pixels in the area of an output pixel.
void antialiased(const Grid& g, bool is_cubic, SparseMatrix& m) {
  const double stretch = std::max(g.step, 1.0), support = (is_cubic ? 2.0 : 1.0) * stretch;
  std::vector<double> weights;
  for (int64_t o = 0; o < g.out; ++o) {
    const double centre = g.step * (double(o) + 0.5);
    const int64_t first = std::max<int64_t>(int64_t(centre - support + 0.5), 0),
                  last = std::min<int64_t>(int64_t(centre + support + 0.5), g.in);
    weights.clear();
    double total = 0;
    for (int64_t i = first; i < last; ++i) {
      const double x = (double(i) - centre + 0.5) / stretch;
      weights.push_back(is_cubic ? cubic_kernel(x, -0.5) : std::max(0.0, 1 - std::abs(x)));
      total += weights.back();
    }
    for (int64_t i = first; i < last; ++i) m.add(i, weights[size_t(i - first)] / (total != 0 ? total : 1));
    m.end_row();
  }
}

// Returns a matrix without taps if the input is a meta tensor.
std::unique_ptr<SparseMatrix> matrix_of(bool is_meta, const Grid& g, Interpolation mode, bool antialias) {
  if (is_meta) return std::make_unique<SparseMatrix>(SparseMatrix::of_size(g.in, g.out));
  auto m = std::make_unique<SparseMatrix>(g.in, g.out, mode <= Interpolation::NearestExact);
  switch (mode) {
    case Interpolation::Nearest:
    case Interpolation::NearestExact:
      nearest(g, mode == Interpolation::NearestExact, *m);
      break;
    case Interpolation::Linear:
      antialias ? antialiased(g, false, *m) : linear(g, *m);
      break;
    case Interpolation::Cubic:
      antialias ? antialiased(g, true, *m) : cubic(g, *m);
      break;
  }
  return m;
}

// Rounds the weights to multiples of 2**-bits. `bits` is the largest number, up to 22, for which the weights times
// 2**bits are integers of 16 bits.
void quantize(SparseMatrix& m) {
  double largest = 0;
  for (double w : m.weights()) largest = std::max(largest, w);
  int bits = 0;
  while (bits < 22 && std::int64_t(0.5 + largest * double(1 << (bits + 1))) < (1 << 15)) ++bits;
  for (double& w : m.weights()) w = std::trunc(w * double(1 << bits) + (w < 0 ? -0.5 : 0.5)) / double(1 << bits);
}

// Interpolates images of bytes with quantized weights, first along the width and then along the height. Both results
// are rounded to bytes.
Tensor interpolate_bytes(const char* name, Resampling map, const Tensor& input) {
  Tensor image = to(input, Dtype::float32);
  for (size_t axis = map.axes.size(); axis-- > 0;) {
    if (map.axes[axis]->rows() == map.axes[axis]->columns()) continue;
    auto pass = std::make_shared<Resampling>();
    pass->axes.resize(map.axes.size());
    quantize(*map.axes[axis]);
    pass->axes[axis] = std::move(map.axes[axis]);
    image = _clip(floor(resample(name, std::move(pass), image) + Scalar(0.5)), Scalar(0.0), Scalar(255.0));
  }
  return to(image, input.dtype());
}

// Names of autograd nodes by mode and number of spatial dimensions.
constexpr const char* kNodes[][3] = {
    {"UpsampleNearest1D", "UpsampleNearest2D", "UpsampleNearest3D"},
    {"UpsampleNearestExact1D", "UpsampleNearestExact2D", "UpsampleNearestExact3D"},
    {"UpsampleLinear1D", "UpsampleBilinear2D", "UpsampleTrilinear3D"},
    {"UpsampleCubic", "UpsampleBicubic2D", "UpsampleCubic"},
};

}  // namespace

Tensor interpolate(const Tensor& input, const Shape& size, const std::vector<double>& scales, Interpolation mode,
                   bool align_corners, bool antialias) {
  const int dims = int(size.size());
  require(input.dim() == dims + 2, "interpolate: expected an input of ", dims + 2, " dimensions for ", dims,
          " output sizes, got shape ", input.shape());
  require(int(scales.size()) == dims, "interpolate: expected one scale for each of ", dims, " sizes, but got ",
          scales.size());
  const bool nearest = mode <= Interpolation::NearestExact;
  require<NotImplementedError>(is_floating(input.dtype()) || (input.dtype() == Dtype::uint8 && (nearest || dims == 2)),
                               "\"interpolate\" not implemented for '", input.dtype(), "'");
  MapKey key{align_corners, antialias};
  for (int i = 0; i < dims; ++i) {
    const int64_t in = input.size(i + 2), out = size[size_t(i)];
    require(in > 0 && out > 0, "Input and output sizes should be greater than 0, but got input ", input.shape(),
            " and output sizes ", size);
    require(out < (int64_t(1) << 31), "interpolate: output sizes must be below 2**31, got ", size);
    key.push_back(in), key.push_back(out), key.push_back(std::bit_cast<int64_t>(scales[size_t(i)]));
  }
  const auto make = [&] {
    auto map = std::make_shared<Resampling>();
    for (size_t i = 0; i < size.size(); ++i)
      map->axes.push_back(matrix_of(input.is_meta(), grid_of(input.size(int(i) + 2), size[i], scales[i], align_corners),
                                    mode, antialias));
    return map;
  };
  const char* name = kNodes[size_t(mode)][dims - 1];
  if (is_floating(input.dtype()) || nearest) return resample(name, key, make, input);
  return interpolate_bytes(name, std::move(*make()), input);
}

namespace {

// One value for each spatial dimension, or one for all of them.
using Size = std::variant<int64_t, Shape>;
using Factor = std::variant<double, std::vector<double>>;

struct Mode {
  std::string_view name;
  Interpolation kernel;
  int dims;  // number of spatial dimensions that the mode supports; 0 for any number
};
constexpr Mode kModes[] = {
    {"nearest", Interpolation::Nearest, 0},  {"nearest-exact", Interpolation::NearestExact, 0},
    {"linear", Interpolation::Linear, 1},    {"bilinear", Interpolation::Linear, 2},
    {"trilinear", Interpolation::Linear, 3}, {"bicubic", Interpolation::Cubic, 2},
};
constexpr std::string_view kArea = "area";

const Mode* find_mode(std::string_view name) {
  for (const Mode& mode : kModes)
    if (mode.name == name) return &mode;
  return nullptr;
}

template <class T, class List>
List list_per_dimension(const std::variant<T, List>& given, int dims) {
  const T* single = std::get_if<T>(&given);
  return single ? List(size_t(dims), *single) : std::get<List>(given);
}

struct Target {
  Shape size;
  std::vector<double> scales;  // a scale is 0 if it follows from the sizes
};

Shape spatial(const Tensor& input) {
  Shape out;
  for (int i = 2; i < input.dim(); ++i) out.push_back(input.size(i));
  return out;
}

int64_t scaled(const Tensor& input, int64_t size, double factor) {
  const double out = std::floor(double(size) * factor);
  require(std::abs(out) < 0x1p62, "interpolate: cannot scale ", spatial(input), " by a factor of ", factor);
  return int64_t(out);
}

Target target_of(const Tensor& input, const std::optional<Size>& size, const std::optional<Factor>& factors,
                 bool recompute) {
  const int dims = std::max(input.dim() - 2, 0);
  require<ValueError>(!size || !factors, "only one of size or scale_factor should be defined");
  require<ValueError>(size || factors, "either size or scale_factor should be defined");
  Target out;
  if (size) {
    out.size = list_per_dimension(*size, dims);
    require<ValueError>(int(out.size.size()) == dims,
                        "Input and output must have the same number of spatial dimensions, but got input with spatial "
                        "dimensions of ",
                        spatial(input), " and output size of ", out.size, ".");
    require<ValueError>(!recompute, "recompute_scale_factor is not meaningful with an explicit size.");
    out.scales.assign(size_t(dims), 0.0);
    return out;
  }
  out.scales = list_per_dimension(*factors, dims);
  require<ValueError>(int(out.scales.size()) == dims,
                      "Input and scale_factor must have the same number of spatial dimensions, but got input with "
                      "spatial dimensions of ",
                      spatial(input), " and ", out.scales.size(), " factors.");
  for (int i = 0; i < dims; ++i) out.size.push_back(scaled(input, input.size(i + 2), out.scales[size_t(i)]));
  if (recompute) out.scales.assign(size_t(dims), 0.0);
  return out;
}

Tensor interpolate_by_mode(const Tensor& input, const std::optional<Size>& size, const std::optional<Factor>& factors,
                           std::string_view name, std::optional<bool> align_corners, bool recompute, bool antialias) {
  const Mode* mode = find_mode(name);
  const bool area = name == kArea, smooth = mode && mode->kernel > Interpolation::NearestExact;
  require<ValueError>(!align_corners || smooth || !(mode || area),
                      "align_corners option can only be set with the interpolating modes: linear | bilinear | bicubic "
                      "| trilinear");
  const Target target = target_of(input, size, factors, recompute);
  const int dims = input.dim() - 2;
  require<ValueError>(!antialias || (smooth && mode->dims == 2 && dims == 2),
                      "Anti-alias option is restricted to bilinear and bicubic modes and requires a 4-D tensor as "
                      "input; got mode ",
                      name, " and ", input.dim(), " dimensions");
  require<NotImplementedError>((mode || area) && dims >= 1 && dims <= 3,
                               "Input Error: Only 3D, 4D and 5D input Tensors supported (got ", input.dim(),
                               "D) for the modes: nearest | linear | bilinear | bicubic | trilinear | area | "
                               "nearest-exact (got ",
                               name, ")");
  if (area) return adaptive_average_pool(dims, input, OptionalSizes(target.size.begin(), target.size.end()));
  require<NotImplementedError>(mode->dims == 0 || mode->dims == dims, "Got ", input.dim(), "D input, but ", name,
                               " mode needs ", mode->dims + 2, "D input");
  return interpolate(input, target.size, target.scales, mode->kernel, align_corners.value_or(false), antialias);
}

const Operator nn_interpolate_operator(
    {.signature = "interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
                  "recompute_scale_factor=None, antialias=False)",
     .forms = kPrivate | kNetwork,
     .doc = R"(Resize the one to three spatial dimensions of ``(N, C, *)`` to ``size`` or by ``scale_factor``.

Args:
    size: spatial size of the output.
    scale_factor: size of the output divided by the size of the input. Exactly one of both must be given.
    mode: ``"nearest"`` (with PyTorch's legacy rounding), ``"nearest-exact"``, ``"linear"`` (1-D), ``"bilinear"``,
        ``"bicubic"`` (2-D), ``"trilinear"`` (3-D) or ``"area"``, the mean of the input area of an output.
    align_corners: if True, the centres of the corner pixels of input and output coincide, otherwise their outer edges.
    recompute_scale_factor: if True, use the quotient of the rounded sizes as the scale.
    antialias: if True, ``"bilinear"`` and ``"bicubic"`` average over the input area of an output.
Returns: the resized tensor; with ``scale_factor=2`` and ``mode="linear"``, ``[0, 1]`` becomes ``[0, 0.25, 0.75, 1]``.
Raises: ValueError for arguments that exclude each other; NotImplementedError for a mode that does not support the
    number of dimensions.
Gradient: any order. Source of the cubic kernel: Keys 1981, doi:10.1109/TASSP.1981.1163711.)",
     .forward = interpolate_by_mode,
     .reference = "np.repeat(input, 2, -1)",
     .samples = "f(1, 2, 3), 6; f(2, 2, 4), None, 2.0; f(1, 1, 3), (6,), None, 'nearest-exact'"});

}  // namespace

}  // namespace flambeau
