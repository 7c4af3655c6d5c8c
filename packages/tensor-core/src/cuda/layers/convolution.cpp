// Convolutions on a GPU. cuDNN computes them if it is installed and supports the arguments. Otherwise this file
// launches implicit matrix products, which never store the unfolded matrices.
#include "cuda/layers/convolution.h"

#include "cuda/division.h"
#include "cuda/libraries/cudnn_convolution.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/views.h"
#include "device/layers/convolution_arguments.h"
#include "flambeau/copies.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::cuda {

namespace {

using Geometry = ConvolutionGeometry;

using Function = ConvolutionFunction;

CudaModule& module_of(Function function, Dtype dtype, int64_t tile, bool tf32) {
  static constexpr const char* names[] = {"Forward", "InputGradient", "WeightGradient"};
  static auto* modules = new CudaModules;
  return modules->find(((uint64_t(function) * 16 + uint64_t(dtype)) * 2 + (tile == kLargeTile)) * 2 + tf32, [&] {
    std::string source = "#include \"device/layers/convolution.h\"\nFLAMBEAU_CONVOLUTION(";
    source += std::string(names[int(function)]) + ", " + type_name(dtype) + ", " + std::to_string(tile) +
              (tf32 ? ", true)\n" : ", false)\n");
    return std::make_unique<CudaModule>("convolution", source, kTileKernels);
  });
}

Box box_of(const Sizes& size) {
  Box box;
  for (size_t i = 0; i < 3; ++i) box.size[i] = int32_t(size[i]);
  box.by_row = Divider(uint32_t(size[2])), box.by_plane = Divider(uint32_t(size[1] * size[2]));
  box.by_box = Divider(uint32_t(product(size)));
  return box;
}

ConvolutionArguments arguments_of(const Geometry& g) {
  ConvolutionArguments a{};
  a.groups = g.groups, a.channels = g.group_channels(), a.filters = g.group_filters();
  for (size_t i = 0; i < 3; ++i) {
    a.size[i] = int32_t(g.size[i]), a.stride[i] = int32_t(g.stride[i]);
    a.padding[i] = int32_t(g.padding[i]), a.dilation[i] = int32_t(g.dilation[i]);
    a.by_stride[i] = Divider(uint32_t(g.stride[i]));
  }
  a.area = product(g.kernel), a.volume = product(g.size), a.positions = product(g.out);
  a.taps = box_of(g.kernel), a.outputs = box_of(g.out);
  return a;
}

void run(Function function, const Tensor& out, ConvolutionArguments& a, int64_t m, int64_t n, int64_t k, Dtype dtype) {
  a.out = out.device_bytes();
  const int64_t tile = tile_of(m, n, a.groups, accumulator_size(dtype));
  a.division = division_of(m, n, k, a.groups, tile);
  run_tiles(out.device().index, module_of(function, dtype, tile, dtype == Dtype::float32 && tf32_allowed()), a, dtype);
}

// Returns the weight as a contiguous tensor with the dimensions (groups, filters, channels, kernel positions) in the
// given order.
Tensor permuted_weight(const Geometry& g, const Tensor& weight, const Shape& order) {
  const Shape shape{g.groups, g.group_filters(), g.group_channels(), product(g.kernel)};
  return contiguous(permuted(reshaped(contiguous(weight), shape), order));
}

// Fills `out` with the bias if it is defined. cuDNN then adds its result before it rounds.
void fill_with_bias(const Tensor& bias, int dims, const Tensor& out) {
  if (!bias.defined()) return;
  Shape column(size_t(dims) + 1, 1);
  column[0] = bias.numel();
  copy_values(out, reshaped(contiguous(bias), column));
}

struct Operands {  // operands of a convolution; the tensor to compute is undefined
  Tensor image, weight, output;
};

// Returns the memory format of the activations, in which cuDNN computes. Weights, which are smaller, are copied to this
// format if necessary. Normalisation and pooling layers return contiguous tensors, and later layers should keep this
// format.
MemoryFormat format_of(const Geometry& g, const Operands& given) {
  const MemoryFormat last = g.dims == 2 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d;
  const auto is_channels_last = [&](const Tensor& t) {
    return t.defined() && !t.is_contiguous() && is_contiguous(t, last);
  };
  const bool any = g.dims > 1 && (is_channels_last(given.image) || is_channels_last(given.output));
  return any ? last : MemoryFormat::Contiguous;
}

// Computes the undefined tensor of `given` by cuDNN. Returns an undefined tensor if cuDNN does not support the
// operation in this format.
Tensor compute_in_format(MemoryFormat format, Function function, const Geometry& g, const Operands& given, Dtype dtype,
                         const Tensor& bias) {
  const auto lay = [&](const Tensor& t, const Shape& shape) {
    return t.defined() ? contiguous(t, format) : empty_strided(shape, strides_in(format, shape), dtype);
  };
  const Tensor image = lay(given.image, g.input_shape()), weight = lay(given.weight, g.weight_shape()),
               output = lay(given.output, g.output_shape());
  const Tensor& made = function == Function::Forward ? output : function == Function::InputGradient ? image : weight;
  fill_with_bias(bias, g.dims, made);
  return library_convolution(function, g, {image, weight, output, format}, bias.defined()) ? made : Tensor();
}
Tensor by_library(Function function, const Geometry& g, const Operands& given, const Tensor& bias = Tensor()) {
  const Dtype dtype = (given.image.defined() ? given.image : given.output).dtype();
  if (!library_convolves(g, dtype)) return Tensor();
  const MemoryFormat format = format_of(g, given);
  const Tensor made = compute_in_format(format, function, g, given, dtype, bias);
  if (made.defined() || format == MemoryFormat::Contiguous) return made;
  return compute_in_format(MemoryFormat::Contiguous, function, g, given, dtype, bias);
}

}  // namespace

