// The part of cuDNN's backend interface that flambeau uses: graphs of one convolution (cudnn.cpp), and of attention and
// its derivative. The latter must consist of the operations that the library recognises. Intermediate results are
// rounded to their types.
#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "cudnn.h"
#include "elements.h"

using namespace emulated;

namespace {

enum Kind {
  kPointwise = 0,
  kConvolution = 1,
  kEngine = 2,
  kConfiguration = 3,
  kHeuristics = 4,
  kPlan = 5,
  kForward = 10,
  kWeightGradient = 11,
  kInputGradient = 12,
  kApply = 13,
  kGraph = 15,
  kPack = 16,
  kTensor = 17,
  kProduct = 18,
  kMultiply = 19,
  kReduction = 21,
  kReduce = 22,
  kReshape = 31
};
enum Type { kHandle = 0, kDataType = 1, kFlag = 2, kInt64 = 3, kFloat = 4, kDouble = 5, kAddress = 6, kNote = 11 };
enum {
  kConvolutionMode = 7,
  kHeuristicsMode = 8,
  kMode = 14,
  kDescriptor = 15,
  kReductionMode = 18
};  // further attribute types
enum { kReal32 = 0, kReal64 = 1, kReal16 = 2, kInt32 = 4, kBrain16 = 9, kBoolean = 11 };

// The attributes that descriptors of each type accept, with their types and maximum numbers of values.
struct Rule {
  int kind, attribute, type, most;
  bool required = true;
};
constexpr int kMany = 64;
constexpr Rule kRules[] = {
    {kPointwise, 0, kMode, 1},          {kPointwise, 1, kDataType, 1},
    {kPointwise, 9, kInt64, 1, false},  {kHeuristics, 200, kHeuristicsMode, 1},
    {kHeuristics, 201, kDescriptor, 1}, {kPlan, 400, kHandle, 1},
    {kPlan, 401, kDescriptor, 1},       {kApply, 750, kDescriptor, 1},
    {kApply, 751, kDescriptor, 1},      {kApply, 752, kDescriptor, 1, false},
    {kApply, 753, kDescriptor, 1},      {kApply, 758, kDescriptor, 1, false},
    {kGraph, 800, kHandle, 1},          {kGraph, 801, kDescriptor, kMany},
    {kPack, 1000, kInt64, kMany},       {kPack, 1001, kAddress, kMany},
    {kPack, 1003, kAddress, 1},         {kTensor, 900, kInt64, 1},
    {kTensor, 901, kDataType, 1},       {kTensor, 902, kInt64, 5},
    {kTensor, 903, kInt64, 5},          {kTensor, 906, kInt64, 1},
    {kTensor, 907, kFlag, 1},           {kTensor, 908, kFlag, 1},
    {kProduct, 1500, kDataType, 1},     {kMultiply, 1520, kDescriptor, 1},
    {kMultiply, 1521, kDescriptor, 1},  {kMultiply, 1522, kDescriptor, 1},
    {kMultiply, 1523, kDescriptor, 1},  {kReduction, 1600, kReductionMode, 1},
    {kReduction, 1601, kDataType, 1},   {kReduce, 1610, kDescriptor, 1},
    {kReduce, 1611, kDescriptor, 1},    {kReduce, 1612, kDescriptor, 1},
    {kReshape, 2200, kDescriptor, 1},   {kReshape, 2201, kDescriptor, 1},
    {kConvolution, 100, kDataType, 1},  {kConvolution, 101, kConvolutionMode, 1},
    {kConvolution, 102, kInt64, 3},     {kConvolution, 103, kInt64, 3},
    {kConvolution, 104, kInt64, 3},     {kConvolution, 105, kInt64, 3},
    {kConvolution, 106, kInt64, 1},     {kForward, 700, kFloat, 1, false},
    {kForward, 700, kDouble, 1, false}, {kForward, 701, kFloat, 1, false},
    {kForward, 701, kDouble, 1, false}, {kForward, 702, kDescriptor, 1},
    {kForward, 703, kDescriptor, 1},    {kForward, 704, kDescriptor, 1},
    {kForward, 705, kDescriptor, 1},
};

// The descriptors of a convolution and of its gradients have the same attributes, with different numbers. Attributes of
// the gradients are stored under the numbers of the convolution.
bool is_convolution(int kind) { return kind == kForward || kind == kInputGradient || kind == kWeightGradient; }
int kind_of_rules(int kind) { return is_convolution(kind) ? int(kForward) : kind; }
int stored_number(int kind, int attribute) {
  return attribute - (kind == kInputGradient ? 6 : kind == kWeightGradient ? 12 : 0);
}

struct Descriptor {
  int kind;
  bool final = false;
  std::map<int, std::vector<int64_t>> values;
  std::map<int, int> types;  // types of the attributes
  std::map<int, std::vector<std::shared_ptr<const Descriptor>>> parts;
  int64_t choice = -1;  // index of a configuration or an engine in the results of the heuristics

