#include "cuda/layers/optimizer.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "device/layers/optimizer_arguments.h"

namespace flambeau::cuda {

namespace {

static_assert(kOptimizerTensors == 2 + OptimizerRule::kStates && OptimizerRule::kCoefficients == 10);

CudaModule& module_of(const char* kernel, const std::string& what, uint64_t key, Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(key * 16 + uint64_t(dtype), [&] {
    return std::make_unique<CudaModule>("optimizer",
                                        "#include \"device/layers/optimizer.h\"\n" + what + type_name(dtype) + ")\n",
                                        std::initializer_list<const char*>{kernel});
  });
}

// The class of a rule is in flambeau/kernels/optimizer_rules.h. For example, the rule "adam" has the class Adam.
CudaModule& module_of(const OptimizerRule& rule, Dtype dtype) {
  std::string name = rule.name;
  name[0] = char(std::toupper(name[0]));
  uint64_t key = 0;
  for (char c : name) key = key * 31 + uint64_t(c);
  return module_of("step", "FLAMBEAU_OPTIMIZER(" + name + ", ", key, dtype);
}

// The list of tensors for one launch of a kernel.
class List {
 public:
  explicit List(OptimizerTargets& list) : list_(list) { list_.count = 0; }
  void add(const Tensor* tensors, int count) {
    if (tensors[0].numel() == 0) return;
    OptimizerTargets::Target& target = list_.targets[list_.count];
    target = {{}, tensors[0].numel()};
    for (int i = 0; i < count; ++i) target.at[i] = tensors[i].defined() ? tensors[i].device_bytes() : nullptr;
    list_.first_block[list_.count++] = uint32_t(blocks_);
    blocks_ += divide_up(target.size, kOptimizerBlock);
  }
  Grid grid() const { return {unsigned(blocks_)}; }
  bool empty() const { return blocks_ == 0; }

 private:
  OptimizerTargets& list_;
  int64_t blocks_ = 0;
};

// Divides the items into ranges with the same coefficients that fit in one launch, and calls launch(first, last) for
// each range.
template <class Same, class Run>
void each_batch(size_t count, Same&& same, Run&& run) {
  for (size_t first = 0; first < count;) {
    size_t last = first + 1;
    while (last < count && last - first < size_t(kOptimizerTargets) && same(first, last)) ++last;
    run(first, last);
    first = last;
  }
}

bool alike(const Tensor& a, const Tensor& b) { return a.dtype() == b.dtype() && a.device() == b.device(); }

}  // namespace

void optimizer_step(const OptimizerRule& rule, const std::vector<OptimizerWork>& work) {
  const auto same = [&](size_t i, size_t j) {
    return alike(work[i].at[0], work[j].at[0]) &&
           std::memcmp(work[i].coefficients, work[j].coefficients, sizeof work[i].coefficients) == 0;
  };
  each_batch(work.size(), same, [&](size_t first, size_t last) {
    const Tensor& one = work[first].at[0];
    OptimizerArguments a{};
    std::copy_n(work[first].coefficients, OptimizerRule::kCoefficients, a.coefficients);
    List list(a.list);
    for (size_t i = first; i < last; ++i) list.add(work[i].at, kOptimizerTensors);
    if (!list.empty()) launch(one.device().index, module_of(rule, one.dtype()), 0, list.grid(), kThreads, a);
  });
}

bool scale(const std::vector<Tensor>& tensors, double factor) {
  std::vector<Tensor> marks;  // one flag for each GPU: nonzero if an element was not finite
  const auto mark_of = [&](const Tensor& t) {
    for (const Tensor& mark : marks)
      if (mark.device() == t.device()) return mark;
    const OnDevice scope(t.device());
    return marks.emplace_back(zeros({}, Dtype::int32));
  };
  each_batch(
      tensors.size(), [&](size_t i, size_t j) { return alike(tensors[i], tensors[j]); },
      [&](size_t first, size_t last) {
        const Tensor& one = tensors[first];
        ScaleArguments a{};
        a.factor = factor;
        a.infinite = reinterpret_cast<int*>(mark_of(one).device_bytes());
        List list(a.list);
        for (size_t i = first; i < last; ++i) list.add(&tensors[i], 1);
        if (list.empty()) return;
        CudaModule& module = module_of("scale", "FLAMBEAU_SCALE(", 0, one.dtype());
        launch(one.device().index, module, 0, list.grid(), kThreads, a);
      });
  bool finite = true;
  for (const Tensor& mark : marks) finite &= flambeau::item(mark).integer() == 0;
  return finite;
}

}  // namespace flambeau::cuda
