// TORCH_LIBRARY, TORCH_LIBRARY_FRAGMENT and TORCH_LIBRARY_IMPL register operators written in C++, which Python calls as
// torch.ops.<namespace>.<name>. The registry is flambeau.library. This file uses only Python's stable ABI.
#pragma once

#include <cstdio>

#include <torch/csrc/autograd/custom_function.h>

#define TORCH_FN(function) (&function)
#define TORCH_SELECTIVE_NAME(name) name
#define TORCH_SELECTIVE_SCHEMA(schema) schema

namespace c10 {

// The dispatch key for which a kernel is registered.
enum class DispatchKey : uint8_t {
  CPU,
  CUDA,
  Meta,
  Autograd,
  AutogradCPU,
  AutogradCUDA,
  CompositeExplicitAutograd,
  CompositeImplicitAutograd,
  CatchAll
};

namespace detail {

// The name of a C++ type in operator schemas.
template <class T>
struct SchemaType {
  static std::string name() {
    if constexpr (std::is_same_v<T, at::Tensor>)
      return "Tensor";
    else if constexpr (std::is_same_v<T, bool>)
      return "bool";
    else if constexpr (std::is_integral_v<T>)
      return "int";
    else if constexpr (std::is_floating_point_v<T>)
      return "float";
    else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, string_view>)
      return "str";
    else if constexpr (std::is_same_v<T, Scalar>)
      return "Scalar";
    else if constexpr (std::is_same_v<T, ScalarType>)
      return "ScalarType";
    else if constexpr (std::is_same_v<T, Device>)
      return "Device";
    else if constexpr (std::is_same_v<T, complex<double>>)
      return "complex";
    else if constexpr (std::is_void_v<T>)
      return "()";
    else
      static_assert(!sizeof(T*),
                    "an operator takes and returns tensors, numbers, strings, dtypes, devices, and "
                    "optionals, lists, tuples and dictionaries of these; this is another C++ type");
  }
};
template <class T>
struct SchemaType<optional<T>> {
  static std::string name() { return SchemaType<T>::name() + "?"; }
};
template <class T>
struct SchemaType<std::vector<T>> {
  static std::string name() { return SchemaType<T>::name() + "[]"; }
};
template <class T, size_t N>
struct SchemaType<std::array<T, N>> : SchemaType<std::vector<T>> {};
template <class T>
struct SchemaType<List<T>> : SchemaType<std::vector<T>> {};
template <class T>
struct SchemaType<ArrayRef<T>> : SchemaType<std::vector<T>> {};
template <class T>
struct SchemaType<OptionalArrayRef<T>> : SchemaType<optional<std::vector<T>>> {};
template <class K, class V>
struct SchemaType<Dict<K, V>> {
  static std::string name() { return "Dict(" + SchemaType<K>::name() + ", " + SchemaType<V>::name() + ")"; }
};
template <class... T>
struct SchemaType<std::tuple<T...>> {
  static std::string name() {
    std::string out;
    ((out += (out.empty() ? "" : ", ") + SchemaType<T>::name()), ...);
    return "(" + out + ")";
  }
};

// The type that stores the value of a parameter during a call. For an ArrayRef, this is a vector that owns the
// elements.
template <class T>
struct Kept {
  using type = T;
  static T& given(T& value) { return value; }
};
template <class T>
struct Kept<ArrayRef<T>> {
  using type = std::vector<T>;
  static ArrayRef<T> given(const type& value) { return value; }
};
template <class T>
struct Kept<optional<ArrayRef<T>>> {
  using type = optional<std::vector<T>>;
  static optional<ArrayRef<T>> given(const type& value) {
    if (!value) return nullopt;
    return ArrayRef<T>(*value);
  }
};
template <class T>
struct Kept<OptionalArrayRef<T>> {
  using type = optional<std::vector<T>>;
  static OptionalArrayRef<T> given(const type& value) {
    if (!value) return {};
    return OptionalArrayRef<T>(*value);
  }
};

// The type R(Args...) of a callable object.
template <class F>
struct FunctionType : FunctionType<decltype(&F::operator())> {};
template <class R, class... Args>
struct FunctionType<R(Args...)> {
  using type = R(Args...);
};
template <class R, class... Args>
struct FunctionType<R (*)(Args...)> : FunctionType<R(Args...)> {};
template <class C, class R, class... Args>
struct FunctionType<R (C::*)(Args...)> : FunctionType<R(Args...)> {};
template <class C, class R, class... Args>
struct FunctionType<R (C::*)(Args...) const> : FunctionType<R(Args...)> {};

}  // namespace detail
}  // namespace c10