  int64_t value(int attribute) const { return values.at(attribute)[0]; }
  const Descriptor& part(int attribute) const { return *parts.at(attribute)[0]; }
  bool has(int attribute) const { return values.count(attribute) || parts.count(attribute); }
};
std::map<Descriptor*, std::shared_ptr<Descriptor>>& descriptors() {
  static auto* all = new std::map<Descriptor*, std::shared_ptr<Descriptor>>;
  return *all;
}
std::shared_ptr<Descriptor> find(Descriptor* handle) {
  const auto found = descriptors().find(handle);
  return found == descriptors().end() ? nullptr : found->second;
}

// The engines that the heuristics return for a graph.
enum Note { kMatrixUnits = 0, kRoundsOperands = 1, kRoundsSums = 2, kNondeterministic = 4 };
enum class Use { kPossible, kNotFinal, kForbidden };
struct Engine {
  Use use;
  int64_t workspace;
  std::vector<int> notes;
};
using Engines = std::vector<Engine>;
constexpr int64_t kLarge = int64_t(24) << 20, kLargerThanDevice = int64_t(1) << 40;
const Engines kForAttention{{Use::kForbidden, 0, {kMatrixUnits, kNondeterministic}},
                            {Use::kNotFinal, 0, {kMatrixUnits}},
                            {Use::kForbidden, kLargerThanDevice, {kMatrixUnits}},
                            {Use::kPossible, 1024, {kMatrixUnits}}};
const Engines kForConvolutions{{Use::kForbidden, 0, {kNondeterministic}},
                               {Use::kForbidden, 0, {kMatrixUnits, kRoundsOperands}},
                               {Use::kForbidden, 0, {kMatrixUnits, kRoundsSums}},
                               {Use::kNotFinal, 0, {}},
                               {Use::kForbidden, kLargerThanDevice, {}},
                               {Use::kPossible, kLarge, {kMatrixUnits}},
                               {Use::kPossible, 512, {kMatrixUnits}},
                               {Use::kPossible, 1024, {}}};
constexpr int64_t kFallback = 7;  // index of the engine that only the fallback heuristics return
bool is_convolution(const Descriptor& graph) { return is_convolution(graph.parts.at(801)[0]->kind); }
const Engines& engines_of(const Descriptor& graph) { return is_convolution(graph) ? kForConvolutions : kForAttention; }
// Returns the engine that a configuration selects for its graph.
const Engine& engine_of(const Descriptor& configuration) {
  return engines_of(configuration.part(201))[size_t(configuration.choice)];
}

Element element_of(int64_t type) {
  static const std::map<int64_t, Element> elements{{kReal32, Element::kReal32}, {kReal64, Element::kReal64},
                                                   {kReal16, Element::kReal16}, {kBrain16, Element::kBrain16},
                                                   {kInt32, Element::kInt32},   {kBoolean, Element::kUint8}};
  const auto found = elements.find(type);
  return found == elements.end() ? Element::kNone : found->second;
}

// Returns the convolution that a graph describes. `memory`: addresses of the tensors by their identifiers.
CudnnConvolution convolution_of(const Descriptor& graph, const std::map<int64_t, void*>& memory = {}) {
  const Descriptor& o = *graph.parts.at(801)[0];
  const Descriptor& c = o.part(702);
  const auto spatial = [&](int attribute, int64_t missing) {
    std::array<int64_t, 3> out{missing, missing, missing};
    const auto& values = c.values.at(attribute);
    std::copy(values.begin(), values.end(), out.end() - ptrdiff_t(values.size()));
    return out;
  };
  const auto operand = [&](int attribute) {
    const Descriptor& t = o.part(attribute);
    const auto widened = [&](int values) {
      std::array<int64_t, 5> out{1, 1, 1, 1, 1};
      const auto& given = t.values.at(values);
      std::copy_n(given.begin(), 2, out.begin());
      std::copy(given.begin() + 2, given.end(), out.end() - ptrdiff_t(given.size() - 2));
      return out;
    };
    const auto found = memory.find(t.value(906));
    return CudnnConvolution::Operand{element_of(t.value(901)), widened(902), widened(903),
                                     found == memory.end() ? nullptr : found->second};
  };
  const int result = o.kind == kInputGradient ? 0 : o.kind == kWeightGradient ? 1 : 2;
  return {result,
          {operand(704), operand(703), operand(705)},
          spatial(105, 0),
          spatial(103, 1),
          spatial(102, 1),
          element_of(c.value(100)),
          double(o.value(700)),
          double(o.value(701))};
}

// Returns the names of the operations in the order of the graph, for the comparison with supported graphs.
std::string names_of(const Descriptor& graph) {
  static const std::map<int64_t, std::string> pointwise{{0, "add"},      {1, "mul"},   {6, "div"},
                                                        {9, "sub"},      {13, "exp"},  {15, "log"},
                                                        {303, "cmp_ge"}, {501, "gen"}, {601, "select"}};
  std::string out;
  for (const auto& operation : graph.parts.at(801)) {
    const Descriptor& o = *operation;
    if (o.kind == kApply) {
      const auto found = pointwise.find(o.part(750).value(0));
      out += found == pointwise.end() ? "?" : found->second;
    } else if (o.kind == kReduce) {
      out += o.part(1612).value(1600) == 0 ? "sum" : "max";
    } else {
      out += o.kind == kMultiply ? "matmul" : "reshape";
    }
    out += " ";
  }
  return out;
}
bool is_recognised(const Descriptor& graph) {
  if (is_convolution(graph)) return graph.parts.at(801).size() == 1 && convolution_of(graph).fits();
  static const std::string mask = "gen gen cmp_ge select ";
  static const auto forward = [](const std::string& masked) {
    return "matmul mul " + masked + "max sub exp sum log add div matmul ";
  };
  static const auto derivative = [](const std::string& masked) {
    return "mul sum mul matmul mul sub " + masked +
           "exp reshape matmul matmul sub mul mul reshape matmul reshape matmul ";
  };
  static const std::set<std::string> all{forward(""), forward(mask), derivative(""), derivative(mask)};
  return all.count(names_of(graph)) != 0;
}

bool is_valid_tensor(const Descriptor& t) {
  const auto &size = t.values.at(902), &stride = t.values.at(903);
  if (size.size() < 4 || stride.size() != size.size() || (t.value(907) && t.value(908))) return false;
  return std::min(*std::min_element(size.begin(), size.end()), *std::min_element(stride.begin(), stride.end())) > 0;
}
bool is_valid_product(const Descriptor& o) {
  const auto &a = o.part(1520).values.at(902), &b = o.part(1521).values.at(902), &c = o.part(1522).values.at(902);
  const bool same = std::equal(a.begin(), a.begin() + 2, c.begin()) && b[0] == a[0] && (b[1] == a[1] || b[1] == 1);
  return same && a[3] == b[2] && a[2] == c[2] && b[3] == c[3];
}
// Returns true if each input has the size of the result, or size 1, in each dimension.
bool is_valid_apply(const Descriptor& o) {
  const auto& out = o.part(753).values.at(902);
  for (const int input : {751, 752, 758})
    for (size_t i = 0; i < 4 && o.has(input); ++i)
      if (const int64_t n = o.part(input).values.at(902)[i]; n != out[i] && n != 1) return false;
  return o.part(750).value(0) != 501 || o.part(750).has(9);
}
bool is_valid_convolution(const Descriptor& c) {
  const size_t dims = size_t(c.value(106));
  for (const int attribute : {102, 103, 104, 105})
    if (c.values.at(attribute).size() != dims) return false;
  return dims >= 2 && c.value(101) == 1 && c.values.at(104) == c.values.at(105);
}
// Returns true if the tensors of a convolution have its number of dimensions, and its factors have the type of its
// sums.
bool is_valid_convolution_operation(const Descriptor& o) {
  const Descriptor& c = o.part(702);
  for (const int attribute : {703, 704, 705})
    if (o.part(attribute).values.at(902).size() != size_t(c.value(106)) + 2) return false;
  const int type = c.value(100) == kReal64 ? kDouble : kFloat;
  return o.types.at(700) == type && o.types.at(701) == type;
}
bool is_complete(const Descriptor& d) {
  return std::all_of(std::begin(kRules), std::end(kRules), [&](const Rule& rule) {
    return rule.kind != kind_of_rules(d.kind) || !rule.required || d.has(rule.attribute);
  });
}
int compile(const Descriptor& plan) { return engine_of(plan.part(401)).use == Use::kNotFinal ? kUnsupported : kFine; }
int check(const Descriptor& d) {
  if (!is_complete(d)) return kWrongParameter;
  switch (d.kind) {
    case kTensor:
      return is_valid_tensor(d) ? kFine : kWrongParameter;
    case kConvolution:
      return is_valid_convolution(d) ? kFine : kWrongParameter;
    case kForward:
    case kInputGradient:
    case kWeightGradient:
      return is_valid_convolution_operation(d) ? kFine : kWrongParameter;
    case kMultiply:
      return is_valid_product(d) ? kFine : kWrongParameter;
    case kApply:
      return is_valid_apply(d) ? kFine : kWrongParameter;
    case kPack:
      return d.values.at(1000).size() == d.values.at(1001).size() ? kFine : kWrongParameter;
    case kGraph:
      return is_recognised(d) ? kFine : kUnsupported;
    case kPlan:
      return compile(d);
    default:
      return kFine;
  }
}

// The execution of a graph. Values are stored in logical order, as (batch, heads, rows, columns).
using Sizes = std::array<int64_t, 4>;
Sizes sizes(const Descriptor& tensor, int attribute = 902) {
  Sizes out;
  std::copy_n(tensor.values.at(attribute).begin(), 4, out.begin());
  return out;
}
template <class F>
void each_index(const Sizes& size, F&& f) {
  Sizes i;
  for (i[0] = 0; i[0] < size[0]; ++i[0])
    for (i[1] = 0; i[1] < size[1]; ++i[1])
      for (i[2] = 0; i[2] < size[2]; ++i[2])
        for (i[3] = 0; i[3] < size[3]; ++i[3]) f(i);
}
int64_t offset(const Sizes& index, const Sizes& stride) {
  int64_t out = 0;
  for (size_t i = 0; i < 4; ++i) out += index[i] * stride[i];
  return out;
}
Sizes strides_in_order(const Sizes& size) { return {size[1] * size[2] * size[3], size[2] * size[3], size[3], 1}; }

class Execution {
 public:
  Execution(std::shared_ptr<const Descriptor> graph, std::map<int64_t, void*> memory)
      : graph_(std::move(graph)), memory_(std::move(memory)) {}

