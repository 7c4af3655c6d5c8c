// Programs, for flambeau.jit.
#include "flambeau/program.h"

#include "autocast.h"
#include "bind.h"
#include "call_arguments.h"
#include "overrides.h"
#include "placeholders.h"

namespace flambeau::python {

namespace {

constexpr const char* kCapsule = "flambeau.Program";

const Program& program_of(PyObject* capsule) {
  void* const program = PyCapsule_GetPointer(capsule, kCapsule);
  if (!program) throw PythonError();
  return *static_cast<Program*>(program);
}

PyObject* parse_program(std::string_view text) {
  auto program = std::make_unique<Program>(Program::parse(text));
  PyObject* const capsule = checked(PyCapsule_New(program.get(), kCapsule, [](PyObject* self) {
    delete static_cast<Program*>(PyCapsule_GetPointer(self, kCapsule));
  }));
  program.release();
  return capsule;
}

PyObject* object_of(const Value& v) {
  if (const Tensor* t = std::get_if<Tensor>(&v)) return wrap_tensor(*t);
  if (const bool* b = std::get_if<bool>(&v)) return to_python(*b);
  if (const int64_t* i = std::get_if<int64_t>(&v)) return to_python(*i);
  if (const double* d = std::get_if<double>(&v)) return to_python(*d);
  if (std::holds_alternative<None>(v)) return Py_NewRef(Py_None);
  detail::raise<TypeError>("an output of the program is neither a tensor nor a number");
}

// No operator: where somebody else may want to answer for the operators of the program, it says NotImplemented, and the
// program is run call by call (flambeau.jit).
PyObject* run_program(PyObject*, PyObject* const* args, Py_ssize_t count) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    require<TypeError>(count == 3, "_run_program() takes a program, its inputs and its state");
    bool answered = in_mode() || in_map() || in_autocast();
    for_each(args + 1, 2, [&](PyObject* o) { answered |= may_override(o) || is_placeholder(o); });
    if (answered) Py_RETURN_NOTIMPLEMENTED;
    Values inputs;
    for (const Tensor& t : given_tensors("_run_program", args[1])) inputs.emplace_back(t);
    const Values results = program_of(args[0]).run(inputs, given_tensors("_run_program", args[2]));
    Object out(checked(PyTuple_New(Py_ssize_t(results.size()))));
    for (size_t i = 0; i < results.size(); ++i)
      PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(object_of(results[i])));
    return out.release();
  });
}
PyMethodDef run_definition = {"_run_program", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(run_program)),
                              METH_FASTCALL,
                              "_run_program(program, inputs, state)\n\nThe outputs of a program, or NotImplemented "
                              "where modes, maps, autocast or classes would answer for its operators."};

PyObject* program_operators() {
  Object out(checked(PyDict_New()));
  for (const auto& [name, parameters] : Program::operators()) {
    const Object count(to_python(int64_t(parameters)));
    if (PyDict_SetItemString(out.get(), name.c_str(), checked(count.get())) < 0) throw PythonError();
  }
  return out.release();
}

}  // namespace

void bind_program(PyObject* module) {
  PyModule_AddObjectRef(module, run_definition.ml_name,
                        Object(checked(PyCFunction_New(&run_definition, nullptr))).get());
  def("_parse_program(text)", kPrivate, "A program from its text; ValueError names the line at fault.", parse_program);
  def("_program_state(program)", kPrivate, "The names of the tensors that a program reads, in order.",
      [](PyObject* capsule) {
        const std::vector<std::string>& names = program_of(capsule).state_names();
        Object out(checked(PyTuple_New(Py_ssize_t(names.size()))));
        for (size_t i = 0; i < names.size(); ++i)
          PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), checked(PyUnicode_FromString(names[i].c_str())));
        return out.release();
      });
  def("_program_operators()", kPrivate, "The names of what programs can call, and how many parameters each has.",
      program_operators);
}

}  // namespace flambeau::python
