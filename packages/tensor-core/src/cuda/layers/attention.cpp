#include "cuda/layers/attention.h"

#include <algorithm>
#include <bit>

#include "cuda/libraries/cudnn_attention.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

// Returns the smallest size that is not less than `size` and for which modules are compiled.
int64_t rounded(int64_t size) { return int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(size, 16)))); }
int64_t row_bytes(Dtype dtype, int64_t depth, int64_t width) {
  return std::max(rounded(depth), rounded(width)) * (dtype == Dtype::float64 ? 8 : 4);
}
// Returns the number of rows of a tile whose rows have `bytes` bytes, such that the tiles of a block fit in 48 KiB of
// shared memory. Returns 0 if even the smallest tiles are too large.
int64_t tile_rows(int64_t bytes, bool derivative) {
  const int64_t most = derivative ? 256 : 512;  // maximum number of bytes of a row in tiles of 32 rows
  return bytes <= most ? 32 : bytes <= 2 * most ? 16 : 0;
}

enum Kernel { kForward = 0, kMeans = 0, kByQueries, kByKeys };

enum class AttentionPass { Forward, ForwardOfParts, Derivative };

std::unique_ptr<CudaModule> module_from(const std::string& header, const std::string& macro,
                                        const std::string& parameters, AttentionPass pass) {
  const std::string include = "#include \"device/layers/" + header + ".h\"\nFLAMBEAU_" + macro;
  if (pass == AttentionPass::Derivative)
    return std::make_unique<CudaModule>("attention's derivative", include + "_DERIVATIVE(" + parameters + ")\n",
                                        std::initializer_list<const char*>{"means", "by_queries", "by_keys"});
  return std::make_unique<CudaModule>(
      "attention", include + "(" + parameters + (pass == AttentionPass::ForwardOfParts ? ", true)\n" : ", false)\n"),
      std::initializer_list<const char*>{"forward"});
}
CudaModule& module_of(Dtype dtype, int64_t depth, int64_t width, int64_t tile, AttentionPass pass) {
  static auto* modules = new CudaModules;
  const int64_t d = rounded(depth), w = rounded(width);
  const uint64_t key = ((uint64_t(dtype) * 4096 + uint64_t(d)) * 4096 + uint64_t(w)) * 3 + uint64_t(pass);
  return modules->find(key, [&] {
    return module_from("attention", "ATTENTION",
                       std::string(type_name(dtype)) + ", " + std::to_string(d) + ", " + std::to_string(w) + ", " +
                           std::to_string(tile),
                       pass);
  });
}

// Sizes of tiles for the tensor cores (device/layers/matrix_attention.h). They depend only on the shape, so that all
// GPUs of an architecture give the same results. Tiles of 128 rows read the other operand half as often as tiles of 64
// rows. They are used if their number is sufficient for all multiprocessors.
struct MatrixTiles {
  int64_t depth, width, warps, high, others;
  bool general;
  int64_t low_rows() const { return 16 * warps; }  // each warp has 16 rows, or a multiple of 16
  int64_t rows() const { return low_rows() * high; }
};

int64_t units_size(int64_t length) { return divide_up(length, 16) * 16; }
int64_t high_tiles(const AttentionArguments& a, int64_t longest) {
  constexpr int64_t kEnough = 128, kRows = 64;
  const bool high = std::max(units_size(a.depth), units_size(a.width)) <= longest && a.queries > kRows &&
                    a.batch * divide_up(a.queries, 2 * kRows) >= kEnough;
  return high ? 2 : 1;
}
constexpr int64_t kSharedBytes = 48 << 10;

MatrixTiles forward_tiles(Dtype dtype, const AttentionArguments& a) {
  const bool half = item_size(dtype) == 2, general = a.mask.data || !(float(a.scale) > 0);
  MatrixTiles t{units_size(a.depth), units_size(a.width), 4, high_tiles(a, half ? 128 : general ? 0 : 64), 64, general};
  if (!half && t.high == 2) t.others = 32;         // this leaves enough registers for the queries
  const int64_t query_rows = half ? t.rows() : 0;  // number of rows in shared memory
  while (query_rows * t.depth + t.others * (t.depth + t.width) > kSharedBytes / item_size(dtype)) t.others /= 2;
  return t;
}
// Returns the tiles for both kernels of the derivative (by queries and by keys). Each kernel sums two results, so tiles
// of the other operand have only 32 rows, to leave enough registers.
MatrixTiles derivative_tiles(Dtype dtype, const AttentionArguments& a) {
  const bool half = item_size(dtype) == 2, general = a.mask.data || !(float(a.scale) > 0);
  MatrixTiles t{units_size(a.depth), units_size(a.width), 4, half ? high_tiles(a, 64) : 1, 32, general};
  const auto too_large = [&] { return (t.rows() + t.others) * (t.depth + t.width) > kSharedBytes / item_size(dtype); };
  if (too_large()) t.warps = 2;
  if (too_large()) t.others = 16;
  return t;
}

