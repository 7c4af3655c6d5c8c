#include "program/gpu_chain.h"

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

#include "cuda/pointwise.h"
#include "cuda/runtime/cuda_modules.h"

namespace flambeau::program {

namespace {

using cuda::CudaModule, cuda::type_name, cuda::kMaxTensors, cuda::kMaxInputs;

// Returns the module with this source. Creates it if it does not exist.
CudaModule& module_of(const std::string& source) {
  static std::mutex mutex;
  static auto* modules = new std::map<std::string, std::unique_ptr<CudaModule>>;
  const std::lock_guard lock(mutex);
  std::unique_ptr<CudaModule>& module = (*modules)[source];
  if (!module) module = std::make_unique<CudaModule>("chain of operators", source, cuda::kPointwiseKernels);
  return *module;
}

}  // namespace

// Divides the steps into kernels and generates their sources.
class GpuChain::Builder {
 public:
  Builder(GpuChain& chain, std::span<const ChainInput> inputs, std::span<const ChainStep> steps)
      : chain_(chain), inputs_(inputs), steps_(steps), operands_(chain.values_) {
    for (size_t v = 0; v < inputs.size(); ++v) operands_[v] = {int(v)};
  }

  void build(std::span<const int> outputs) {
    for (size_t v = inputs_.size(); v < operands_.size(); ++v) {
      find_operands(int(v));
      if (std::ranges::count(outputs, int(v))) write(int(v));
    }
  }

 private:
  using Operands = SmallVector<int, 8>;
  static constexpr size_t kMaxLength = 100;  // maximum number of statements; longer kernels take seconds to compile

  const ChainStep& step(int value) const { return steps_[size_t(value) - inputs_.size()]; }

  bool is_number(int value) const { return value < int(inputs_.size()) && !inputs_[size_t(value)].example; }

  // Finds the operands of the kernel that would compute a value, tensors first. If the kernel would have too many
  // operands or statements, operands of the step are written to memory, the largest first.
  void find_operands(int value) {
    const ChainStep& s = step(value);
    for (;;) {
      Operands all;
      std::vector<int> computed;
      for (int k = 0; k < s.count; ++k) {
        for (const int o : operands_[size_t(s.operands[k])])
          if (!std::ranges::count(all, o)) all.push_back(o);
        add_computed(s.operands[k], computed);
      }
      const auto numbers = std::stable_partition(all.begin(), all.end(), [&](int v) { return !is_number(v); });
      const bool fits = size_t(numbers - all.begin()) <= kMaxTensors && all.size() <= kMaxInputs;
      if (fits && computed.size() < kMaxLength) {
        operands_[size_t(value)] = all;
        return;
      }
      write(*std::max_element(s.operands, s.operands + s.count, [&](int a, int b) {
        return fits ? length(a) < length(b) : operands_[size_t(a)].size() < operands_[size_t(b)].size();
      }));
    }
  }

  bool is_in_memory(int value) const {
    const Operands& operands = operands_[size_t(value)];
    return operands.size() == 1 && operands[0] == value;
  }
  // Adds the values that a kernel computes for a value: the value itself and its operands, unless they are in memory.
  void add_computed(int value, std::vector<int>& computed) const {
    if (is_in_memory(value) || std::ranges::count(computed, value)) return;
    computed.push_back(value);
    const ChainStep& s = step(value);
    for (int k = 0; k < s.count; ++k) add_computed(s.operands[k], computed);
  }
  size_t length(int value) const {
    std::vector<int> computed;
    add_computed(value, computed);
    return computed.size();
  }

  // Adds the kernel that computes a value. Kernels that are added later read the value from memory.
  void write(int value) {
    Operands& operands = operands_[size_t(value)];
    if (is_in_memory(value)) return;
    chain_.kernels_.push_back({value, operands, step(value).dtype, &module_of(source(value, operands))});
    operands = {value};
  }

  const char* element_type(int value) const {
    if (value >= int(inputs_.size())) return type_name(step(value).dtype);
    const Tensor* const example = inputs_[size_t(value)].example;
    return example ? type_name(example->dtype()) : "flambeau::cuda::Number";
  }

