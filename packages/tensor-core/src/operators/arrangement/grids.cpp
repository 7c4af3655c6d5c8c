// Operators on grids and matrices: coordinates, combinations, block-diagonal matrices, and rotations by 90 degrees.
#include "flambeau/operators/grids.h"
#include "flambeau/interpreter.h"
#include "flambeau/operator.h"

#include <utility>

namespace flambeau {

Tensors meshgrid(const Tensors& given, bool swapped) {
  Tensors vectors = given;
  require(!vectors.empty(), "meshgrid expects a non-empty TensorList");
  for (const Tensor& v : vectors) {
    require(v.dim() <= 1, "meshgrid: Expected 0D or 1D tensor in the tensor list but got: ", v.shape());
    require(v.dtype() == vectors[0].dtype(), "meshgrid expects all tensors to have the same dtype");
  }
  const bool swap = swapped && vectors.size() > 1;
  if (swap) std::swap(vectors[0], vectors[1]);
  Shape shape;
  for (const Tensor& v : vectors) shape.push_back(v.numel());
  for (size_t i = 0; i < vectors.size(); ++i) {
    Shape own(vectors.size(), 1);
    own[i] = shape[i];
    vectors[i] = expand(reshape(vectors[i], own), shape);
  }
  if (swap) std::swap(vectors[0], vectors[1]);
  return vectors;
}

const Operator meshgrid_operator(
    {.signature = "meshgrid(*tensors, indexing=None)",
     .forms = kFunction,
     .doc =
         R"(Create coordinate grids from vectors; ``indexing='xy'`` exchanges the first two dimensions, as NumPy does.

Without ``indexing``, or with None, it is 'ij', and a warning is issued once. Raises RuntimeError for tensors of more than one dimension or of different dtypes, and for another ``indexing``.

>>> flambeau.meshgrid(flambeau.tensor([1, 2]), flambeau.tensor([3, 4, 5]), indexing="ij")[1]
tensor([[3, 4, 5],
        [3, 4, 5]]))",
     .forward = [](const Tensors& tensors, std::optional<std::string_view> indexing) {
       if (!indexing)
         warn_once(
             "meshgrid: in an upcoming release, it will be required to pass the indexing argument. Pass indexing='ij' "
             "to keep the present result.");
       require(!indexing || *indexing == "ij" || *indexing == "xy",
               R"(meshgrid: indexing must be one of "xy" or "ij", but received: )", indexing.value_or(""));
       return meshgrid(tensors, indexing == "xy");
     }});

Tensor cartesian_prod(const Tensors& vectors) {
  for (const Tensor& v : vectors) require(v.dim() == 1, "Expect a 1D vector, but got shape ", v.shape());
  if (vectors.size() == 1) return vectors[0];
  Tensors grids = meshgrid(vectors, false);
  for (Tensor& g : grids) g = reshape(g, {g.numel()});
  return stack(grids, 1);
}

const Operator cartesian_prod_operator(
    {.signature = "cartesian_prod(*tensors)",
     .forms = kFunction,
     .doc =
         R"(Return the Cartesian product of vectors as rows; a single vector is returned unchanged.

>>> flambeau.cartesian_prod(flambeau.tensor([1, 2]), flambeau.tensor([3, 4]))
tensor([[1, 3],
        [1, 4],
        [2, 3],
        [2, 4]]))",
     .forward = cartesian_prod});

namespace {

// Returns the number of ways to choose r of n elements.
int64_t combination_count(int64_t n, int64_t r, bool repeated) {
  constexpr double kMax = 1e15;
  if (n == 0 || (r > n && !repeated)) return 0;
  double total = double(r) < kMax ? 1 : kMax;
  const double places = repeated ? double(n) + double(r) - 1 : double(n);
  const double chosen = std::min(double(r), places - double(r));  // C(n, r) = C(n, n - r)
  // Every step at least doubles the number, so there are at most 50 steps.
  for (double i = 1; i <= chosen && total < kMax; ++i) total = total * (places - chosen + i) / i;
  require(total < kMax, "combinations: the number of combinations of ", r, " of ", n, " elements is too large");
  return int64_t(total + 0.5);
}

// Advances to the next choice in lexicographic order. The positions in a choice increase or, with `repeated`, do not
// decrease.
void advance(int64_t* choice, int64_t r, int64_t n, bool repeated) {
  int64_t i = r - 1;
  while (i > 0 && choice[i] == (repeated ? n - 1 : n - r + i)) --i;
  const int64_t first = choice[i] + 1;
  for (int64_t j = i; j < r; ++j) choice[j] = repeated ? first : first + j - i;
}

// Writes all choices in lexicographic order into rows of r positions.
void enumerate(int64_t* row, int64_t count, int64_t r, int64_t n, bool repeated) {
  const GilRelease release(count * r > kGilGrain);
  const int64_t rows_between_polls = std::max<int64_t>(1, (1 << 20) / r);
  for (int64_t k = 0; k < count; ++k, row += r) {
    if (k % rows_between_polls == 0) poll_signals();
    for (int64_t j = 0; j < r; ++j) row[j] = k ? row[j - r] : repeated ? 0 : j;
    if (k) advance(row, r, n, repeated);
  }
}

}  // namespace

