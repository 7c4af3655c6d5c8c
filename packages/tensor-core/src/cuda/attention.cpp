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

// How the matrix units go through a problem (device/matrix_attention.h): by its shape alone, so that the same numbers
// come out on every card. Tiles of 128 queries read keys and values half as often as those of 64, where there are
// enough of them for every multiprocessor.
struct MatrixTiles {
  int64_t depth, width, high, keys;
  bool general;
  int64_t rows() const { return 64 * high; }
};
MatrixTiles matrix_tiles(const AttentionArguments& a) {
  constexpr int64_t kStep = 16, kMostHigh = 128, kEnough = 128, kShared = 48 << 10, kMostKeys = 64;
  MatrixTiles t{divide_up(a.depth, kStep) * kStep, divide_up(a.width, kStep) * kStep, 1, kMostKeys,
                a.mask || !(float(a.scale) > 0)};
  if (std::max(t.depth, t.width) <= kMostHigh && a.queries > 64 && a.batch * divide_up(a.queries, 128) >= kEnough)
    t.high = 2;
  while ((t.rows() * t.depth + t.keys * (t.depth + t.width)) * 2 > kShared) t.keys /= 2;
  return t;
}

// Whether the units take the rows: of whole chunks of 16 bytes, and not longer than what a block has room for.
bool takes_rows(const Tensor& t, int64_t length) {
  return length % 8 == 0 && length > 0 && length <= 256 && reinterpret_cast<uintptr_t>(t.device_bytes()) % 16 == 0;
}

Unit& unit_of(Dtype dtype, const MatrixTiles& t) {
  static auto* units = new Units;
  const uint64_t sizes = (uint64_t(t.depth) * 4096 + uint64_t(t.width)) * 4096 + uint64_t(t.keys);
  return units->find(((sizes * 4 + uint64_t(t.high)) * 2 + t.general) * 32 + uint64_t(dtype), [&] {
    std::string source = "#include \"flambeau/device/matrix_attention.h\"\nFLAMBEAU_MATRIX_ATTENTION(";
    source += type_name(dtype);
    for (const int64_t number : {t.depth, t.width, t.high, t.keys}) source += ", " + std::to_string(number);
    source += t.general ? ", true)\n" : ", false)\n";
    return std::make_unique<Unit>("attention", source, std::initializer_list<const char*>{"forward"});
  });
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
  const int device = query.device().index;
  if (has_matrix_units(device, dtype) && takes_rows(query, a.depth) && takes_rows(key, a.depth) &&
      takes_rows(value, a.width)) {
    const MatrixTiles tiles = matrix_tiles(a);
    return launch(device, unit_of(dtype, tiles), kForward, blocks_of(a, a.queries, tiles.rows()), kMatrixThreads, a);
  }
  const int64_t tile = tile_rows(row_bytes(dtype, a.depth, a.width), false);
  launch(device, unit_of(dtype, a.depth, a.width, false), kForward, blocks_of(a, a.queries, tile), kThreads, a);
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
