// Operators that return properties of a tensor: its shape, dtype and memory.
#include "flambeau/operator.h"

namespace flambeau {

namespace {

int64_t dimensions(const Tensor& t) { return t.dim(); }

const Operator dim_operator({.signature = "dim|ndimension(input)",
                             .forms = kMethod,
                             .doc = "Return the number of dimensions.",
                             .forward = dimensions,
                             .reference = "input.ndim",
                             .samples = "f(2, 3); f(0)"});

int64_t elements(const Tensor& t) { return t.numel(); }

const Operator numel_operator({.signature = "numel(input)",
                               .forms = kFunction | kMethod,
                               .doc = "Return the number of elements.",
                               .forward = elements,
                               .reference = "input.size",
                               .samples = "f(2, 3); f(0)"});

const Operator nelement_operator({.signature = "nelement(input)",
                                  .forms = kMethod,
                                  .doc = "Return the number of elements.",
                                  .forward = elements,
                                  .reference = "input.size",
                                  .samples = "f(2, 3); f(0)"});

const Operator element_size_operator({.signature = "element_size(input)",
                                      .forms = kMethod,
                                      .doc = "Return the number of bytes of an element.",
                                      .forward = [](const Tensor& t) { return item_size(t.dtype()); },
                                      .reference = "input.itemsize",
                                      .samples = "f(2); c(2); b(2)"});

const Operator storage_offset_operator({.signature = "storage_offset(input)",
                                        .forms = kMethod,
                                        .doc = "Return the offset of the first element in the storage, in elements.",
                                        .forward = [](const Tensor& t) { return t.offset(); }});

const Operator is_floating_point_operator({.signature = "is_floating_point(input)",
                                           .forms = kFunction | kMethod,
                                           .doc = "Return True if the dtype is floating-point.",
                                           .forward = [](const Tensor& t) { return is_floating(t.dtype()); },
                                           .reference = "input.dtype.kind == 'f'",
                                           .samples = "f(2); c(2); i(2)"});

const Operator is_complex_operator({.signature = "is_complex(input)",
                                    .forms = kFunction | kMethod,
                                    .doc = "Return True if the dtype is complex.",
                                    .forward = [](const Tensor& t) { return is_complex(t.dtype()); },
                                    .reference = "np.iscomplexobj(input)",
                                    .samples = "f(2); c(2); i(2)"});

const Operator is_conj_operator({.signature = "is_conj|is_neg(input)",
                                 .forms = kFunction | kMethod,
                                 .doc = "Return False, because conjugation and negation are not lazy.",
                                 .forward = [](const Tensor&) { return false; }});

const Operator is_same_size_operator({.signature = "is_same_size(input, other)",
                                      .forms = kMethod,
                                      .doc = "Return True if the shapes are equal.",
                                      .forward = [](const Tensor& t,
                                                    const Tensor& o) { return t.shape() == o.shape(); },
                                      .reference = "input.shape == other.shape",
                                      .samples = "f(2, 3), f(2, 3); f(2, 3), f(3, 2)"});

const Operator is_set_to_operator({.signature = "is_set_to(input, tensor)",
                                   .forms = kMethod,
                                   .doc = "Return True if both tensors have the same memory, shape and strides.",
                                   .forward = [](const Tensor& t, const Tensor& o) {
                                     return t.impl()->storage == o.impl()->storage && t.offset() == o.offset() &&
                                            t.shape() == o.shape() && t.strides() == o.strides();
                                   }});

const Operator is_contiguous_operator({.signature = "is_contiguous(input, *, memory_format=None)",
                                       .forms = kMethod,
                                       .doc = "Return True if the tensor is contiguous in the memory format.",
                                       .forward = [](const Tensor& t, std::optional<MemoryFormat> format) {
                                         return format ? is_contiguous(t, *format) : t.is_contiguous();
                                       }});

}  // namespace

}  // namespace flambeau
