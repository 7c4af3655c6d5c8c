#include "program/operators.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "flambeau/signature.h"

namespace flambeau::program {

namespace {

void operands_of(const Operator& row, const Value* const* arguments, Operand* operands) {
  for (int i = 0; i < row.arity; ++i) operands[i] = As<const Operand&>::get(*arguments[i]);
}

void run_row(const Operator& self, const Value* const* arguments, Values& results) {
  Operand operands[kMaxOperands] = {0, 0, 0};
  operands_of(self, arguments, operands);
  require<TypeError>(operands[0].tensor || operands[1].tensor, "expected at least one operand to be a tensor");
  results.emplace_back(pointwise(self.row, operands));
}

void run_row_in_place(const Operator& self, const Value* const* arguments, Values& results) {
  Operand operands[kMaxOperands] = {0, 0, 0};
  operands_of(self, arguments, operands);
  require<TypeError>(operands[0].tensor, "expected a tensor as the first argument of an in-place operator");
  results.emplace_back(pointwise_(self.row, operands));
}

// Returns true if a derivative may need the value of the first argument from before it is overwritten.
bool records_first_argument(const Operator& self, const Value* const* arguments) {
  if (!recording_enabled()) return false;
  for (int i = 0; i < self.arity; ++i)
    if (const Tensor* t = std::get_if<Tensor>(arguments[i]); t && *t && t->tracked()) return true;
  return false;
}

// Runs the in-place operator `name_`: computes `name` and writes the result to the first argument. The code in
// bindings/calls does the same for Python.
void run_in_place(const Operator& self, const Value* const* arguments, Values& results) {
  const Tensor to = As<const Tensor&>::get(*arguments[0]);
  require<TypeError>(to.defined(), "expected a tensor as the first argument of an in-place operator");
  const Value original = records_first_argument(self, arguments) ? Value(clone(to)) : Value(to);
  std::vector<const Value*> given(arguments, arguments + self.arity);
  given[0] = &original;
  Values computed;
  self.inner->run(*self.inner, given.data(), computed);
  const Tensor* from = computed.size() == 1 ? std::get_if<Tensor>(&computed[0]) : nullptr;
  require<TypeError>(from, self.name, " must return a single tensor to be used in place");
  write_in_place(to, *from, self.inner->name.c_str());
  results.emplace_back(to);
}

// The type U for which As<U> converts the value of a parameter of type T.
template <class T>
struct SourceOf : std::type_identity<T> {};
template <>
struct SourceOf<const Tensor*> : std::type_identity<const Tensor&> {};
template <>
struct SourceOf<Operand> : std::type_identity<const Operand&> {};
template <>
struct SourceOf<Tensors> : std::type_identity<const Tensors&> {};

constexpr uint8_t kDtype = flambeau::detail::kPosition<std::optional<Dtype>, ParameterTypes>;
constexpr uint8_t kTensor = flambeau::detail::kPosition<const Tensor*, ParameterTypes>;
constexpr uint8_t kGenerator = flambeau::detail::kPosition<Generator*, ParameterTypes>;

class ProgramArguments : public ArgumentsFrom<ProgramArguments> {
 public:
  ProgramArguments(const Value* const* next, unsigned optional) : next_(next), optional_(optional) {}
  template <class T>
  T value([[maybe_unused]] size_t i) {
    if constexpr (std::is_same_v<T, Generator*>) {
      return nullptr;  // programs do not pass generators
    } else {
      using Source = typename SourceOf<T>::type;
      const Value& v = **next_++;
      require_defined<Source>(v, optional_ >> i & 1);
      if constexpr (std::is_same_v<T, const Tensor*>)
        return &As<Source>::get(v);
      else
        return As<Source>::get(v);
    }
  }

