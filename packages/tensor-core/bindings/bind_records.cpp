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

template <class T>
constexpr const char* stub_type() {
  if constexpr (std::is_same_v<T, const Tensor*> || std::is_same_v<T, Tensor>) return "Tensor";
  if constexpr (std::is_same_v<T, Operand>) return "Tensor | _Number";
  if constexpr (std::is_same_v<T, Scalar>) return "_Number";
  if constexpr (std::is_same_v<T, std::optional<Scalar>>) return "_Number | None";
  if constexpr (std::is_same_v<T, int64_t>) return "_int";
  if constexpr (std::is_same_v<T, std::optional<int64_t>>) return "_int | None";
  if constexpr (std::is_same_v<T, double>) return "_float";
  if constexpr (std::is_same_v<T, std::optional<double>>) return "_float | None";
  if constexpr (std::is_same_v<T, bool>) return "_bool";
  if constexpr (std::is_same_v<T, std::optional<bool>>) return "_bool | None";
  if constexpr (std::is_same_v<T, Shape>) return "_Dims";
  if constexpr (std::is_same_v<T, OptionalDims>) return "_Dims | None";
  if constexpr (std::is_same_v<T, Dtype>) return "_Dtype";
  if constexpr (std::is_same_v<T, std::optional<Dtype>>) return "_Dtype | None";
  if constexpr (std::is_same_v<T, MemoryFormat>) return "_MemoryFormat";
  if constexpr (std::is_same_v<T, std::optional<MemoryFormat>>) return "_MemoryFormat | None";
  if constexpr (std::is_same_v<T, std::string_view> || std::is_same_v<T, Reduction>) return "str";
  if constexpr (std::is_same_v<T, std::optional<std::string_view>>) return "str | None";
  if constexpr (std::is_same_v<T, Generator*>) return "Generator | None";
  if constexpr (std::is_same_v<T, Tensors>) return "_Sequence[Tensor]";
  if constexpr (std::is_same_v<T, TensorPair>) return "tuple[Tensor, Tensor]";
  if constexpr (std::is_same_v<T, std::monostate>) return "None";
}

template <class... T>
constexpr auto converters(Types<T...>) {
  return std::array{convert<T>...};
}
constexpr auto kConverters = converters(ParameterTypes());

template <template <class...> class List, class... T>
constexpr auto stub_types_of(std::type_identity<List<T...>>) {
  return std::array{stub_type<T>()...};
}

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

PyObject* call_function(const OperatorFunction& function, const Binding& b, PyObject* const* values) {
  const std::span<const uint8_t> kinds = function.kinds();
  ArgumentList arguments;
  for (size_t i = 0; i < kinds.size(); ++i)
    kConverters[kinds[i]]({b.name.c_str(), &b.parameters[i], int(i)}, values[i], arguments);
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

std::pair<std::vector<const char*>, const char*> stub_types(const Operator& record) {
  constexpr auto of_parameters = stub_types_of(std::type_identity<ParameterTypes>());
  constexpr auto of_results = stub_types_of(std::type_identity<Result>());
  std::vector<const char*> parameters;
  for (const uint8_t kind : record.forward.kinds()) parameters.push_back(of_parameters[kind]);
  return {parameters, of_results[record.forward.result()]};
}

void bind_records() {
  for (const Operator* record = Operator::first(); record; record = record->next()) {
    Binding* const binding = register_binding(record->signature, record->forms, record->doc);
    binding->record = record;
    binding->invoke = invoke_record;
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
