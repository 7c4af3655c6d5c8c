// Calls of flambeau's operators. Arguments and results are converted from and to the types of ATen's interface.
#pragma once

#include <tuple>

#include <ATen/core/TensorBody.h>
#include <ATen/flambeau/python_calls.h>

namespace at::detail {

[[noreturn, gnu::cold]] inline void reject(const char* name, size_t i) {
  ::flambeau::detail::raise<c10::TypeError>(name, "(): argument ", i, " has a type that the operator does not accept");
}

inline ::flambeau::Shape shape_of(c10::IntArrayRef dims) { return {dims.begin(), dims.end()}; }
inline ::flambeau::Tensors native(TensorList tensors) {
  ::flambeau::Tensors out;
  for (const Tensor& t : tensors) out.push_back(t.native());
  return out;
}

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <class T>
inline constexpr bool is_variant = false;
template <class... T>
inline constexpr bool is_variant<std::variant<T...>> = true;

// Returns true if an argument can be converted to a parameter of type T.
template <class T>
bool suits(const Argument& a) {
  using enum Argument::Kind;
  if constexpr (std::is_same_v<T, ::flambeau::Tensor>) return a.kind == OfTensor;
  if constexpr (std::is_same_v<T, bool>) return a.kind == OfNumber && a.number.kind() == ::flambeau::Category::Boolean;
  if constexpr (std::is_same_v<T, int64_t>) return (a.kind == OfNumber) || (a.kind == OfDims && a.single);
  if constexpr (std::is_same_v<T, double>) return a.kind == OfNumber;
  if constexpr (std::is_same_v<T, ::flambeau::Shape>) return a.kind == OfDims;
  if constexpr (std::is_same_v<T, ::flambeau::Dtype>) return a.kind == OfDtype;
  if constexpr (std::is_same_v<T, std::string_view>) return a.kind == OfText;
  if constexpr (std::is_same_v<T, ::flambeau::Tensors>) return a.kind == OfTensors;
  if constexpr (std::is_same_v<T, std::vector<double>>) return a.kind == OfDoubles;
  return false;
}

template <class T>
T convert(const char* name, size_t i, const Argument& a);

template <class V, class T, class... Others>
V convert_variant(const char* name, size_t i, const Argument& a) {
  if (suits<T>(a)) return V(std::in_place_type<T>, convert<T>(name, i, a));
  if constexpr (sizeof...(Others) > 0)
    return convert_variant<V, Others...>(name, i, a);
  else
    reject(name, i);
}
template <class... T>
std::variant<T...> convert_to(const char* name, size_t i, const Argument& a, std::type_identity<std::variant<T...>>) {
  return convert_variant<std::variant<T...>, T...>(name, i, a);
}

inline ::flambeau::Reduction reduction_of(const char* name, size_t i, const Argument& a) {
  if (a.kind == Argument::OfNumber) return ::flambeau::Reduction(a.number.integer());
  if (a.kind != Argument::OfText) reject(name, i);
  return a.text() == "none"   ? ::flambeau::Reduction::None
         : a.text() == "mean" ? ::flambeau::Reduction::Mean
                              : ::flambeau::Reduction::Sum;
}

// Converts an argument to a parameter of type T. Throws a TypeError if that is impossible.
template <class T>
T convert(const char* name, size_t i, const Argument& a) {
  using enum Argument::Kind;
  static const ::flambeau::Tensor undefined;
  if constexpr (is_optional<T>) {
    if (a.kind == None) return std::nullopt;
    return convert<typename T::value_type>(name, i, a);
  } else if constexpr (is_variant<T>) {
    return convert_to(name, i, a, std::type_identity<T>());
  } else if constexpr (std::is_same_v<T, const ::flambeau::Tensor*>) {
    if (a.kind == OfTensor) return &a.tensor();
    if (a.kind == None) return &undefined;
  } else if constexpr (std::is_same_v<T, ::flambeau::Tensor>) {
    return a.tensor();
  } else if constexpr (std::is_same_v<T, ::flambeau::Operand>) {
    if (a.kind == OfTensor) return a.tensor();
    if (a.kind == OfNumber) return a.number;
  } else if constexpr (std::is_same_v<T, ::flambeau::Scalar>) {
    if (a.kind == OfNumber) return a.number;
    if (a.kind == OfTensor) return ::flambeau::item(a.tensor());
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, double>) {
    if (a.kind == OfNumber) return a.number.to<T>();
  } else if constexpr (std::is_same_v<T, int64_t>) {
    if (a.kind == OfNumber) return a.number.integer();
    if (a.kind == OfDims && a.size == 1) return a.dims()[0];
  } else if constexpr (std::is_same_v<T, ::flambeau::Shape>) {
    if (a.kind == OfDims) return shape_of(a.dims());
    if (a.kind == OfNumber) return {a.number.integer()};
  } else if constexpr (std::is_same_v<T, ::flambeau::OptionalSizes>) {
    if (a.kind == OfDims) return {a.dims().begin(), a.dims().end()};
    if (a.kind == OfNumber) return {a.number.integer()};
  } else if constexpr (std::is_same_v<T, ::flambeau::Dtype>) {
    if (a.kind == OfDtype) return a.dtype;
  } else if constexpr (std::is_same_v<T, ::flambeau::MemoryFormat>) {
    if (a.kind == OfFormat) return a.format;
  } else if constexpr (std::is_same_v<T, std::string_view>) {
    if (a.kind == OfText) return a.text();
  } else if constexpr (std::is_same_v<T, ::flambeau::Reduction>) {
    return reduction_of(name, i, a);
  } else if constexpr (std::is_same_v<T, ::flambeau::Generator*>) {
    if (a.kind == None) return nullptr;
  } else if constexpr (std::is_same_v<T, ::flambeau::Tensors>) {
    if (a.kind == OfTensors) return native(a.tensors());
    if (a.kind == OfTensor) return {a.tensor()};
  } else if constexpr (std::is_same_v<T, std::vector<double>>) {
    if (a.kind == OfDoubles) return a.doubles().vec();
    if (a.kind == OfNumber) return {a.number.real()};
  }
  reject(name, i);
}

// The arguments of a call. Missing arguments are None.
class CallArguments : public ::flambeau::ArgumentsFrom<CallArguments> {
 public:
  CallArguments(const char* name, Arguments arguments) : name_(name), arguments_(arguments) {}
  template <class T>
  T value(size_t i) const {
    static const Argument none(c10::nullopt);
    return convert<T>(name_, i, i < arguments_.size() ? arguments_.begin()[i] : none);
  }

