// The interface between the tensor library and automatic differentiation: a table of functions, which is null until the
// autograd package is loaded.
//
// Note [Recording]
// An operator first computes its result. If an input requires a gradient and grad mode is on, it then calls record with
// the inputs, the tensors that its derivative reads, and the derivative: a function object that computes the gradients
// of the inputs from the gradients of the outputs. The autograd package adds a node to its graph. Without that package
// no tensor can require a gradient, so nothing is recorded. A derivative calls the operators of operators.h. If it runs
// with grad mode on, these operations are also recorded, so that the derivative can be differentiated again.
//
// Note [Tangents]
// In forward mode a tensor can have tangents, one for each active level of differentiation. A tensor with tangents is
// `dual`. record is also called for its operations and computes the tangents of the outputs immediately. A tensor is
// `tracked` if it is dual or requires a gradient.
//
// Note [Versions]
// A storage counts its in-place changes. A graph node stores the version of each saved tensor, and raises an error in
// the backward pass if the version has changed.
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

struct TensorHooks {  // defined by the autograd package
  virtual ~TensorHooks() = default;
};

struct Tangents {  // forward-mode tangents of a tensor; defined by the autograd package
  virtual ~Tangents() = default;
};

struct TensorPeer {  // Python state of a tensor whose class has __torch_dispatch__; defined by the bindings
  virtual ~TensorPeer() = default;
};

struct AutogradMeta {
  Tensor grad;
  Ref<GraphNode> grad_fn;            // null for a leaf
  GraphNode* accumulator = nullptr;  // borrowed: the node that adds to `grad`, if it exists
  uint32_t output_index = 0;         // index of this tensor among the outputs of grad_fn
  bool requires_grad = false;        // set by the user
  bool retains_grad = false;
  uint32_t history = 0;       // for a base: the number of in-place changes made through its views
  uint32_t base_history = 0;  // for a view: `history` of its base when the grad_fn of this view was created
  std::unique_ptr<TensorHooks> hooks;
  std::unique_ptr<Tangents> tangents;
  std::unique_ptr<TensorPeer> peer;
};

// The arguments and results of a derivative.
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

// A function object that takes a Context and returns nothing. Small function objects are stored inline.
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
  const char* name;  // the operator's name in CamelCase, with static lifetime; the node is called <name>Backward0
  Kind kind;
  const Tensor* const* outputs;
  int output_count;
  const Tensor* const* inputs;  // the differentiable inputs; undefined tensors are allowed
  int input_count;
  const Tensor* const* saved;
  int saved_count;
  Derivative derivative;
  bool wants_zeros = true;   // missing gradients of outputs become zeros; otherwise they are undefined
  bool elementwise = false;  // each element of the output depends on a single element of each input
  bool in_python = false;    // the derivative calls operators from Python, so that __torch_dispatch__ sees them
};

struct AutogradHooks {
  void (*record)(Recording& recording);
  void (*set_requires_grad)(const Tensor& t, bool requires_grad);
  void (*forget_meta)(AutogradMeta& meta);                           // called before `meta` is destroyed
  void (*adopt_tangents)(const Tensor& self, const Tensor& source);  // copies tangents of `source`
};

FLAMBEAU_API extern const AutogradHooks* autograd_hooks;

FLAMBEAU_API AutogradMeta& meta_of(const Tensor& t);  // creates the AutogradMeta if it does not exist

// The recording modes of this thread: kGraph adds operations to the graph (grad mode, set by the user), and kTangents
// computes tangents (set while a level of forward mode is active). In inference mode, nothing is added to the graph.
// There, kSuspended is set in place of kGraph if the user enables grad mode.
namespace modes {
inline constexpr uint8_t kGraph = 1, kTangents = 2, kSuspended = 4;
}
FLAMBEAU_API uint8_t recording_modes();
FLAMBEAU_API void set_recording_modes(uint8_t modes);
inline bool recording_enabled() { return recording_modes() & (modes::kGraph | modes::kTangents); }
inline bool grad_enabled() { return recording_modes() & modes::kGraph; }
inline bool grad_mode() { return recording_modes() & (modes::kGraph | modes::kSuspended); }  // as the user has set it
FLAMBEAU_API void set_grad_mode(bool enabled);

class RecordingModes {  // scope that sets the recording modes of this thread
 public:
  explicit RecordingModes(uint8_t modes) : previous_(recording_modes()) { set_recording_modes(modes); }
  ~RecordingModes() { set_recording_modes(previous_); }
  RecordingModes(const RecordingModes&) = delete;

 private:
  uint8_t previous_;
};

class NoRecording : RecordingModes {  // disables recording for a scope: for operations within an operator
 public:
  NoRecording() : RecordingModes(0) {}
};

class NoGrad : RecordingModes {  // disables grad mode for a scope
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

// Call this before `self` is written in place. It raises an error if the change is not allowed, and increases the
// version. `recorded`: true if another operand requires a gradient, so that `self` becomes part of the graph.
FLAMBEAU_API void begin_inplace(const Tensor& self, const char* operation, bool recorded = false);
FLAMBEAU_API extern void (*change_observer)(const Tensor& self);  // if set, begin_inplace calls it before the change
// Like begin_inplace, for an operation that writes the same value to all elements. Elements of `self` may share memory.
FLAMBEAU_API void begin_fill(const Tensor& self, const char* operation);
// Records that an in-place operation has overwritten all of `self`, so that its previous graph receives no gradient.
FLAMBEAU_API void forget_history(const Tensor& self, const char* name);
// Replaces the grad_fn of `self` with the grad_fn of `result`, a new tensor that was computed from `self` and whose
// values `self` now contains.
FLAMBEAU_API void adopt_history(const Tensor& self, const Tensor& result);

// A hash of the sizes of the objects that libraries exchange. An extension that was compiled against other headers
// raises an error at import instead of reading wrong bytes.
constexpr uint64_t memory_layout() {
  uint64_t layout = 14695981039346656037ull;
  for (uint64_t size : {sizeof(Storage), sizeof(TensorImpl), sizeof(Shape), sizeof(AutogradMeta), sizeof(Recording),
                        sizeof(Derivative), sizeof(AutogradHooks)})
    layout = (layout ^ size) * 1099511628211ull;
  return layout;
}
FLAMBEAU_API uint64_t library_memory_layout();

}  // namespace flambeau
