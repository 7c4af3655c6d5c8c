// The description of a callable of this module, and the registry of all callables. Note [Binding] in define.h.
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "flambeau/operator.h"
#include "tensor/object.h"

namespace flambeau::python {

struct Parameter {
  PyObject* name;                // interned string
  PyObject* fallback = nullptr;  // the default value; null if an argument is required
  bool keyword_only = false, variadic = false;
  std::string also;        // other names, each preceded by a bar: "|sections|indices"
  std::string annotation;  // the type after the name, if given
  bool may_be_none() const { return fallback == Py_None || annotation.find("None") != annotation.npos; }
  uint8_t kinds = 0;  // for an operator written in Python: bit mask of the allowed types (Kind), or 0 for any type
};

struct Call {  // the argument that a converter names in its error messages
  const char* function;
  const Parameter* parameter;
  int position;
};

struct Binding {
  std::string name, signature, doc;
  std::string attribute;  // name in _core, if it differs from `name`
  std::vector<std::string> aliases;
  int flags = 0;
  std::string module = "flambeau";
  std::vector<Parameter> parameters;
  // The least and largest number of arguments of a call with positional arguments only.
  uint8_t least = 1, most = 0;
  PyObject* (*invoke)(const Binding&, PyObject* const* values) = nullptr;
  void (*function)() = nullptr;
  const Operator* record = nullptr;     // null for callables that no record defines
  Binding* batched = nullptr;           // variant that computes a complete batch at once, for vmap
  Binding* in_place = nullptr;          // in-place form, if it has a separate function
  Binding* into = nullptr;              // form with the parameter `out` last, if it has a separate function
  PyTypeObject* result_type = nullptr;  // named tuple of the results, if they have names
  PyObject* (*shortcut)(const Tensor& self, PyObject* object) = nullptr;  // fast path if `self` is the only argument
  // How a call uses the result of `function`: returns it (Own), writes it to the first argument (InPlace), copies it to
  // a new tensor (Copied), or makes the first argument a view like the result (Become).
  enum Form : uint8_t { Own, InPlace, Copied, Become } form = Own;
  PointwiseOp op = {};  // for the callable of a pointwise operator
  uint8_t tensors = 0;  // for a pointwise operator: bit i is set if operand i must be a Tensor
  // The types of the parameters and of the result in the type stub; null if unknown.
  std::vector<const char*> types;
  const char* result = nullptr;
  // For an operator written in Python: the function and the names of its keyword-only parameters.
  PyObject *python = nullptr, *keywords = nullptr;
};

// Parses a signature and adds a binding for it to the registry. Bindings are never destroyed.
Binding* register_binding(std::string_view signature, int flags, const char* doc);
std::vector<Parameter> parse_signature(std::string_view text, std::string& name);
void add_to_registry(Binding* binding);
const std::vector<Binding*>& bindings();

// The Python object of a binding, a function or a method. Note [Functions and methods]
struct OperatorObject {
  PyObject_HEAD vectorcallfunc vectorcall;
  const Binding* binding;
  std::atomic<PyObject*> module;  // the interned string assigned to __module__, or null
  PyObject* attributes;           // a dict of the attributes that programs have set, or null
};
extern PyTypeObject *operator_type, *method_type;
inline const Binding* binding_of(PyObject* callable) {  // null if `callable` is not an operator
  const PyTypeObject* const type = Py_TYPE(callable);
  return type == operator_type || type == method_type ? reinterpret_cast<OperatorObject*>(callable)->binding : nullptr;
}
PyObject* make_operator(const Binding* binding, vectorcallfunc call, bool is_method = false);
// Adds a method to the type Tensor.
void add_method(const std::string& name, const Binding* binding, vectorcallfunc call);
PyObject* call_binding(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames);
PyObject* call_shortcut(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* kwnames);

// Adds every registered callable to the module and the Tensor type.
void publish(PyObject* module);
// Sets the members `least` and `most`.
void count_plain_arguments(Binding& binding);
// Adds one callable to the module and the Tensor type. Returns a new reference to it.
PyObject* publish(PyObject* module, Binding* binding);
// Adds a name to the module and to its __all__.
void add_public(PyObject* module, const char* name, PyObject* value);

}  // namespace flambeau::python
