// Finds the first elements in sorted order, for many rows at a time. Each row is a lane. Its elements are inserted one
// by one into the sorted list of the first elements. Note [Keys] in operators/sorting/order.h
#include <algorithm>

#include "flambeau/kernels/keys.h"
#include "flambeau/kernels/simd.h"
#include "kernels/table.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

constexpr int64_t kRows = kShortOrderRows, kColumns = 32;  // size of a block of keys
constexpr int64_t kParts = kRows * 8 / kVectorBytes;
typedef uint64_t Lanes __attribute__((vector_size(kVectorBytes), may_alias));

// The next element of each row: its key of up to four bytes, combined with its position. No two elements of a row are
// equal.
struct Items {
  Lanes item[kParts];

  FLAMBEAU_INLINE Items(const uint32_t* keys, int64_t position) {
    alignas(kVectorBytes) uint64_t packed[kRows];
    for (int64_t j = 0; j < kRows; ++j) packed[j] = uint64_t(keys[j]) << 32 | uint64_t(position);
    for (int64_t p = 0; p < kParts; ++p) item[p] = reinterpret_cast<const Lanes*>(packed)[p];
  }
  Items() = default;
  // Stores the smaller items in the slot and keeps the larger items.
  FLAMBEAU_INLINE void pass(Items& slot) {
    for (int64_t p = 0; p < kParts; ++p) {
      const Lanes a = slot.item[p], b = item[p];
      slot.item[p] = a < b ? a : b;
      item[p] = a < b ? b : a;
    }
  }
  int64_t position(int64_t j) const { return uint32_t(item[j * kParts / kRows][j % (kRows / kParts)]); }
};

// The next element of each row: its key of eight bytes and, separately, its position. After the element has taken a
// slot, the previous elements move by one slot each, without comparisons (`moved`).
struct KeysAndPositions {
  Lanes key[kParts], positions[kParts], moved[kParts];

  FLAMBEAU_INLINE KeysAndPositions(const uint64_t* keys, int64_t position) {
    for (int64_t p = 0; p < kParts; ++p) {
      key[p] = reinterpret_cast<const Lanes*>(keys)[p];
      positions[p] = Lanes{} + uint64_t(position);
      moved[p] = Lanes{};
    }
  }
  KeysAndPositions() = default;
  FLAMBEAU_INLINE void pass(KeysAndPositions& slot) {
    for (int64_t p = 0; p < kParts; ++p) {
      const Lanes a = slot.key[p], b = key[p], at = slot.positions[p], own = positions[p];
      const auto first = (b < a) | (moved[p] != Lanes{});
      slot.key[p] = first ? b : a;
      slot.positions[p] = first ? own : at;
      key[p] = first ? a : b;
      positions[p] = first ? at : own;
      moved[p] = Lanes(first);
    }
  }
  int64_t position(int64_t j) const { return int64_t(positions[j * kParts / kRows][j % (kRows / kParts)]); }
};

template <class K>
using ReadKeys = void (*)(K* to, const char* in, int64_t count, bool flips);

// Stores the positions (rows, k) of the first k elements of each row of n elements.
template <class K>
void first_positions(int64_t* out, const char* in, int64_t rows, int64_t n, int64_t k, int64_t size, bool flips,
                     ReadKeys<K> read) {
  using Element = std::conditional_t<sizeof(K) == 4, Items, KeysAndPositions>;
  Element slots[kShortOrderMaxLength];
  alignas(kVectorBytes) K keys[kColumns][kRows] = {}, row[kRows][kColumns];
  for (int64_t r = 0; r < rows; r += kRows, out += kRows * k) {
    const int64_t count = std::min(kRows, rows - r);
    for (int64_t begin = 0; begin < n; begin += kColumns) {
      const int64_t columns = std::min(kColumns, n - begin);
      for (int64_t j = 0; j < count; ++j) read(row[j], in + ((r + j) * n + begin) * size, columns, flips);
      transpose(keys[0], kRows, row[0], kColumns, count, columns);
      for (int64_t c = 0; c < columns; ++c) {
        Element element(keys[c], begin + c);
        const int64_t filled = std::min(k, begin + c);
        for (int64_t s = 0; s < filled; ++s) element.pass(slots[s]);
        if (filled < k) slots[filled] = element;
      }
    }
    for (int64_t s = 0; s < k; ++s)
      for (int64_t j = 0; j < count; ++j) out[j * k + s] = slots[s].position(j);
  }
}

template <class T>
void read_keys(order::Key<T>* to, const char* in, int64_t count, bool flips) {
  const auto* from = reinterpret_cast<const order::BitsOf<T>*>(in);
  const auto flip = order::Key<T>(flips ? ~order::Key<T>(0) : 0);
  for (int64_t i = 0; i < count; ++i) to[i] = order::key_of<T>(from[i]) ^ flip;
}
template <class T>
void short_order(int64_t* out, const char* in, int64_t rows, int64_t n, int64_t k, bool flips) {
  first_positions<order::Key<T>>(out, in, rows, n, k, sizeof(T), flips, read_keys<T>);
}

}  // namespace

void fill_short_order(Table& table) {
#define FLAMBEAU_SHORT_ORDER(name, type, category) table.short_order[int(Dtype::name)] = short_order<type>;
  FLAMBEAU_REAL_DTYPES(FLAMBEAU_SHORT_ORDER)
#undef FLAMBEAU_SHORT_ORDER
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