  void run() {
    for (const auto& operation : graph_->parts.at(801)) {
      const Descriptor& o = *operation;
      if (o.kind == kMultiply)
        multiply(o.part(1520), o.part(1521), o.part(1522));
      else if (o.kind == kReduce)
        reduce(o.part(1610), o.part(1611), o.part(1612).value(1600));
      else if (o.kind == kReshape)
        reshape(o.part(2200), o.part(2201));
      else
        apply(o);
    }
  }

 private:
  using Values = std::vector<double>;
  const Values& read(const Descriptor& tensor) {
    const auto [found, fresh] = values_.try_emplace(tensor.value(906));
    if (fresh) {
      const Sizes size = sizes(tensor), stride = sizes(tensor, 903);
      each_index(size, [&](const Sizes& i) {
        const void* data = memory_.at(tensor.value(906));
        found->second.push_back(emulated::read(element_of(tensor.value(901)), data, offset(i, stride)).real());
      });
    }
    return found->second;
  }
  void write(const Descriptor& tensor, Values values) {
    const Element element = element_of(tensor.value(901));
    for (double& value : values) {
      std::array<char, 8> room;
      emulated::write(element, room.data(), 0, value);
      value = emulated::read(element, room.data(), 0).real();
    }
    if (!tensor.value(907)) {
      const Sizes stride = sizes(tensor, 903);
      const double* next = values.data();
      each_index(sizes(tensor), [&](const Sizes& i) {
        emulated::write(element, memory_.at(tensor.value(906)), offset(i, stride), *next++);
      });
    }
    values_[tensor.value(906)] = std::move(values);
  }

