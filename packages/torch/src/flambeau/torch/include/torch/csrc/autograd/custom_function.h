// torch::autograd::Function: an operation and its derivative, written in C++.
#pragma once

#include <cxxabi.h>

#include <typeinfo>

#include <torch/types.h>

namespace torch::autograd {

// The state that the forward pass keeps for the derivative.
class AutogradContext {
 public:
  std::unordered_map<std::string, c10::IValue> saved_data;

  void save_for_backward(variable_list tensors) { to_save_ = std::move(tensors); }
  variable_list get_saved_variables() const { return saved_; }
  void mark_non_differentiable(const variable_list& outputs) { non_differentiable_ = outputs; }
  void mark_dirty(const variable_list& inputs) { dirty_ = inputs; }
  void set_materialize_grads(bool value) { materialize_ = value; }
  bool needs_input_grad(size_t edge) const { return needs_.at(edge); }
  bool needs_input_grad(std::initializer_list<std::pair<size_t, size_t>> ranges) const {
    for (const auto& [begin, end] : ranges)
      for (size_t i = begin; i < end; ++i)
        if (needs_.at(i)) return true;
    return false;
  }

 private:
  template <class>
  friend struct Function;
  static bool holds(const variable_list& tensors, const Variable& t) {
    return std::any_of(tensors.begin(), tensors.end(), [&](const Variable& each) { return each.is_same(t); });
  }
  variable_list to_save_, saved_, non_differentiable_, dirty_;
  std::vector<bool> needs_;
  bool materialize_ = true;
};

namespace detail {

// Appends the tensors of an argument of forward() to the inputs of the node. An optional tensor without a value counts
// as an undefined tensor. Other arguments have no tensors.
inline void collect(variable_list& to, const Variable& t) { to.push_back(t); }
inline void collect(variable_list& to, const c10::optional<Variable>& t) { to.push_back(t.value_or(Variable())); }
inline void collect(variable_list& to, const variable_list& tensors) {
  to.insert(to.end(), tensors.begin(), tensors.end());
}
inline void collect(variable_list& to, at::TensorList tensors) { to.insert(to.end(), tensors.begin(), tensors.end()); }
template <class T>
void collect(variable_list&, const T&) {}

// Appends an entry for each gradient that backward() must return for an argument of forward(): true for each tensor,
// and a single false for an argument of another type, whose gradient must be undefined.
template <class T>
void count(std::vector<bool>& are_tensors, const T& argument) {
  variable_list tensors;
  collect(tensors, argument);
  constexpr bool plain = !std::is_convertible_v<const T&, Variable> && !std::is_same_v<T, c10::optional<Variable>> &&
                         !std::is_same_v<T, variable_list> && !std::is_same_v<T, at::TensorList>;
  if (plain)
    are_tensors.push_back(false);
  else
    are_tensors.insert(are_tensors.end(), tensors.size(), true);
}

inline variable_list listed(const Variable& output) { return {output}; }
inline variable_list listed(const variable_list& outputs) { return outputs; }
inline Variable given_back(const Variable&, const variable_list& outputs) { return outputs.at(0); }
inline variable_list given_back(const variable_list&, const variable_list& outputs) { return outputs; }

}  // namespace detail

// The base class of custom operations:
//
// struct Square : torch::autograd::Function<Square> {
//   static Variable forward(AutogradContext* ctx, Variable x);
//   static variable_list backward(AutogradContext* ctx, variable_list gradients);
// };
template <class Derived>
struct Function {
  template <class... Args>
  static auto apply(Args&&... args);

  // Returns the name of the class, for grad_fn and error messages.
  static const char* name() {
    static const std::string found = [] {
      int status = 0;
      char* const full = abi::__cxa_demangle(typeid(Derived).name(), nullptr, nullptr, &status);
      const std::string text = full ? full : "Function";
      std::free(full);
      return text.substr(text.rfind(':') + 1);
    }();
    return found.c_str();
  }

