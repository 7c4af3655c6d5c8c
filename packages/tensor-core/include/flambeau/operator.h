// Operators as records, for the library itself. docs/examples/extension shows how extensions register operators.
//
// Note [Operators]
// A structural operator is a C++ function next to its record, in one file of its family in src/operators:
//
//     Tensor roll(const Tensor& input, const Shape& shifts, const Shape& dims) { ... }
//
//     const Operator roll_operator({.signature = "roll(input, shifts, dims=())",
//                                   .forms = kFunction | kMethod,
//                                   .doc = "Roll the elements along dimensions. ...",
//                                   .forward = roll,
//                                   .batched = batched_roll,
//                                   .reference = "np.roll(input, shifts, dims or None)",
//                                   .samples = "f(3, 4), 5; f(3, 4), (1, -2), (0, 1)"});
//
// `forward` computes the result and records its derivative (Note [Recording]). The types of its parameters and of its
// result determine how Python's arguments are converted, which values programs pass (Note [Programs]), and the types in
// the type stub. Tests call the operator with the samples; see python/flambeau/_samples.py.
//
// Note [Factories]
// A record with the form kFactory describes a function of sizes, or of another tensor, and of a dtype:
//
//     const Operator zeros_operator({.signature = "zeros(*size, dtype=None)",
//                                    .forms = kFunction | kOut | kFactory,
//                                    .forward = [](const Shape& size, std::optional<Dtype> dtype) { ... }});
//
// After the dtype, Python adds the parameters layout=, device=, requires_grad= and pin_memory=, and programs add the
// device. While `forward` runs, new tensors are created on the given device, otherwise on the device of the first
// parameter if this parameter is a tensor, otherwise on the default device. If out= is given, its dtype is the default
// for dtype=.
#pragma once

#include <algorithm>
#include <array>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>
#include <variant>

#include "flambeau/operators.h"

