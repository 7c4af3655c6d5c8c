#include "cuda/libraries/cublaslt.h"

#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/runtime/allocator.h"
#include "cuda/runtime/devices.h"
#include "cuda/runtime/library.h"
#include "flambeau/cuda/installation.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::cuda {

namespace {

// The part of the library's interface that is used, with its constants (cublasLt.h of CUDA 12 and 13).
struct LibraryHandle;
struct OperationHandle;
struct LayoutHandle;
struct PreferenceHandle;
struct Algorithm {
  uint64_t data[8];
};
struct Heuristic {
  Algorithm algorithm;
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
static_assert(sizeof(Heuristic) == 96, "as cublasLtMatmulHeuristicResult_t");

#define FLAMBEAU_CUBLASLT_FUNCTIONS(X)                                                                                 \
  X(cublasLtCreate, (LibraryHandle**))                                                                                 \
  X(cublasLtMatmulDescCreate, (OperationHandle**, int compute, int scale))                                             \
  X(cublasLtMatmulDescSetAttribute, (OperationHandle*, int, const void*, size_t))                                      \
  X(cublasLtMatmulDescDestroy, (OperationHandle*))                                                                     \
  X(cublasLtMatrixLayoutCreate, (LayoutHandle**, int type, uint64_t rows, uint64_t columns, int64_t leading))          \
  X(cublasLtMatrixLayoutSetAttribute, (LayoutHandle*, int, const void*, size_t))                                       \
  X(cublasLtMatrixLayoutDestroy, (LayoutHandle*))                                                                      \
  X(cublasLtMatmulPreferenceCreate, (PreferenceHandle**))                                                              \
  X(cublasLtMatmulPreferenceSetAttribute, (PreferenceHandle*, int, const void*, size_t))                               \
  X(cublasLtMatmulPreferenceDestroy, (PreferenceHandle*))                                                              \
  X(cublasLtMatmulAlgoGetHeuristic, (LibraryHandle*, OperationHandle*, LayoutHandle*, LayoutHandle*, LayoutHandle*,    \
                                     LayoutHandle*, PreferenceHandle*, int wanted, Heuristic*, int* found))            \
  X(cublasLtMatmul, (LibraryHandle*, OperationHandle*, const void* alpha, const void* a, LayoutHandle*, const void* b, \
                     LayoutHandle*, const void* beta, const void* c, LayoutHandle*, void* d, LayoutHandle*,            \
                     const Algorithm*, void* workspace, size_t, StreamHandle*))

namespace number {
enum DataType { kReal32 = 0, kReal64 = 1, kReal16 = 2, kComplex32 = 4, kComplex64 = 5, kBrain16 = 14 };
enum Compute { kCompute32 = 68, kCompute64 = 70, kComputeTf32 = 77 };
enum OperationAttribute { kTransposeA = 3, kTransposeB = 4, kEpilogue = 7, kBiasPointer = 8, kBiasType = 26 };
enum LayoutAttribute { kBatchCount = 5, kBatchStride = 6 };
enum PreferenceAttribute {
  kMaxWorkspace = 1,
  kReductionSchemes = 3,
  kAlignmentA = 5,
  kAlignmentB = 6,
  kAlignmentC = 7,
  kAlignmentD = 8
};
enum { kTransposed = 1, kEpilogueBias = 4, kReducedInPlace = 1, kReducedAsComputed = 2 };
}  // namespace number

struct Library : OpenedLibrary {
  FLAMBEAU_CUBLASLT_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
  size_t (*version)();

