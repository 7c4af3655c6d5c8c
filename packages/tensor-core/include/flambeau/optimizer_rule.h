// What a step of an optimizer does with each element.
//
// Note [Optimizer rules]
// A rule is one optimizer, and everything that is to be said of it: the names that its options have in a parameter
// group and its state has in a checkpoint, how a step's coefficients come from the options and the number of the step,
// and what the step does with each element. The rest (reading groups, making state, threads, dtypes) is the same for
// all.
#pragma once

#include <cstdint>

namespace flambeau {

struct OptimizerStep {
  const double* options;  // in the order of OptimizerRule::options
  double number;          // of this step, from 1
  bool first;             // whether the state has just been made
  double* scalars;        // in the order of OptimizerRule::scalars; may be changed
  bool single;            // whether the scalars are kept as float32
};

struct OptimizerRule {
  static constexpr int kOptions = 9, kStates = 3, kScalars = 2, kCoefficients = 10;
  const char* name;
  const char* options[kOptions + 1];  // up to a null pointer; "betas.0" is the first of a pair
  const char* states[kStates + 1];    // tensors like the parameter
  const char* scalars[kScalars + 1];  // tensors without dimensions, beside "step"
  bool counts;                        // whether it has "step"
  // Whether it needs a state with these options, and what that is filled with at first; the same of a scalar.
  bool (*needs)(int state, const double* options);
  double (*initial)(int state, const double* options);
  double (*initial_scalar)(int scalar, const double* options);
  void (*prepare)(const OptimizerStep& step, double* coefficients);
  // Of float32 and float64; at: the parameter, its gradient and the states, null where there is none.
  void (*apply[2])(char* const* at, int64_t n, const double* coefficients);
};

}  // namespace flambeau
