// Convolutions as matrix products. The matrix of patches is not stored: its elements are read from the image when they
// are needed. Note [Tiles]
//
// As in Note [Unfolding], a convolution is weight (filters, taps) * patches (taps, positions) for each group. The index
// k runs over all channels of the first tap, then over all channels of the second tap, and so on. The gradient of the
// input is a similar product of the weight and the output gradients of all filters. The gradient of the weight is a
// product over the output positions of all samples. A module invokes FLAMBEAU_CONVOLUTION(function, T, tile, tf32).
#pragma once

#include "device/layers/convolution_arguments.h"
#include "device/linalg/tile.h"

namespace flambeau::cuda {

struct Coordinates {  // coordinates in three dimensions
  int32_t z, y, x;
  bool inside(const int32_t (&size)[3]) const {
    return uint32_t(z) < uint32_t(size[0]) && uint32_t(y) < uint32_t(size[1]) && uint32_t(x) < uint32_t(size[2]);
  }
  int32_t number(const int32_t (&size)[3]) const { return (z * size[1] + y) * size[2] + x; }
};
inline Coordinates unravel(int32_t n, const int32_t (&size)[3]) {
  return {n / size[2] / size[1], n / size[2] % size[1], n % size[2]};
}

// Returns the coordinates of position n within one box.
inline Coordinates unravel(uint32_t n, const Box& box) {
  const uint32_t z = box.by_plane.quotient(n), rest = n - z * box.by_plane.divisor, y = box.by_row.quotient(rest);
  return {int32_t(z), int32_t(y), int32_t(rest - y * box.by_row.divisor)};
}

// Fills `to` with next(0), next(1), ... The loop is not unrolled, so `to` is shifted by one register per iteration
// instead of being indexed.
template <class T, int kCount, class F>
void take_slowly(T (&to)[kCount], F&& next) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) to[i] = T{};
#pragma unroll 1
  for (int n = 0; n < kCount; ++n) {
#pragma unroll
    for (int i = 0; i + 1 < kCount; ++i) to[i] = to[i + 1];
    to[kCount - 1] = next(n);
  }
}

// A row or column with a.inner elements for each tap. These elements are jump(a) elements apart in memory. `Finding`
// provides jump(a) and find(a, tap), which returns the address of a tap's first element, or null if the tap is outside
// the image.
template <class T, class Finding>
struct Gathered : Finding {
  using Finding::Finding;
  T at(const ConvolutionArguments& a, int64_t p) const {
    T one[1];
    return take(a, p, p + 1, one), one[0];
  }
  template <int kCount>
  void take(const ConvolutionArguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
    const uint32_t inner = a.inner.divisor;
    uint32_t tap = a.inner.quotient(uint32_t(p)), n = uint32_t(p) - tap * inner;
    const int64_t jump = this->jump(a);
    const T* from = p < end ? this->find(a, tap) : nullptr;
    if (kCount == 1 || (n + kCount <= inner && p + kCount <= end)) {
      const T* const first = from + n * jump;
#pragma unroll
      for (int i = 0; i < kCount; ++i) to[i] = from ? first[i * jump] : T{};
      return;
    }
    take_slowly(to, [&](int i) {
      const T value = from && p + i < end ? from[n * jump] : T{};
      if (++n == inner) n = 0, from = p + i + 1 < end ? this->find(a, ++tap) : nullptr;
      return value;
    });
  }
};

// Reads elements of segments that have `length` elements and begin `jump` elements apart.
template <class T, int kCount>
void read_segments(const T* from, const Divider& length, int64_t jump, int64_t p, int64_t end, T (&to)[kCount]) {
  uint32_t stretch = length.quotient(uint32_t(p)), rest = uint32_t(p) - stretch * length.divisor;
  if (rest + kCount <= length.divisor) return take_contiguous(from + stretch * jump + rest, end - p, to);
  take_slowly(to, [&](int i) {
    const T value = p + i < end ? from[stretch * jump + rest] : T{};
    if (++rest == length.divisor) rest = 0, ++stretch;
    return value;
  });
}

