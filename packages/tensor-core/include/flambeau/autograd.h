// What the tensor library knows of automatic differentiation: one hook, null until the autograd package is loaded.
//
// Note [Recording]
// An operator computes its result first and then, only if an input requires a gradient and grad mode is on, calls
// record with the inputs, the tensors its derivative will read, and the derivative itself: a function object from the
// gradients of the outputs to those of the inputs. The autograd package turns the record into a node of its graph;
// without that package no tensor can require a gradient, so nothing is ever recorded. A derivative is written with the
// operators of operators.h; if it runs with grad mode on, its own operations are recorded and it can be differentiated
// again.
//
// Note [Tangents]
// In forward mode a tensor carries tangents, one for each level of differentiation that is open and reaches it. It is
// `dual` then, and record is called for its operations as well, which computes the tangents of the outputs at once. A
// tensor is `tracked` if it is dual or requires a gradient.
//
// Note [Versions]
// A storage counts its in-place changes. A graph node remembers the version of what it saved, and refuses to run if the
// version is another when the gradient is asked for.
#pragma once

#include <initializer_list>
#include <memory>
#include <type_traits>
#include <utility>

#include "flambeau/tensor.h"

namespace flambeau {

class FLAMBEAU_API GraphNode {
 public:
  virtual ~GraphNode() = default;
  virtual const char* name() const = 0;
  void retain() { count_.increase(); }
  void release() {
    if (count_.decrease()) destroy();
  }
  uint32_t use_count() const { return count_.value(); }

 protected:
  virtual void destroy() = 0;

 private:
  ReferenceCount count_;
};

struct TensorHooks {  // the autograd package's own
  virtual ~TensorHooks() = default;
};

struct Tangents {  // the autograd package's own, of forward mode
  virtual ~Tangents() = default;
};

struct TensorPeer {  // the bindings' own, of a tensor whose class has __torch_dispatch__
  virtual ~TensorPeer() = default;
};

struct AutogradMeta {
  Tensor grad;
  Ref<GraphNode> grad_fn;            // null for a leaf
  GraphNode* accumulator = nullptr;  // borrowed: the node that adds to `grad`, while it lives
  uint32_t output_index = 0;         // which output of grad_fn this tensor is
  bool requires_grad = false;        // asked for by the user
  bool retains_grad = false;
  uint32_t history = 0;       // of a tensor with views: counts the in-place changes made through them
  uint32_t base_history = 0;  // of a view: its base's count when this view's grad_fn was made
  std::unique_ptr<TensorHooks> hooks;
  std::unique_ptr<Tangents> tangents;
  std::unique_ptr<TensorPeer> peer;
};

// What a derivative sees when it runs.
class Context {
 public:
  Context(const Tensor* gradients, const Tensor* saved, Tensor* results, const bool* needs)
      : gradients_(gradients), saved_(saved), results_(results), needs_(needs) {}
  const Tensor& gradient(int output = 0) const { return gradients_[output]; }
  const Tensor& saved(int i) const { return saved_[i]; }
  bool needs(int input) const { return needs_[input]; }
  void set(int input, Tensor gradient) const { results_[input] = std::move(gradient); }

 private:
  const Tensor* gradients_;
  const Tensor* saved_;
  Tensor* results_;
  const bool* needs_;
};

// A function object from Context to nothing, kept inline where it is small.
class Derivative {
 public:
  Derivative() = default;
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, Derivative>>>
  Derivative(F&& f) {
    using Function = std::decay_t<F>;
    if constexpr (sizeof(Function) <= kInline && std::is_nothrow_move_constructible_v<Function>) {
      new (inline_) Function(std::forward<F>(f));
      table_ = &kInlineTable<Function>;
    } else {
      new (inline_) Function*(new Function(std::forward<F>(f)));
      table_ = &kHeapTable<Function>;
    }
  }
  Derivative(Derivative&& other) noexcept { take(other); }
  Derivative& operator=(Derivative&& other) noexcept {
    reset();
    take(other);
    return *this;
  }
  ~Derivative() { reset(); }
  void reset() {
    if (table_) std::exchange(table_, nullptr)->destroy(inline_);
  }
  explicit operator bool() const { return table_ != nullptr; }
  void operator()(const Context& context) { table_->call(inline_, context); }

 private:
  static constexpr size_t kInline = 120;
  struct Table {
    void (*call)(void*, const Context&);
    void (*move)(void* to, void* from);
    void (*destroy)(void*);
  };
  template <class F>
  static constexpr Table kInlineTable = {[](void* f, const Context& c) { (*static_cast<F*>(f))(c); },
                                         [](void* to, void* from) {
                                           new (to) F(std::move(*static_cast<F*>(from)));
                                           static_cast<F*>(from)->~F();
                                         },
                                         [](void* f) { static_cast<F*>(f)->~F(); }};
  template <class F>
  static constexpr Table kHeapTable = {[](void* f, const Context& c) { (**static_cast<F**>(f))(c); },
                                       [](void* to, void* from) { *static_cast<F**>(to) = *static_cast<F**>(from); },
                                       [](void* f) { delete *static_cast<F**>(f); }};
  void take(Derivative& other) {
    table_ = std::exchange(other.table_, nullptr);
    if (table_) table_->move(inline_, other.inline_);
  }

