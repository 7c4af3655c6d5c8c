// Operators over windows: convolutions, unfolding, pools; and padding.
#include "flambeau/networks.h"

#include "bind.h"

namespace flambeau::python {

namespace {

// For what a signature's own conversion does not cover.
struct Named {
  Parameter parameter;
  explicit Named(const char* name) : parameter{PyUnicode_InternFromString(name)} {}
  Call in(const char* function, int position) const { return {function, &parameter, position}; }
};

ConvolutionOptions options_of(const char* function, const Shape& stride, PyObject* padding, const Shape& dilation,
                              int64_t groups) {
  ConvolutionOptions o{stride, {0}, dilation, groups};
  if (!PyUnicode_Check(padding)) {
    static const Named name("padding");
    o.padding = From<const Shape&>::get(name.in(function, 4), padding);
    return o;
  }
  const std::string_view mode = text_of(padding);
  require(mode == "same" || mode == "valid", "Invalid padding string: '", mode, "'; expected 'same' or 'valid'");
  o.same = mode == "same";
  return o;
}

template <int Dims>
Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride, PyObject* padding,
                const Shape& dilation, int64_t groups) {
  static constexpr const char* names[] = {"conv1d", "conv2d", "conv3d"};
  return convolution(Dims, input, weight, bias, options_of(names[Dims - 1], stride, padding, dilation, groups));
}

template <int Dims>
Tensor convolve_transposed(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                           const Shape& padding, const Shape& output_padding, int64_t groups, const Shape& dilation) {
  return transposed_convolution(Dims, input, weight, bias, {stride, padding, dilation, groups}, output_padding);
}

template <int Dims>
Tensor gradient_of_input(const Shape& input_size, const Tensor& weight, const Tensor& grad_output, const Shape& stride,
                         const Shape& padding, const Shape& dilation, int64_t groups) {
  return convolution_input_gradient(Dims, input_size, weight, grad_output, {stride, padding, dilation, groups});
}

template <int Dims>
Tensor gradient_of_weight(const Tensor& input, const Shape& weight_size, const Tensor& grad_output, const Shape& stride,
                          const Shape& padding, const Shape& dilation, int64_t groups) {
  return convolution_weight_gradient(Dims, input, weight_size, grad_output, {stride, padding, dilation, groups});
}

Shape stride_of(PyObject* stride) {  // empty for the kernel's
  if (stride == Py_None) return {};
  static const Named name("stride");
  return From<const Shape&>::get(name.in("pool", 2), stride);
}

PyObject* values_or_pair(const TensorPair& pair, bool indices) {
  return indices ? to_python(pair) : wrap_tensor(pair.values);
}

template <int Dims>
PyObject* pool_max(const Tensor& input, const Shape& kernel, PyObject* stride, const Shape& padding,
                   const Shape& dilation, bool ceil_mode, bool indices) {
  return values_or_pair(max_pool(Dims, input, {kernel, stride_of(stride), padding, dilation, ceil_mode}), indices);
}

template <int Dims>
Tensor pool_average(const Tensor& input, const Shape& kernel, PyObject* stride, const Shape& padding, bool ceil_mode,
                    bool include, std::optional<int64_t> divisor) {
  return average_pool(Dims, input, {kernel, stride_of(stride), padding, {}, ceil_mode}, include, divisor);
}

using Sizes = std::vector<std::optional<int64_t>>;
Sizes sizes_of(PyObject* o) {  // an int or None, or several
  static const Named name("output_size");
  const Call call = name.in("adaptive_pool", 1);
  const auto one = [&](PyObject* item) { return From<std::optional<int64_t>>::get(call, item); };
  if (!PyTuple_Check(o) && !PyList_Check(o)) return {one(o)};
  Sizes out;
  const Object items(checked(PySequence_Tuple(o)));  // which no __index__ can change
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) out.push_back(one(PyTuple_GET_ITEM(items.get(), i)));
  return out;
}

template <int Dims>
Tensor pool_adaptive_average(const Tensor& input, PyObject* output_size) {
  return adaptive_average_pool(Dims, input, sizes_of(output_size));
}
template <int Dims>
PyObject* pool_adaptive_max(const Tensor& input, PyObject* output_size, bool indices) {
  return values_or_pair(adaptive_max_pool(Dims, input, sizes_of(output_size)), indices);
}
template <int Dims>
TensorPair pool_fractional_max(const Tensor& input, const Shape& kernel, const Shape& output, const Tensor& samples) {
  if (samples.defined()) return fractional_max_pool(Dims, input, kernel, output, samples);
  const bool batched = input.dim() == Dims + 2;
  const Tensor drawn = empty({batched ? input.size(0) : 1, input.dim() ? input.size(batched) : 0, Dims}, input.dtype());
  if (is_floating(input.dtype())) fill_uniform(drawn, 0, 1, nullptr);
  return fractional_max_pool(Dims, input, kernel, output, drawn);
}

