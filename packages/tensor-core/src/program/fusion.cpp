// Running groups of pointwise operators. Note [Fusion]
#include "program/fusion.h"

#include "flambeau/autograd.h"
#include "operators/layers/normalization.h"
#include "operators/pointwise/chain.h"
#include "operators/pointwise/elementwise_result.h"

namespace flambeau::program {

namespace {

// The kind of a value of the group: a tensor of the common dtype, a mask or a number.
enum class Kind : uint8_t { Elements, Mask, Number };

struct Planned {
  Kind kind = Kind::Elements;
  Shape shape = {};
  const Tensor* tensor = nullptr;  // null for a number and for the result of a step of the chain
  Scalar scalar = {};
  int step = -1;  // of the chain
};

bool fits_chain(const Tensor& t) {
  return t.defined() && t.device() == DeviceType::Cpu && !t.impl()->wrapped_number &&
         !(t.tracked() && recording_enabled());
}

class GroupRun {
 public:
  GroupRun(const FusedGroup& group, const Value* const* arguments) : group_(group) {
    values_.reserve(group.arguments.size() + group.steps.size());
    small_.reserve(group.steps.size());
    if (group.normalizes) lines_.reserve(group.steps.size());
    for (size_t i = 0; i < group.arguments.size(); ++i) given_.push_back(arguments[i]);
  }

  bool run(Values& results) {
    if (!read_arguments()) return false;
    if (most_ < kChainPays && !group_.normalizes) return run_small(results);
    if (!choose_shape()) return false;
    for (const FusedStep& step : group_.steps)
      if (!(step.normalizes ? add_normalization(step) : add_row(step))) return false;
    write(results);
    return true;
  }

 private:
  // Planning a chain takes as long as some operators take for fewer elements.
  static constexpr int64_t kChainPays = 1024;

  // Runs the rows one by one.
  bool run_small(Values& results) {
    for (const FusedStep& step : group_.steps) {
      Planned p;
      const std::optional<Kind> kind = result_kind(step);
      if (!kind) return false;
      p.kind = *kind;
      try {
        p.tensor = &run_row(step);
      } catch (const Error&) {
        return false;  // the operator raises it again, with its name and line
      }
      if (step.written >= 0 && !(p.tensor->shape() == value(step.operands[size_t(step.written)]).tensor->shape()))
        return false;
      values_.push_back(std::move(p));
    }
    for (const int number : group_.outputs)
      results.emplace_back(*values_[group_.arguments.size() + size_t(number)].tensor);
    return true;
  }

  const Tensor& run_row(const FusedStep& step) {
    Operand operands[kMaxOperands] = {0, 0, 0};
    for (size_t k = 0; k < step.operands.size(); ++k) operands[k] = operand_of(value(step.operands[k]));
    return small_.emplace_back(pointwise(step.row, operands));
  }

  bool read_arguments() {
    bool any = false;
    for (const Value* v : given_) {
      Planned p;
      if (const Tensor* t = std::get_if<Tensor>(v)) {
        if (!fits_chain(*t)) return false;
        p.tensor = t;
        p.shape = t->shape();
        most_ = std::max(most_, t->numel());
        p.kind = t->dtype() == Dtype::bool_ ? Kind::Mask : Kind::Elements;
        if (p.kind == Kind::Elements) {
          if (!any) dtype_ = t->dtype();
          if (t->dtype() != dtype_) return false;
          any = true;
        }
      } else {
        p.kind = Kind::Number;
        if (const int64_t* i = std::get_if<int64_t>(v))
          p.scalar = Scalar(*i);
        else if (const double* d = std::get_if<double>(v))
          p.scalar = Scalar(*d);
        else if (!std::holds_alternative<None>(*v))
          return false;
      }
      values_.push_back(p);
    }
    return any && (dtype_ == Dtype::float32 || dtype_ == Dtype::float64);
  }

