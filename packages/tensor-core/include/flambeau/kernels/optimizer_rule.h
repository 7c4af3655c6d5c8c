// The update rule of an optimizer, applied to each element.
//
// Note [Optimizer rules]
// A rule describes one optimizer: the names of its options in a parameter group, the names of its states in a
// checkpoint, the coefficients of a step as a function of the options and the step number, and the update of an
// element. Everything else (reading groups, allocating states, threads, dtypes) is shared by all rules.
#pragma once

#include <cstdint>

namespace flambeau {

struct OptimizerStep {
  const double* options;  // in the order of OptimizerRule::options
  double number;          // number of this step, from 1
  bool new_states;        // true if the states are new
  double* scalars;        // in the order of OptimizerRule::scalars; may be changed
  bool single;            // true if the scalars are stored as float32
};

struct OptimizerRule {
  static constexpr int kOptions = 9, kStates = 3, kScalars = 2, kCoefficients = 10;
  const char* name;
  const char* options[kOptions + 1];  // null-terminated; "betas.0" is the first item of a pair
  const char* states[kStates + 1];    // tensors like the parameter
  const char* scalars[kScalars + 1];  // 0-dimensional states other than "step"
  bool counts;                        // the rule has the state "step"
  // `needs` returns true if these options require the state. `initial` and `initial_scalar` return the first values of
  // a state and of a scalar. `prepare` computes the coefficients of a step.
  bool (*needs)(int state, const double* options);
  double (*initial)(int state, const double* options);
  double (*initial_scalar)(int scalar, const double* options);
  void (*prepare)(const OptimizerStep& step, double* coefficients);
  // Kernels for float32 and float64. `at` points to the parameter, its gradient and the states, or null for a state
  // that is not needed.
  void (*apply[2])(char* const* at, int64_t n, const double* coefficients);
};

}  // namespace flambeau
