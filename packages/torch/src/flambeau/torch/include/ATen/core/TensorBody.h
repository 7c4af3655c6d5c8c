// at::Tensor: a flambeau tensor with the methods of ATen. Methods that call operators are generated (methods.inc).
#pragma once

#include <tuple>

#include <ATen/core/TensorAccessor.h>
#include <ATen/flambeau/arguments.h>
#include <flambeau/operator.h>

namespace at {

namespace indexing {
struct TensorIndex;
}

namespace detail {
using Tensors2 = std::tuple<Tensor, Tensor>;
using Tensors3 = std::tuple<Tensor, Tensor, Tensor>;
using Tensors4 = std::tuple<Tensor, Tensor, Tensor, Tensor>;
// Defined in calls.h.
template <class T>
T call(const ::flambeau::Operator& op, const char* name, Arguments arguments);
template <size_t N>
Tensor call(const ::flambeau::PointwiseRow& row, const Argument (&arguments)[N]);
inline Tensor make(const ::flambeau::Operator& op, const char* name, Arguments arguments,
                   const c10::TensorOptions& options);
inline void change(const ::flambeau::Operator& op, const char* name, const Tensor& self, Arguments arguments);
template <size_t N>
void change(const ::flambeau::PointwiseRow& row, const Argument (&arguments)[N]);
inline const ::flambeau::Operator& record_of(std::string_view name, bool method);
inline const ::flambeau::PointwiseRow& row_named(std::string_view name);
template <class T>
T call_python(std::string_view path, size_t positional, std::string_view keywords, Arguments arguments);
}  // namespace detail

// The result of the deprecated Tensor::type().
struct DeprecatedTypeProperties {
  c10::ScalarType type;
  c10::Device on;
  c10::ScalarType scalarType() const { return type; }
  c10::Device device() const { return on; }
  bool is_cuda() const { return on.is_cuda(); }
  std::string toString() const { return (on.is_cuda() ? "CUDA" : "CPU") + std::string(c10::toString(type)) + "Type"; }
  friend std::ostream& operator<<(std::ostream& out, const DeprecatedTypeProperties& p) { return out << p.toString(); }
  friend bool operator==(const DeprecatedTypeProperties& a, const DeprecatedTypeProperties& b) {
    return a.type == b.type && a.on == b.on;
  }
};

// Expressions that look up the record of an operator, or the row of a pointwise operator, on first evaluation.
#define FLAMBEAU_FOUND(type, look_up)                 \
  ([]() -> const type& {                              \
    static const type& found = ::at::detail::look_up; \
    return found;                                     \
  }())
#define FLAMBEAU_FUNCTION(name) FLAMBEAU_FOUND(::flambeau::Operator, record_of(name, false))
#define FLAMBEAU_METHOD(name) FLAMBEAU_FOUND(::flambeau::Operator, record_of(name, true))
#define FLAMBEAU_ROW(name) FLAMBEAU_FOUND(::flambeau::PointwiseRow, row_named(name))
// Bodies of the generated functions, which call an operator.
#define FLAMBEAU_CALL(result, form, name, ...)                    \
  {                                                               \
    return detail::call<result>(form(name), name, {__VA_ARGS__}); \
  }
#define FLAMBEAU_CALL_PYTHON(result, path, positional, keywords, ...)              \
  {                                                                                \
    return detail::call_python<result>(path, positional, keywords, {__VA_ARGS__}); \
  }
#define FLAMBEAU_MAKE(form, name, ...)                             \
  {                                                                \
    return detail::make(form(name), name, {__VA_ARGS__}, options); \
  }
#define FLAMBEAU_IN_PLACE(form, name, self, ...)                        \
  {                                                                     \
    return detail::change(form(name), name, self, {__VA_ARGS__}), self; \
  }
#define FLAMBEAU_CALL_IN_PLACE(form, name, ...)                              \
  {                                                                          \
    return detail::call<Tensor>(form(name), name, {__VA_ARGS__}), changed(); \
  }
#define FLAMBEAU_OF_ROW(name, ...)                          \
  {                                                         \
    return detail::call(FLAMBEAU_ROW(name), {__VA_ARGS__}); \
  }
#define FLAMBEAU_ROW_IN_PLACE(name, self, ...)                      \
  {                                                                 \
    return detail::change(FLAMBEAU_ROW(name), {__VA_ARGS__}), self; \
  }
#define FLAMBEAU_OUT(...)                       \
  {                                             \
    return detail::write_out(out, __VA_ARGS__); \
  }

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(::flambeau::Tensor t) : tensor_(std::move(t)) {}
  const ::flambeau::Tensor& native() const { return tensor_; }

  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) = default;
  Tensor& operator=(const Tensor& other) & = default;
  Tensor& operator=(Tensor&& other) & = default;
  // Assignment to a temporary, such as t[0] = x, copies the elements.
  Tensor& operator=(const Tensor& source) && { return copied_from(source); }
  Tensor& operator=(Tensor&& source) && { return copied_from(source); }
  Tensor& operator=(const c10::Scalar& value) && {
    ::flambeau::fill_(tensor_, value.value());
    return *this;
  }

  bool defined() const { return tensor_.defined(); }
  void reset() { tensor_ = ::flambeau::Tensor(); }
  bool is_same(const Tensor& other) const { return tensor_.same(other.tensor_); }
  size_t use_count() const { return defined() ? tensor_.impl()->use_count() : 0; }

  c10::IntArrayRef sizes() const { return checked().shape(); }
  c10::IntArrayRef strides() const { return checked().strides(); }
  c10::IntArrayRef sym_sizes() const { return sizes(); }
  int64_t size(int64_t dim) const { return checked().size(dim); }
  int64_t stride(int64_t dim) const { return checked().stride(dim); }
  int64_t sym_size(int64_t dim) const { return size(dim); }
  int64_t dim() const { return checked().dim(); }
  int64_t ndimension() const { return dim(); }
  int64_t numel() const { return checked().numel(); }
  int64_t storage_offset() const { return checked().offset(); }
  size_t itemsize() const { return size_t(element_size()); }
  int64_t element_size() const { return ::flambeau::item_size(checked().dtype()); }
  size_t nbytes() const { return size_t(numel() * element_size()); }
  caffe2::TypeMeta dtype() const { return scalar_type(); }
  c10::ScalarType scalar_type() const { return c10::detail::scalar_type_of(checked().dtype()); }
  DeprecatedTypeProperties type() const { return {scalar_type(), device()}; }
  c10::Device device() const { return checked().device(); }
  int64_t get_device() const { return is_cuda() ? device().index() : -1; }
  c10::Layout layout() const { return c10::kStrided; }
  c10::TensorOptions options() const { return c10::TensorOptions(scalar_type()).device(device()); }
  bool is_cpu() const { return checked().device() == ::flambeau::DeviceType::Cpu; }
  bool is_cuda() const { return checked().is_cuda(); }
  bool is_meta() const { return checked().is_meta(); }
  bool is_sparse() const { return false; }
  bool is_quantized() const { return false; }
  bool is_mkldnn() const { return false; }
  bool is_hip() const { return false; }
  bool is_mps() const { return false; }
  bool is_xpu() const { return false; }
  bool is_floating_point() const { return ::flambeau::is_floating(checked().dtype()); }
  bool is_complex() const { return ::flambeau::is_complex(checked().dtype()); }
  bool is_contiguous(c10::MemoryFormat format = c10::MemoryFormat::Contiguous) const {
    return ::flambeau::is_contiguous(checked(), c10::detail::native(format));
  }
  bool is_non_overlapping_and_dense() const {
    return ::flambeau::strides_like(checked(), ::flambeau::MemoryFormat::Preserve) == tensor_.strides();
  }

  void* data_ptr() const { return checked().bytes(); }
  const void* const_data_ptr() const { return checked().bytes(); }
  void* mutable_data_ptr() const { return checked().bytes(); }
  template <class T>
  T* data_ptr() const {
    using Element = std::remove_const_t<T>;
    constexpr c10::ScalarType wanted = c10::CppTypeToScalarType<Element>::value;
    TORCH_CHECK(scalar_type() == wanted, "expected scalar type ", wanted, " but found ", scalar_type());
    return reinterpret_cast<T*>(tensor_.bytes());
  }
  template <class T>
  T* mutable_data_ptr() const {
    return data_ptr<T>();
  }
  template <class T>
  const T* const_data_ptr() const {
    return data_ptr<const T>();
  }
  template <class T>
  T* data() const {
    return data_ptr<T>();
  }
  template <class T, size_t N>
  TensorAccessor<T, N> accessor() const& {
    static_assert(N > 0, "accessor is used for indexing tensor, for scalars use *data_ptr<T>()");
    TORCH_CHECK(dim() == int64_t(N), "TensorAccessor expected ", N, " dims but tensor has ", dim());
    return {data_ptr<T>(), sizes().data(), strides().data()};
  }
  template <class T, size_t N>
  TensorAccessor<T, N> accessor() && = delete;
  template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits, class index_t = int64_t>
  GenericPackedTensorAccessor<T, N, PtrTraits, index_t> generic_packed_accessor() const& {
    TORCH_CHECK(dim() == int64_t(N), "TensorAccessor expected ", N, " dims but tensor has ", dim());
    return {data_ptr<T>(), sizes().data(), strides().data()};
  }
  template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits>
  PackedTensorAccessor32<T, N, PtrTraits> packed_accessor32() const& {
    return generic_packed_accessor<T, N, PtrTraits, int32_t>();
  }
  template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits>
  PackedTensorAccessor64<T, N, PtrTraits> packed_accessor64() const& {
    return generic_packed_accessor<T, N, PtrTraits, int64_t>();
  }
  template <class T, size_t N, template <class U> class PtrTraits = DefaultPtrTraits, class index_t = int64_t>
  GenericPackedTensorAccessor<T, N, PtrTraits, index_t> packed_accessor() const& {
    return generic_packed_accessor<T, N, PtrTraits, index_t>();
  }
  c10::Scalar item() const { return ::flambeau::item(checked()); }
  template <class T>
  T item() const {
    return item().to<T>();
  }

  // Conversions
  Tensor to(c10::ScalarType dtype, bool = false, bool copy = false,
            c10::optional<c10::MemoryFormat> format = c10::nullopt) const {
    return converted(dtype, c10::nullopt, copy, format);
  }
  Tensor to(caffe2::TypeMeta dtype, bool = false, bool copy = false) const {
    return to(dtype.toScalarType(), false, copy);
  }
  Tensor to(c10::Device device, bool = false, bool copy = false) const {
    return converted(c10::nullopt, device, copy, c10::nullopt);
  }
  Tensor to(c10::Device device, c10::ScalarType dtype, bool = false, bool copy = false,
            c10::optional<c10::MemoryFormat> format = c10::nullopt) const {
    return converted(dtype, device, copy, format);
  }
  Tensor to(c10::DeviceType device, bool non_blocking = false, bool copy = false) const {
    return to(c10::Device(device), non_blocking, copy);
  }
  Tensor to(c10::TensorOptions options, bool = false, bool copy = false,
            c10::optional<c10::MemoryFormat> format = c10::nullopt) const {
    return converted(options.dtype_opt(), options.device_opt(), copy, format ? format : options.memory_format_opt());
  }
  Tensor to(const Tensor& other, bool = false, bool copy = false) const {
    return converted(other.scalar_type(), other.device(), copy, c10::nullopt);
  }
  Tensor toType(c10::ScalarType dtype) const { return to(dtype); }
  Tensor type_as(const Tensor& other) const { return to(other.scalar_type()); }
  Tensor cpu() const { return to(c10::kCPU); }
  Tensor cuda() const { return to(c10::kCUDA); }
  Tensor contiguous(c10::MemoryFormat format = c10::MemoryFormat::Contiguous) const {
    return Tensor(::flambeau::contiguous(checked(), c10::detail::native(format)));
  }
  Tensor view(c10::IntArrayRef size) const { return Tensor(::flambeau::view(checked(), {size.begin(), size.end()})); }
  Tensor view(c10::ScalarType dtype) const {
    return Tensor(::flambeau::view_dtype(checked(), c10::detail::dtype_of(dtype)));
  }
  Tensor& copy_(const Tensor& source, bool = false) const { return changed().copied_from(source); }

  // Reductions to one value, or along a dimension to values and indices
  Tensor max() const;
  Tensor min() const;
  Tensor max(const Tensor& other) const;
  Tensor min(const Tensor& other) const;
  std::tuple<Tensor, Tensor> max(int64_t dim, bool keepdim = false) const;
  std::tuple<Tensor, Tensor> min(int64_t dim, bool keepdim = false) const;
  Tensor median() const;
  std::tuple<Tensor, Tensor> median(int64_t dim, bool keepdim = false) const;
  Tensor std(bool unbiased = true) const;
  Tensor std(detail::OptionalDims dim, bool unbiased = true, bool keepdim = false) const;
  Tensor var(bool unbiased = true) const;
  Tensor var(detail::OptionalDims dim, bool unbiased = true, bool keepdim = false) const;
  Tensor norm(const c10::Scalar& p = 2) const;
  Tensor norm(const c10::optional<c10::Scalar>& p, c10::IntArrayRef dim, bool keepdim = false) const;

  // Indexing
  Tensor operator[](int64_t i) const { return Tensor(::flambeau::select(checked(), 0, i)); }
  Tensor operator[](const Tensor& index) const;
  Tensor operator[](const c10::Scalar& i) const { return (*this)[i.toLong()]; }
  Tensor index(c10::ArrayRef<indexing::TensorIndex> indices) const;
  Tensor index(std::initializer_list<indexing::TensorIndex> indices) const;
  Tensor index(const std::vector<c10::optional<Tensor>>& indices) const;
  const Tensor& index_put_(std::initializer_list<indexing::TensorIndex> indices, const Tensor& values) const;
  const Tensor& index_put_(std::initializer_list<indexing::TensorIndex> indices, const c10::Scalar& value) const;
  const Tensor& index_put_(const std::vector<c10::optional<Tensor>>& indices, const Tensor& values,
                           bool accumulate = false) const;
  Tensor slice(int64_t dim = 0, c10::optional<int64_t> start = c10::nullopt, c10::optional<int64_t> end = c10::nullopt,
               int64_t step = 1) const {
    return Tensor(::flambeau::slice(checked(), dim, start.value_or(0), end.value_or(INT64_MAX), step));
  }

  // Autograd
  bool requires_grad() const { return checked().requires_grad(); }
  const Tensor& requires_grad_(bool value = true) const { return set_requires_grad(value); }
  const Tensor& set_requires_grad(bool value) const {
    TORCH_CHECK(::flambeau::autograd_hooks || !value, "requires_grad needs the package flambeau-autograd");
    if (::flambeau::autograd_hooks) ::flambeau::autograd_hooks->set_requires_grad(checked(), value);
    return *this;
  }
  Tensor set_requires_grad_if(bool value) && {
    if (value) set_requires_grad(true);
    return std::move(*this);
  }
  bool is_leaf() const { return !checked().impl()->autograd || !tensor_.impl()->autograd->grad_fn; }
  Tensor grad() const { return Tensor(::flambeau::meta_of(checked()).grad); }
  Tensor tensor_data() const { return Tensor(::flambeau::alias(checked())); }
  Tensor variable_data() const { return tensor_data(); }
  Tensor data() const { return tensor_data(); }
  void backward(const Tensor& gradient = {}, c10::optional<bool> retain_graph = c10::nullopt,
                bool create_graph = false) const;

  Tensor operator-() const { return Tensor(::flambeau::neg(checked())); }
  Tensor operator~() const { return bitwise_not(); }
