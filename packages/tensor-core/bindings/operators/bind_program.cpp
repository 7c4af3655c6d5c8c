// Bindings for traced programs, for flambeau.jit.
#include "flambeau/program.h"

#include "calls/autocast.h"
#include "calls/bind.h"
#include "calls/call_arguments.h"
#include "calls/overrides.h"
#include "calls/placeholders.h"
#include "operators/optimizer_option.h"

namespace flambeau::python {

namespace {

constexpr const char* kCapsule = "flambeau.Program";

}  // namespace

const Program& program_of(PyObject* capsule) {
  void* const program = PyCapsule_GetPointer(capsule, kCapsule);
  if (!program) throw PythonError();
  return *static_cast<Program*>(program);
}

PyObject* object_of(const Value& v) {
  if (const Tensor* t = std::get_if<Tensor>(&v)) return wrap_tensor(*t);
  if (const bool* b = std::get_if<bool>(&v)) return to_python(*b);
  if (const int64_t* i = std::get_if<int64_t>(&v)) return to_python(*i);
  if (const double* d = std::get_if<double>(&v)) return to_python(*d);
  if (std::holds_alternative<None>(v)) return Py_NewRef(Py_None);
  detail::raise<TypeError>("an output of the program is neither a tensor nor a number");
}

namespace {

PyObject* parse_program(std::string_view text, bool fuse) {
  auto program = std::make_unique<Program>(Program::parse(text, fuse));
  PyObject* const capsule = checked(PyCapsule_New(program.get(), kCapsule, [](PyObject* self) {
    delete static_cast<Program*>(PyCapsule_GetPointer(self, kCapsule));
  }));
  program.release();
  return capsule;
}

// Converts a value of a program to a Python object, for an operator that is written in Python.
PyObject* argument_of(const Value& v) {
  if (const auto* z = std::get_if<Complex<double>>(&v)) return PyComplex_FromDoubles(z->re, z->im);
  if (const auto* s = std::get_if<std::string>(&v))
    return PyUnicode_FromStringAndSize(s->data(), Py_ssize_t(s->size()));
  if (const Dtype* d = std::get_if<Dtype>(&v)) return to_python(*d);
  if (const Device* d = std::get_if<Device>(&v)) return Py_NewRef(device_object(*d));
  const Values* items = std::get_if<Values>(&v);
  if (!items) return object_of(v);
  Object out(checked(PyList_New(Py_ssize_t(items->size()))));
  for (size_t i = 0; i < items->size(); ++i)
    PyList_SET_ITEM(out.get(), Py_ssize_t(i), checked(argument_of((*items)[i])));
  return out.release();
}

// Converts the result of an operator that is written in Python: a tensor or number, a sequence of these, or None for no
// results.
Values results_of(const std::string& name, PyObject* returned) {
  if (returned == Py_None) return {};
  if (is_tensor(returned)) return {tensor_of(returned)};
  if (PyBool_Check(returned)) return {returned == Py_True};
  if (PyLong_Check(returned) || PyFloat_Check(returned)) {
    const Value number =
        PyLong_Check(returned) ? Value(int64_t(PyLong_AsLongLong(returned))) : Value(PyFloat_AS_DOUBLE(returned));
    if (PyErr_Occurred()) throw PythonError();
    return {number};
  }
  require<TypeError>(PyTuple_Check(returned) || PyList_Check(returned), name, " returned a ",
                     Py_TYPE(returned)->tp_name, ", expected tensors and numbers");
  const Object items = stable_items(returned);
  Values out;
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i)
    for (Value& v : results_of(name, PySequence_Fast_GET_ITEM(items.get(), i))) out.push_back(std::move(v));
  return out;
}

struct GilHeld {
  const PyGILState_STATE state = PyGILState_Ensure();
  ~GilHeld() { PyGILState_Release(state); }
};

// Registers a Python function as an operator that programs can call.
PyObject* register_operator(std::string_view name, int64_t parameters, PyObject* function) {
  require<TypeError>(PyCallable_Check(function), "_register_program_operator(): expected a function");
  PyObject* const held = Py_NewRef(function);  // never released, because programs may call it
  Program::register_operator(std::string(name), int(parameters), [held, of = std::string(name)](const Values& values) {
    const GilHeld gil;
    const Object arguments(checked(PyTuple_New(Py_ssize_t(values.size()))));
    for (size_t i = 0; i < values.size(); ++i)
      PyTuple_SET_ITEM(arguments.get(), Py_ssize_t(i), checked(argument_of(values[i])));
    const Object returned(checked(PyObject_CallObject(held, arguments.get())));
    return results_of(of, returned.get());
  });
  Py_RETURN_NONE;
}

Tensors given_tensors(PyObject* given) {
  static const Parameter parameter{PyUnicode_InternFromString("tensors")};
  if (is_tensor(given)) return {tensor_of(given)};
  return From<const Tensors&>::get({"_run_program", &parameter, 0}, given);
}

Values given_state(PyObject* given) {
  const auto is_option = [](PyObject* item) { return PyTuple_Check(item) != 0; };
  if (!PyTuple_Check(given) ||
      std::none_of(&PyTuple_GET_ITEM(given, 0), &PyTuple_GET_ITEM(given, PyTuple_GET_SIZE(given)), is_option)) {
    const Tensors tensors = given_tensors(given);
    return Values(tensors.begin(), tensors.end());
  }
  Values out;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(given); ++i) out.push_back(state_value(PyTuple_GET_ITEM(given, i)));
  return out;
}

