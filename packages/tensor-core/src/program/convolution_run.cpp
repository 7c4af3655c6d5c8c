// Execution of merged convolutions, alone or in pairs. Note [Merged products]
#include "program/convolution_run.h"

#include "operators/convolution/paired_convolution.h"
#include "operators/convolution/select_algorithm.h"
#include "operators/convolution/winograd_convolution.h"
#include "operators/layers/normalization.h"
#include "operators/pointwise/chain.h"

namespace flambeau::program {

namespace {

// Returns the weights and the bias of a convolution that also computes a batch_norm. `norm` contains the tensors of the
// batch_norm: weight, bias, mean and variance. The weights and the bias are undefined if the shapes do not match.
PreparedWeights folded(const Tensor& weight, const Tensor& bias, const Tensor* norm, double eps) {
  const NoRecording off;
  const int64_t filters = weight.size(0), taps = weight.numel() / filters;
  const ChannelLines channels =
      inference_lines({1, filters, 1}, weight.dtype(), norm[2], norm[3], norm[0], norm[1], eps);
  if (channels.lines.empty()) return {};
  PreparedWeights out{empty(weight.shape(), weight.dtype()), empty({filters}, weight.dtype()), {}};
  dispatch_real(weight.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t f = 0; f < filters; ++f) {
      const ChannelLine& line = channels.lines[size_t(f)];
      const T* const from = weight.data<T>() + f * taps;
      T* const to = out.weight.data<T>() + f * taps;
      for (int64_t t = 0; t < taps; ++t) to[t] = T(double(from[t]) * line.scale);
      const double constant = bias.defined() ? double(bias.data<T>()[f]) : 0;
      out.bias.data<T>()[f] = T((constant - line.centre) * line.scale + line.shift);
    }
  });
  return out;
}

}  // namespace

ConvolutionRun::ConvolutionRun(const MergedProduct& merged, Arguments arguments)
    : merged_(merged),
      arguments_(arguments),
      operands_(arguments + merged.product.arguments.size() + (merged.norm ? merged.norm->arguments.size() : 0)) {}

bool ConvolutionRun::prepare(const Tensor& input) {
  if (!is_real(input.dtype()) || input.numel() == 0) return false;
  tensors_ = {tensor_of(*arguments_[1]), tensor_of(*arguments_[2])};
  if (merged_.norm)
    for (size_t k = 1; k < 5; ++k) tensors_.push_back(tensor_of(*arguments_[merged_.product.arguments.size() + k]));
  for (size_t i = 0; i < tensors_.size(); ++i)
    if (tensors_[i].defined() ? !fits(tensors_[i]) || tensors_[i].dtype() != input.dtype() : i == 0 || i > 3)
      return false;
  if (!find_geometry(input)) return false;
  shape_ = geometry_.output_shape();
  dtype_ = input.dtype();
  if (flambeau::product(shape_) == 0) return false;
  weights_ = merged_.weights.get(tensors_, packs(), [&](bool pack) { return prepared(pack); });
  return weights_->weight.defined();
}

Merged ConvolutionRun::run(Value& result) {
  const Tensor& input = tensor_of(*arguments_[0]);
  return fits(input) && prepare(input) ? compute(input, result) : Merged::None;
}

// Returns false for a call that the operator has to reject or to handle differently.
bool ConvolutionRun::find_geometry(const Tensor& input) {
  const int dims = merged_.product.function->name[4] - '0';
  const std::string* const padding = std::get_if<std::string>(arguments_[4]);
  if (input.dim() != dims + 2 || (padding && *padding != "valid")) return false;
  try {
    const ConvolutionOptions options{As<const Shape&>::get(*arguments_[3]),
                                     padding ? Shape{0} : As<const Shape&>::get(*arguments_[4]),
                                     As<const Shape&>::get(*arguments_[5]), As<int64_t>::get(*arguments_[6])};
    geometry_ = convolution_geometry(dims, input, tensors_[0], tensors_[1], options);
  } catch (const Error&) {
    return false;
  }
  return true;
}

bool ConvolutionRun::transforms() const { return merged_.norm && winograd_is_faster(geometry_); }

bool ConvolutionRun::packs() const {
  if (transforms()) return true;
  const ConvolutionAlgorithm algorithm = select_algorithm(ConvolutionFunction::Forward, geometry_, tensors_[0].dtype());
  return (algorithm == ConvolutionAlgorithm::Implicit || algorithm == ConvolutionAlgorithm::Unfolded) &&
         geometry_.group_filters() >= kernels::products().panel_rows;
}

PreparedWeights ConvolutionRun::prepared(bool pack) const {
  PreparedWeights out = merged_.norm ? folded(tensors_[0], tensors_[1], &tensors_[2], merged_.eps)
                                     : PreparedWeights{tensors_[0], tensors_[1], {}};
  if (!pack || !out.weight.defined()) return out;
  if (transforms()) {
    const NoRecording off;
    out.transformed = true;
    out.panels = winograd_weights(out.weight);
    return out;
  }
  const int64_t taps = geometry_.taps(), filters = geometry_.group_filters(), size = item_size(out.weight.dtype());
  out.panels = panel_memory(out.weight.numel(), out.weight.dtype());
  for (int64_t group = 0; group < geometry_.groups; ++group) {
    const int64_t first = group * filters * taps * size;
    kernels::products().pack_rows[size == 8](out.panels.bytes() + first, filters, taps,
                                             {out.weight.bytes() + first, taps, 1});
  }
  return out;
}

const void* ConvolutionRun::panels() const {
  return weights_->panels.defined() && !weights_->transformed ? weights_->panels.bytes() : nullptr;
}

std::optional<Epilogue> ConvolutionRun::epilogue() const {
  return EpilogueBuilder(merged_, operands_, shape_, dtype_).build();
}

Merged ConvolutionRun::compute(const Tensor& input, Value& result) const {
  ConvolutionFinish finish;
  finish.out = empty(shape_, dtype_);
  finish.panels = panels();
  std::optional<Epilogue> after = epilogue();
  if (after) after->set_result(finish.out.bytes());
  if (after && !after->empty()) finish.epilogue = &*after;
  const NoRecording off;
  if (weights_->panels.defined() && weights_->transformed && transforms())
    winograd_forward(geometry_, input, weights_->panels, weights_->bias, finish);
  else
    finished_convolution(geometry_, input, weights_->weight, weights_->bias, finish);
  result = finish.out;
  return after ? Merged::All : Merged::Product;
}

bool run_pair(const MergedProduct& second, Arguments first_arguments, Arguments arguments, Value& result) {
  ConvolutionRun first(*second.source->merged, first_arguments), next(second, arguments);
  const Tensor& input = tensor_of(*first_arguments[0]);
  if (!fits(input) || !first.prepare(input) || !first.panels() || !is_large(first.geometry(), input.dtype()))
    return false;
  const NoRecording off;
  const Tensor between = expand(zeros({}, input.dtype()), first.geometry().output_shape());
  if (!next.prepare(between) || !can_pair(first.geometry(), next.geometry(), input.dtype())) return false;
  const std::optional<Epilogue> inner = first.epilogue();
  std::optional<Epilogue> outer = next.epilogue();
  if (!inner || inner->reads_tensors() || !outer) return false;
  const Tensor out = empty(next.geometry().output_shape(), input.dtype());
  outer->set_result(out.bytes());
  paired_convolution({first.geometry(), input, first.weights().weight, first.panels(), first.weights().bias, *inner},
                     {next.geometry(), next.weights().weight, next.weights().bias, *outer}, out);
  result = out;
  return true;
}

}  // namespace flambeau::program
