// Tensors of constants and ranges, uninitialised tensors, and tensors that are like other tensors.
#include "operators/creation/factories.h"

#include <algorithm>

#include "flambeau/interpreter.h"

namespace flambeau {

namespace {

const Operator full_operator(
    {.signature = "full(size, fill_value, *, dtype=None)",
     .forms = kFunction | kOut | kFactory,
     .doc = "Return a tensor filled with one value. The default dtype is the dtype of the value.",
     .forward = [](const Shape& size, Scalar value,
                   MaybeDtype dtype) { return full(size, value, dtype.value_or(default_dtype(value.kind()))); },
     .reference = "np.full(size, fill_value)",
     .samples = "(2, 3), 2.5; 3, 7; (), True"});

const Operator zeros_operator({.signature = "zeros(*size, dtype=None)",
                               .forms = kFunction | kOut | kFactory,
                               .doc = "Return a tensor filled with zeros.",
                               .forward = [](const Shape& size,
                                             MaybeDtype dtype) { return zeros(size, dtype.value_or(default_dtype())); },
                               .reference = "np.zeros(size)",
                               .samples = "(2, 3); (0,); ()"});

const Operator ones_operator({.signature = "ones(*size, dtype=None)",
                              .forms = kFunction | kOut | kFactory,
                              .doc = "Return a tensor filled with ones.",
                              .forward = [](const Shape& size,
                                            MaybeDtype dtype) { return ones(size, dtype.value_or(default_dtype())); },
                              .reference = "np.ones(size)",
                              .samples = "(2, 3); (0,); ()"});

const Operator scalar_tensor_operator(
    {.signature = "scalar_tensor(s, *, dtype=None)",
     .forms = kFunction | kFactory,
     .doc = "Return a number as a 0-dimensional tensor of the default dtype.",
     .forward = [](Scalar s, MaybeDtype dtype) { return full({}, s, dtype.value_or(default_dtype())); },
     .reference = "np.array(s)",
     .samples = "2.5; 3"});

const Operator eye_operator({.signature = "eye(n, m=None, *, dtype=None)",
                             .forms = kFunction | kOut | kFactory,
                             .doc = "Return the identity matrix, n by m.",
                             .forward =
                                 [](int64_t n, std::optional<int64_t> m, MaybeDtype dtype) {
                                   return eye(n, m.value_or(n), dtype.value_or(default_dtype()));
                                 },
                             .reference = "np.eye(n, m)",
                             .samples = "3; 2, 4; 3, 0"});

// --- uninitialised tensors ---

Tensor empty_in(const Shape& size, MaybeDtype dtype, MaybeFormat format) {
  require(format != MemoryFormat::Preserve, "empty(): unsupported memory format Preserve");
  const Dtype type = dtype.value_or(default_dtype());
  if (!format || format == MemoryFormat::Contiguous) return empty(size, type);
  return empty_strided(size, strides_in(*format, size), type);
}

const Operator empty_operator({.signature = "empty(*size, dtype=None, memory_format=None)",
                               .forms = kFunction | kOut | kFactory,
                               .doc = "Return an uninitialised tensor.",
                               .forward = empty_in});

const Operator empty_strided_operator({.signature = "empty_strided(size, stride, *, dtype=None)",
                                       .forms = kFunction | kFactory,
                                       .doc = "Return an uninitialised tensor with the given strides.",
                                       .forward = [](const Shape& size, const Shape& stride, MaybeDtype dtype) {
                                         return empty_strided(size, stride, dtype.value_or(default_dtype()));
                                       }});

Tensor empty_permuted(const Shape& size, const Shape& order, MaybeDtype dtype) {
  require(order.size() == size.size(),
          "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) = ",
          size.size(), " is not equal to len(physical_layout) = ", order.size());
  Shape strides(size.size(), -1);
  int64_t step = 1;
  for (size_t i = order.size(); i-- > 0;) {
    require(order[i] >= 0 && order[i] < int64_t(size.size()), "Dimension out of range (expected to be between 0 and ",
            int64_t(size.size()) - 1, ", but got ", order[i], " at index ", i,
            "). NB: negative dims not currently supported; file an issue if you want it.");
    require(strides[order[i]] < 0, "Duplicate dim not allowed: ", order[i], " in ", order);
    strides[order[i]] = step;
    step *= std::max<int64_t>(1, size[order[i]]);
  }
  return empty_strided(size, strides, dtype.value_or(default_dtype()));
}

const Operator empty_permuted_operator({.signature = "empty_permuted(size, physical_layout, *, dtype=None)",
                                        .forms = kFunction | kFactory,
                                        .doc = "Return an uninitialised tensor without gaps in memory. physical_layout "
                                               "is the order of the dimensions in memory, the outermost first.",
                                        .forward = empty_permuted});

// --- ranges ---

// Returns the start or the end of a range, which is given as a number or as a tensor of one element.
Scalar end_of(const char* function, const Operand& end) {
  if (!end.tensor) return end.scalar;
  require(end.tensor->dim() == 0, function, " only supports 0-dimensional start and end tensors, got shape ",
          end.tensor->shape());
  return item(*end.tensor);
}

Dtype range_type(const Scalar& start, const Scalar& end, MaybeDtype dtype) {
  return dtype.value_or(default_dtype(std::max({start.kind(), end.kind(), Category::Floating})));
}

const Operator arange_operator(
    {.signature = "arange(start=None, end=None, step=1, *, dtype=None)",
     .forms = kFunction | kOut | kKeepsOut | kFactory,
     .doc = R"(Return start, start + step, ... up to but excluding end; arange(end) starts at 0.

The dtype is int64 for integers, otherwise the default dtype.)",
     .forward =
         [](std::optional<Scalar> start, std::optional<Scalar> end, Scalar step, MaybeDtype dtype) {
           require<TypeError>(start || end, "arange() missing 1 required positional arguments: \"end\"");
           return start && end ? arange(*start, *end, step, dtype)
                               : arange(Scalar(0), end ? *end : *start, step, dtype);
         },
     .reference = "np.arange(0 if end is None else start, start if end is None else end, step)",
     .samples = "5; 2, 7; 1, 2, 0.25; 5, 0, -2"});

const Operator range_operator({.signature = "range(start, end=None, step=1, *, dtype=None)",
                               .forms = kFunction | kOut | kKeepsOut | kFactory,
                               .doc = "Return start, start + step, ... up to and including end. PyTorch deprecates it "
                                      "in favour of arange, which excludes end.",
                               .forward =
                                   [](Scalar start, std::optional<Scalar> end, Scalar step, MaybeDtype dtype) {
                                     warn_once(
                                         "range is deprecated and will be removed in a future release because its "
                                         "behavior is inconsistent with Python's range builtin. Use arange, which "
                                         "excludes end.");
                                     return range_to(end ? start : Scalar(0), end.value_or(start), step,
                                                     dtype.value_or(default_dtype()));
                                   },
                               .reference = "np.arange(start, end + step, step)",
                               .samples = "2, 7; 1, 2, 0.25; 5, 1, -2"});

const Operator linspace_operator({.signature = "linspace(start, end, steps, *, dtype=None)",
                                  .forms = kFunction | kOut | kKeepsOut | kFactory,
                                  .doc = "Return `steps` evenly spaced values from start to end; both ends are "
                                         "included and exact. start and end are numbers or tensors without dimensions.",
                                  .forward =
                                      [](const Operand& start, const Operand& end, int64_t steps, MaybeDtype dtype) {
                                        const Scalar first = end_of("linspace", start), last = end_of("linspace", end);
                                        return linspace(first, last, steps, range_type(first, last, dtype));
                                      },
                                  .reference = "np.linspace(start, end, steps)",
                                  .samples = "0, 1, 5; 3, -1, 9; 2, 5, 1"});

const Operator logspace_operator(
    {.signature = "logspace(start, end, steps, base=10, *, dtype=None)",
     .forms = kFunction | kOut | kKeepsOut | kFactory,
     .doc = "Return base**x for `steps` evenly spaced values x from start to end, both included.",
     .forward =
         [](const Operand& start, const Operand& end, int64_t steps, double base, MaybeDtype dtype) {
           const Scalar first = end_of("logspace", start), last = end_of("logspace", end);
           return logspace(first, last, steps, base, range_type(first, last, dtype));
         },
     .reference = "np.logspace(start, end, steps, base=base)",
     .samples = "0, 2, 3; 0, 3, 4, 2"});

const Operator tril_indices_operator(
    {.signature = "tril_indices(row, col, offset=0, *, dtype=None)",
     .forms = kFunction | kFactory,
     .doc = "Return the indices of the lower triangle of a (row, col) matrix, with shape (2, n).",
     .forward =
         [](int64_t rows, int64_t columns, int64_t offset, MaybeDtype dtype) {
           return triangle_indices(rows, columns, offset, true, dtype.value_or(Dtype::int64));
         },
     .reference = "np.array(np.tril_indices(row, offset, col))",
     .samples = "3, 4; 3, 2, 1; 4, 3, -2"});

const Operator triu_indices_operator(
    {.signature = "triu_indices(row, col, offset=0, *, dtype=None)",
     .forms = kFunction | kFactory,
     .doc = "Return the indices of the upper triangle of a (row, col) matrix, with shape (2, n).",
     .forward =
         [](int64_t rows, int64_t columns, int64_t offset, MaybeDtype dtype) {
           return triangle_indices(rows, columns, offset, false, dtype.value_or(Dtype::int64));
         },
     .reference = "np.array(np.triu_indices(row, offset, col))",
     .samples = "3, 4; 3, 2, 1; 4, 3, -2"});

// --- tensors with another tensor's shape ---

Tensor full_like(const Tensor& t, Scalar value, MaybeDtype dtype, MaybeFormat format) {
  const Tensor out = empty_like(t, dtype, format);
  fill_(out, value);
  return out;
}

const Operator empty_like_operator({.signature = "empty_like(input, *, dtype=None, memory_format=None)",
                                    .forms = kFunction | kFactory,
                                    .doc = "Return an uninitialised tensor with the shape of input.",
                                    .forward = empty_like});

const Operator zeros_like_operator({.signature = "zeros_like(input, *, dtype=None, memory_format=None)",
                                    .forms = kFunction | kFactory,
                                    .doc = "Return zeros with the shape of input.",
                                    .forward =
                                        [](const Tensor& t, MaybeDtype dtype, MaybeFormat format) {
                                          return full_like(t, Scalar(0), dtype, format);
                                        },
                                    .reference = "np.zeros_like(input)",
                                    .samples = "f(2, 3); i(4)"});

const Operator ones_like_operator({.signature = "ones_like(input, *, dtype=None, memory_format=None)",
                                   .forms = kFunction | kFactory,
                                   .doc = "Return ones with the shape of input.",
                                   .forward = [](const Tensor& t, MaybeDtype dtype,
                                                 MaybeFormat format) { return full_like(t, Scalar(1), dtype, format); },
                                   .reference = "np.ones_like(input)",
                                   .samples = "f(2, 3); i(4)"});

const Operator full_like_operator({.signature = "full_like(input, fill_value, *, dtype=None, memory_format=None)",
                                   .forms = kFunction | kFactory,
                                   .doc = "Return a tensor filled with one value, with the shape of input.",
                                   .forward = full_like,
                                   .reference = "np.full_like(input, fill_value)",
                                   .samples = "f(2, 3), 2.5; i(4), 3"});

// --- tensors with another tensor's dtype ---

const Operator new_empty_operator({.signature = "new_empty(input, *size, dtype=None)",
                                   .forms = kMethod | kFactory,
                                   .doc = "Return an uninitialised tensor with the dtype of input.",
                                   .forward = [](const Tensor& t, const Shape& size, MaybeDtype dtype) {
                                     return empty(size, dtype.value_or(t.dtype()));
                                   }});

const Operator new_empty_strided_operator(
    {.signature = "new_empty_strided(input, size, stride, *, dtype=None)",
     .forms = kMethod | kFactory,
     .doc = "Return an uninitialised tensor with the dtype of input and the given strides.",
     .forward = [](const Tensor& t, const Shape& size, const Shape& stride, MaybeDtype dtype) {
       return empty_strided(size, stride, dtype.value_or(t.dtype()));
     }});

const Operator new_zeros_operator({.signature = "new_zeros(input, *size, dtype=None)",
                                   .forms = kMethod | kFactory,
                                   .doc = "Return zeros with the dtype of input.",
                                   .forward = [](const Tensor& t, const Shape& size,
                                                 MaybeDtype dtype) { return zeros(size, dtype.value_or(t.dtype())); },
                                   .reference = "np.zeros(size)",
                                   .samples = "f(2), (2, 3); i(2), (0,)"});

const Operator new_ones_operator({.signature = "new_ones(input, *size, dtype=None)",
                                  .forms = kMethod | kFactory,
                                  .doc = "Return ones with the dtype of input.",
                                  .forward = [](const Tensor& t, const Shape& size,
                                                MaybeDtype dtype) { return ones(size, dtype.value_or(t.dtype())); },
                                  .reference = "np.ones(size)",
                                  .samples = "f(2), (2, 3); i(2), (0,)"});

const Operator new_full_operator({.signature = "new_full(input, size, fill_value, *, dtype=None)",
                                  .forms = kMethod | kFactory,
                                  .doc = "Return a tensor filled with one value, with the dtype of input.",
                                  .forward =
                                      [](const Tensor& t, const Shape& size, Scalar value, MaybeDtype dtype) {
                                        return full(size, value, dtype.value_or(t.dtype()));
                                      },
                                  .reference = "np.full(size, fill_value)",
                                  .samples = "f(2), (2, 3), 2.5; i(2), (3,), 7"});

}  // namespace

}  // namespace flambeau
