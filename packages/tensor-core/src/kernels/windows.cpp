// Windows over images: unfolding for convolutions.
#include "kernels/math.h"
#include "kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

// The output positions whose tap falls inside the image: [first, last) of [0, out).
struct Range {
  int64_t first, last;
};
Range inside(int64_t out, int64_t in, int64_t stride, int64_t shift) {  // 0 <= o * stride + shift < in
  const int64_t first = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const int64_t last = in - shift <= 0 ? 0 : (in - shift + stride - 1) / stride;
  return {minimum(first, out), maximum(minimum(first, out), minimum(last, out))};
}

// Calls row(place in the matrix, place in the image of its first column, columns inside the image) for every row of
// the unfolded matrix's places; with no columns inside where the row is beyond the image.
template <class F>
FLAMBEAU_INLINE void each_row(const Patches& g, F&& row) {
  const auto [depth, height, width] = g.size;
  int64_t at = 0;
  for (int64_t ch = 0; ch < g.channels; ++ch)
    for (int64_t kd = 0; kd < g.kernel[0]; ++kd)
      for (int64_t kh = 0; kh < g.kernel[1]; ++kh)
        for (int64_t kw = 0; kw < g.kernel[2]; ++kw) {
          const int64_t dx = kw * g.dilation[2] - g.padding[2];
          const Range columns = inside(g.out[2], width, g.stride[2], dx);
          for (int64_t od = 0; od < g.out[0]; ++od) {
            const int64_t z = od * g.stride[0] + kd * g.dilation[0] - g.padding[0];
            for (int64_t oh = 0; oh < g.out[1]; ++oh, at += g.out[2]) {
              const int64_t y = oh * g.stride[1] + kh * g.dilation[1] - g.padding[1];
              const bool beyond = (z < 0) | (z >= depth) | (y < 0) | (y >= height);
              row(at, ((ch * depth + z) * height + y) * width + dx, beyond ? Range{0, 0} : columns);
            }
          }
        }
}

template <class T>
void unfold(const Patches& g, const char* image_bytes, char* matrix_bytes) {
  const T* image = reinterpret_cast<const T*>(image_bytes);
  T* matrix = reinterpret_cast<T*>(matrix_bytes);
  const int64_t width = g.out[2], stride = g.stride[2];
  each_row(g, [=](int64_t at, int64_t from, Range columns) {
    T* to = matrix + at;
    for (int64_t i = 0; i < columns.first; ++i) to[i] = T(0);
    for (int64_t i = columns.first; i < columns.last; ++i) to[i] = image[from + i * stride];
    for (int64_t i = columns.last; i < width; ++i) to[i] = T(0);
  });
}

template <class T>
void fold(const Patches& g, const char* matrix_bytes, char* image_bytes) {
  const T* matrix = reinterpret_cast<const T*>(matrix_bytes);
  T* image = reinterpret_cast<T*>(image_bytes);
  const int64_t stride = g.stride[2];
  each_row(g, [=](int64_t at, int64_t from, Range columns) {
    for (int64_t i = columns.first; i < columns.last; ++i) image[from + i * stride] += matrix[at + i];
  });
}

}  // namespace

void fill_windows(Table& table) {
  table.unfold[0] = unfold<float>;
  table.unfold[1] = unfold<double>;
  table.unfold[2] = unfold<int64_t>;
  table.fold[0] = fold<float>;
  table.fold[1] = fold<double>;
  table.fold[2] = fold<int64_t>;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