namespace torch {

using c10::DispatchKey;

// A C++ function, wrapped so that it takes and returns IValues, and its schema, which has no names of parameters.
class CppFunction {
 public:
  using Values = std::vector<c10::IValue>;
  template <class F>
  CppFunction(F function) : CppFunction(function, std::type_identity<typename c10::detail::FunctionType<F>::type>()) {}
  static CppFunction makeFallthrough() {
    CppFunction nothing;
    return nothing;
  }

  c10::IValue operator()(const Values& values) const { return call_(values); }
  explicit operator bool() const { return bool(call_); }
  const std::string& schema() const { return schema_; }

 private:
  CppFunction() = default;
  template <class F, class R, class... Args>
  CppFunction(F function, std::type_identity<R(Args...)>)
      : call_([function](const Values& values) { return call<R, Args...>(function, values); }) {
    int i = 0;
    ((schema_ +=
      (i ? ", " : "") + c10::detail::SchemaType<std::remove_cvref_t<Args>>::name() + " _" + std::to_string(i),
      ++i),
     ...);
    schema_ = "(" + schema_ + ") -> " + c10::detail::SchemaType<std::remove_cvref_t<R>>::name();
  }
  template <class R, class... Args, class F>
  static c10::IValue call(const F& function, const Values& values) {
    using namespace c10::detail;
    TORCH_CHECK(values.size() == sizeof...(Args), "the C++ function takes ", sizeof...(Args), " arguments, but got ",
                values.size());
    return [&]<size_t... I>(std::index_sequence<I...>) -> c10::IValue {
      std::tuple<typename Kept<std::remove_cvref_t<Args>>::type...> kept(
          unpack<typename Kept<std::remove_cvref_t<Args>>::type>(values[I])...);
      if constexpr (std::is_void_v<R>) {
        function(Kept<std::remove_cvref_t<Args>>::given(std::get<I>(kept))...);
        return {};
      } else {
        return pack(function(Kept<std::remove_cvref_t<Args>>::given(std::get<I>(kept))...));
      }
    }(std::index_sequence_for<Args...>());
  }

