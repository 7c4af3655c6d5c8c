// nn.functional.interpolate: what its arguments ask for together.
#include <cmath>

#include "flambeau/networks.h"

#include "calls/bind.h"

namespace flambeau::python {

namespace {

// One for each of the trailing dimensions; alone it stands for all of them.
template <class T>
struct PerDimension {
  std::vector<T> values;
  bool single;
};
using Sizes = std::optional<PerDimension<int64_t>>;
using Factors = std::optional<PerDimension<double>>;

}  // namespace

template <class T>
struct From<PerDimension<T>> {
  static PerDimension<T> get(const Call& call, PyObject* o) {
    if (!PyTuple_Check(o) && !PyList_Check(o)) return {{From<T>::get(call, o)}, true};
    PerDimension<T> out{{}, false};
    const Object items(checked(PySequence_Tuple(o)));  // converting an item may change the list
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i)
      out.values.push_back(From<T>::get(call, PyTuple_GET_ITEM(items.get(), i)));
    return out;
  }
};

namespace {

struct Mode {
  std::string_view name;
  Interpolation kernel;
  int dims;  // that it is for; 0: any
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

template <class T>
std::vector<T> one_each(const PerDimension<T>& given, int dims) {
  return given.single ? std::vector<T>(size_t(std::max(dims, 0)), given.values[0]) : given.values;
}

struct Target {
  Shape size;
  std::vector<double> scales;  // 0 where the sizes say it
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

Target target_of(const Tensor& input, const Sizes& size, const Factors& factors, bool recompute) {
  const int dims = std::max(input.dim() - 2, 0);
  require<ValueError>(!size || !factors, "only one of size or scale_factor should be defined");
  require<ValueError>(size || factors, "either size or scale_factor should be defined");
  Target out;
  if (size) {
    for (int64_t n : one_each(*size, dims)) out.size.push_back(n);
    require<ValueError>(int(out.size.size()) == dims,
                        "Input and output must have the same number of spatial dimensions, but got input with spatial "
                        "dimensions of ",
                        spatial(input), " and output size of ", out.size, ".");
    require<ValueError>(!recompute, "recompute_scale_factor is not meaningful with an explicit size.");
    out.scales.assign(size_t(dims), 0.0);
    return out;
  }
  out.scales = one_each(*factors, dims);
  require<ValueError>(int(out.scales.size()) == dims,
                      "Input and scale_factor must have the same number of spatial dimensions, but got input with "
                      "spatial dimensions of ",
                      spatial(input), " and ", out.scales.size(), " factors.");
  for (int i = 0; i < dims; ++i) out.size.push_back(scaled(input, input.size(i + 2), out.scales[size_t(i)]));
  if (recompute) out.scales.assign(size_t(dims), 0.0);
  return out;
}

Tensor interpolated(const Tensor& input, Sizes size, Factors factors, std::string_view name,
                    std::optional<bool> align_corners, bool recompute, bool antialias) {
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
  if (area)
    return adaptive_average_pool(dims, input,
                                 std::vector<std::optional<int64_t>>(target.size.begin(), target.size.end()));
  require<NotImplementedError>(mode->dims == 0 || mode->dims == dims, "Got ", input.dim(), "D input, but ", name,
                               " mode needs ", mode->dims + 2, "D input");
  return interpolate(input, target.size, target.scales, mode->kernel, align_corners.value_or(false), antialias);
}

}  // namespace

void bind_interpolation() {
  def_functional(
      "interpolate(input, size=None, scale_factor=None, mode='nearest', align_corners=None, "
      "recompute_scale_factor=None, antialias=False)",
      R"(Resizes the trailing dimensions of ``(N, C, *)``, one to three, to ``size`` or by ``scale_factor``.

Args:
    size: the output's, or
    scale_factor: the output's over the input's.
    mode: ``"nearest"`` (with the rounding of old), ``"nearest-exact"``, ``"linear"`` (1-D), ``"bilinear"``,
        ``"bicubic"`` (2-D), ``"trilinear"`` (3-D) or ``"area"``, the mean of what an output covers.
    align_corners: the centres of the corner pixels coincide, not their outer edges.
    recompute_scale_factor: the scale is the quotient of the sizes, rounded down as they are.
    antialias: ``"bilinear"`` and ``"bicubic"`` average over what an output covers where the image shrinks.
Returns: with ``scale_factor=2`` and ``mode="linear"``, ``[0, 0.25, 0.75, 1]`` of ``[0, 1]``.
Raises: ValueError for arguments that do not go together; NotImplementedError for a mode that the number of
    dimensions does not have.
Gradient: any order. Source of the cubic kernel: Keys 1981, doi:10.1109/TASSP.1981.1163711.)",
      interpolated);
}

}  // namespace flambeau::python
