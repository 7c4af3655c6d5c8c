// Convolutions as products of matrices that are never made: their elements are found where they are read. Note [Tiles]
//
// As in Note [Unfolding] a convolution is weight (filters, taps) * patches (taps, places), group by group. The gradient
// of the input gathers what every filter's outputs tell it, that of the weight is a product over the places of all
// samples. A unit says FLAMBEAU_CONVOLUTION(function, T, tile, tf32).
#pragma once

#include "flambeau/device/convolution_arguments.h"
#include "flambeau/device/tile.h"

namespace flambeau::cuda {

struct Place {  // in three dimensions
  int32_t z, y, x;
  bool inside(const int32_t (&size)[3]) const {
    return uint32_t(z) < uint32_t(size[0]) && uint32_t(y) < uint32_t(size[1]) && uint32_t(x) < uint32_t(size[2]);
  }
  int32_t number(const int32_t (&size)[3]) const { return (z * size[1] + y) * size[2] + x; }
};
inline Place unravel(int32_t n, const int32_t (&size)[3]) {
  return {n / size[2] / size[1], n / size[2] % size[1], n % size[2]};
}

// A walk through the places of boxes, from one with a number on.
struct Walk : Place {
  uint32_t box;
  Walk(const Box& b, uint32_t n) : box(b.by_box.quotient(n)) {
    uint32_t rest = n - box * b.by_box.divisor;
    const uint32_t plane = b.by_plane.quotient(rest);
    rest -= plane * b.by_plane.divisor;
    const uint32_t row = b.by_row.quotient(rest);
    z = int32_t(plane), y = int32_t(row), x = int32_t(rest - row * b.by_row.divisor);
  }
  void next(const Box& b) {
    if (++x < b.size[2]) return;
    x = 0;
    if (++y < b.size[1]) return;
    y = 0;
    if (++z < b.size[0]) return;
    z = 0, ++box;
  }
};

// A row or column whose elements are read on a walk: Reading has box(a) and read(a, walk).
template <class T, class Reading>
struct Walked : Reading {
  using Reading::Reading;
  T at(const ConvolutionArguments& a, int64_t p) const { return this->read(a, Walk(Reading::box(a), uint32_t(p))); }
  template <int kCount>
  void take(const ConvolutionArguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
    Walk walk(Reading::box(a), uint32_t(p));
#pragma unroll
    for (int i = 0; i < kCount; ++i) {
      to[i] = p + i < end ? this->read(a, walk) : T{};
      if (i + 1 < kCount) walk.next(Reading::box(a));
    }
  }
};

// Elements in stretches of `length`, whose beginnings are `jump` elements apart.
template <class T, int kCount>
void take_stretches(const T* from, const Divider& length, int64_t jump, int64_t p, int64_t end, T (&to)[kCount]) {
  uint32_t stretch = length.quotient(uint32_t(p)), rest = uint32_t(p) - stretch * length.divisor;
  if (rest + kCount <= length.divisor) return take_contiguous(from + stretch * jump + rest, end - p, to);
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    to[i] = p + i < end ? from[stretch * jump + rest] : T{};
    if (++rest == length.divisor) rest = 0, ++stretch;
  }
}

template <class Element, int kSize>
struct Convolution {
  using T = Element;
  using V = typename Accumulator<T>::type;
  using Arguments = ConvolutionArguments;
  static constexpr int kRows = kSize, kColumns = kSize;
  static bool left_along_k(const Arguments&) { return true; }
  static const T* typed(const char* data) { return reinterpret_cast<const T*>(data); }

  // What windows show of an image, at places some steps after the first; zero outside.
  struct Shown {
    const T* image;
    Place first;
    Shown() = default;
    Shown(const Arguments& a, const T* image, const Place& at, const int32_t (&step)[3])
        : image(image),
          first{at.z * step[0] - a.padding[0], at.y * step[1] - a.padding[1], at.x * step[2] - a.padding[2]} {}
    T show(const Arguments& a, const Place& after, const int32_t (&step)[3], int64_t offset) const {
      const Place at{first.z + after.z * step[0], first.y + after.y * step[1], first.x + after.x * step[2]};
      return at.inside(a.size) ? image[offset + at.number(a.size)] : T{};
    }
  };
};