  std::function<c10::IValue(const Values&)> call_;
  std::string schema_;
};

namespace detail {

// The Python function for a kernel. `self` is a capsule with the kernel.
inline PyObject* call_kernel(PyObject* self, PyObject* arguments) {
  try {
    const ::flambeau::InterpreterSection section;
    const auto* const kernel = static_cast<CppFunction*>(PyCapsule_GetPointer(self, nullptr));
    return at::detail::to_python((*kernel)(at::detail::items_of(arguments))).release();
  } catch (...) {
    ::flambeau::python_interface->translate_exception();
    return nullptr;
  }
}
inline at::detail::Object as_python(CppFunction kernel) {
  static PyMethodDef definition{"kernel", call_kernel, METH_VARARGS, "Call a kernel of a C++ library."};
  using at::detail::Object;
  // Kernels are never freed, because libraries are never unloaded.
  const Object holder(PyCapsule_New(new CppFunction(std::move(kernel)), nullptr, nullptr));
  return Object(PyCFunction_NewEx(&definition, holder.get(), nullptr));
}

inline const char* name_of(DispatchKey key) {
  constexpr const char* names[] = {"CPU",
                                   "CUDA",
                                   "Meta",
                                   "Autograd",
                                   "AutogradCPU",
                                   "AutogradCUDA",
                                   "CompositeExplicitAutograd",
                                   "CompositeImplicitAutograd",
                                   ""};
  return names[int(key)];
}

// Runs a function that registers operators. Prints errors instead of throwing them, because this code runs while the C
// runtime loads a library. Later uses of operators that could not be registered raise errors.
template <class F>
void registering(F&& f) {
  const at::detail::WithPython held;
  try {
    f();
  } catch (const ::flambeau::PythonError&) {
    PyErr_WriteUnraisable(nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error in the registration of operators: %s\n", error.what());
  }
}

template <class... Texts>
void tell_python(const char* function, const char* format, const Texts&... values) {
  const at::detail::Object registration = at::detail::module_named("flambeau.library._registration");
  const at::detail::Object result(PyObject_CallFunction(registration.attribute(function).get(), format, values...));
}

}  // namespace detail

class Library {
 public:
  enum Kind { DEF, IMPL, FRAGMENT };
  Library(Kind kind, std::string name_space, const char* key, const char* file, uint32_t line)
      : kind_(kind), namespace_(std::move(name_space)), key_(key) {
    if (kind_ == DEF) detail::tell_python("begin", "sss", namespace_.c_str(), file, std::to_string(line).c_str());
  }

  // m.def("name(Tensor x) -> Tensor") or, with a function, also m.def("name", function).
  Library& def(const std::string& schema) {
    require_definition(schema);
    detail::tell_python("define", "ss", namespace_.c_str(), schema.c_str());
    return *this;
  }
  template <class F>
  Library& def(const std::string& name_or_schema, F&& function) {
    require_definition(name_or_schema);
    CppFunction kernel(std::forward<F>(function));
    const bool inferred = name_or_schema.find('(') == std::string::npos;
    def(inferred ? name_or_schema + kernel.schema() : name_or_schema);
    return implement(name_or_schema.substr(0, name_or_schema.find('(')), "", std::move(kernel));
  }
  template <class F>
  Library& impl(const std::string& name, F&& function) {
    return implement(name, key_, CppFunction(std::forward<F>(function)));
  }
  template <class F>
  Library& impl(const std::string& name, DispatchKey key, F&& function) {
    return implement(name, detail::name_of(key), CppFunction(std::forward<F>(function)));
  }
  Library& set_python_module(const char*, const char* = "") { return *this; }
  Library& impl_abstract_pystub(const char*, const char* = "") { return *this; }
  template <class T>
  void fallback(T&&) {
    static_assert(!sizeof(T*), "flambeau does not support fallback kernels for a dispatch key");
  }
  template <class T>
  void class_(const std::string&) {
    static_assert(!sizeof(T*), "flambeau does not support C++ classes for TorchScript; bind the class with pybind11");
  }