template <int Dims>
Tensor unpool_max(const Tensor& input, const Tensor& indices, const Shape& kernel, PyObject* stride,
                  const Shape& padding, const OptionalDims& output_size) {
  return max_unpool(Dims, input, indices, {kernel, stride_of(stride), padding, {}}, output_size);
}

void bind_convolutions() {
  constexpr const char* kConvolution =
      "Cross-correlation: input (N, C, *) or (C, *), weight (F, C / groups, *). Numbers stand for every dimension; "
      "padding may be 'valid' or 'same'.\n\nGradient: all three, any order.";
  def("conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", kFunction | kLowerPrecision,
      kConvolution, convolve<1>);
  def("conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", kFunction | kLowerPrecision,
      kConvolution, convolve<2>);
  def("conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", kFunction | kLowerPrecision,
      kConvolution, convolve<3>);
  constexpr const char* kTransposed =
      "The transpose of a convolution, in input (N, C, *) or (C, *), with weight (C, F / groups, *): what a "
      "convolution's derivative does to the gradient.\n\nGradient: all three, any order.";
  def("conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
      kFunction | kLowerPrecision, kTransposed, convolve_transposed<1>);
  def("conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
      kFunction | kLowerPrecision, kTransposed, convolve_transposed<2>);
  def("conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
      kFunction | kLowerPrecision, kTransposed, convolve_transposed<3>);
  constexpr const char* kOfInput =
      "The gradient of a convolution's input, which has input_size, for a gradient of its output.\n\n"
      "Gradient: both, any order.";
  constexpr const char* kOfWeight =
      "The gradient of a convolution's weight, which has weight_size, for a gradient of its output.\n\n"
      "Gradient: both, any order.";
  const auto gradient = [](std::string_view signature, const char* doc, auto function) {
    def_functional(signature, doc, function, 0, "flambeau.nn.grad");
  };
  gradient("conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfInput,
           gradient_of_input<1>);
  gradient("conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfInput,
           gradient_of_input<2>);
  gradient("conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfInput,
           gradient_of_input<3>);
  gradient("conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfWeight,
           gradient_of_weight<1>);
  gradient("conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfWeight,
           gradient_of_weight<2>);
  gradient("conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)", kOfWeight,
           gradient_of_weight<3>);
}

void bind_pools() {
  constexpr const char* kMax =
      "The largest value of each window; with return_indices also its position in the image. Gradient: to that "
      "position.";
  def("max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
      kFunction, kMax, pool_max<1>);
  def("max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
      kFunction, kMax, pool_max<2>);
  def("max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
      kFunction | kFloat32, kMax, pool_max<3>);
  constexpr const char* kAverage =
      "The mean of each window, its sum divided by divisor_override where that is given. Gradient: shared evenly.";
  def("avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True)", kFunction,
      "The mean of each window. Gradient: shared evenly.",
      [](const Tensor& t, const Shape& kernel, PyObject* stride, const Shape& padding, bool ceil_mode, bool include) {
        return pool_average<1>(t, kernel, stride, padding, ceil_mode, include, std::nullopt);
      });
  def("avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
      "divisor_override=None)",
      kFunction | kOut, kAverage, pool_average<2>);
  def("avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
      "divisor_override=None)",
      kFunction | kOut | kFloat32, kAverage, pool_average<3>);
  constexpr const char* kAdaptive =
      "The mean of windows that divide the image into output_size parts, as even as they can be; None keeps a size. "
      "Gradient: shared evenly.";
  def("adaptive_avg_pool1d(input, output_size)", kFunction, kAdaptive, pool_adaptive_average<1>);
  def("_adaptive_avg_pool2d(input, output_size)", kPrivate, kAdaptive, pool_adaptive_average<2>);
  def("_adaptive_avg_pool3d(input, output_size)", kPrivate | kFloat32, kAdaptive, pool_adaptive_average<3>);
  constexpr const char* kAdaptiveMax =
      "The largest value of windows that divide the image into output_size parts, and its position. Gradient: to it.";
  def("_adaptive_max_pool1d(input, output_size, return_indices=False)", kPrivate, kAdaptiveMax, pool_adaptive_max<1>);
  def("_adaptive_max_pool2d(input, output_size, return_indices=False)", kPrivate, kAdaptiveMax, pool_adaptive_max<2>);
  def("_adaptive_max_pool3d(input, output_size, return_indices=False)", kPrivate | kFloat32, kAdaptiveMax,
      pool_adaptive_max<3>);
  constexpr const char* kFractional =
      "The largest value of output_size windows whose starts are spread by random samples (N, C, dimensions) in [0, "
      "1), and its position. Source: Graham 2014, arXiv:1412.6071.";
  def("_fractional_max_pool2d(input, kernel_size, output_size, samples=None)", kPrivate | kFloat32, kFractional,
      pool_fractional_max<2>);
  def("_fractional_max_pool3d(input, kernel_size, output_size, samples=None)", kPrivate | kFloat32, kFractional,
      pool_fractional_max<3>);
}

