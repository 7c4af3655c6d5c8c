// Kernels that apply a function to each element: pointwise operators and copies. A module's source includes this file
// with FLAMBEAU_FAMILY set and invokes
//
//   FLAMBEAU_POINTWISE(function, V, Out, In...)
//
// function  VALUE(name) or DERIVATIVE(name, operand, reads) of a pointwise operator, or IDENTITY
// V         the type of the computation: operands are converted to it, and its result is converted to Out
// In        the element type of an operand, or Number for a scalar operand
//
// This defines five kernels: `vectors` for contiguous tensors whose addresses are multiples of 16; `elements` for
// contiguous tensors at any address; `packs` for aligned rows, if each operand is contiguous or one repeated element
// along the row; `rows` for other long rows; and `strided` for any strides.
#pragma once

#include <utility>

#include "device/elementwise/halves.h"
#include "device/elementwise/pointwise_arguments.h"
#include "device/threads/kernel.h"
#ifdef FLAMBEAU_FAMILY
#include "device/elementwise/pointwise_operators.h"
#endif

namespace flambeau::cuda {

struct Number {};

template <class V>
inline V number(const double (&parts)[2]) {
  if constexpr (is_complex_type<V>)
    return V(typename V::Real(parts[0]), typename V::Real(parts[1]));
  else if constexpr (std::is_integral_v<V>) {
    V out;
    memcpy(&out, &parts[0], sizeof(V));
    return out;
  } else
    return V(parts[0]);
}

// Reads the elements of one operand.
template <class V, class In>
struct Source {
  static constexpr int kSize = sizeof(In);
  V at(const PointwiseArguments& a, int k, int64_t offset) const {
    return convert<V>(*reinterpret_cast<const In*>(a.pointers[k] + offset));
  }
};
template <class V>
struct Source<V, Number> {
  static constexpr int kSize = 1;
  V at(const PointwiseArguments& a, int k, int64_t) const { return number<V>(a.numbers[k]); }
};

struct Identity {
  template <class V>
  static V call(V x) {
    return x;
  }
};

#ifdef FLAMBEAU_FAMILY
template <class Row>
struct ValueOf {
  template <class V, class... Operands>
  static auto call(Operands... operands) {
    return device::value_of<Row>(operands...);
  }
};

// The derivative with respect to operand I. Its arguments are the gradient, and then the values that the derivative
// reads (the bits of `reads`), in the order of the operator's operands and result.
template <class Row, int I, uint8_t reads>
struct DerivativeOf {
  template <class V, class... Read>
  static V call(V grad, Read... read) {
    const V given[] = {grad, read...};
    V all[4] = {grad, grad, grad, grad};  // operands that are not read are set to any valid value
    for (int i = 0, next = 1; i <= Row::kArity; ++i)
      if (reads >> i & 1) all[i] = given[next++];
    if constexpr (Row::kArity == 1)
      return device::derivative_of<Row, I>(grad, all[0], all[1]);
    else if constexpr (Row::kArity == 2)
      return device::derivative_of<Row, I>(grad, all[0], all[1], all[2]);
    else
      return device::derivative_of<Row, I>(grad, all[0], all[1], all[2], all[3]);
  }
};
#endif

template <class Function, class V, class Out, class... In>
struct Loop {
  static constexpr int kInputs = sizeof...(In);
  static constexpr int kTensors = kInputs + 1 < kPointers ? kInputs + 1 : kPointers;  // tensors with any strides
  static constexpr int max(int x, int y) { return x > y ? x : y; }
  static constexpr int largest() {
    int size = sizeof(Out);
    ((size = max(size, Source<V, In>::kSize)), ...);
    return size;
  }
  static constexpr int kWidth = 16 / largest() > 0 ? 16 / largest() : 1;  // elements that a thread processes at a time

  template <int... K>
  static Out element(const PointwiseArguments& a, const int64_t* offsets, std::integer_sequence<int, K...>) {
    return convert<Out>(Function::template call<V>(Source<V, In>().at(a, K + 1, offsets[K + 1])...));
  }
  static Out element(const PointwiseArguments& a, const int64_t* offsets) {
    return element(a, offsets, std::make_integer_sequence<int, kInputs>());
  }
  static void element_at(const PointwiseArguments& a, int64_t i) {
    constexpr int sizes[] = {int(sizeof(Out)), Source<V, In>::kSize...};
    int64_t offsets[kInputs + 1];
    for (int k = 0; k <= kInputs; ++k) offsets[k] = i * sizes[k];
    reinterpret_cast<Out*>(a.pointers[0])[i] = element(a, offsets);
  }

  template <class T>
  struct alignas(kWidth * sizeof(T)) Pack {
    T values[kWidth];
  };
  // Reads a pack, or one element that is repeated for the whole pack.
  template <class T>
  static Pack<T> read(const PointwiseArguments& a, int k, int64_t offset, bool repeated) {
    if constexpr (std::is_same_v<T, Number>)
      return {};
    else {
      const char* address = a.pointers[k] + offset;
      if (!repeated) return *reinterpret_cast<const Pack<T>*>(address);
      const T value = *reinterpret_cast<const T*>(address);
      Pack<T> pack;
#pragma unroll
      for (T& each : pack.values) each = value;
      return pack;
    }
  }
  template <class T>
  static V pick(const PointwiseArguments& a, int k, const Pack<T>& pack, int j) {
    if constexpr (std::is_same_v<T, Number>)
      return number<V>(a.numbers[k]);
    else
      return convert<V>(pack.values[j]);
  }
  // Returns true if an operand is one element that is repeated along the innermost dimension.
  static bool is_repeated(const PointwiseArguments&, int) { return false; }
  static bool is_repeated(const StridedArguments& a, int k) { return k < kTensors && a.strides[k][0] == 0; }
  template <class Arguments, int... K>
  static void pack_at(const Arguments& a, const int64_t* offsets, std::integer_sequence<int, K...>) {
    const auto all = [&](const Pack<In>&... packs) {
      Pack<Out> out;
#pragma unroll
      for (int j = 0; j < kWidth; ++j)
        out.values[j] = convert<Out>(Function::template call<V>(pick<In>(a, K + 1, packs, j)...));
      *reinterpret_cast<Pack<Out>*>(a.pointers[0] + offsets[0]) = out;
    };
    all(read<In>(a, K + 1, offsets[K + 1], is_repeated(a, K + 1))...);
  }
  template <class Arguments>
  static void pack_at(const Arguments& a, const int64_t* offsets) {
    pack_at(a, offsets, std::make_integer_sequence<int, kInputs>());
  }

