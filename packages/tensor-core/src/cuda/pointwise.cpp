// Pointwise operators and copies on a GPU. There is a module for each combination of operator and dtypes. See Note
// [CUDA modules].
#include "cuda/pointwise.h"

#include <algorithm>
#include <sstream>

#include "cuda/geometry.h"
#include "cuda/operators.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/transpose.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kVectors, kElements, kPacks, kRows, kStrided };

constexpr const char* kFamilies[] = {
#define FAMILY(name) #name,
#include "flambeau/families.def"
};

struct Function {
  int number;  // index of the pointwise operator; other functions have larger numbers
  PointwiseFamily family;
  const char* name;
};
constexpr Function kCopy{kPointwiseSlots, {}, "copy"};
// Functions that only this folder calls.
constexpr Function kAdd{kPointwiseSlots + 1, PointwiseFamily::basic, "add"},
    kSub{kPointwiseSlots + 2, PointwiseFamily::basic, "sub"},
    kConjugate{kPointwiseSlots + 3, PointwiseFamily::basic, "conj_physical"};

struct ModuleKey {  // key of a module
  const Function& function;
  int derivative, reads;
  Dtype in, out;
  int count;
  const Operand* operands;

  static constexpr uint64_t kTypes = kDtypeCount + 1;  // number of dtypes, plus one for the type Number
  uint64_t key() const {
    uint64_t k = uint64_t(function.number) * 8 + uint64_t(derivative + 1);
    k = (k * kTypes + uint64_t(in)) * kTypes + uint64_t(out);
    for (int i = 0; i < count; ++i)
      k = k * kTypes + (operands[i].tensor ? uint64_t(operands[i].tensor->dtype()) : kTypes - 1);
    return k * 8 + uint64_t(count);
  }
  bool copies() const { return function.number == kCopy.number; }
  std::string name() const { return std::string(function.name) + (derivative == kValue ? "" : "'s derivative"); }
  std::string source() const {
    std::ostringstream text;
    if (!copies()) text << "#define FLAMBEAU_FAMILY " << kFamilies[int(function.family)] << '\n';
    text << "#include \"device/elementwise/pointwise.h\"\nFLAMBEAU_POINTWISE(";
    if (copies())
      text << "IDENTITY";
    else if (derivative == kValue)
      text << "VALUE(" << function.name << ")";
    else
      text << "DERIVATIVE(" << function.name << ", " << derivative << ", " << reads << ")";
    text << ", " << type_name(in) << ", " << type_name(out);
    for (int i = 0; i < count; ++i)
      text << ", " << (operands[i].tensor ? type_name(operands[i].tensor->dtype()) : "flambeau::cuda::Number");
    text << ")\n";
    return text.str();
  }
};
CudaModule& module_of(const ModuleKey& wanted) {
  static auto* modules = new CudaModules;
  return modules->find(wanted.key(),
                       [&] { return std::make_unique<CudaModule>(wanted.name(), wanted.source(), kPointwiseKernels); });
}

void set_number(double (&parts)[2], Scalar value, Dtype in) {
  parts[0] = parts[1] = 0;
  if (is_inexact(in)) {
    parts[0] = value.real(), parts[1] = value.imaginary();
    return;
  }
  dispatch(in, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      const T v = value.to<T>();
      std::memcpy(&parts[0], &v, sizeof v);
    }
  });
}

// Runs a kernel on contiguous tensors. `width` is the number of elements that a thread processes.
void run_flat(int device, CudaModule& module, const PointwiseArguments& a, int64_t width) {
  bool aligned = true;
  for (char* pointer : a.pointers) aligned &= reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
  const int64_t blocks = divide_up(a.count, int64_t(kThreads) * width);
  launch(device, module, aligned ? kVectors : kElements, {unsigned(blocks)}, kThreads, a);
}