constexpr int64_t kChunk = 16;                             // bytes that a thread copies for the tensor cores
constexpr int64_t kFarthestRows = int64_t(1) << (31 - 8);  // limit of row strides: 2**8 rows must span less than 2**31
bool is_chunk(const char* address) { return reinterpret_cast<uintptr_t>(address) % kChunk == 0; }

// Returns true if tensor cores can process the rows: their length is a multiple of a chunk and at most `longest`, and
// their address is a multiple of a chunk.
bool takes_rows(Dtype dtype, const AttentionRows& rows, int64_t length, int64_t longest) {
  return length * item_size(dtype) % kChunk == 0 && length > 0 && length <= longest && is_chunk(rows.data);
}
// Returns true if tensor cores support the sizes and the layouts of all operands.
bool takes_all(int device, Dtype dtype, const AttentionArguments& a, int64_t longest) {
  if (!has_matrix_units(device, dtype)) return false;
  const auto takes = [&](const AttentionRows& rows, int64_t length) {
    return takes_rows(dtype, rows, length, longest);
  };
  return takes(a.query, a.depth) && takes(a.key, a.depth) && takes(a.value, a.width) && takes(a.grad, a.width);
}

CudaModule& module_of(Dtype dtype, const MatrixTiles& t, AttentionPass pass) {
  static auto* modules = new CudaModules;
  const uint64_t sizes = (uint64_t(t.depth) * 4096 + uint64_t(t.width)) * 4096 + uint64_t(t.others);
  const uint64_t way = ((uint64_t(t.warps) * 4 + uint64_t(t.high)) * 2 + t.general) * 3 + uint64_t(pass);
  return modules->find((sizes * 256 + way) * 32 + uint64_t(dtype), [&] {
    std::string numbers = type_name(dtype);
    for (const int64_t number : {t.depth, t.width, t.warps, t.high, t.others}) numbers += ", " + std::to_string(number);
    return module_from(pass == AttentionPass::Derivative ? "matrix_attention_derivative" : "matrix_attention",
                       "MATRIX_ATTENTION", numbers + (t.general ? ", true" : ", false"), pass);
  });
}

CudaModule& join_module(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "attention",
        std::string("#include \"device/layers/attention_join.h\"\nFLAMBEAU_ATTENTION_JOIN(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"join"});
  });
}

struct AttentionPlan {
  CudaModule& module;
  int64_t tile, key_tile;  // tile: rows of a tile of queries; key_tile: rows of a tile of keys, for by_keys
  unsigned threads;
};
AttentionPlan plan_of(int device, Dtype dtype, const AttentionArguments& a, AttentionPass pass) {
  const bool derivative = pass == AttentionPass::Derivative;
  if (takes_all(device, dtype, a, derivative || item_size(dtype) == 4 ? 128 : 256)) {
    const MatrixTiles tiles = derivative ? derivative_tiles(dtype, a) : forward_tiles(dtype, a);
    return {module_of(dtype, tiles, pass), tiles.rows(), tiles.low_rows(), unsigned(tiles.warps * 32)};
  }
  const int64_t tile = tile_rows(row_bytes(dtype, a.depth, a.width), derivative);
  return {module_of(dtype, a.depth, a.width, tile, pass), tile, tile, kThreads};
}

// Returns a grid with one block for each tile of `tile` rows, for `rows` rows in each element of the batch.
Grid blocks_of(const AttentionArguments& a, int64_t rows, int64_t tile) {
  return {unsigned(a.batch * a.parts * divide_up(rows, tile))};
}

AttentionRows rows_of(const Tensor& t) {
  AttentionRows rows{t.device_bytes(), t.stride(-2), {}};
  for (int64_t d = 0; d < t.dim() - 2; ++d) rows.stride[d] = t.stride(d);
  return rows;
}

