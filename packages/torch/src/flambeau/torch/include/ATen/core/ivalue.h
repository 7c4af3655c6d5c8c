// c10::IValue: a value of any type that an operator takes or returns; c10::List and c10::Dict.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <variant>

#include <ATen/core/TensorBody.h>

namespace c10 {

class IValue;
template <class T>
class List;

namespace detail {
// Conversions between a C++ value and an IValue, for the elements of lists and dictionaries.
template <class T>
IValue pack(T&& value);
template <class T>
T unpack(const IValue& value);
}  // namespace detail

class IValue {
 public:
  struct Tuple {
    std::vector<IValue> elements_;
    const std::vector<IValue>& elements() const { return elements_; }
  };
  using Values = std::vector<IValue>;
  using Entries = std::vector<std::pair<IValue, IValue>>;
  struct Keyed {
    Entries entries;
  };

  IValue() = default;
  IValue(nullopt_t) {}
  IValue(at::Tensor t) {
    if (t.defined()) value_ = std::move(t);
  }
  IValue(bool v) : value_(v) {}
  template <class T>
    requires(std::is_integral_v<T> && !std::is_same_v<T, bool>)
  IValue(T v) : value_(int64_t(v)) {}
  template <class T>
    requires std::is_floating_point_v<T>
  IValue(T v) : value_(double(v)) {}
  IValue(complex<double> v) : value_(v) {}
  IValue(const Scalar& s) {
    if (s.isComplex())
      value_ = s.toComplexDouble();
    else if (s.isFloatingPoint())
      value_ = s.toDouble();
    else if (s.isBoolean())
      value_ = s.toBool();
    else
      value_ = s.toLong();
  }
  IValue(std::string v) : value_(std::move(v)) {}
  IValue(const char* v) : value_(std::string(v)) {}
  IValue(string_view v) : value_(std::string(v)) {}
  IValue(ScalarType v) : value_(v) {}
  IValue(Device v) : value_(v) {}
  IValue(Tuple v) : value_(std::make_shared<Tuple>(std::move(v))) {}
  IValue(std::shared_ptr<Values> list) : value_(std::move(list)) {}
  IValue(std::shared_ptr<Keyed> dict) : value_(std::move(dict)) {}
  template <class T>
  IValue(const std::vector<T>& list) : IValue(ArrayRef<T>(list)) {}
  IValue(const std::vector<bool>& list) : value_(std::make_shared<Values>(list.begin(), list.end())) {}
  template <class T>
  IValue(ArrayRef<T> list) : value_(std::make_shared<Values>(list.begin(), list.end())) {}
  template <class T>
  IValue(const optional<T>& v) {
    if (v) *this = IValue(*v);
  }

  bool isNone() const { return std::holds_alternative<std::monostate>(value_); }
  bool isTensor() const { return is<at::Tensor>(); }
  bool isInt() const { return is<int64_t>(); }
  bool isDouble() const { return is<double>(); }
  bool isBool() const { return is<bool>(); }
  bool isString() const { return is<std::string>(); }
  bool isComplexDouble() const { return is<complex<double>>(); }
  bool isDevice() const { return is<Device>(); }
  bool isScalar() const { return isInt() || isDouble() || isBool() || isComplexDouble(); }
  bool isList() const { return is<std::shared_ptr<Values>>(); }
  bool isTuple() const { return is<std::shared_ptr<Tuple>>(); }
  bool isGenericDict() const { return is<std::shared_ptr<Keyed>>(); }

  at::Tensor toTensor() const { return isNone() ? at::Tensor() : get<at::Tensor>("Tensor"); }
  int64_t toInt() const { return isBool() ? int64_t(std::get<bool>(value_)) : get<int64_t>("int"); }
  double toDouble() const { return isInt() ? double(std::get<int64_t>(value_)) : get<double>("float"); }
  bool toBool() const { return get<bool>("bool"); }
  const std::string& toStringRef() const { return get<std::string>("str"); }
  string_view toStringView() const { return toStringRef(); }
  complex<double> toComplexDouble() const { return get<complex<double>>("complex"); }
  Device toDevice() const { return get<Device>("Device"); }
  ScalarType toScalarType() const {
    return isInt() ? ScalarType(std::get<int64_t>(value_)) : get<ScalarType>("ScalarType");
  }
  Scalar toScalar() const {
    if (isInt()) return Scalar(std::get<int64_t>(value_));
    if (isBool()) return Scalar(std::get<bool>(value_));
    if (isComplexDouble()) return Scalar(toComplexDouble());
    return Scalar(get<double>("Scalar"));
  }
  std::vector<int64_t> toIntVector() const { return vector<int64_t>(); }
  List<int64_t> toIntList() const;
  List<double> toDoubleList() const;
  List<bool> toBoolList() const;
  List<at::Tensor> toTensorList() const;
  std::vector<double> toDoubleVector() const { return vector<double>(); }
  std::vector<at::Tensor> toTensorVector() const { return vector<at::Tensor>(); }
  std::shared_ptr<Tuple> toTuple() const { return get<std::shared_ptr<Tuple>>("tuple"); }
  const Values& values() const { return *get<std::shared_ptr<Values>>("list"); }
  std::shared_ptr<Keyed> keyed() const { return get<std::shared_ptr<Keyed>>("dict"); }
  template <class T>
  T to() const {
    return detail::unpack<T>(*this);
  }
  template <class T>
  optional<T> toOptional() const {
    if (isNone()) return nullopt;
    return to<T>();
  }
  // The name of the value's type, for error messages.
  const char* tagKind() const {
    constexpr const char* names[] = {"None", "Tensor",     "bool",   "int",  "float", "complex",
                                     "str",  "ScalarType", "Device", "list", "tuple", "dict"};
    return names[value_.index()];
  }
  template <class Visitor>
  decltype(auto) visit(Visitor&& visitor) const {
    return std::visit(std::forward<Visitor>(visitor), value_);
  }