  void multiply(const Descriptor& left, const Descriptor& right, const Descriptor& out) {
    const Values &a = read(left), &b = read(right);
    const Sizes size = sizes(out);
    const int64_t depth = sizes(left)[3], heads = sizes(right)[1];
    Values result;
    each_index(size, [&](const Sizes& i) {
      const int64_t row = (i[0] * size[1] + i[1]) * size[2] + i[2], matrix = i[0] * heads + i[1] % heads;
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += a[size_t(row * depth + k)] * b[size_t((matrix * depth + k) * size[3] + i[3])];
      result.push_back(sum);
    });
    write(out, std::move(result));
  }
  void reduce(const Descriptor& in, const Descriptor& out, int64_t mode) {
    const Sizes size = sizes(in), order = strides_in_order(sizes(out));
    const double first = mode == 0 ? 0 : -std::numeric_limits<double>::infinity();
    Values result(size_t(order[0] * sizes(out)[0]), first);
    const double* next = read(in).data();
    each_index(size, [&](Sizes i) {
      for (size_t d = 0; d < 4; ++d) i[d] = std::min(i[d], sizes(out)[d] - 1);
      double &to = result[size_t(offset(i, order))], from = *next++;
      to = mode == 0 ? to + from : to != to || to > from ? to : from;
    });
    write(out, std::move(result));
  }
  void reshape(const Descriptor& in, const Descriptor& out) {
    std::map<int64_t, double> memory;
    const double* next = read(in).data();
    each_index(sizes(in), [&](const Sizes& i) { memory[offset(i, sizes(in, 903))] = *next++; });
    Values result;
    each_index(sizes(out), [&](const Sizes& i) { result.push_back(memory.at(offset(i, sizes(out, 903)))); });
    write(out, std::move(result));
  }
  void apply(const Descriptor& o) {
    const Descriptor &out = o.part(753), &function = o.part(750);
    Values result;
    each_index(sizes(out), [&](const Sizes& i) {
      std::array<double, 3> in{};
      double* next = in.data();
      for (const int attribute : {751, 752, 758}) {
        if (!o.has(attribute)) continue;
        const Descriptor& input = o.part(attribute);
        Sizes j;
        for (size_t d = 0; d < 4; ++d) j[d] = sizes(input)[d] == 1 ? 0 : i[d];
        // The index does not depend on the values, which need not exist.
        if (function.value(0) != 501) *next++ = read(input)[size_t(offset(j, strides_in_order(sizes(input))))];
      }
      result.push_back(value_of(function, in, i));
    });
    write(out, std::move(result));
  }
  static double value_of(const Descriptor& function, const std::array<double, 3>& in, const Sizes& index) {
    switch (function.value(0)) {
      case 0:
        return in[0] + in[1];
      case 1:
        return in[0] * in[1];
      case 6:
        return in[0] / in[1];
      case 9:
        return in[0] - in[1];
      case 13:
        return std::exp(in[0]);
      case 15:
        return std::log(in[0]);
      case 303:
        return in[0] >= in[1];
      case 501:
        return double(index[size_t(function.value(9))]);
      default:
        return in[2] != 0 ? in[0] : in[1];
    }
  }

