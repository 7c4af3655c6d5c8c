// Convolutions.
#include "flambeau/networks.h"

#include "calls/bind.h"

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
    def_functional(signature, doc, function);
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

}  // namespace

void bind_windows() { bind_convolutions(); }

}  // namespace flambeau::python
