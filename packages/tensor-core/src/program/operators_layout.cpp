// Views, copies, conversions, and tensors that are joined and cut.
#include <algorithm>

#include "program/operators.h"

namespace flambeau::program {

namespace {

Tensor viewed(const Tensor& t, const Value& size) {
  if (const Dtype* dtype = std::get_if<Dtype>(&size)) return view_dtype(t, *dtype);
  return view(t, As<const Shape&>::get(size));
}

Tensor moved(const Tensor& t, const Shape& source, const Shape& destination) {
  constexpr const char* kRefused = "movedim: source and destination must be as many dimensions, none of them twice";
  require(source.size() == destination.size() && t.dim() > 0, kRefused);
  Shape order(size_t(t.dim()), -1);
  std::vector<bool> taken(size_t(t.dim()), false);
  for (size_t i = 0; i < source.size(); ++i) {
    const size_t from = size_t(t.wrap_dim(source[i]));
    require(!taken[from] && order[size_t(t.wrap_dim(destination[i]))] < 0, kRefused);
    order[size_t(t.wrap_dim(destination[i]))] = int64_t(from);
    taken[from] = true;
  }
  size_t next = 0;
  for (int64_t& o : order) {
    if (o >= 0) continue;
    while (taken[next]) ++next;
    o = int64_t(next++);
  }
  return permute(t, order);
}

// A tensor of `total` rows in steps.
Tensors in_steps(const Tensor& t, int64_t step, int64_t dim) {
  const int64_t total = t.size(dim);
  require(step > 0 || total == 0, "split expects split_size be positive, but got split_size=", step);
  Shape parts;
  for (int64_t at = 0; at < total; at += step) parts.push_back(std::min(step, total - at));
  if (parts.empty()) parts.push_back(0);
  return split(t, parts, dim);
}

Tensors parts_of(const Tensor& t, const Value& sizes, int64_t dim) {
  return std::holds_alternative<int64_t>(sizes) ? in_steps(t, As<int64_t>::get(sizes), dim)
                                                : split(t, As<const Shape&>::get(sizes), dim);
}

Tensors chunks_of(const Tensor& t, int64_t chunks, int64_t dim) {
  require(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
  const int64_t total = t.size(dim);
  return in_steps(t, total > chunks ? (total - 1) / chunks + 1 : 1, dim);
}

Tensors sections_of(const Tensor& t, const Value& where, int64_t dim) {
  const int64_t total = t.size(dim);
  Shape sizes;
  if (std::holds_alternative<int64_t>(where)) {
    const int64_t n = As<int64_t>::get(where);
    require(n > 0, "number of sections must be larger than 0, got ", n);
    for (int64_t i = 0; i < n; ++i) sizes.push_back(total / n + (i < total % n));
    return split(t, sizes, dim);
  }
  Tensors out;
  int64_t begin = 0;
  Shape ends = As<const Shape&>::get(where);
  ends.push_back(total);
  for (const int64_t given : ends) {
    const int64_t end = std::clamp<int64_t>(given < 0 ? given + total : given, 0, total);
    out.push_back(narrow(t, dim, begin, std::max<int64_t>(0, end - begin)));
    begin = end;
  }
  return out;
}

Tensor repeated(const Tensor& t, const Value& repeats, std::optional<int64_t> dim, std::optional<int64_t> size) {
  if (const int64_t* n = std::get_if<int64_t>(&repeats)) {
    require(*n >= 0, "Repeats must be non-negative, got ", *n);
    return repeat_interleave(t, scalar_tensor(Scalar(*n), Dtype::int64), dim, size);
  }
  if (!std::holds_alternative<None>(repeats)) return repeat_interleave(t, As<const Tensor&>::get(repeats), dim, size);
  const Tensor positions = arange(Scalar(0), Scalar(t.numel()), Scalar(1), Dtype::int64);
  return repeat_interleave(positions, t, 0, size);
}

Tensor converted(const Tensor& t, std::optional<Dtype> dtype, std::optional<Device> device, bool copy,
                 std::optional<MemoryFormat> format) {
  const Tensor there = to(t, device.value_or(t.device()));
  const MemoryFormat wanted = format.value_or(MemoryFormat::Preserve);
  const Tensor out = dtype && *dtype != there.dtype() ? to(there, *dtype, wanted) : there;
  const bool in_order = wanted == MemoryFormat::Preserve || is_contiguous(out, wanted);
  return !in_order || (copy && out.same(t)) ? clone(out, wanted) : out;
}

Tensor written_out(const Tensor& out, const Tensor& result) {
  begin_inplace(out, "out");
  if (!(out.shape() == result.shape())) resize(out, result.shape());
  copy_values(out, result);
  return out;
}

}  // namespace

Family layout_operators() {
  return {
      op("view", viewed),
      op("swapaxes", transpose),
      op("swapdims", transpose),
      op("movedim", moved),
      op("moveaxis", moved),
      op("type_as", [](const Tensor& t, const Tensor& other) { return to(to(t, other.device()), other.dtype()); }),
      op("slice", [](const Tensor& t, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> stop,
                     int64_t step) { return slice(t, dim, start.value_or(0), stop.value_or(INT64_MAX), step); }),
      op("narrow", narrow),
      op("split", parts_of),
      op("chunk", chunks_of),
      op("tensor_split", sections_of),
      op("alias", [](const Tensor& t) { return expand(t, t.shape()); }),
      op("contiguous",
         [](const Tensor& t, std::optional<MemoryFormat> format) {
           return contiguous(t, format.value_or(MemoryFormat::Contiguous));
         }),
      op("to", converted),
      op("copy_",
         [](const Tensor& self, const Operand& source) {
           return copy_(self, source.tensor ? *source.tensor : scalar_tensor(source.scalar, self.dtype()));
         }),
      op("fill_",
         [](const Tensor& self, const Operand& value) {
           return value.tensor ? copy_(self, *value.tensor) : fill_(self, value.scalar);
         }),
      op("zero_", [](const Tensor& self) { return fill_(self, Scalar(0)); }),
      op("write_out", written_out),
      op("cat", cat),
      op("concat", cat),
      op("concatenate", cat),
      op("repeat_interleave", repeated),
  };
}

}  // namespace flambeau::program
