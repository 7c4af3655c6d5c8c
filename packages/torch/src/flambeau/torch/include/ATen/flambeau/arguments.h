// Types for the arguments of ATen's functions. They convert implicitly from the types of ATen's interface.
#pragma once

#include <c10/core/TensorOptions.h>

namespace at {

class Tensor;
class Generator;
using TensorList = c10::ArrayRef<Tensor>;

namespace detail {

// Sizes or dimensions. Distinguishes a single integer from a list of one integer, because `split` requires this.
class Dims : public c10::IntArrayRef {
 public:
  Dims() = default;
  Dims(const int64_t& one) : IntArrayRef(one), single_(true) {}
  Dims(std::initializer_list<int64_t> list) : IntArrayRef(list) {}
  Dims(c10::IntArrayRef values) : IntArrayRef(values) {}
  Dims(const std::vector<int64_t>& values) : IntArrayRef(values) {}
  template <size_t N>
  Dims(const std::array<int64_t, N>& values) : IntArrayRef(values) {}
  template <size_t N>
  Dims(const c10::SmallVector<int64_t, N>& values) : IntArrayRef(values) {}
  bool single() const { return single_; }

 private:
  bool single_ = false;
};

class OptionalDims {
 public:
  OptionalDims() = default;
  OptionalDims(c10::nullopt_t) {}
  template <class T>
    requires(std::is_class_v<T> && std::is_convertible_v<const T&, Dims>)
  OptionalDims(const T& dims) : dims_(dims), given_(true) {}
  template <class T>
    requires std::is_integral_v<T>
  OptionalDims(T one) : kept_(int64_t(one)), dims_(kept_), given_(true) {}
  OptionalDims(std::initializer_list<int64_t> list) : dims_(list), given_(true) {}
  OptionalDims(const c10::OptionalIntArrayRef& dims) : given_(dims.has_value()) {
    if (given_) dims_ = Dims(*dims);
  }
  OptionalDims(const OptionalDims&) = delete;  // the object contains a pointer to itself
  const Dims* get() const { return given_ ? &dims_ : nullptr; }

 private:
  int64_t kept_ = 0;
  Dims dims_;
  bool given_ = false;
};

// A tensor or a number.
class Operand {
 public:
  Operand(const Tensor& t) : tensor_(&t) {}
  Operand(const c10::Scalar& s) : number_(s) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  Operand(T v) : number_(v) {}
  Operand(c10::Half v) : number_(v) {}
  Operand(c10::BFloat16 v) : number_(v) {}
  template <class T>
  Operand(c10::complex<T> v) : number_(v) {}
  const Tensor* tensor() const { return tensor_; }
  const c10::Scalar& number() const { return number_; }

 private:
  const Tensor* tensor_ = nullptr;
  c10::Scalar number_;
};

struct Argument {
  enum Kind : uint8_t { None, OfTensor, OfNumber, OfDims, OfDtype, OfFormat, OfText, OfTensors, OfDoubles, OfDevice };

  Argument(c10::nullopt_t) {}
  Argument(const Tensor& t);
  Argument(const Operand& operand);
  Argument(const c10::Scalar& s) : kind(OfNumber), number(s.value()) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  Argument(T v) : Argument(c10::Scalar(v)) {}
  Argument(const Dims& d) : kind(OfDims), single(d.single()), data(d.data()), size(d.size()) {}
  Argument(const OptionalDims& d) {
    if (const Dims* const given = d.get()) *this = Argument(*given);
  }
  Argument(c10::ScalarType t) : kind(OfDtype), dtype(c10::detail::dtype_of(t)) {}
  Argument(c10::MemoryFormat f) : kind(OfFormat), format(c10::detail::native(f)) {}
  Argument(std::string_view text) : kind(OfText), data(text.data()), size(text.size()) {}
  Argument(const char* text) : Argument(std::string_view(text)) {}
  Argument(const std::string& text) : Argument(std::string_view(text)) {}
  Argument(TensorList tensors) : kind(OfTensors), data(tensors.data()), size(tensors.size()) {}
  Argument(c10::ArrayRef<double> values) : kind(OfDoubles), data(values.data()), size(values.size()) {}
  Argument(c10::Device d) : kind(OfDevice), device(d.native()) {}
  template <class T>
  Argument(const c10::optional<T>& value) {
    if (value) *this = Argument(*value);
  }

  const ::flambeau::Tensor& tensor() const;
  c10::IntArrayRef dims() const { return {static_cast<const int64_t*>(data), size}; }
  TensorList tensors() const { return {static_cast<const Tensor*>(data), size}; }
  c10::ArrayRef<double> doubles() const { return {static_cast<const double*>(data), size}; }
  std::string_view text() const { return {static_cast<const char*>(data), size}; }

  Kind kind = None;
  bool single = false;
  const void* data = nullptr;  // for OfTensor: pointer to the at::Tensor
  size_t size = 0;
  ::flambeau::Scalar number;
  ::flambeau::Dtype dtype{};
  ::flambeau::MemoryFormat format{};
  ::flambeau::Device device;
};
using Arguments = std::initializer_list<Argument>;

}  // namespace detail
}  // namespace at
