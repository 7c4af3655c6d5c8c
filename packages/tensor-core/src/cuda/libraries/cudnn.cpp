#include "cuda/libraries/cudnn.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <iterator>
#include <map>
#include <mutex>

#include "cuda/runtime/allocator.h"
#include "cuda/runtime/devices.h"
#include "cuda/runtime/library.h"
#include "flambeau/cuda/installation.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::cuda {

namespace {

using Geometry = ConvolutionGeometry;

// The part of the library's interface that is used, with its constants (cudnn_ops.h and cudnn_cnn.h of cuDNN 8 and 9).
struct CudnnHandle;
struct TensorHandle;
struct FilterHandle;
struct ConvolutionHandle;
struct Performance {  // properties of an algorithm, as estimated by the library
  int algorithm, status;
  float time;
  size_t memory;
  int deterministic, mathematics;
  int reserved[3];
};
static_assert(sizeof(Performance) == 48, "as cudnnConvolutionFwdAlgoPerf_t");

#define FLAMBEAU_CUDNN_FUNCTIONS(X)                                                                                 \
  X(cudnnCreate, (CudnnHandle**))                                                                                   \
  X(cudnnSetStream, (CudnnHandle*, StreamHandle*))                                                                  \
  X(cudnnCreateTensorDescriptor, (TensorHandle**))                                                                  \
  X(cudnnSetTensorNdDescriptor, (TensorHandle*, int type, int dims, const int* sizes, const int* strides))          \
  X(cudnnDestroyTensorDescriptor, (TensorHandle*))                                                                  \
  X(cudnnCreateFilterDescriptor, (FilterHandle**))                                                                  \
  X(cudnnSetFilterNdDescriptor, (FilterHandle*, int type, int format, int dims, const int* sizes))                  \
  X(cudnnDestroyFilterDescriptor, (FilterHandle*))                                                                  \
  X(cudnnCreateConvolutionDescriptor, (ConvolutionHandle**))                                                        \
  X(cudnnSetConvolutionNdDescriptor, (ConvolutionHandle*, int dims, const int* padding, const int* stride,          \
                                      const int* dilation, int mode, int compute_type))                             \
  X(cudnnSetConvolutionGroupCount, (ConvolutionHandle*, int))                                                       \
  X(cudnnSetConvolutionMathType, (ConvolutionHandle*, int))                                                         \
  X(cudnnDestroyConvolutionDescriptor, (ConvolutionHandle*))                                                        \
  X(cudnnGetConvolutionForwardAlgorithm_v7, (CudnnHandle*, TensorHandle*, FilterHandle*, ConvolutionHandle*,        \
                                             TensorHandle*, int wanted, int* found, Performance*))                  \
  X(cudnnGetConvolutionBackwardDataAlgorithm_v7, (CudnnHandle*, FilterHandle*, TensorHandle*, ConvolutionHandle*,   \
                                                  TensorHandle*, int wanted, int* found, Performance*))             \
  X(cudnnGetConvolutionBackwardFilterAlgorithm_v7, (CudnnHandle*, TensorHandle*, TensorHandle*, ConvolutionHandle*, \
                                                    FilterHandle*, int wanted, int* found, Performance*))           \
  X(cudnnConvolutionForward,                                                                                        \
    (CudnnHandle*, const void* alpha, TensorHandle*, const void* image, FilterHandle*, const void* weight,          \
     ConvolutionHandle*, int algorithm, void* workspace, size_t, const void* beta, TensorHandle*, void* output))    \
  X(cudnnConvolutionBackwardData,                                                                                   \
    (CudnnHandle*, const void* alpha, FilterHandle*, const void* weight, TensorHandle*, const void* output,         \
     ConvolutionHandle*, int algorithm, void* workspace, size_t, const void* beta, TensorHandle*, void* image))     \
  X(cudnnConvolutionBackwardFilter,                                                                                 \
    (CudnnHandle*, const void* alpha, TensorHandle*, const void* image, TensorHandle*, const void* output,          \
     ConvolutionHandle*, int algorithm, void* workspace, size_t, const void* beta, FilterHandle*, void* weight))

namespace number {
enum DataType { kReal32 = 0, kReal64 = 1, kReal16 = 2, kBrain16 = 9 };
enum { kByChannels = 0, kChannelsLast = 1, kCrossCorrelation = 1, kDeterministic = 1 };
enum Mathematics { kDefault = 0, kMatrixUnits = 1, kExact = 3 };  // kDefault rounds float32 to TF32
}  // namespace number

struct Library : OpenedLibrary {
  FLAMBEAU_CUDNN_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
  size_t (*version)();