 private:
  void require_definition(const std::string& schema) const {
    TORCH_CHECK(kind_ != IMPL, "def(\"", schema,
                "\"): define operators in TORCH_LIBRARY or TORCH_LIBRARY_FRAGMENT, "
                "not in TORCH_LIBRARY_IMPL");
  }
  Library& implement(std::string name, const char* key, CppFunction kernel) {
    if (const size_t colons = name.rfind("::"); colons != name.npos) name = name.substr(colons + 2);
    if (kernel)
      detail::tell_python("implement", "sssO", namespace_.c_str(), name.c_str(), key,
                          detail::as_python(std::move(kernel)).get());
    return *this;
  }
  Kind kind_;
  std::string namespace_;
  const char* key_;
};

namespace detail {
struct TorchLibraryInit {
  TorchLibraryInit(Library::Kind kind, void (*init)(Library&), const char* name_space, const char* key,
                   const char* file, uint32_t line) {
    registering([&] {
      Library library(kind, name_space, key, file, line);
      init(library);
    });
  }
};
}  // namespace detail

// torch::RegisterOperators().op("namespace::name", &function): PyTorch's older interface for registering operators.
class RegisterOperators {
 public:
  RegisterOperators() = default;
  template <class F>
  RegisterOperators(const std::string& name_or_schema, F&& function) {
    op(name_or_schema, std::forward<F>(function));
  }
  template <class F>
  RegisterOperators&& op(const std::string& name_or_schema, F&& function) && {
    detail::registering([&] {
      const size_t colons = name_or_schema.find("::");
      TORCH_CHECK(colons != std::string::npos, "expected namespace::name, got ", name_or_schema);
      Library(Library::FRAGMENT, name_or_schema.substr(0, colons), "", "", 0)
          .def(name_or_schema.substr(colons + 2), std::forward<F>(function));
    });
    return std::move(*this);
  }
  template <class F>
  RegisterOperators& op(const std::string& name_or_schema, F&& function) & {
    return std::move(*this).op(name_or_schema, std::forward<F>(function)), *this;
  }
};

}  // namespace torch

namespace c10 {

template <class F>
class TypedOperatorHandle;
template <class R, class... Args>
class TypedOperatorHandle<R(Args...)> {
 public:
  explicit TypedOperatorHandle(std::string name) : name_(std::move(name)) {}
  R call(Args... arguments) const {
    using namespace at::detail;
    const WithPython held;
    const Object packed = to_python(IValue(IValue::Tuple{{detail::pack(arguments)...}}));
    const Object op(PyObject_CallFunction(module_named("flambeau.library._registration").attribute("operator").get(),
                                          "s", name_.c_str()));
    const Object result(PyObject_CallObject(op.get(), packed.get()));
    if constexpr (!std::is_void_v<R>) return detail::unpack<std::remove_cvref_t<R>>(from_python(result.get()));
  }

 private:
  std::string name_;
};
class OperatorHandle {
 public:
  explicit OperatorHandle(std::string name) : name_(std::move(name)) {}
  template <class F>
  TypedOperatorHandle<F> typed() const {
    return TypedOperatorHandle<F>(name_);
  }

 private:
  std::string name_;
};
// Look-up of operators by name, whether they are implemented in Python or in C++.
class Dispatcher {
 public:
  static Dispatcher& singleton() {
    static Dispatcher only;
    return only;
  }
  OperatorHandle findSchemaOrThrow(const char* name, const char* overload) const {
    return OperatorHandle(*overload ? std::string(name) + "." + overload : name);
  }
};

}  // namespace c10

namespace torch {
using c10::Dispatcher;
}

#define FLAMBEAU_JOIN_(a, b) a##b
#define FLAMBEAU_JOIN(a, b) FLAMBEAU_JOIN_(a, b)
#define C10_UID __COUNTER__
#define FLAMBEAU_LIBRARY(kind, ns, key, m, uid)                                                               \
  static void FLAMBEAU_JOIN(TORCH_LIBRARY_init_##ns##_, uid)(::torch::Library&);                              \
  static const ::torch::detail::TorchLibraryInit FLAMBEAU_JOIN(TORCH_LIBRARY_static_##ns##_, uid)(            \
      ::torch::Library::kind, &FLAMBEAU_JOIN(TORCH_LIBRARY_init_##ns##_, uid), #ns, key, __FILE__, __LINE__); \
  void FLAMBEAU_JOIN(TORCH_LIBRARY_init_##ns##_, uid)(::torch::Library & m)
#define TORCH_LIBRARY(ns, m) FLAMBEAU_LIBRARY(DEF, ns, "", m, __COUNTER__)
#define TORCH_LIBRARY_FRAGMENT(ns, m) FLAMBEAU_LIBRARY(FRAGMENT, ns, "", m, __COUNTER__)
#define TORCH_LIBRARY_IMPL(ns, k, m) FLAMBEAU_LIBRARY(IMPL, ns, #k, m, __COUNTER__)
#define TORCH_LIBRARY_EXPAND TORCH_LIBRARY
