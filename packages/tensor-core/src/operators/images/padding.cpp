// Padding with a constant, and padding with elements of the image by copying its rows. The derivatives of the latter
// are maps of Note [Resampling] with one tap for each position.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "operators/images/resampling.h"
#include "operators/indexing/indexing.h"

namespace flambeau {

namespace {

constexpr const char* kNodes[] = {"ReflectionPad", "ReplicationPad", "CircularPad"};

struct Padding {  // the padding of one dimension
  int64_t size, before, after;

  int64_t out() const { return size + before + after; }
  int64_t reflected(int64_t o) const { return size - 1 - std::abs(size - 1 - std::abs(o - before)); }
  int64_t replicated(int64_t o) const { return std::clamp<int64_t>(o - before, 0, size - 1); }
  // Returns the number of elements that circular padding repeats: the elements that negative padding does not remove.
  int64_t kept() const { return size - std::max<int64_t>(-before, 0) - std::max<int64_t>(-after, 0); }
  int64_t wrapped(int64_t o) const {
    const int64_t first = std::max<int64_t>(-before, 0), rest = kept();
    const int64_t offset = (o - std::max<int64_t>(before, 0)) % rest;
    return first + (offset < 0 ? offset + rest : offset);
  }
};

void check(const Padding& p, PadMode mode, int64_t dim, const Tensor& input) {
  require(mode != PadMode::Reflect || (p.before < p.size && p.after < p.size),
          "Padding size should be less than the corresponding input dimension, but got: padding (", p.before, ", ",
          p.after, ") at dimension ", dim, " of input ", input.shape());
  require(mode != PadMode::Circular || (p.before <= p.size && p.after <= p.size),
          "Padding value causes wrapping around more than once: padding (", p.before, ", ", p.after, ") at dimension ",
          dim, " of input ", input.shape());
  require(mode != PadMode::Circular || p.kept() > 0 || p.out() == 0,
          "Negative padding value is resulting in an empty dimension: (", p.before, ", ", p.after, ") at dimension ",
          dim, " of input ", input.shape());
  require(mode == PadMode::Circular || (p.size > 0 && p.out() > 0), "input of shape ", input.shape(), " (size ", p.size,
          " at dimension ", dim, ") is too small for padding (", p.before, ", ", p.after, ")");
  require(p.out() < (int64_t(1) << 31), "pad: sizes must be below 2**31, got ", p.out(), " at dimension ", dim);
}

int64_t source(const Padding& p, PadMode mode, int64_t o) {
  switch (mode) {
    case PadMode::Reflect:
      return p.reflected(o);
    case PadMode::Replicate:
      return p.replicated(o);
    default:
      return p.wrapped(o);
  }
}

// The padding of the last dimensions of an image.
struct Paddings {
  PadMode mode;
  std::vector<Padding> dims;
};

struct Run {  // consecutive elements of the result that are copied from consecutive elements of the image's row
  int64_t to, from, count;
};
std::vector<Run> runs_of(const Padding& p, PadMode mode) {
  std::vector<Run> runs;
  const int64_t inside = std::max<int64_t>(p.before, 0), outside = std::min(p.out(), p.before + p.size);
  for (int64_t o = 0; o < p.out(); ++o) {
    const int64_t from = source(p, mode, o), count = o == inside && o < outside ? outside - o : 1;
    if (!runs.empty() && runs.back().from + runs.back().count == from)
      runs.back().count += count;
    else
      runs.push_back({o, from, count});
    o += count - 1;
  }
  return runs;
}

template <class T>
void copy_runs(T* to, const T* from, const std::vector<Run>& runs) {
  for (const Run& run : runs)
    if (run.count == 1)
      to[run.to] = from[run.from];
    else
      std::memcpy(to + run.to, from + run.from, size_t(run.count) * sizeof(T));
}

Tensor padded(const Tensor& input, const Paddings& paddings) {
  NoRecording off;
  const Tensor x = contiguous(input);
  const auto mode = paddings.mode;
  const auto& dims = paddings.dims;
  const size_t leading = x.shape().size() - dims.size();
  Shape shape = x.shape();
  for (size_t i = 0; i < dims.size(); ++i) shape[leading + i] = dims[i].out();
  const Tensor out = empty(shape, x.dtype());
  if (out.numel() == 0 || out.is_meta()) return out;
  const std::vector<Run> runs = runs_of(dims.back(), mode);
  const int64_t to_row = shape[shape.size() - 1], from_row = x.shape()[shape.size() - 1];
  dispatch_size(item_size(x.dtype()), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* to = reinterpret_cast<T*>(out.bytes());
    const T* from = reinterpret_cast<const T*>(x.bytes());
    parallel_items(out.numel() / to_row, std::max<int64_t>(1, 32768 / to_row), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        int64_t at = 0, step = 1, rest = row;
        for (size_t i = dims.size() - 1; i-- > 0;) {
          at += source(dims[i], mode, rest % dims[i].out()) * step;
          step *= dims[i].size;
          rest /= dims[i].out();
        }
        copy_runs(to + row * to_row, from + (at + rest * step) * from_row, runs);
      }
    });
  });
  return out;
}