// Merges adjacent batch dimensions if their elements are evenly spaced in memory, in all operands.
void merge_dims(AttentionArguments& a) {
  AttentionRows* const all[] = {&a.query, &a.key, &a.value, &a.mask, &a.grad};
  int dims = 0;
  for (int d = 0; d < a.dims; ++d) {
    if (a.size[d] == 1) continue;
    const bool merged = dims > 0 && std::all_of(std::begin(all), std::end(all), [&](const AttentionRows* rows) {
                          return rows->stride[dims - 1] == rows->stride[d] * a.size[d];
                        });
    const int to = merged ? dims - 1 : dims++;
    a.size[to] = a.size[d] * (merged ? a.size[to] : 1);
    for (AttentionRows* rows : all) rows->stride[to] = rows->stride[d];
  }
  a.dims = dims;
}

void set_operands(AttentionArguments& a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
                  const Tensor& logarithms) {
  a.query = rows_of(query), a.key = rows_of(key), a.value = rows_of(value);
  a.out = out.device_bytes(), a.logarithms = logarithms.device_bytes();
}

}  // namespace

Tensor readable(const Tensor& t) {
  const int64_t size = item_size(t.dtype()), columns = t.size(-1);
  const bool chunks = has_matrix_units(t.device().index, t.dtype()) && columns * size % kChunk == 0;
  bool well = (columns <= 1 || t.stride(-1) == 1) && (!chunks || is_chunk(t.device_bytes()));
  for (int64_t d = 0; d < t.dim() - 1; ++d) well &= t.size(d) == 1 || !chunks || t.stride(d) * size % kChunk == 0;
  return well && t.stride(-2) < kFarthestRows ? t : contiguous(t);
}

bool attends(Dtype dtype, int64_t depth, int64_t width, bool derivative) {
  return tile_rows(row_bytes(dtype, depth, width), derivative) > 0;
}

void attend(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
            const Tensor& logarithms) {
  if (a.batch * a.queries == 0) return;
  const int device = query.device().index;
  set_operands(a, query, key, value, out, logarithms);
  if (a.dims > kLibraryDims) merge_dims(a);
  const KeyParts parts = key_parts(a.batch, a.queries, a.keys, a.causal);
  if (parts.count == 1 && library_attention(device, query.dtype(), a)) return;
  Tensor results = out, part_logarithms = logarithms;
  if (parts.count > 1) {
    a.parts = parts.count, a.part_keys = parts.length;
    results = empty({a.batch * a.parts, a.queries, a.width}, logarithms.dtype());
    part_logarithms = empty({a.batch * a.parts, a.queries}, logarithms.dtype());
  }
  a.out = results.device_bytes(), a.logarithms = part_logarithms.device_bytes();
  merge_dims(a);
  const AttentionPlan plan =
      plan_of(device, query.dtype(), a, a.parts > 1 ? AttentionPass::ForwardOfParts : AttentionPass::Forward);
  launch(device, plan.module, kForward, blocks_of(a, a.queries, plan.tile), plan.threads, a);
  if (a.parts == 1) return;
  const AttentionJoinArguments j{a.out,     a.logarithms, out.device_bytes(), logarithms.device_bytes(), a.parts,
                                 a.queries, a.width};
  launch(device, join_module(query.dtype()), 0, {unsigned(a.batch * a.queries)}, kThreads, j);
}

AttentionGradients attend_derivative(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& out, const Tensor& logarithms, const Tensor& grad) {
  const OnDevice scope(query.device());
  AttentionGradients result{empty({a.batch, a.queries, a.depth}, query.dtype()),
                            empty({a.batch, a.keys, a.depth}, key.dtype()),
                            empty({a.batch, a.keys, a.width}, value.dtype())};
  const Tensor means = empty({a.batch, a.queries}, logarithms.dtype());
  set_operands(a, query, key, value, out, logarithms);
  a.grad = rows_of(grad), a.means = means.device_bytes();
  a.grad_query = result.query.device_bytes(), a.grad_key = result.key.device_bytes(),
  a.grad_value = result.value.device_bytes();
  const int device = query.device().index;
  if (a.dims > kLibraryDims) merge_dims(a);
  if (library_attention_derivative(device, query.dtype(), a)) return result;
  merge_dims(a);
  const AttentionPlan plan = plan_of(device, query.dtype(), a, AttentionPass::Derivative);
  if (a.batch * a.queries > 0) {
    launch(device, plan.module, kMeans, {unsigned(divide_up(a.batch * a.queries, kThreads / 16))}, kThreads, a);
    launch(device, plan.module, kByQueries, blocks_of(a, a.queries, plan.tile), plan.threads, a);
  }
  if (a.batch * a.keys > 0) launch(device, plan.module, kByKeys, blocks_of(a, a.keys, plan.key_tile), plan.threads, a);
  return result;
}

}  // namespace flambeau::cuda
