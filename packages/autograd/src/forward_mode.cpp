#include "forward_mode.h"

#include <algorithm>
#include <unordered_set>

#include "engine.h"
#include "flambeau/autograd_engine.h"
#include "view_geometry.h"

namespace flambeau::autograd {

namespace {

struct TensorTangents;

struct Level {
  std::unordered_set<TensorTangents*> holders;
  Level() = default;
  Level(const Level&) = delete;
  ~Level();
};

struct TensorTangents final : Tangents {  // the tangents of one tensor
  explicit TensorTangents(TensorImpl* tensor) : owner(tensor) {}
  ~TensorTangents() override {
    for (const auto& [level, tangent] : entries) level->holders.erase(this);
  }
  Tensor take(const Level* level) {
    for (size_t i = 0; i < entries.size(); ++i) {
      if (entries[i].first != level) continue;
      const Tensor tangent = std::move(entries[i].second);
      entries.erase(entries.begin() + std::ptrdiff_t(i));
      owner->dual = !entries.empty();
      return tangent;
    }
    return Tensor();
  }
  TensorImpl* owner;
  std::vector<std::pair<Level*, Tensor>> entries;
};

Level::~Level() {
  std::vector<Tensor> dropped;  // released at the end, because a released tensor may itself have tangents
  for (TensorTangents* tangents : holders) dropped.push_back(tangents->take(this));
  holders.clear();
}

thread_local std::vector<std::unique_ptr<Level>> levels;
thread_local size_t visible = 0;
thread_local bool enabled = true;

void show(size_t count) {
  visible = count;
  const int others = recording_modes() & ~modes::kTangents;
  set_recording_modes(uint8_t(others | (enabled && count > 0 ? modes::kTangents : 0)));
}

TensorTangents* stored_tangents(const TensorImpl& t) {
  return t.autograd ? static_cast<TensorTangents*>(t.autograd->tangents.get()) : nullptr;
}

Tensor own_tangent(const TensorImpl& t, size_t level) {
  if (const TensorTangents* tangents = stored_tangents(t))
    for (const auto& [at, tangent] : tangents->entries)
      if (at == levels[level].get()) return tangent;
  return Tensor();
}

void drop_tangent(const Tensor& t, size_t level) {
  if (TensorTangents* tangents = stored_tangents(*t.impl())) {
    tangents->take(levels[level].get());
    levels[level]->holders.erase(tangents);
  }
}

void set_own_tangent(const Tensor& t, size_t level, const Tensor& tangent) {
  AutogradMeta& meta = meta_of(t);
  if (!meta.tangents) meta.tangents = std::make_unique<TensorTangents>(t.impl());
  auto& tangents = static_cast<TensorTangents&>(*meta.tangents);
  drop_tangent(t, level);
  tangents.entries.push_back({levels[level].get(), tangent});
  levels[level]->holders.insert(&tangents);
  t.impl()->dual = true;
}

}  // namespace

OuterLevels::OuterLevels(size_t level) : modes_(recording_modes()), previous_(visible) { show(level); }
OuterLevels::~OuterLevels() { visible = previous_; }

size_t open_level() {
  levels.push_back(std::make_unique<Level>());
  show(levels.size());
  return levels.size() - 1;
}

void close_level() {
  require(!levels.empty(), "close_level() without open_level(): no level of forward-mode differentiation is open");
  const std::unique_ptr<Level> closed = std::move(levels.back());
  levels.pop_back();
  show(levels.size());
}

bool set_forward_enabled(bool on) {
  const bool former = std::exchange(enabled, on);
  show(visible);
  return former;
}

size_t open_levels() { return levels.size(); }
size_t visible_levels() { return visible; }

Tensor tangent_of(const Tensor& t, size_t level) {
  const TensorImpl* base = t.impl()->base.get();
  if (!base) return own_tangent(*t.impl(), level);
  Tensor whole = own_tangent(*base, level);
  if (!whole.defined()) return whole;
  const ViewGeometry geometry = ViewGeometry::of(t, Tensor(t.impl()->base));
  if (!(whole.strides() == base->strides)) whole = geometry.base_copy(whole);
  return geometry.part_of(whole);
}

void set_tangent(const Tensor& t, size_t level, const Tensor& tangent) {
  if (!t.impl()->base) return set_own_tangent(t, level, tangent);
  const Tensor base(t.impl()->base), former = own_tangent(*base.impl(), level);
  const ViewGeometry geometry = ViewGeometry::of(t, base);
  const OuterLevels outer(level);
  const Tensor whole = former.defined() ? geometry.base_copy(former) : geometry.base_zeros();
  copy_(geometry.part_of(whole), tangent);
  set_own_tangent(base, level, whole);
}

void copy_tangents(const Tensor& from, const Tensor& to) {
  if (FLAMBEAU_LIKELY(!from.dual())) return;
  for (size_t level = 0; level < visible; ++level)
    if (const Tensor tangent = tangent_of(from, level); tangent.defined()) set_tangent(to, level, tangent);
}

void drop_tangents(const Tensor& t) {
  for (size_t level = 0; t.impl()->dual && level < visible; ++level) drop_tangent(t, level);
}

void adopt_tangents(const Tensor& self, const Tensor& source) {
  if (self.impl()->base) return;  // a view shows the tangents of its base
  for (size_t level = 0; level < visible; ++level) {
    const Tensor tangent = tangent_of(source, level);
    tangent.defined() ? set_own_tangent(self, level, tangent) : drop_tangent(self, level);
  }
}

namespace {

using TensorVector = SmallVector<Tensor, 4>;

// The tangents that the inputs of a recorded operation have at one level.
struct Inputs {
  Inputs(const Recording& recording, size_t level) : tangents(size_t(recording.input_count)), r(recording) {
    for (int i = 0; i < r.input_count; ++i) {
      const Tensor& t = *r.inputs[i];
      if (t.defined() && t.dual() && is_inexact(t.dtype())) tangents[size_t(i)] = tangent_of(t, level);
      any |= tangents[size_t(i)].defined();
    }
  }
  // Runs the derivative for all inputs that have a tangent or, if `only` >= 0, for that input.
  TensorVector pull_back(Derivative& derivative, const Tensor* gradients, int only = -1) const {
    const size_t n = tangents.size();
    TensorVector results(n);
    SmallVector<Tensor, 4> saved;
    SmallVector<bool, 8> needs(n);
    for (int i = 0; i < r.saved_count; ++i) saved.push_back(*r.saved[i]);
    for (size_t i = 0; i < n; ++i) needs[i] = tangents[i].defined() && (only < 0 || size_t(only) == i);
    derivative(Context(gradients, saved.data(), results.data(), needs.data()));
    return results;
  }
  bool has_history() const {
    for (const Tensor& t : tangents)
      if (t.defined() && t.requires_grad()) return true;
    for (int i = 0; i < r.saved_count; ++i)
      if (r.saved[i]->defined() && r.saved[i]->requires_grad()) return true;
    for (int i = 0; i < r.input_count; ++i)
      if (r.inputs[i]->defined() && r.inputs[i]->requires_grad()) return true;
    return false;
  }

