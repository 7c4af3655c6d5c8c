// Selection of the chain that runs a group of operators. Note [Fusion]
#include <limits>

#include "operators/layers/normalization.h"
#include "operators/pointwise/elementwise_result.h"
#include "operators/reductions/reduction.h"
#include "program/group_plan.h"

namespace flambeau::program {

// Selects the steps of a chain, or finds that no chain can run the group.
class GroupPlan::Planner {
 public:
  Planner(GroupPlan& plan, const FusedGroup& group, Arguments arguments)
      : plan_(plan), group_(group), arguments_(arguments) {
    values_.reserve(group.arguments.size() + group.steps.size());
  }

  void plan() {
    if (!read_arguments() || !choose_shape()) return;
    for (const FusedStep& step : group_.steps) {
      const bool planned = step.kind == FusedStep::Pointwise  ? add_row(step)
                           : step.kind == FusedStep::Channels ? add_channels(step)
                                                              : add_function(step);
      if (!planned) return;
    }
    finish();
  }

 private:
  // The type of a value of the group: a tensor of the common dtype, a mask or a number.
  enum class Kind : uint8_t { Elements, Mask, Number };

  struct PlannedValue {
    Kind kind = Kind::Elements;
    Shape shape = {};
    Source source = {};  // for a value that is known before the chain
    int step = -1;       // otherwise the index of the chain's step that computes it
    bool is_per_row = false;
  };

  bool read_arguments() {
    bool any = false, any_tensor = false;
    for (size_t i = 0; i < group_.arguments.size(); ++i) {
      const Layout& layout = plan_.layouts_[i];
      PlannedValue p;
      p.source = {Source::Argument, int(i)};
      if (layout.kind == Layout::Other) return false;
      if (layout.kind == Layout::Number) {
        p.kind = Kind::Number;
        if (std::holds_alternative<None>(*arguments_[i])) p.source = {};
      } else {
        p.shape = layout.shape;
        p.kind = layout.dtype == Dtype::bool_ ? Kind::Mask : Kind::Elements;
        if (!any_tensor) plan_.device_ = layout.device;
        if (!(layout.device == plan_.device_)) return false;
        any_tensor = true;
        if (p.kind == Kind::Elements) {
          if (!any) plan_.dtype_ = layout.dtype;
          if (layout.dtype != plan_.dtype_) return false;
          any = true;
        }
      }
      values_.push_back(std::move(p));
    }
    const Dtype d = plan_.dtype_;
    return any && (d == Dtype::float32 || d == Dtype::float64 || (is_on_gpu() && is_floating(d) && item_size(d) == 2));
  }
  bool is_on_gpu() const { return !(plan_.device_ == DeviceType::Cpu); }

  // Selects the chain's shape: the shape of the step with the most elements. A reduction counts with the shape of its
  // input. Smaller results are computed before the chain or have one element per row.
  bool choose_shape() {
    std::vector<Shape> shapes;
    int64_t most = -1;
    const auto consider = [&](const Shape& shape) {
      if (product(shape) <= most) return;
      most = product(shape);
      plan_.shape_ = shape;
    };
    const auto shape_of = [&](const StepOperand& o) -> const Shape& {
      return o.is_step ? shapes[size_t(o.number)] : values_[size_t(o.number)].shape;
    };
    for (const FusedStep& step : group_.steps) {
      Shape shape;
      const size_t count = step.kind == FusedStep::Pointwise ? step.operands.size() : 1;
      for (size_t k = 0; k < count; ++k) {
        if (!can_broadcast(shape, shape_of(step.operands[k]))) return false;
        shape = broadcast(shape, shape_of(step.operands[k]));
      }
      if (step.kind == FusedStep::Rows && !find_rows(step, shape)) return false;
      consider(shape);
      if (step.kind == FusedStep::Rows && is_reduction(step.function.function)) shape = reduced(shape, step.keeps_dims);
      shapes.push_back(std::move(shape));
    }
    for (const PlannedValue& p : values_)
      if (p.source.kind == Source::Argument && p.kind != Kind::Number && p.shape == plan_.shape_ &&
          !is_contiguous(plan_.layouts_[size_t(p.source.number)]) &&
          !is_constant(plan_.layouts_[size_t(p.source.number)]))
        return false;
    return most > 0 && (row_dims_ == 0 || check_rows());
  }

  bool is_contiguous(const Layout& layout) const {
    return std::get<flambeau::Tensor>(*arguments_[size_t(&layout - plan_.layouts_.data())]).is_contiguous();
  }

  // Returns true for an expanded number. For example, the gradient of the operand of a sum is an expanded number.
  static bool is_constant(const Layout& layout) {
    for (size_t d = 0; d < layout.shape.size(); ++d)
      if (layout.shape[d] > 1 && layout.strides[d] != 0) return false;
    return true;
  }

