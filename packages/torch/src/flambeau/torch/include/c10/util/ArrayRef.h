// Non-owning views of sequences, and the optional types that ATen's signatures use.
#pragma once

#include <array>
#include <initializer_list>
#include <optional>
#include <string_view>
#include <vector>

#include <c10/util/Exception.h>
#include <flambeau/small_vector.h>

namespace c10 {

using std::make_optional;
using std::nullopt;
using std::nullopt_t;
using std::optional;
using std::string_view;

// A view of elements that another object owns.
template <class T>
class ArrayRef {
 public:
  using value_type = T;
  using size_type = size_t;
  using iterator = const T*;
  using const_iterator = const T*;
  using reverse_iterator = std::reverse_iterator<iterator>;

  constexpr ArrayRef() = default;
  constexpr ArrayRef(const T& one) : data_(&one), size_(1) {}
  constexpr ArrayRef(const T* data, size_t size) : data_(data), size_(size) {}
  constexpr ArrayRef(const T* begin, const T* end) : data_(begin), size_(size_t(end - begin)) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Winit-list-lifetime"  // the view is an argument, so the list outlives it
#endif
  constexpr ArrayRef(std::initializer_list<T> list)
      : data_(list.begin() == list.end() ? nullptr : list.begin()), size_(list.size()) {}
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
  template <class A>
  ArrayRef(const std::vector<T, A>& v) : data_(v.data()), size_(v.size()) {
    static_assert(!std::is_same_v<T, bool>, "an ArrayRef<bool> cannot view a std::vector<bool>, which packs its bits");
  }
  template <size_t N>
  constexpr ArrayRef(const std::array<T, N>& a) : data_(a.data()), size_(N) {}
  template <size_t N>
  constexpr ArrayRef(const T (&a)[N]) : data_(a), size_(N) {}
  template <size_t N>
  ArrayRef(const ::flambeau::SmallVector<T, N>& v) : data_(v.data()), size_(v.size()) {}

  constexpr const T* begin() const { return data_; }
  constexpr const T* end() const { return data_ + size_; }
  constexpr const T* cbegin() const { return begin(); }
  constexpr const T* cend() const { return end(); }
  reverse_iterator rbegin() const { return reverse_iterator(end()); }
  reverse_iterator rend() const { return reverse_iterator(begin()); }
  constexpr bool empty() const { return size_ == 0; }
  constexpr const T* data() const { return data_; }
  constexpr size_t size() const { return size_; }
  const T& front() const { return at(0); }
  const T& back() const { return at(size_ - 1); }
  constexpr const T& operator[](size_t i) const { return data_[i]; }
  const T& at(size_t i) const {
    TORCH_CHECK_INDEX(i < size_, "ArrayRef: index ", i, " is out of range for ", size_, " elements");
    return data_[i];
  }
  bool equals(ArrayRef other) const { return size_ == other.size_ && std::equal(begin(), end(), other.begin()); }
  ArrayRef slice(size_t from, size_t count) const {
    TORCH_CHECK(from + count <= size_, "ArrayRef: slice [", from, ", ", from + count, ") is out of range for ", size_,
                " elements");
    return {data_ + from, count};
  }
  ArrayRef slice(size_t from) const { return slice(from, size_ - from); }
  std::vector<T> vec() const { return std::vector<T>(begin(), end()); }

 private:
  const T* data_ = nullptr;
  size_t size_ = 0;
};

template <class T>
bool operator==(ArrayRef<T> a, ArrayRef<T> b) {
  return a.equals(b);
}
template <class T>
bool operator==(const std::vector<T>& a, ArrayRef<T> b) {
  return ArrayRef<T>(a).equals(b);
}
template <class T>
bool operator==(ArrayRef<T> a, const std::vector<T>& b) {
  return a.equals(ArrayRef<T>(b));
}
template <class T>
std::ostream& operator<<(std::ostream& out, ArrayRef<T> values) {
  out << '[';
  for (size_t i = 0; i < values.size(); ++i) out << (i ? ", " : "") << values[i];
  return out << ']';
}

using IntArrayRef = ArrayRef<int64_t>;
using SymInt = int64_t;
using SymIntArrayRef = IntArrayRef;

template <class T>
class OptionalArrayRef {
 public:
  OptionalArrayRef() = default;
  OptionalArrayRef(nullopt_t) {}
  OptionalArrayRef(ArrayRef<T> values) : values_(values), given_(true) {}
  OptionalArrayRef(const T& one) : values_(one), given_(true) {}
  OptionalArrayRef(std::initializer_list<T> list) : values_(list), given_(true) {}
  OptionalArrayRef(const std::vector<T>& v) : values_(v), given_(true) {}
  OptionalArrayRef(const optional<ArrayRef<T>>& o) : values_(o.value_or(ArrayRef<T>())), given_(o.has_value()) {}
  template <size_t N>
  OptionalArrayRef(const ::flambeau::SmallVector<T, N>& v) : values_(v), given_(true) {}
  bool has_value() const { return given_; }
  explicit operator bool() const { return given_; }
  const ArrayRef<T>& value() const {
    TORCH_CHECK(given_, "OptionalArrayRef: there is no value");
    return values_;
  }
  const ArrayRef<T>& operator*() const { return values_; }
  const ArrayRef<T>* operator->() const { return &values_; }

 private:
  ArrayRef<T> values_;
  bool given_ = false;
};
using OptionalIntArrayRef = OptionalArrayRef<int64_t>;

template <class T, size_t N = 6>
using SmallVector = ::flambeau::SmallVector<T, N>;

// for (const auto i : c10::irange(n))
template <class T>
class integer_range {
 public:
  struct iterator {
    T value;
    T operator*() const { return value; }
    iterator& operator++() {
      ++value;
      return *this;
    }
    bool operator==(const iterator& other) const { return value == other.value; }
  };
  integer_range(T begin, T end) : begin_{begin}, end_{begin > end ? begin : end} {}
  iterator begin() const { return begin_; }
  iterator end() const { return end_; }

 private:
  iterator begin_, end_;
};
template <class T>
integer_range<T> irange(T end) {
  return {T(0), end};
}
template <class T, class U>
integer_range<U> irange(T begin, U end) {
  return {U(begin), end};
}

}  // namespace c10

namespace at {
using c10::ArrayRef;
using c10::IntArrayRef;
using c10::nullopt;
using c10::optional;
using c10::OptionalArrayRef;
using c10::OptionalIntArrayRef;
using c10::SmallVector;
}  // namespace at
