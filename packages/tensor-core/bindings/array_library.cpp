// Calls of Python functions by operators that use other libraries: LAPACK on the CPU, CuPy on a GPU.
#include "flambeau/cuda/array_library.h"

#include "calls/bind.h"
#include "operators/decompositions.h"

namespace flambeau::python {

Tensors tensors_of(const char* module, const char* function, const char* word, const Tensor& a,
                   const std::vector<int64_t>& numbers) {
  const Object from(checked(PyImport_ImportModule(module)));
  const Object callable(checked(PyObject_GetAttrString(from.get(), function)));
  std::vector<Object> arguments;
  if (word) arguments.emplace_back(checked(PyUnicode_FromString(word)));
  arguments.emplace_back(checked(wrap_tensor(detach(a))));
  for (const int64_t number : numbers) arguments.emplace_back(checked(PyLong_FromLongLong(number)));
  std::vector<PyObject*> borrowed;
  for (const Object& argument : arguments) borrowed.push_back(argument.get());
  const Object out(checked(PyObject_Vectorcall(callable.get(), borrowed.data(), borrowed.size(), nullptr)));
  static const Parameter parameter{PyUnicode_InternFromString("result")};
  return From<const Tensors&>::get({function, &parameter, 0}, out.get());
}

void bind_array_library() {
  cuda::array_function = [](const char* name, const Tensor& t, const std::vector<int64_t>& numbers) {
    return tensors_of("flambeau.cuda._arrays", "served", name, t, numbers);
  };
}

}  // namespace flambeau::python
