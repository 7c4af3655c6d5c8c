// Declarations for all convolution algorithms. Note [Convolution] in convolution.cpp.
#pragma once

#include "core/working_memory.h"
#include "flambeau/memory_format.h"
#include "flambeau/operators/networks.h"
#include "operators/pointwise/epilogue.h"
#include "tasks/convolution.h"

namespace flambeau {

// Number of parts of a batch whose weight gradients are summed separately. It is fixed, so that the order of additions
// does not depend on the number of threads.
inline constexpr int64_t kConvolutionParts = 16;

// Returns the number of samples that justify an additional thread. If each sample is divided into `shares` shares,
// returns the number of shares instead.
inline int64_t sample_grain(const ConvolutionGeometry& g, int64_t shares = 1) {
  return std::max<int64_t>(1, 300000 * shares / (g.filters * g.taps() * g.positions() + 1));
}

// Calls f with the tag of the type in which unfolding and matrix products compute: int64, float32 or float64.
template <class F>
void dispatch_working(Dtype type, F&& f) {
  if (type == Dtype::int64)
    f(TypeTag<int64_t>{});
  else
    dispatch_real(type, f);
}

// Returns the geometry of a forward convolution. Raises an error if the shapes of the operands do not match.
ConvolutionGeometry convolution_geometry(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                         const ConvolutionOptions& o);

// Additional steps of a forward convolution of contiguous tensors in compiled programs.
struct ConvolutionFinish {
  Tensor out;                          // memory for the result; if undefined, it is allocated
  const Epilogue* epilogue = nullptr;  // steps that are applied to the result. Note [Epilogues]
  const void* panels = nullptr;        // the weights of each group, packed as rows: Note [Packed matrices]

  Tensor output(const ConvolutionGeometry& g, Dtype type) const {
    return out.defined() ? out : empty(g.output_shape(), type);
  }
  std::optional<Bounds> limits() const { return epilogue ? epilogue->limits() : std::nullopt; }
  void apply(void* piece, int64_t n) const {
    if (epilogue) epilogue->apply(static_cast<char*>(piece), n);
  }
  // These two functions are for a matrix product that computes the filters from `first` on. of_filters() returns the
  // finish of the product, and filters() returns its left matrix.
  template <class T>
  kernels::ProductFinish of_filters(const T* bias, int64_t first) const {
    kernels::ProductFinish f = epilogue ? epilogue->finish() : kernels::ProductFinish();
    if (bias) f.row_bias = bias + first;
    return f;
  }
  template <class T>
  kernels::PackedMatrix filters(const ConvolutionGeometry& g, const T* weights, int64_t first) const {
    const int64_t taps = g.taps();
    return {{weights + first * taps, taps, 1}, panels ? static_cast<const T*>(panels) + first * taps : nullptr, taps};
  }
};

// Compute the three functions of Note [Convolution] (values.cpp) without recording.
Tensor convolution_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
// Computes a forward convolution and its finish, for non-empty contiguous float32 or float64 tensors on the CPU.
Tensor finished_convolution(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                            const ConvolutionFinish& finish);
// Returns true if input_gradient_values() accepts a bias for this convolution and gradient. Otherwise its `bias` must
// be undefined.
bool input_gradient_takes_bias(const ConvolutionGeometry& g, const Tensor& grad);
Tensor input_gradient_values(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                             const Tensor& bias);
Tensor weight_gradient_values(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// The algorithms. Operands are contiguous and have one of the dtypes of dispatch_working(). An algorithm supports only
// convolutions for which select_algorithm() returns it.
Tensor depthwise_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                         const ConvolutionFinish& finish = {});
Tensor direct_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                      const ConvolutionFinish& finish = {});
Tensor direct_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor implicit_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvolutionFinish& finish = {});
Tensor product_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                       const ConvolutionFinish& finish = {});
Tensor product_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor product_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor shifted_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);
Tensor unfolded_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias,
                        const ConvolutionFinish& finish = {});
Tensor unfolded_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor unfolded_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// Returns true if the following functions should compute a convolution of this dtype. Their operands are contiguous and
// bfloat16, except for the bias, which is float32.
bool convolves_bfloat16(const ConvolutionGeometry& g, Dtype dtype);
Tensor bfloat16_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight, const Tensor& bias);
Tensor bfloat16_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight);
Tensor bfloat16_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

// These functions compute 1x1 convolutions and their gradients if the memory of the activations is contiguous in a
// channels-last format: Note [Channels last].
Tensor channels_last_forward(const ConvolutionGeometry& g, const Tensor& input, const Tensor& weight,
                             const Tensor& bias, MemoryFormat format);
Tensor channels_last_input_gradient(const ConvolutionGeometry& g, const Tensor& grad, const Tensor& weight,
                                    MemoryFormat format);
Tensor channels_last_weight_gradient(const ConvolutionGeometry& g, const Tensor& input, const Tensor& grad);

}  // namespace flambeau
