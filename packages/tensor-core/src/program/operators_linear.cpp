// Products, decompositions, Fourier transforms.
#include "flambeau/add_product.h"
#include "flambeau/linalg.h"
#include "flambeau/products.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

template <Tensor (*product)(const Tensor&, const Tensor&)>
Tensor added(const Tensor& input, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  return add_product("product", input, a, b, beta, alpha, product);
}

Tensor contracted(const Tensor& a, const Tensor& b, const Value& dims) {
  if (const Values* lists = std::get_if<Values>(&dims); lists && lists->size() == 2)
    return tensordot(a, b, As<const Shape&>::get((*lists)[0]), As<const Shape&>::get((*lists)[1]));
  Shape first, second;
  for (int64_t d = 0, count = As<int64_t>::get(dims); d < count; ++d)
    first.push_back(a.dim() - count + d), second.push_back(d);
  return tensordot(a, b, first, second);
}

// One of flambeau.fft's functions over one dimension, or over several.
template <Fourier kind, bool inverse>
Tensor along_one(const char* name, const Tensor& t, std::optional<int64_t> n, int64_t dim, const Value& norm) {
  const std::string_view scale = std::holds_alternative<None>(norm) ? "backward" : As<std::string_view>::get(norm);
  return fourier(name, kind, inverse, t, n ? OptionalDims(Shape{*n}) : OptionalDims(), Shape{dim}, scale);
}
template <Fourier kind, bool inverse>
Tensor along_many(const char* name, const Tensor& t, const OptionalDims& s, const OptionalDims& dim,
                  const Value& norm) {
  const std::string_view scale = std::holds_alternative<None>(norm) ? "backward" : As<std::string_view>::get(norm);
  return fourier(name, kind, inverse, t, s, dim, scale);
}
#define ONE(name, kind, inverse)                                                           \
  op(name, [](const Tensor& t, std::optional<int64_t> n, int64_t dim, const Value& norm) { \
    return along_one<Fourier::kind, inverse>(name, t, n, dim, norm);                       \
  })
#define MANY(name, kind, inverse)                                                                   \
  op(name, [](const Tensor& t, const OptionalDims& s, const OptionalDims& dim, const Value& norm) { \
    return along_many<Fourier::kind, inverse>(name, t, s, dim, norm);                               \
  })

}  // namespace

Family linear_operators() {
  return {
      op("ger", outer),
      op("tensordot", contracted),
      op("cross",
         [](const Tensor& a, const Tensor& b, std::optional<int64_t> dim) {
           if (dim) return cross(a, b, *dim);
           for (int d = 0; d < a.dim(); ++d)
             if (a.size(d) == 3) return cross(a, b, d);
           detail::raise<Error>("no dimension of size 3 in input");
         }),
      op("linalg_vector_norm",
         [](const Tensor& t, double p, const OptionalDims& dim, bool keepdim, std::optional<Dtype> dtype) {
           return vector_norm(dtype ? to(t, *dtype) : t, p, dim, keepdim);
         }),
      op("linalg_vecdot",
         [](const Tensor& x, const Tensor& y, int64_t dim) { return sum(mul(conj(x), y), Shape{dim}, false, {}); }),
      op("cholesky", linalg::cholesky),
      ONE("fft", Complex, false),
      ONE("ifft", Complex, true),
      ONE("rfft", RealToHalf, false),
      ONE("irfft", HalfToReal, true),
      MANY("fft2", Complex, false),
      MANY("ifft2", Complex, true),
      MANY("fftn", Complex, false),
      MANY("ifftn", Complex, true),
      MANY("rfft2", RealToHalf, false),
      MANY("irfft2", HalfToReal, true),
      MANY("rfftn", RealToHalf, false),
      MANY("irfftn", HalfToReal, true),
  };
}
#undef ONE
#undef MANY

}  // namespace flambeau::program