#define FLAMBEAU_ASSIGNMENT(symbol, name)                                          \
  Tensor& operator symbol(const Tensor& other) { return name(other), *this; }      \
  Tensor& operator symbol(const c10::Scalar& other) { return name(other), *this; } \
  Tensor& operator symbol(double other) { return name(other), *this; }
  FLAMBEAU_ASSIGNMENT(+=, add_)
  FLAMBEAU_ASSIGNMENT(-=, sub_)
  FLAMBEAU_ASSIGNMENT(*=, mul_)
  FLAMBEAU_ASSIGNMENT(/=, div_)
#undef FLAMBEAU_ASSIGNMENT

#include <ATen/flambeau/methods.inc>

 private:
  const ::flambeau::Tensor& checked() const {
    TORCH_CHECK(tensor_.defined(), "an undefined tensor has no elements, sizes or dtype");
    return tensor_;
  }
  // In-place methods are const, as in ATen: the elements change, not the handle.
  Tensor& changed() const { return const_cast<Tensor&>(*this); }
  Tensor& copied_from(const Tensor& source) {
    ::flambeau::copy_(checked(), source.tensor_);
    return *this;
  }
  Tensor converted(c10::optional<c10::ScalarType> dtype, c10::optional<c10::Device> device, bool copy,
                   c10::optional<c10::MemoryFormat> format) const {
    using enum ::flambeau::MemoryFormat;
    const auto wanted = format ? c10::detail::native(*format) : Preserve;
    const ::flambeau::Tensor there = device ? ::flambeau::to(checked(), device->native()) : checked();
    const auto type = dtype ? c10::detail::dtype_of(*dtype) : there.dtype();
    if (type != there.dtype()) return Tensor(::flambeau::to(there, type, wanted));
    const bool fresh = !there.same(tensor_), ordered = wanted == Preserve || ::flambeau::is_contiguous(there, wanted);
    return Tensor((copy && !fresh) || !ordered ? ::flambeau::clone(there, wanted) : there);
  }

  ::flambeau::Tensor tensor_;
};

using TensorBase = Tensor;

namespace detail {

inline Argument::Argument(const Tensor& t) : kind(t.defined() ? OfTensor : None), data(&t) {}
inline Argument::Argument(const Operand& o) : Argument(o.number()) {
  if (o.tensor()) *this = Argument(*o.tensor());
}
inline const ::flambeau::Tensor& Argument::tensor() const { return static_cast<const Tensor*>(data)->native(); }

}  // namespace detail
}  // namespace at