  const std::shared_ptr<const Descriptor> graph_;
  const std::map<int64_t, void*> memory_;
  std::map<int64_t, Values> values_;  // by the identifiers of their tensors
};

// Collects the tensors of a graph that are not intermediate, by their identifiers. Returns false if two tensors have
// the same identifier.
bool operands_of(const Descriptor& graph, std::map<int64_t, std::shared_ptr<const Descriptor>>& out) {
  std::map<int64_t, std::shared_ptr<const Descriptor>> all;
  for (const auto& operation : graph.parts.at(801))
    for (const auto& [attribute, parts] : operation->parts)
      if (parts[0]->kind == kTensor) {
        const auto [found, fresh] = all.try_emplace(parts[0]->value(906), parts[0]);
        if (found->second != parts[0]) return false;
        if (!parts[0]->value(907)) out.insert(*found);
      }
  return true;
}

using Regions = std::vector<std::pair<const void*, size_t>>;
Regions::value_type region_of(const Descriptor& tensor, const void* data) {
  int64_t last = 0;
  for (size_t i = 0; i < tensor.values.at(902).size(); ++i)
    last += (tensor.values.at(902)[i] - 1) * tensor.values.at(903)[i];
  return {data, size_t(last + 1) * bytes_of(element_of(tensor.value(901)))};
}

// Reads the operands of a variant pack. Numbers that are passed by value are copied to `scalars`. Returns false if an
// operand is missing, unknown or misaligned.
bool read_pack(const Descriptor& graph, const Descriptor& pack, std::map<int64_t, void*>& memory,
               std::vector<std::shared_ptr<float>>& scalars, Regions& regions) {
  std::map<int64_t, std::shared_ptr<const Descriptor>> operands;
  if (!operands_of(graph, operands) || operands.size() != pack.values.at(1000).size()) return false;
  for (size_t i = 0; i < operands.size(); ++i) {
    const auto found = operands.find(pack.values.at(1000)[i]);
    void* address = reinterpret_cast<void*>(pack.values.at(1001)[i]);
    if (found == operands.end() || !address) return false;
    const Descriptor& tensor = *found->second;
    if (tensor.value(908)) {
      scalars.push_back(std::make_shared<float>(*static_cast<const float*>(address)));
      address = scalars.back().get();
    } else {
      if (reinterpret_cast<uintptr_t>(address) % uintptr_t(tensor.value(900))) return false;
      regions.push_back(region_of(tensor, address));
    }
    memory[found->first] = address;
  }
  return memory.size() == operands.size();
}

const Rule* rule_for(int kind, int attribute, int type) {
  for (const Rule& rule : kRules)
    if (rule.kind == kind && rule.attribute == attribute && rule.type == type) return &rule;
  return nullptr;
}
int64_t value_at(int type, const void* values, int64_t i) {
  if (type == kFlag) return static_cast<const bool*>(values)[i];
  if (type == kInt64) return static_cast<const int64_t*>(values)[i];
  if (type == kFloat) return int64_t(static_cast<const float*>(values)[i]);  // factors are 0 or 1
  if (type == kDouble) return int64_t(static_cast<const double*>(values)[i]);
  if (type == kHandle || type == kAddress) return reinterpret_cast<int64_t>(static_cast<void* const*>(values)[i]);
  return static_cast<const int*>(values)[i];
}

// Returns the results of the heuristics: one configuration for each engine.
int get_results(const Descriptor& heuristics, int64_t limit, int64_t* count, void* values) {
  const Descriptor& graph = heuristics.part(201);
  const int64_t all = int64_t(engines_of(graph).size());
  const bool fallback = heuristics.value(200) == 2;
  const int64_t begin = fallback ? kFallback : 0, end = fallback ? all : std::min(all, kFallback);
  *count = std::max<int64_t>(end - begin, 0);
  if (values) *count = std::min(limit, *count);
  for (int64_t i = 0; values && i < *count; ++i) {
    const auto result = find(static_cast<Descriptor**>(values)[i]);
    if (!result || result->kind != kConfiguration || result->final) return kWrongParameter;
    result->final = true, result->choice = begin + i, result->parts[201] = heuristics.parts.at(201);
  }
  return kFine;
}
int get_notes(const Descriptor& engine, int64_t limit, int64_t* count, void* values) {
  const std::vector<int>& notes = engine_of(engine).notes;
  if (limit < int64_t(notes.size())) return kWrongParameter;
  std::copy(notes.begin(), notes.end(), static_cast<int*>(values));
  *count = int64_t(notes.size());
  return kFine;
}

}  // namespace

