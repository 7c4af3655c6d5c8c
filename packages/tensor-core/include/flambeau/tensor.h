// Tensor: a shape and strides over a shared storage, and the state of autograd.
#pragma once

#include "flambeau/dtype.h"
#include "flambeau/memory.h"
#include "flambeau/scalar.h"
#include "flambeau/small_vector.h"

namespace flambeau {

struct AutogradMeta;  // autograd.h

inline constexpr int kMaxDims = 64;

// How a view was created. This determines whether it may be changed in place. A view of a view has the ViewKind of the
// first view.
enum class ViewKind : uint8_t {
  Recorded,
  OneOfSeveral,  // one of several outputs of an operator, such as unbind, which share a node
  OfFunction,    // created by a custom autograd.Function, whose derivative does not know the base
  NoGrad,        // created with grad mode off: not connected to the graph of its base
  Inference      // created in inference mode: not connected to the graph of its base either
};

class FLAMBEAU_API TensorImpl {
 public:
  static TensorImpl* create();
  void retain() { count_.increase(); }
  void release() {
    if (count_.decrease()) destroy();
  }
  uint32_t use_count() const { return count_.value(); }
  void update_geometry();  // numel and contiguity, after shape or strides changed

  Ref<Storage> storage;
  int64_t offset = 0;  // in elements
  int64_t numel = 0;
  Shape shape;
  Shape strides;         // in elements
  Ref<TensorImpl> base;  // for a view: the tensor whose grad_fn its in-place changes update
  AutogradMeta* autograd = nullptr;
  void* python_object = nullptr;  // borrowed: the Python object of this tensor, if it exists
  Dtype dtype = Dtype::float32;
  bool contiguous = true;
  bool requires_grad = false;  // derived from `autograd`: a leaf that requires a gradient, or a result with a grad_fn
  bool dual = false;           // derived from `autograd`: true if the tensor has tangents
  ViewKind view_kind = ViewKind::Recorded;
  bool counts_changes = true;   // false for `x.data`: writing to it or its views does not increase the version
  bool wrapped_number = false;  // made from a Python number: does not affect type promotion within its category

 private:
  TensorImpl() = default;
  ~TensorImpl();
  void destroy();
  ReferenceCount count_;
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  bool defined() const { return bool(impl_); }
  explicit operator bool() const { return defined(); }
  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& ref() const { return impl_; }

  const Shape& shape() const { return impl_->shape; }
  const Shape& strides() const { return impl_->strides; }
  int64_t size(int64_t dim) const { return impl_->shape[own_dim(dim)]; }
  int64_t stride(int64_t dim) const { return impl_->strides[own_dim(dim)]; }
  int dim() const { return int(impl_->shape.size()); }
  int64_t numel() const { return impl_->numel; }
  Dtype dtype() const { return impl_->dtype; }
  bool is_contiguous() const { return impl_->contiguous; }
  // A view requires a gradient if its base requires a gradient, even if the view was created earlier.
  bool requires_grad() const {
    return impl_->requires_grad || (impl_->base && impl_->base->requires_grad && impl_->view_kind < ViewKind::NoGrad);
  }
  // Returns true if the tensor has forward-mode tangents. A view has the tangents of its base.
  bool dual() const { return impl_->dual || (impl_->base && impl_->base->dual); }
  // Returns true if operations on the tensor may have to be recorded.
  bool tracked() const { return (impl_->requires_grad | impl_->dual) || (impl_->base && (requires_grad() || dual())); }
  Storage& storage() const { return *impl_->storage; }
  Device device() const { return impl_->storage->device(); }
  bool is_meta() const { return device().type == DeviceType::Meta; }
  bool is_cuda() const { return device().type == DeviceType::Cuda; }
  int64_t offset() const { return impl_->offset; }

  char* bytes() const { return static_cast<char*>(impl_->storage->data()) + impl_->offset * item_size(impl_->dtype); }
  char* device_bytes() const {  // the address of a CUDA tensor on its GPU
    return static_cast<char*>(impl_->storage->device_data()) + impl_->offset * item_size(impl_->dtype);
  }
  template <class T>
  T* data() const {
    return reinterpret_cast<T*>(bytes());
  }
  bool same(const Tensor& other) const { return impl_ == other.impl_; }

  // Adds the number of dimensions to a negative dim. Raises IndexError outside [-dims, dims - 1]. A scalar counts as
  // one-dimensional.
  int64_t wrap_dim(int64_t dim) const { return flambeau::Tensor::wrap_dim(dim, this->dim()); }
  static int64_t wrap_dim(int64_t dim, int64_t dims) {
    const int64_t range = dims > 0 ? dims : 1;
    require<IndexError>(dim >= -range && dim < range, "Dimension out of range (expected to be in range of [", -range,
                        ", ", range - 1, "], but got ", dim, ")");
    return dim < 0 ? dim + range : dim;
  }

 private:
  int64_t own_dim(int64_t dim) const {
    require<IndexError>(this->dim() > 0, "Dimension specified as ", dim, " but tensor has no dimensions");
    return wrap_dim(dim);
  }
  Ref<TensorImpl> impl_;
};

inline int64_t product(const Shape& shape) {
  int64_t n = 1;
  for (int64_t s : shape) n *= s;
  return n;
}

FLAMBEAU_API Shape contiguous_strides(const Shape& shape);
// Returns the broadcast shape of two operands. Raises RuntimeError with both shapes if they cannot be broadcast.
FLAMBEAU_API Shape broadcast(const Shape& a, const Shape& b);

FLAMBEAU_API Tensor empty(const Shape& shape, Dtype dtype);
FLAMBEAU_API Tensor full(const Shape& shape, Scalar value, Dtype dtype);
inline Tensor zeros(const Shape& shape, Dtype dtype) { return full(shape, Scalar(0), dtype); }
inline Tensor ones(const Shape& shape, Dtype dtype) { return full(shape, Scalar(1), dtype); }
FLAMBEAU_API Tensor scalar_tensor(Scalar value, Dtype dtype);
// A number as an operand, with the type promotion of Python numbers.
FLAMBEAU_API Tensor wrapped_number(Scalar value);
// Returns a tensor that uses an existing storage.
FLAMBEAU_API Tensor from_storage(Ref<Storage> storage, const Shape& shape, const Shape& strides, int64_t offset,
                                 Dtype dtype);
// Returns a new tensor with the same memory, detached from the graph.
FLAMBEAU_API Tensor alias(const Tensor& t);
FLAMBEAU_API Scalar item(const Tensor& t);

FLAMBEAU_API Dtype default_dtype();
// The dtype of Python numbers of a category.
inline Dtype default_dtype(Category kind) {
  if (kind == Category::Complex) return to_complex(default_dtype());
  return kind == Category::Floating ? default_dtype() : kind == Category::Integer ? Dtype::int64 : Dtype::bool_;
}
FLAMBEAU_API void set_default_dtype(Dtype d);

}  // namespace flambeau
