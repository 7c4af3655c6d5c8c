// Forward mode: tangents, and their propagation from the inputs of operators to the outputs.
//
// Note [Levels of tangents]
// Each active level of forward differentiation has separate tangents. The active levels form a stack. A tangent is an
// ordinary tensor: it can have tangents of outer levels and be part of the graph. To avoid perturbation confusion,
// computations for one level use only the tangents of the levels outside this level.
//
// Note [Pushing forward]
// Operators have no separate rules for forward mode. The tangents of outputs are computed from the recorded derivative,
// which is a linear map from the gradients of the outputs to the gradients of the inputs: the transpose of the required
// map.
// Therefore the derivative runs with recording for a gradient u, and a backward pass through the resulting graph, which
// is linear in u, starts from the tangents of the inputs. This transposes the map again. If each element of the output
// depends on a single element of each input, the map is its own transpose, and the derivative is applied to the
// tangents directly.
#pragma once

#include "node.h"

namespace flambeau::autograd {

FLAMBEAU_API size_t open_level();   // returns the number of the new level; the first level has the number 0
FLAMBEAU_API void close_level();    // closes the innermost level and drops its tangents
FLAMBEAU_API size_t open_levels();  // returns the number of open levels
// Sets whether operations compute tangents, and returns the previous value.
FLAMBEAU_API bool set_forward_enabled(bool on);
// Returns the number of levels for which the current operations compute tangents.
FLAMBEAU_API size_t visible_levels();

// While an object of this class exists, operations use only the levels outside `level`.
class FLAMBEAU_API OuterLevels {
 public:
  explicit OuterLevels(size_t level);
  ~OuterLevels();
  OuterLevels(const OuterLevels&) = delete;

 private:
  RecordingModes modes_;  // the modes that the destructor restores
  size_t previous_;
};

// Returns the tangent of t at a level, or an undefined tensor if t has no tangent.
FLAMBEAU_API Tensor tangent_of(const Tensor& t, size_t level);
// Sets the tangent of t at a level. If t is a view, the tangent is written to the corresponding elements of the base's
// tangent.
FLAMBEAU_API void set_tangent(const Tensor& t, size_t level, const Tensor& tangent);
// These functions change the tangents of all visible levels.
void copy_tangents(const Tensor& from, const Tensor& to);
void drop_tangents(const Tensor& t);
void adopt_tangents(const Tensor& self, const Tensor& source);  // replaces the tangents of `self`

void push_forward(const Recording& recording, Derivative& derivative);
// Records `result` as an alias of t: gives it a grad_fn and the tangents of t.
void record_alias(const Tensor& result, const Tensor& t);

FLAMBEAU_API Tensor make_dual(const Tensor& primal, const Tensor& tangent, size_t level);
// Returns the primal value and the tangent of t at a level. The tangent is undefined if t has no tangent.
FLAMBEAU_API std::pair<Tensor, Tensor> unpack_dual(const Tensor& t, size_t level);

}  // namespace flambeau::autograd
