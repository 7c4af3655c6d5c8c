// Declarations next to a row of the operator table, which choose the kernels of the operator.
//
// Note [Pointwise traits]
// The text of a row of the operator table never chooses a kernel. The file declares the choice next to the row:
//
//   TRAITS(name, kHalves | kNarrow)   properties of the function `name` and of its row: see pointwise_trait
//   LOOP(name, Power)                 a special loop over floating-point elements: see PointwiseLoop
//   USUAL(name, {low, high})          the range of a fast path for x: see math/usual.h
//
// A row without declarations is correct, but may be slower. The rest is computed from the row's expressions
// (pointwise_trace.h): which operands a derivative reads, whether it exists, and which traits the called functions
// have.
//
// If you add an operator, decide:
// - Does its function in math.h give wrong results for some arguments? Then the loops must check the arguments: declare
//   kAngles or kLogGamma, or add a trait. Without this declaration, results are wrong.
// - Does its function take only a few instructions? Then kHalves and kNarrow save conversions of small elements.
// - Is it used on masks or images? Then kBytes adds kernels over bytes.
// - Does a special loop or a fast path serve most blocks? Then declare LOOP or USUAL.
// If expressions call a function that is not an operator of their family, `basic` or `elementary`, add it to
// pointwise_trace.h, with its traits.
#pragma once

#include <cstdint>
#include <type_traits>

#include "flambeau/pointwise_domain.h"

namespace flambeau {

namespace pointwise_trait {
enum : uint8_t {
  // A trait of the operator. Default: bytes and booleans are converted to int32.
  kBytes = 1,  // the operator has kernels for uint8
  // Traits of a function. Default: operators that call the function convert small elements, or look up results in
  // tables.
  kHalves = 2,    // the function takes few instructions: loops that call it convert float16 and bfloat16
  kNarrow = 4,    // the function has int8, uint8 and int16 versions
  kSignless = 8,  // the function gives the same bits for signed and unsigned integers
  // Traits of a function. Default: the fast version is valid for every argument.
  kAngles = 16,    // angles beyond kLargestAngle need the C library: math/unbounded.h
  kLogGamma = 32,  // arguments below kMinLogGamma need the C library: math/log_gamma.h
};
}  // namespace pointwise_trait
// The names of the operators of FLAMBEAU_FAMILY, and of the operators that their expressions may use.
enum class PointwiseName : uint16_t {
#define FLAMBEAU_NAMES
#define UNARY(name, ...) name,
#define BINARY(name, ...) name,
#define TERNARY(name, ...) name,
#include "flambeau/pointwise.def"
};

// The traits that a row declares.
constexpr uint8_t traits_of(PointwiseName row) {
  using namespace pointwise_trait;
  switch (row) {
#define FLAMBEAU_NAMES
#define TRAITS(name, traits) \
  case PointwiseName::name:  \
    return traits;
#include "flambeau/pointwise.def"
    default:
      return 0;
  }
}

enum class PointwiseLoop : uint8_t {
  Plain,       // element by element
  BySign,      // for where(x > 0, a, b): blocks of positive x skip b
  Quotient,    // for remainders of x / y: moderate quotients take one fused operation
  Power,       // for x**y: blocks of positive x and finite y skip the special cases
  Polynomial,  // for polynomials of degree y: eight recurrences at a time
  BytePairs,   // for products: two bytes at a time
  Gradual,     // USUAL, with a special version for all other blocks that handles gradual underflow
  TwoPasses,   // USUAL, in two passes over a block in float64
};
// The loop that a row declares.
constexpr PointwiseLoop loop_of(PointwiseName row) {
  switch (row) {
#define FLAMBEAU_NAMES
#define LOOP(name, loop)    \
  case PointwiseName::name: \
    return PointwiseLoop::loop;
#include "flambeau/pointwise.def"
    default:
      return PointwiseLoop::Plain;
  }
}

// The base of the struct of an operator. The base is a template, because the compiler would allocate GPU memory for a
// constant in the struct itself.
template <Domain domain, int arity>
struct PointwiseKind {
  static constexpr Domain kDomain = domain;
  static constexpr int kArity = arity;
};

template <class Row>
constexpr bool has_trait(uint8_t trait) {
  return traits_of(Row::operator_name()) & trait;
}
template <class Row>
constexpr bool has_loop(PointwiseLoop loop) {
  return loop_of(Row::operator_name()) == loop;
}

template <class V>
void accepts(V);  // to check that an expression converts to V

}  // namespace flambeau