  std::string source(int value, const Operands& operands) const {
    std::ostringstream text;
    text << "#include \"device/elementwise/chain.h\"\nnamespace flambeau::cuda {\nstruct Chain {\n"
         << "  template <class V>\n  static auto call(";
    for (size_t i = 0; i < operands.size(); ++i) text << (i ? ", V v" : "V v") << operands[i];
    text << ") {\n";
    std::vector<bool> known(operands_.size());
    for (const int o : operands) known[size_t(o)] = true;
    add_statements(text, value, known);
    text << "    return v" << value << ";\n  }\n};\n}\nFLAMBEAU_POINTWISE(flambeau::cuda::Chain, "
         << type_name(dtype_of(compute_type(chain_.dtype_))) << ", " << element_type(value);
    for (const int o : operands) text << ", " << element_type(o);
    text << ")\n";
    return text.str();
  }

  void add_statements(std::ostringstream& text, int value, std::vector<bool>& known) const {
    if (known[size_t(value)]) return;
    known[size_t(value)] = true;
    const ChainStep& s = step(value);
    for (int k = 0; k < s.count; ++k) add_statements(text, s.operands[k], known);
    text << "    const V v" << value << " = ";
    if (s.kind == ChainStep::Convert) {
      text << "v" << s.operands[0] << ";\n";
      return;
    }
    const bool is_mask = s.dtype == Dtype::bool_;
    text << (is_mask ? "V(" : std::string("rounded<") + type_name(chain_.dtype_) + ">(")
         << (s.derivative < 0 ? "device::value_of<device::" : "device::derivative_of<device::") << row_of(s.op).name
         << "_row";
    if (s.derivative >= 0) text << ", " << s.derivative;
    text << ">(";
    if (s.derivative < 0)
      for (int k = 0; k < s.count; ++k) text << (k ? ", v" : "v") << s.operands[k];
    else
      add_derivative_operands(text, s);
    text << "));\n";
  }

  // The derivative takes the gradient, all operands and the result. Arguments that it does not read can have any value.
  static void add_derivative_operands(std::ostringstream& text, const ChainStep& s) {
    const PointwiseRow& row = row_of(s.op);
    text << "v" << s.operands[0];
    for (int k = 0, next = 1; k <= row.arity; ++k)
      text << ", v" << s.operands[row.reads[s.derivative] >> k & 1 ? next++ : 0];
  }

  GpuChain& chain_;
  std::span<const ChainInput> inputs_;
  std::span<const ChainStep> steps_;
  std::vector<Operands>
      operands_;  // for each value, the operands of a kernel that computes it; only the value itself if it is in memory
};

GpuChain::GpuChain(std::span<const ChainInput> inputs, std::span<const ChainStep> steps, std::span<const int> outputs,
                   Dtype dtype)
    : outputs_(outputs.begin(), outputs.end()), values_(inputs.size() + steps.size()), dtype_(dtype) {
  Builder(*this, inputs, steps).build(outputs);
}

void GpuChain::run(std::span<const Operand> inputs, std::span<const Tensor> outputs) const {
  if (outputs[0].numel() == 0) return;
  std::vector<Operand> values(inputs.begin(), inputs.end());
  values.resize(values_, Operand(Scalar(0)));
  std::vector<Tensor> intermediate(kernels_.size());
  for (size_t i = 0; i < outputs_.size(); ++i) values[size_t(outputs_[i])] = outputs[i];
  for (size_t i = 0; i < kernels_.size(); ++i) {
    const Kernel& kernel = kernels_[i];
    Operand& result = values[size_t(kernel.value)];
    if (!result.tensor) {
      intermediate[i] = empty(outputs[0].shape(), kernel.dtype);
      result = intermediate[i];
    }
    SmallVector<Operand, 8> operands;
    for (const int value : kernel.reads) operands.push_back(values[size_t(value)]);
    cuda::run_pointwise(*kernel.module, *result.tensor, {operands.data(), operands.size()},
                        dtype_of(compute_type(dtype_)));
  }
}

}  // namespace flambeau::program
