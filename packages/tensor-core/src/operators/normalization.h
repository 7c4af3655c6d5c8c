// What the normalisations share. Internal to them.
#pragma once

#include "flambeau/networks.h"
#include "kernels/networks.h"

namespace flambeau {

inline Dtype normalization_type(const Tensor& t) {
  return t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}
inline Tensor prepared(const Tensor& t, Dtype type) { return t.defined() ? contiguous(to(t, type)) : t; }
inline const char* bytes_at(const Tensor& t, int64_t element) {  // null of an undefined tensor
  return t.defined() ? t.bytes() + element * item_size(t.dtype()) : nullptr;
}
inline double value_at(const Tensor& t, int64_t i, double otherwise) {
  return !t.defined() ? otherwise : t.dtype() == Dtype::float64 ? t.data<double>()[i] : double(t.data<float>()[i]);
}

// Sums over a set of values, from which mean and biased variance come; about a centre near them, no digits are lost.
struct Sums {
  double values = 0, squares = 0;
};

// How a derivative writes a row's gradient, Note [Normalisation]: from the means of g' and of g' * h.
struct RowGradient {
  double of_in, constant;
  RowGradient(double rstd, double mean_grad, double mean_product)
      : of_in(-rstd * rstd * mean_product), constant(-rstd * mean_grad) {}
};

}  // namespace flambeau
