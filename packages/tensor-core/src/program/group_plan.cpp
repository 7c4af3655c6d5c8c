// Execution of a group of operators as a chain. Note [Fusion]
#include "program/group_plan.h"

#include "flambeau/autograd.h"
#include "flambeau/cuda.h"
#include "operators/layers/normalization.h"

namespace flambeau::program {

GroupPlan::Layout::Kind GroupPlan::Layout::kind_of(const Value& value) {
  if (const auto* t = std::get_if<flambeau::Tensor>(&value)) {
    const bool fits = t->defined() && (t->device() == DeviceType::Cpu || t->is_cuda()) && !t->impl()->wrapped_number &&
                      !(t->tracked() && recording_enabled());
    return fits ? Tensor : Other;
  }
  const bool is_number = std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value) ||
                         std::holds_alternative<flambeau::None>(value);
  return is_number ? Number : Other;
}

GroupPlan::Layout GroupPlan::Layout::of(const Value& value) {
  const Kind kind = kind_of(value);
  if (kind != Tensor) return {kind};
  const auto& t = std::get<flambeau::Tensor>(value);
  return {kind, t.device(), t.dtype(), t.shape(), t.strides()};
}

bool GroupPlan::Layout::matches(const Value& value) const {
  if (kind_of(value) != kind) return false;
  if (kind != Tensor) return true;
  const auto& t = std::get<flambeau::Tensor>(value);
  return t.device() == device && t.dtype() == dtype && t.shape() == shape && t.strides() == strides;
}

bool GroupPlan::serves(Arguments arguments) const {
  for (size_t i = 0; i < layouts_.size(); ++i)
    if (!layouts_[i].matches(*arguments[i])) return false;
  return true;
}

// The data of one run of a plan.
class GroupPlan::Run {
 public:
  Run(const GroupPlan& plan, Arguments arguments) : plan_(plan), arguments_(arguments) {}

  void run(Values& results) {
    for (const PriorRow& prior : plan_.priors_) priors_.push_back(computed(prior, arguments_, priors_));
    SmallVector<Operand, 16> inputs;
    for (const Source& source : plan_.inputs_) inputs.push_back(operand(source));
    if (plan_.gpu_chain_) return run_on_gpu({inputs.data(), inputs.size()}, results);
    SmallVector<const char*, 8> weights;
    for (const Source& source : plan_.weights_) weights.push_back(operand(source).tensor->bytes());
    std::vector<ChannelLines> lines;
    for (const Norm& norm : plan_.norms_) lines.push_back(lines_of(norm));
    SmallVector<char*, 8> outputs;
    for (const Output& output : plan_.outputs_) {
      if (output.source.kind == Source::Prior) {
        results.emplace_back(priors_[size_t(output.source.number)]);
        continue;
      }
      Tensor out = memory_for(output);
      if (!out) out = empty(output.shape, output.dtype);
      outputs.push_back(out.bytes());
      results.emplace_back(std::move(out));
    }
    plan_.chain_->run(
        {{inputs.data(), inputs.size()}, lines, {weights.data(), weights.size()}, {outputs.data(), outputs.size()}});
  }

 private:
  void run_on_gpu(std::span<const Operand> inputs, Values& results) {
    std::vector<Tensor> outputs;
    for (const Output& output : plan_.outputs_) {
      const bool is_prior = output.source.kind == Source::Prior;
      results.emplace_back(is_prior ? priors_[size_t(output.source.number)] : empty(output.shape, output.dtype));
      if (!is_prior) outputs.push_back(std::get<Tensor>(results.back()));
    }
    plan_.gpu_chain_->run(inputs, outputs);
  }

  Operand operand(const Source& source) const { return plan_.operand(source, arguments_, priors_); }

  ChannelLines lines_of(const Norm& norm) const {
    const auto tensor = [&](const Source& source) {
      return source.kind == Source::None ? Tensor() : *operand(source).tensor;
    };
    return inference_lines(plan_.shape_, plan_.dtype_, tensor(norm.mean), tensor(norm.variance), tensor(norm.weight),
                           tensor(norm.bias), norm.eps);
  }

  Tensor memory_for(const Output& output) {
    for (const int a : output.reusable) {
      const Tensor& t = std::get<Tensor>(*arguments_[size_t(a)]);
      const TensorImpl& impl = *t.impl();
      if (impl.use_count() == 1 && !impl.base && impl.storage->use_count() == 1 && impl.storage->writable()) return t;
    }
    return {};
  }

  const GroupPlan& plan_;
  Arguments arguments_;
  std::vector<Tensor> priors_;
};

Scalar GroupPlan::number_of(const Value& value) {
  const double* d = std::get_if<double>(&value);
  return d ? Scalar(*d) : Scalar(std::get<int64_t>(value));
}

Operand GroupPlan::operand(const Source& source, Arguments arguments, const std::vector<Tensor>& priors) {
  if (source.kind == Source::Prior) return priors[size_t(source.number)];
  const Value& value = *arguments[size_t(source.number)];
  if (const Tensor* t = std::get_if<Tensor>(&value)) return *t;
  return number_of(value);
}

Tensor GroupPlan::computed(const PriorRow& prior, Arguments arguments, const std::vector<Tensor>& earlier) {
  Operand operands[kMaxOperands] = {0, 0, 0};
  for (size_t k = 0; k < prior.operands.size(); ++k) operands[k] = operand(prior.operands[k], arguments, earlier);
  return pointwise(prior.row, operands);
}

void GroupPlan::run(Arguments arguments, Values& results) const {
  if (chain_) return Run(*this, arguments).run(results);
  const OnDevice there(device_);
  const cuda::Call scope;
  Run(*this, arguments).run(results);
}

}  // namespace flambeau::program
