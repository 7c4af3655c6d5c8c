#include "cuda/libraries/cudnn_attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "cuda/libraries/cudnn_plans.h"
#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

namespace {

enum OperandId : int64_t {
  kQuery = 1,
  kKey,
  kValue,
  kOut,
  kLogarithms,
  kScale,
  kHidden,
  kGrad,
  kMeans,
  kOne,
  kGradQuery,
  kGradKey,
  kGradValue
};

// All properties of a problem on which its graph depends.
struct Problem {
  bool derivative, causal;
  int type;  // type of the operands
  int64_t batch, heads, queries, keys, depth, width;
  GraphSizes query, key, value, grad;  // strides

  auto operator<=>(const Problem&) const = default;
  GraphSizes matrices(int64_t rows, int64_t columns) const { return {batch, heads, rows, columns}; }
};

// Returns the strides of matrices (batch, heads, rows, columns). Dimensions of size 1 get the strides of a contiguous
// tensor, which the library can check.
GraphSizes strides_of(const AttentionRows& rows, const GraphSizes& size, int dims) {
  GraphSizes out{dims > 0 ? rows.stride[0] : 0, dims > 1 ? rows.stride[1] : 0, rows.row, 1};
  for (size_t i = 3; i-- > 0;)
    if (size[i] == 1) out[i] = out[i + 1] * size[i + 1];
  return out;
}
Problem problem_of(Dtype dtype, const AttentionArguments& a, bool derivative) {
  Problem p{derivative,
            a.causal,
            dtype == Dtype::bfloat16 ? cudnn::kBrain16 : cudnn::kReal16,
            a.dims > 0 ? a.size[0] : 1,
            a.dims > 1 ? a.size[1] : 1,
            a.queries,
            a.keys,
            a.depth,
            a.width,
            {},
            {},
            {},
            {}};
  p.query = strides_of(a.query, p.matrices(a.queries, a.depth), a.dims);
  p.key = strides_of(a.key, p.matrices(a.keys, a.depth), a.dims);
  p.value = strides_of(a.value, p.matrices(a.keys, a.width), a.dims);
  if (derivative) p.grad = strides_of(a.grad, p.matrices(a.queries, a.width), a.dims);
  return p;
}

// Builds the graphs of attention. The library recognises only graphs with exactly this structure.
class AttentionGraph {
 public:
  explicit AttentionGraph(const Problem& problem) : p(problem) {
    if (p.derivative)
      derivative();
    else
      forward();
  }
  CudnnGraphPlan plan(CudnnHandle* handle, const GraphLimits& limits) const { return graph.plan(handle, limits); }

 private:
  GraphTensor operand(int64_t id, int64_t rows, int64_t columns, GraphSizes stride) {
    GraphSizes size = p.matrices(rows, columns);
    if (stride[1] == 0) size[1] = 1, stride[1] = rows * columns;  // all heads share one matrix
    return graph.operand(id, p.type, size, stride);
  }
  GraphTensor transposed_operand(int64_t id, int64_t rows, int64_t columns, GraphSizes stride) {
    std::swap(stride[2], stride[3]);
    return operand(id, columns, rows, stride);
  }
  GraphTensor contiguous(int64_t id, int64_t rows, int64_t columns) {
    return operand(id, rows, columns, contiguous_strides(p.matrices(rows, columns)));
  }
  GraphTensor statistics(int64_t id) {
    return graph.operand(id, cudnn::kReal32, p.matrices(p.queries, 1), contiguous_strides(p.matrices(p.queries, 1)));
  }
  GraphTensor intermediate(int64_t rows, int64_t columns, int type = cudnn::kReal32) {
    return graph.intermediate(type, p.matrices(rows, columns), contiguous_strides(p.matrices(rows, columns)));
  }
  GraphTensor product(const GraphTensor& left, const GraphTensor& right) {
    const GraphTensor out = intermediate(left.size[2], right.size[3]);
    graph.multiply_matrices(left, right, out);
    return out;
  }
  GraphTensor over_columns(int mode, const GraphTensor& in) {
    const GraphTensor out = intermediate(p.queries, 1);
    graph.reduce(mode, in, out);
    return out;
  }
  // Returns the transposed matrix, rounded to the type of the operands.
  GraphTensor transpose(const GraphTensor& t) {
    GraphSizes size = t.size, stride = t.stride;
    std::swap(size[2], size[3]), std::swap(stride[2], stride[3]);
    const GraphTensor out = graph.intermediate(p.type, size, stride);
    graph.reinterpret(t, out);
    return out;
  }
  GraphTensor without_later_keys(const GraphTensor& scores) {
    if (!p.causal) return scores;
    const GraphTensor query = graph.index(scores, 2), key = graph.index(scores, 3),
                      seen = graph.apply(cudnn::kGreaterOrEqual, {query, key}, cudnn::kBoolean);
    return graph.apply(cudnn::kSelect, {scores, graph.scalar(kHidden), seen});
  }