 private:
  template <class T>
  bool is() const {
    return std::holds_alternative<T>(value_);
  }
  template <class T>
  const T& get(const char* wanted) const {
    if (const T* const value = std::get_if<T>(&value_)) return *value;
    ::flambeau::detail::raise<TypeError>("Expected ", wanted, " but got ", tagKind());
  }
  template <class T>
  std::vector<T> vector() const {
    std::vector<T> out;
    for (const IValue& value : values()) out.push_back(detail::unpack<T>(value));
    return out;
  }
  std::variant<std::monostate, at::Tensor, bool, int64_t, double, complex<double>, std::string, ScalarType, Device,
               std::shared_ptr<Values>, std::shared_ptr<Tuple>, std::shared_ptr<Keyed>>
      value_;
};

// A list. Copies share the elements.
template <class T>
class List {
 public:
  List() : values_(std::make_shared<IValue::Values>()) {}
  List(std::initializer_list<T> values) : List() {
    for (const T& value : values) push_back(value);
  }
  explicit List(ArrayRef<T> values) : List() {
    for (const T& value : values) push_back(value);
  }
  explicit List(std::shared_ptr<IValue::Values> values) : values_(std::move(values)) {}
  size_t size() const { return values_->size(); }
  bool empty() const { return values_->empty(); }
  T get(size_t i) const { return detail::unpack<T>(values_->at(i)); }
  T operator[](size_t i) const { return get(i); }
  void set(size_t i, const T& value) const { values_->at(i) = detail::pack(value); }
  void push_back(const T& value) const { values_->push_back(detail::pack(value)); }
  void emplace_back(const T& value) const { push_back(value); }
  void reserve(size_t n) const { values_->reserve(n); }
  std::vector<T> vec() const {
    std::vector<T> out;
    for (const IValue& value : *values_) out.push_back(detail::unpack<T>(value));
    return out;
  }
  auto begin() const { return Iterator{this, 0}; }
  auto end() const { return Iterator{this, size()}; }
  const std::shared_ptr<IValue::Values>& shared() const { return values_; }

 private:
  struct Iterator {
    const List* list;
    size_t i;
    T operator*() const { return list->get(i); }
    Iterator& operator++() { return ++i, *this; }
    bool operator==(const Iterator& other) const { return i == other.i; }
  };
  std::shared_ptr<IValue::Values> values_;
};

inline List<int64_t> IValue::toIntList() const { return to<List<int64_t>>(); }
inline List<double> IValue::toDoubleList() const { return to<List<double>>(); }
inline List<bool> IValue::toBoolList() const { return to<List<bool>>(); }
inline List<at::Tensor> IValue::toTensorList() const { return to<List<at::Tensor>>(); }

// A dictionary that preserves the order of insertion. Copies share the entries.
template <class K, class V>
class Dict {
 public:
  class Entry {
   public:
    Entry(IValue::Keyed* dict, size_t i) : dict_(dict), i_(i) {}
    K key() const { return detail::unpack<K>(dict_->entries[i_].first); }
    V value() const { return detail::unpack<V>(dict_->entries[i_].second); }
    void setValue(const V& value) const { dict_->entries[i_].second = detail::pack(value); }
    const Entry& operator*() const { return *this; }
    const Entry* operator->() const { return this; }
    Entry& operator++() { return ++i_, *this; }
    bool operator==(const Entry& other) const { return i_ == other.i_; }