// _run_program(program, inputs, state[, unmet]) is a plain function, because modes intercept operators. Returns
// NotImplemented if a mode, a transform, autocast or the class of an argument may intercept the operators of the
// program. flambeau.jit then runs the program call by call. With `unmet`, autocast does not affect the program, because
// flambeau.compile records its casts.
PyObject* run_program(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 3 || count == 4, "_run_program() takes a program, its inputs and its state");
    bool answered = in_mode() || in_map() || (count == 3 && in_autocast());
    for_each(args + 1, 2, [&](PyObject* o) { answered |= may_override(o) || is_placeholder(o); });
    if (answered) Py_RETURN_NOTIMPLEMENTED;
    const SuspendAutocast suspended;
    Values inputs;
    for (const Tensor& t : given_tensors(args[1])) inputs.emplace_back(t);
    Values results;
    try {
      results = program_of(args[0]).run(inputs, given_state(args[2]));
    } catch (const RequirementError&) {
      if (count == 4) return Py_NewRef(args[3]);
      throw;
    }
    Object out(checked(PyTuple_New(Py_ssize_t(results.size()))));
    for (size_t i = 0; i < results.size(); ++i)
      PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(object_of(results[i])));
    return out.release();
  });
}
PyMethodDef run_definition = {
    "_run_program", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run_program)), METH_FASTCALL,
    "_run_program(program, inputs, state, unmet=...)\n\nReturn the outputs of a program. Return NotImplemented if "
    "modes, vmap, classes or, without `unmet`, autocast intercept its operators. Return `unmet`, if given, if the "
    "inputs "
    "would take another branch than the inputs of the traced run."};

PyObject* program_operators() {
  Object out(checked(PyDict_New()));
  for (const auto& [name, parameters] : Program::operators()) {
    const Object count(to_python(int64_t(parameters)));
    if (PyDict_SetItemString(out.get(), name.c_str(), checked(count.get())) < 0) throw PythonError();
  }
  return out.release();
}

}  // namespace

Value state_value(PyObject* given) {
  if (is_tensor(given)) return tensor_of(given);
  require<TypeError>(PyTuple_Check(given) && PyTuple_GET_SIZE(given) == 3 && PyDict_Check(PyTuple_GET_ITEM(given, 0)),
                     "the state of a program consists of tensors and tuples of a dict, a name and a position, not ",
                     Py_TYPE(given)->tp_name);
  const Py_ssize_t position = PyLong_AsSsize_t(PyTuple_GET_ITEM(given, 2));
  if (position == -1 && PyErr_Occurred()) throw PythonError();
  return optimizer_option(PyTuple_GET_ITEM(given, 0), PyTuple_GET_ITEM(given, 1), position);
}

void bind_program(PyObject* module) {
  PyModule_AddObjectRef(module, run_definition.ml_name,
                        Object(checked(PyCFunction_New(&run_definition, nullptr))).get());
  def("_parse_program(text, fuse=True)", kPrivate,
      "Parse the text of a program. Operators are fused if possible, unless `fuse` is False. Raises ValueError with "
      "the number of an invalid line.",
      parse_program);
  def("_program_state(program)", kPrivate, "Return the names of the tensors in the state of a program, in order.",
      [](PyObject* capsule) {
        const std::vector<std::string>& names = program_of(capsule).state_names();
        Object out(checked(PyTuple_New(Py_ssize_t(names.size()))));
        for (size_t i = 0; i < names.size(); ++i)
          PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(PyUnicode_FromString(names[i].c_str())));
        return out.release();
      });
  def("_program_plan(program)", kPrivate,
      "Return the operators of a program in the order of execution. Fused operators are on one line.",
      [](PyObject* capsule) {
        const std::string plan = program_of(capsule).plan();
        return checked(PyUnicode_FromStringAndSize(plan.data(), Py_ssize_t(plan.size())));
      });
  def("_register_program_operator(name, parameters, function)", kPrivate,
      "Register a Python function that programs can call by a name of the form namespace::name.", register_operator);
  def("_program_operators()", kPrivate,
      "Return the names of the operators that programs can call, and their numbers of parameters.", program_operators);
}

}  // namespace flambeau::python