  TensorVector tangents;
  const Recording& r;
  bool any = false;
};

bool is_real_elementwise(const Recording& r) {
  if (!r.elementwise || is_complex(r.outputs[0]->dtype())) return false;
  for (int i = 0; i < r.input_count; ++i)
    if (r.inputs[i]->defined() && is_complex(r.inputs[i]->dtype())) return false;
  return true;
}

Tensor elementwise(const Inputs& inputs, Derivative& derivative) {
  const Tensor& output = *inputs.r.outputs[0];
  Tensor total;
  for (size_t i = 0; i < inputs.tangents.size(); ++i) {
    if (!inputs.tangents[i].defined()) continue;
    const Tensor direction = expand(to(inputs.tangents[i], output.dtype()), output.shape());
    const Tensor part = inputs.pull_back(derivative, &direction, int(i))[i];
    if (part.defined()) total = total.defined() ? add(total, part) : part;
  }
  return total;
}

bool is_zero(const Tensor& t) {
  const NoRecording off;
  return !item(any(ne(t, Scalar(0)), {}, false)).truth();
}

// Returns leaves with the shapes of the outputs, as gradients for the derivative. Their elements are 1 and not 0, so
// that a nonzero result that does not depend on these leaves is detected.
std::vector<Tensor> trial_gradients(const Recording& r) {
  std::vector<Tensor> out;
  for (int k = 0; k < r.output_count; ++k) {
    const Tensor& t = *r.outputs[k];
    out.push_back(full(t.shape(), Scalar(1), t.dtype()));
    if (is_inexact(t.dtype())) set_requires_grad(out.back(), true);
  }
  return out;
}

std::vector<Tensor> transposed(const Inputs& inputs, Derivative& derivative) {
  const Recording& r = inputs.r;
  RunOptions options;
  options.create_graph = grad_enabled() && inputs.has_history();
  const std::vector<Tensor> gradients = trial_gradients(r);
  std::vector<Root> roots;
  {
    const RecordingModes on(recording_modes() | modes::kGraph);
    const TensorVector results = inputs.pull_back(derivative, gradients.data());
    for (size_t i = 0; i < results.size(); ++i) {
      if (!inputs.tangents[i].defined() || !results[i].defined()) continue;
      const OutputInfo input{r.inputs[i]->shape(), r.inputs[i]->dtype()};
      require(reduces_to(results[i].shape(), input.shape), r.name, " returned an invalid gradient at index ", i,
              " - got ", results[i].shape(), " but expected shape compatible with ", input.shape);
      const Tensor w = fit(results[i], input, nullptr, i);
      if (w.requires_grad())
        roots.push_back({w, inputs.tangents[i]});
      else
        require<NotImplementedError>(is_zero(w), "Trying to use forward AD with ", r.name,
                                     " that does not support it: its derivative cannot be differentiated");
    }
  }
  for (const Tensor& u : gradients)
    if (u.requires_grad()) options.inputs.push_back(gradient_edge(u));
  std::vector<Tensor> found(size_t(r.output_count));
  if (roots.empty()) {  // the derivative is zero
    for (size_t k = 0; k < found.size(); ++k)
      if (is_inexact(r.outputs[k]->dtype())) found[k] = zeros(r.outputs[k]->shape(), r.outputs[k]->dtype());
    return found;
  }
  const std::vector<Tensor> captured = run_backward(roots, options);
  for (size_t k = 0, next = 0; k < found.size(); ++k)
    if (gradients[k].requires_grad()) found[k] = captured[next++];
  return found;
}

void set_output(const Recording& r, const Tensor& output, size_t level, const Tensor& tangent) {
  if (!is_inexact(output.dtype())) return;
  if (r.kind == Recording::kView && output.impl()->base) return;  // a view shows the tangent of its base
  if (tangent.defined()) set_tangent(output, level, tangent);
  // An in-place operator has overwritten the tensor with a constant, so its tangent becomes zero.
  else if (r.kind == Recording::kInPlace && tangent_of(output, level).defined())
    set_tangent(output, level, zeros(output.shape(), output.dtype()));
  else
    drop_tangent(output, level);
}

}  // namespace

void push_forward(const Recording& r, Derivative& derivative) {
  if (r.kind == Recording::kFresh)
    // The operator may have computed its result as a view of a temporary tensor, which must not be its base.
    for (int k = 0; k < r.output_count; ++k) r.outputs[k]->impl()->base = Ref<TensorImpl>();
  for (size_t level = 0; level < visible; ++level) {
    const Inputs inputs(r, level);
    if (!inputs.any && r.kind != Recording::kInPlace) continue;
    std::vector<Tensor> tangents(size_t(r.output_count));
    if (inputs.any) {
      const OuterLevels outer(level);
      if (is_real_elementwise(r))
        tangents[0] = elementwise(inputs, derivative);
      else if (r.kind != Recording::kView || !r.outputs[0]->impl()->base)
        tangents = transposed(inputs, derivative);
    }
    for (int k = 0; k < r.output_count; ++k) set_output(r, *r.outputs[k], level, tangents[size_t(k)]);
  }
}

void record_alias(const Tensor& result, const Tensor& t) {
  record("Alias", result, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
}

namespace {

// Returns another tensor with the data of t, and with the tangents of t at the levels outside `level`.
Tensor at_outer_levels(size_t level, const Tensor& t) {
  const OuterLevels outer(level);
  const Tensor out = alias(t);
  if (recording(t)) record_alias(out, t);
  return out;
}

}  // namespace

namespace {

bool repeats(const Tensor& t) {  // returns true if elements share memory, as after expand
  for (size_t i = 0; i < t.shape().size(); ++i)
    if (t.strides()[i] == 0 && t.shape()[i] > 1) return true;
  return false;
}

}  // namespace

static void require_open(size_t level) {
  require(level < levels.size(), "forward-mode differentiation has no level ", level, ": the number of open levels is ",
          levels.size());
}

Tensor make_dual(const Tensor& primal, const Tensor& tangent, size_t level) {
  require_open(level);
  require(!tangent_of(primal, level).defined(),
          "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level ", level,
          " is not supported.");
  require(primal.shape() == tangent.shape(),
          "Trying to set a forward gradient that has a different size than that of the original Tensor, this is not "
          "supported. Tensor is of size ",
          primal.shape(), " while the given forward gradient is of size ", tangent.shape(), ".");
  require(!tangent_of(tangent, level).defined(),
          "Making a dual Tensor with a tangent that itself has a forward gradient at the same level ", level,
          " is not supported.");
  // The elements of a tensor with a tangent must not share memory.
  const Tensor dual = at_outer_levels(level, repeats(primal) ? clone(primal) : primal);
  set_tangent(dual, level, tangent);
  return dual;
}

std::pair<Tensor, Tensor> unpack_dual(const Tensor& t, size_t level) {
  require_open(level);
  return {at_outer_levels(level, t), tangent_of(t, level)};
}

}  // namespace flambeau::autograd