  void forward() {
    const GraphTensor query = operand(kQuery, p.queries, p.depth, p.query),
                      key = transposed_operand(kKey, p.keys, p.depth, p.key),
                      value = operand(kValue, p.keys, p.width, p.value),
                      scaled = graph.apply(cudnn::kMultiply, {product(query, key), graph.scalar(kScale)}),
                      scores = without_later_keys(scaled), most = over_columns(cudnn::kMaximum, scores),
                      powers = graph.apply(cudnn::kExp, {graph.apply(cudnn::kSubtract, {scores, most})}),
                      total = over_columns(cudnn::kSum, powers), logarithm = graph.apply(cudnn::kLog, {total}),
                      weights = intermediate(p.queries, p.keys, p.type);
    graph.apply(cudnn::kAdd, {most, logarithm}, statistics(kLogarithms));
    graph.apply(cudnn::kDivide, {powers, total}, weights);
    graph.multiply_matrices(weights, value, contiguous(kOut, p.queries, p.width));
  }

  void derivative() {
    const GraphTensor query = operand(kQuery, p.queries, p.depth, p.query),
                      key = transposed_operand(kKey, p.keys, p.depth, p.key),
                      value = transposed_operand(kValue, p.keys, p.width, p.value),
                      out = contiguous(kOut, p.queries, p.width), grad = operand(kGrad, p.queries, p.width, p.grad),
                      scale = graph.scalar(kScale), means = statistics(kMeans);
    // The library requires this multiplication.
    const GraphTensor sums = over_columns(cudnn::kSum, graph.apply(cudnn::kMultiply, {grad, out}));
    graph.apply(cudnn::kMultiply, {sums, graph.scalar(kOne)}, means);
    const GraphTensor scores = graph.apply(cudnn::kMultiply, {product(query, key), scale}),
                      logarithms = graph.apply(cudnn::kSubtract, {scores, statistics(kLogarithms)}),
                      weights = graph.apply(cudnn::kExp, {without_later_keys(logarithms)});
    graph.multiply_matrices(transpose(weights), grad, contiguous(kGradValue, p.keys, p.width));
    const GraphTensor centred = graph.apply(cudnn::kSubtract, {product(grad, value), means}),
                      slopes =
                          graph.apply(cudnn::kMultiply, {graph.apply(cudnn::kMultiply, {centred, weights}), scale});
    graph.multiply_matrices(transpose(slopes), query, contiguous(kGradKey, p.keys, p.depth));
    graph.multiply_matrices(slopes, transpose(key), contiguous(kGradQuery, p.queries, p.depth));
  }

  const Problem& p;
  CudnnGraph graph;
};

constexpr int64_t kOldestVersion = 91501;  // earlier versions have known errors in attention
constexpr int64_t kMaxWorkspace = int64_t(1) << 30;

class AttentionPlans {
 public:
  explicit AttentionPlans(int device) : plans_(device) {}

  bool run(const Problem& problem, const GraphMemory& memory) {
    const GraphLimits limits{.workspace = kMaxWorkspace, .all_heuristics = false};
    return plans_.run(problem, memory, limits, [&](CudnnHandle* handle, const GraphLimits& current) {
      return AttentionGraph(problem).plan(handle, current);
    });
  }