  Library() : OpenedLibrary("FLAMBEAU_CUBLASLT", by_generation("libcublasLt.so.13", "libcublasLt.so.12")) {
    FLAMBEAU_CUBLASLT_FUNCTIONS(FLAMBEAU_FIND_FUNCTION)
    find("cublasLtGetVersion", version);
  }
};
const Library& library() { return the_library<Library>(); }

std::atomic<bool> tf32{false};

int data_type(Dtype d) {
  switch (d) {
    case Dtype::float32:
      return number::kReal32;
    case Dtype::float64:
      return number::kReal64;
    case Dtype::float16:
      return number::kReal16;
    case Dtype::bfloat16:
      return number::kBrain16;
    case Dtype::complex64:
      return number::kComplex32;
    case Dtype::complex128:
      return number::kComplex64;
    default:
      return -1;
  }
}
// Returns the type of the scaling factors, which is also the type of the accumulator.
int scale_type(Dtype d) { return item_size(d) == 2 ? int(number::kReal32) : data_type(d); }
int precision_of(Dtype d) {
  if (d == Dtype::float64 || d == Dtype::complex128) return number::kCompute64;
  return tf32 && (d == Dtype::float32 || d == Dtype::complex64) ? number::kComputeTf32 : number::kCompute32;
}

// Returns the largest power of two, up to 256, that divides an address.
int64_t alignment(const void* p) {
  return int64_t(1) << std::min(8, std::countr_zero(reinterpret_cast<uintptr_t>(p) | 256));
}

// Returns the size of the workspace that NVIDIA recommends.
size_t workspace_of(int device) { return properties(device).major >= 9 ? size_t(32) << 20 : size_t(4) << 20; }

// All properties of a product on which the choice of its algorithm depends. `right` is the layout of the library's
// first operand, and `left` is the layout of its second operand.
using Key = std::array<int64_t, 22>;
Key key_of(const ProductArguments& a, const LibraryLayout& right, const LibraryLayout& left, Dtype in, Dtype out) {
  const Division& d = a.division;
  return {d.m,
          d.n,
          d.k,
          d.batch,
          int64_t(in),
          int64_t(out),
          precision_of(in),
          right.transposed,
          right.leading,
          right.rows,
          left.transposed,
          left.leading,
          left.rows,
          a.right.batch,
          a.left.batch,
          a.out_batch,
          a.out_row,
          a.bias != nullptr,
          alignment(a.right.data),
          alignment(a.left.data),
          alignment(a.out),
          a.bias ? alignment(a.bias) : 0};
}

// The factors alpha = 1 and beta = 0 of result = alpha * product + beta * result, in the format that the library
// expects.
struct Factors {
  double alpha[2] = {}, beta[2] = {};

  explicit Factors(Dtype d) {
    if (item_size(d) == 16 || d == Dtype::float64) {
      alpha[0] = 1;
    } else {
      const float one = 1;
      std::memcpy(alpha, &one, sizeof one);
    }
  }
};

// A product in the form that the library computes: its first operand is the transposed right matrix, and its second
// operand is the transposed left matrix.
struct CublasLtPlan {
  OperationHandle* operation = nullptr;
  LayoutHandle *right = nullptr, *left = nullptr, *out = nullptr;
  Heuristic heuristic{};
  bool usable = false;
};

void destroy(CublasLtPlan& p) {
  const Library& l = library();
  if (p.operation) l.cublasLtMatmulDescDestroy(p.operation);
  for (LayoutHandle* layout : {p.right, p.left, p.out})
    if (layout) l.cublasLtMatrixLayoutDestroy(layout);
}

class Planner {
 public:
  explicit Planner(int device) {
    activate(device);
    if (library().cublasLtCreate(&handle_) != 0) handle_ = nullptr;
    workspace_ = workspace_of(device);
  }
  bool usable() const { return handle_ != nullptr; }

  bool run(int device, const ProductArguments& a, Dtype in, Dtype out) {
    const Division& d = a.division;
    const auto right = library_layout(d.k, d.n, a.right.row, a.right.column),
               left = library_layout(d.m, d.k, a.left.row, a.left.column);
    if (!right || !left || a.out_column != 1 || (d.m > 1 && a.out_row < d.n) || (a.bias && a.bias_stride != 1))
      return false;
    CublasLtPlan& plan = plan_for(a, *right, *left, in, out);
    if (!plan.usable) return false;
    const std::optional<Tensor> memory = workspace(plan.heuristic.workspace);
    return memory && multiply(plan, device, a, in, *memory);
  }

 private:
  CublasLtPlan& plan_for(const ProductArguments& a, const LibraryLayout& right, const LibraryLayout& left, Dtype in,
                         Dtype out) {
    const std::lock_guard lock(mutex_);
    const auto [found, fresh] = plans_.try_emplace(key_of(a, right, left, in, out));
    if (fresh) make(found->second, a, right, left, in, out);
    return found->second;
  }
  LayoutHandle* layout(int type, int64_t rows, int64_t columns, int64_t leading, const Division& d, int64_t stride) {
    const Library& l = library();
    LayoutHandle* out = nullptr;
    if (l.cublasLtMatrixLayoutCreate(&out, type, uint64_t(rows), uint64_t(columns), leading) != 0) return nullptr;
    const int32_t count = int32_t(d.batch);
    l.cublasLtMatrixLayoutSetAttribute(out, number::kBatchCount, &count, sizeof count);
    l.cublasLtMatrixLayoutSetAttribute(out, number::kBatchStride, &stride, sizeof stride);
    return out;
  }
  void set(OperationHandle* operation, int attribute, int32_t value) {
    library().cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value);
  }

