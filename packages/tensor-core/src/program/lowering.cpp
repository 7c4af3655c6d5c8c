// Conversion of operators to steps of a group. Note [Fusion]
#include <map>

#include "flambeau/pointwise/activations.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/pointwise/elementary.h"
#include "flambeau/pointwise/selection.h"
#include "program/fusion.h"

namespace flambeau::program {

namespace {

using Argument = Program::Body::Argument;
using Arguments = std::vector<Argument>;

// Returns true for pointwise operators whose results have another dtype than their operands, and for operators without
// a definition for real numbers.
bool is_excluded(PointwiseOp row) {
  return row == op::conj_physical || row == op::_frexp_exponent || row == op::_frexp_mantissa;
}

const Value* constant(const Argument& a) { return a.kind == Argument::Constant ? &a.value : nullptr; }
bool is_none(const Argument& a) { return constant(a) && std::holds_alternative<None>(a.value); }
std::optional<double> number(const Argument& a) {
  if (const Value* v = constant(a)) {
    if (const int64_t* i = std::get_if<int64_t>(v)) return double(*i);
    if (const double* d = std::get_if<double>(v)) return *d;
  }
  return std::nullopt;
}

struct Lowered {
  PointwiseOp row;
  Arguments operands;
};
using Rule = std::optional<Lowered> (*)(const Arguments&);

// Lowers an operator with the arguments (x, y, alpha) to the pointwise operator `row`, without alpha, if alpha is 1.
// Otherwise returns nothing. `swapped`: exchange x and y.
std::optional<Lowered> without_factor(PointwiseOp row, const Arguments& a, bool swapped = false) {
  if (number(a[2]) != 1.0) return std::nullopt;
  return swapped ? Lowered{row, {a[1], a[0]}} : Lowered{row, {a[0], a[1]}};
}

// Returns the pointwise operator that pow() would run for this exponent, or nothing if both operands are numbers.
std::optional<Lowered> power_of(const Arguments& a) {
  const std::optional<double> y = number(a[1]);
  if (!y) return Lowered{op::pow, {a[0], a[1]}};
  if (number(a[0])) return std::nullopt;
  struct Special {
    double exponent;
    PointwiseOp row;
  };
  for (const Special& s : {Special{2, op::square}, Special{0.5, op::sqrt}, Special{-1, op::reciprocal},
                           Special{-0.5, op::rsqrt}, Special{3, op::_cube}})
    if (*y == s.exponent) return Lowered{s.row, {a[0]}};
  return Lowered{op::pow, {a[0], a[1]}};
}

// The rules for operators that a single pointwise operator computes, but only for some arguments.
const std::map<std::string_view, Rule>& rules() {
  static const std::map<std::string_view, Rule> all = {
      {"add", [](const Arguments& a) { return without_factor(op::add, a); }},
      {"sub", [](const Arguments& a) { return without_factor(op::sub, a); }},
      {"rsub", [](const Arguments& a) { return without_factor(op::sub, a, true); }},
      {"div",
       [](const Arguments& a) { return is_none(a[2]) ? std::optional(Lowered{op::div, {a[0], a[1]}}) : std::nullopt; }},
      {"pow", power_of},
      {"clamp",
       [](const Arguments& a) -> std::optional<Lowered> {
         if (is_none(a[1]) && is_none(a[2])) return std::nullopt;
         if (is_none(a[2])) return Lowered{op::clamp_min, {a[0], a[1]}};
         if (is_none(a[1])) return Lowered{op::clamp_max, {a[0], a[2]}};
         return Lowered{op::_clip, a};
       }},
      {"gelu",
       [](const Arguments& a) -> std::optional<Lowered> {
         const Value* form = constant(a[1]);
         const std::string* text = form ? std::get_if<std::string>(form) : nullptr;
         if (!text || (*text != "none" && *text != "tanh")) return std::nullopt;
         return Lowered{*text == "none" ? op::_gelu_erf : op::_gelu_tanh, {a[0]}};
       }},
      {"square", [](const Arguments& a) { return std::optional(Lowered{op::square, a}); }},
      {"where", [](const Arguments& a) { return std::optional(Lowered{op::where, a}); }},
      {"masked_fill", [](const Arguments& a) { return std::optional(Lowered{op::where, {a[1], a[2], a[0]}}); }},
      {"softshrink",
       [](const Arguments& a) {
         return number(a[1]).value_or(-1) >= 0 ? std::optional(Lowered{op::softshrink, a}) : std::nullopt;
       }},
      {"celu",
       [](const Arguments& a) {
         return number(a[1]).value_or(0) != 0 ? std::optional(Lowered{op::celu, a}) : std::nullopt;
       }},
  };
  return all;
}

bool is_inference_norm(const Program::Body::Instruction& instruction) {
  const Arguments& a = instruction.arguments;
  if (instruction.function->name != "batch_norm" || a.size() != 9) return false;
  const bool* training = constant(a[5]) ? std::get_if<bool>(&a[5].value) : nullptr;
  return training && !*training && number(a[7]) && !is_none(a[3]) && !is_none(a[4]);
}

// Returns a dimension, or a list of dimensions.
std::optional<Shape> integers(const Argument& a) {
  const Value* v = constant(a);
  if (!v) return std::nullopt;
  if (const int64_t* one = std::get_if<int64_t>(v)) return Shape{*one};
  const Values* list = std::get_if<Values>(v);
  if (!list) return std::nullopt;
  Shape out;
  for (const Value& item : *list) {
    const int64_t* number = std::get_if<int64_t>(&item);
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

using RowsRule = bool (*)(const Arguments&, FusedStep&);

bool softmax_step(const Arguments& a, FusedStep&) { return is_none(a[2]); }

bool layer_norm_step(const Arguments& a, FusedStep& step) {
  step.eps = number(a[4]);
  return step.eps.has_value();
}
bool rms_norm_step(const Arguments& a, FusedStep& step) {
  step.eps = number(a[3]);
  return step.eps || is_none(a[3]);
}

// Parses (input, dim, keepdim) and, for sums and products, dtype.
bool reduction_step(const Arguments& a, FusedStep& step) {
  const bool* keeps = constant(a[2]) ? std::get_if<bool>(&a[2].value) : nullptr;
  if (!keeps || (a.size() > 3 && !is_none(a[3]))) return false;
  step.keeps_dims = *keeps;
  return true;
}

struct RowsOperator {
  RowFunction function;
  kernels::Reduce reduction;
  size_t tensors;  // number of operands: input and, for the normalisations, weight and bias
  RowsRule rule;
};
const std::map<std::string_view, RowsOperator>& rows_operators() {
  using enum RowFunction;
  using kernels::Reduce;
  static const std::map<std::string_view, RowsOperator> all = {
      {"softmax", {Softmax, {}, 1, softmax_step}},
      {"log_softmax", {LogSoftmax, {}, 1, softmax_step}},
      {"layer_norm", {LayerNorm, {}, 3, layer_norm_step}},
      {"rms_norm", {RmsNorm, {}, 2, rms_norm_step}},
      {"mean", {Mean, {}, 1, reduction_step}},
      {"sum", {Reduction, Reduce::sum, 1, reduction_step}},
      {"prod", {Reduction, Reduce::prod, 1, reduction_step}},
      {"amax", {Reduction, Reduce::amax, 1, reduction_step}},
      {"amin", {Reduction, Reduce::amin, 1, reduction_step}},
  };
  return all;
}

std::optional<FusedStep> rows_step(const Program::Body::Instruction& instruction, Arguments& operands) {
  const auto found = rows_operators().find(instruction.function->name);
  if (found == rows_operators().end()) return std::nullopt;
  const RowsOperator& op = found->second;
  const Arguments& a = instruction.arguments;
  const std::optional<Shape> dims = integers(a[1]);
  FusedStep step;
  step.kind = FusedStep::Rows;
  if (!dims || !op.rule(a, step)) return std::nullopt;
  step.dims = *dims;
  step.function.function = op.function;
  step.function.reduction = op.reduction;
  operands = {a[0]};
  for (size_t k = 1; k < op.tensors; ++k) operands.push_back(a[k + 1]);
  return step;
}

// Returns "relu" for `relu_`.
std::string_view without_underscore(std::string_view name) {
  const bool in_place = name.size() > 1 && name.back() == '_' && name[name.size() - 2] != '_';
  return in_place ? name.substr(0, name.size() - 1) : name;
}

}  // namespace

bool has_step(const Program::Body::Instruction& instruction) {
  const std::string_view name = without_underscore(instruction.function->name);
  return instruction.function->is_row || rules().contains(name) || rows_operators().contains(name) ||
         name == "batch_norm";
}

std::optional<FusedStep> lowered(const Program::Body::Instruction& instruction, Arguments& operands) {
  if (!instruction.function) return std::nullopt;  // the instruction consists of several operators
  FusedStep step;
  if (is_inference_norm(instruction)) {
    step.kind = FusedStep::Channels;
    step.eps = number(instruction.arguments[7]);
    operands.assign(instruction.arguments.begin(), instruction.arguments.begin() + 5);
    return step;
  }
  if (std::optional<FusedStep> rows = rows_step(instruction, operands)) return rows;
  const std::string_view name = instruction.function->name;
  const std::string_view plain = without_underscore(name);
  const bool in_place = plain.size() < name.size();
  if (const auto rule = rules().find(plain); rule != rules().end()) {
    std::optional<Lowered> found = rule->second(instruction.arguments);
    if (!found) return std::nullopt;
    step.row = found->row;
    step.fills = plain == "masked_fill";
    operands = std::move(found->operands);
  } else if (instruction.function->is_row) {
    step.row = instruction.function->row;
    operands = instruction.arguments;
  } else {
    return std::nullopt;
  }
  const Domain domain = row_of(step.row).domain;
  if (is_excluded(step.row) || domain == Domain::Integral || domain == Domain::Whole) return std::nullopt;
  if (in_place && (domain == Domain::Comparison || domain == Domain::Logical)) return std::nullopt;
  if (in_place) step.written = step.fills ? 2 : 0;
  for (const Argument& a : operands)
    if (a.kind == Argument::List || (a.kind == Argument::Constant && !number(a))) return std::nullopt;
  return step;
}

}  // namespace flambeau::program
