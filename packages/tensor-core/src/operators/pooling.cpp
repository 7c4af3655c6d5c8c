// Two-dimensional pooling.
#include "flambeau/operators.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

#include <cmath>

namespace flambeau {

namespace {

struct Window {
  int64_t planes, height, width, out_h, out_w;
  int64_t kernel_h, kernel_w, stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w;
  Shape out_shape;
};

int64_t out_size(int64_t in, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t room = in + 2 * padding - dilation * (kernel - 1) - 1;
  if (room < 0) return ceil_mode && room + stride > 0 ? 1 : 0;
  int64_t out = (room + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  if (ceil_mode && (out - 1) * stride >= in + padding) --out;  // the last window must start inside the image
  return out;
}

Window window_of(const char* name, const Tensor& t, const Shape& kernel, const Shape& stride, const Shape& padding,
                 const Shape& dilation, bool ceil_mode) {
  require(t.dim() == 3 || t.dim() == 4, name, ": Expected 3D or 4D input, got shape ", t.shape());
  require<NotImplementedError>(t.dtype() != Dtype::bool_, "\"", name, "\" not implemented for '", t.dtype(), "'");
  constexpr int64_t kLargest = int64_t(1) << 31;  // sums and products of these stay far from overflow
  for (int i = 0; i < 2; ++i) {
    require(kernel[i] < kLargest && stride[i] < kLargest && dilation[i] < kLargest, name,
            ": kernel size, stride and dilation must be below 2**31, got ", kernel, ", ", stride, ", ", dilation);
    require(kernel[i] > 0 && stride[i] > 0 && dilation[i] > 0, name,
            ": kernel size, stride and dilation must be positive, got ", kernel, ", ", stride, ", ", dilation);
    require(padding[i] >= 0 && padding[i] <= kernel[i] / 2, name,
            ": pad should be at most half of effective kernel size, but got pad=", padding, ", kernel_size=", kernel);
  }
  Window w{t.numel() ? t.numel() / (t.size(-1) * t.size(-2)) : 0,
           t.size(-2),
           t.size(-1),
           0,
           0,
           kernel[0],
           kernel[1],
           stride[0],
           stride[1],
           padding[0],
           padding[1],
           dilation[0],
           dilation[1],
           t.shape()};
  w.out_h = out_size(w.height, w.kernel_h, w.stride_h, w.pad_h, w.dilation_h, ceil_mode);
  w.out_w = out_size(w.width, w.kernel_w, w.stride_w, w.pad_w, w.dilation_w, ceil_mode);
  require(w.out_h > 0 && w.out_w > 0, name, ": Given input size: ", t.shape(), " and kernel ", kernel,
          " the output size ", w.out_h, "x", w.out_w, " is too small");
  w.out_shape[w.out_shape.size() - 2] = w.out_h;
  w.out_shape[w.out_shape.size() - 1] = w.out_w;
  return w;
}

template <class F>
void over_planes(const Window& w, F&& body) {
  const int64_t work = w.out_h * w.out_w * w.kernel_h * w.kernel_w;
  parallel_items(w.planes, std::max<int64_t>(1, 20000 / (work + 1)), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) body(p);
  });
}

// Pools compute in float32, float64 and int64.
Tensor prepared(const Tensor& t) {
  if (!is_floating(t.dtype())) return contiguous(to(t, Dtype::int64));
  return contiguous(to(t, t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32));
}
int kernel_index(const Tensor& prepared) {
  return prepared.dtype() == Dtype::float32 ? 0 : prepared.dtype() == Dtype::float64 ? 1 : 2;
}
template <class F>
void dispatch_prepared(const Tensor& t, F&& f) {
  if (t.dtype() == Dtype::int64)
    f(TypeTag<int64_t>{});
  else if (t.dtype() == Dtype::float64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

}  // namespace

TensorPair max_pool2d_with_indices(const Tensor& input, const Shape& kernel, const Shape& stride, const Shape& padding,
                                   const Shape& dilation, bool ceil_mode) {
  const Window w = window_of("max_pool2d", input, kernel, stride, padding, dilation, ceil_mode);
  TensorPair result;
  {
    GradMode off(false);
    const Tensor x = prepared(input);
    result.values = empty(w.out_shape, x.dtype());
    result.indices = empty(w.out_shape, Dtype::int64);
    const kernels::PoolPlane plane{w.height,   w.width,    w.out_h, w.out_w, w.kernel_h,   w.kernel_w,
                                   w.stride_h, w.stride_w, w.pad_h, w.pad_w, w.dilation_h, w.dilation_w};
    const auto kernel = kernels::table().max_pool[kernel_index(x)];
    const int64_t size = item_size(x.dtype());
    over_planes(w, [&](int64_t p) {
      const int64_t in = p * w.height * w.width, out = p * w.out_h * w.out_w;
      kernel(plane, x.bytes() + in * size, result.values.bytes() + out * size, result.indices.data<int64_t>() + out);
    });
    result.values = to(result.values, input.dtype());
  }
  if (recording(input))
    record("MaxPool2DWithIndices", {&result.values}, {&input}, {&result.indices},
           [shape = input.shape()](const Context& c) {
             const Tensor& g = c.gradient();
             Shape flat(shape.begin(), shape.end() - 2), pooled = flat;
             flat.push_back(shape[shape.size() - 1] * shape[shape.size() - 2]);
             pooled.push_back(g.size(-1) * g.size(-2));
             c.set(0, reshape(scatter_add(zeros(flat, g.dtype()), -1, reshape(c.saved(0), pooled), reshape(g, pooled)),
                              shape));
           });
  return result;
}

namespace {

struct Average {
  Window w;
  bool count_include_pad;
  std::optional<int64_t> divisor;

  // Calls body(output position, first row, last row, first column, last column, divisor) for every window of a
  // plane.
  template <class F>
  void visit(F&& body) const {
    for (int64_t oh = 0; oh < w.out_h; ++oh)
      for (int64_t ow = 0; ow < w.out_w; ++ow) {
        int64_t top = oh * w.stride_h - w.pad_h, left = ow * w.stride_w - w.pad_w;
        int64_t bottom = std::min(top + w.kernel_h, w.height + w.pad_h),
                right = std::min(left + w.kernel_w, w.width + w.pad_w);
        const int64_t padded = (bottom - top) * (right - left);
        top = std::max<int64_t>(top, 0);
        left = std::max<int64_t>(left, 0);
        bottom = std::min(bottom, w.height);
        right = std::min(right, w.width);
        const int64_t count = divisor ? *divisor : count_include_pad ? padded : (bottom - top) * (right - left);
        body(oh * w.out_w + ow, top, bottom, left, right, count);
      }
  }
};

Tensor average(const Average& a, const Tensor& input);

Tensor average_gradient(const Average& a, const Tensor& grad, const Shape& shape) {
  Tensor out;
  {
    GradMode off(false);
    const Tensor g = prepared(grad);
    out = zeros(shape, g.dtype());
    dispatch_prepared(g, [&](auto tag) {
      using T = typename decltype(tag)::type;
      over_planes(a.w, [&](int64_t p) {
        const T* from = g.data<T>() + p * a.w.out_h * a.w.out_w;
        T* to = out.data<T>() + p * a.w.height * a.w.width;
        a.visit([&](int64_t o, int64_t top, int64_t bottom, int64_t left, int64_t right, int64_t count) {
          const T share = from[o] / T(count);
          for (int64_t y = top; y < bottom; ++y)
            for (int64_t x = left; x < right; ++x) to[y * a.w.width + x] += share;
        });
      });
    });
    out = to(out, grad.dtype());
  }
  if (recording(grad))
    record("AvgPool2DBackward", out, {&grad}, {}, [a](const Context& c) { c.set(0, average(a, c.gradient())); });
  return out;
}

Tensor average(const Average& a, const Tensor& input) {
  Tensor out;
  {
    GradMode off(false);
    const Tensor x = prepared(input);
    out = empty(a.w.out_shape, x.dtype());
    dispatch_prepared(x, [&](auto tag) {
      using T = typename decltype(tag)::type;
      over_planes(a.w, [&](int64_t p) {
        const T* from = x.data<T>() + p * a.w.height * a.w.width;
        T* to = out.data<T>() + p * a.w.out_h * a.w.out_w;
        a.visit([&](int64_t o, int64_t top, int64_t bottom, int64_t left, int64_t right, int64_t count) {
          T total = 0;
          for (int64_t y = top; y < bottom; ++y)
            for (int64_t column = left; column < right; ++column) total += from[y * a.w.width + column];
          to[o] = total / T(count);
        });
      });
    });
    out = to(out, input.dtype());
  }
  if (recording(input))
    record("AvgPool2D", out, {&input}, {},
           [a, shape = input.shape()](const Context& c) { c.set(0, average_gradient(a, c.gradient(), shape)); });
  return out;
}

}  // namespace

Tensor avg_pool2d(const Tensor& input, const Shape& kernel, const Shape& stride, const Shape& padding, bool ceil_mode,
                  bool count_include_pad, std::optional<int64_t> divisor) {
  require(!divisor || *divisor != 0, "divisor must be not zero");
  return average(
      {window_of("avg_pool2d", input, kernel, stride, padding, {1, 1}, ceil_mode), count_include_pad, divisor}, input);
}

}  // namespace flambeau
