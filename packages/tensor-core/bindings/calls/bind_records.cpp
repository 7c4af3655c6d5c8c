// The library's operators, as their records describe them, for Python. Note [Operators]
#include "calls/bind.h"
#include "flambeau/operator.h"

namespace flambeau::python {

namespace {

// The converter for a parameter whose value is kept as T.
template <class T>
struct ConverterOf : std::type_identity<From<T>> {};
template <>
struct ConverterOf<const Tensor*> : std::type_identity<From<const Tensor&>> {};
template <>
struct ConverterOf<Operand> : std::type_identity<From<const Operand&>> {};
template <>
struct ConverterOf<Tensors> : std::type_identity<From<const Tensors&>> {};

template <class T>
void convert(const Call& call, PyObject* o, ArgumentList& to) {
  using Converter = typename ConverterOf<T>::type;
  if constexpr (std::is_same_v<T, const Tensor*>)
    to.add<T>([&] { return &Converter::get(call, o); });
  else
    to.add<T>([&] { return Converter::get(call, o); });
}

template <class... T>
constexpr auto converters(Types<T...>) {
  return std::array{convert<T>...};
}
constexpr auto kConverters = converters(ParameterTypes());

// The usual kinds by direct calls, which the processor predicts better than calls through a table.
template <class T, class... Others>
void convert_kind(uint8_t kind, const Call& call, PyObject* o, ArgumentList& to) {
  if (kind == detail::kPosition<T, ParameterTypes>) return convert<T>(call, o, to);
  if constexpr (sizeof...(Others) > 0)
    convert_kind<Others...>(kind, call, o, to);
  else
    kConverters[kind](call, o, to);
}

template <class... T>
constexpr auto stub_types(Types<T...>) {
  return std::array{stub_type<T>()...};
}
constexpr auto kParameterTypes = stub_types(ParameterTypes());
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

std::vector<std::string_view> names_in(std::string_view list) {  // "values, indices"
  std::vector<std::string_view> names;
  while (!list.empty()) {
    const size_t comma = std::min(list.find(", "), list.size());
    names.push_back(list.substr(0, comma));
    list.remove_prefix(std::min(comma + 2, list.size()));
  }
  return names;
}

PyObject* call_function(const OperatorFunction& function, const Binding& b, PyObject* const* values) {
  const std::span<const uint8_t> kinds = function.kinds();
  ArgumentList arguments;
  for (size_t i = 0; i < kinds.size(); ++i)
    convert_kind<const Tensor*, int64_t, Shape, bool>(kinds[i], {b.name.c_str(), &b.parameters[i], int(i)}, values[i],
                                                      arguments);
  const Result result = function(arguments);
  if (const Tensor* t = std::get_if<Tensor>(&result)) return wrap_tensor(*t);
  return std::visit([&](const auto& value) { return to_object(b, value); }, result);
}

template <OperatorFunction OperatorRecord::* form>
PyObject* invoke_form(const Binding& b, PyObject* const* values) {
  return call_function(b.record->*form, b, values);
}

// The usual types of functions are called without a list of arguments.
template <class R, class... Args>
PyObject* invoke_directly(const Binding& b, PyObject* const* values) {
  auto f = reinterpret_cast<R (*)(Args...)>(b.function);
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return to_object(b, f(From<Args>::get({b.name.c_str(), &b.parameters[I], int(I)}, values[I])...));
  }(std::index_sequence_for<Args...>());
}
template <class R, class... Args>
bool call_directly(Binding& b, const OperatorFunction& function, std::type_identity<R(Args...)>) {
  if (function.type() != typeid(R(Args...))) return false;
  b.function = function.function();
  b.invoke = invoke_directly<R, Args...>;
  return true;
}
template <class... Function>
void call_directly(Binding& b, const OperatorFunction& function, Types<Function...>) {
  (void)(call_directly(b, function, std::type_identity<Function>()) || ...);
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
                 const Shape&)>;

template <OperatorFunction OperatorRecord::* form>
void set_function(Binding& b) {
  const OperatorFunction& function = b.record->*form;
  if (function.kinds().size() != b.parameters.size() || b.parameters.size() > kMaxParameters)
    Py_FatalError((b.name + ": the signature does not match the function").c_str());
  b.invoke = invoke_form<form>;
  call_directly(b, function, UsualFunctions());
}

template <OperatorFunction OperatorRecord::* form>
Binding* copy_with(const Binding& b) {
  if (!(b.record->*form)) return nullptr;
  Binding* const copy = new Binding(b);  // lives as long as the process
  set_function<form>(*copy);
  return copy;
}

}  // namespace

void bind_records() {
  for (const Operator* record = Operator::first(); record; record = record->next()) {
    Binding* const binding = register_binding(record->signature, record->forms, record->doc);
    binding->record = record;
    binding->module = record->forms & kNetwork ? "flambeau._core" : record->module;
    for (const uint8_t kind : record->forward.kinds()) {
      const bool one_tensor = binding->parameters[binding->types.size()].variadic && kind == kTensors;
      binding->types.push_back(one_tensor ? "Tensor | _Sequence[Tensor]" : kParameterTypes[kind]);
    }
    binding->result = kResultTypes[record->forward.result()];
    const std::string attribute = record->attribute(binding->name);
    if (attribute != binding->name) binding->attribute = attribute;
    if (*record->fields) binding->result_type = named_tuple_type(attribute, names_in(record->fields));
    set_function<&OperatorRecord::forward>(*binding);
    binding->in_place = copy_with<&OperatorRecord::in_place>(*binding);
    if (Binding* const batched = binding->batched = copy_with<&OperatorRecord::batched>(*binding)) {
      batched->batched = batched;
      count_plain_arguments(*batched);
    }
  }
}

}  // namespace flambeau::python
