// The number slots of the type Tensor, which call the pointwise operators directly.
#include "calls/intercept.h"
#include "calls/overrides.h"
#include "calls/placeholders.h"
#include "calls/watch.h"
#include "tensor/library_name.h"
#include "tensor/tensor_type.h"

namespace flambeau::python {

bool is_unsupported(PyObject* result, PyObject* a, PyObject* b) {
  if (result || !PyErr_ExceptionMatches(PyExc_TypeError)) return false;
  PyObject *kind, *value, *trace;
  PyErr_Fetch(&kind, &value, &trace);
  const auto is_operand = [](PyObject* o) {
    Operand unused(0);
    const bool found = is_placeholder(o) || to_operand(o, unused);
    PyErr_Clear();
    return found;
  };
  if (is_operand(a) && is_operand(b)) return PyErr_Restore(kind, value, trace), false;
  Py_XDECREF(kind);
  Py_XDECREF(value);
  Py_XDECREF(trace);
  return true;
}

bool handles_arrays(PyObject* o) {
  return Py_TYPE(o) != tensor_type &&
         PyObject_HasAttrString(reinterpret_cast<PyObject*>(Py_TYPE(o)), "__array_ufunc__");
}

namespace {

// Applies an operator to a tensor and a NumPy array, which it converts to a tensor. Returns NotImplemented for other
// objects, so that their type can implement the operator. If the library is imported as torch, the array may be the
// left operand only if `array_first` is set (for division), as in PyTorch.
template <auto operation, bool array_first = false>
PyObject* beside_array(PyObject* a, PyObject* b) {
  if (PyErr_Occurred()) return nullptr;
  PyObject** array = is_numpy_array(a) ? &a : is_numpy_array(b) ? &b : nullptr;
  if (!array_first && array == &a && imported_as_torch()) Py_RETURN_NOTIMPLEMENTED;
  if (!array) {
    PyObject* const operands[] = {a, b};
    if (register_override_classes(operands, 2)) return operation(a, b);
    Py_RETURN_NOTIMPLEMENTED;
  }
  if (handles_arrays(array == &a ? b : a)) Py_RETURN_NOTIMPLEMENTED;
  const Object made(guarded<PyObject*>(nullptr, [&] {
    const OnDevice cpu(DeviceType::Cpu);
    return wrap_tensor(tensor_from_buffer(*array));
  }));
  if (!made.get()) return nullptr;
  *array = made.get();
  if (!is_tensor(a) || !is_tensor(b)) Py_RETURN_NOTIMPLEMENTED;
  return operation(a, b);
}

template <PointwiseOp op>
PyObject* binary(PyObject* a, PyObject* b) {
  Caller caller;
  if (caller.intercepts(row_of(op).name, a, b))
    return is_unsupported(caller.result, a, b) ? beside_array<binary<op>, op == op::div>(a, b) : caller.result;
  Operand operands[2] = {0, 0};
  if (FLAMBEAU_UNLIKELY(!to_operand(a, operands[0]) || !to_operand(b, operands[1])))
    return beside_array<binary<op>, op == op::div>(a, b);
  // The tensor comes first, as in PyTorch, where programs read it from next_functions[0] of the result.
  if constexpr (op == op::add || op == op::mul)
    if (!operands[0].tensor) std::swap(operands[0], operands[1]);
  return watched(row_of(op).name, [&] { return wrap_tensor(pointwise(op, operands)); });
}

template <PointwiseOp op>
PyObject* in_place(PyObject* a, PyObject* b) {
  static const std::string name = std::string(row_of(op).name) + '_';
  Caller caller;
  if (caller.intercepts(name.c_str(), a, b))
    return is_unsupported(caller.result, a, b) ? beside_array<in_place<op>>(a, b) : caller.result;
  Operand operands[2] = {0, 0};
  if (!to_operand(a, operands[0]) || !operands[0].tensor || !to_operand(b, operands[1]))
    return beside_array<in_place<op>>(a, b);
  return watched(name.c_str(), [&] {
    pointwise_(op, operands);
    return Py_NewRef(a);
  });
}

template <PointwiseOp op>
PyObject* unary(PyObject* a) {
  Caller caller;
  if (caller.intercepts(row_of(op).name, a)) return caller.result;
  return watched(row_of(op).name, [&] {
    const Operand operand(tensor_of(a));
    return wrap_tensor(pointwise(op, &operand));
  });
}

PyObject* invert(PyObject* a) {
  const Dtype dtype = tensor_of(a).dtype();
  const bool mask = dtype == Dtype::bool_;
  if (is_inexact(dtype))
    return guarded<PyObject*>(nullptr, [=]() -> PyObject* {
      detail::raise<TypeError>("~ (operator.invert) is only implemented on integer and Boolean-type tensors, got ",
                               dtype);
    });
  return mask ? unary<op::logical_not>(a) : unary<op::bitwise_not>(a);
}

PyObject* power(PyObject* a, PyObject* b, PyObject*) {
  constexpr auto beside = beside_array<[](PyObject* x, PyObject* y) { return power(x, y, Py_None); }>;
  Caller caller;
  if (caller.intercepts("pow", a, b)) return is_unsupported(caller.result, a, b) ? beside(a, b) : caller.result;
  Operand operands[2] = {0, 0};
  if (!to_operand(a, operands[0]) || !to_operand(b, operands[1])) return beside(a, b);
  return watched("pow", [&] { return wrap_tensor(power(operands[0], operands[1])); });
}

PyObject* in_place_power(PyObject* a, PyObject* b, PyObject*) { return in_place<op::pow>(a, b); }

PyObject* multiply_matrices(PyObject* a, PyObject* b) {
  Caller caller;
  if (caller.intercepts("matmul", a, b))
    return is_unsupported(caller.result, a, b) ? beside_array<multiply_matrices>(a, b) : caller.result;
  if (!is_tensor(a) || !is_tensor(b)) return beside_array<multiply_matrices>(a, b);
  return watched("matmul", [&] { return wrap_tensor(matmul(tensor_of(a), tensor_of(b))); });
}

PyObject* positive(PyObject* a) {
  Caller caller;
  if (caller.intercepts("positive", a)) return caller.result;
  return Py_NewRef(a);
}

}  // namespace

bool truth_of(const Tensor& t) {
  require(t.numel() == 1, "Boolean value of Tensor with ", t.numel() ? "more than one value" : "no values",
          " is ambiguous (its shape is ", t.shape(), "); use .any() or .all(), or .numel() to test for elements");
  return read_item(t).truth();
}

namespace {

int truth(PyObject* a) {
  Caller caller;
  if (caller.intercepts("__bool__", a)) {
    const Object owner(caller.result);
    return caller.result ? PyObject_IsTrue(caller.result) : -1;
  }
  return guarded<int>(-1, [&]() -> int { return truth_of(tensor_of(a)); });
}

template <class F>
PyObject* number(PyObject* a, const char* what, F&& convert_scalar) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    const Tensor& t = tensor_of(a);
    require<ValueError>(t.numel() == 1, "only one element tensors can be converted to Python scalars (", what,
                        "), got shape ", t.shape());
    return convert_scalar(read_item(t));
  });
}
void require_real(Scalar s, const char* what) {
  require(s.imaginary() == 0, "value ", s, " cannot be converted to type ", what, " without overflow");
}
PyObject* to_int(PyObject* a) {
  Caller caller;
  if (caller.intercepts("__int__", a)) return caller.result;
  return number(a, "int", [](Scalar s) {
    require_real(s, "int");
    return s.kind() >= Category::Floating ? PyLong_FromDouble(s.real())
           : s.wide()                     ? PyLong_FromUnsignedLongLong(s.unsigned_integer())
                                          : PyLong_FromLongLong(s.integer());
  });
}
PyObject* to_float(PyObject* a) {
  Caller caller;
  if (caller.intercepts("__float__", a)) return caller.result;
  return number(a, "float", [](Scalar s) {
    require_real(s, "float");
    return PyFloat_FromDouble(s.real());
  });
}
PyObject* to_index(PyObject* a) {
  Caller caller;
  if (caller.intercepts("__index__", a)) return caller.result;
  if (is_inexact(tensor_of(a).dtype()) || tensor_of(a).numel() != 1) {
    PyErr_SetString(PyExc_TypeError, "only integer tensors of a single element can be converted to an index");
    return nullptr;
  }
  return to_int(a);
}

}  // namespace