  void make(CublasLtPlan& p, const ProductArguments& a, const LibraryLayout& right, const LibraryLayout& left, Dtype in,
            Dtype out) {
    const Library& l = library();
    const Division& d = a.division;
    if (d.batch > INT32_MAX) return;
    p.right = layout(data_type(in), right.rows, right.columns, right.leading, d, a.right.batch);
    p.left = layout(data_type(in), left.rows, left.columns, left.leading, d, a.left.batch);
    p.out = layout(data_type(out), d.n, d.m, d.m == 1 ? d.n : a.out_row, d, a.out_batch);
    if (!p.right || !p.left || !p.out ||
        l.cublasLtMatmulDescCreate(&p.operation, precision_of(in), scale_type(in)) != 0)
      return;
    set(p.operation, number::kTransposeA, right.transposed ? number::kTransposed : 0);
    set(p.operation, number::kTransposeB, left.transposed ? number::kTransposed : 0);
    if (a.bias) {
      set(p.operation, number::kEpilogue, number::kEpilogueBias);
      set(p.operation, number::kBiasType, data_type(in));
      l.cublasLtMatmulDescSetAttribute(p.operation, number::kBiasPointer, &a.bias, sizeof a.bias);
    }
    choose(p, a, out);
    if (!p.usable) destroy(p), p = CublasLtPlan();
  }

  // Selects the algorithm that the library expects to be the fastest.
  void choose(CublasLtPlan& p, const ProductArguments& a, Dtype out) {
    const Library& l = library();
    PreferenceHandle* preference = nullptr;
    if (l.cublasLtMatmulPreferenceCreate(&preference) != 0) return;
    l.cublasLtMatmulPreferenceSetAttribute(preference, number::kMaxWorkspace, &workspace_, sizeof workspace_);
    const auto prefer = [&](int attribute, uint32_t value) {
      l.cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value);
    };
    // Several blocks may compute parts of a sum. The parts are added in the result, always in the same order, unless
    // this would round them to half precision.
    prefer(number::kReductionSchemes,
           item_size(out) == 2 ? number::kReducedAsComputed : number::kReducedAsComputed | number::kReducedInPlace);
    const auto align = [&](int attribute, const void* address) { prefer(attribute, uint32_t(alignment(address))); };
    align(number::kAlignmentA, a.right.data), align(number::kAlignmentB, a.left.data);
    align(number::kAlignmentC, a.out), align(number::kAlignmentD, a.out);
    int found = 0;
    const int status = l.cublasLtMatmulAlgoGetHeuristic(handle_, p.operation, p.right, p.left, p.out, p.out, preference,
                                                        1, &p.heuristic, &found);
    l.cublasLtMatmulPreferenceDestroy(preference);
    p.usable = status == 0 && found > 0 && p.heuristic.status == 0;
  }

  bool multiply(CublasLtPlan& p, int device, const ProductArguments& a, Dtype in, const Tensor& memory) {
    const Library& l = library();
    const size_t bytes = p.heuristic.workspace;
    void* const room = bytes ? memory.device_bytes() : nullptr;
    const std::lock_guard lock(mutex_);  // one thread at a time sets and uses the bias of a plan
    if (a.bias) l.cublasLtMatmulDescSetAttribute(p.operation, number::kBiasPointer, &a.bias, sizeof a.bias);
    const Factors factors(in);
    activate(device);
    return l.cublasLtMatmul(handle_, p.operation, factors.alpha, a.right.data, p.right, a.left.data, p.left,
                            factors.beta, a.out, p.out, a.out, p.out, &p.heuristic.algorithm, room, bytes,
                            current_stream(device)) == 0;
  }

  LibraryHandle* handle_ = nullptr;
  size_t workspace_;
  std::mutex mutex_;
  std::map<Key, CublasLtPlan> plans_;
};

}  // namespace

bool library_multiplies(Dtype d) { return data_type(d) >= 0 && library().complete; }

bool library_product(int device, const ProductArguments& a, Dtype in, Dtype out) {
  if (!library_multiplies(in) || data_type(out) < 0 || a.division.k == 0) return false;
  Planner& p = of_device<Planner>(device);
  return p.usable() && p.run(device, a, in, out);
}

int64_t cublaslt_version() { return library().complete ? int64_t(library().version()) : 0; }

void allow_tf32(bool allowed) { tf32 = allowed; }
bool tf32_allowed() { return tf32; }

}  // namespace flambeau::cuda
