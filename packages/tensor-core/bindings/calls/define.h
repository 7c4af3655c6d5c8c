// Definition of Python callables from a signature and a C++ function.
//
// Note [Binding]
// def("is_complex(input)", kFunction | kMethod, doc, is_complex) defines the function flambeau.is_complex and the
// method Tensor.is_complex. The signature contains names, defaults and keyword-only parameters. The C++ function
// determines the types. "clamp|clip(input, ...)" defines two names. A parameter *size takes the remaining positional
// integers or one sequence. inspect.signature, the docs and the stubs use the same signature.
#pragma once

#include "calls/stub_type.h"

namespace flambeau::python {

// Converts the arguments and calls `binding.function`, which has this type.
template <class R, class... Args>
R call_function(const Binding& binding, PyObject* const* values) {
  auto f = reinterpret_cast<R (*)(Args...)>(binding.function);
  return [&]<size_t... I>(std::index_sequence<I...>) -> R {
    const Parameter* p = binding.parameters.data();
    (void)p;
    return f(From<Args>::get({binding.name.c_str(), p + I, int(I)}, values[I])...);
  }(std::index_sequence_for<Args...>());
}

template <class R, class... Args>
PyObject* invoke_function(const Binding& binding, PyObject* const* values) {
  if constexpr (std::is_void_v<R>) {
    call_function<R, Args...>(binding, values);
    Py_RETURN_NONE;
  } else {
    return to_python(call_function<R, Args...>(binding, values));
  }
}

template <class R, class... Args>
Binding* def(std::string_view signature, int flags, const char* doc, R (*function)(Args...)) {
  Binding* binding = register_binding(signature, flags, doc);
  binding->function = reinterpret_cast<void (*)()>(function);
  binding->invoke = invoke_function<R, Args...>;
  binding->types = {stub_type<detail::Stored<Args>>()...};
  binding->result = stub_result<R>();
  if (sizeof...(Args) != binding->parameters.size()) Py_FatalError("a signature does not match its function");
  return binding;
}
template <class F>
Binding* def(std::string_view signature, int flags, const char* doc, F lambda) {
  return def(signature, flags, doc, +lambda);
}

}  // namespace flambeau::python
