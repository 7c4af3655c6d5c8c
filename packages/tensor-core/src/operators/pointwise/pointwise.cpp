// The pointwise operators: promotion of dtypes, in-place forms and out=.
#include "flambeau/pointwise.h"

#include "core/overlap.h"
#include "cuda/operators.h"
#include "flambeau/operators.h"
#include "flambeau/out_argument.h"
#include "flambeau/pointwise/arithmetic.h"
#include "flambeau/scalar_type.h"
#include "kernels/narrow_table.h"
#include "operators/pointwise/elementwise_result.h"
#include "operators/pointwise/looked_up.h"
#include "operators/pointwise/pointwise_derivative.h"

namespace flambeau {

const char* instruction_set() { return kernels::table().name; }

bool takes_complex(PointwiseOp op) { return kernels::table().pointwise[int(op)][int(Compute::c64)]; }

Dtype result_type(const Operand* operands, int count) {
  // The dtypes of tensors with dimensions, of tensors without dimensions, and of Python numbers. The second and the
  // third dtype matter only if their category is higher than the categories of the dtypes before them.
  Dtype dtypes[3];
  bool present[3] = {false, false, false};
  for (int k = 0; k < count; ++k) {
    int level;
    Dtype dtype;
    if (const Tensor* t = operands[k].tensor; t && !t->impl()->wrapped_number) {
      level = t->dim() > 0 ? 0 : 1;
      dtype = t->dtype();
    } else {
      const Category kind = t ? category(t->dtype()) : operands[k].scalar.kind();
      level = 2;
      dtype = default_dtype(kind);
    }
    dtypes[level] = present[level] ? promote(dtypes[level], dtype) : dtype;
    present[level] = true;
  }
  bool any = false;
  Dtype result = Dtype::bool_;
  for (int level = 0; level < 3; ++level) {
    if (!present[level]) continue;
    if (!any)
      result = dtypes[level];
    else if (is_floating(result) && is_complex(dtypes[level]))
      // Operands of lower priority change only the category. `result` keeps its precision.
      result = to_complex(result);
    else if (category(dtypes[level]) > category(result))
      result = dtypes[level];
    any = true;
  }
  return result;
}

namespace {

struct Types {
  Dtype dtype;          // dtype to which the operands promote
  Dtype in, from, out;  // in: of the kernel's operands; from: of the kernel's result; out: of the stored result
};

constexpr const char kNoBooleanDifference[] =
    "Subtraction, the `-` operator, with a bool tensor is not supported. To invert a mask, use the `~` or "
    "`logical_not()` operator. For the difference of two masks, use the `^` or `logical_xor()` operator.";

constexpr const char kNoBooleanNegation[] =
    "Negation, the `-` operator, on a bool tensor is not supported. To invert a mask, use the `~` or `logical_not()` "
    "operator.";

bool is_boolean(const Operand& operand) {
  return operand.tensor ? operand.tensor->dtype() == Dtype::bool_ : operand.scalar.kind() == Category::Boolean;
}

bool any_negative(const Operand* operands, int arity) {
  bool any = false;
  for (int k = 0; k < arity; ++k) any |= !operands[k].tensor && operands[k].scalar.real() < 0;
  return any;
}

[[noreturn, gnu::cold]] void reject(const PointwiseRow& row, Dtype dtype) {
  require<NotImplementedError>(false, "\"", row.name, "\" not implemented for '", dtype, "'");
  __builtin_unreachable();
}

// Raises an error unless one of the tensors is floating-point or complex. Python numbers do not count, because these
// operators do not convert integer tensors for them.
void check_floating(const PointwiseRow& row, const Operand* operands, int arity, Dtype dtype) {
  Dtype given = dtype;
  for (int k = 0; k < arity; ++k)
    if (const Tensor* t = operands[k].tensor) {
      if (is_inexact(t->dtype())) return;
      given = t->dtype();
    }
  reject(row, given);
}

// Returns true if the operator has a kernel for bytes that gives the same results as the kernel for int32.
bool takes_bytes(const PointwiseRow& row, const Operand* operands) {
  bool fits = kernels::table().pointwise[int(row.op)][int(Compute::u8)];
  for (int k = 0; k < row.arity; ++k)
    fits &= operands[k].tensor || (operands[k].scalar.real() >= 0 && operands[k].scalar.real() < 256);
  return fits;
}

PointwiseKernel kernel_of(PointwiseOp op, Dtype in) {
  return kernels::table().pointwise[int(op)][int(in == Dtype::uint8 ? Compute::u8 : compute_type(in))];
}

// Returns true if a dtype of one or two bytes can represent all operands that are numbers.
bool numbers_fit(const PointwiseRow& row, const Operand* operands, Dtype dtype) {
  const int bits = dtype == Dtype::bool_ ? 1 : int(8 * item_size(dtype)) - !is_unsigned(dtype);
  const double end = 1 << bits, least = is_unsigned(dtype) || dtype == Dtype::bool_ ? 0 : -end;
  bool fit = true;
  for (int k = 0; k < row.arity; ++k)
    fit &= operands[k].tensor || (operands[k].scalar.real() >= least && operands[k].scalar.real() < end);
  return fit;
}

// Returns the operator's kernel for elements in their stored dtype, if its results are equal to the results of the
// kernel for converted elements. Note [Narrow kernels]
PointwiseKernel narrow_kernel(PointwiseOp op, const Operand* operands, Dtype dtype) {
  const PointwiseKernel kernel = kernels::narrow_kernel(op, dtype);
  if (!kernel) return nullptr;
  const PointwiseRow& row = row_of(op);
  const auto& narrow = kernels::narrow_table();
  if (!is_floating(dtype)) return narrow.is_modular[int(op)] || numbers_fit(row, operands, dtype) ? kernel : nullptr;
  int tensors = 0, first = row.arity;  // number of tensors, which must come before all numbers
  for (int k = row.arity - 1; k >= 0; --k) operands[k].tensor ? void(++tensors) : void(first = k);
  if (first != tensors || tensors == 0) return nullptr;
  return tensors == row.arity
             ? kernel
             : (tensors == 1 ? narrow.with_numbers : narrow.with_number)[int(op)][dtype == Dtype::bfloat16];
}

Dtype promoted(const PointwiseRow& row, const Operand* operands, int arity) {
  // The common case: all operands have the same dtype.
  const Tensor* first = operands[0].tensor;
  if (first && !first->impl()->wrapped_number && row.domain != Domain::Select &&
      (arity == 1 || (arity == 2 && operands[1].tensor && operands[1].tensor->dtype() == first->dtype())))
    return first->dtype();
  if (row.domain == Domain::Select) return result_type(operands + 1, arity - 1);
  return result_type(operands, arity);
}

// Returns the dtype in which the operator computes, because not every operator supports all dtypes.
Dtype compute_dtype(const PointwiseRow& row, const Operand* operands, int arity, Dtype dtype) {
  switch (row.domain) {
    case Domain::Floating:
      return is_inexact(dtype) ? dtype : default_dtype();
    case Domain::Number:
      if (&row == &row_of(op::sub)) require(!is_boolean(operands[0]) && !is_boolean(operands[1]), kNoBooleanDifference);
      if (&row == &row_of(op::neg)) require(dtype != Dtype::bool_, kNoBooleanNegation);
      if (dtype == Dtype::bool_) reject(row, dtype);
      return dtype;
    case Domain::Real:
      check_floating(row, operands, arity, dtype);
      return dtype;
    case Domain::Integral:
      if (is_inexact(dtype)) reject(row, dtype);
      return dtype;
    case Domain::Whole:
      if (is_inexact(dtype) || dtype == Dtype::bool_) reject(row, dtype);
      return dtype;
    default:
      return dtype;
  }
}

Types types_of(const PointwiseRow& row, const Operand* operands) {
  const int arity = row.has_parameters ? 1 : row.arity;
  const bool returns_mask = row.domain == Domain::Comparison || row.domain == Domain::Logical;
  Dtype dtype = compute_dtype(row, operands, arity, promoted(row, operands, arity));
  // In comparisons, compare uint64 elements with a negative number in float64, because uint64 cannot represent it.
  if (FLAMBEAU_UNLIKELY(dtype == Dtype::uint64) && returns_mask && any_negative(operands, arity))
    dtype = Dtype::float64;
  Types types;
  types.dtype = dtype;
  types.in = dtype_of(compute_type(dtype));
  if ((dtype == Dtype::bool_ || dtype == Dtype::uint8) && takes_bytes(row, operands)) types.in = Dtype::uint8;
  types.out = returns_mask ? Dtype::bool_ : dtype;
  types.from = returns_mask ? Dtype::bool_ : types.in;
  if (FLAMBEAU_UNLIKELY(is_complex(dtype))) {
    const int op = int(row.op);
    if (!kernels::table().pointwise[op][int(compute_type(dtype))]) reject(row, dtype);
    if (kernels::table().returns_real[op]) types.out = types.from = to_real(dtype);
  }
  return types;
}

void check_divisor(const PointwiseRow& row, const Operand& divisor, Dtype in) {
  if (is_inexact(in) || (divisor.tensor && divisor.tensor->device().type != DeviceType::Cpu)) return;
  const bool zero = divisor.tensor ? item(any(eq(*divisor.tensor, 0), {}, false)).truth() : !divisor.scalar.truth();
  require(!zero, "ZeroDivisionError: ", row.name, " of integers by zero");
}

// Calls are recorded even if the derivative for the operand is missing. The backward pass then raises an error, instead
// of omitting a gradient.
bool needs_recording(const PointwiseRow& row, const Operand* operands) {
  if (!has_gradient(row)) return false;
  bool needs = false;
  for (int i = 0; i < row.arity; ++i) needs |= operands[i].tensor && operands[i].tensor->tracked();
  return needs && recording_enabled();
}

// Returns the operand, or a copy of it if it may overlap the memory to be written. If the operand and the written
// tensor are the same view, no copy is needed.
const Tensor* without_overlap(const Tensor* operand, const Tensor& written, Tensor& copy) {
  if (!operand || same_elements(*operand, written) || !may_overlap(*operand, written)) return operand;
  NoRecording off;
  copy = clone(*operand);
  return &copy;
}

// Half-precision kernels accept numbers only after the tensors. If the first of two operands is a number that `dtype`
// represents exactly, returns it as an expanded tensor. Otherwise returns an undefined tensor.
Tensor number_of_halves(const Operand* operands, int arity, const Tensor& out, Dtype dtype) {
  if (!is_floating(dtype) || arity != 2 || operands[0].tensor || !operands[1].tensor || out.numel() < kMinElements)
    return {};
  NoRecording off;
  const Tensor number = scalar_tensor(operands[0].scalar, dtype);
  return item(number).real() == operands[0].scalar.real() ? expand(number, out.shape()) : Tensor();
}

// Returns the operands with the numbers that PyTorch uses in operators on half-precision tensors, and stores these
// operands in `adjusted`. Comparisons round a number to the dtype of the tensor, so that `tensor([0.1], dtype=float16)
// == 0.1` is true. If a CPU tensor without dimensions is a factor or a divisor, its value is used in its own precision.
const Operand* adjust_numbers(const PointwiseRow& row, Dtype dtype, const Operand* operands, Operand* adjusted) {
  const bool rounds = row.domain == Domain::Comparison, multiplies = row.op == op::mul, divides = row.op == op::div;
  if (!rounds && !multiplies && !divides) return operands;
  for (int k = 0; k < row.arity; ++k) {
    adjusted[k] = operands[k];
    const Tensor* const t = operands[k].tensor;
    if (rounds && !t)
      adjusted[k].scalar = dtype == Dtype::float16 ? Scalar(double(to_float(operands[k].scalar.to<float16>())))
                                                   : Scalar(double(to_float(operands[k].scalar.to<bfloat16>())));
    else if (t && (multiplies || (divides && k == 1)) && t->dim() == 0 && is_floating(t->dtype()) &&
             t->dtype() != dtype && t->device().type == DeviceType::Cpu)
      adjusted[k] = Operand(item(*t));
  }
  return adjusted;
}

void run_adjusted(PointwiseOp op, const Types& types, const Operand* operands, const Tensor& out) {
  const int arity = row_of(op).arity;
  if (cuda::runs_on_gpu(out)) return cuda::pointwise(row_of(op), cuda::kValue, out, operands, arity, types.in);
  if (item_size(types.dtype) <= 2) {
    if (const Tensor number = number_of_halves(operands, arity, out, types.dtype); number.defined()) {
      const Operand both[] = {Operand(number), operands[1]};
      return run_adjusted(op, types, both, out);
    }
    if (const PointwiseKernel kernel = narrow_kernel(op, operands, types.dtype))
      return run_kernel(kernel, out, types.from == Dtype::bool_ ? types.from : types.dtype, operands, arity,
                        types.dtype);
  }
  const PointwiseKernel kernel = kernel_of(op, types.in);
  if (out.numel() >= kMinElements && run_looked_up(op, kernel, out, types.from, operands, arity, types.in)) return;
  run_kernel(kernel, out, types.from, operands, arity, types.in);
}

[[gnu::noinline]] void run_halves(PointwiseOp op, const Types& types, const Operand* operands, const Tensor& out) {
  Operand adjusted[kMaxOperands] = {0, 0, 0};
  run_adjusted(op, types, adjust_numbers(row_of(op), types.dtype, operands, adjusted), out);
}

void run(PointwiseOp op, const Types& types, const Operand* operands, const Tensor& out) {
  const bool in_halves = types.dtype == Dtype::float16 || types.dtype == Dtype::bfloat16;
  (in_halves ? run_halves : run_adjusted)(op, types, operands, out);
}

void run_into(PointwiseOp op, const Types& types, const Operand* operands, const Tensor& target) {
  const int arity = row_of(op).arity;
  Operand safe[kMaxOperands] = {0, 0, 0};
  Tensor copies[kMaxOperands];
  for (int k = 0; k < arity; ++k) {
    safe[k] = operands[k];
    safe[k].tensor = without_overlap(operands[k].tensor, target, copies[k]);
  }
  run(op, types, safe, target);
}

// Checks the dtype of out=. For unary operators that keep the dtype of their operand it must be exactly the result's
// dtype, as in PyTorch.
void check_out_dtype(const PointwiseRow& row, const Types& types, Dtype out) {
  const bool keeps = row.domain == Domain::Any || row.domain == Domain::Number || row.domain == Domain::Real ||
                     row.domain == Domain::Integral;
  const bool exact = keeps && row.arity == 1 && row.op != op::square && types.out == types.dtype;
  require(!exact || out == types.out, row.name, "(): Found dtype ", scalar_type(out), " but expected ",
          scalar_type(types.out), ": out= must have the dtype ", types.out, ", got ", out);
  require(can_cast(types.out, out), "result type ", types.out, " can't be cast to the desired output type ", out);
}

// Resizes out= to the shape of the result. If the shape changes, out= gets the memory layout that a new result would
// have.
void resize_like_result(const Tensor& out, const Operand* operands, int count) {
  const Shape shape = shape_of(operands, count);
  if (out.shape() == shape) return;
  warn_if_resized(out, shape);
  const Tensor* const model = order_of(operands, count, shape);
  resize(out, shape, model ? strides_like(*model, MemoryFormat::Preserve) : contiguous_strides(shape));
}

bool divides(PointwiseOp op) {
  return op == op::floor_divide || op == op::remainder || op == op::fmod || op == op::_trunc_divide;
}

}  // namespace

Tensor pointwise(PointwiseOp op, const Operand* operands) {
  const PointwiseRow& row = row_of(op);
  const Types types = types_of(row, operands);
  if (FLAMBEAU_UNLIKELY(divides(op))) check_divisor(row, operands[1], types.in);
  if (FLAMBEAU_UNLIKELY(op == op::conj_physical) && !is_complex(types.in)) return *operands[0].tensor;
  const bool recorded = needs_recording(row, operands);
  const Tensor result = new_result(operands, row.arity, types.out);
  run(op, types, operands, result);
  if (recorded) record_pointwise(op, operands, operands, result, Recording::kFresh);
  return result;
}

Tensor pointwise_into(PointwiseOp op, const Operand* operands, const Tensor& out, const char* name) {
  const PointwiseRow& row = row_of(op);
  if (!name) name = row.name;
  const Types types = types_of(row, operands);
  if (divides(op)) check_divisor(row, operands[1], types.in);
  require(!needs_recording(row, operands) && !recording(out), name,
          "(): functions with out=... arguments don't support automatic differentiation, but one of the arguments "
          "requires grad.");
  check_out_dtype(row, types, out.dtype());
  resize_like_result(out, operands, row.arity);
  begin_inplace(out, name);
  run_into(op, types, operands, out);
  return out;
}

Tensor pointwise_(PointwiseOp op, const Operand* operands, const char* name) {
  const PointwiseRow& row = row_of(op);
  if (!name) name = row.name;
  const Tensor& self = *operands[0].tensor;
  const Types types = types_of(row, operands);
  if (divides(op)) check_divisor(row, operands[1], types.in);
  require(!kernels::table().returns_real[int(op)] || !is_complex(self.dtype()), "In-place ", name,
          " is not supported for complex tensors.");
  require(can_cast(types.out, self.dtype()), "result type ", types.out, " can't be cast to the desired output type ",
          self.dtype());
  const Shape shape = shape_of(operands, row.arity);
  require(shape == self.shape(), "output with shape ", self.shape(), " doesn't match the broadcast shape ", shape);
  const bool recorded = needs_recording(row, operands);
  Tensor originals[kMaxOperands];
  Operand read[kMaxOperands] = {0, 0, 0};
  if (recorded) keep_originals(row, operands, self, originals, read);
  begin_inplace(self, name, recorded);
  run_into(op, types, operands, self);
  if (recorded)
    record_pointwise(op, operands, read, self, Recording::kInPlace);
  else
    forget_history(self, row.node_name);
  return self;
}

Tensor power(const Operand& x, const Operand& y) {
  if (!y.tensor && x.tensor) {
    const Category kind = category(x.tensor->dtype());
    if (kind >= y.scalar.kind() && kind != Category::Boolean && y.scalar.equals(2)) return square(*x.tensor);
    if (kind >= y.scalar.kind() ? kind >= Category::Floating : y.scalar.kind() == Category::Floating) {
      if (y.scalar.equals(0.5)) return sqrt(*x.tensor);
      if (y.scalar.equals(-1)) return reciprocal(*x.tensor);
      if (y.scalar.equals(-0.5)) return rsqrt(*x.tensor);
    }
    if (kind >= Category::Floating && kind >= y.scalar.kind() && y.scalar.equals(3)) return _cube(*x.tensor);
    require(kind >= Category::Floating || y.scalar.kind() >= Category::Floating || y.scalar.integer() >= 0,
            "Integers to negative integer powers are not allowed.");
  }
  return pow(x, y);
}

}  // namespace flambeau
