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

}  // namespace

Family linear_operators() {
  return {
      op("ger", outer),
      op("tensordot", contracted),
  };
}

}  // namespace flambeau::program