bool convolves(const Geometry& g) {  // the kernels divide 31-bit integers
  constexpr double kInt32Limit = double(int64_t(1) << 31);
  double longest = 1;
  for (size_t i = 0; i < 3; ++i)
    longest =
        std::max({longest, double(g.size[i]) + 2 * double(g.padding[i]), double(g.stride[i]), double(g.dilation[i])});
  const double area = double(g.kernel[0]) * double(g.kernel[1]) * double(g.kernel[2]),
               positions = double(g.out[0]) * double(g.out[1]) * double(g.out[2]),
               volume = double(g.size[0]) * double(g.size[1]) * double(g.size[2]);
  return longest < kInt32Limit && volume < kInt32Limit &&
         area * double(std::max(g.group_channels(), g.group_filters())) < kInt32Limit &&
         positions * double(std::max<int64_t>(g.batch, 1)) < kInt32Limit;
}

Tensor convolution_forward(const Geometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const OnDevice scope(input.device());
  if (const Tensor made = by_library(Function::Forward, g, {input, weight, Tensor()}, bias); made.defined())
    return made;
  const Tensor out = empty(g.output_shape(), input.dtype()), x = contiguous(input),
               w = permuted_weight(g, weight, {0, 1, 3, 2}), b = bias.defined() ? contiguous(bias) : bias;
  if (out.numel() == 0) return out;
  ConvolutionArguments a = arguments_of(g);
  a.inner = Divider(uint32_t(a.channels));
  a.input = x.device_bytes(), a.weight = w.device_bytes(), a.bias = b.defined() ? b.device_bytes() : nullptr;
  run(Function::Forward, out, a, g.group_filters(), g.batch * g.positions(), g.taps(), out.dtype());
  return out;
}

Tensor convolution_input_gradient(const Geometry& g, const Tensor& grad, const Tensor& weight, const Tensor& bias) {
  const OnDevice scope(grad.device());
  if (const Tensor made = by_library(Function::InputGradient, g, {Tensor(), weight, grad}, bias); made.defined())
    return made;
  const Tensor out = empty(g.input_shape(), grad.dtype()), dy = contiguous(grad),
               w = permuted_weight(g, weight, {0, 2, 3, 1}), b = bias.defined() ? contiguous(bias) : bias;
  if (out.numel() == 0) return out;
  ConvolutionArguments a = arguments_of(g);
  a.inner = Divider(uint32_t(a.filters));
  a.grad = dy.device_bytes(), a.weight = w.device_bytes(), a.bias = b.defined() ? b.device_bytes() : nullptr;
  run(Function::InputGradient, out, a, g.group_channels(), g.batch * product(g.size),
      g.group_filters() * product(g.kernel), out.dtype());
  return out;
}

Tensor convolution_weight_gradient(const Geometry& g, const Tensor& input, const Tensor& grad) {
  const OnDevice scope(input.device());
  if (const Tensor made = by_library(Function::WeightGradient, g, {input, Tensor(), grad}); made.defined()) return made;
  const Tensor out = empty(g.weight_shape(), input.dtype()), x = contiguous(input), dy = contiguous(grad);
  if (out.numel() == 0) return out;
  ConvolutionArguments a = arguments_of(g);
  a.input = x.device_bytes(), a.grad = dy.device_bytes();
  run(Function::WeightGradient, out, a, g.group_filters(), g.taps(), g.batch * g.positions(), out.dtype());
  return out;
}

namespace {

enum WindowsKernel { kUnfolded, kFolded };

void run_windows(WindowsKernel kernel, const Tensor& out, ConvolutionArguments& a) {
  static auto* modules = new CudaModules;
  if (out.numel() == 0) return;
  CudaModule& module = modules->find(uint64_t(out.dtype()), [&] {
    const std::string source =
        std::string("#include \"device/layers/windows.h\"\nFLAMBEAU_WINDOWS(") + type_name(out.dtype()) + ")\n";
    return std::make_unique<CudaModule>("sliding windows", source,
                                        std::initializer_list<const char*>{"unfolded", "folded"});
  });
  a.out = out.device_bytes();
  a.division = {1, out.numel(), 1, 1, 1, 1, 1, 1};
  launch(out.device().index, module, kernel, {unsigned(divide_up(out.numel(), kThreads))}, kThreads, a);
}

}  // namespace

void unfold(const Geometry& g, const Tensor& out, const Tensor& image) {
  ConvolutionArguments a = arguments_of(g);
  a.input = image.device_bytes();
  run_windows(kUnfolded, out, a);
}

void fold(const Geometry& g, const Tensor& out, const Tensor& columns) {
  ConvolutionArguments a = arguments_of(g);
  a.grad = columns.device_bytes();
  run_windows(kFolded, out, a);
}

}  // namespace flambeau::cuda