Tensor combinations(const Tensor& input, int64_t r, bool with_replacement) {
  require(input.dim() == 1, "Expect a 1D vector, but got shape ", input.shape());
  require(r >= 0, "Expect a non-negative number, but got ", r);
  if (r == 0) return empty({0}, input.dtype());
  const int64_t n = input.numel(), count = combination_count(n, r, with_replacement);
  Tensor positions;
  {
    const OnDevice cpu(DeviceType::Cpu);  // choices are computed sequentially, because each depends on the previous one
    positions = empty({count, r}, Dtype::int64);
    enumerate(positions.data<int64_t>(), count, r, n, with_replacement);
  }
  return reshape(index_select(input, 0, to(flatten(positions, 0, 1), input.device())), {count, r});
}

const Operator combinations_operator(
    {.signature = "combinations(input, r=2, with_replacement=False)",
     .forms = kFunction,
     .doc =
         R"(Return the combinations of ``r`` elements of a vector in lexicographic order, ``(count, r)``.

Gradient: input.

>>> flambeau.combinations(flambeau.tensor([1, 2, 3]))
tensor([[1, 2],
        [1, 3],
        [2, 3]]))",
     .forward = combinations,
     .reference = "np.array(list(__import__('itertools').combinations(input, r)))",
     .samples = "f(4); f(4), 3"});

Tensor block_diag(const Tensors& given) {
  if (given.empty()) return empty({1, 0}, default_dtype());
  Tensors rows = given;
  int64_t width = 0, height = 0, left = 0;
  bool uniform = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    require(rows[i].dim() <= 2, "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input ", i, " has ",
            rows[i].dim(), " dimensions");
    if (rows[i].dim() < 2) rows[i] = reshape(rows[i], {1, rows[i].numel()});
    width += rows[i].shape()[1];
    height += rows[i].shape()[0];
    uniform &= rows[i].dtype() == rows[0].dtype() && !recording(rows[i]);
  }
  if (uniform) {
    const Tensor out = zeros({height, width}, rows[0].dtype());
    int64_t top = 0;
    for (const Tensor& row : rows) {
      const int64_t m = row.shape()[0], n = row.shape()[1];
      copy_values(narrow(narrow(out, 0, top, m), 1, left, n), row);
      top += m;
      left += n;
    }
    return out;
  }
  for (Tensor& row : rows) {
    const int64_t own = row.shape()[1];
    row = constant_pad_nd(row, {left, width - left - own}, Scalar(0));
    left += own;
  }
  return cat(rows, 0);
}

const Operator block_diag_operator(
    {.signature = "block_diag(*tensors)",
     .forms = kFunction,
     .doc =
         R"(Create a block-diagonal matrix from matrices; a vector counts as one row. Gradient: all tensors.

Raises RuntimeError for a tensor of more than two dimensions.

>>> flambeau.block_diag(flambeau.ones(1, 2), flambeau.tensor([[2.0]]))
tensor([[1., 1., 0.],
        [0., 0., 2.]]))",
     .forward = block_diag});

Tensor rot90(const Tensor& input, int64_t k, const Shape& dims) {
  const int64_t n = input.dim();
  require(dims.size() == 2, "expected total rotation dims == 2, but got dims = ", dims.size());
  require(n >= 2, "expected total dims >= 2, but got total dims = ", n);
  const int64_t first = dims[0], second = dims[1];
  require((first - second) % n != 0, "expected rotation dims to be different, but got dim0 = ", first,
          " and dim1 = ", second);
  for (size_t i = 0; i < 2; ++i)
    require(dims[i] >= -n && dims[i] < n, "Rotation dim", i, " out of range, dim", i, " = ", dims[i]);
  const int64_t turns = (k % 4 + 4) % 4;
  if (turns == 0) return clone(input);
  if (turns == 2) return flip(input, {first, second});
  return transpose(flip(input, {turns == 1 ? second : first}), first, second);
}

const Operator rot90_operator(
    {.signature = "rot90(input, k=1, dims=(0, 1))",
     .forms = kFunction | kMethod,
     .doc =
         R"(Return a copy, rotated by ``k`` quarter turns from the first to the second of ``dims``. Gradient: input.

Raises RuntimeError unless there are two different dimensions.

>>> flambeau.rot90(flambeau.tensor([[1, 2], [3, 4]]))
tensor([[2, 4],
        [1, 3]]))",
     .forward = rot90,
     .reference = "np.rot90(input, k, dims)",
     .samples = "f(2, 3); f(2, 3), -1; f(2, 3, 2), 2, (1, 2)"});

Tensor shift_frequencies(const Tensor& input, const OptionalDims& given, bool back) {
  Shape dims = given.value_or(Shape{}), shifts;
  for (int64_t d = 0; !given && d < input.dim(); ++d) dims.push_back(d);
  for (int64_t d : dims) shifts.push_back((input.size(d) + back) / 2);
  return roll(input, shifts, dims);
}

}  // namespace flambeau
