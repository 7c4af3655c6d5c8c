// Python bindings of the operators that are defined by records. Note [Operators]
#include <algorithm>

#include "calls/bind.h"
#include "flambeau/operator.h"

namespace flambeau::python {

namespace {

// Selects the converter from Python objects to values of the parameter type T.
template <class T>
struct ConverterOf : std::type_identity<From<T>> {};
template <>
struct ConverterOf<const Tensor*> : std::type_identity<From<const Tensor&>> {};
template <>
struct ConverterOf<Operand> : std::type_identity<From<const Operand&>> {};
template <>
struct ConverterOf<Tensors> : std::type_identity<From<const Tensors&>> {};

template <class... T>
constexpr auto stub_types(Types<T...>) {
  return std::array{stub_type<T>()...};
}
constexpr auto kParameterTypes = stub_types(ParameterTypes());
constexpr uint8_t kTensor = detail::kPosition<const Tensor*, ParameterTypes>;
constexpr uint8_t kTensors = detail::kPosition<Tensors, ParameterTypes>;
template <class... T>
constexpr auto stub_results(std::type_identity<std::variant<T...>>) {
  return std::array{stub_result<T>()...};
}
constexpr auto kResultTypes = stub_results(std::type_identity<Result>());

PyObject* as_tuple(const Binding& b, const Tensors& tensors) {
  if (!b.result_type) return to_python(tensors);
  Object out(checked(PyStructSequence_New(b.result_type)));
  for (size_t i = 0; i < tensors.size(); ++i)
    PyStructSequence_SetItem(out.get(), Py_ssize_t(i), checked(wrap_tensor(tensors[i])));
  return out.release();
}
PyObject* to_object(const Binding&, std::monostate) { return Py_NewRef(Py_None); }
PyObject* to_object(const Binding& b, const TensorPair& pair) { return as_tuple(b, {pair.values, pair.indices}); }
PyObject* to_object(const Binding& b, const Tensors& tensors) { return as_tuple(b, tensors); }
PyObject* to_object(const Binding& b, const TensorOrTensors& results) {
  const Tensors* const several = std::get_if<Tensors>(&results);
  return several ? as_tuple(b, *several) : to_python(results);
}
template <class T>
PyObject* to_object(const Binding&, const T& value) {
  return to_python(value);
}

std::vector<std::string_view> names_in(std::string_view list) {  // splits a list such as "values, indices"
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(", "), list.size());
    names.push_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 2, list.size()));
  }
  return names;
}

// Parameters of factories that only the Python functions have. They follow the parameter dtype. Note [Factories]
constexpr std::string_view kOptions = ", layout=None, device=None, requires_grad=False, pin_memory=False";
constexpr const char* kOptionTypes[] = {stub_type<Strided>(), stub_type<Placement>(), stub_type<bool>(),
                                        stub_type<Pinned>()};
constexpr uint8_t kDtype = detail::kPosition<std::optional<Dtype>, ParameterTypes>;

// Returns the position of the first of kOptions among the parameters in Python.
size_t first_option(const OperatorFunction& factory) {
  const std::span<const uint8_t> kinds = factory.kinds();
  return size_t(std::find(kinds.begin(), kinds.end(), kDtype) - kinds.begin()) + 1;
}

// The Python arguments of a call. Each argument is converted when the C++ function reads it. In a factory, the Python
// arguments for kOptions come before the arguments for the C++ parameters from index `options` on.
class PythonArguments : public ArgumentsFrom<PythonArguments> {
 public:
  PythonArguments(const Binding& b, PyObject* const* values, size_t options = kMaxParameters)
      : binding_(b), values_(values), options_(options) {}
  template <class T>
  T value(size_t i) const {
    using Converter = typename ConverterOf<T>::type;
    if (FLAMBEAU_UNLIKELY(i >= options_)) i += std::size(kOptionTypes);
    const Call call{binding_.name.c_str(), &binding_.parameters[i], int(i)};
    if constexpr (std::is_same_v<T, const Tensor*>)
      return &Converter::get(call, values_[i]);
    else
      return Converter::get(call, values_[i]);
  }

 private:
  const Binding& binding_;
  PyObject* const* values_;
  size_t options_;
};

template <OperatorFunction OperatorRecord::* form>
PyObject* invoke_form(const Binding& b, PyObject* const* values) {
  PythonArguments arguments(b, values);
  const Result result = (b.record->*form)(arguments);
  if (const Tensor* t = std::get_if<Tensor>(&result)) return wrap_tensor(*t);
  return std::visit([&](const auto& value) { return to_object(b, value); }, result);
}