   private:
    IValue::Keyed* dict_;
    size_t i_;
  };
  Dict() : dict_(std::make_shared<IValue::Keyed>()) {}
  explicit Dict(std::shared_ptr<IValue::Keyed> dict) : dict_(std::move(dict)) {
    for (size_t i = 0; i < dict_->entries.size(); ++i) places_[detail::unpack<K>(dict_->entries[i].first)] = i;
  }
  size_t size() const { return dict_->entries.size(); }
  bool empty() const { return size() == 0; }
  bool contains(const K& key) const { return places_.count(key); }
  Entry find(const K& key) const {
    const auto found = places_.find(key);
    return {dict_.get(), found == places_.end() ? size() : found->second};
  }
  V at(const K& key) const {
    TORCH_CHECK_INDEX(contains(key), "Argument passed to at() was not in the map.");
    return find(key).value();
  }
  void insert_or_assign(const K& key, const V& value) {
    if (contains(key)) return find(key).setValue(value);
    places_[key] = size();
    dict_->entries.emplace_back(detail::pack(key), detail::pack(value));
  }
  void insert(const K& key, const V& value) {
    if (!contains(key)) insert_or_assign(key, value);
  }
  Entry begin() const { return {dict_.get(), 0}; }
  Entry end() const { return {dict_.get(), size()}; }
  const std::shared_ptr<IValue::Keyed>& shared() const { return dict_; }

 private:
  std::shared_ptr<IValue::Keyed> dict_;
  std::map<K, size_t> places_;
};

namespace detail {

template <class T>
struct Unpacked {  // converts an IValue to T; this template is for types that are not containers
  static T from(const IValue& v) {
    if constexpr (std::is_same_v<T, IValue>)
      return v;
    else if constexpr (std::is_same_v<T, at::Tensor>)
      return v.toTensor();
    else if constexpr (std::is_same_v<T, bool>)
      return v.toBool();
    else if constexpr (std::is_integral_v<T>)
      return T(v.toInt());
    else if constexpr (std::is_floating_point_v<T>)
      return T(v.toDouble());
    else if constexpr (std::is_same_v<T, std::string>)
      return v.toStringRef();
    else if constexpr (std::is_same_v<T, string_view>)
      return v.toStringView();
    else if constexpr (std::is_same_v<T, complex<double>>)
      return v.toComplexDouble();
    else if constexpr (std::is_same_v<T, Scalar>)
      return v.toScalar();
    else if constexpr (std::is_same_v<T, ScalarType>)
      return v.toScalarType();
    else if constexpr (std::is_same_v<T, Device>)
      return v.toDevice();
    else
      static_assert(!sizeof(T*),
                    "an operator takes and returns tensors, numbers, strings, dtypes, devices, and "
                    "optionals, lists, tuples and dictionaries of these; this is another C++ type");
  }
};
template <class T>
struct Unpacked<optional<T>> {
  static optional<T> from(const IValue& v) {
    if (v.isNone()) return nullopt;
    return unpack<T>(v);
  }
};
template <class T>
struct Unpacked<std::vector<T>> {
  static std::vector<T> from(const IValue& v) {
    std::vector<T> out;
    if (v.isInt() || v.isDouble() || v.isTensor())
      out.push_back(unpack<T>(v));
    else if (v.isTuple())
      for (const IValue& value : v.toTuple()->elements()) out.push_back(unpack<T>(value));
    else
      for (const IValue& value : v.values()) out.push_back(unpack<T>(value));
    return out;
  }
};
template <class T, size_t N>
struct Unpacked<std::array<T, N>> {
  static std::array<T, N> from(const IValue& v) {
    TORCH_CHECK(v.values().size() == N, "Expected a list of ", N, " elements, got ", v.values().size());
    std::array<T, N> out;
    for (size_t i = 0; i < N; ++i) out[i] = unpack<T>(v.values()[i]);
    return out;
  }
};
template <class T>
struct Unpacked<List<T>> {
  static List<T> from(const IValue& v) { return List<T>(std::make_shared<IValue::Values>(v.values())); }
};
template <class K, class V>
struct Unpacked<Dict<K, V>> {
  static Dict<K, V> from(const IValue& v) { return Dict<K, V>(v.keyed()); }
};
template <class... T>
struct Unpacked<std::tuple<T...>> {
  static std::tuple<T...> from(const IValue& v) {
    const auto elements = v.toTuple()->elements();
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return std::tuple<T...>(unpack<T>(elements.at(I))...);
    }(std::index_sequence_for<T...>());
  }
};
template <class T>
T unpack(const IValue& value) {
  return Unpacked<T>::from(value);
}

template <class T>
struct Packed {
  static IValue from(const T& v) { return IValue(v); }
};
template <class T>
struct Packed<std::vector<T>> {
  static IValue from(const std::vector<T>& v) {
    auto out = std::make_shared<IValue::Values>();
    for (const T& value : v) out->push_back(pack(value));
    return out;
  }
};
template <class T>
struct Packed<List<T>> {
  static IValue from(const List<T>& v) { return v.shared(); }
};
template <class K, class V>
struct Packed<Dict<K, V>> {
  static IValue from(const Dict<K, V>& v) { return v.shared(); }
};
template <class... T>
struct Packed<std::tuple<T...>> {
  static IValue from(const std::tuple<T...>& v) {
    return std::apply([](const T&... values) { return IValue(IValue::Tuple{{pack(values)...}}); }, v);
  }
};
template <class T>
IValue pack(T&& value) {
  return Packed<std::remove_cvref_t<T>>::from(value);
}

}  // namespace detail
}  // namespace c10

namespace at {
using c10::IValue;
}
