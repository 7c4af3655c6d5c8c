// Indices of Tensor::index() and Tensor::index_put_(), and the methods of Tensor that take them.
#pragma once

#include <ATen/core/ivalue.h>

namespace at::indexing {

struct EllipsisIndexType {};
inline constexpr EllipsisIndexType Ellipsis;

// The indices from start up to, but not including, stop. A missing bound is the beginning or the end of the dimension.
struct Slice {
  Slice(c10::optional<int64_t> start = c10::nullopt, c10::optional<int64_t> stop = c10::nullopt,
        c10::optional<int64_t> step = c10::nullopt)
      : start(start.value_or(0)), stop(stop.value_or(INT64_MAX)), step(step.value_or(1)) {}
  int64_t start, stop, step;
};
inline constexpr c10::nullopt_t None = c10::nullopt;

struct TensorIndex {
  enum Kind : uint8_t { OfNone, OfEllipsis, OfInteger, OfBoolean, OfSlice, OfTensor };
  TensorIndex(c10::nullopt_t) : kind(OfNone) {}
  TensorIndex(EllipsisIndexType) : kind(OfEllipsis) {}
  TensorIndex(const char* text) : kind(OfEllipsis) {
    TORCH_CHECK_VALUE(std::string_view(text) == "...", "Expected \"...\" to represent an ellipsis index, but got \"",
                      text, "\"");
  }
  TensorIndex(Slice slice) : kind(OfSlice), slice(slice) {}
  TensorIndex(Tensor tensor) : kind(OfTensor), tensor(std::move(tensor)) {}
  TensorIndex(bool v) : kind(OfBoolean), integer(v) {}
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  TensorIndex(T i) : kind(OfInteger), integer(int64_t(i)) {}

  Kind kind;
  int64_t integer = 0;
  Slice slice;
  Tensor tensor;
};

// A resolved sequence of indices: the view that the basic indices (integers, slices, None, an ellipsis) select, and the
// tensors that index the dimensions of this view.
struct Indexed {
  Indexed(const Tensor& t, c10::ArrayRef<TensorIndex> indices) : view(t.native()) {
    int64_t used = 0;
    for (const TensorIndex& index : indices)
      used += index.kind == TensorIndex::OfTensor && index.tensor.scalar_type() == c10::kBool ? index.tensor.dim()
              : index.kind == TensorIndex::OfNone || index.kind == TensorIndex::OfEllipsis ||
                      index.kind == TensorIndex::OfBoolean
                  ? 0
                  : 1;
    TORCH_CHECK_INDEX(used <= t.dim(), "too many indices for tensor of dimension ", t.dim());
    for (const TensorIndex& index : indices) take(index, t.dim() - used);
  }
  void take(const TensorIndex& index, int64_t skipped) {
    switch (index.kind) {
      case TensorIndex::OfNone:
        view = ::flambeau::unsqueeze(view, dim++);
        break;
      case TensorIndex::OfEllipsis:
        dim += skipped;
        break;
      case TensorIndex::OfInteger:
        view = ::flambeau::select(view, dim, index.integer);
        break;
      case TensorIndex::OfSlice:
        view = ::flambeau::slice(view, dim++, index.slice.start, index.slice.stop, index.slice.step);
        break;
      case TensorIndex::OfBoolean:
        view = ::flambeau::unsqueeze(view, dim);
        take(Tensor(::flambeau::full({1}, ::flambeau::Scalar(bool(index.integer)), ::flambeau::Dtype::bool_)), 0);
        break;
      case TensorIndex::OfTensor:
        tensors.resize(size_t(dim));
        tensors.push_back(index.tensor.native());
        dim += index.tensor.scalar_type() == c10::kBool ? index.tensor.dim() : 1;
        any = true;
    }
  }
  ::flambeau::Tensor view;
  ::flambeau::Tensors tensors;
  int64_t dim = 0;
  bool any = false;
};

inline ::flambeau::Tensors native(const std::vector<c10::optional<Tensor>>& indices) {
  ::flambeau::Tensors out;
  for (const c10::optional<Tensor>& index : indices) out.push_back(index ? index->native() : ::flambeau::Tensor());
  return out;
}

}  // namespace at::indexing

namespace at {

inline Tensor Tensor::index(c10::ArrayRef<indexing::TensorIndex> indices) const {
  const indexing::Indexed found(*this, indices);
  return Tensor(found.any ? ::flambeau::index(found.view, found.tensors) : found.view);
}
inline Tensor Tensor::index(std::initializer_list<indexing::TensorIndex> indices) const {
  return index(c10::ArrayRef<indexing::TensorIndex>(indices));
}
inline Tensor Tensor::index(const std::vector<c10::optional<Tensor>>& indices) const {
  return Tensor(::flambeau::index(checked(), indexing::native(indices)));
}
inline Tensor Tensor::operator[](const Tensor& index) const { return this->index({index}); }
inline const Tensor& Tensor::index_put_(std::initializer_list<indexing::TensorIndex> indices,
                                        const Tensor& values) const {
  const indexing::Indexed found(*this, indices);
  if (found.any)
    ::flambeau::index_put(found.view, found.tensors, values.native(), false, ::flambeau::Write::InPlace);
  else
    ::flambeau::copy_(found.view, values.native());
  return *this;
}
inline const Tensor& Tensor::index_put_(std::initializer_list<indexing::TensorIndex> indices,
                                        const c10::Scalar& value) const {
  return index_put_(indices, Tensor(::flambeau::scalar_tensor(value.value(), checked().dtype())));
}
inline const Tensor& Tensor::index_put_(const std::vector<c10::optional<Tensor>>& indices, const Tensor& values,
                                        bool accumulate) const {
  ::flambeau::index_put(checked(), indexing::native(indices), values.native(), accumulate, ::flambeau::Write::InPlace);
  return *this;
}

}  // namespace at
