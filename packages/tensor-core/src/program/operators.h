// The operators that programs can call, by their names.
//
// Pointwise operators and operators with a record (Note [Operators]) need no entry. In-place operators also need no
// entry: `name_` computes `name` and writes the result to its first argument. Other operators are listed as op("name",
// function) in operators_<family>.cpp. If they exist in Python, they have the same name and parameters there. The types
// of the C++ function's parameters determine how arguments are converted.
#pragma once

#include "flambeau/operator.h"
#include "program/arguments.h"

namespace flambeau::program {

struct Operator {
  std::string name;
  int arity = 0;
  uint32_t optional = 0;  // bit i is set if argument i, a tensor or a list of tensors, may be None or contain None
  void (*function)() = nullptr;
  void (*run)(const Operator&, const Value* const* arguments, Values& results) = nullptr;
  const OperatorFunction* recorded = nullptr;  // for an operator with a record
  const Operator* inner = nullptr;             // for `name_`: the operator `name`
  bool is_row = false;                         // true if it computes the pointwise operator `row`, in place or not
  PointwiseOp row = {};
  const Program::Function* registered = nullptr;  // for an operator of an extension
  bool orders_others = false;                     // true if other instructions must not be moved across this operator
};
using Family = std::vector<Operator>;

// Returns the operator with this name, or null if it does not exist.
const Operator* find(std::string_view name);

inline void store(Values& results, Tensor t) { results.emplace_back(std::move(t)); }
inline void store(Values& results, const TensorPair& pair) {
  results.emplace_back(pair.values);
  results.emplace_back(pair.indices);
}
inline void store(Values& results, const Tensors& tensors) {
  for (const Tensor& t : tensors) results.emplace_back(t);
}
inline void store(Values&, std::monostate) {}
inline void store(Values& results, Dtype dtype) { results.emplace_back(dtype); }
inline void store(Values& results, const TensorOrTensors& tensors) {
  std::visit([&](const auto& given) { store(results, given); }, tensors);
}
inline void store(Values& results, const Shape& sizes) {
  for (const int64_t size : sizes) results.emplace_back(size);
}
inline void store(Values& results, int64_t number) { results.emplace_back(number); }
inline void store(Values& results, double number) { results.emplace_back(number); }
inline void store(Values& results, bool truth) { results.emplace_back(truth); }
inline void store(Values& results, Value value) { results.push_back(std::move(value)); }
inline void store(Values& results, Values values) {
  for (Value& v : values) results.push_back(std::move(v));
}

// Raises TypeError if T is a tensor or a list of tensors, `optional` is false, and the value is or contains None.
template <class T>
void require_defined(const Value& v, bool optional) {
  if constexpr (std::is_same_v<T, const Tensor&> || std::is_same_v<T, const Tensors&>) {
    if (optional) return;
    if (std::holds_alternative<None>(v)) wrong_value("a tensor", v);
    if (const Values* items = std::get_if<Values>(&v))
      for (const Value& item : *items)
        if (std::holds_alternative<None>(item)) wrong_value("a tensor", item);
  }
}

// `optional`: the positions of tensor arguments that may be None.
template <class R, class... Args>
Operator op(const char* name, R (*function)(Args...), std::initializer_list<int> optional = {}) {
  Operator o;
  o.name = name;
  for (const int i : optional) o.optional |= 1u << i;
  o.arity = int(sizeof...(Args));
  o.function = reinterpret_cast<void (*)()>(function);
  o.run = [](const Operator& self, const Value* const* arguments, Values& results) {
    auto f = reinterpret_cast<R (*)(Args...)>(self.function);
    (void)arguments;
    [&]<size_t... I>(std::index_sequence<I...>) {
      (require_defined<Args>(*arguments[I], self.optional >> I & 1), ...);
      if constexpr (std::is_void_v<R>)
        f(As<Args>::get(*arguments[I])...);
      else
        store(results, f(As<Args>::get(*arguments[I])...));
    }(std::index_sequence_for<Args...>());
  };
  return o;
}
template <class F>
Operator op(const char* name, F lambda, std::initializer_list<int> optional = {}) {
  return op(name, +lambda, optional);
}

Family indexing_operators();  // operators_indexing.cpp
Family layout_operators();    // operators_layout.cpp
Family number_operators();    // operators_numbers.cpp
Family training_operators();  // operators_training.cpp

}  // namespace flambeau::program
