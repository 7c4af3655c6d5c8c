// The step of an optimizer, which reads the parameter group and the state from the optimizer's Python dictionaries.
#include <map>

#include "calls/bind.h"
#include "flambeau/memory_format.h"
#include "flambeau/operators/optimizer.h"
#include "operators/optimizer_option.h"

namespace flambeau::python {

namespace {

struct Option {
  PyObject* name;
  int position;  // index of the item if the option is a tuple, or -1
};

struct Names {  // interned names of the options and the state of a rule
  explicit Names(const OptimizerRule& rule) {
    for (int i = 0; rule.options[i]; ++i) {
      const std::string_view text = rule.options[i];
      const size_t dot = text.find('.');
      options.push_back({interned(text.substr(0, dot)), dot == text.npos ? -1 : text[dot + 1] - '0'});
    }
    for (int i = 0; rule.states[i]; ++i) states.push_back(interned(rule.states[i]));
    for (int i = 0; rule.scalars[i]; ++i) scalars.push_back(interned(rule.scalars[i]));
  }
  static PyObject* interned(std::string_view text) { return PyUnicode_InternFromString(std::string(text).c_str()); }
  std::vector<Option> options;
  std::vector<PyObject*> states, scalars;
};

const Names& names_of(const OptimizerRule& rule) {
  static std::map<const OptimizerRule*, Names> known;  // protected by the interpreter's lock
  auto at = known.find(&rule);
  if (at == known.end()) at = known.emplace(&rule, Names(rule)).first;
  return at->second;
}

using Made = std::vector<std::pair<PyObject*, Object>>;  // keys and values that were added to a parameter's state

// Returns the tensor with this name in a parameter's state. If it does not exist, calls make() and adds the result to
// `made`.
template <class F>
Tensor state_of(PyObject* state, PyObject* name, Made& made, F&& make) {
  const Object found = value_in(state, name);
  if (found && found.get() != Py_None) {
    require<TypeError>(is_tensor(found.get()), "an optimizer's state must be a Tensor, not ",
                       Py_TYPE(found.get())->tp_name);
    return tensor_of(found.get());
  }
  const Tensor fresh = make();
  made.push_back({name, Object(checked(wrap_tensor(fresh)))});
  return fresh;
}

OptimizerTarget target_of(const OptimizerRule& rule, const double* options, PyObject* parameter, PyObject* gradient,
                          PyObject* state, Made& made) {
  static PyObject* const step = PyUnicode_InternFromString("step");
  for (PyObject* t : {parameter, gradient})
    require<TypeError>(is_tensor(t), "the parameters and gradients of an optimizer must be Tensors, not ",
                       Py_TYPE(t)->tp_name);
  require<TypeError>(PyDict_Check(state), "an optimizer's state of a parameter must be a dict, not ",
                     Py_TYPE(state)->tp_name);
  OptimizerTarget out;
  out.parameter = tensor_of(parameter), out.gradient = tensor_of(gradient);
  const Names& names = names_of(rule);
  // The step reads these tensors on the CPU.
  const auto number = [](double value) { return scalar_tensor(Scalar(value), Dtype::float32); };
  if (rule.counts) out.number = state_of(state, step, made, [&] { return number(0); });
  for (size_t i = 0; i < names.scalars.size(); ++i)
    out.scalars[i] =
        state_of(state, names.scalars[i], made, [&] { return number(rule.initial_scalar(int(i), options)); });
  for (size_t i = 0; i < names.states.size(); ++i)
    if (rule.needs(int(i), options))
      out.states[i] = state_of(state, names.states[i], made, [&] {
        out.new_states = true;
        NoRecording off;
        const Tensor& p = out.parameter;
        const OnDevice scope(p.device());
        const Tensor value = empty_strided(p.shape(), strides_like(p, MemoryFormat::Preserve), p.dtype());
        const double initial = rule.initial(int(i), options);  // value of the real and of the imaginary part
        fill_(value, is_complex(p.dtype()) ? Scalar(Complex<double>{initial, initial}) : Scalar(initial));
        return value;
      });
  return out;
}

const OptimizerRule& rule_of(std::string_view name) {
  const OptimizerRule* rule = optimizer_rule(name);
  require<ValueError>(rule, "unknown optimizer: ", name);
  return *rule;
}

void step(std::string_view name, PyObject* group, PyObject* params, PyObject* grads, PyObject* state) {
  const OptimizerRule& rule = rule_of(name);
  require<TypeError>(PyDict_Check(group) && PyList_Check(params) && PyList_Check(grads),
                     "_optimizer_step takes a dict, two lists and a dict");
  // Copy the lists, because looking up a state may run Python code that changes them.
  const Object parameters(checked(PyList_AsTuple(params))), gradients(checked(PyList_AsTuple(grads)));
  const Py_ssize_t count = PyTuple_GET_SIZE(parameters.get());
  require<ValueError>(count == PyTuple_GET_SIZE(gradients.get()), "expected ", count,
                      " gradients, one for each parameter, got ", PyTuple_GET_SIZE(gradients.get()));
  double options[OptimizerRule::kOptions] = {};
  const Names& names = names_of(rule);
  for (size_t i = 0; i < names.options.size(); ++i)
    options[i] = optimizer_option(group, names.options[i].name, names.options[i].position);
  bool keeps = rule.counts;
  for (size_t i = 0; i < names.states.size(); ++i) keeps |= rule.needs(int(i), options);
  std::vector<OptimizerTarget> targets;
  std::vector<Object> states;
  std::vector<Made> made(static_cast<size_t>(count));
  targets.reserve(made.size()), states.reserve(made.size());
  for (size_t i = 0; i < made.size(); ++i) {
    PyObject* const parameter = PyTuple_GET_ITEM(parameters.get(), Py_ssize_t(i));
    PyObject* const gradient = PyTuple_GET_ITEM(gradients.get(), Py_ssize_t(i));
    states.emplace_back(checked(keeps ? PyObject_GetItem(state, parameter) : PyDict_New()));
    targets.push_back(target_of(rule, options, parameter, gradient, states.back().get(), made[i]));
  }
  optimizer_step(rule, options, targets);
  for (size_t i = 0; i < states.size(); ++i)
    for (const auto& [key, value] : made[i])
      if (PyDict_SetItem(states[i].get(), key, value.get()) < 0) throw PythonError();
}

// Returns the layout of a rule's options and state: the options as (name, position); the names of the state that each
// parameter has with the options of this group; and which of the rule's states these options use.
PyObject* layout(std::string_view name, PyObject* group) {
  const OptimizerRule& rule = rule_of(name);
  require<TypeError>(PyDict_Check(group), "_optimizer_layout takes a rule and a dict");
  const Names& names = names_of(rule);
  double values[OptimizerRule::kOptions] = {};
  const Object options(checked(PyTuple_New(Py_ssize_t(names.options.size()))));
  for (size_t i = 0; i < names.options.size(); ++i) {
    const Option& option = names.options[i];
    values[i] = optimizer_option(group, option.name, option.position);
    PyTuple_SET_ITEM(options.get(), Py_ssize_t(i), checked(Py_BuildValue("(Oi)", option.name, option.position)));
  }
  const Object state(checked(PyList_New(0))), uses(checked(PyList_New(0)));
  const auto append = [](const Object& list, PyObject* item) {
    if (PyList_Append(list.get(), item) < 0) throw PythonError();
  };
  if (rule.counts) append(state, Object(checked(PyUnicode_FromString("step"))).get());
  for (PyObject* const scalar : names.scalars) append(state, scalar);
  for (size_t i = 0; i < names.states.size(); ++i) {
    const bool used = rule.needs(int(i), values);
    append(uses, used ? Py_True : Py_False);
    if (used) append(state, names.states[i]);
  }
  return checked(PyTuple_Pack(3, options.get(), state.get(), uses.get()));
}

}  // namespace

double optimizer_option(PyObject* group, PyObject* name, Py_ssize_t position) {
  const Object value = value_in(group, name);
  if (!value) {
    PyErr_SetObject(PyExc_KeyError, name);
    throw PythonError();
  }
  const Object chosen(checked(position < 0 ? Py_NewRef(value.get()) : PySequence_GetItem(value.get(), position)));
  const double number = PyFloat_AsDouble(chosen.get());
  if (PyErr_Occurred()) throw PythonError();
  return number;
}

void bind_optimizer() {
  def("_optimizer_step(rule, group, params, grads, state)", kPrivate,
      "Apply a step of the optimizer `rule` to parameters in place. The options come from the parameter group, the "
      "state from state[parameter], where missing entries are created.",
      step);
  def("_optimizer_layout(rule, group)", kPrivate,
      "Return the options of a rule as pairs of a name and a position, the names of a parameter's state for the "
      "options of a group, and the states of the rule that these options use.",
      layout);
  def("_optimizer_scalars(rule)", kPrivate,
      "Return the names of the state entries of a rule that are numbers, except step.", [](std::string_view name) {
        const Names& names = names_of(rule_of(name));
        Object out(checked(PyTuple_New(Py_ssize_t(names.scalars.size()))));
        for (size_t i = 0; i < names.scalars.size(); ++i)
          PyTuple_SET_ITEM(out.get(), Py_ssize_t(i), Py_NewRef(names.scalars[i]));
        return out.release();
      });
}

}  // namespace flambeau::python