 private:
  CudnnPlans<Problem> plans_;
};

// Returns true if the matrices do not overlap and span fewer than 2**31 elements. If `shared`, all heads may have the
// same matrix.
bool fits(const GraphSizes& size, const GraphSizes& stride, bool shared = false) {
  int64_t last = 0;
  for (size_t i = 0; i < size.size(); ++i) {
    if (stride[i] < 1 && !(shared && i == 1 && stride[i] == 0)) return false;
    last += (size[i] - 1) * stride[i];
  }
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max();
  return last < kMax && size[0] * size[1] <= kMax / (size[2] * size[3]);
}
// Returns true if the library can support the problem: at least two queries and keys, and rows of a multiple of 16
// bytes.
bool fits(int device, Dtype dtype, const AttentionArguments& a, const Problem& p) {
  if (item_size(dtype) != 2 || a.mask.data || a.dims > kLibraryDims || properties(device).major < 8) return false;
  if (!(float(a.scale) > 0) || !std::isfinite(float(a.scale)) || p.batch * p.heads == 0) return false;
  if (p.queries < 2 || p.keys < 2 || p.depth < 8 || p.width < 8 || p.depth % 8 || p.width % 8) return false;
  return fits(p.matrices(p.queries, p.depth), p.query) && fits(p.matrices(p.keys, p.depth), p.key, !p.derivative) &&
         fits(p.matrices(p.keys, p.width), p.value, !p.derivative) &&
         (!p.derivative || fits(p.matrices(p.queries, p.width), p.grad));
}

GraphMemory memory_of(const AttentionArguments& a, bool derivative) {
  static constexpr float kMasked = -std::numeric_limits<float>::infinity(), kFactor = 1;
  GraphMemory out{
      {kQuery, a.query.data}, {kKey, a.key.data}, {kValue, a.value.data}, {kOut, a.out}, {kLogarithms, a.logarithms}};
  if (a.causal) out.add({{kHidden, &kMasked}});
  if (derivative)
    out.add({{kGrad, a.grad.data},
             {kMeans, a.means},
             {kOne, &kFactor},
             {kGradQuery, a.grad_query},
             {kGradKey, a.grad_key},
             {kGradValue, a.grad_value}});
  return out;
}

bool run(int device, Dtype dtype, const AttentionArguments& a, bool derivative) {
  if (!cudnn_usable(kOldestVersion)) return false;
  const Problem p = problem_of(dtype, a, derivative);
  if (!fits(device, dtype, a, p)) return false;
  const float scale = float(a.scale);
  GraphMemory memory = memory_of(a, derivative);
  memory.add({{kScale, &scale}});
  return of_device<AttentionPlans>(device).run(p, memory);
}

// The first batch dimension that can be divided, and the number of its elements in the first half. With this number,
// the statistics of both halves begin at multiples of 16 bytes. It is 0 if that is impossible.
struct Division {
  int dim;
  int64_t middle, matrices;  // number of matrices for each element of the dimension
};
Division division_of(const AttentionArguments& a) {
  const int dim = a.size[0] == 1 ? 1 : 0;
  const int64_t matrices = a.batch / a.size[dim], middle = a.size[dim] / 2;
  return {dim, matrices * a.queries % 4 == 0 ? middle : middle / 4 * 4, matrices};
}
AttentionArguments half_of(AttentionArguments a, const Division& d, bool second) {
  const int64_t begin = second ? d.middle : 0, before = begin * d.matrices;
  a.size[d.dim] = second ? a.size[d.dim] - d.middle : d.middle;
  a.batch = a.size[d.dim] * d.matrices;
  constexpr int64_t kBytes = 2, kStatisticsBytes = sizeof(float);
  for (AttentionRows* rows : {&a.query, &a.key, &a.value, &a.grad}) rows->data += begin * rows->stride[d.dim] * kBytes;
  a.out += before * a.queries * a.width * kBytes;
  a.logarithms += before * a.queries * kStatisticsBytes, a.means += before * a.queries * kStatisticsBytes;
  a.grad_query += before * a.queries * a.depth * kBytes;
  a.grad_key += before * a.keys * a.depth * kBytes, a.grad_value += before * a.keys * a.width * kBytes;
  return a;
}

// Returns the maximum size of the workspace that a single call of the library may need for the derivative. The
// deterministic algorithm stores the gradient of all scores.
int64_t most_for_scores(int device) {
  return std::min(kMaxWorkspace / 2, int64_t(properties(device).total_memory / 64));
}
int64_t bytes_of_scores(const AttentionArguments& a) {
  constexpr int64_t kTile = 64, kBytes = 2;
  return a.batch * divide_up(a.queries, kTile) * divide_up(a.keys, kTile) * kTile * kTile * kBytes;
}

}  // namespace

bool library_attention(int device, Dtype dtype, const AttentionArguments& a) { return run(device, dtype, a, false); }
bool library_attention_derivative(int device, Dtype dtype, const AttentionArguments& a) {
  if (a.dims == 0 || a.dims > kLibraryDims || a.batch < 2 || bytes_of_scores(a) <= most_for_scores(device))
    return run(device, dtype, a, true);
  const Division d = division_of(a);
  return d.middle > 0 && library_attention_derivative(device, dtype, half_of(a, d, false)) &&
         library_attention_derivative(device, dtype, half_of(a, d, true));
}

}  // namespace flambeau::cuda