EMULATED_API int cudnnBackendCreateDescriptor(int kind, Descriptor** out) {
  EMULATED_CALL();
  const bool known =
      std::any_of(std::begin(kRules), std::end(kRules), [&](const Rule& r) { return r.kind == kind_of_rules(kind); });
  if (!known && kind != kEngine && kind != kConfiguration) return kUnsupported;
  auto made = std::make_shared<Descriptor>();
  made->kind = kind;
  *out = made.get();
  descriptors()[*out] = std::move(made);
  return kFine;
}
EMULATED_API int cudnnBackendDestroyDescriptor(Descriptor* d) {
  EMULATED_CALL();
  return descriptors().erase(d) ? kFine : kWrongParameter;
}

EMULATED_API int cudnnBackendSetAttribute(Descriptor* handle, int attribute, int type, int64_t count,
                                          const void* values) {
  EMULATED_CALL();
  const auto d = find(handle);
  if (!d || d->final) return kWrongParameter;
  attribute = stored_number(d->kind, attribute);
  const Rule* rule = rule_for(kind_of_rules(d->kind), attribute, type);
  if (!rule || count < 1 || count > rule->most || !values) return kWrongParameter;
  std::vector<int64_t> numbers;
  std::vector<std::shared_ptr<const Descriptor>> parts;
  for (int64_t i = 0; i < count; ++i) {
    if (type == kDescriptor) {
      parts.push_back(find(static_cast<Descriptor* const*>(values)[i]));
      if (!parts.back() || !parts.back()->final) return kWrongParameter;
    } else {
      numbers.push_back(value_at(type, values, i));
    }
  }
  d->types[attribute] = type;
  if (type == kDescriptor)
    d->parts[attribute] = std::move(parts);
  else
    d->values[attribute] = std::move(numbers);
  return kFine;
}

