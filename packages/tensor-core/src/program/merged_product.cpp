// Execution of convolutions and products together with the operators that follow them. Note [Merged products]
#include "program/merged_product.h"

#include <cmath>

#include "flambeau/autograd.h"
#include "flambeau/memory_format.h"
#include "flambeau/rows/activations.h"
#include "flambeau/rows/basic.h"
#include "flambeau/rows/selection.h"
#include "operators/convolution/convolution.h"
#include "operators/convolution/select_algorithm.h"
#include "operators/convolution/winograd_convolution.h"
#include "operators/layers/normalization.h"
#include "operators/pointwise/chain.h"
#include "operators/products/products.h"

namespace flambeau::program {

namespace {

using Arguments = const Value* const*;
constexpr int64_t kSlack = 64;  // elements that packing may write beyond the panels

// Returns true for a contiguous operand that needs no gradient.
bool fits(const Tensor& t) {
  return t.defined() && t.device() == DeviceType::Cpu && t.is_contiguous() &&
         result_format(t) == MemoryFormat::Contiguous && !(t.tracked() && recording_enabled());
}
bool is_real(Dtype dtype) { return dtype == Dtype::float32 || dtype == Dtype::float64; }

// Returns the tensor of an argument; undefined for None and other values.
const Tensor& tensor_of(const Value& v) {
  static const Tensor undefined;
  const Tensor* t = std::get_if<Tensor>(&v);
  return t ? *t : undefined;
}

// Builds the epilogue of the steps for a result; nothing if an operand does not have the result's shape and dtype.
class EpilogueBuilder {
 public:
  EpilogueBuilder(const MergedProduct& merged, Arguments operands, const Tensor& out)
      : merged_(merged), operands_(operands), out_(out) {}

  std::optional<Epilogue> build() const {
    Epilogue epilogue(out_.dtype());
    for (const FusedStep& step : merged_.steps) {
      if (const std::optional<Limits> limits = limits_of(step)) {
        epilogue.add(*limits);
        continue;
      }
      const PointwiseKernel kernel = chain_kernel(step.row, out_.dtype());
      SmallVector<Epilogue::Source, kMaxOperands> sources;
      for (const StepOperand& o : step.operands) {
        const std::optional<Epilogue::Source> source = source_of(o);
        if (!source) return std::nullopt;
        if (row_of(step.row).has_parameters && (source->kind == Epilogue::Source::Number) != (sources.size() > 0))
          return std::nullopt;
        sources.push_back(*source);
      }
      if (!kernel) return std::nullopt;
      epilogue.add(kernel, {sources.data(), sources.size()});
    }
    epilogue.set_result(out_.bytes());
    return epilogue;
  }

 private:
  bool is_result(const StepOperand& o) const { return o.is_step || o.number == merged_.result; }
  std::optional<double> number(const StepOperand& o) const {
    if (is_result(o)) return std::nullopt;
    const Value& v = *operands_[o.number];
    if (const int64_t* i = std::get_if<int64_t>(&v)) return double(*i);
    if (const double* d = std::get_if<double>(&v)) return *d;
    return std::nullopt;
  }

  // The bounds that a step gives the result, or nothing for other steps. A NaN as bound replaces each element.
  std::optional<Limits> limits_of(const FusedStep& step) const {
    if (!is_result(step.operands[0])) return std::nullopt;
    if (step.row == op::relu) return Limits{.lowest = 0};
    if (step.row == op::relu6) return Limits{.lowest = 0, .highest = 6};
    const bool both = step.row == op::hardtanh || step.row == op::_clip;
    if (!both && step.row != op::clamp_min && step.row != op::clamp_max) return std::nullopt;
    Limits limits;
    const std::optional<double> first = number(step.operands[1]), second = both ? number(step.operands[2]) : first;
    if (!first || !second || std::isnan(*first) || std::isnan(*second)) return std::nullopt;
    if (step.row != op::clamp_max) limits.lowest = *first;
    if (step.row != op::clamp_min) limits.highest = *second;
    return limits;
  }

  std::optional<Epilogue::Source> source_of(const StepOperand& o) const {
    using Source = Epilogue::Source;
    if (is_result(o)) return Source{Source::Result};
    const Value& v = *operands_[o.number];
    if (const int64_t* i = std::get_if<int64_t>(&v)) return Source{Source::Number, Scalar(*i)};
    if (const double* d = std::get_if<double>(&v)) return Source{Source::Number, Scalar(*d)};
    const Tensor* const t = std::get_if<Tensor>(&v);
    if (!t || !fits(*t) || t->dtype() != out_.dtype() || !(t->shape() == out_.shape())) return std::nullopt;
    return Source{Source::Elements, {}, t};
  }

  const MergedProduct& merged_;
  const Arguments operands_;
  const Tensor& out_;
};

// Returns the weights and the bias of a convolution that also computes batch_norm; undefined if the shapes do not
// match.
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

Tensor panel_memory(int64_t elements, Dtype dtype) { return empty({elements + kSlack}, dtype); }

class ConvolutionRun {
 public:
  ConvolutionRun(const MergedProduct& merged, Arguments arguments)
      : merged_(merged),
        arguments_(arguments),
        operands_(arguments + merged.product.arguments.size() + (merged.norm ? merged.norm->arguments.size() : 0)) {}

