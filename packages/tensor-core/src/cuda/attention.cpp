#include "cuda/attention.h"

#include <algorithm>
#include <bit>

#include "cuda/launch.h"
#include "cuda/units.h"
#include "flambeau/operators.h"

namespace flambeau::cuda {

namespace {

// Sizes that units are compiled for.
int64_t rounded(int64_t size) { return int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(size, 16)))); }
int64_t row_bytes(Dtype dtype, int64_t depth, int64_t width) {
  return std::max(rounded(depth), rounded(width)) * (dtype == Dtype::float64 ? 8 : 4);
}
// Rows of a tile: as many as leave room for the tiles of one block in 48 KiB of shared memory.
int64_t tile_rows(int64_t bytes, bool derivative) {
  const int64_t most = derivative ? 256 : 512;  // bytes of a row, with 32 of them
  return bytes <= most ? 32 : bytes <= 2 * most ? 16 : 0;
}

enum Kernel { kForward = 0, kMeans = 0, kByQueries, kByKeys };

Unit& unit_of(Dtype dtype, int64_t depth, int64_t width, bool derivative) {
  static auto* units = new Units;
  const int64_t d = rounded(depth), w = rounded(width), tile = tile_rows(row_bytes(dtype, depth, width), derivative);
  const uint64_t key = ((uint64_t(dtype) * 4096 + uint64_t(d)) * 4096 + uint64_t(w)) * 2 + derivative;
  return units->find(key, [&] {
    std::string source = "#include \"flambeau/device/attention.h\"\nFLAMBEAU_ATTENTION";
    source += std::string(derivative ? "_DERIVATIVE(" : "(") + type_name(dtype) + ", " + std::to_string(d) + ", " +
              std::to_string(w) + ", " + std::to_string(tile) + ")\n";
    return derivative ? std::make_unique<Unit>("attention's derivative", source,
                                               std::initializer_list<const char*>{"means", "by_queries", "by_keys"})
                      : std::make_unique<Unit>("attention", source, std::initializer_list<const char*>{"forward"});
  });
}

// Blocks for all tiles of `rows` rows of every member of the batch.
Grid blocks_of(const AttentionArguments& a, int64_t rows, int64_t tile) {
  return {unsigned(a.batch * divide_up(rows, tile))};
}

void set_operands(AttentionArguments& a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
                  const Tensor& logarithms) {
  a.query = query.device_bytes(), a.key = key.device_bytes(), a.value = value.device_bytes();
  a.out = out.device_bytes(), a.logarithms = logarithms.device_bytes();
}

}  // namespace

bool attends(Dtype dtype, int64_t depth, int64_t width, bool derivative) {
  return tile_rows(row_bytes(dtype, depth, width), derivative) > 0;
}

void attend(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value, const Tensor& out,
            const Tensor& logarithms) {
  if (a.batch * a.queries == 0) return;
  set_operands(a, query, key, value, out, logarithms);
  const Dtype dtype = query.dtype();
  const int64_t tile = tile_rows(row_bytes(dtype, a.depth, a.width), false);
  launch(query.device().index, unit_of(dtype, a.depth, a.width, false), kForward, blocks_of(a, a.queries, tile),
         kThreads, a);
}

AttentionGradients attend_derivative(AttentionArguments a, const Tensor& query, const Tensor& key, const Tensor& value,
                                     const Tensor& out, const Tensor& logarithms, const Tensor& grad) {
  const OnDevice there(query.device());
  AttentionGradients result{empty(query.shape(), query.dtype()), empty(key.shape(), key.dtype()),
                            empty(value.shape(), value.dtype())};
  const Tensor means = empty({a.batch, a.queries}, logarithms.dtype());
  set_operands(a, query, key, value, out, logarithms);
  a.grad = grad.device_bytes(), a.means = means.device_bytes();
  a.grad_query = result.query.device_bytes(), a.grad_key = result.key.device_bytes(),
  a.grad_value = result.value.device_bytes();
  const Dtype dtype = query.dtype();
  const int device = query.device().index;
  const int64_t tile = tile_rows(row_bytes(dtype, a.depth, a.width), true);
  Unit& unit = unit_of(dtype, a.depth, a.width, true);
  if (a.batch * a.queries > 0) {
    launch(device, unit, kMeans, {unsigned(divide_up(a.batch * a.queries, kThreads / 16))}, kThreads, a);
    launch(device, unit, kByQueries, blocks_of(a, a.queries, tile), kThreads, a);
  }
  if (a.batch * a.keys > 0) launch(device, unit, kByKeys, blocks_of(a, a.keys, tile), kThreads, a);
  return result;
}

}  // namespace flambeau::cuda
