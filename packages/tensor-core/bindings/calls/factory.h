// Constructors: what every one of them takes at its end. Internal.
#pragma once

#include "calls/bind.h"

namespace flambeau::python {

// Where a constructor makes its result: beside the tensor that it is a method of, if it is one.
template <class... Args>
Device device_of(const Placement& place, const Tensor& t, const Args&...) {
  return place.like(t);
}
template <class... Args>
Device device_of(const Placement& place, const Args&...) {
  return place.of_fresh();
}

// def_factory("zeros(*size", flags, doc, F): `construct` gets the parameters before and at last the dtype, which may be
// missing; layout is checked, device, requires_grad and pin_memory are obeyed here. Signatures with nothing
// keyword-only before end in ", *".
template <class F, class... Args>
void def_factory(const char* head, int flags, const char* doc, F, Tensor (F::*)(Args...) const) {
  def(
      std::string(head) + ", dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False)",
      flags | kFactory, doc, +[](Args... arguments, Strided, Placement place, bool requires_grad, Pinned pin) {
        const OnDevice scope(device_of(place, arguments...));
        return finished(F{}(static_cast<Args>(arguments)...), pin, requires_grad);
      });
}
template <class F>
void def_factory(const char* head, int flags, const char* doc, F construct) {
  def_factory(head, flags, doc, construct, &F::operator());
}

// def_like("zeros_like(input, *", ...): `fill` gets a fresh tensor of input's shape and order of memory, and the
// parameters between.
template <class F, class... Args>
void def_like(const char* head, int flags, const char* doc, F, void (F::*)(const Tensor&, Args...) const) {
  def(
      std::string(head) +
          ", dtype=None, layout=None, device=None, requires_grad=False, pin_memory=False, memory_format=None)",
      flags, doc,
      +[](const Tensor& t, Args... arguments, std::optional<Dtype> dtype, Strided, Placement place, bool requires_grad,
          Pinned pin, std::optional<MemoryFormat> format) {
        const OnDevice scope(place.like(t));
        const Shape strides = strides_like(t, format.value_or(MemoryFormat::Preserve));
        const Tensor out = empty_strided(t.shape(), strides, dtype.value_or(t.dtype()));
        F{}(out, static_cast<Args>(arguments)...);
        return finished(out, pin, requires_grad);
      });
}
template <class F>
void def_like(const char* head, int flags, const char* doc, F fill) {
  def_like(head, flags, doc, fill, &F::operator());
}

}  // namespace flambeau::python