  const Table* table_ = nullptr;
  alignas(16) unsigned char inline_[kInline];
};

struct Recording {
  enum Kind : uint8_t { kFresh, kView, kInPlace };
  const char* name;  // of the operator in CamelCase, with static lifetime; the node is called <name>Backward0
  Kind kind;
  const Tensor* const* outputs;
  int output_count;
  const Tensor* const* inputs;  // the differentiable ones; undefined tensors are allowed
  int input_count;
  const Tensor* const* saved;
  int saved_count;
  Derivative derivative;
  bool wants_zeros = true;   // for outputs without a gradient; otherwise they are undefined there
  bool elementwise = false;  // every element of the output depends on one element of each input only
  bool in_python = false;    // the derivative calls operators from Python, so that __torch_dispatch__ sees them
};

struct AutogradHooks {
  void (*record)(Recording& recording);
  void (*set_requires_grad)(const Tensor& t, bool requires_grad);
  void (*forget_meta)(AutogradMeta& meta);                           // it is about to go
  void (*adopt_tangents)(const Tensor& self, const Tensor& source);  // gives `self` those of `source`
};

FLAMBEAU_API extern const AutogradHooks* autograd_hooks;

FLAMBEAU_API AutogradMeta& meta_of(const Tensor& t);  // made if it is missing

// What this thread does with operations on tracked tensors. Grad mode is the user's switch for the first; the second is
// on while a level of forward mode is open.
namespace modes {
inline constexpr uint8_t kGraph = 1, kTangents = 2;
}
FLAMBEAU_API uint8_t recording_modes();
FLAMBEAU_API void set_recording_modes(uint8_t modes);
inline bool recording_enabled() { return recording_modes() != 0; }
inline bool grad_enabled() { return recording_modes() & modes::kGraph; }
inline void set_grad_enabled(bool enabled) {
  set_recording_modes(uint8_t((recording_modes() & ~modes::kGraph) | (enabled ? modes::kGraph : 0)));
}

class RecordingModes {  // sets them for a scope
 public:
  explicit RecordingModes(uint8_t modes) : previous_(recording_modes()) { set_recording_modes(modes); }
  ~RecordingModes() { set_recording_modes(previous_); }
  RecordingModes(const RecordingModes&) = delete;

 private:
  uint8_t previous_;
};

class NoRecording : RecordingModes {  // for what an operator does inside
 public:
  NoRecording() : RecordingModes(0) {}
};

class NoGrad : RecordingModes {  // the user's switch: no graph is recorded in a scope
 public:
  NoGrad() : RecordingModes(recording_modes() & modes::kTangents) {}
};

template <class... Tensors>
inline bool recording(const Tensors&... inputs) {
  return ((inputs.defined() && inputs.tracked()) || ...) && recording_enabled();
}

using TensorList = std::initializer_list<const Tensor*>;

inline void record(const char* name, TensorList outputs, TensorList inputs, TensorList saved, Derivative derivative,
                   Recording::Kind kind = Recording::kFresh) {
  Recording r{name,
              kind,
              outputs.begin(),
              int(outputs.size()),
              inputs.begin(),
              int(inputs.size()),
              saved.begin(),
              int(saved.size()),
              std::move(derivative)};
  autograd_hooks->record(r);
}
inline void record(const char* name, const Tensor& output, TensorList inputs, TensorList saved, Derivative derivative,
                   Recording::Kind kind = Recording::kFresh) {
  record(name, {&output}, inputs, saved, std::move(derivative), kind);
}

// To be called before `self` is written in place: refuses what cannot be undone, and counts the change. `recorded`:
// whether another operand requires a gradient, so that `self` will have a history.
FLAMBEAU_API void begin_inplace(const Tensor& self, const char* operation, bool recorded = false);
// Records that an in-place operation has overwritten `self`, whatever it was: its former history gets no gradient.
FLAMBEAU_API void forget_history(const Tensor& self, const char* name);
// Makes the history of `result`, a fresh tensor computed from `self`, the history of `self`, which now holds its
// values.
FLAMBEAU_API void adopt_history(const Tensor& self, const Tensor& result);

// A number that differs where the objects that cross from one library to another are laid out differently: what was
// compiled against other headers than the library in use is refused instead of reading the wrong bytes.
constexpr uint64_t memory_layout() {
  uint64_t layout = 14695981039346656037ull;
  for (uint64_t size : {sizeof(Storage), sizeof(TensorImpl), sizeof(Shape), sizeof(AutogradMeta), sizeof(Recording),
                        sizeof(Derivative), sizeof(AutogradHooks)})
    layout = (layout ^ size) * 1099511628211ull;
  return layout;
}
FLAMBEAU_API uint64_t library_memory_layout();

}  // namespace flambeau