std::shared_ptr<const Resampling> map_of(const Paddings& paddings) {
  auto map = std::make_shared<Resampling>();
  for (const Padding& p : paddings.dims) {
    auto m = std::make_unique<SparseMatrix>(p.size, p.out(), true);
    for (int64_t o = 0; o < p.out(); ++o) {
      const int64_t from = source(p, paddings.mode, o);
      m->add_row(from, from + 1, 1);
    }
    map->axes.push_back(std::move(m));
  }
  return map;
}

}  // namespace

Tensor pad_edges(const Tensor& input, const Shape& amounts, PadMode mode) {
  const size_t dims = amounts.size() / 2;
  require(amounts.size() % 2 == 0 && dims <= input.shape().size(),
          "pad: expected a pair of amounts for some of the last ", input.dim(), " dimensions, got ", amounts);
  if (is_complex(input.dtype()))
    return complex(pad_edges(real(input), amounts, mode), pad_edges(imag(input), amounts, mode));
  Paddings paddings{mode, {}};
  for (size_t i = 0; i < dims; ++i) {
    const int64_t dim = input.dim() - int64_t(dims - i);
    constexpr int64_t kLargest = int64_t(1) << 31;
    const size_t at = 2 * (dims - 1 - i);  // the list of amounts begins with the last dimension
    require(std::abs(amounts[at]) < kLargest && std::abs(amounts[at + 1]) < kLargest,
            "pad: amounts must be below 2**31, got ", amounts);
    const Padding p{input.size(dim), amounts[at], amounts[at + 1]};
    check(p, mode, dim, input);
    paddings.dims.push_back(p);
  }
  if (dims == 0) return clone(input);
  const bool on_gpu = cuda::runs_on_gpu(input) && dims <= 3;  // the GPU applies a map with one tap for each position
  const Tensor out = on_gpu ? resample(kNodes[size_t(mode)], map_of(paddings), detach(input))
                            : laid_out(padded(input, paddings), result_format(input));
  if (recording(input)) record_resampling(kNodes[size_t(mode)], map_of(paddings), input, out);
  return out;
}

Tensor constant_pad_nd(const Tensor& t, const Shape& pad, Scalar value) {
  require(pad.size() % 2 == 0, "Length of pad must be even but instead it equals ", pad.size());
  require(int(pad.size()) <= 2 * t.dim(),
          "Length of pad should be no more than twice the number of dimensions of the "
          "input. Pad length is ",
          pad.size(), " while the input has ", t.dim(), " dimensions.");
  Shape shape = t.shape();
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    const size_t d = shape.size() - 1 - i;
    require(!__builtin_add_overflow(shape[d], pad[2 * i], &shape[d]) &&
                !__builtin_add_overflow(shape[d], pad[2 * i + 1], &shape[d]) && shape[d] >= 0,
            "The input size ", t.shape()[d], ", plus negative padding ", pad[2 * i], " and ", pad[2 * i + 1],
            " resulted in a negative output size, which is invalid. Check dimension ", d, " of your input.");
  }
  const Tensor out = laid_out(full(shape, value, t.dtype()), suggested_format(t));
  Tensor from = t, to = out;
  for (size_t i = 0; i < pad.size() / 2; ++i) {
    const int64_t d = int64_t(shape.size() - 1 - i), left = pad[2 * i], right = pad[2 * i + 1];
    const int64_t kept = std::max<int64_t>(0, t.shape()[d] + std::min<int64_t>(left, 0) + std::min<int64_t>(right, 0));
    from = narrow(from, d, kept ? std::max<int64_t>(0, -left) : 0, kept);
    to = narrow(to, d, kept ? std::max<int64_t>(0, left) : 0, kept);
  }
  {
    NoRecording off;
    copy_values(to, from);
  }
  if (recording(t))
    record("ConstantPadNd", out, {&t}, {}, [pad](const Context& c) {
      Shape back;
      for (int64_t p : pad) back.push_back(-p);
      c.set(0, constant_pad_nd(c.gradient(), back, Scalar(0)));
    });
  return out;
}