 private:
  const char* name_;
  Arguments arguments_;
};

// Returns the device on which a call creates new tensors: the device of the first argument that is not on the CPU.
inline ::flambeau::Device device_of(Arguments arguments) {
  for (const Argument& a : arguments) {
    if (a.kind == Argument::OfTensor && a.tensor().defined() && a.tensor().device() != ::flambeau::DeviceType::Cpu)
      return a.tensor().device();
    if (a.kind == Argument::OfTensors)
      for (const Tensor& t : a.tensors())
        if (t.defined() && t.native().device() != ::flambeau::DeviceType::Cpu) return t.native().device();
  }
  return {};
}

inline ::flambeau::Result run(const ::flambeau::OperatorFunction& function, const char* name, Arguments arguments) {
  CallArguments source(name, arguments);
  return function(source);
}

template <class T>
T returned(const ::flambeau::Result& result);
inline Tensor at_position(const ::flambeau::Tensors& tensors, size_t i) { return Tensor(tensors.at(i)); }
template <class... T>
std::tuple<T...> tuple_of(const ::flambeau::Tensors& tensors, std::type_identity<std::tuple<T...>>) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return std::tuple<T...>(at_position(tensors, I)...);
  }(std::index_sequence_for<T...>());
}
inline ::flambeau::Tensors tensors_in(const ::flambeau::Result& result) {
  using namespace ::flambeau;
  if (const TensorPair* const pair = std::get_if<TensorPair>(&result)) return {pair->values, pair->indices};
  if (const Tensors* const several = std::get_if<Tensors>(&result)) return *several;
  if (const TensorOrTensors* const either = std::get_if<TensorOrTensors>(&result))
    if (const Tensors* const several = std::get_if<Tensors>(either)) return *several;
  ::flambeau::detail::raise<c10::TypeError>("expected several results, but the operator has a single one");
}