  // Stores the number of dimensions of a row. Returns false if another function of rows has a different number, or if
  // the dimensions of the step are not the last ones.
  bool find_rows(const FusedStep& step, const Shape& shape) {
    const size_t count = step.dims.size();
    if (count == 0 || count > shape.size() || (row_dims_ && count != row_dims_)) return false;
    row_dims_ = count;
    if (step.normalizes()) return Shape(shape.end() - count, shape.end()) == step.dims;
    uint64_t named = 0;
    for (const int64_t d : step.dims) {
      const int64_t from_end = d < 0 ? -d : int64_t(shape.size()) - d;
      if (from_end < 1 || from_end > int64_t(count)) return false;
      named |= uint64_t(1) << from_end;
    }
    return named == (uint64_t(2) << count) - 2;
  }

  bool check_rows() {
    length_ = product(Shape(plan_.shape_.end() - row_dims_, plan_.shape_.end()));
    rows_ = length_ ? product(plan_.shape_) / length_ : 0;
    // Rejects rows that the operator would reduce in blocks, because a chain adds the elements in another order.
    return length_ > 1 && block_length(rows_, length_, 1) == length_;
  }

  Shape reduced(const Shape& shape, bool keeps_dims) const {
    Shape out(shape.begin(), shape.end() - row_dims_);
    for (size_t i = 0; keeps_dims && i < row_dims_; ++i) out.push_back(1);
    return out;
  }

  static bool can_broadcast(const Shape& a, const Shape& b) {
    for (size_t i = 1; i <= std::min(a.size(), b.size()); ++i) {
      const int64_t m = a[a.size() - i], n = b[b.size() - i];
      if (m != n && m != 1 && n != 1) return false;
    }
    return true;
  }

  const PlannedValue& value(const StepOperand& o) const {
    return values_[o.is_step ? group_.arguments.size() + size_t(o.number) : size_t(o.number)];
  }

  // Returns the type of a pointwise operator's result, or nothing if the operator would convert or reject these
  // operands.
  std::optional<Kind> result_kind(const FusedStep& step) const {
    const PointwiseRow& row = row_of(step.row);
    int elements = 0, masks = 0, first = row.domain == Domain::Select;
    for (size_t k = size_t(first); k < step.operands.size(); ++k) {
      elements += value(step.operands[k]).kind == Kind::Elements;
      masks += value(step.operands[k]).kind == Kind::Mask;
    }
    if (step.derivative >= 0) return Kind::Elements;
    if (row.has_parameters && (elements != 1 || value(step.operands[0]).kind != Kind::Elements)) return std::nullopt;
    if (elements == 0 || masks > 0) return std::nullopt;
    if (first && value(step.operands[0]).kind != Kind::Mask) return std::nullopt;
    if (step.fills && !fill_fits(step.operands[1])) return std::nullopt;
    return row.domain == Domain::Comparison || row.domain == Domain::Logical ? Kind::Mask : Kind::Elements;
  }
  bool fill_fits(const StepOperand& o) const {
    if (value(o).kind != Kind::Number) return true;
    if (o.is_step || group_.arguments[size_t(o.number)].kind != Program::Body::Argument::Constant) return false;
    return fits(number_of(*arguments_[size_t(o.number)]), plan_.dtype_);
  }

  bool add_row(const FusedStep& step) {
    const std::optional<Kind> kind = result_kind(step);
    const PointwiseKernel kernel =
        step.derivative < 0 ? chain_kernel(step.row, plan_.dtype_)
                            : kernels::derivative_of(step.row, step.derivative, dtype_of(compute_type(plan_.dtype_)));
    if (!kind || !kernel) return false;
    PlannedValue p;
    p.kind = *kind;
    bool in_chain = false, all_per_row = true;
    for (const StepOperand& o : step.operands) {
      const PlannedValue& operand = value(o);
      if (operand.kind != Kind::Number && operand.source.kind == Source::None && operand.step < 0) return false;
      p.shape = broadcast(p.shape, operand.shape);
      in_chain |= operand.step >= 0;
      all_per_row &= operand.kind == Kind::Number || operand.is_per_row;
    }
    if (step.written >= 0 && !(p.shape == value(step.operands[size_t(step.written)]).shape)) return false;
    if (!in_chain && !(p.shape == plan_.shape_)) {
      if (step.derivative >= 0) return false;
      add_prior(step, p);
    } else {
      p.is_per_row = in_chain && all_per_row;
      if (!p.is_per_row && !(p.shape == plan_.shape_)) return false;
      ChainStep made;
      made.kernel = kernel;
      made.op = step.row;
      made.derivative = step.derivative;
      made.dtype = p.kind == Kind::Mask ? Dtype::bool_ : plan_.dtype_;
      made.is_per_row = p.is_per_row;
      made.count = int(step.operands.size());
      for (size_t k = 0; k < step.operands.size(); ++k) {
        const std::optional<int> operand = operand_in_chain(step.operands[k], p.is_per_row);
        if (!operand) return false;
        made.operands[k] = *operand;
      }
      p.step = add_step(made);
    }
    values_.push_back(std::move(p));
    return true;
  }