void run_strided(int device, CudaModule& module, const PointwiseArguments& common, StridedLayout part,
                 const int64_t* sizes, int64_t width) {
  StridedArguments a{common, 0, 0, {}, {}};
  uint64_t addresses[kPointers];
  for (int k = 0; k < part.pointers; ++k) {
    a.pointers[k] += part.offset[k];
    addresses[k] = reinterpret_cast<uint64_t>(a.pointers[k]);
  }
  const Kernel kernel = part.has_packs(width, sizes, addresses)         ? kPacks
                        : part.dims > 0 && part.size[0] >= kRowPart / 2 ? kRows
                                                                        : kStrided;
  if (kernel != kStrided) {
    a.row = part.size[0];
    part.divide_rows(kernel == kPacks ? width : kRowPart);
  }
  a.count = part.count();
  a.dims = part.dims;
  for (int d = 0; d < part.dims; ++d) a.sizes[d] = Divider(uint32_t(part.size[d]));
  for (int k = 0; k < part.pointers; ++k) std::copy_n(part.stride[k], part.dims, a.strides[k]);
  const int64_t threads = kernel == kRows ? a.count * 32 : a.count;
  launch(device, module, kernel, {unsigned(divide_up(threads, kThreads))}, kThreads, a);
}

void run(const ModuleKey& wanted, const Tensor& out) {
  if (out.numel() == 0) return;
  run_pointwise(module_of(wanted), out, {wanted.operands, size_t(wanted.count)}, wanted.in, wanted.copies());
}

}  // namespace

void run_pointwise(CudaModule& module, const Tensor& out, std::span<const Operand> operands, Dtype in, bool is_copy) {
  const int device = out.device().index, count = int(operands.size());
  PointwiseArguments a;
  a.count = out.numel();
  std::fill_n(a.pointers, kPointers, nullptr);
  a.pointers[0] = out.device_bytes();
  const Tensor* tensors[kPointers] = {&out};
  int64_t sizes[kPointers] = {item_size(out.dtype())}, largest = sizes[0];
  bool flat = out.is_contiguous();
  for (int k = 0; k < count; ++k) {
    const Operand& o = operands[size_t(k)];
    if (!o.tensor) {
      set_number(a.numbers[k + 1], o.scalar, in);
      continue;
    }
    tensors[k + 1] = o.tensor;
    a.pointers[k + 1] = o.tensor->device_bytes();
    sizes[k + 1] = item_size(o.tensor->dtype());
    largest = std::max(largest, sizes[k + 1]);
    flat &= o.tensor->is_contiguous() && o.tensor->shape() == out.shape();
  }
  const int64_t width = std::max<int64_t>(16 / largest, 1);
  if (flat) return run_flat(device, module, a, width);
  const StridedLayout layout = layout_of(tensors, std::min(count + 1, kPointers));
  if (layout.side_by_side(sizes)) return run_flat(device, module, a, width);
  const Tensor* copied = is_copy ? operands[0].tensor : nullptr;
  each_part(layout, [&](const StridedLayout& part) {
    const int dim = copied ? transposed_dim(part, sizes) : 0;
    if (dim == 0) return run_strided(device, module, a, part, sizes, width);
    copy_transposed(device, transpose_arguments(part, dim, a.pointers[0], a.pointers[1], transpose_tile(int(sizes[0]))),
                    in, out.dtype(), copied->dtype());
  });
}

void pointwise(const PointwiseRow& row, int derivative, const Tensor& out, const Operand* operands, int count,
               Dtype in) {
  Operand own[kPointers] = {0, 0, 0, 0, 0, 0};  // the operands, with numbers for tensors on the CPU
  for (int k = 0; k < count; ++k) {
    own[k] = operands[k];
    if (const Tensor* t = own[k].tensor; t && !t->is_cuda()) own[k] = Operand(flambeau::item(*t));
  }
  const Function function{int(row.op), family_of(row.op), row.name};
  const int reads = derivative == kValue ? 0 : row.reads[derivative];
  run({function, derivative, reads, in, out.dtype(), count, own}, out);
}

void add(const Tensor& out, const Tensor& x, const Tensor& y) {
  const Operand operands[] = {x, y};
  run({kAdd, kValue, 0, dtype_of(compute_type(out.dtype())), out.dtype(), 2, operands}, out);
}

void subtract(const Tensor& out, const Tensor& x, const Tensor& y) {
  const Operand operands[] = {x, y};
  run({kSub, kValue, 0, dtype_of(compute_type(out.dtype())), out.dtype(), 2, operands}, out);
}

Tensor conjugate(const Tensor& t) {
  if (!is_complex(t.dtype())) return t;
  const Tensor out = empty(t.shape(), t.dtype());
  const Operand operands[] = {t};
  run({kConjugate, kValue, 0, t.dtype(), t.dtype(), 1, operands}, out);
  return out;
}

void convert_elements(const Operand& from, Dtype in, const Tensor& to) {
  run({kCopy, kValue, 0, in, to.dtype(), 1, &from}, to);
}

}  // namespace flambeau::cuda