namespace flambeau {

// Forms of an operator in Python, and how its calls are prepared.
enum OperatorForm : int {
  kFunction = 1,      // flambeau.name
  kMethod = 2,        // Tensor.name
  kInPlace = 4,       // also name_, a function and a method, which writes the result to the first argument
  kOut = 8,           // also out=, to which the result is copied
  kPrivate = 16,      // flambeau._core.name
  kCopy = 32,         // for a view: also flambeau.name_copy, which returns a copy
  kBecome = 64,       // for a view: also name_, which turns the tensor itself into the view
  kFactory = 128,     // creates a tensor with a dtype= argument: see Note [Factories]
  kExactOut = 256,    // out= must have the dtype of the result
  kMaskOut = 32768,   // out= must be bool or uint8
  kDtypeOut = 65536,  // the dtype of out= is the default for dtype=, and must equal it
  kAnyOut = 131072,   // out= may have any dtype
  // The dtype in which autocast computes the operator. Note [Autocast]
  kLowerPrecision = 512,
  kFloat32 = 1024,
  kWidest = 2048,
  kAnyDevice = 4096,   // the tensors may be on different devices
  kKeepsOut = 16384,   // out= with the same number of elements as the result keeps its shape
  kNetwork = 8192,     // flambeau._core.nn_name, which a higher package publishes as name; programs call it nn_name
  kIdentity = 262144,  // the result is the argument itself
};
static_assert((kFunction | kMethod | kInPlace | kOut | kPrivate | kCopy | kBecome | kFactory | kExactOut | kMaskOut |
               kDtypeOut | kAnyOut | kLowerPrecision | kFloat32 | kWidest | kAnyDevice | kKeepsOut | kNetwork |
               kIdentity) == kFunction + kMethod + kInPlace + kOut + kPrivate + kCopy + kBecome + kFactory + kExactOut +
                                 kMaskOut + kDtypeOut + kAnyOut + kLowerPrecision + kFloat32 + kWidest + kAnyDevice +
                                 kKeepsOut + kNetwork + kIdentity,
              "two forms have the same bit");

template <class... T>
struct Types {};
using OptionalSizes = std::vector<std::optional<int64_t>>;
using TensorOrTensors = std::variant<Tensor, Tensors>;
// The types of parameters and of results. The index of a type in this list is its kind.
using ParameterTypes =
    Types<const Tensor*, Operand, std::optional<Operand>, Scalar, std::optional<Scalar>, int64_t,
          std::optional<int64_t>, double, std::optional<double>, bool, std::optional<bool>, Shape, OptionalDims,
          OptionalSizes, Dtype, std::optional<Dtype>, MemoryFormat, std::optional<MemoryFormat>, std::string_view,
          std::optional<std::string_view>, Reduction, Generator*, Tensors, std::variant<int64_t, Shape>,
          std::variant<Tensor, int64_t, Shape>, std::variant<Dtype, Shape>, std::variant<std::string_view, Shape>,
          std::optional<std::variant<Tensor, int64_t>>, std::optional<std::variant<int64_t, Shape>>,
          std::optional<std::variant<bool, Shape>>, std::optional<std::vector<double>>,
          std::optional<std::variant<double, std::vector<double>>>, std::variant<Tensor, int64_t>,
          std::variant<Tensor, int64_t, std::vector<Shape>>, TensorOrTensors>;
using Result =
    std::variant<std::monostate, bool, int64_t, double, Shape, Dtype, Tensor, TensorPair, Tensors, TensorOrTensors>;

namespace detail {

template <class T, template <class...> class List, class... All>
constexpr uint8_t position_in(std::type_identity<List<All...>>) {
  uint8_t position = 0;
  (void)((std::is_same_v<T, All> ? false : (++position, true)) && ...);
  return position;
}
template <class T, class List>
constexpr uint8_t kPosition = position_in<T>(std::type_identity<List>());

// Storage type of a parameter's value.
template <class T>
using Stored = std::conditional_t<std::is_same_v<T, const Tensor&>, const Tensor*, std::remove_cvref_t<T>>;

template <class... Args>
inline constexpr std::array<uint8_t, sizeof...(Args)> kKinds{kPosition<Stored<Args>, ParameterTypes>...};

}  // namespace detail

constexpr size_t kMaxParameters = 16;

// Supplies the values of an operator's parameters, from the first to the last.
struct ArgumentSource {
  // Constructs the value of parameter i at `to`. There is one function for each of ParameterTypes.
  using Construct = void (*)(ArgumentSource& self, size_t i, void* to);
  const Construct* construct;
};

// Base class of a `Source` that defines value<T>(i), which returns the value of parameter i, of type T.
template <class Source>
class ArgumentsFrom : public ArgumentSource {
 protected:
  ArgumentsFrom() : ArgumentSource{table(ParameterTypes()).data()} {}

 private:
  template <class... T>
  static const std::array<Construct, sizeof...(T)>& table(Types<T...>) {
    static constexpr std::array<Construct, sizeof...(T)> kTable{[](ArgumentSource& self, size_t i, void* to) {
      new (to) T(static_cast<Source&>(self).template value<T>(i));
    }...};
    return kTable;
  }
};

namespace detail {

// The value of a parameter of type T during a call.
template <class T>
class Argument {
 public:
  Argument(ArgumentSource& source, size_t i) {
    source.construct[kPosition<Stored<T>, ParameterTypes>](source, i, &value_);
  }
  Argument(const Argument&) = delete;
  Argument& operator=(const Argument&) = delete;
  ~Argument() { value_.~Value(); }
  T get() {
    if constexpr (std::is_same_v<T, const Tensor&>)
      return *value_;
    else
      return static_cast<T>(value_);
  }

 private:
  using Value = Stored<T>;
  union {
    Value value_;
  };
};

template <size_t i, class T>
struct NumberedArgument : Argument<T> {
  explicit NumberedArgument(ArgumentSource& source) : Argument<T>(source, i) {}
};
template <class Numbers, class... Args>
struct AllArguments;
template <size_t... i, class... Args>
struct AllArguments<std::index_sequence<i...>, Args...> : NumberedArgument<i, Args>... {
  explicit AllArguments(ArgumentSource& source) : NumberedArgument<i, Args>(source)... {}
  template <class F>
  auto pass_to(F f) {
    return f(NumberedArgument<i, Args>::get()...);
  }
};

}  // namespace detail

// A C++ function that can be called with values for its parameters, regardless of their types.
class OperatorFunction {
 public:
  OperatorFunction() = default;
  template <class R, class... Args>
  OperatorFunction(R (*function)(Args...))
      : function_(reinterpret_cast<void (*)()>(function)),
        call_(call<R, Args...>),
        type_(&typeid(R(Args...))),
        kinds_(detail::kKinds<Args...>) {
    if constexpr (!std::is_void_v<R>) result_ = detail::kPosition<R, Result>;
  }
  template <class Lambda>
    requires std::is_class_v<Lambda>
  OperatorFunction(Lambda lambda) : OperatorFunction(+lambda) {}