const Operator constant_pad_nd_operator(
    {.signature = "constant_pad_nd(input, pad, value=0)",
     .forms = kFunction,
     .doc =
         R"(Pad with `value`: pad is (left, right) for the last dimension, then for the one before it, and so on.

Negative amounts remove elements. Gradient: input.)",
     .forward = constant_pad_nd,
     .reference = "np.pad(input, [(0, 0), pad[:2]] if len(pad) == 2 else [pad[2:], pad[:2]], constant_values=value)",
     .samples = "f(2, 3), (1, 2); f(2, 3), (1, 0, 0, 2), 2.5"});

namespace {

std::optional<PadMode> edge_mode(std::string_view mode) {
  if (mode == "constant") return std::nullopt;
  if (mode == "reflect") return PadMode::Reflect;
  if (mode == "replicate") return PadMode::Replicate;
  require<NotImplementedError>(mode == "circular", "Unrecognised padding mode ", mode,
                               ": expected constant, reflect, replicate or circular");
  return PadMode::Circular;
}

Tensor pad(const Tensor& input, const Shape& amounts, std::string_view mode, std::optional<Scalar> value) {
  const std::optional<PadMode> edges = edge_mode(mode);
  const int pairs = int(amounts.size() / 2);
  require(amounts.size() % 2 == 0, "Padding length must be divisible by 2, but got ", amounts);
  require(pairs <= input.dim(),
          "Padding length should be less than or equal to two times the input dimension but got "
          "padding length ",
          amounts.size(), " and input of dimension ", input.dim());
  if (!edges) return constant_pad_nd(input, amounts, value.value_or(Scalar(0)));
  require<ValueError>(!value || value->equals(0), "Padding mode \"", mode, "\" doesn't take in value argument");
  require<NotImplementedError>(pairs >= 1 && pairs <= 3 && (input.dim() == pairs + 1 || input.dim() == pairs + 2),
                               "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now: got ",
                               amounts.size(), " amounts for an input of ", input.dim(), " dimensions");
  return pad_edges(input, amounts, *edges);
}

const Operator nn_pad_operator(
    {.signature = "pad(input, pad, mode='constant', value=None)",
     .forms = kPrivate | kNetwork,
     .doc = R"(Pad the last dimensions with values. Negative amounts remove elements.

Args:
    pad: pairs of amounts before and after, the last dimension first.
    mode: ``"constant"``, ``"reflect"`` (without the edge), ``"replicate"`` (the edge) or ``"circular"``. All modes
        except ``"constant"`` require a channel dimension and pad one to three dimensions after it.
    value: value for the mode ``"constant"``, 0 by default.
Returns: the padded tensor; with ``pad=(1, 1)`` and the value 7, ``[0, 1, 2]`` becomes ``[7, 0, 1, 2, 7]``.
Raises: RuntimeError for invalid amounts; NotImplementedError for an unknown mode.
Gradient: any order.)",
     .forward = pad,
     .reference = "np.pad(input, [(0, 0)] * (input.ndim - len(pad) // 2) + list(zip(pad[-2::-2], pad[-1::-2])), "
                  "mode={\"replicate\": \"edge\", \"circular\": \"wrap\"}.get(mode, mode), **({} if value is None else "
                  "{\"constant_values\": value}))",
     .samples = "f(2, 3), (1, 2); f(2, 3, 4), (1, 0, 2, 1), value=1.5; f(2, 3, 4), (2, 1), 'reflect'; f(2, 3, 4), (2, "
                "1), 'replicate'; f(2, 3, 4), (2, 1), 'circular'"});

}  // namespace

}  // namespace flambeau
