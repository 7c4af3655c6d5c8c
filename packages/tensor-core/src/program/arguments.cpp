#include "program/arguments.h"

namespace flambeau::program {

void wrong_value(const char* expected, const Value& got) {
  constexpr const char* kinds[] = {"None",     "a boolean", "an integer", "a number", "a complex number",
                                   "a string", "a tensor",  "a dtype",    "a device", "a memory format",
                                   "a list"};
  detail::raise<TypeError>("expected ", expected, ", got ", kinds[got.index()]);
}

Scalar As<Scalar>::get(const Value& v) {
  if (const double* d = std::get_if<double>(&v)) return *d;
  if (const int64_t* i = std::get_if<int64_t>(&v)) return *i;
  if (const bool* b = std::get_if<bool>(&v)) return *b;
  if (const Complex<double>* c = std::get_if<Complex<double>>(&v)) return *c;
  if (const Tensor* t = std::get_if<Tensor>(&v); t && t->numel() == 1) return item(*t);
  wrong_value("a number", v);
}

Shape As<const Shape&>::get(const Value& v) {
  const Values* list = std::get_if<Values>(&v);
  if (!list) return {As<int64_t>::get(v)};
  Shape out;
  for (const Value& size : *list) out.push_back(As<int64_t>::get(size));
  return out;
}

Tensors As<const Tensors&>::get(const Value& v) {
  const Values* list = std::get_if<Values>(&v);
  if (!list) wrong_value("a list of tensors", v);
  Tensors out;
  out.reserve(list->size());
  for (const Value& t : *list) out.push_back(As<const Tensor&>::get(t));
  return out;
}

Reduction As<Reduction>::get(const Value& v) {
  const std::string_view text = As<std::string_view>::get(v);
  if (text == "mean") return Reduction::Mean;
  if (text == "sum") return Reduction::Sum;
  require<ValueError>(text == "none", text, " is not a valid value for reduction; expected 'none', 'mean' or 'sum'");
  return Reduction::None;
}

std::vector<std::optional<int64_t>> As<std::vector<std::optional<int64_t>>>::get(const Value& v) {
  const Values* list = std::get_if<Values>(&v);
  if (!list) return {As<std::optional<int64_t>>::get(v)};
  std::vector<std::optional<int64_t>> out;
  for (const Value& size : *list) out.push_back(As<std::optional<int64_t>>::get(size));
  return out;
}

}  // namespace flambeau::program