 private:
  using Context = std::shared_ptr<AutogradContext>;
  static void record(const Context& context, const variable_list& inputs, const std::vector<bool>& are_tensors,
                     variable_list& outputs);
  static void differentiate(const Context& context, const ::flambeau::Context& c, const std::vector<bool>& are_tensors,
                            const std::vector<int>& places, size_t saved);
};

template <class Derived>
template <class... Args>
auto Function<Derived>::apply(Args&&... args) {
  const Context context = std::make_shared<AutogradContext>();
  variable_list inputs;
  std::vector<bool> are_tensors;
  (detail::collect(inputs, args), ...);
  (detail::count(are_tensors, args), ...);
  bool recorded = false;
  auto next = inputs.begin();
  for (const bool is_tensor : are_tensors) {
    const bool needs = is_tensor && next->defined() && next->native().tracked();
    if (is_tensor) ++next;
    context->needs_.push_back(needs);
    recorded |= needs;
  }
  const auto result = [&] {
    const ::flambeau::NoRecording off;
    return Derived::forward(context.get(), std::forward<Args>(args)...);
  }();
  variable_list outputs = detail::listed(result);
  for (const Variable& changed : context->dirty_) ::flambeau::begin_inplace(changed.native(), "Function", recorded);
  if (recorded && ::flambeau::recording_enabled()) record(context, inputs, are_tensors, outputs);
  return detail::given_back(result, outputs);
}

template <class Derived>
void Function<Derived>::record(const Context& context, const variable_list& inputs,
                               const std::vector<bool>& are_tensors, variable_list& outputs) {
  std::vector<const ::flambeau::Tensor*> given, kept, made;
  std::vector<int> places(outputs.size(), -1);  // index of each output in `made`, or -1
  bool in_place = false;
  for (const Variable& input : inputs) given.push_back(&input.native());
  for (size_t k = 0; k < outputs.size(); ++k) {
    Variable& output = outputs[k];
    if (!output.defined() || AutogradContext::holds(context->non_differentiable_, output)) continue;
    if (AutogradContext::holds(context->dirty_, output))
      in_place = true;
    else if (AutogradContext::holds(inputs, output))
      output = output.tensor_data();  // an input that is returned unchanged becomes a separate output
    places[k] = int(made.size());
    made.push_back(&output.native());
  }
  TORCH_CHECK(!in_place || made.size() == 1,
              "a C++ autograd Function that changes an input in place must have exactly one output");
  for (const Variable& t : context->to_save_) kept.push_back(&t.native());
  const size_t saved = kept.size();
  ::flambeau::Recording recording{name(),
                                  in_place ? ::flambeau::Recording::kInPlace : ::flambeau::Recording::kFresh,
                                  made.data(),
                                  int(made.size()),
                                  given.data(),
                                  int(given.size()),
                                  kept.data(),
                                  int(saved),
                                  [context, are_tensors, places, saved](const ::flambeau::Context& c) {
                                    differentiate(context, c, are_tensors, places, saved);
                                  },
                                  context->materialize_};
  if (!made.empty()) ::flambeau::autograd_hooks->record(recording);
  context->to_save_.clear();
}

template <class Derived>
void Function<Derived>::differentiate(const Context& context, const ::flambeau::Context& c,
                                      const std::vector<bool>& are_tensors, const std::vector<int>& places,
                                      size_t saved) {
  variable_list gradients;
  for (const int place : places) gradients.push_back(place < 0 ? Variable() : Variable(c.gradient(place)));
  context->saved_.clear();
  for (size_t i = 0; i < saved; ++i) context->saved_.emplace_back(c.saved(int(i)));
  const variable_list results = Derived::backward(context.get(), std::move(gradients));
  context->saved_.clear();
  for (size_t i = are_tensors.size(); i < results.size(); ++i)
    TORCH_CHECK(!results[i].defined(), "function ", name(), " returned an incorrect number of gradients ", "(expected ",
                are_tensors.size(), ", got ", results.size(), ")");
  TORCH_CHECK(results.size() >= are_tensors.size(), "function ", name(),
              " returned an incorrect number of gradients (expected ", are_tensors.size(), ", got ", results.size(),
              ")");
  int edge = 0;
  for (size_t i = 0; i < are_tensors.size(); ++i) {
    if (are_tensors[i]) {
      if (results[i].defined() && c.needs(edge)) c.set(edge, results[i].native());
      ++edge;
    } else {
      TORCH_CHECK(!results[i].defined(), "function ", name(), " returned a gradient different from None at ",
                  "position ", i + 1, ", but the corresponding forward input was not a Variable");
    }
  }
}

}  // namespace torch::autograd
