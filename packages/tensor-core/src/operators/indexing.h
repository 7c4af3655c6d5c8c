// What the operators that read and write at computed positions share. Internal.
#pragma once

#include <bit>
#include <initializer_list>

#include "flambeau/operators.h"

namespace flambeau {

// A boolean as it lies in memory: a byte, with any value in it where the memory is somebody else's.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;

// keep ? a : b, of floating numbers in bits: to be chosen by a branch, values in no order cost a guess each.
template <class T>
FLAMBEAU_INLINE T chosen(bool keep, T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    const Bits mask = Bits(0) - Bits(keep);
    return std::bit_cast<T>((std::bit_cast<Bits>(a) & mask) | (std::bit_cast<Bits>(b) & ~mask));
  } else {
    return keep ? a : b;
  }
}

// How what is written and what was there become one.
enum class Combine : uint8_t { Assign, Add, Multiply, Max, Min };

template <Combine c, class T>
FLAMBEAU_INLINE Stored<T> combine(Stored<T> a, Stored<T> b) {
  if constexpr (c == Combine::Assign)
    return b;
  else if constexpr (std::is_same_v<T, bool>)
    return c == Combine::Add || c == Combine::Max ? (a | b) != 0 : a != 0 && b != 0;
  else if constexpr (std::is_same_v<T, float16> || std::is_same_v<T, bfloat16>)
    return convert<T>(combine<c, float>(to_float(a), to_float(b)));
  else if constexpr (c == Combine::Add)
    return T(a + b);
  else if constexpr (c == Combine::Multiply)
    return T(a * b);
  else if constexpr (!requires { a < b; })
    detail::raise<NotImplementedError>("numbers without an order have no maximum");
  else if constexpr (c == Combine::Max)
    return chosen((a > b) | (a != a), a, b);
  else
    return chosen((a < b) | (a != a), a, b);
}

// f(TypeTag<T>, std::integral_constant<Combine, c>)
template <class F>
void dispatch_combine(Dtype d, Combine c, F&& f) {
  require<NotImplementedError>(!is_complex(d) || (c != Combine::Max && c != Combine::Min),
                               "complex numbers have no maximum and no minimum: got ", d);
  dispatch_all(d, [&]<class T>(TypeTag<T> tag) {
    constexpr TypeTag<SameBits<T>> same;  // Note [Same bits]
    switch (c) {
      case Combine::Assign:
        return f(same, std::integral_constant<Combine, Combine::Assign>{});
      case Combine::Add:
        return f(same, std::integral_constant<Combine, Combine::Add>{});
      case Combine::Multiply:
        return f(same, std::integral_constant<Combine, Combine::Multiply>{});
      case Combine::Max:
        return f(tag, std::integral_constant<Combine, Combine::Max>{});
      case Combine::Min:
        return f(tag, std::integral_constant<Combine, Combine::Min>{});
    }
  });
}

struct Word16 {
  uint64_t low, high;
};
// Elements as plain bytes of their size, for copies that do not look at them.
template <class F>
void dispatch_size(int64_t size, F&& f) {
  switch (size) {
    case 1:
      return f(TypeTag<uint8_t>{});
    case 2:
      return f(TypeTag<uint16_t>{});
    case 4:
      return f(TypeTag<uint32_t>{});
    case 8:
      return f(TypeTag<uint64_t>{});
    default:
      return f(TypeTag<Word16>{});
  }
}

// The index as int64; an error that names the operator for any other dtype than int32 and int64.
Tensor index_tensor(const Tensor& index, const char* name);
// Raises E unless every entry lies in [-size or 0, size); whether any of them is negative.
enum class Negative : uint8_t { Refused, FromEnd };
template <class E>
bool check_range(const Tensor& index, int64_t size, Negative negative, const char* prefix, int64_t dim);
extern template bool check_range<Error>(const Tensor&, int64_t, Negative, const char*, int64_t);
extern template bool check_range<IndexError>(const Tensor&, int64_t, Negative, const char*, int64_t);

// The same of n entries from `low` on, by the thread that is about to use them.
template <class E>
bool check_entries(const int64_t* entries, int64_t n, int64_t low, int64_t size, const char* prefix, int64_t dim);
extern template bool check_entries<Error>(const int64_t*, int64_t, int64_t, int64_t, const char*, int64_t);

// What a writing operator writes into: the tensor itself, or a copy of it.
struct Target {
  Tensor out;
  const Tensor& input;
  Recording::Kind kind;
};
// To be called after everything has been checked. `read`: what must not lie in the memory to be written.
Target target_of(const Tensor& t, Write write, const char* name, std::initializer_list<const Tensor*> read);

// `source`, contiguous and outside the memory of `target`: copied where it is not.
Tensor settled(const Tensor& source, const Tensor& target);

// Records with any number of tensors among what is saved.
void record_saving(const char* name, const Target& target, TensorList inputs, const Tensors& saved,
                   Derivative derivative);

// Note [Blocks]
// Indexing sees a tensor as (outer, length, inner): the dimensions before and after those that are indexed. What is
// picked is `count` offsets into the middle; each stands for a block of the inner dimensions.
struct Blocks {
  Shape outer_size, outer_stride, inner_size, inner_stride;
  int64_t outer = 1, inner = 1, count = 0;
  Tensor offsets;  // int64, in elements
};
Blocks blocks_around(const Tensor& t, int64_t first_dim, int64_t last_dim);
// The offsets of `index` along `dim`; every entry is known to be in range, negative ones count from the end.
void pick(Blocks& blocks, const Tensor& t, int64_t dim, const Tensor& index);
// out, contiguous, becomes t's blocks in (outer, count, inner) order.
void load_blocks(const Tensor& t, const Blocks& blocks, const Tensor& out);
// t's blocks become combine(what they are, source), in the order of the offsets, with the same result for any number
// of threads; `source` is contiguous in (outer, count, inner) order, or one element for all.
void store_blocks(const Tensor& t, const Blocks& blocks, const Tensor& source, Combine c);

}  // namespace flambeau
