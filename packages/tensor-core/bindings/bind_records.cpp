// The library's operators, as their records describe them, for Python. Note [Operators]
#include "bind.h"
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

PyObject* invoke_record(const Binding& b, PyObject* const* values) {
  return call_function(b.record->forward, b, values);
}
PyObject* invoke_batched(const Binding& b, PyObject* const* values) {
  return call_function(b.record->batched, b, values);
}

}  // namespace

void bind_records() {
  for (const Operator* record = Operator::first(); record; record = record->next()) {
    Binding* const binding = register_binding(record->signature, record->forms, record->doc);
    binding->record = record;
    binding->invoke = invoke_record;
    for (const uint8_t kind : record->forward.kinds()) binding->types.push_back(kParameterTypes[kind]);
    binding->result = kResultTypes[record->forward.result()];
    binding->module = record->module;
    const std::string attribute = record->attribute(binding->name);
    if (attribute != binding->name) binding->attribute = attribute;
    if (*record->fields) binding->result_type = named_tuple_type(attribute, names_in(record->fields));
    const size_t count = binding->parameters.size();
    if (record->forward.kinds().size() != count || count > kMaxParameters ||
        (record->batched && record->batched.kinds().size() != count))
      Py_FatalError((binding->name + ": the signature does not match the function").c_str());
    if (record->batched) {
      Binding* const batched = binding->batched = new Binding(*binding);
      batched->batched = batched;
      batched->invoke = invoke_batched;
      count_plain_arguments(*batched);
    }
  }
}

}  // namespace flambeau::python