void add_number_slots(PyType_Slot*& slot) {
  auto put = [&](int id, auto* value) { *slot++ = {id, reinterpret_cast<void*>(value)}; };
  put(Py_nb_add, binary<op::add>);
  put(Py_nb_subtract, binary<op::sub>);
  put(Py_nb_multiply, binary<op::mul>);
  put(Py_nb_true_divide, binary<op::div>);
  put(Py_nb_floor_divide, binary<op::floor_divide>);
  put(Py_nb_remainder, binary<op::remainder>);
  put(Py_nb_power, static_cast<PyObject* (*)(PyObject*, PyObject*, PyObject*)>(power));
  put(Py_nb_and, binary<op::bitwise_and>);
  put(Py_nb_or, binary<op::bitwise_or>);
  put(Py_nb_xor, binary<op::bitwise_xor>);
  put(Py_nb_lshift, binary<op::bitwise_left_shift>);
  put(Py_nb_rshift, binary<op::bitwise_right_shift>);
  put(Py_nb_inplace_add, in_place<op::add>);
  put(Py_nb_inplace_subtract, in_place<op::sub>);
  put(Py_nb_inplace_multiply, in_place<op::mul>);
  put(Py_nb_inplace_true_divide, in_place<op::div>);
  put(Py_nb_inplace_floor_divide, in_place<op::floor_divide>);
  put(Py_nb_inplace_remainder, in_place<op::remainder>);
  put(Py_nb_inplace_power, in_place_power);
  put(Py_nb_inplace_and, in_place<op::bitwise_and>);
  put(Py_nb_inplace_or, in_place<op::bitwise_or>);
  put(Py_nb_inplace_xor, in_place<op::bitwise_xor>);
  put(Py_nb_inplace_lshift, in_place<op::bitwise_left_shift>);
  put(Py_nb_inplace_rshift, in_place<op::bitwise_right_shift>);
  put(Py_nb_matrix_multiply, multiply_matrices);
  put(Py_nb_negative, unary<op::neg>);
  put(Py_nb_positive, positive);
  put(Py_nb_absolute, unary<op::abs>);
  put(Py_nb_invert, invert);
  put(Py_nb_bool, truth);
  put(Py_nb_int, to_int);
  put(Py_nb_float, to_float);
  put(Py_nb_index, to_index);
}

}  // namespace flambeau::python
