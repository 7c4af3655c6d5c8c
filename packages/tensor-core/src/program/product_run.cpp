// Creation of epilogues from the steps of merged products. Note [Merged products]
#include "program/product_run.h"

#include <cmath>

#include "flambeau/autograd.h"
#include "flambeau/memory_format.h"
#include "flambeau/pointwise/activations.h"
#include "flambeau/pointwise/basic.h"
#include "flambeau/pointwise/selection.h"
#include "operators/pointwise/chain.h"

namespace flambeau::program {

bool fits(const Tensor& t) {
  return t.defined() && t.device() == DeviceType::Cpu && t.is_contiguous() &&
         result_format(t) == MemoryFormat::Contiguous && !(t.tracked() && recording_enabled());
}

const Tensor& tensor_of(const Value& v) {
  static const Tensor undefined;
  const Tensor* t = std::get_if<Tensor>(&v);
  return t ? *t : undefined;
}

Tensor panel_memory(int64_t elements, Dtype dtype) {
  constexpr int64_t kSlack = 64;  // packing may write this many elements beyond the panels
  return empty({elements + kSlack}, dtype);
}

std::optional<Epilogue> EpilogueBuilder::build() const {
  Epilogue epilogue(dtype_);
  for (const FusedStep& step : merged_.steps) {
    if (const std::optional<Bounds> limits = limits_of(step)) {
      epilogue.add(*limits);
      continue;
    }
    const PointwiseKernel kernel = chain_kernel(step.row, dtype_);
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
  return epilogue;
}

std::optional<double> EpilogueBuilder::number(const StepOperand& o) const {
  if (is_result(o)) return std::nullopt;
  const Value& v = *operands_[o.number];
  if (const int64_t* i = std::get_if<int64_t>(&v)) return double(*i);
  if (const double* d = std::get_if<double>(&v)) return *d;
  return std::nullopt;
}

// Returns the bounds of a step that clamps the result, or nothing for other steps. A step with NaN as a bound is not a
// clamp, because it replaces every element with NaN.
std::optional<Bounds> EpilogueBuilder::limits_of(const FusedStep& step) const {
  if (!is_result(step.operands[0])) return std::nullopt;
  if (step.row == op::relu) return Bounds{.lowest = 0};
  if (step.row == op::relu6) return Bounds{.lowest = 0, .highest = 6};
  const bool both = step.row == op::hardtanh || step.row == op::_clip;
  if (!both && step.row != op::clamp_min && step.row != op::clamp_max) return std::nullopt;
  Bounds limits;
  const std::optional<double> first = number(step.operands[1]), second = both ? number(step.operands[2]) : first;
  if (!first || !second || std::isnan(*first) || std::isnan(*second)) return std::nullopt;
  if (step.row != op::clamp_max) limits.lowest = *first;
  if (step.row != op::clamp_min) limits.highest = *second;
  return limits;
}

std::optional<Epilogue::Source> EpilogueBuilder::source_of(const StepOperand& o) const {
  using Source = Epilogue::Source;
  if (is_result(o)) return Source{Source::Result};
  const Value& v = *operands_[o.number];
  if (const int64_t* i = std::get_if<int64_t>(&v)) return Source{Source::Number, Scalar(*i)};
  if (const double* d = std::get_if<double>(&v)) return Source{Source::Number, Scalar(*d)};
  const Tensor* const t = std::get_if<Tensor>(&v);
  if (!t || !fits(*t) || t->dtype() != dtype_ || !(t->shape() == shape_)) return std::nullopt;
  return Source{Source::Elements, {}, t};
}

}  // namespace flambeau::program