// Creates a tensor with a sparse layout by calling flambeau.sparse with the name of the factory and its arguments.
PyObject* make_sparse(const Binding& b, PyObject* const* values) {
  const Object module(checked(PyImport_ImportModule("flambeau.sparse._factories")));
  const Object options(checked(PyDict_New()));
  for (size_t i = 0; i < b.parameters.size(); ++i)
    if (PyDict_SetItem(options.get(), b.parameters[i].name, values[i]) < 0) throw PythonError();
  return checked(PyObject_CallMethod(module.get(), "created", "sO", b.name.c_str(), options.get()));
}

// Calls make(), which converts the other arguments, and applies the arguments for kOptions to the new tensor.
//   first: position of the first of kOptions among the parameters in Python.
template <class Make>
PyObject* make_with_options(const Binding& b, PyObject* const* values, size_t first, Make&& make) {
  if (FLAMBEAU_UNLIKELY(is_sparse_layout(values[first]))) return make_sparse(b, values);
  const auto option = [&]<class T>(std::type_identity<T>, size_t i) {
    return From<T>::get({b.name.c_str(), &b.parameters[first + i], int(first + i)}, values[first + i]);
  };
  option(std::type_identity<Strided>(), 0);
  const Placement placement = option(std::type_identity<Placement>(), 1);
  const bool requires_grad = option(std::type_identity<bool>(), 2);
  const Pinned pin = option(std::type_identity<Pinned>(), 3);
  const bool like = b.record->forward.kinds()[0] == kTensor && is_tensor(values[0]);
  const OnDevice scope(like ? placement.like(tensor_of(values[0])) : placement.of_fresh());
  return wrap_tensor(finished(make(), pin, requires_grad));
}

PyObject* invoke_factory(const Binding& b, PyObject* const* values) {
  const OperatorFunction& forward = b.record->forward;
  const size_t options = first_option(forward);
  return make_with_options(b, values, options, [&] {
    PythonArguments arguments(b, values, options);
    return std::get<Tensor>(forward(arguments));
  });
}

// A faster path for functions whose types UsualFunctions lists. It converts the arguments without PythonArguments.
template <class R, class... Args>
PyObject* invoke_directly(const Binding& b, PyObject* const* values) {
  return to_object(b, call_function<R, Args...>(b, values));
}

template <class... Args>
PyObject* invoke_factory_directly(const Binding& b, PyObject* const* values) {
  constexpr size_t first = detail::position_in<std::optional<Dtype>>(std::type_identity<Types<Args...>>()) + 1;
  constexpr auto p = [](size_t i) { return i < first ? i : i + std::size(kOptionTypes); };
  auto f = reinterpret_cast<Tensor (*)(Args...)>(b.function);
  return make_with_options(b, values, first, [&] {
    return [&]<size_t... I>(std::index_sequence<I...>) {
      return f(From<Args>::get({b.name.c_str(), &b.parameters[p(I)], int(p(I))}, values[p(I)])...);
    }(std::index_sequence_for<Args...>());
  });
}

template <bool factory, class R, class... Args>
bool call_directly(Binding& b, const OperatorFunction& function, std::type_identity<R(Args...)>) {
  if (function.type() != typeid(R(Args...))) return false;
  b.function = function.function();
  if constexpr (factory)
    b.invoke = invoke_factory_directly<Args...>;
  else
    b.invoke = invoke_directly<R, Args...>;
  return true;
}
template <bool factory, class... Function>
void call_directly(Binding& b, const OperatorFunction& function, Types<Function...>) {
  (void)(call_directly<factory>(b, function, std::type_identity<Function>()) || ...);
}
using Bound = std::optional<Operand>;
using Sizes = std::variant<int64_t, Shape>;
using UsualFunctions =
    Types<Tensor(const Tensor&), Tensor(const Tensor&, const Tensor&), Tensor(const Tensor&, int64_t),
          Tensor(const Tensor&, int64_t, int64_t), Tensor(const Tensor&, const Shape&),
          Tensor(const Tensor&, std::string_view), Tensor(const Tensor&, const Tensor&, const Tensor&),
          Tensor(const Tensor&, const Tensor&, const Operand&), Tensor(const Tensor&, const Operand&, Scalar),
          Tensor(const Tensor&, const Tensor&, const Tensor&, Scalar),
          Tensor(const Tensor&, const Bound&, const Bound&), Tensor(const Operand&, const Operand&, Scalar),
          Tensor(const Operand&, const Operand&, std::optional<std::string_view>), Tensor(const Tensors&, int64_t),
          Tensors(const Tensor&, int64_t, int64_t), Tensors(const Tensor&, const Sizes&, int64_t),
          TensorOrTensors(const Tensor&, const Bound&, const Bound&),
          TensorOrTensors(const Tensor&, const std::optional<std::variant<Tensor, int64_t>>&, bool),
          Tensor(const Tensor&, const std::optional<std::variant<bool, Shape>>&, std::optional<bool>, bool,
                 std::optional<double>),
          Tensor(const Tensor&, const Tensor&, Reduction),
          Tensor(const Tensor&, const Tensor&, const Tensor&, const Shape&,
                 const std::variant<std::string_view, Shape>&, const Shape&, int64_t),
          Tensor(const Tensor&, const Tensor&, const Tensor&, const Shape&, const Shape&, const Shape&, int64_t,
                 const Shape&),
          Tensor(const Tensor&, const std::variant<Dtype, Shape>&),
          Tensor(const Tensor&, int64_t, const std::variant<Tensor, int64_t>&, int64_t), int64_t(const Tensor&),
          bool(const Tensor&), bool(const Tensor&, const Tensor&), bool(const Tensor&, std::optional<MemoryFormat>),
          Tensor(const Tensor&, const Tensor&, std::optional<MemoryFormat>)>;
