// Conversion of values to the arguments of C++ functions.
#pragma once

#include "flambeau/operators/networks.h"
#include "flambeau/program.h"

namespace flambeau::program {

[[noreturn]] void wrong_value(const char* expected, const Value& got);

// As<T>::get(value) converts a value. Raises TypeError for a value of another type.
template <class T>
struct As;

template <>
struct As<const Value&> {
  static const Value& get(const Value& v) { return v; }
};
template <>
struct As<const Tensor&> {  // None becomes an undefined tensor
  static const Tensor& get(const Value& v) {
    static const Tensor undefined;
    if (const Tensor* t = std::get_if<Tensor>(&v)) return *t;
    if (std::holds_alternative<None>(v)) return undefined;
    wrong_value("a tensor", v);
  }
};
template <>
struct As<Scalar> {
  static Scalar get(const Value& v);
};
template <>
struct As<const Operand&> {
  static Operand get(const Value& v) {
    if (const Tensor* t = std::get_if<Tensor>(&v)) return *t;
    return As<Scalar>::get(v);
  }
};
template <>
struct As<int64_t> {
  static int64_t get(const Value& v) {
    if (const int64_t* i = std::get_if<int64_t>(&v)) return *i;
    if (const Tensor* t = std::get_if<Tensor>(&v); t && t->dim() == 0) return item(*t).integer();
    wrong_value("an integer", v);
  }
};
template <>
struct As<double> {
  static double get(const Value& v) { return As<Scalar>::get(v).real(); }
};
template <>
struct As<bool> {
  static bool get(const Value& v) {
    if (const bool* b = std::get_if<bool>(&v)) return *b;
    if (std::holds_alternative<None>(v)) return false;
    wrong_value("True or False", v);
  }
};
template <>
struct As<std::string_view> {
  static std::string_view get(const Value& v) {
    if (const std::string* s = std::get_if<std::string>(&v)) return *s;
    wrong_value("a string", v);
  }
};
template <>
struct As<const Shape&> {  // a list of integers, or a single integer
  static Shape get(const Value& v);
};
template <>
struct As<Shape> : As<const Shape&> {};
template <>
struct As<const Tensors&> {  // None in the list becomes an undefined tensor
  static Tensors get(const Value& v);
};
template <>
struct As<Tensors> : As<const Tensors&> {};
template <>
struct As<Dtype> {
  static Dtype get(const Value& v) {
    if (const Dtype* d = std::get_if<Dtype>(&v)) return *d;
    wrong_value("a dtype", v);
  }
};
template <>
struct As<Device> {
  static Device get(const Value& v) {
    if (const Device* d = std::get_if<Device>(&v)) return *d;
    wrong_value("a device", v);
  }
};
template <>
struct As<MemoryFormat> {
  static MemoryFormat get(const Value& v) {
    if (const MemoryFormat* f = std::get_if<MemoryFormat>(&v)) return *f;
    wrong_value("a memory format", v);
  }
};
template <>
struct As<Reduction> {
  static Reduction get(const Value& v);
};
template <class T>
struct As<std::optional<T>> {
  static std::optional<T> get(const Value& v) {
    if (std::holds_alternative<None>(v)) return std::nullopt;
    return As<T>::get(v);
  }
};
template <>
struct As<Tensor> : As<const Tensor&> {};
template <>
struct As<Operand> : As<const Operand&> {};
// Returns true if T is the alternative of a variant that matches the type of the value.
template <class T>
bool is_a(const Value& v) {
  if constexpr (std::is_same_v<T, std::string_view>) return std::holds_alternative<std::string>(v);
  if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) return !std::holds_alternative<Values>(v);
  if constexpr (std::is_same_v<T, Tensor> || std::is_same_v<T, Dtype> || std::is_same_v<T, bool>)
    return std::holds_alternative<T>(v);
}
template <class T, class... Others>
struct As<std::variant<T, Others...>> {  // the first alternative that matches the type of the value, or the last one
  using Variant = std::variant<T, Others...>;
  static Variant get(const Value& v) { return converted<T, Others...>(v); }

 private:
  template <class First, class... Rest>
  static Variant converted(const Value& v) {
    if constexpr (sizeof...(Rest) > 0)
      if (!is_a<First>(v)) return converted<Rest...>(v);
    return As<First>::get(v);
  }
};
template <class T>
struct As<std::vector<T>> {
  static std::vector<T> get(const Value& v) {
    const Values* list = std::get_if<Values>(&v);
    if (!list) wrong_value("a list", v);
    std::vector<T> out;
    out.reserve(list->size());
    for (const Value& item : *list) out.push_back(As<T>::get(item));
    return out;
  }
};
template <>
struct As<std::vector<std::optional<int64_t>>> {  // a list of sizes, some of which may be None
  static std::vector<std::optional<int64_t>> get(const Value& v);
};

}  // namespace flambeau::program
