#include "reductions.h"

#include <cstdint>
#include <type_traits>

namespace flambeau::distributed {

namespace {

struct Sum {
  template <class T>
  static T join(T a, T b) {
    return T(a + b);
  }
};
struct Product {
  template <class T>
  static T join(T a, T b) {
    return T(a * b);
  }
};
struct Minimum {  // NaN if an input is NaN
  template <class T>
  static T join(T a, T b) {
    return b < a || b != b ? b : a;
  }
};
struct Maximum {
  template <class T>
  static T join(T a, T b) {
    return b > a || b != b ? b : a;
  }
};
struct And {
  template <class T>
  static T join(T a, T b) {
    return T(a & b);
  }
};
struct Or {
  template <class T>
  static T join(T a, T b) {
    return T(a | b);
  }
};
struct Xor {
  template <class T>
  static T join(T a, T b) {
    return T(a ^ b);
  }
};

// `out` may be the same memory as the first or the second input, because each element is read before it is written.
template <class T, class Operation, bool mean>
void reduce(char* out, const char* const* inputs, int count, size_t n) {
  T* const total = reinterpret_cast<T*>(out);
  const T* const first = reinterpret_cast<const T*>(inputs[0]);
  const T* const second = reinterpret_cast<const T*>(inputs[1]);
  const T divisor = T(count);
  if (mean && count == 2) {
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) total[i] = Operation::join(first[i], second[i]) * T(0.5);  // same result as / 2
    return;
  }
#pragma GCC ivdep
  for (size_t i = 0; i < n; ++i) total[i] = Operation::join(first[i], second[i]);
  for (int rank = 2; rank < count; ++rank) {
    const T* const more = reinterpret_cast<const T*>(inputs[rank]);
#pragma GCC ivdep
    for (size_t i = 0; i < n; ++i) total[i] = Operation::join(total[i], more[i]);
  }
  if (mean) {
    for (size_t i = 0; i < n; ++i) total[i] /= divisor;
  }
}

template <class T>
Reduction of_type(std::string_view operation) {
  if (operation == "sum") return reduce<T, Sum, false>;
  if (operation == "product") return reduce<T, Product, false>;
  if (operation == "min") return reduce<T, Minimum, false>;
  if (operation == "max") return reduce<T, Maximum, false>;
  if constexpr (std::is_floating_point_v<T>) {
    if (operation == "avg") return reduce<T, Sum, true>;
  } else {
    if (operation == "band") return reduce<T, And, false>;
    if (operation == "bor") return reduce<T, Or, false>;
    if (operation == "bxor") return reduce<T, Xor, false>;
  }
  return nullptr;
}

}  // namespace

Reduction reduction(std::string_view operation, std::string_view dtype, size_t& element_size) {
  Reduction found = nullptr;
  const auto take = [&]<class T>(std::string_view name, T) {
    if (dtype != name) return;
    found = of_type<T>(operation);
    element_size = sizeof(T);
  };
  take("float32", float());
  take("float64", double());
  take("int8", int8_t());
  take("int16", int16_t());
  take("int32", int32_t());
  take("int64", int64_t());
  take("uint8", uint8_t());
  take("uint16", uint16_t());
  take("uint32", uint32_t());
  take("uint64", uint64_t());
  return found;
}

}  // namespace flambeau::distributed