using MaybeDtype = std::optional<Dtype>;
using MaybeFormat = std::optional<MemoryFormat>;
using UsualFactories = Types<
    Tensor(const Shape&, MaybeDtype), Tensor(const Shape&, Generator*, MaybeDtype),
    Tensor(const Shape&, Scalar, MaybeDtype), Tensor(const Shape&, MaybeDtype, MaybeFormat),
    Tensor(const Tensor&, MaybeDtype, MaybeFormat), Tensor(const Tensor&, Scalar, MaybeDtype, MaybeFormat),
    Tensor(const Tensor&, Generator*, MaybeDtype, MaybeFormat), Tensor(const Tensor&, const Shape&, MaybeDtype),
    Tensor(const Tensor&, const Shape&, Scalar, MaybeDtype), Tensor(Scalar, std::optional<Scalar>, Scalar, MaybeDtype),
    Tensor(const Operand&, const Operand&, int64_t, MaybeDtype), Tensor(int64_t, std::optional<int64_t>, MaybeDtype),
    Tensor(std::optional<int64_t>, const std::optional<Sizes>&, const std::optional<Sizes>&, Generator*, MaybeDtype)>;

template <OperatorFunction OperatorRecord::* form>
void set_function(Binding& b) {
  const OperatorFunction& function = b.record->*form;
  const bool factory = b.flags & kFactory;
  if (function.kinds().size() + factory * std::size(kOptionTypes) != b.parameters.size() ||
      b.parameters.size() > kMaxParameters)
    Py_FatalError((b.name + ": the signature does not match the function").c_str());
  b.invoke = factory ? invoke_factory : invoke_form<form>;
  if (factory)
    call_directly<true>(b, function, UsualFactories());
  else
    call_directly<false>(b, function, UsualFunctions());
}

template <OperatorFunction OperatorRecord::* form>
Binding* copy_with(const Binding& b) {
  if (!(b.record->*form)) return nullptr;
  Binding* const copy = new Binding(b);  // lives as long as the process
  if (form == &OperatorRecord::into) copy->parameters.emplace_back().name = PyUnicode_InternFromString("out");
  set_function<form>(*copy);
  return copy;
}

}  // namespace

void bind_records() {
  for (const Operator* record = Operator::first(); record; record = record->next()) {
    const bool factory = record->forms & kFactory;
    std::string signature = record->signature;
    if (factory) signature.insert(signature.find("dtype=None") + std::string_view("dtype=None").size(), kOptions);
    Binding* const binding = register_binding(signature, record->forms, record->doc);
    binding->record = record;
    binding->module = record->forms & kNetwork ? "flambeau._core" : record->module;
    for (const uint8_t kind : record->forward.kinds()) {
      const bool one_tensor = binding->parameters[binding->types.size()].variadic && kind == kTensors;
      binding->types.push_back(one_tensor ? "Tensor | _Sequence[Tensor]" : kParameterTypes[kind]);
    }
    if (factory)
      binding->types.insert(binding->types.begin() + ptrdiff_t(first_option(record->forward)), std::begin(kOptionTypes),
                            std::end(kOptionTypes));
    binding->result = kResultTypes[record->forward.result()];
    const std::string attribute = record->attribute(binding->name);
    if (attribute != binding->name) binding->attribute = attribute;
    if (record->forms & kIdentity) binding->shortcut = [](const Tensor&, PyObject* self) { return Py_NewRef(self); };
    if (*record->fields) binding->result_type = named_tuple_type(attribute, names_in(record->fields));
    set_function<&OperatorRecord::forward>(*binding);
    binding->in_place = copy_with<&OperatorRecord::in_place>(*binding);
    binding->into = copy_with<&OperatorRecord::into>(*binding);
    if (Binding* const batched = binding->batched = copy_with<&OperatorRecord::batched>(*binding)) {
      batched->batched = batched;
      count_plain_arguments(*batched);
    }
  }
}

}  // namespace flambeau::python
