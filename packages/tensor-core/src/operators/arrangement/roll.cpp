#include "flambeau/operator.h"

namespace flambeau {

namespace {

void roll_values(const Tensor& to, const Tensor& from, const Shape& shifts, const Shape& dims, size_t next) {
  while (next < dims.size() && shifts[next] == 0) ++next;
  if (next == dims.size()) return copy_values(to, from);
  const int64_t dim = dims[next], shift = shifts[next], rest = to.shape()[dim] - shift;
  roll_values(narrow(to, dim, 0, shift), narrow(from, dim, rest, shift), shifts, dims, next + 1);
  roll_values(narrow(to, dim, shift, rest), narrow(from, dim, 0, rest), shifts, dims, next + 1);
}

// Replaces the shifts with one shift in [0, size) for each dimension of t. Adds the shifts of the same dimension.
void normalize_shifts(const Tensor& t, Shape& shifts, Shape& dims) {
  Shape total(t.shape().size());
  for (size_t i = 0; i < dims.size(); ++i) {
    const int64_t d = t.wrap_dim(dims[i]), size = std::max<int64_t>(1, t.shape()[d]);
    total[d] = ((total[d] + shifts[i] % size) % size + size) % size;
  }
  shifts = total;
  dims.clear();
  for (size_t d = 0; d < total.size(); ++d) dims.push_back(int64_t(d));
}

}  // namespace

Tensor roll(const Tensor& t, const Shape& given_shifts, const Shape& given_dims) {
  require(!given_shifts.empty(), "`shifts` required");
  if (given_dims.empty() && given_shifts.size() == 1)
    return reshape(roll(reshape(t, {t.numel()}), given_shifts, {0}), t.shape());
  require(given_shifts.size() == given_dims.size(), "shifts and dimensions must align. shifts: ", given_shifts.size(),
          ", dims:", given_dims.size());
  require<IndexError>(t.dim() > 0, "Dimension specified as ", given_dims[0], " but tensor has no dimensions");
  Shape shifts = given_shifts, dims = given_dims;
  normalize_shifts(t, shifts, dims);
  const Tensor out = empty(t.shape(), t.dtype());
  {
    NoRecording off;
    if (t.numel() > 0) roll_values(out, t, shifts, dims, 0);
  }
  if (recording(t))
    record("Roll", out, {&t}, {}, [shifts, dims](const Context& c) {
      Shape back;
      for (int64_t s : shifts) back.push_back(-s);
      c.set(0, roll(c.gradient(), back, dims));
    });
  return out;
}

namespace {

Tensor batched_roll(const Tensor& t, const Shape& shifts, const Shape& dims) {
  const int64_t batch = t.size(0);
  if (dims.empty() && shifts.size() == 1)
    return reshape(roll(reshape(t, {batch, batch ? t.numel() / batch : 0}), shifts, {1}), t.shape());
  Shape behind;
  for (const int64_t dim : dims) behind.push_back(1 + Tensor::wrap_dim(dim, t.dim() - 1));
  return roll(t, shifts, behind);
}

const Operator roll_operator(
    {.signature = "roll(input, shifts, dims=None)",
     .forms = kFunction | kMethod,
     .doc = R"(Roll the elements along dimensions.

Elements that are shifted beyond the end are inserted at the start.

Args:
    input: tensor of any shape and dtype.
    shifts: int or tuple of ints, the number of positions; negative numbers roll backwards.
    dims: int or tuple of ints, one for each shift. By default the flattened tensor is rolled.
Returns: a tensor with the shape and dtype of ``input``.
Raises: RuntimeError if the numbers of shifts and dimensions differ.
Gradient: input, any order.

>>> flambeau.roll(flambeau.tensor([[1, 2], [3, 4]]), 1)
tensor([[4, 1],
        [2, 3]]))",
     .forward = [](const Tensor& t, const Shape& shifts,
                   const OptionalDims& dims) { return roll(t, shifts, dims.value_or(Shape())); },
     .batched = [](const Tensor& t, const Shape& shifts,
                   const OptionalDims& dims) { return batched_roll(t, shifts, dims.value_or(Shape())); },
     .reference = "np.roll(input, shifts, dims or None)",
     .samples = "f(3, 4), 5; f(3, 4), (1, -2), (0, 1); i(2, 3, 2), -1, -1; f(0, 2), 1, 0"});

}  // namespace

}  // namespace flambeau
