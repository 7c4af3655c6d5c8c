// Tensor elements for the stand-ins of NVIDIA's libraries. They read and write elements of any type as complex numbers
// of two doubles.
#pragma once

#include <cmath>
#include <complex>
#include <cstdint>
#include <cstring>

#include "state.h"

namespace emulated {

enum class Element {
  kReal16,
  kBrain16,
  kReal32,
  kReal64,
  kComplex32,
  kComplex64,
  kInt8,
  kUint8,
  kInt32,
  kInt64,
  kUint32,
  kUint64,
  kNone
};
using Number = std::complex<double>;

inline size_t bytes_of(Element e) {
  static constexpr size_t bytes[] = {2, 2, 4, 8, 8, 16, 1, 1, 4, 8, 4, 8, 0};
  return bytes[int(e)];
}

// Calls f with the address converted to a pointer to the element type. Does nothing for bfloat16.
template <class F>
void with_type(Element e, void* address, F&& f) {
  switch (e) {
    case Element::kReal16:
      return f(static_cast<_Float16*>(address));
    case Element::kReal32:
      return f(static_cast<float*>(address));
    case Element::kReal64:
      return f(static_cast<double*>(address));
    case Element::kComplex32:
      return f(static_cast<std::complex<float>*>(address));
    case Element::kComplex64:
      return f(static_cast<std::complex<double>*>(address));
    case Element::kInt8:
      return f(static_cast<int8_t*>(address));
    case Element::kUint8:
      return f(static_cast<uint8_t*>(address));
    case Element::kInt32:
      return f(static_cast<int32_t*>(address));
    case Element::kInt64:
      return f(static_cast<int64_t*>(address));
    case Element::kUint32:
      return f(static_cast<uint32_t*>(address));
    case Element::kUint64:
      return f(static_cast<uint64_t*>(address));
    default:
      return;
  }
}

// Rounds a float to the nearest number whose last bits are 0, ties to even, and returns its bits.
inline uint32_t rounded_bits(float value, int last) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isfinite(value)) bits += (uint32_t(1) << (last - 1)) - 1 + (bits >> last & 1);
  return bits >> last << last;
}
inline float float_of(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline Number in_tf32(Number n) {
  return {float_of(rounded_bits(float(n.real()), 13)), float_of(rounded_bits(float(n.imag()), 13))};
}

inline Number read(Element e, const void* data, int64_t index) {
  if (e == Element::kBrain16) return float_of(uint32_t(static_cast<const uint16_t*>(data)[index]) << 16);
  Number out;
  with_type(e, const_cast<void*>(data), [&](auto* numbers) { out = Number(numbers[index]); });
  return out;
}
inline void write(Element e, void* data, int64_t index, Number value) {
  if (e == Element::kBrain16) {
    static_cast<uint16_t*>(data)[index] = uint16_t(rounded_bits(float(value.real()), 16) >> 16);
    return;
  }
  with_type(e, data, [&](auto* numbers) {
    using T = std::remove_pointer_t<decltype(numbers)>;
    if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::complex<double>>)
      numbers[index] = T(value);
    else
      numbers[index] = T(value.real());
  });
}

// Device memory that an operation reads or writes. While the object exists, the host can access the memory, if all of
// it is allocated.
class Region {
 public:
  Region(const void* start, size_t bytes) : context_(bytes ? context_of(start) : nullptr) {
    whole_ = bytes == 0 || (context_ && context_->memory.contains(start, bytes));
    if (context_ && whole_) access_.emplace(context_->memory);
  }
  bool whole() const { return whole_; }

 private:
  Context* context_;
  bool whole_;
  std::optional<Access> access_;
};

// Submits work that accesses these regions.
template <class F>
int submit_with(const Call& call, Stream* handle, const char* what, std::vector<std::pair<const void*, size_t>> regions,
                F work) {
  const auto stream = find_stream(call, handle);
  if (!stream) return kInvalidHandle;
  return submit(stream, [what, regions = std::move(regions), work = std::move(work), context = call.context] {
    std::deque<Region> reached;
    for (const auto& [start, bytes] : regions) {
      reached.emplace_back(start, bytes);
      if (!reached.back().whole()) return device_failure(*context, kIllegalAddress, what);
    }
    work();
  });
}

}  // namespace emulated
