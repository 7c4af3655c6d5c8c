// Access to elements of a tensor by their indices: accessor<T, N>() and packed_accessor64<T, N>().
#pragma once

#include <c10/util/ArrayRef.h>

namespace at {

template <class T>
struct DefaultPtrTraits {
  using PtrType = T*;
};
template <class T>
struct RestrictPtrTraits {
  using PtrType = T* __restrict__;
};

// A view of a tensor or a part of it. Another object owns the sizes and strides.
template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits, class index_t = int64_t>
class TensorAccessor {
 public:
  using PtrType = typename PtrTraits<T>::PtrType;
  TensorAccessor(PtrType data, const index_t* sizes, const index_t* strides)
      : data_(data), sizes_(sizes), strides_(strides) {}
  c10::ArrayRef<index_t> sizes() const { return {sizes_, N}; }
  c10::ArrayRef<index_t> strides() const { return {strides_, N}; }
  index_t size(index_t dim) const { return sizes_[dim]; }
  index_t stride(index_t dim) const { return strides_[dim]; }
  PtrType data() { return data_; }
  const PtrType data() const { return data_; }
  decltype(auto) operator[](index_t i) { return at(i); }
  decltype(auto) operator[](index_t i) const { return at(i); }

 private:
  decltype(auto) at(index_t i) const {
    if constexpr (N == 1)
      return (data_[strides_[0] * i]);
    else
      return TensorAccessor<T, N - 1, PtrTraits, index_t>(data_ + strides_[0] * i, sizes_ + 1, strides_ + 1);
  }
  PtrType data_;
  const index_t* sizes_;
  const index_t* strides_;
};

// An accessor that stores the sizes and strides, so that it may outlive the tensor's handle.
template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits, class index_t = int64_t>
class GenericPackedTensorAccessor {
 public:
  using PtrType = typename PtrTraits<T>::PtrType;
  template <class Source>
  GenericPackedTensorAccessor(PtrType data, const Source* sizes, const Source* strides) : data_(data) {
    std::copy(sizes, sizes + N, sizes_);
    std::copy(strides, strides + N, strides_);
  }
  index_t size(index_t dim) const { return sizes_[dim]; }
  index_t stride(index_t dim) const { return strides_[dim]; }
  PtrType data() const { return data_; }
  decltype(auto) operator[](index_t i) const {
    if constexpr (N == 1)
      return (data_[strides_[0] * i]);
    else
      return TensorAccessor<T, N - 1, PtrTraits, index_t>(data_ + strides_[0] * i, sizes_ + 1, strides_ + 1);
  }

 private:
  PtrType data_;
  index_t sizes_[N];
  index_t strides_[N];
};

template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits>
using PackedTensorAccessor32 = GenericPackedTensorAccessor<T, N, PtrTraits, int32_t>;
template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits>
using PackedTensorAccessor64 = GenericPackedTensorAccessor<T, N, PtrTraits, int64_t>;
template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits, class index_t = int64_t>
using PackedTensorAccessor = GenericPackedTensorAccessor<T, N, PtrTraits, index_t>;

}  // namespace at

namespace torch {
template <class T, size_t N, template <class U> class PtrTraits = at::DefaultPtrTraits, class index_t = int64_t>
using TensorAccessor = at::TensorAccessor<T, N, PtrTraits, index_t>;
using at::RestrictPtrTraits;
}  // namespace torch
