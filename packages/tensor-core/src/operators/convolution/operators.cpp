// Convolution operators for Python and programs.
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"

namespace flambeau {

namespace {

Tensor any_convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                       const Shape& padding, const Shape& dilation, bool transposed, const Shape& output_padding,
                       int64_t groups) {
  const int dims = weight.dim() - 2;
  require(dims >= 1 && dims <= 3, "convolution: expected a weight of 3 to 5 dimensions, got shape ", weight.shape());
  const ConvolutionOptions options{stride, padding, dilation, groups};
  if (transposed) return transposed_convolution(dims, input, weight, bias, options, output_padding);
  for (const int64_t size : output_padding)
    require(size == 0, "convolution: output_padding must be 0 unless transposed, got ", output_padding);
  return convolution(dims, input, weight, bias, options);
}

// Computes one convolution for each element of a batch of vmap, as groups of channels of a single convolution.
Tensor batched_convolution(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                           const Shape& padding, const Shape& dilation, bool transposed, const Shape& output_padding,
                           int64_t groups) {
  const int64_t batch = weight.size(0), channels = input.dim() == weight.dim() ? 2 : 1;
  const Tensor images = flatten(transpose(input, 0, channels - 1), channels - 1, channels);
  const Tensor out = any_convolution(images, flatten(weight, 0, 1), bias.defined() ? flatten(bias, 0, 1) : bias, stride,
                                     padding, dilation, transposed, output_padding, groups * batch);
  return transpose(unflatten(out, channels - 1, {batch, -1}), 0, channels - 1);
}

const Operator convolution_operator({
    .signature =
        "convolution(input, weight, bias: Tensor | None, stride, padding, dilation, transposed, output_padding, "
        "groups)",
    .forms = kFunction | kLowerPrecision,
    .doc = R"(Convolve 1 to 3 spatial dimensions; the shape of ``weight`` determines their number.

Args:
    input: ``(N, C, *)`` or ``(C, *)``.
    weight: ``(out, C / groups, *)``; ``(C, out / groups, *)`` if ``transposed``.
    bias: ``(out)``, or None.
    stride, padding, dilation: int, or one int for each spatial dimension.
    transposed: compute the transpose of the convolution, as conv_transpose2d does.
    output_padding: additional size of a transposed convolution's output; 0 otherwise.
    groups: number of groups that input and output channels are split into.
Returns: ``(N, out, *)``.
Raises: RuntimeError if the shapes do not match, or for more than 3 spatial dimensions.
Gradient: input, weight and bias, to any order.

>>> x, w = flambeau.ones(1, 1, 3), flambeau.ones(1, 1, 2)
>>> flambeau.convolution(x, w, None, 1, 0, 1, False, 0, 1)
tensor([[[2., 2.]]]))",
    .forward = any_convolution,
    .batched = batched_convolution,
    .reference = "scipy.signal.convolve(input[0], weight[0], 'full')[None] if transposed else "
                 "scipy.signal.correlate(input[0], weight[0], 'valid')[None] + bias[:, None, None]",
    .samples = "f(1, 2, 5, 5), f(1, 2, 3, 2), f(1), 1, 0, 1, False, 0, 1; "
               "f(1, 1, 6), f(1, 1, 3), None, 1, 0, 1, True, 0, 1",
});

template <int Dims>
Tensor convolve(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                const std::variant<std::string_view, Shape>& padding, const Shape& dilation, int64_t groups) {
  ConvolutionOptions options{stride, {0}, dilation, groups};
  if (const std::string_view* mode = std::get_if<std::string_view>(&padding)) {
    require(*mode == "same" || *mode == "valid", "Invalid padding string: '", *mode, "'; expected 'same' or 'valid'");
    options.same = *mode == "same";
  } else {
    options.padding = std::get<Shape>(padding);
  }
  return convolution(Dims, input, weight, bias, options);
}

OperatorRecord forward_record(const char* signature, OperatorFunction forward, const char* samples) {
  return {.signature = signature,
          .forms = kFunction | kLowerPrecision,
          .doc =
              "Compute the cross-correlation of input (N, C, *) or (C, *) with weight (F, C / groups, *). A single "
              "number applies to every spatial dimension. padding may be 'valid' or 'same'.\n\nGradient: input, weight "
              "and bias, any order.",
          .forward = forward,
          .reference =
              "scipy.signal.correlate(input[0], weight[0], 'same' if padding == 'same' else 'valid')[None] + "
              "(0 if bias is None else bias)",
          .samples = samples};
}

const Operator conv1d_operator(
    forward_record("conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", convolve<1>,
                   "f(1, 2, 5), f(1, 2, 3), f(1); f(1, 1, 6), f(1, 1, 3), None, 1, 'same'"));
const Operator conv2d_operator(
    forward_record("conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", convolve<2>,
                   "f(1, 2, 5, 4), f(1, 2, 3, 2), f(1); f(1, 1, 6, 5), f(1, 1, 3, 5), None, 1, 'same'"));