// Converts a result to a type of ATen's interface.
template <class T>
T returned(const ::flambeau::Result& result) {
  if constexpr (std::is_void_v<T>) {
    return;
  } else if constexpr (std::is_same_v<T, Tensor>) {
    if (const auto* const either = std::get_if<::flambeau::TensorOrTensors>(&result))
      return Tensor(std::get<::flambeau::Tensor>(*either));
    return Tensor(std::get<::flambeau::Tensor>(result));
  } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
    std::vector<Tensor> out;
    for (const ::flambeau::Tensor& t : tensors_in(result)) out.emplace_back(t);
    return out;
  } else if constexpr (std::is_same_v<T, c10::ScalarType>) {
    return c10::detail::scalar_type_of(std::get<::flambeau::Dtype>(result));
  } else if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
    return std::get<T>(result);
  } else {
    return tuple_of(tensors_in(result), std::type_identity<T>());
  }
}

// Returns the record of the operator `name` in flambeau._core. If `method` is true, searches methods, not functions.
inline const ::flambeau::Operator& record_of(std::string_view name, bool method) {
  const int form = method ? ::flambeau::kMethod : ::flambeau::kFunction | ::flambeau::kPrivate | ::flambeau::kNetwork;
  for (const auto* op = ::flambeau::Operator::first(); op; op = op->next()) {
    if (!(op->forms & form)) continue;
    std::string_view names(op->signature);
    names = names.substr(0, names.find('('));
    for (size_t bar = 0; bar != names.npos; names.remove_prefix(bar == names.npos ? 0 : bar + 1)) {
      bar = names.find('|');
      if (op->attribute(names.substr(0, bar)) == name) return *op;
    }
  }
  ::flambeau::detail::raise<c10::NotImplementedError>("the installed flambeau has no operator ", name);
}
inline const ::flambeau::PointwiseRow& row_named(std::string_view name) {
  for (const ::flambeau::PointwiseRow& row : ::flambeau::pointwise_rows())
    if (name == row.name) return row;
  ::flambeau::detail::raise<c10::NotImplementedError>("the installed flambeau has no operator ", name);
}

template <class T>
T call(const ::flambeau::Operator& op, const char* name, Arguments arguments) {
  const ::flambeau::OnDevice scope(device_of(arguments), name);
  return returned<T>(run(op.forward, name, arguments));
}

// Calls a factory function. The arguments include the dtype, which may be None. Note [Factories]
inline Tensor make(const ::flambeau::Operator& op, const char* name, Arguments arguments,
                   const c10::TensorOptions& options) {
  const auto device = options.device_opt() ? options.device().native() : device_of(arguments);
  const ::flambeau::OnDevice scope(device, name);
  return returned<Tensor>(run(op.forward, name, arguments)).set_requires_grad_if(options.requires_grad());
}

// Calls the in-place form of an operator. `self` is also the first argument.
inline void change(const ::flambeau::Operator& op, const char* name, const Tensor& self, Arguments arguments) {
  const ::flambeau::OnDevice scope(device_of(arguments), name);
  if (op.in_place)
    run(op.in_place, name, arguments);
  else
    ::flambeau::write_in_place(self.native(), returned<Tensor>(run(op.forward, name, arguments)).native(), name);
}

template <size_t N>
std::array<::flambeau::Operand, N> operands(const char* name, const Argument (&arguments)[N]) {
  return [&]<size_t... I>(std::index_sequence<I...>) {
    return std::array<::flambeau::Operand, N>{convert<::flambeau::Operand>(name, I, arguments[I])...};
  }(std::make_index_sequence<N>());
}
template <size_t N>
Tensor call(const ::flambeau::PointwiseRow& row, const Argument (&arguments)[N]) {
  const ::flambeau::OnDevice scope(device_of({arguments[0], arguments[N - 1]}), row.name);
  return Tensor(::flambeau::pointwise(row.op, operands(row.name, arguments).data()));
}
template <size_t N>
void change(const ::flambeau::PointwiseRow& row, const Argument (&arguments)[N]) {
  const ::flambeau::OnDevice scope(device_of({arguments[0]}), row.name);
  ::flambeau::pointwise_(row.op, operands(row.name, arguments).data());
}

// Writes a result to `out`, which is resized if necessary.
inline Tensor& write_out(Tensor& out, const Tensor& result) {
  if (!out.defined()) return out = result;
  if (out.native().shape() != result.native().shape()) ::flambeau::resize(out.native(), result.native().shape());
  ::flambeau::copy_(out.native(), result.native());
  return out;
}

}  // namespace at::detail
