// Convolutions as products of matrices that are never made: their elements are found where they are read. Note [Tiles]
//
// As in Note [Unfolding] a convolution is weight (filters, taps) * patches (taps, places), group by group. The gradient
// of the input gathers what every filter's outputs tell it, that of the weight is a product over the places of all
// samples. A unit says FLAMBEAU_CONVOLUTION(function, T, tile).
#pragma once

#include "flambeau/device/convolution_arguments.h"
#include "flambeau/device/tile.h"

namespace flambeau::cuda {

struct Place {  // in three dimensions
  int64_t z, y, x;
};

// Number `n` in a box whose planes and rows have those sizes.
inline Place unravel(uint32_t n, const Divider& by_plane, const Divider& by_row) {
  const uint32_t z = by_plane.quotient(n), rest = n - z * by_plane.divisor, y = by_row.quotient(rest);
  return {z, y, rest - y * by_row.divisor};
}
inline Place unravel(int64_t n, const int64_t (&size)[3]) {
  return {n / size[2] / size[1], n / size[2] % size[1], n % size[2]};
}
inline bool inside(int64_t at, int64_t size) { return uint64_t(at) < uint64_t(size); }

struct Tap {
  int64_t channel;  // or filter
  uint32_t number;
  Place place;
  Tap(const ConvolutionArguments& a, int64_t p) {
    channel = a.by_area.quotient(uint32_t(p));
    number = uint32_t(p - channel * a.area);
    place = unravel(number, a.by_plane, a.by_row);
  }
};

template <class T>
struct Convolution {
  using V = typename Accumulator<T>::type;
  using Arguments = ConvolutionArguments;
  static const T* typed(const char* data) { return reinterpret_cast<const T*>(data); }

  // What the window at an output's place shows of an image through a tap; zero outside.
  static V seen(const Arguments& a, const T* image, const Place& start, const Place& tap) {
    const int64_t z = start.z + tap.z * a.dilation[0], y = start.y + tap.y * a.dilation[1],
                  x = start.x + tap.x * a.dilation[2];
    if (!inside(z, a.size[0]) || !inside(y, a.size[1]) || !inside(x, a.size[2])) return V(0);
    return convert<V>(image[(z * a.size[1] + y) * a.size[2] + x]);
  }
  static Place start_of(const Arguments& a, const Place& o) {
    return {o.z * a.stride[0] - a.padding[0], o.y * a.stride[1] - a.padding[1], o.x * a.stride[2] - a.padding[2]};
  }
};

template <class T, int kSize>
struct Forward : Convolution<T> {
  using Base = Convolution<T>;
  using typename Base::Arguments, typename Base::V;
  static constexpr int kRows = kSize, kColumns = kSize;
  static constexpr bool kColumnsOnly = true;
  static bool left_along_k(const Arguments&) { return true; }
  static bool right_along_k(const Arguments&) { return false; }

  struct Left {
    const T* filter;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : filter(Base::typed(a.weight) + (group * a.filters + i) * a.channels * a.area) {}
    V at(const Arguments&, int64_t p) const { return convert<V>(filter[p]); }
  };
  struct Right {
    const T* image;
    Place start;
    Right() = default;
    Right(const Arguments& a, int64_t group, int64_t j)
        : image(Base::typed(a.input) + (j / a.places * a.groups + group) * a.channels * a.volume),
          start(Base::start_of(a, unravel(j % a.places, a.positions))) {}
    V at(const Arguments& a, int64_t p) const {
      const Tap tap(a, p);
      return Base::seen(a, image + tap.channel * a.volume, start, tap.place);
    }
  };
  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    const int64_t filter = group * a.filters + i;
    if (a.bias) value += convert<V>(Base::typed(a.bias)[filter]);
    reinterpret_cast<T*>(a.out)[(j / a.places * a.groups * a.filters + filter) * a.places + j % a.places] =
        convert<T>(value);
  }
};