const Operator conv3d_operator(
    forward_record("conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", convolve<3>,
                   "f(1, 2, 3, 2, 2), f(1, 2, 2, 2, 1), f(1); f(1, 1, 3, 3, 2), f(1, 1, 3, 1, 1), None, 1, 'same'"));

template <int Dims>
Tensor convolve_transposed(const Tensor& input, const Tensor& weight, const Tensor& bias, const Shape& stride,
                           const Shape& padding, const Shape& output_padding, int64_t groups, const Shape& dilation) {
  return transposed_convolution(Dims, input, weight, bias, {stride, padding, dilation, groups}, output_padding);
}

OperatorRecord transposed_record(const char* signature, OperatorFunction forward, const char* samples) {
  return {
      .signature = signature,
      .forms = kFunction | kLowerPrecision,
      .doc =
          "Compute the transposed convolution of input (N, C, *) or (C, *) with weight (C, F / groups, *), which is "
          "the gradient of a convolution with respect to its input.\n\nGradient: input, weight and bias, any order.",
      .forward = forward,
      .reference = "scipy.signal.convolve(input[0], weight[0])[None] + (0 if bias is None else bias)",
      .samples = samples};
}

const Operator conv_transpose1d_operator(transposed_record(
    "conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    convolve_transposed<1>, "f(1, 1, 5), f(1, 1, 3); f(1, 1, 4), f(1, 1, 2), f(1)"));
const Operator conv_transpose2d_operator(transposed_record(
    "conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    convolve_transposed<2>, "f(1, 1, 5, 4), f(1, 1, 3, 2); f(1, 1, 4, 3), f(1, 1, 2, 2), f(1)"));
const Operator conv_transpose3d_operator(transposed_record(
    "conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1)",
    convolve_transposed<3>, "f(1, 1, 3, 2, 4), f(1, 1, 2, 2, 3); f(1, 1, 2, 2, 3), f(1, 1, 2, 2, 1), f(1)"));

template <int Dims>
Tensor gradient_of_input(const Shape& input_size, const Tensor& weight, const Tensor& grad_output, const Shape& stride,
                         const Shape& padding, const Shape& dilation, int64_t groups) {
  return convolution_input_gradient(Dims, input_size, weight, grad_output, {stride, padding, dilation, groups});
}

OperatorRecord input_gradient_record(const char* signature, OperatorFunction forward, const char* samples) {
  return {.signature = signature,
          .forms = kPrivate | kNetwork,
          .doc =
              "Compute the gradient with respect to the input of a convolution from the gradient of its output. "
              "input_size is the shape of the input.\n\nGradient: weight and grad_output, any order.",
          .forward = forward,
          .reference = "scipy.signal.convolve(grad_output[0], weight[0])[None]",
          .samples = samples};
}

const Operator conv1d_input_operator(
    input_gradient_record("conv1d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                          gradient_of_input<1>, "(1, 1, 6), f(1, 1, 3), f(1, 1, 4)"));
const Operator conv2d_input_operator(
    input_gradient_record("conv2d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                          gradient_of_input<2>, "(1, 1, 6, 4), f(1, 1, 3, 2), f(1, 1, 4, 3)"));
const Operator conv3d_input_operator(
    input_gradient_record("conv3d_input(input_size, weight, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                          gradient_of_input<3>, "(1, 1, 4, 4, 3), f(1, 1, 3, 2, 1), f(1, 1, 2, 3, 3)"));

template <int Dims>
Tensor gradient_of_weight(const Tensor& input, const Shape& weight_size, const Tensor& grad_output, const Shape& stride,
                          const Shape& padding, const Shape& dilation, int64_t groups) {
  return convolution_weight_gradient(Dims, input, weight_size, grad_output, {stride, padding, dilation, groups});
}

OperatorRecord weight_gradient_record(const char* signature, OperatorFunction forward, const char* samples) {
  return {.signature = signature,
          .forms = kPrivate | kNetwork,
          .doc =
              "Compute the gradient with respect to the weight of a convolution from the gradient of its output. "
              "weight_size is the shape of the weight.\n\nGradient: input and grad_output, any order.",
          .forward = forward,
          .reference = "scipy.signal.correlate(input[0], grad_output[0], 'valid')[None]",
          .samples = samples};
}

const Operator conv1d_weight_operator(
    weight_gradient_record("conv1d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                           gradient_of_weight<1>, "f(1, 1, 6), (1, 1, 3), f(1, 1, 4)"));
const Operator conv2d_weight_operator(
    weight_gradient_record("conv2d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                           gradient_of_weight<2>, "f(1, 1, 6, 4), (1, 1, 3, 2), f(1, 1, 4, 3)"));
const Operator conv3d_weight_operator(
    weight_gradient_record("conv3d_weight(input, weight_size, grad_output, stride=1, padding=0, dilation=1, groups=1)",
                           gradient_of_weight<3>, "f(1, 1, 4, 4, 3), (1, 1, 3, 2, 1), f(1, 1, 2, 3, 3)"));

}  // namespace

}  // namespace flambeau