  void add_prior(const FusedStep& step, PlannedValue& p) {
    PriorRow prior{step.row, {}};
    for (const StepOperand& o : step.operands) prior.operands.push_back(value(o).source);
    p.source = {Source::Prior, int(plan_.priors_.size())};
    plan_.priors_.push_back(std::move(prior));
  }

  bool add_channels(const FusedStep& step) {
    const PlannedValue& x = value(step.operands[0]);
    if (is_on_gpu() || x.kind != Kind::Elements || x.is_per_row || !(x.shape == plan_.shape_) || x.shape.size() < 3)
      return false;
    const int64_t channels = x.shape[1];
    if (product(x.shape) / (x.shape[0] * channels) <= 1) return false;
    Norm norm{source(step, 1), source(step, 2), source(step, 3), source(step, 4), *step.eps};
    for (size_t k = 1; k < 5; ++k) {
      const PlannedValue& p = value(step.operands[k]);
      if (p.step >= 0 || (p.source.kind == Source::None && k >= 3)) return false;
      if (p.source.kind != Source::None && (p.kind != Kind::Elements || !(p.shape == Shape{channels}))) return false;
    }
    ChainStep made;
    made.kind = ChainStep::Channels;
    made.lines = int(plan_.norms_.size());
    plan_.norms_.push_back(norm);
    return add_whole(step, made);
  }
  Source source(const FusedStep& step, size_t operand) const { return value(step.operands[operand]).source; }

  bool add_function(const FusedStep& step) {
    const PlannedValue& x = value(step.operands[0]);
    if (is_on_gpu() || x.kind != Kind::Elements || x.is_per_row || !(x.shape == plan_.shape_)) return false;
    ChainStep made;
    made.kind = ChainStep::Rows;
    made.row = step.function;
    if (step.normalizes()) {
      made.row.eps = step.eps.value_or(plan_.dtype_ == Dtype::float64 ? std::numeric_limits<double>::epsilon()
                                                                      : double(std::numeric_limits<float>::epsilon()));
      made.row.together = NormalizedRows::are_faster_together(rows_, length_, plan_.dtype_);
      int* const numbers[] = {&made.row.weight, &made.row.bias};
      for (size_t k = 1; k < step.operands.size(); ++k)
        if (!add_weight(value(step.operands[k]), *numbers[k - 1])) return false;
    } else if (step.function.function == RowFunction::Reduction &&
               kernels::table().reduce[int(step.function.reduction)][int(plan_.dtype_)].result != plan_.dtype_) {
      return false;
    }
    if (!is_reduction(step.function.function)) return add_whole(step, made);
    made.is_per_row = true;
    return add_whole(step, made, reduced(plan_.shape_, step.keeps_dims));
  }

  bool add_weight(const PlannedValue& weight, int& number) {
    if (weight.step >= 0) return false;
    if (weight.source.kind == Source::None) return true;
    const Shape row(plan_.shape_.end() - row_dims_, plan_.shape_.end());
    if (weight.kind != Kind::Elements || !(weight.shape == row)) return false;
    if (weight.source.kind == Source::Argument && !is_contiguous(plan_.layouts_[size_t(weight.source.number)]))
      return false;
    number = int(plan_.weights_.size());
    plan_.weights_.push_back(weight.source);
    return true;
  }

  bool add_whole(const FusedStep& step, ChainStep& made) { return add_whole(step, made, plan_.shape_); }
  bool add_whole(const FusedStep& step, ChainStep& made, Shape shape) {
    made.dtype = plan_.dtype_;
    made.operands[0] = operand_in_chain(step.operands[0], false).value();
    PlannedValue p;
    p.shape = std::move(shape);
    p.is_per_row = made.is_per_row;
    p.step = add_step(made);
    values_.push_back(std::move(p));
    return true;
  }

  // Adds a step and returns its index, or returns the index of an equal step. An output of the group always gets a new
  // step, because each output has its own memory.
  int add_step(const ChainStep& step) {
    const int number = int(values_.size() - group_.arguments.size());
    const bool is_output = std::ranges::count(group_.outputs, number) > 0;
    if (const auto known = std::ranges::find(steps_, step); known != steps_.end() && !is_output)
      return int(known - steps_.begin());
    steps_.push_back(step);
    return int(steps_.size()) - 1;
  }