template <class Element, int kSize>
struct Forward : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  static constexpr bool kColumnsOnly = true;
  static bool right_along_k(const Arguments&) { return false; }

  struct Left {
    const T* filter;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : filter(Base::typed(a.weight) + (group * a.filters + i) * a.channels * a.area) {}
    T at(const Arguments&, int64_t p) const { return filter[p]; }
    template <int kCount>
    void take(const Arguments&, int64_t p, int64_t end, T (&to)[kCount]) const {
      take_contiguous(filter + p, end - p, to);
    }
  };
  struct Patch : Base::Shown {
    Patch() = default;
    Patch(const Arguments& a, int64_t group, int64_t j) : Patch(a, group, Walk(a.outputs, uint32_t(j))) {}
    Patch(const Arguments& a, int64_t group, const Walk& o)
        : Base::Shown(a, Base::typed(a.input) + (o.box * a.groups + group) * a.channels * a.volume, o, a.stride) {}
    static const Box& box(const Arguments& a) { return a.taps; }
    T read(const Arguments& a, const Walk& tap) const { return this->show(a, tap, a.dilation, tap.box * a.volume); }
  };
  using Right = Walked<T, Patch>;

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    const int64_t filter = group * a.filters + i, sample = a.outputs.by_box.quotient(uint32_t(j));
    if (a.bias) value += convert<V>(Base::typed(a.bias)[filter]);
    reinterpret_cast<T*>(a.out)[(sample * a.groups * a.filters + filter) * a.places + j - sample * a.places] =
        convert<T>(value);
  }
};

template <class Element, int kSize>
struct InputGradient : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  static constexpr bool kColumnsOnly = true;
  static bool right_along_k(const Arguments&) { return false; }

  struct Left {
    const T* channel;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : channel(Base::typed(a.weight) + (group * a.filters * a.channels + i) * a.area) {}
    T at(const Arguments& a, int64_t p) const {
      T one[1];
      return take(a, p, p + 1, one), one[0];
    }
    template <int kCount>
    void take(const Arguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
      take_stretches(channel, a.taps.by_box, a.channels * a.area, p, end, to);
    }
  };
  struct Outputs {  // those that a place of the image was seen by
    const T* grad;
    Place place;  // in the padded image
    Outputs() = default;
    Outputs(const Arguments& a, int64_t group, int64_t j)
        : grad(Base::typed(a.grad) + (j / a.volume * a.groups + group) * a.filters * a.places),
          place(padded(a, int32_t(j % a.volume))) {}
    static Place padded(const Arguments& a, int32_t number) {
      const Place at = unravel(number, a.size);
      return {at.z + a.padding[0], at.y + a.padding[1], at.x + a.padding[2]};
    }
    static const Box& box(const Arguments& a) { return a.taps; }
    // The number of the output whose window begins that far before; -1: there is none.
    static int32_t window(const Arguments& a, int d, int32_t begin) {
      if (begin < 0 || a.by_stride[d].divisor == 1) return begin;
      const uint32_t o = a.by_stride[d].quotient(uint32_t(begin));
      return o * a.by_stride[d].divisor == uint32_t(begin) ? int32_t(o) : -1;
    }
    static Place window(const Arguments& a, const Place& place, const Place& tap) {
      return {window(a, 0, place.z - tap.z * a.dilation[0]), window(a, 1, place.y - tap.y * a.dilation[1]),
              window(a, 2, place.x - tap.x * a.dilation[2])};
    }
    T read(const Arguments& a, const Walk& tap) const {
      const Place o = window(a, place, tap);
      return o.inside(a.outputs.size) ? grad[tap.box * a.places + o.number(a.outputs.size)] : T{};
    }
  };
  using Right = Walked<T, Outputs>;

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    const int64_t sample = j / a.volume;
    reinterpret_cast<T*>(a.out)[((sample * a.groups + group) * a.channels + i) * a.volume + j - sample * a.volume] =
        convert<T>(value);
  }
};

template <class Element, int kSize>
struct WeightGradient : Convolution<Element, kSize> {
  using Base = Convolution<Element, kSize>;
  using typename Base::Arguments, typename Base::T, typename Base::V;
  static constexpr bool kColumnsOnly = kHasUnits<T>;  // lanes with different taps walk together
  static bool right_along_k(const Arguments&) { return true; }

  struct Left {
    const T* grad;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : grad(Base::typed(a.grad) + (group * a.filters + i) * a.places) {}
    T at(const Arguments& a, int64_t p) const {
      T one[1];
      return take(a, p, p + 1, one), one[0];
    }
    template <int kCount>
    void take(const Arguments& a, int64_t p, int64_t end, T (&to)[kCount]) const {
      take_stretches(grad, a.outputs.by_box, a.groups * a.filters * a.places, p, end, to);
    }
  };
  struct Seen : Base::Shown {  // through a tap, by all outputs
    Seen() = default;
    Seen(const Arguments& a, int64_t group, int64_t j) : Seen(a, group, Walk(a.taps, uint32_t(j))) {}
    Seen(const Arguments& a, int64_t group, const Walk& tap)
        : Base::Shown(a, Base::typed(a.input) + (group * a.channels + tap.box) * a.volume, tap, a.dilation) {}
    static const Box& box(const Arguments& a) { return a.outputs; }
    T read(const Arguments& a, const Walk& o) const {
      return this->show(a, o, a.stride, o.box * a.groups * a.channels * a.volume);
    }
  };
  using Right = Walked<T, Seen>;

  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    reinterpret_cast<T*>(a.out)[(group * a.filters + i) * a.channels * a.area + j] = convert<T>(value);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_CONVOLUTION(function, T, size, tf32) FLAMBEAU_TILES(flambeau::cuda::function<T, size>, tf32)
