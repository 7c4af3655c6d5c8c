// Measurement of the run times of a program's operators, for flambeau.compiler.explain.
#include "calls/bind.h"
#include "flambeau/program.h"
#include "tensor/object.h"

namespace flambeau::python {

namespace {

Values values_of(PyObject* tensors) {
  require<TypeError>(PyTuple_Check(tensors), "expected a tuple of tensors, got ", Py_TYPE(tensors)->tp_name);
  Values out;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tensors); ++i) {
    PyObject* const item = PyTuple_GET_ITEM(tensors, i);
    require<TypeError>(is_tensor(item), "expected a tuple of tensors, got one with a ", Py_TYPE(item)->tp_name);
    out.emplace_back(tensor_of(item));
  }
  return out;
}

template <class Items, class F>
PyObject* list_of(const Items& items, F&& convert) {
  Object out(checked(PyList_New(Py_ssize_t(items.size()))));
  for (size_t i = 0; i < items.size(); ++i) PyList_SET_ITEM(out.get(), Py_ssize_t(i), checked(convert(items[i])));
  return out.release();
}

PyObject* number(int n) { return PyLong_FromLong(n); }

PyObject* operands(const std::vector<ProfiledStep::Operand>& all) {
  return list_of(all, [](const ProfiledStep::Operand& o) {
    return Py_BuildValue("(iNNK)", o.value, to_python(o.shape), to_python(o.dtype),
                         static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(o.memory)));
  });
}

PyObject* step(const ProfiledStep& s) {
  return Py_BuildValue("(NNLNNN)", list_of(s.calls, number), PyBool_FromLong(s.as_one),
                       static_cast<long long>(s.nanoseconds), operands(s.reads), operands(s.writes),
                       list_of(s.released, number));
}

}  // namespace

void bind_profile() {
  def("_profile_program(program, inputs, state)", kPrivate,
      "Run a program once. Return for each operator or fused group: the numbers of its calls in the text, whether they "
      "were fused, the nanoseconds, the tensors that it reads and writes (value, shape, dtype, address of the storage) "
      "and the values that are not read afterwards.",
      [](PyObject* program, PyObject* inputs, PyObject* state) {
        return list_of(program_of(program).profile(values_of(inputs), values_of(state)), step);
      });
  def("_program_boundaries(program)", kPrivate,
      "Return the operators that are not fused with the operator that computes an operand: the numbers of the two "
      "calls in the text, and the reason.",
      [](PyObject* program) {
        return list_of(program_of(program).boundaries(), [](const Boundary& b) {
          return Py_BuildValue("(iis)", b.producer, b.consumer, b.reason.c_str());
        });
      });
}

}  // namespace flambeau::python
