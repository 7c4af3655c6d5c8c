// Operators of neural networks. A Shape with one value for each spatial dimension may also have a single value.
#pragma once

#include <functional>

#include "flambeau/operators.h"

namespace flambeau {

// Convolution (operators/convolution/convolution.cpp): dims is 1, 2 or 3
struct ConvolutionOptions {
  Shape stride, padding, dilation;
  int64_t groups = 1;
  bool same = false;  // true: pad so that the output has the size of the input
};
FLAMBEAU_API Tensor convolution(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                const ConvolutionOptions& options);
FLAMBEAU_API Tensor transposed_convolution(int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
                                           const ConvolutionOptions& options, const Shape& output_padding);
// The derivatives of a convolution without bias. Each function takes the size of its operand, the other operand and the
// gradient of the output.
FLAMBEAU_API Tensor convolution_input_gradient(int dims, const Shape& input_size, const Tensor& weight,
                                               const Tensor& grad, const ConvolutionOptions& options);
FLAMBEAU_API Tensor convolution_weight_gradient(int dims, const Tensor& input, const Shape& weight_size,
                                                const Tensor& grad, const ConvolutionOptions& options);
FLAMBEAU_API Tensor unfold_windows(const Tensor& input, const Shape& kernel, const Shape& dilation,
                                   const Shape& padding, const Shape& stride);
FLAMBEAU_API Tensor fold_windows(const Tensor& input, const Shape& output, const Shape& kernel, const Shape& dilation,
                                 const Shape& padding, const Shape& stride);

// Pooling (operators/images/pooling.cpp)
struct PoolOptions {
  Shape kernel, stride, padding, dilation;  // an empty stride means the kernel's size
  bool ceil_mode = false;
};
FLAMBEAU_API TensorPair max_pool(int dims, const Tensor& input, const PoolOptions& options);
FLAMBEAU_API TensorPair adaptive_max_pool(int dims, const Tensor& input,
                                          const std::vector<std::optional<int64_t>>& output);
FLAMBEAU_API TensorPair fractional_max_pool(int dims, const Tensor& input, const Shape& kernel, const Shape& output,
                                            const Tensor& samples);
FLAMBEAU_API Tensor average_pool(int dims, const Tensor& input, const PoolOptions& options, bool count_include_pad,
                                 std::optional<int64_t> divisor);
FLAMBEAU_API Tensor adaptive_average_pool(int dims, const Tensor& input,
                                          const std::vector<std::optional<int64_t>>& output);

// Interpolation (operators/images/interpolation.cpp)
enum class Interpolation : uint8_t { Nearest, NearestExact, Linear, Cubic };
// scales: the given ratios of output to input size, or 0 if they follow from the sizes.
FLAMBEAU_API Tensor interpolate(const Tensor& input, const Shape& size, const std::vector<double>& scales,
                                Interpolation mode, bool align_corners, bool antialias);

// Padding with values of the image (operators/images/padding.cpp): pairs of amounts, the last dimension first. Negative
// amounts remove elements.
enum class PadMode : uint8_t { Reflect, Replicate, Circular };
FLAMBEAU_API Tensor pad_edges(const Tensor& input, const Shape& amounts, PadMode mode);

// Rearranging (operators/images/channels.cpp)
FLAMBEAU_API Tensor pixel_shuffle(const Tensor& input, int64_t upscale_factor);
FLAMBEAU_API Tensor pixel_unshuffle(const Tensor& input, int64_t downscale_factor);
FLAMBEAU_API Tensor channel_shuffle(const Tensor& input, int64_t groups);
// Inverse of max pooling: values at their positions, zeros elsewhere (operators/images/unpooling.cpp). The sizes of the
// image follow from the sizes of `input` and the pooling options unless output_size gives them, alone or as part of the
// complete shape.
FLAMBEAU_API Tensor max_unpool(int dims, const Tensor& input, const Tensor& indices, const PoolOptions& pool,
                               const OptionalDims& output_size);

// Sampling (operators/images/grid_sample.cpp): mode 0 bilinear, 1 nearest, 2 bicubic; padding 0 zeros, 1 border, 2
// reflection
struct GridSampling {
  int64_t mode, padding;
  bool align_corners;
};
FLAMBEAU_API Tensor grid_sampler(const Tensor& input, const Tensor& grid, const GridSampling& options);

// Non-maximum suppression (operators/images/suppression.cpp) of boxes (N, 4). Of boxes whose intersection over union
// exceeds a threshold, keeps the box with the highest score. Returns the positions of the kept boxes by decreasing
// score. If groups (N) are given, boxes suppress only boxes of their group.
FLAMBEAU_API Tensor suppress_boxes(const Tensor& boxes, const Tensor& scores, double threshold, const Tensor& groups);

// Bags of embeddings (operators/layers/embedding_bag.cpp). A bag is a row of indices (B, N) or, with offsets,
// indices[offsets[b]], ..., indices[offsets[b + 1] - 1]. The last offset is the number of indices unless it is given.
enum class BagMode : uint8_t { Sum, Mean, Max };
FLAMBEAU_API Tensor embedding_bag(const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool last_given,
                                  BagMode mode, const Tensor& per_sample, int64_t padding, bool by_frequency);
// Scales the used rows whose p-norm exceeds max_norm to that norm, in place (operators/layers/embedding_renorm.cpp).
FLAMBEAU_API Tensor embedding_renorm_(const Tensor& weight, const Tensor& indices, double max_norm, double p);

// Attention (operators/layers/attention.cpp): query (*, L, E), key (*, S, E), value (*, S, V); the mask may be
// undefined
FLAMBEAU_API Tensor scaled_dot_product_attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                                 const Tensor& mask, bool causal, std::optional<double> scale);

