// Forward mode: tangents, and how operators push them from their inputs to their outputs.
//
// Note [Levels of tangents]
// Every level of forward differentiation that is open has its own tangents; the open ones form a stack. A tangent is an
// ordinary tensor: it may carry tangents of the levels further out, and have a history in the graph. To keep
// perturbations apart, what is computed for one level sees the levels outside of it only.
//
// Note [Pushing forward]
// Operators have no rules of their own for forward mode; a tangent of an output comes from the derivative they record.
// That is a linear map from the gradient of the output to those of the inputs: the transpose of what is wanted. So it
// is run with recording on for a gradient u, and the graph of that, linear in u, is run backwards from the tangents of
// the inputs: this transposes it again. Where every element of the output depends on one element of each input the map
// is its own transpose, and the derivative is simply given the tangents.
#pragma once

#include "node.h"

namespace flambeau::autograd {

FLAMBEAU_API size_t open_level();  // its number: how many are open further out
FLAMBEAU_API void close_level();   // the innermost one, whose tangents go
FLAMBEAU_API size_t open_levels();
FLAMBEAU_API size_t visible_levels();  // those that the operations at hand reach

class FLAMBEAU_API OuterLevels {  // in sight, for a scope: those outside of a level
 public:
  explicit OuterLevels(size_t level);
  ~OuterLevels();
  OuterLevels(const OuterLevels&) = delete;

 private:
  RecordingModes modes_;  // restores them
  size_t previous_;
};

// Undefined where t has none.
FLAMBEAU_API Tensor tangent_of(const Tensor& t, size_t level);
// Of a view: its place in the tangent of its base.
FLAMBEAU_API void set_tangent(const Tensor& t, size_t level, const Tensor& tangent);
void copy_tangents(const Tensor& from, const Tensor& to);       // of all levels in sight
void adopt_tangents(const Tensor& self, const Tensor& source);  // in the place of its own

void push_forward(const Recording& recording, Derivative& derivative);
// What a result's history and tangents are when it shows the elements of t.
void record_alias(const Tensor& result, const Tensor& t);

FLAMBEAU_API Tensor make_dual(const Tensor& primal, const Tensor& tangent, size_t level);
// Return the primal and the tangent. The tangent is undefined if t has none at this level.
FLAMBEAU_API std::pair<Tensor, Tensor> unpack_dual(const Tensor& t, size_t level);

}  // namespace flambeau::autograd