  // The chain's shape is that of the largest result. Operators with smaller results run before it.
  bool choose_shape() {
    std::vector<Shape> shapes;
    int64_t most = -1;
    for (const FusedStep& step : group_.steps) {
      Shape shape;
      const size_t count = step.normalizes ? 1 : step.operands.size();
      for (size_t k = 0; k < count; ++k) {
        const StepOperand& o = step.operands[k];
        const Shape& other = o.is_step ? shapes[size_t(o.number)] : values_[size_t(o.number)].shape;
        if (!can_broadcast(shape, other)) return false;
        shape = broadcast(shape, other);
      }
      if (product(shape) > most) {
        most = product(shape);
        shape_ = shape;
      }
      shapes.push_back(std::move(shape));
    }
    for (const Planned& p : values_)
      if (p.tensor && p.shape == shape_ && !p.tensor->is_contiguous()) return false;
    return most > 0;
  }
  static bool can_broadcast(const Shape& a, const Shape& b) {
    for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
      const int64_t m = a[a.size() - i], n = b[b.size() - i];
      if (m != n && m != 1 && n != 1) return false;
    }
    return true;
  }

  const Planned& value(const StepOperand& o) const {
    return values_[o.is_step ? group_.arguments.size() + size_t(o.number) : size_t(o.number)];
  }

  // The kind of a row's result, or nothing if the row would convert or refuse these operands.
  std::optional<Kind> result_kind(const FusedStep& step) const {
    const PointwiseRow& row = row_of(step.row);
    int elements = 0, masks = 0, first = row.domain == Domain::Select;
    for (size_t k = size_t(first); k < step.operands.size(); ++k) {
      elements += value(step.operands[k]).kind == Kind::Elements;
      masks += value(step.operands[k]).kind == Kind::Mask;
    }
    if (row.has_parameters && (elements != 1 || value(step.operands[0]).kind != Kind::Elements)) return std::nullopt;
    if (elements == 0 || masks > 0) return std::nullopt;
    if (first && value(step.operands[0]).kind != Kind::Mask) return std::nullopt;
    if (step.fills && !value(step.operands[1]).tensor && !fits(value(step.operands[1]).scalar, dtype_))
      return std::nullopt;
    return row.domain == Domain::Comparison || row.domain == Domain::Logical ? Kind::Mask : Kind::Elements;
  }

  bool add_row(const FusedStep& step) {
    const std::optional<Kind> kind = result_kind(step);
    const PointwiseKernel kernel = chain_kernel(step.row, dtype_);
    if (!kind || !kernel) return false;
    Planned p;
    p.kind = *kind;
    bool in_chain = false;
    for (const StepOperand& o : step.operands) {
      p.shape = broadcast(p.shape, value(o).shape);
      in_chain |= value(o).step >= 0;
    }
    if (step.written >= 0 && !(p.shape == value(step.operands[size_t(step.written)]).shape)) return false;
    if (!(p.shape == shape_)) {
      if (in_chain) return false;
      p.tensor = &run_row(step);
    } else {
      ChainStep made;
      made.kernel = kernel;
      made.dtype = p.kind == Kind::Mask ? Dtype::bool_ : dtype_;
      made.count = int(step.operands.size());
      for (size_t k = 0; k < step.operands.size(); ++k) made.operands[k] = operand_in_chain(step.operands[k]);
      p.step = add_step(made);
    }
    values_.push_back(std::move(p));
    return true;
  }

  bool add_normalization(const FusedStep& step) {
    const auto tensor = [&](size_t k) {
      const Planned& p = value(step.operands[k]);
      return p.tensor ? *p.tensor : Tensor();
    };
    const Planned& x = value(step.operands[0]);
    if (x.kind != Kind::Elements || !(x.shape == shape_) || x.shape.size() < 3) return false;
    for (size_t k = 3; k < 5; ++k)
      if (!value(step.operands[k]).tensor) return false;
    lines_.push_back(inference_lines(shape_, dtype_, tensor(3), tensor(4), tensor(1), tensor(2), step.eps));
    if (lines_.back().lines.empty() || lines_.back().inner <= 1) return false;
    ChainStep made;
    made.lines = &lines_.back();
    made.dtype = dtype_;
    made.operands[0] = operand_in_chain(step.operands[0]);
    Planned p;
    p.shape = shape_;
    p.step = add_step(made);
    values_.push_back(std::move(p));
    return true;
  }