template <class Element, int kSize>
struct Convolution {
  using T = Element;
  using V = typename Accumulator<T>::type;
  using Arguments = ConvolutionArguments;
  static constexpr int kRows = kSize, kColumns = kSize;
  static bool left_along_k(const Arguments&) { return true; }
  static const T* typed(const char* data) { return reinterpret_cast<const T*>(data); }

  // start() returns the first position of the window of output `o`. after() returns the position that is `steps` steps
  // after `first`.
  static Coordinates start(const Arguments& a, const Coordinates& o) {
    return {o.z * a.stride[0] - a.padding[0], o.y * a.stride[1] - a.padding[1], o.x * a.stride[2] - a.padding[2]};
  }
  static Coordinates after(const Coordinates& first, const Coordinates& steps, const int32_t (&step)[3]) {
    return {first.z + steps.z * step[0], first.y + steps.y * step[1], first.x + steps.x * step[2]};
  }
  // A row of the weight matrix. It is contiguous along k.
  struct Weights {
    const T* row;
    Weights() = default;
    Weights(const Arguments& a, int64_t number) : row(typed(a.weight) + number * a.inner.divisor * a.area) {}
    T at(const Arguments&, int64_t p) const { return row[p]; }
    template <int kCount>
    void take(const Arguments&, int64_t p, int64_t end, T (&to)[kCount]) const {
      take_contiguous(row + p, end - p, to);
    }
  };
};

template <class Element, int kSize>
struct Forward : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  static constexpr bool kColumnsOnly = true;
  static bool right_along_k(const Arguments&) { return false; }

  struct Left : Base::Weights {
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i) : Base::Weights(a, group * a.filters + i) {}
  };
  struct Patch {
    const T* image;  // first channel of the group
    Coordinates first;
    Patch() = default;
    Patch(const Arguments& a, int64_t group, int64_t j) {
      const uint32_t sample = a.outputs.by_box.quotient(uint32_t(j));
      image = Base::typed(a.input) + (sample * a.groups + group) * a.channels * a.volume;
      first = Base::start(a, unravel(uint32_t(j) - sample * a.outputs.by_box.divisor, a.outputs));
    }
    static int64_t jump(const Arguments& a) { return a.volume; }
    const T* find(const Arguments& a, uint32_t tap) const {
      const Coordinates at = Base::after(first, unravel(tap, a.taps), a.dilation);
      return at.inside(a.size) ? image + at.number(a.size) : nullptr;
    }
  };
  using Right = Gathered<T, Patch>;

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    const int64_t filter = group * a.filters + i, sample = a.outputs.by_box.quotient(uint32_t(j));
    if (a.bias) value += convert<V>(Base::typed(a.bias)[filter]);
    reinterpret_cast<T*>(a.out)[(sample * a.groups * a.filters + filter) * a.positions + j - sample * a.positions] =
        convert<T>(value);
  }
};

template <class Element, int kSize>
struct InputGradient : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  static constexpr bool kColumnsOnly = true;
  static bool right_along_k(const Arguments&) { return false; }

  struct Left : Base::Weights {
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i) : Base::Weights(a, group * a.channels + i) {}
  };
  // The outputs that depend on a pixel.
  struct Outputs {
    const T* grad;
    Coordinates coordinates;  // coordinates in the padded image
    Outputs() = default;
    Outputs(const Arguments& a, int64_t group, int64_t j)
        : grad(Base::typed(a.grad) + (j / a.volume * a.groups + group) * a.filters * a.positions),
          coordinates(padded(a, int32_t(j % a.volume))) {}
    static Coordinates padded(const Arguments& a, int32_t number) {
      const Coordinates at = unravel(number, a.size);
      return {at.z + a.padding[0], at.y + a.padding[1], at.x + a.padding[2]};
    }
    static int64_t jump(const Arguments& a) { return a.positions; }
    // Returns the coordinate of the output whose window begins at `begin` in the padded image, or -1 if no window
    // begins there.
    static int32_t window(const Arguments& a, int d, int32_t begin) {
      if (begin < 0 || a.by_stride[d].divisor == 1) return begin;
      const uint32_t o = a.by_stride[d].quotient(uint32_t(begin));
      return o * a.by_stride[d].divisor == uint32_t(begin) ? int32_t(o) : -1;
    }
    static Coordinates window(const Arguments& a, const Coordinates& coordinates, const Coordinates& tap) {
      return {window(a, 0, coordinates.z - tap.z * a.dilation[0]), window(a, 1, coordinates.y - tap.y * a.dilation[1]),
              window(a, 2, coordinates.x - tap.x * a.dilation[2])};
    }
    const T* find(const Arguments& a, uint32_t tap) const {
      const Coordinates o = window(a, coordinates, unravel(tap, a.taps));
      return o.inside(a.outputs.size) ? grad + o.number(a.outputs.size) : nullptr;
    }
  };
  using Right = Gathered<T, Outputs>;

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    const int64_t channel = group * a.channels + i, sample = j / a.volume;
    if (a.bias) value += convert<V>(Base::typed(a.bias)[channel]);
    reinterpret_cast<T*>(a.out)[(sample * a.groups * a.channels + channel) * a.volume + j - sample * a.volume] =
        convert<T>(value);
  }
};