  // Adds the offsets of the element with the linear index `step`, in bytes, to `offsets`. Returns its position in the
  // innermost dimension.
  static uint32_t add_offsets(const StridedArguments& a, uint32_t step, int64_t* offsets) {
    uint32_t left = step, innermost = 0;
#pragma unroll
    for (int d = 0; d < kLoopDims; ++d) {
      if (d == a.dims) break;
      const uint32_t next = d + 1 < a.dims ? a.sizes[d].quotient(left) : 0, position = left - next * a.sizes[d].divisor;
      for (int k = 0; k < kTensors; ++k) offsets[k] += a.strides[k][d] * int64_t(position);
      if (d == 0) innermost = position;
      left = next;
    }
    return innermost;
  }

  static void vectors(const PointwiseArguments& a) {
    const int64_t first = (int64_t(blockIdx.x) * blockDim.x + threadIdx.x) * kWidth;
    if (first + kWidth <= a.count) {
      const int64_t offsets[] = {first * int64_t(sizeof(Out)), first * Source<V, In>::kSize...};
      pack_at(a, offsets);
    } else
      for (int64_t i = first; i < a.count; ++i) element_at(a, i);
  }
  static void elements(const PointwiseArguments& a) {
    const int64_t first = int64_t(blockIdx.x) * blockDim.x * kWidth + threadIdx.x;
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      if (const int64_t i = first + int64_t(j) * blockDim.x; i < a.count) element_at(a, i);
  }
  static void packs(const StridedArguments& a) {
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= a.count) return;
    int64_t offsets[kInputs + 1] = {};
    const int64_t left = a.row - int64_t(add_offsets(a, uint32_t(at), offsets)) * kWidth;
    if (left >= kWidth) return pack_at(a, offsets);
#pragma unroll 1
    for (int64_t j = 0; j < left; ++j) {  // the last elements of a row
      *reinterpret_cast<Out*>(a.pointers[0] + offsets[0]) = element(a, offsets);
      for (int k = 0; k < kTensors; ++k) offsets[k] += a.strides[k][0] / kWidth;
    }
  }
  // A warp processes kRowPart elements of a row. Each lane processes every 32nd element.
  static void rows(const StridedArguments& a) {
    constexpr int kEach = kRowPart / 32;
    const int64_t thread = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (thread / 32 >= a.count) return;
    int64_t offsets[kInputs + 1] = {};
    const int64_t first = int64_t(add_offsets(a, uint32_t(thread / 32), offsets)) * kRowPart + thread % 32;
    for (int k = 0; k < kTensors; ++k) offsets[k] += a.strides[k][0] / kRowPart * (thread % 32);
    Out results[kEach];
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      int64_t own[kInputs + 1] = {};
      for (int k = 0; k < kTensors; ++k) own[k] = offsets[k] + a.strides[k][0] / kEach * j;
      if (first + j * 32 < a.row) results[j] = element(a, own);
    }
#pragma unroll
    for (int j = 0; j < kEach; ++j)
      if (first + j * 32 < a.row)
        *reinterpret_cast<Out*>(a.pointers[0] + offsets[0] + a.strides[0][0] / kEach * j) = results[j];
  }
  static void strided(const StridedArguments& a) {
    const int64_t at = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (at >= a.count) return;
    int64_t offsets[kInputs + 1] = {};
    add_offsets(a, uint32_t(at), offsets);
    *reinterpret_cast<Out*>(a.pointers[0] + offsets[0]) = element(a, offsets);
  }
};

}  // namespace flambeau::cuda

#define VALUE(name) flambeau::cuda::ValueOf<flambeau::device::name##_row>
#define DERIVATIVE(name, operand, reads) flambeau::cuda::DerivativeOf<flambeau::device::name##_row, operand, reads>
#define IDENTITY flambeau::cuda::Identity
#define FLAMBEAU_POINTWISE(function, ...)                                                  \
  using UnitLoop = flambeau::cuda::Loop<function, __VA_ARGS__>;                            \
  FLAMBEAU_KERNEL(vectors, flambeau::cuda::PointwiseArguments) { UnitLoop::vectors(a); }   \
  FLAMBEAU_KERNEL(elements, flambeau::cuda::PointwiseArguments) { UnitLoop::elements(a); } \
  FLAMBEAU_KERNEL(packs, flambeau::cuda::StridedArguments) { UnitLoop::packs(a); }         \
  FLAMBEAU_KERNEL(rows, flambeau::cuda::StridedArguments) { UnitLoop::rows(a); }           \
  FLAMBEAU_KERNEL(strided, flambeau::cuda::StridedArguments) { UnitLoop::strided(a); }
