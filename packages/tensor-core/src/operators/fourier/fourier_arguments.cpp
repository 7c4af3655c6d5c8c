// The arguments of the Fourier transforms: dimensions, sizes and normalisation.
#include <algorithm>
#include <cmath>

#include "flambeau/operators.h"

namespace flambeau {

namespace {

// Converts integers to the default dtype, because integers cannot be transformed. Raises an error for floating dtypes
// smaller than float32.
Tensor transformable(const char* name, const Tensor& t) {
  require(!is_floating(t.dtype()) || item_size(t.dtype()) >= 4, name, ": Unsupported dtype ", t.dtype(),
          "; convert to float32 first");
  return is_inexact(t.dtype()) ? t : to(t, default_dtype());
}

// The dimensions to transform, and the number of points along each of them. -1 means the size of the tensor.
struct Extent {
  Shape dims, sizes;
};

Extent extent_of(const Tensor& t, const OptionalDims& sizes, const OptionalDims& dim) {
  Extent extent;
  if (dim) {
    for (const int64_t d : *dim) {
      require<IndexError>(t.dim() > 0, "Dimension specified as ", d, " but tensor has no dimensions");
      const int64_t wrapped = t.wrap_dim(d);
      require(std::find(extent.dims.begin(), extent.dims.end(), wrapped) == extent.dims.end(),
              "FFT dims must be unique, got ", *dim);
      extent.dims.push_back(wrapped);
    }
    require(!sizes || sizes->size() == dim->size(),
            "When given, dim and shape arguments must have the same length, got ", *dim, " and ",
            sizes.value_or(Shape{}));
  } else {
    const int64_t count = sizes ? int64_t(sizes->size()) : t.dim();
    require(count <= t.dim(), "Got shape with ", count, " values but input tensor only has ", t.dim(), " dimensions.");
    for (int64_t d = t.dim() - count; d < t.dim(); ++d) extent.dims.push_back(d);
  }
  for (size_t i = 0; i < extent.dims.size(); ++i) extent.sizes.push_back(sizes ? (*sizes)[i] : -1);
  return extent;
}

void check_points(const Shape& sizes) {
  for (const int64_t n : sizes) require(n > 0, "Invalid number of data points (", n, ") specified");
}

// Truncates the dimensions to these sizes, or pads them with zeros.
Tensor resized(Tensor t, const Shape& dims, const Shape& sizes) {
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t have = t.size(dims[i]), wanted = sizes[i];
    if (wanted < have) t = narrow(t, dims[i], 0, wanted);
    if (wanted <= have) continue;
    Shape missing = t.shape();
    missing[dims[i]] = wanted - have;
    t = cat({t, zeros(missing, t.dtype())}, dims[i]);
  }
  return t;
}

// Returns the normalisation factor of a transform with these sizes.
double scale_of(std::string_view norm, bool inverse, const Shape& sizes) {
  double points = 1;
  for (const int64_t n : sizes) points *= double(n);
  if (norm == "ortho") return 1 / std::sqrt(points);
  require(norm == "backward" || norm == "forward", "Invalid normalization mode: \"", norm,
          "\"; expected \"backward\", \"forward\" or \"ortho\"");
  return (norm == "backward") == inverse ? 1 / points : 1;
}

}  // namespace

Tensor fourier(const char* name, Fourier kind, bool inverse, const Tensor& input, const OptionalDims& s,
               const OptionalDims& dim, std::string_view norm) {
  Tensor t = transformable(name, input);
  const bool is_real = !is_complex(t.dtype());
  require(is_real || kind != Fourier::RealToHalf, name, " expects a real input tensor, but got ", t.dtype());
  Extent extent = extent_of(t, s, dim);
  if (kind == Fourier::HalfToReal || extent.dims.empty()) t = to(t, to_complex(t.dtype()));
  if (kind != Fourier::Complex) require(!extent.dims.empty(), name, " must transform at least one axis");
  for (size_t i = 0; i < extent.dims.size(); ++i) {
    if (extent.sizes[i] != -1) continue;
    const bool half = kind == Fourier::HalfToReal && i + 1 == extent.dims.size();
    extent.sizes[i] = half ? 2 * (t.size(extent.dims[i]) - 1) : t.size(extent.dims[i]);
  }
  check_points(extent.sizes);
  const double scale = scale_of(norm, inverse, extent.sizes);
  Shape wanted = extent.sizes;
  if (kind == Fourier::HalfToReal) wanted.back() = wanted.back() / 2 + 1;
  t = resized(t, extent.dims, wanted);
  if (kind == Fourier::Complex)
    return (is_real && !extent.dims.empty() ? fourier_real : fourier_complex)(t, extent.dims, inverse, scale);
  if (kind == Fourier::RealToHalf) return fourier_real_to_half(t, extent.dims, inverse, scale);
  return fourier_half_to_real(t, extent.dims, extent.sizes.back(), inverse, scale);
}

}  // namespace flambeau