  static Operand operand_of(const Planned& p) { return p.tensor ? Operand(*p.tensor) : Operand(p.scalar); }

  int add_step(const ChainStep& step) {
    steps_.push_back(step);
    return int(steps_.size()) - 1;
  }

  // Values of the chain are numbered when all inputs are known: inputs have negative numbers until then.
  int operand_in_chain(const StepOperand& o) {
    const Planned& p = value(o);
    if (p.step >= 0) {
      if (p.kind != Kind::Mask) return p.step;
      ChainStep cast;
      cast.dtype = dtype_;
      cast.operands[0] = p.step;
      return add_step(cast);
    }
    for (size_t i = 0; i < inputs_.size(); ++i)
      if (p.tensor && inputs_[i].operand.tensor == p.tensor) return -int(i) - 1;
    inputs_.push_back({operand_of(p), dtype_});
    return -int(inputs_.size());
  }

  void write(Values& results) {
    const int inputs = int(inputs_.size());
    for (ChainStep& step : steps_)
      for (int k = 0; k < step.count; ++k)
        step.operands[k] = step.operands[k] < 0 ? -step.operands[k] - 1 : inputs + step.operands[k];
    std::vector<ChainOutput> outputs;
    for (const int number : group_.outputs) {
      const Planned& p = values_[group_.arguments.size() + size_t(number)];
      if (p.step < 0) {
        results.emplace_back(*p.tensor);
        continue;
      }
      const Dtype dtype = steps_[size_t(p.step)].dtype;
      Tensor out = memory_for(p.step, dtype);
      if (!out) out = empty(shape_, dtype);
      outputs.push_back({inputs + p.step, out});
      results.emplace_back(std::move(out));
    }
    run_chain(inputs_, steps_, outputs, shape_);
  }

  // The memory of an argument that nothing reads after the step of an output: the output is written over it.
  Tensor memory_for(int step, Dtype dtype) {
    for (size_t a = 0; a < group_.arguments.size(); ++a) {
      const Tensor* t = values_[a].tensor;
      if (!group_.dies[a] || !t || !(t->shape() == shape_) || t->dtype() != dtype || taken_[a]) continue;
      const TensorImpl& impl = *t->impl();
      if (impl.use_count() != 1 || impl.base || impl.storage->use_count() != 1 || !impl.storage->writable()) continue;
      bool read_later = false;
      for (size_t s = size_t(step) + 1; s < steps_.size(); ++s)
        for (int k = 0; k < steps_[s].count; ++k) {
          const int v = steps_[s].operands[k];
          read_later |= v < int(inputs_.size()) && inputs_[size_t(v)].operand.tensor == t;
        }
      if (read_later) continue;
      taken_[a] = true;
      return *t;
    }
    return {};
  }

  const FusedGroup& group_;
  SmallVector<const Value*, 16> given_;
  Dtype dtype_ = Dtype::float32;
  int64_t most_ = 0;  // elements of an argument
  Shape shape_;
  std::vector<Planned> values_;  // the arguments, then the steps' results
  std::vector<Tensor> small_;    // results of operators that run before the chain
  std::vector<ChannelLines> lines_;
  std::vector<ChainInput> inputs_;
  std::vector<ChainStep> steps_;
  SmallVector<bool, 16> taken_ = SmallVector<bool, 16>(group_.arguments.size(), false);
};

}  // namespace

bool run_fused(const FusedGroup& group, const Value* const* arguments, Values& results) {
  return GroupRun(group, arguments).run(results);
}

}  // namespace flambeau::program