template <class T, int kSize>
struct InputGradient : Convolution<T> {
  using Base = Convolution<T>;
  using typename Base::Arguments, typename Base::V;
  static constexpr int kRows = kSize, kColumns = kSize;
  static constexpr bool kColumnsOnly = true;
  static bool left_along_k(const Arguments&) { return true; }
  static bool right_along_k(const Arguments&) { return false; }

  struct Left {
    const T* channel;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : channel(Base::typed(a.weight) + (group * a.filters * a.channels + i) * a.area) {}
    V at(const Arguments& a, int64_t p) const {
      const int64_t filter = a.by_area.quotient(uint32_t(p));
      return convert<V>(channel[filter * a.channels * a.area + (p - filter * a.area)]);
    }
  };
  struct Right {
    const T* grad;
    Place at_image;  // in the padded image
    Right() = default;
    Right(const Arguments& a, int64_t group, int64_t j)
        : grad(Base::typed(a.grad) + (j / a.volume * a.groups + group) * a.filters * a.places) {
      const Place place = unravel(j % a.volume, a.size);
      at_image = {place.z + a.padding[0], place.y + a.padding[1], place.x + a.padding[2]};
    }
    // The output whose window begins that far before; whether there is one.
    static bool window(const Arguments& a, int d, int64_t begin, int64_t& o) {
      if (begin < 0) return false;
      o = begin;
      if (a.by_stride[d].divisor != 1) {
        o = a.by_stride[d].quotient(uint32_t(begin));
        if (o * a.stride[d] != begin) return false;
      }
      return o < a.positions[d];
    }
    V at(const Arguments& a, int64_t p) const {
      const Tap tap(a, p);
      Place o;
      if (!window(a, 0, at_image.z - tap.place.z * a.dilation[0], o.z) ||
          !window(a, 1, at_image.y - tap.place.y * a.dilation[1], o.y) ||
          !window(a, 2, at_image.x - tap.place.x * a.dilation[2], o.x))
        return V(0);
      return convert<V>(grad[tap.channel * a.places + (o.z * a.positions[1] + o.y) * a.positions[2] + o.x]);
    }
  };
  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    reinterpret_cast<T*>(a.out)[((j / a.volume * a.groups + group) * a.channels + i) * a.volume + j % a.volume] =
        convert<T>(value);
  }
};

template <class T, int kSize>
struct WeightGradient : Convolution<T> {
  using Base = Convolution<T>;
  using typename Base::Arguments, typename Base::V;
  static constexpr int kRows = kSize, kColumns = kSize;
  static constexpr bool kColumnsOnly = false;
  static bool left_along_k(const Arguments&) { return true; }
  static bool right_along_k(const Arguments&) { return true; }

  struct Left {
    const T* grad;
    Left() = default;
    Left(const Arguments& a, int64_t group, int64_t i)
        : grad(Base::typed(a.grad) + (group * a.filters + i) * a.places) {}
    V at(const Arguments& a, int64_t p) const {
      const int64_t sample = a.by_places.quotient(uint32_t(p));
      return convert<V>(grad[sample * a.groups * a.filters * a.places + (p - sample * a.places)]);
    }
  };
  struct Right {
    const T* images;  // of the first sample
    Place tap;
    Right() = default;
    Right(const Arguments& a, int64_t group, int64_t j) {
      const Tap own(a, j);
      images = Base::typed(a.input) + (group * a.channels + own.channel) * a.volume;
      tap = own.place;
    }
    V at(const Arguments& a, int64_t p) const {
      const int64_t sample = a.by_places.quotient(uint32_t(p));
      const Place o = unravel(uint32_t(p - sample * a.places), a.by_out_plane, a.by_out_row);
      return Base::seen(a, images + sample * a.groups * a.channels * a.volume, Base::start_of(a, o), tap);
    }
  };
  static void store(const Arguments& a, int64_t group, int64_t i, int64_t j, V value) {
    reinterpret_cast<T*>(a.out)[(group * a.filters + i) * a.channels * a.area + j] = convert<T>(value);
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_CONVOLUTION(function, T, size) FLAMBEAU_TILES(flambeau::cuda::function<T, size>)