  Library() : OpenedLibrary("FLAMBEAU_CUDNN", {"libcudnn.so.9"}) {
    FLAMBEAU_CUDNN_FUNCTIONS(FLAMBEAU_FIND_FUNCTION)
    find("cudnnGetVersion", version);
  }
};
const Library& library() { return the_library<Library>(); }

std::atomic<bool> wanted{true};

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
    default:
      return -1;
  }
}
int mathematics_of(Dtype d) {
  if (item_size(d) == 2) return number::kMatrixUnits;
  return d == Dtype::float32 && tf32_allowed() ? number::kDefault : number::kExact;
}

// The library's descriptors of a convolution and the algorithms for one of its functions. The library supports no
// convolution in one dimension, which is described as one in two dimensions.
struct CudnnPlan {
  TensorHandle *image = nullptr, *output = nullptr;
  FilterHandle* weight = nullptr;
  ConvolutionHandle* convolution = nullptr;
  std::vector<Performance> algorithms;  // usable algorithms, the preferred one first

  CudnnPlan() = default;
  CudnnPlan(const CudnnPlan&) = delete;
  ~CudnnPlan() {
    const Library& l = library();
    for (TensorHandle* tensor : {image, output})
      if (tensor) l.cudnnDestroyTensorDescriptor(tensor);
    if (weight) l.cudnnDestroyFilterDescriptor(weight);
    if (convolution) l.cudnnDestroyConvolutionDescriptor(convolution);
  }

  bool describe(const Geometry& g, Dtype dtype, bool channels_last) {
    const Library& l = library();
    const int dims = std::max(g.dims, 2), type = data_type(dtype),
              compute = dtype == Dtype::float64 ? number::kReal64 : number::kReal32;
    const auto last = [&](const Sizes& sizes) {
      std::array<int, 3> out{};
      std::transform(sizes.end() - dims, sizes.end(), out.begin(), [](int64_t n) { return int(n); });
      return out;
    };
    const auto with = [&](int64_t first, int64_t second, const Sizes& sizes) {
      const std::array<int, 3> rest = last(sizes);
      return std::array{int(first), int(second), rest[0], rest[1], rest[2]};
    };
    const auto lay = [&](TensorHandle*& tensor, const std::array<int, 5>& sizes) {
      std::array<int, 5> strides{};
      int next = 1;
      const auto lay_dim = [&](int i) { strides[size_t(i)] = next, next *= sizes[size_t(i)]; };
      if (channels_last) lay_dim(1);
      for (int i = dims + 1; i > 1; --i) lay_dim(i);
      if (!channels_last) lay_dim(1);
      lay_dim(0);
      return l.cudnnCreateTensorDescriptor(&tensor) == 0 &&
             l.cudnnSetTensorNdDescriptor(tensor, type, dims + 2, sizes.data(), strides.data()) == 0;
    };
    return lay(image, with(g.batch, g.channels, g.size)) && lay(output, with(g.batch, g.filters, g.out)) &&
           l.cudnnCreateFilterDescriptor(&weight) == 0 &&
           l.cudnnSetFilterNdDescriptor(weight, type, channels_last ? number::kChannelsLast : number::kByChannels,
                                        dims + 2, with(g.filters, g.group_channels(), g.kernel).data()) == 0 &&
           l.cudnnCreateConvolutionDescriptor(&convolution) == 0 &&
           l.cudnnSetConvolutionNdDescriptor(convolution, dims, last(g.padding).data(), last(g.stride).data(),
                                             last(g.dilation).data(), number::kCrossCorrelation, compute) == 0 &&
           l.cudnnSetConvolutionGroupCount(convolution, int(g.groups)) == 0 &&
           l.cudnnSetConvolutionMathType(convolution, mathematics_of(dtype)) == 0;
  }

  // Sets `algorithms` to those that are deterministic and need at most kMostMemory bytes of workspace.
  void choose(CudnnHandle* handle, ConvolutionFunction function) {
    constexpr int kMaxAlgorithms = 16;
    constexpr size_t kMostMemory = size_t(1) << 30;
    const Library& l = library();
    std::array<Performance, kMaxAlgorithms> found;
    int count = 0, status = 0;
    if (function == ConvolutionFunction::Forward)
      status = l.cudnnGetConvolutionForwardAlgorithm_v7(handle, image, weight, convolution, output, kMaxAlgorithms,
                                                        &count, found.data());
    else if (function == ConvolutionFunction::InputGradient)
      status = l.cudnnGetConvolutionBackwardDataAlgorithm_v7(handle, weight, output, convolution, image, kMaxAlgorithms,
                                                             &count, found.data());
    else
      status = l.cudnnGetConvolutionBackwardFilterAlgorithm_v7(handle, image, output, convolution, weight,
                                                               kMaxAlgorithms, &count, found.data());
    if (status != 0) return;
    std::copy_if(found.begin(), found.begin() + count, std::back_inserter(algorithms), [](const Performance& p) {
      return p.status == 0 && p.deterministic == number::kDeterministic && p.memory <= kMostMemory;
    });
  }
};