  explicit operator bool() const { return function_; }
  // The C++ function, and its type. Cast the function to this type before calling it.
  void (*function() const)() { return function_; }
  const std::type_info& type() const { return *type_; }
  // The kinds of the parameters, and the position of the result's type in Result.
  std::span<const uint8_t> kinds() const { return kinds_; }
  uint8_t result() const { return result_; }
  Result operator()(ArgumentSource& source) const { return call_(function_, source); }

 private:
  template <class R, class... Args>
  static Result call(void (*function)(), [[maybe_unused]] ArgumentSource& source) {
    const auto f = reinterpret_cast<R (*)(Args...)>(function);
    detail::AllArguments<std::index_sequence_for<Args...>, Args...> arguments(source);
    if constexpr (std::is_void_v<R>) {
      arguments.pass_to(f);
      return {};
    } else {
      return Result(std::in_place_type<R>, arguments.pass_to(f));
    }
  }

  void (*function_)() = nullptr;
  Result (*call_)(void (*)(), ArgumentSource&) = nullptr;
  const std::type_info* type_ = nullptr;
  std::span<const uint8_t> kinds_;
  uint8_t result_ = 0;
};

struct OperatorRecord {
  // Names, parameters and defaults in Python: "roll(input, shifts, dims=())". "clamp|clip(input, ...)" gives the
  // operator two names. A parameter *size takes the remaining positional integers or one sequence.
  const char* signature;
  int forms;
  const char* doc;
  OperatorFunction forward;
  // Like `forward`, for tensors with an additional leading batch dimension: for vmap. Without it, vmap uses a rule
  // written in Python, or a loop over the batch.
  OperatorFunction batched = {};
  // Like `forward`, but writes the result to the first argument, for name_. With this function and without kInPlace,
  // name_ is only a method. With kInPlace and without this function, name_ copies the result of `forward`.
  OperatorFunction in_place = {};
  // Like `forward`, with one more parameter: the tensor of out=, which receives the result. Without this function, or
  // if it returns an undefined tensor, out= receives a copy of the result of `forward`.
  OperatorFunction into = {};
  // The public module of the function, which then has the form kPrivate. In flambeau._core and in programs, a function
  // of flambeau.linalg has the name linalg_<name>.
  const char* module = "flambeau";
  // Names of the results, separated by ", ", if the function returns a named tuple.
  const char* fields = "";
  // For tests: the result as an expression of the parameters' names in NumPy (np) and SciPy (scipy), and arguments for
  // calls, separated by semicolons. Arrays of shape (2, 3): f(2, 3) of float64, p(2, 3) of positive float64, c(2, 3) of
  // complex128, i(2, 3) of int64, k(5, 2, 3) of indices below 5, b(2, 3) of bool.
  const char* reference = "";
  const char* samples = "";
};

// Writes the result of an in-place form to its tensor, including the grad_fn. Raises RuntimeError if shape or dtype do
// not permit this.
FLAMBEAU_API void write_in_place(const Tensor& to, const Tensor& result, const char* name);

class FLAMBEAU_API Operator : public OperatorRecord {
 public:
  explicit Operator(OperatorRecord record);  // adds the operator to the registry permanently
  Operator(const Operator&) = delete;
  Operator& operator=(const Operator&) = delete;
  static const Operator* first();
  // Returns the name in flambeau._core for one of the names in the signature.
  std::string attribute(std::string_view name) const;
  const Operator* next() const { return next_; }

 private:
  const Operator* next_;
};

}  // namespace flambeau
