// A vector that stores up to N elements within the object. Trivially copyable elements are copied as bytes. If N
// elements take at most 64 bytes, the complete internal storage is copied, so that the size of the copy is constant.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <ostream>
#include <type_traits>
#include <utility>

namespace flambeau {

template <class T, size_t N>
class SmallVector {
 public:
  SmallVector() = default;
  SmallVector(std::initializer_list<T> values) { append(values.begin(), values.end()); }
  explicit SmallVector(size_t n, const T& value = T()) { resize(n, value); }
  template <class Iterator>
  SmallVector(Iterator first, Iterator last) {
    append(first, last);
  }
  SmallVector(const SmallVector& other) { copy(other); }
  SmallVector(SmallVector&& other) noexcept { steal(other); }
  SmallVector& operator=(const SmallVector& other) {
    if (this != &other) {
      clear();
      copy(other);
    }
    return *this;
  }
  SmallVector& operator=(SmallVector&& other) noexcept {
    if (this != &other) {
      release();
      steal(other);
    }
    return *this;
  }
  ~SmallVector() { release(); }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[size_ - 1]; }
  const T& back() const { return data_[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_) grow(size_ + 1);
    new (data_ + size_++) T(std::move(value));
  }
  void pop_back() { data_[--size_].~T(); }
  [[gnu::noinline]] void resize(size_t n, const T& value = T()) {
    if (n > capacity_) grow(n);
    while (size_ > n) pop_back();
    while (size_ < n) new (data_ + size_++) T(value);
  }
  void clear() {
    for (size_t i = 0; i < size_; ++i) data_[i].~T();
    size_ = 0;
  }
  template <class Iterator>
  void append(Iterator first, Iterator last) {
    const size_t extra = static_cast<size_t>(last - first);
    if (size_ + extra > capacity_) grow(size_ + extra);
    if constexpr (kBytes) {
      std::copy(first, last, data_ + size_);
      size_ += uint32_t(extra);
    } else {
      for (; first != last; ++first) new (data_ + size_++) T(*first);
    }
  }
  void insert(size_t at, T value) {
    push_back(value);
    std::move_backward(data_ + at, data_ + size_ - 1, data_ + size_);
    data_[at] = std::move(value);
  }
  void erase(size_t at) {
    std::move(data_ + at + 1, data_ + size_, data_ + at);
    pop_back();
  }
  bool operator==(const SmallVector& other) const {
    return size_ == other.size_ && std::equal(begin(), end(), other.begin());
  }

 private:
  static constexpr bool kBytes = std::is_trivially_copyable_v<T>, kWhole = kBytes && N * sizeof(T) <= 64;

  T* inline_data() { return reinterpret_cast<T*>(inline_); }
  bool is_inline() const { return data_ == reinterpret_cast<const T*>(inline_); }
  void copy(const SmallVector& other) {  // this vector must be empty
    if (kWhole && is_inline() && other.is_inline()) {
      std::memcpy(inline_, other.inline_, sizeof inline_);
      size_ = other.size_;
    } else {
      append(other.begin(), other.end());
    }
  }
  [[gnu::noinline]] void grow(size_t wanted) {
    const size_t capacity = std::max(wanted, size_t(2) * capacity_);
    T* data = static_cast<T*>(::operator new(capacity * sizeof(T)));
    for (size_t i = 0; i < size_; ++i) {
      new (data + i) T(std::move(data_[i]));
      data_[i].~T();
    }
    if (!is_inline()) ::operator delete(data_);
    data_ = data;
    capacity_ = static_cast<uint32_t>(capacity);
  }
  void release() {
    clear();
    if (!is_inline()) ::operator delete(data_);
    data_ = inline_data();
    capacity_ = N;
  }
  void steal(SmallVector& other) {
    if (other.is_inline()) {
      data_ = inline_data();
      size_ = 0;
      capacity_ = N;
      if constexpr (kWhole) {
        std::memcpy(inline_, other.inline_, sizeof inline_);
        size_ = other.size_;
      } else {
        for (T& value : other) new (data_ + size_++) T(std::move(value));
      }
      other.clear();
    } else {
      data_ = other.data_;
      size_ = other.size_;
      capacity_ = other.capacity_;
      other.data_ = other.inline_data();
      other.size_ = 0;
      other.capacity_ = N;
    }
  }

  T* data_ = inline_data();
  uint32_t size_ = 0;
  uint32_t capacity_ = N;
  alignas(T) unsigned char inline_[N * sizeof(T)];
};

using Shape = SmallVector<int64_t, 6>;

inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {  // as PyTorch prints a size: [2, 3]
  out << '[';
  for (size_t i = 0; i < shape.size(); ++i) out << (i ? ", " : "") << shape[i];
  return out << ']';
}

}  // namespace flambeau
