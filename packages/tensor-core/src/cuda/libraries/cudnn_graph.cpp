#include "cuda/libraries/cudnn_graph.h"

#include <algorithm>
#include <atomic>

#include "cuda/runtime/library.h"
#include "flambeau/cuda/installation.h"

namespace flambeau::cuda {

namespace {

#define FLAMBEAU_CUDNN_GRAPH_FUNCTIONS(X)                                                                      \
  X(cudnnCreate, (CudnnHandle**))                                                                              \
  X(cudnnSetStream, (CudnnHandle*, StreamHandle*))                                                             \
  X(cudnnBackendCreateDescriptor, (int kind, DescriptorHandle**))                                              \
  X(cudnnBackendDestroyDescriptor, (DescriptorHandle*))                                                        \
  X(cudnnBackendSetAttribute, (DescriptorHandle*, int attribute, int type, int64_t count, const void* values)) \
  X(cudnnBackendGetAttribute,                                                                                  \
    (DescriptorHandle*, int attribute, int type, int64_t limit, int64_t* count, void* values))                 \
  X(cudnnBackendFinalize, (DescriptorHandle*))                                                                 \
  X(cudnnBackendExecute, (CudnnHandle*, DescriptorHandle * plan, DescriptorHandle * variant_pack))

struct Library : OpenedLibrary {
  FLAMBEAU_CUDNN_GRAPH_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
  size_t (*version)();