  // Returns the number of a value in the chain: the index of its step, or -1 - i for input i, which finish() replaces.
  // Returns nothing if the operand has one element per row but does not broadcast along the rows.
  std::optional<int> operand_in_chain(const StepOperand& o, bool per_row) {
    const PlannedValue& p = value(o);
    if (p.step >= 0) {
      int step = p.step;
      if (p.kind == Kind::Mask) step = add_converted(ChainStep::Convert, step, p.is_per_row);
      if (!p.is_per_row || per_row) return step;
      if (!(p.shape == reduced(plan_.shape_, true))) return std::nullopt;
      return add_converted(ChainStep::Repeat, step, false);
    }
    for (size_t i = 0; i < plan_.inputs_.size(); ++i)
      if (plan_.inputs_[i].kind == p.source.kind && plan_.inputs_[i].number == p.source.number) return -int(i) - 1;
    plan_.inputs_.push_back(p.source);
    return -int(plan_.inputs_.size());
  }
  int add_converted(ChainStep::Kind kind, int from, bool is_per_row) {
    ChainStep made;
    made.kind = kind;
    made.dtype = plan_.dtype_;
    made.is_per_row = is_per_row;
    made.operands[0] = from;
    return add_step(made);
  }

  void finish() {
    const int inputs = int(plan_.inputs_.size());
    for (ChainStep& step : steps_)
      for (int k = 0; k < step.count; ++k)
        step.operands[k] = step.operands[k] < 0 ? -step.operands[k] - 1 : inputs + step.operands[k];
    std::vector<int> written;
    for (const int number : group_.outputs) {
      const PlannedValue& p = values_[group_.arguments.size() + size_t(number)];
      Output output;
      output.source = p.source;
      output.shape = p.shape;
      if (p.step >= 0) {
        output.value = inputs + p.step;
        output.dtype = steps_[size_t(p.step)].dtype;
        if (!p.is_per_row) output.reusable = reusable_for(p.step, output.dtype);
        written.push_back(output.value);
      }
      plan_.outputs_.push_back(std::move(output));
    }
    std::vector<ChainInput> given;
    std::vector<Tensor> examples;  // example values of the operands that are computed before the chain
    for (const PriorRow& prior : plan_.priors_) examples.push_back(computed(prior, arguments_, examples));
    for (const Source& source : plan_.inputs_)
      given.push_back({source.kind == Source::Prior ? &examples[size_t(source.number)]
                                                    : std::get_if<Tensor>(arguments_[size_t(source.number)]),
                       plan_.dtype_});
    if (is_on_gpu()) {
      plan_.gpu_chain_ = std::make_unique<GpuChain>(given, steps_, written, plan_.dtype_);
      return;
    }
    auto chain = std::make_unique<ChainPlan>(given, steps_, written, plan_.shape_, length_);
    if (chain->fits_cache()) plan_.chain_ = std::move(chain);
  }

  // Returns the arguments that no step reads after this output is written. The output can reuse their memory.
  SmallVector<int, 4> reusable_for(int step, Dtype dtype) const {
    SmallVector<int, 4> found;
    for (size_t a = 0; a < group_.arguments.size(); ++a) {
      const Layout& layout = plan_.layouts_[a];
      if (!group_.dies[a] || layout.kind != Layout::Tensor || !(layout.shape == plan_.shape_) || layout.dtype != dtype)
        continue;
      if (!is_read_after(step, int(a))) found.push_back(int(a));
    }
    return found;
  }
  // Returns true if a step after `step` reads the argument. For a function of rows, `step` itself also counts, because
  // its result must not overlap its operand.
  bool is_read_after(int step, int argument) const {
    const auto reads = [&](const Source& source) {
      return source.kind == Source::Argument && source.number == argument;
    };
    const bool overlaps = steps_[size_t(step)].kind != ChainStep::Rows;
    for (size_t s = size_t(step) + overlaps; s < steps_.size(); ++s)
      for (int k = 0; k < steps_[s].count; ++k) {
        const size_t v = size_t(steps_[s].operands[k]);
        if (v < plan_.inputs_.size() && reads(plan_.inputs_[v])) return true;
      }
    return false;
  }

  GroupPlan& plan_;
  const FusedGroup& group_;
  Arguments arguments_;
  size_t row_dims_ = 0;  // number of last dimensions that functions of rows reduce or normalise
  int64_t rows_ = 0, length_ = 0;
  std::vector<PlannedValue> values_;  // the arguments, then the results of the steps
  std::vector<ChainStep> steps_;
};

GroupPlan::GroupPlan(const FusedGroup& group, Arguments arguments) {
  for (size_t i = 0; i < group.arguments.size(); ++i) layouts_.push_back(Layout::of(*arguments[i]));
  Planner(*this, group, arguments).plan();
}

}  // namespace flambeau::program