// Losses and normalisation (operators/losses, operators/layers)
FLAMBEAU_API Tensor cross_entropy(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                                  Reduction reduction, double label_smoothing);
FLAMBEAU_API Tensor nll_loss(const Tensor& input, const Tensor& target, const Tensor& weight, int64_t ignore_index,
                             Reduction reduction);
FLAMBEAU_API Tensor mse_loss(const Tensor& input, const Tensor& target, Reduction reduction);
// operators/losses/margins.cpp: scores (N, C) or (C)
FLAMBEAU_API Tensor multi_margin_loss(const Tensor& input, const Tensor& target, int64_t p, double margin,
                                      const Tensor& weight, Reduction reduction);
FLAMBEAU_API Tensor multilabel_margin_loss(const Tensor& input, const Tensor& target, Reduction reduction);
FLAMBEAU_API Tensor dropout(const Tensor& input, double p, bool training, Generator* generator);
FLAMBEAU_API Tensor ctc_loss(const Tensor& log_probs, const Tensor& targets, const Shape& input_lengths,
                             const Shape& target_lengths, int64_t blank, bool zero_infinity);
// statistics (rows or channels, 2): mean and 1 / standard deviation, in float64, not recorded.
struct Normalized {
  Tensor values, statistics;
};
FLAMBEAU_API Normalized layer_norm(const Tensor& input, const Shape& normalized, const Tensor& weight,
                                   const Tensor& bias, double eps);
FLAMBEAU_API Normalized group_norm(const Tensor& input, int64_t groups, const Tensor& weight, const Tensor& bias,
                                   double eps);
FLAMBEAU_API Normalized batch_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                                   const Tensor& weight, const Tensor& bias, bool training, double momentum,
                                   double eps);
FLAMBEAU_API Tensor instance_norm(const Tensor& input, const Tensor& running_mean, const Tensor& running_var,
                                  const Tensor& weight, const Tensor& bias, bool use_input_stats, double momentum,
                                  double eps);
FLAMBEAU_API Tensor rms_norm(const Tensor& input, const Shape& normalized, const Tensor& weight,
                             std::optional<double> eps);

}  // namespace flambeau