 private:
  const Value* const* next_;
  unsigned optional_;
};

void run_record(const Operator& self, const Value* const* arguments, Values& results) {
  ProgramArguments source(arguments, self.optional);
  std::visit([&](auto&& result) { store(results, std::forward<decltype(result)>(result)); }, (*self.recorded)(source));
}

// Runs a factory on the device in the argument that follows its dtype. Note [Factories]
void run_factory(const Operator& self, const Value* const* arguments, Values& results) {
  const std::span<const uint8_t> kinds = self.recorded->kinds();
  const Tensor* const like = kinds[0] == kTensor ? std::get_if<Tensor>(arguments[0]) : nullptr;
  const Value* others[kMaxParameters];
  const Value** end = others;
  std::optional<Device> device;
  for (const uint8_t kind : kinds) {
    if (kind != kGenerator) *end++ = *arguments++;
    if (kind == kDtype) device = As<std::optional<Device>>::get(**arguments++);
  }
  const OnDevice scope(device ? *device : like && *like ? like->device() : OnDevice::current());
  run_record(self, others, results);
}

void add_record(std::vector<Operator>& all, const flambeau::Operator& record) {
  const Signature signature = Signature::parse(record.signature);
  Operator o;
  const std::span<const uint8_t> kinds = record.forward.kinds();
  o.arity = int(kinds.size() - size_t(std::count(kinds.begin(), kinds.end(), kGenerator)));
  for (size_t i = 0; i < kinds.size(); ++i)
    if (signature.parameters[i].may_be_none()) o.optional |= 1u << i;
  o.run = run_record;
  if (record.forms & kFactory) o.run = run_factory, ++o.arity;
  for (const std::string_view name : signature.names) {
    o.name = record.attribute(name);
    o.recorded = &record.forward;
    all.push_back(o);
    if (!record.in_place) continue;
    o.name += '_';
    o.recorded = &record.in_place;
    all.push_back(o);
  }
}

using Table = std::map<std::string, Operator, std::less<>>;

// If two operators have the same name, the first one is kept.
void add(Table& table, Operator o) { table.emplace(o.name, std::move(o)); }

void add_row(Table& table, const PointwiseRow& row, const std::string& name) {
  Operator o;
  o.name = name;
  o.arity = row.arity;
  o.is_row = true;
  o.row = row.op;
  o.run = run_row;
  add(table, o);
  // A composite with the name of a pointwise operator is run like other operators.
  if (table.find(name)->second.run != run_row) return;
  o.name += '_';
  o.run = run_row_in_place;
  add(table, o);
}

const Table& table() {
  static const Table* const once = [] {  // never freed, because programs point into it
    auto* all = new Table;
    for (const auto& family : {indexing_operators, layout_operators, number_operators, training_operators})
      for (Operator& o : family()) add(*all, std::move(o));
    std::vector<Operator> recorded;
    // Functions precede methods, so that "where" is the function.
    for (const int form : {kFunction | kPrivate, int(kMethod)})
      for (const flambeau::Operator* record = flambeau::Operator::first(); record; record = record->next())
        if (record->forms & form) add_record(recorded, *record);
    for (Operator& o : recorded) add(*all, std::move(o));
    for (const PointwiseRow& row : pointwise_rows()) {
      add_row(*all, row, row.name);
      for (const PointwiseAlias& alias : pointwise_aliases())
        if (std::string_view(alias.name) == row.name) add_row(*all, row, alias.alias);
    }
    std::vector<const Operator*> plain;
    for (const auto& [name, o] : *all)
      if (name.back() != '_') plain.push_back(&o);
    for (const Operator* o : plain) {
      Operator in_place;
      in_place.name = o->name + '_';
      in_place.arity = o->arity;
      in_place.inner = o;
      in_place.run = run_in_place;
      add(*all, std::move(in_place));
    }
    return all;
  }();
  return *once;
}

// Operators of extensions, the newest first. They are never freed, because programs point to them.
struct Registered {
  Operator op;
  const Registered* next;
};
std::atomic<const Registered*> registered{nullptr};

void run_registered(const Operator& self, const Value* const* arguments, Values& results) {
  Values given;
  for (int i = 0; i < self.arity; ++i) given.push_back(*arguments[i]);
  results = (*self.registered)(given);
}

}  // namespace

const Operator* find(std::string_view name) {
  const auto found = table().find(name);
  if (found != table().end()) return &found->second;
  for (const Registered* r = registered.load(); r; r = r->next)
    if (r->op.name == name) return &r->op;
  return nullptr;
}

}  // namespace flambeau::program

namespace flambeau {

std::vector<std::pair<std::string, int>> Program::operators() {
  std::vector<std::pair<std::string, int>> out;
  for (const auto& [name, o] : program::table()) out.emplace_back(name, o.arity);
  return out;
}

void Program::register_operator(const std::string& name, int parameters, Function function) {
  const size_t colons = name.find("::");
  require<ValueError>(colons != 0 && colons != name.npos && colons + 2 < name.size() &&
                          name.find_first_of(" ,()[]='#%@\n") == name.npos,
                      "an operator of an extension is named namespace::name, not '", name, "'");
  program::Operator o;
  o.name = name;
  o.arity = parameters;
  o.registered = new Function(std::move(function));
  o.run = program::run_registered;
  auto* added = new program::Registered{std::move(o), program::registered.load()};
  while (!program::registered.compare_exchange_weak(added->next, added)) {
  }
}

}  // namespace flambeau