void bind_unpools() {
  def_functional("max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
                 R"(Puts the values of a max pool back to their positions, with zeros elsewhere.

Args:
    input, indices: what ``max_pool1d(..., return_indices=True)`` gave.
    kernel_size, stride, padding: of that pool.
    output_size: the shape before the pool where they do not say it.
Raises: ValueError for an output size that the pool cannot come from; RuntimeError for a position outside.
Gradient: input, any order.)",
                 unpool_max<1>, kFloat32);
  def_functional("max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
                 "`max_unpool1d` over two dimensions.", unpool_max<2>, kFloat32);
  def_functional("max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None)",
                 "`max_unpool1d` over three dimensions.", unpool_max<3>, kFloat32);
}

std::optional<PadMode> edge_mode(std::string_view mode) {
  if (mode == "constant") return std::nullopt;
  if (mode == "reflect") return PadMode::Reflect;
  if (mode == "replicate") return PadMode::Replicate;
  require<NotImplementedError>(mode == "circular", "Unrecognised padding mode ", mode);
  return PadMode::Circular;
}

Tensor padded(const Tensor& input, const Shape& amounts, std::string_view mode, std::optional<Scalar> value) {
  const int pairs = int(amounts.size() / 2);
  require(amounts.size() % 2 == 0, "Padding length must be divisible by 2, but got ", amounts);
  require(pairs <= input.dim(),
          "Padding length should be less than or equal to two times the input dimension but got "
          "padding length ",
          amounts.size(), " and input of dimension ", input.dim());
  const std::optional<PadMode> edges = edge_mode(mode);
  if (!edges) return constant_pad_nd(input, amounts, value.value_or(Scalar(0)));
  require<ValueError>(!value || value->equals(0), "Padding mode \"", mode, "\" doesn't take in value argument");
  require<NotImplementedError>(pairs >= 1 && pairs <= 3 && (input.dim() == pairs + 1 || input.dim() == pairs + 2),
                               "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: got ",
                               amounts.size(), " amounts for an input of ", input.dim(), " dimensions");
  return pad_edges(input, amounts, *edges);
}

void bind_padding() {
  def_functional("pad(input, pad, mode='constant', value=None)",
                 R"(Puts values around the last dimensions, or takes them away where an amount is negative.

Args:
    pad: pairs of amounts before and after, the last dimension first.
    mode: ``"constant"``, ``"reflect"`` (without the edge), ``"replicate"`` (the edge) or ``"circular"``; all but the
        first pad the last one to three dimensions of an input with a channel dimension.
    value: of ``"constant"``, 0 by default.
Returns: with ``(1, 1)`` and the value 7, ``[7, 0, 1, 2, 7]`` of ``[0, 1, 2]``.
Raises: RuntimeError for amounts that do not fit; NotImplementedError for a mode that there is not.
Gradient: any order.)",
                 padded);
}

}  // namespace

void bind_windows() {
  bind_convolutions();
  bind_pools();
  bind_unpools();
  for (const char* signature : {"channel_shuffle(input, groups)", "native_channel_shuffle(input, groups)"})
    def(signature, kFunction,
        "Interleaves groups of the channels (dimension 1). Gradient: input.\n\nSource: Zhang et al. 2018, "
        "arXiv:1707.01083.",
        channel_shuffle);
  bind_padding();
}

}  // namespace flambeau::python
