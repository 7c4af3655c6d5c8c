// The pointwise rows as data, with their derivatives as tensor expressions. Note [Rows]
#include <string>
#include <utility>

#include "flambeau/operators.h"
#include "kernels/row_traits.h"

namespace flambeau {

namespace expressions {  // the names a row's derivatives use, for V = Tensor

template <class V>
Tensor c(double v) {
  return wrapped_number(Scalar(v));
}
struct NoDerivative {
  operator Tensor() const { return Tensor(); }
} none;
struct ZeroDerivative {
  operator Tensor() const { return wrapped_number(Scalar(0.0)); }
} zero;

Tensor gelu_inner(const Tensor& x) {
  return c<Tensor>(1.5957691216057308) * x * (c<Tensor>(1) + c<Tensor>(0.044715) * x * x);
}

using V = Tensor;

#define UNARY(name, domain, doc, reference, value, dx)                                           \
  Tensor name##_d0([[maybe_unused]] const Tensor& grad, [[maybe_unused]] const Tensor* operands, \
                   [[maybe_unused]] const Tensor& result) {                                      \
    [[maybe_unused]] const Tensor& x = operands[0];                                              \
    return dx;                                                                                   \
  }
#define FLAMBEAU_DERIVATIVE(name, index, expression)                                    \
  Tensor name##_d##index([[maybe_unused]] const Tensor& grad, const Tensor* operands,   \
                         [[maybe_unused]] const Tensor& result) {                       \
    [[maybe_unused]] const Tensor &x = operands[0], &y = operands[1], &z = operands[2]; \
    return expression;                                                                  \
  }
#define BINARY(name, domain, doc, reference, value, dx, dy) \
  FLAMBEAU_DERIVATIVE(name, 0, dx)                          \
  FLAMBEAU_DERIVATIVE(name, 1, dy)
#define TERNARY(name, domain, doc, reference, value, dx, dy, dz) \
  FLAMBEAU_DERIVATIVE(name, 0, dx)                               \
  FLAMBEAU_DERIVATIVE(name, 1, dy)                               \
  FLAMBEAU_DERIVATIVE(name, 2, dz)
#include "flambeau/pointwise.def"

}  // namespace expressions

namespace {

// left_shift -> LeftShift, as the nodes of the graph are named.
const char* camel_case(std::string_view name) {
  std::string out;
  bool upper = true;
  for (char ch : name) {
    if (ch == '_')
      upper = true;
    else
      out += std::exchange(upper, false) && ch >= 'a' && ch <= 'z' ? char(ch - 'a' + 'A') : ch;
  }
  return (new std::string(out))->c_str();  // lives as long as the table
}

}  // namespace

#define FLAMBEAU_TEXT(...) #__VA_ARGS__
#define UNARY(name, domain, doc, reference, value, dx) \
  {FLAMBEAU_TEXT(name),                                \
   camel_case(#name),                                  \
   Domain::domain,                                     \
   1,                                                  \
   exists(#dx),                                        \
   doc,                                                \
   reference,                                          \
   #value,                                             \
   {#dx},                                              \
   {reads(#dx, 1)},                                    \
   {exists(#dx) ? expressions::name##_d0 : nullptr}},
#define BINARY(name, domain, doc, reference, value, dx, dy) \
  {FLAMBEAU_TEXT(name),                                     \
   camel_case(#name),                                       \
   Domain::domain,                                          \
   2,                                                       \
   exists(#dx) || exists(#dy),                              \
   doc,                                                     \
   reference,                                               \
   #value,                                                  \
   {#dx, #dy},                                              \
   {reads(#dx, 2), reads(#dy, 2)},                          \
   {exists(#dx) ? expressions::name##_d0 : nullptr, exists(#dy) ? expressions::name##_d1 : nullptr}},
#define TERNARY(name, domain, doc, reference, value, dx, dy, dz)                                    \
  {FLAMBEAU_TEXT(name),                                                                             \
   camel_case(#name),                                                                               \
   Domain::domain,                                                                                  \
   3,                                                                                               \
   exists(#dx) || exists(#dy) || exists(#dz),                                                       \
   doc,                                                                                             \
   reference,                                                                                       \
   #value,                                                                                          \
   {#dx, #dy, #dz},                                                                                 \
   {reads(#dx, 3), reads(#dy, 3), reads(#dz, 3)},                                                   \
   {exists(#dx) ? expressions::name##_d0 : nullptr, exists(#dy) ? expressions::name##_d1 : nullptr, \
    exists(#dz) ? expressions::name##_d2 : nullptr}},
const PointwiseRow pointwise_rows[kPointwiseCount] = {
#include "flambeau/pointwise.def"
};

}  // namespace flambeau