// All properties of a convolution on which the choice of its algorithm depends.
using Key = std::array<int64_t, 27>;
Key key_of(ConvolutionFunction function, const Geometry& g, Dtype dtype, bool channels_last) {
  Key key{int64_t(function), int64_t(dtype), mathematics_of(dtype), g.batch, g.channels, g.filters,
          g.groups,          g.dims,         channels_last};
  auto next = key.begin() + 9;
  for (const Sizes* sizes : {&g.size, &g.kernel, &g.out, &g.stride, &g.padding, &g.dilation})
    next = std::copy(sizes->begin(), sizes->end(), next);
  return key;
}

class Planner {
 public:
  explicit Planner(int device) : device_(device) {
    activate(device);
    if (library().cudnnCreate(&handle_) != 0) handle_ = nullptr;
  }

  bool run(ConvolutionFunction function, const Geometry& g, const ConvolutionTensors& tensors, bool added) {
    if (!handle_) return false;
    activate(device_);
    const Dtype dtype = tensors.image.dtype();
    const CudnnPlan& plan = plan_for(function, g, dtype, tensors.format != MemoryFormat::Contiguous);
    for (const Performance& algorithm : plan.algorithms)
      if (const std::optional<Tensor> memory = workspace(algorithm.memory))
        return dtype == Dtype::float64 ? run_plan<double>(function, plan, algorithm, tensors, *memory, added)
                                       : run_plan<float>(function, plan, algorithm, tensors, *memory, added);
    return false;
  }

 private:
  const CudnnPlan& plan_for(ConvolutionFunction function, const Geometry& g, Dtype dtype, bool channels_last) {
    const std::lock_guard lock(mutex_);
    const auto [found, fresh] = plans_.try_emplace(key_of(function, g, dtype, channels_last));
    CudnnPlan& plan = found->second;
    if (fresh && plan.describe(g, dtype, channels_last)) plan.choose(handle_, function);
    return plan;
  }

  template <class Factor>
  bool run_plan(ConvolutionFunction function, const CudnnPlan& p, const Performance& chosen,
                const ConvolutionTensors& tensors, const Tensor& memory, bool added) {
    const Library& l = library();
    const size_t bytes = chosen.memory;
    void *const workspace = bytes ? memory.device_bytes() : nullptr, *const image = tensors.image.device_bytes(),
                *const weight = tensors.weight.device_bytes(), *const output = tensors.output.device_bytes();
    const Factor one = 1, before = added ? 1 : 0;
    activate(device_);
    const std::lock_guard lock(mutex_);  // one thread at a time sets and uses the stream of the handle
    if (l.cudnnSetStream(handle_, current_stream(device_)) != 0 ||
        l.cudnnSetConvolutionMathType(p.convolution, chosen.mathematics) != 0)
      return false;
    switch (function) {
      case ConvolutionFunction::Forward:
        return l.cudnnConvolutionForward(handle_, &one, p.image, image, p.weight, weight, p.convolution,
                                         chosen.algorithm, workspace, bytes, &before, p.output, output) == 0;
      case ConvolutionFunction::InputGradient:
        return l.cudnnConvolutionBackwardData(handle_, &one, p.weight, weight, p.output, output, p.convolution,
                                              chosen.algorithm, workspace, bytes, &before, p.image, image) == 0;
      default:
        return l.cudnnConvolutionBackwardFilter(handle_, &one, p.image, image, p.output, output, p.convolution,
                                                chosen.algorithm, workspace, bytes, &before, p.weight, weight) == 0;
    }
  }

  const int device_;
  CudnnHandle* handle_ = nullptr;
  std::mutex mutex_;
  std::map<Key, CudnnPlan> plans_;
};

// Returns true if the library supports the sizes. It requires that the output has as many positions as the windows
// reach (output_padding of a transposed convolution can add more) and that each tensor has fewer than 2**31 elements.
bool fits(const Geometry& g) {
  for (int i = 0; i < 3; ++i)
    if ((g.size[i] + 2 * g.padding[i] - g.reach(i) - 1) / g.stride[i] + 1 != g.out[i]) return false;
  const auto small = [](const Shape& shape) {
    const int64_t numbers = product(shape);
    return numbers > 0 && numbers < (int64_t(1) << 31);
  };
  return small(g.input_shape()) && small(g.weight_shape()) && small(g.output_shape());
}

}  // namespace

bool library_convolves(const Geometry& g, Dtype dtype) {
  return wanted && data_type(dtype) >= 0 && library().complete && fits(g);
}

bool library_convolution(ConvolutionFunction function, const Geometry& g, const ConvolutionTensors& tensors,
                         bool added) {
  return of_device<Planner>(tensors.image.device().index).run(function, g, tensors, added);
}

int64_t cudnn_version() { return library().complete ? int64_t(library().version()) : 0; }
void want_cudnn(bool enabled) { wanted = enabled; }
bool cudnn_wanted() { return wanted; }

}  // namespace flambeau::cuda