template <class Element, int kSize>
struct WeightGradient : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  // Each lane loads consecutive positions of one column, and neighbouring lanes load neighbouring columns.
  static constexpr bool kColumnsOnly = kHasUnits<T>;
  static bool right_along_k(const Arguments&) { return true; }

  struct Left {
    const T* grad;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : grad(Base::typed(a.grad) + (group * a.filters + i) * a.positions) {}
    T at(const Arguments& a, int64_t p) const {
      T one[1];
      return take(a, p, p + 1, one), one[0];
    }
    template <int kCount>
    void take(const Arguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
      read_segments(grad, a.outputs.by_box, a.groups * a.filters * a.positions, p, end, to);
    }
  };
  // The pixels that all outputs read for one channel and tap.
  struct Right {
    const T* image;     // image of the first sample
    Coordinates first;  // the pixel that the first output reads
    Right() = default;
    Right(const Arguments& a, int64_t group, int64_t j) {
      const uint32_t channel = a.taps.by_box.quotient(uint32_t(j));
      image = Base::typed(a.input) + (group * a.channels + channel) * a.volume;
      const Coordinates tap = unravel(uint32_t(j) - channel * a.taps.by_box.divisor, a.taps);
      first = Base::after(Base::start(a, {0, 0, 0}), tap, a.dilation);
    }
    T at(const Arguments& a, int64_t p) const {
      T one[1];
      return take(a, p, p + 1, one), one[0];
    }
    // Returns the image row that a row of outputs reads, or null if it is outside the image.
    const T* row(const Arguments& a, uint32_t sample, const Coordinates& o) const {
      const Coordinates at = Base::after(first, {o.z, o.y, 0}, a.stride);
      if (!Coordinates{at.z, at.y, 0}.inside(a.size)) return nullptr;
      return image + sample * a.groups * a.channels * a.volume + Coordinates{at.z, at.y, 0}.number(a.size);
    }
    template <int kCount>
    void take(const Arguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
      uint32_t sample = a.outputs.by_box.quotient(uint32_t(p));
      Coordinates o = unravel(uint32_t(p) - sample * a.outputs.by_box.divisor, a.outputs);
      const T* own = p < end ? row(a, sample, o) : nullptr;
      const auto seen = [&](int32_t o_x) {
        const int32_t x = first.x + o_x * a.stride[2];
        return own && uint32_t(x) < uint32_t(a.size[2]) ? own[x] : T{};
      };
      if (kCount == 1 || (o.x + kCount <= a.outputs.size[2] && p + kCount <= end)) {
#pragma unroll
        for (int i = 0; i < kCount; ++i) to[i] = seen(o.x + i);
        return;
      }
      take_slowly(to, [&](int i) {
        const T value = p + i < end ? seen(o.x) : T{};
        if (++o.x < a.outputs.size[2]) return value;
        o.x = 0;
        if (++o.y == a.outputs.size[1]) {
          o.y = 0;
          if (++o.z == a.outputs.size[0]) o.z = 0, ++sample;
        }
        own = p + i + 1 < end ? row(a, sample, o) : nullptr;
        return value;
      });
    }
  };

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    reinterpret_cast<T*>(a.out)[(group * a.filters + i) * a.channels * a.area + j] = convert<T>(value);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_CONVOLUTION(function, T, size, tf32) FLAMBEAU_TILES(flambeau::cuda::function<T, size>, tf32)
