// Operators for views, copies and conversions.
#include "program/operators.h"

namespace flambeau::program {

namespace {

Tensor converted(const Tensor& t, std::optional<Dtype> dtype, std::optional<Device> device, bool copy,
                 std::optional<MemoryFormat> format) {
  const Tensor there = to(t, device.value_or(t.device()));
  const MemoryFormat wanted = format.value_or(MemoryFormat::Preserve);
  const Tensor out = dtype && *dtype != there.dtype() ? to(there, *dtype, wanted) : there;
  const bool in_order = wanted == MemoryFormat::Preserve || is_contiguous(out, wanted);
  return !in_order || (copy && out.same(t)) ? clone(out, wanted) : out;
}

Tensor write_result(const Tensor& out, const Tensor& result) {
  begin_inplace(out, "out");
  if (!(out.shape() == result.shape())) resize(out, result.shape());
  copy_values(out, result);
  return out;
}

}  // namespace

Family layout_operators() {
  return {
      op("type_as", [](const Tensor& t, const Tensor& other) { return to(to(t, other.device()), other.dtype()); }),
      op("slice", [](const Tensor& t, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> stop,
                     int64_t step) { return slice(t, dim, start.value_or(0), stop.value_or(INT64_MAX), step); }),
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
      op("write_out", write_result),
  };
}

}  // namespace flambeau::program
