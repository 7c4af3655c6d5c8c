// Functions at::name(...). Most are generated (functions.inc). This file defines the functions whose overloads in ATen
// differ from the function in Python.
#pragma once

#include <ATen/TensorIndexing.h>
#include <ATen/flambeau/calls.h>

namespace at {

// Reductions
#define FLAMBEAU_EXTREME(name)                                                                             \
  inline Tensor Tensor::name() const {                                                                     \
    return detail::call<Tensor>(FLAMBEAU_METHOD(#name), #name, {*this, c10::nullopt, false});              \
  }                                                                                                        \
  inline Tensor Tensor::name(const Tensor& other) const {                                                  \
    return detail::call<Tensor>(FLAMBEAU_METHOD(#name), #name, {*this, other, false});                     \
  }                                                                                                        \
  inline std::tuple<Tensor, Tensor> Tensor::name(int64_t dim, bool keepdim) const {                        \
    return detail::call<std::tuple<Tensor, Tensor>>(FLAMBEAU_METHOD(#name), #name, {*this, dim, keepdim}); \
  }                                                                                                        \
  inline Tensor name(const Tensor& self) { return self.name(); }                                           \
  inline Tensor name(const Tensor& self, const Tensor& other) { return self.name(other); }                 \
  inline std::tuple<Tensor, Tensor> name(const Tensor& self, int64_t dim, bool keepdim = false) {          \
    return self.name(dim, keepdim);                                                                        \
  }
FLAMBEAU_EXTREME(max)
FLAMBEAU_EXTREME(min)
#undef FLAMBEAU_EXTREME
inline Tensor Tensor::median() const {
  return detail::call<Tensor>(FLAMBEAU_METHOD("median"), "median", {*this, c10::nullopt, false});
}
inline std::tuple<Tensor, Tensor> Tensor::median(int64_t dim, bool keepdim) const {
  return detail::call<std::tuple<Tensor, Tensor>>(FLAMBEAU_METHOD("median"), "median", {*this, dim, keepdim});
}
inline Tensor median(const Tensor& self) { return self.median(); }
inline std::tuple<Tensor, Tensor> median(const Tensor& self, int64_t dim, bool keepdim = false) {
  return self.median(dim, keepdim);
}

#define FLAMBEAU_SPREAD(name)                                                                                \
  inline Tensor Tensor::name(bool unbiased) const {                                                          \
    return detail::call<Tensor>(FLAMBEAU_METHOD(#name), #name, {*this, c10::nullopt, unbiased, false});      \
  }                                                                                                          \
  inline Tensor Tensor::name(detail::OptionalDims dim, bool unbiased, bool keepdim) const {                  \
    return detail::call<Tensor>(FLAMBEAU_METHOD(#name), #name, {*this, dim, unbiased, keepdim});             \
  }                                                                                                          \
  inline Tensor name(const Tensor& self, bool unbiased = true) { return self.name(unbiased); }               \
  inline Tensor name(const Tensor& self, c10::IntArrayRef dim, bool unbiased = true, bool keepdim = false) { \
    return self.name(dim, unbiased, keepdim);                                                                \
  }
FLAMBEAU_SPREAD(std)
FLAMBEAU_SPREAD(var)
#undef FLAMBEAU_SPREAD

inline Tensor Tensor::norm(const c10::Scalar& p) const {
  return Tensor(::flambeau::vector_norm(checked(), p.toDouble(), {}, false));
}
inline Tensor Tensor::norm(const c10::optional<c10::Scalar>& p, c10::IntArrayRef dim, bool keepdim) const {
  return Tensor(::flambeau::vector_norm(checked(), p ? p->toDouble() : 2.0, detail::shape_of(dim), keepdim));
}
inline Tensor norm(const Tensor& self, const c10::Scalar& p = 2) { return self.norm(p); }
inline Tensor norm(const Tensor& self, const c10::optional<c10::Scalar>& p, c10::IntArrayRef dim,
                   bool keepdim = false) {
  return self.norm(p, dim, keepdim);
}
inline std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& self, bool return_inverse = false,
                                                             bool return_counts = false,
                                                             c10::optional<int64_t> dim = c10::nullopt) {
  auto all = detail::call<std::tuple<Tensor, Tensor, Tensor>>(FLAMBEAU_FUNCTION("unique_consecutive"),
                                                              "unique_consecutive", {self, true, true, dim});
  if (!return_inverse) std::get<1>(all) = Tensor();
  if (!return_counts) std::get<2>(all) = Tensor();
  return all;
}
inline std::tuple<Tensor, Tensor, Tensor> _unique2(const Tensor& self, bool sorted = true, bool return_inverse = false,
                                                   bool return_counts = false) {
  auto all = detail::call<std::tuple<Tensor, Tensor, Tensor>>(FLAMBEAU_FUNCTION("unique"), "unique",
                                                              {self, sorted, true, true});
  if (!return_inverse) std::get<1>(all) = Tensor();
  if (!return_counts) std::get<2>(all) = Tensor();
  return all;
}
inline std::tuple<Tensor, Tensor> _unique(const Tensor& self, bool sorted = true, bool return_inverse = false) {
  const auto [values, inverse, counts] = _unique2(self, sorted, return_inverse);
  return {values, inverse};
}
inline std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& self, int64_t dim, bool sorted = true, bool = false,
                                                     bool = false) {
  return detail::call<std::tuple<Tensor, Tensor, Tensor>>(FLAMBEAU_FUNCTION("unique"), "unique",
                                                          {self, sorted, true, true, dim});
}
inline Tensor einsum(c10::string_view equation, TensorList operands) {
  return detail::call_python<Tensor>("einsum", 2, "", {equation, operands});
}

// Factory functions
inline Tensor arange(const c10::Scalar& start, const c10::Scalar& end, const c10::Scalar& step,
                     const c10::TensorOptions& options = {}) {
  return detail::make(FLAMBEAU_FUNCTION("arange"), "arange", {start, end, step, options.dtype_opt()}, options);
}
inline Tensor arange(const c10::Scalar& start, const c10::Scalar& end, const c10::TensorOptions& options = {}) {
  return arange(start, end, 1, options);
}
inline Tensor arange(const c10::Scalar& end, const c10::TensorOptions& options = {}) {
  return arange(0, end, 1, options);
}
inline Tensor randint(int64_t low, int64_t high, c10::IntArrayRef size, const c10::TensorOptions& options = {}) {
  return detail::make(FLAMBEAU_FUNCTION("randint"), "randint",
                      {low, high, detail::Dims(size), c10::nullopt, options.dtype_opt()}, options);
}
inline Tensor randint(int64_t high, c10::IntArrayRef size, const c10::TensorOptions& options = {}) {
  return randint(0, high, size, options);
}
inline Tensor normal(double mean, double std, c10::IntArrayRef size, const c10::TensorOptions& options = {}) {
  return detail::make(FLAMBEAU_FUNCTION("normal"), "normal",
                      {mean, std, detail::Dims(size), c10::nullopt, options.dtype_opt()}, options);
}

// Returns a tensor with the elements of a list or a nested list.
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(c10::ArrayRef<T> values, const c10::TensorOptions& options) {
  const ::flambeau::Tensor out = ::flambeau::empty({int64_t(values.size())}, ::flambeau::dtype_of<T>());
  std::copy(values.begin(), values.end(), out.data<T>());
  return Tensor(out).to(options).set_requires_grad_if(options.requires_grad());
}
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(std::initializer_list<T> values, const c10::TensorOptions& options) {
  return tensor(c10::ArrayRef<T>(values), options);
}
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(const std::vector<T>& values, const c10::TensorOptions& options) {
  return tensor(c10::ArrayRef<T>(values), options);
}
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(T value, const c10::TensorOptions& options) {
  return tensor(c10::ArrayRef<T>(value), options).view(c10::IntArrayRef());
}
namespace detail {
// Returns the default options of tensor(values): the default dtype for floating-point numbers, int64 for integers.
template <class T>
c10::TensorOptions options_of() {
  if (std::is_floating_point_v<T>) return c10::get_default_dtype();
  return std::is_same_v<T, bool> ? c10::kBool : c10::kLong;
}
}  // namespace detail
template <class T>
Tensor tensor(std::initializer_list<T> values) {
  return tensor(c10::ArrayRef<T>(values), detail::options_of<T>());
}
template <class T>
Tensor tensor(const std::vector<T>& values) {
  return tensor(c10::ArrayRef<T>(values), detail::options_of<T>());
}
template <class T>
  requires std::is_arithmetic_v<T>
Tensor tensor(T value) {
  return tensor(value, detail::options_of<T>());
}

// Returns a tensor over memory of the caller. Calls `deleter` when the memory is no longer used.
inline Tensor from_blob(void* data, c10::IntArrayRef sizes, c10::IntArrayRef strides,
                        const std::function<void(void*)>& deleter, const c10::TensorOptions& options = {}) {
  using ::flambeau::Storage;
  const auto dtype = c10::detail::dtype_of(options.dtype().toScalarType());
  int64_t last = sizes.empty() || *std::min_element(sizes.begin(), sizes.end()) > 0 ? 1 : 0;
  for (size_t i = 0; last && i < sizes.size(); ++i) last += (sizes[i] - 1) * strides[i];
  struct Owner {
    void* data;
    std::function<void(void*)> deleter;
  };
  const auto free = [](void* owner) {
    Owner* const o = static_cast<Owner*>(owner);
    if (o->deleter) o->deleter(o->data);
    delete o;
  };
  auto storage = Storage::wrap(data, size_t(last * ::flambeau::item_size(dtype)), free, new Owner{data, deleter});
  return Tensor(
             ::flambeau::from_storage(std::move(storage), detail::shape_of(sizes), detail::shape_of(strides), 0, dtype))
      .set_requires_grad_if(options.requires_grad());
}
inline Tensor from_blob(void* data, c10::IntArrayRef sizes, const std::function<void(void*)>& deleter,
                        const c10::TensorOptions& options = {}) {
  return from_blob(data, sizes, ::flambeau::contiguous_strides(detail::shape_of(sizes)), deleter, options);
}
inline Tensor from_blob(void* data, c10::IntArrayRef sizes, c10::IntArrayRef strides,
                        const c10::TensorOptions& options = {}) {
  return from_blob(data, sizes, strides, std::function<void(void*)>(), options);
}
inline Tensor from_blob(void* data, c10::IntArrayRef sizes, const c10::TensorOptions& options = {}) {
  return from_blob(data, sizes, std::function<void(void*)>(), options);
}

#include <ATen/flambeau/functions.inc>

// Operators
#define FLAMBEAU_OPERATOR(symbol, name)                                                       \
  inline Tensor operator symbol(const Tensor& x, const Tensor& y) { return name(x, y); }      \
  inline Tensor operator symbol(const Tensor& x, const c10::Scalar& y) { return name(x, y); } \
  inline Tensor operator symbol(const c10::Scalar& x, const Tensor& y) { return name(x, y); }
FLAMBEAU_OPERATOR(+, add)
FLAMBEAU_OPERATOR(-, sub)
FLAMBEAU_OPERATOR(*, mul)
FLAMBEAU_OPERATOR(/, div)
FLAMBEAU_OPERATOR(%, remainder)
FLAMBEAU_OPERATOR(==, eq)
FLAMBEAU_OPERATOR(!=, ne)
FLAMBEAU_OPERATOR(<, lt)
FLAMBEAU_OPERATOR(<=, le)
FLAMBEAU_OPERATOR(>, gt)
FLAMBEAU_OPERATOR(>=, ge)
FLAMBEAU_OPERATOR(&, bitwise_and)
FLAMBEAU_OPERATOR(|, bitwise_or)
FLAMBEAU_OPERATOR(^, bitwise_xor)
FLAMBEAU_OPERATOR(&&, logical_and)
FLAMBEAU_OPERATOR(||, logical_or)
#undef FLAMBEAU_OPERATOR
inline Tensor operator!(const Tensor& x) { return logical_not(x); }
inline std::ostream& operator<<(std::ostream& out, const Tensor& t) {
  if (!t.defined()) return out << "[ Tensor (undefined) ]";
  const detail::WithPython held;
  return out << detail::text_of(detail::Object(PyObject_Str(detail::to_python(t).get())).get());
}

inline void Tensor::backward(const Tensor& gradient, c10::optional<bool> retain_graph, bool create_graph) const {
  const detail::WithPython held;
  const detail::Object object = detail::to_python(*this), given = detail::to_python(gradient);
  const detail::Object result(PyObject_CallFunction(object.attribute("backward").get(), "OOO", given.get(),
                                                    retain_graph.value_or(create_graph) ? Py_True : Py_False,
                                                    create_graph ? Py_True : Py_False));
}

// Returns the broadcast shape.
inline std::vector<int64_t> infer_size(c10::IntArrayRef a, c10::IntArrayRef b) {
  const ::flambeau::Shape shape = ::flambeau::broadcast(detail::shape_of(a), detail::shape_of(b));
  return {shape.begin(), shape.end()};
}

}  // namespace at