  Library() : OpenedLibrary("FLAMBEAU_CUDNN", {"libcudnn.so.9"}) {
    FLAMBEAU_CUDNN_GRAPH_FUNCTIONS(FLAMBEAU_FIND_FUNCTION)
    find("cudnnGetVersion", version);
  }
};
const Library& library() { return the_library<Library>(); }

std::atomic<bool> wanted{true};

namespace number {
enum Kind {
  kPointwise = 0,
  kConvolution = 1,
  kEngine = 2,
  kConfiguration = 3,
  kHeuristics = 4,
  kPlan = 5,
  kForwardOperation = 10,
  kWeightGradientOperation = 11,
  kInputGradientOperation = 12,
  kPointwiseOperation = 13,
  kOperationGraph = 15,
  kVariantPack = 16,
  kTensor = 17,
  kProduct = 18,
  kProductOperation = 19,
  kReduction = 21,
  kReductionOperation = 22,
  kReshapeOperation = 31
};
enum Attribute {
  kPointwiseMode = 0,
  kPointwiseType = 1,
  kPointwiseDim = 9,
  kConvolutionType = 100,
  kConvolutionMode = 101,
  kConvolutionDilation = 102,
  kConvolutionStride = 103,
  kConvolutionPaddingAfter = 104,
  kConvolutionPaddingBefore = 105,
  kConvolutionDims = 106,
  kHeuristicsMode = 200,
  kHeuristicsGraph = 201,
  kHeuristicsResults = 202,
  kConfigurationEngine = 300,
  kPlanHandle = 400,
  kPlanConfiguration = 401,
  kPlanWorkspace = 402,
  kConvolutionAlpha = 700,  // the other attributes of the forward operation follow
  kConvolutionBeta = 701,
  kConvolutionDescriptor = 702,
  kConvolutionWeight = 703,
  kConvolutionImage = 704,
  kConvolutionOutput = 705,
  kConvolutionAttributes = 6,  // the number of these attributes; those of the gradients follow in the same order
  kPointwiseDescriptor = 750,
  kPointwiseX = 751,
  kPointwiseB = 752,
  kPointwiseOut = 753,
  kPointwiseCondition = 758,
  kGraphHandle = 800,
  kGraphOperations = 801,
  kTensorAlignment = 900,
  kTensorType = 901,
  kTensorSizes = 902,
  kTensorStrides = 903,
  kTensorId = 906,
  kTensorVirtual = 907,
  kTensorByValue = 908,
  kVariantPackIds = 1000,
  kVariantPackAddresses = 1001,
  kVariantPackWorkspace = 1003,
  kEngineNotes = 1303,
  kProductType = 1500,
  kProductLeft = 1520,
  kProductRight = 1521,
  kProductOut = 1522,
  kProductDescriptor = 1523,
  kReductionMode = 1600,
  kReductionType = 1601,
  kReductionIn = 1610,
  kReductionOut = 1611,
  kReductionDescriptor = 1612,
  kReshapeIn = 2200,
  kReshapeOut = 2201
};
enum Type {  // types of attributes
  kHandle = 0,
  kDataType = 1,
  kFlag = 2,
  kInt64 = 3,
  kFloat = 4,
  kDouble = 5,
  kAddress = 6,
  kConvolutionModeType = 7,
  kHeuristicsModeType = 8,
  kNote = 11,
  kPointwiseModeType = 14,
  kDescriptor = 15,
  kReductionModeType = 18
};
enum HeuristicsMode { kFallback = 2, kFast = 3 };
enum Note { kMatrixUnits = 0, kRoundsOperands = 1, kRoundsSums = 2, kNondeterministic = 4, kNotes = 10 };
enum { kCrossCorrelation = 1 };
}  // namespace number

enum Storage { kMemory, kVirtual, kByValue };
constexpr int64_t kAlignment = 16;  // alignment of all operands in memory, in bytes

// Returns the configurations that the library proposes for a graph. The preferred configuration is first.
std::vector<CudnnDescriptor> configurations_of(const CudnnDescriptor& graph, int mode) {
  CudnnDescriptor heuristics(number::kHeuristics);
  heuristics.set(number::kHeuristicsGraph, {graph.handle()});
  heuristics.set(number::kHeuristicsMode, number::kHeuristicsModeType, &mode);
  heuristics.finalize();
  const auto get = [&](int64_t limit, void* values) {
    return heuristics.get(number::kHeuristicsResults, number::kDescriptor, limit, values);
  };
  std::vector<CudnnDescriptor> found;
  std::vector<DescriptorHandle*> handles;
  for (int64_t left = get(0, nullptr); left > 0; --left) {
    found.emplace_back(number::kConfiguration);
    handles.push_back(found.back().handle());
  }
  found.resize(size_t(std::max<int64_t>(0, get(int64_t(handles.size()), handles.data()))));
  return found;
}

// Returns true if the numerical properties of the configuration's engine are within the limits.
bool is_allowed(const CudnnDescriptor& configuration, const GraphLimits& limits) {
  const CudnnDescriptor engine(number::kEngine);
  DescriptorHandle* handle = engine.handle();
  if (configuration.get(number::kConfigurationEngine, number::kDescriptor, 1, &handle) != 1) return false;
  std::array<int, number::kNotes> notes{};
  const int64_t count = engine.get(number::kEngineNotes, number::kNote, number::kNotes, notes.data());
  return count >= 0 && std::none_of(notes.begin(), notes.begin() + count, [&](int note) {
           return note == number::kNondeterministic || note == number::kRoundsOperands || note == number::kRoundsSums ||
                  (note == number::kMatrixUnits && !limits.matrix_units);
         });
}

}  // namespace

int64_t cudnn_version() { return library().complete ? int64_t(library().version()) : 0; }
void enable_cudnn(bool enabled) { wanted = enabled; }
bool cudnn_usable(int64_t version) { return wanted && cudnn_version() >= version; }

CudnnHandle* create_cudnn_handle() {
  CudnnHandle* handle = nullptr;
  return library().complete && library().cudnnCreate(&handle) == 0 ? handle : nullptr;
}

void CudnnDescriptor::Destroy::operator()(DescriptorHandle* handle) const {
  if (library().complete) library().cudnnBackendDestroyDescriptor(handle);
}
CudnnDescriptor::CudnnDescriptor(int kind) {
  DescriptorHandle* handle = nullptr;
  if (library().complete && library().cudnnBackendCreateDescriptor(kind, &handle) == 0) handle_.reset(handle);
}
void CudnnDescriptor::check(int status) {
  if (status != 0) handle_.reset();
}
void CudnnDescriptor::set(int attribute, int type, const void* values, int64_t count) {
  if (handle_) check(library().cudnnBackendSetAttribute(handle(), attribute, type, count, values));
}
void CudnnDescriptor::set(int attribute, const std::vector<DescriptorHandle*>& values) {
  if (std::find(values.begin(), values.end(), nullptr) != values.end()) handle_.reset();
  set(attribute, number::kDescriptor, values.data(), int64_t(values.size()));
}
void CudnnDescriptor::finalize() {
  if (handle_) check(library().cudnnBackendFinalize(handle()));
}
int64_t CudnnDescriptor::get(int attribute, int type, int64_t limit, void* values) const {
  int64_t count = 0;
  if (!handle_ || library().cudnnBackendGetAttribute(handle(), attribute, type, limit, &count, values) != 0) return -1;
  return values ? std::min(count, limit) : count;
}

bool CudnnGraphPlan::run(CudnnHandle* handle, StreamHandle* stream, const GraphMemory& memory, void* workspace) const {
  const int64_t count = int64_t(memory.count_);
  CudnnDescriptor pack(number::kVariantPack);
  pack.set(number::kVariantPackIds, number::kInt64, memory.ids_.data(), count);
  pack.set(number::kVariantPackAddresses, number::kAddress, memory.addresses_.data(), count);
  pack.set(number::kVariantPackWorkspace, number::kAddress, &workspace);
  pack.finalize();
  return pack && library().cudnnSetStream(handle, stream) == 0 &&
         library().cudnnBackendExecute(handle, plan_.handle(), pack.handle()) == 0;
}

GraphSizes contiguous_strides(const GraphSizes& size) {
  return {size[1] * size[2] * size[3], size[2] * size[3], size[3], 1};
}

DescriptorHandle* CudnnGraph::keep(CudnnDescriptor descriptor) {
  descriptors_.push_back(std::move(descriptor));
  return descriptors_.back().handle();
}

DescriptorHandle* CudnnGraph::tensor(int64_t id, int type, GraphSpan size, GraphSpan stride, int storage,
                                     int64_t alignment) {
  const bool is_virtual = storage == kVirtual, by_value = storage == kByValue;
  CudnnDescriptor t(number::kTensor);
  t.set(number::kTensorType, number::kDataType, &type);
  t.set(number::kTensorSizes, number::kInt64, size.data(), int64_t(size.size()));
  t.set(number::kTensorStrides, number::kInt64, stride.data(), int64_t(stride.size()));
  t.set(number::kTensorId, number::kInt64, &id);
  t.set(number::kTensorAlignment, number::kInt64, &alignment);
  t.set(number::kTensorVirtual, number::kFlag, &is_virtual);
  t.set(number::kTensorByValue, number::kFlag, &by_value);
  t.finalize();
  return keep(std::move(t));
}
DescriptorHandle* CudnnGraph::operand(int64_t id, int type, GraphSpan size, GraphSpan stride, int64_t alignment) {
  return tensor(id, type, size, stride, kMemory, alignment);
}
GraphTensor CudnnGraph::operand(int64_t id, int type, const GraphSizes& size, const GraphSizes& stride) {
  return {tensor(id, type, size, stride, kMemory, kAlignment), size, stride};
}
GraphTensor CudnnGraph::scalar(int64_t id) {
  constexpr GraphSizes one{1, 1, 1, 1};
  return {tensor(id, cudnn::kReal32, one, one, kByValue, kAlignment), one, one};
}
GraphTensor CudnnGraph::intermediate(int type, const GraphSizes& size, const GraphSizes& stride) {
  return {tensor(kIntermediates + intermediates_++, type, size, stride, kVirtual, kAlignment), size, stride};
}

void CudnnGraph::operation(int kind, std::initializer_list<std::pair<int, DescriptorHandle*>> attributes) {
  CudnnDescriptor o(kind);
  for (const auto& [attribute, value] : attributes) o.set(attribute, {value});
  o.finalize();
  operations_.push_back(keep(std::move(o)));
}

void CudnnGraph::multiply_matrices(const GraphTensor& left, const GraphTensor& right, const GraphTensor& out) {
  const int type = cudnn::kReal32;
  CudnnDescriptor product(number::kProduct);
  product.set(number::kProductType, number::kDataType, &type);
  product.finalize();
  operation(number::kProductOperation, {{number::kProductDescriptor, keep(std::move(product))},
                                        {number::kProductLeft, left.handle},
                                        {number::kProductRight, right.handle},
                                        {number::kProductOut, out.handle}});
}

void CudnnGraph::reduce(int mode, const GraphTensor& in, const GraphTensor& out) {
  const int type = cudnn::kReal32;
  CudnnDescriptor reduction(number::kReduction);
  reduction.set(number::kReductionMode, number::kReductionModeType, &mode);
  reduction.set(number::kReductionType, number::kDataType, &type);
  reduction.finalize();
  operation(number::kReductionOperation, {{number::kReductionDescriptor, keep(std::move(reduction))},
                                          {number::kReductionIn, in.handle},
                                          {number::kReductionOut, out.handle}});
}

void CudnnGraph::reinterpret(const GraphTensor& in, const GraphTensor& out) {
  operation(number::kReshapeOperation, {{number::kReshapeIn, in.handle}, {number::kReshapeOut, out.handle}});
}

void CudnnGraph::apply(int mode, std::initializer_list<GraphTensor> inputs, const GraphTensor& out, int type,
                       const int64_t* dim) {
  CudnnDescriptor function(number::kPointwise);
  function.set(number::kPointwiseMode, number::kPointwiseModeType, &mode);
  function.set(number::kPointwiseType, number::kDataType, &type);
  if (dim) function.set(number::kPointwiseDim, number::kInt64, dim);
  function.finalize();
  CudnnDescriptor applied(number::kPointwiseOperation);
  applied.set(number::kPointwiseDescriptor, {function.handle()});
  static constexpr int kInputs[] = {number::kPointwiseX, number::kPointwiseB, number::kPointwiseCondition};
  const int* attribute = kInputs;
  for (const GraphTensor& input : inputs) applied.set(*attribute++, {input.handle});
  applied.set(number::kPointwiseOut, {out.handle});
  applied.finalize();
  keep(std::move(function));
  operations_.push_back(keep(std::move(applied)));
}
GraphTensor CudnnGraph::apply(int mode, std::initializer_list<GraphTensor> inputs, int type) {
  const GraphSizes& size = inputs.begin()->size;
  const GraphTensor out = intermediate(type, size, contiguous_strides(size));
  apply(mode, inputs, out, type);
  return out;
}
GraphTensor CudnnGraph::index(const GraphTensor& like, int64_t dim) {
  const GraphTensor out = intermediate(cudnn::kInt32, like.size, contiguous_strides(like.size));
  apply(cudnn::kIndex, {like}, out, cudnn::kReal32, &dim);
  return out;
}

void CudnnGraph::convolve(ConvolutionFunction function, const GraphConvolution& c) {
  const int64_t dims = int64_t(c.stride.size());
  const int mode = number::kCrossCorrelation;
  CudnnDescriptor convolution(number::kConvolution);
  convolution.set(number::kConvolutionType, number::kDataType, &c.type);
  convolution.set(number::kConvolutionMode, number::kConvolutionModeType, &mode);
  convolution.set(number::kConvolutionDims, number::kInt64, &dims);
  convolution.set(number::kConvolutionDilation, number::kInt64, c.dilation.data(), dims);
  convolution.set(number::kConvolutionStride, number::kInt64, c.stride.data(), dims);
  convolution.set(number::kConvolutionPaddingBefore, number::kInt64, c.padding.data(), dims);
  convolution.set(number::kConvolutionPaddingAfter, number::kInt64, c.padding.data(), dims);
  convolution.finalize();

  static constexpr int kinds[] = {number::kForwardOperation, number::kInputGradientOperation,
                                  number::kWeightGradientOperation};
  CudnnDescriptor o(kinds[int(function)]);
  const int first = int(function) * number::kConvolutionAttributes;
  const auto set_factor = [&](int attribute, double factor) {
    const float single = float(factor);
    if (c.type == cudnn::kReal64)
      o.set(first + attribute, number::kDouble, &factor);
    else
      o.set(first + attribute, number::kFloat, &single);
  };
  set_factor(number::kConvolutionAlpha, 1), set_factor(number::kConvolutionBeta, c.added ? 1 : 0);
  o.set(first + number::kConvolutionDescriptor, {convolution.handle()});
  o.set(first + number::kConvolutionWeight, {c.weight});
  o.set(first + number::kConvolutionImage, {c.image});
  o.set(first + number::kConvolutionOutput, {c.output});
  o.finalize();
  keep(std::move(convolution));
  operations_.push_back(keep(std::move(o)));
}

CudnnGraphPlan CudnnGraph::plan(CudnnHandle* handle, const GraphLimits& limits) const {
  CudnnDescriptor graph(number::kOperationGraph);
  graph.set(number::kGraphOperations, operations_);
  graph.set(number::kGraphHandle, number::kHandle, &handle);
  graph.finalize();
  for (const int mode : {number::kFast, number::kFallback}) {
    if (mode == number::kFallback && !limits.all_heuristics) break;
    for (CudnnDescriptor& configuration : configurations_of(graph, mode)) {
      if (!is_allowed(configuration, limits)) continue;
      CudnnGraphPlan out;
      out.plan_ = CudnnDescriptor(number::kPlan);
      out.plan_.set(number::kPlanHandle, number::kHandle, &handle);
      out.plan_.set(number::kPlanConfiguration, {configuration.handle()});
      out.plan_.finalize();
      const bool known = out.plan_.get(number::kPlanWorkspace, number::kInt64, 1, &out.workspace_) == 1;
      if (!known || out.workspace_ > limits.workspace) continue;
      out.configuration_ = std::move(configuration);
      return out;
    }
  }
  return {};
}

}  // namespace flambeau::cuda