EMULATED_API int cudnnBackendFinalize(Descriptor* handle) {
  EMULATED_CALL();
  const auto d = find(handle);
  if (!d || d->final) return kWrongParameter;
  const int status = check(*d);
  d->final = status == kFine;
  return status;
}

EMULATED_API int cudnnBackendGetAttribute(Descriptor* handle, int attribute, int type, int64_t limit, int64_t* count,
                                          void* values) {
  EMULATED_CALL();
  const auto d = find(handle);
  if (!d || !d->final) return kWrongParameter;
  if (d->kind == kHeuristics && attribute == 202 && type == kDescriptor) return get_results(*d, limit, count, values);
  if (d->kind == kConfiguration && attribute == 300 && type == kDescriptor && limit == 1) {
    const auto engine = find(*static_cast<Descriptor**>(values));
    if (!engine || engine->kind != kEngine || engine->final) return kWrongParameter;
    engine->final = true, engine->choice = d->choice, engine->parts = d->parts, *count = 1;
    return kFine;
  }
  if (d->kind == kEngine && attribute == 1303 && type == kNote) return get_notes(*d, limit, count, values);
  if (d->kind == kPlan && attribute == 402 && type == kInt64 && limit == 1) {
    *static_cast<int64_t*>(values) = engine_of(d->part(401)).workspace, *count = 1;
    return kFine;
  }
  return kWrongParameter;
}

EMULATED_API int cudnnBackendExecute(int*, Descriptor* plan, Descriptor* pack) {
  EMULATED_CALL();
  const auto p = find(plan), v = find(pack);
  if (!p || !v || p->kind != kPlan || v->kind != kPack || !p->final || !v->final) return kWrongParameter;
  const Descriptor& configuration = p->part(401);
  const auto graph = configuration.parts.at(201)[0];
  const Engine& engine = engine_of(configuration);
  Regions regions{{reinterpret_cast<void*>(v->value(1003)), size_t(engine.workspace)}};
  std::map<int64_t, void*> memory;
  std::vector<std::shared_ptr<float>> scalars;
  if (engine.use != Use::kPossible || !read_pack(*graph, *v, memory, scalars, regions)) return kWrongParameter;
  if (is_convolution(*graph))
    return submit_with(call, cudnn_stream, "a convolution reached beyond its memory", std::move(regions),
                       [c = convolution_of(*graph, memory), tf32 = !engine.notes.empty()] { c.run(tf32); });
  return submit_with(call, cudnn_stream, "attention reached beyond its memory", std::move(regions),
                     [graph, memory, scalars] { Execution(graph, memory).run(); });
}