  Merged run(Value& result) {
    const Tensor &input = tensor_of(*arguments_[0]), &weight = tensor_of(*arguments_[1]);
    if (!fits(input) || !is_real(input.dtype()) || input.numel() == 0) return Merged::None;
    tensors_ = {weight, tensor_of(*arguments_[2])};
    if (merged_.norm)
      for (size_t k = 1; k < 5; ++k) tensors_.push_back(tensor_of(*arguments_[merged_.product.arguments.size() + k]));
    for (size_t i = 0; i < tensors_.size(); ++i)
      if (tensors_[i].defined() ? !fits(tensors_[i]) || tensors_[i].dtype() != input.dtype() : i == 0 || i > 3)
        return Merged::None;
    if (!find_geometry(input) || product(geometry_.output_shape()) == 0) return Merged::None;
    const auto weights = merged_.weights.get(tensors_, packs(), [&](bool pack) { return prepared(pack); });
    if (!weights->weight.defined()) return Merged::None;
    return compute(input, *weights, result);
  }

 private:
  // Returns false for a call that the operator has to reject or to handle differently.
  bool find_geometry(const Tensor& input) {
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

  bool transforms() const { return merged_.norm && winograd_pays(geometry_); }
  bool packs() const {
    if (transforms()) return true;
    const ConvolutionAlgorithm algorithm =
        select_algorithm(ConvolutionFunction::Forward, geometry_, tensors_[0].dtype());
    return (algorithm == ConvolutionAlgorithm::Implicit || algorithm == ConvolutionAlgorithm::Unfolded) &&
           geometry_.group_filters() >= kernels::products().panel_rows;
  }

  PreparedWeights prepared(bool pack) const {
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

  Merged compute(const Tensor& input, const PreparedWeights& weights, Value& result) const {
    ConvolutionFinish finish;
    finish.out = empty(geometry_.output_shape(), input.dtype());
    const bool transformed = weights.panels.defined() && weights.transformed;
    if (weights.panels.defined() && !transformed) finish.panels = weights.panels.bytes();
    const std::optional<Epilogue> epilogue = EpilogueBuilder(merged_, operands_, finish.out).build();
    if (epilogue && !epilogue->empty()) finish.epilogue = &*epilogue;
    const NoRecording off;
    if (transformed && transforms())
      winograd_forward(geometry_, input, weights.panels, weights.bias, finish);
    else
      finished_convolution(geometry_, input, weights.weight, weights.bias, finish);
    result = finish.out;
    return epilogue ? Merged::All : Merged::Product;
  }

  const MergedProduct& merged_;
  const Arguments arguments_, operands_;
  std::vector<Tensor> tensors_;  // weight, bias; of the norm: weight, bias, mean and variance
  ConvolutionGeometry geometry_ = {};
};

class LinearRun {
 public:
  LinearRun(const MergedProduct& merged, Arguments arguments) : merged_(merged), arguments_(arguments) {}

  Merged run(Value& result) const {
    const Tensor &input = tensor_of(*arguments_[0]), &weight = tensor_of(*arguments_[1]),
                 &bias = tensor_of(*arguments_[2]);
    if (!fits(input) || !is_real(input.dtype()) || input.numel() == 0 || input.dim() == 0) return Merged::None;
    if (!fits(weight) || weight.dim() != 2 || weight.numel() == 0 || weight.dtype() != input.dtype() ||
        weight.size(1) != input.size(-1))
      return Merged::None;
    if (bias.defined() &&
        (!fits(bias) || bias.dim() != 1 || bias.size(0) != weight.size(0) || bias.dtype() != input.dtype()))
      return Merged::None;
    const int64_t rows = input.numel() / weight.size(1);
    const Tensor tensors[] = {weight, bias};
    const auto weights =
        merged_.weights.get(tensors, rows > 1, [&](bool pack) { return prepared(weight, bias, pack); });
    Shape shape = input.shape();
    shape.back() = weight.size(0);
    const Tensor out = empty(shape, input.dtype());
    const std::optional<Epilogue> epilogue = EpilogueBuilder(merged_, arguments_ + 3, out).build();
    kernels::ProductFinish finish = epilogue ? epilogue->finish() : kernels::ProductFinish();
    if (bias.defined()) finish.column_bias = bias.bytes();
    const void* const panels = weights->panels.defined() ? weights->panels.bytes() : nullptr;
    const int64_t in = weight.size(1);
    gemm(rows, weight.size(0), in, {{input.bytes(), in, 1}}, {{weight.bytes(), 1, in}, panels, in}, out.bytes(),
         weight.size(0), out.dtype(), finish);
    result = out;
    return epilogue ? Merged::All : Merged::Product;
  }

 private:
  static PreparedWeights prepared(const Tensor& weight, const Tensor& bias, bool pack) {
    PreparedWeights out{weight, bias, {}};
    if (!pack) return out;
    const kernels::ProductTable& table = kernels::products();
    const int kind = weight.dtype() == Dtype::float64;
    const int64_t in = weight.size(1), panel = table.panel_columns[kind];
    out.panels = panel_memory((weight.size(0) + panel - 1) / panel * panel * in, weight.dtype());
    table.pack_columns[kind](out.panels.bytes(), weight.size(0), in, {weight.bytes(), 1, in});
    return out;
  }

  const MergedProduct& merged_;
  const Arguments arguments_;
};

}  // namespace

bool is_product(const Program::Body::Instruction& instruction) {
  const std::string_view name = instruction.function->name;
  for (const Program::Body::Argument& a : instruction.arguments)
    if (a.kind == Program::Body::Argument::List) return false;
  return name == "conv1d" || name == "conv2d" || name == "conv3d" || name == "linear";
}

Merged run_merged(const MergedProduct& merged, Arguments arguments, Value& result) {
  return merged.product.function->name == "linear" ? LinearRun(merged, arguments).run(result)
                                                   : ConvolutionRun(merged, arguments).run(result);
}

}  // namespace flambeau::program
