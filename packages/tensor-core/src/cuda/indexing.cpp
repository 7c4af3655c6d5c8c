// Reading and writing at the positions in an index tensor, on a GPU. The kernels are in device/indexing/indexing.h.
#include "cuda/indexing.h"

#include <algorithm>
#include <bit>

#include "cuda/geometry.h"
#include "cuda/operators.h"
#include "cuda/radix.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"
#include "cuda/views.h"
#include "device/indexing/indexing_arguments.h"
#include "flambeau/autograd.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

// Up to this number of entries, one thread processes all entries of a column in order, even if this leaves parts of the
// GPU idle.
constexpr int64_t kShort = 16;
constexpr int64_t kManyColumns = 16384;  // this number of threads keeps a GPU busy regardless of their work

enum Offset { kPick, kLocate, kRows };
CudaModule& offset_module() {
  static auto* module = new CudaModule(
      "offsets of an index", "#include \"device/indexing/indexing.h\"\nFLAMBEAU_OFFSETS\n", {"pick", "locate", "rows"});
  return *module;
}

const char* word_name(int64_t bytes) {
  return bytes == 1   ? "uint8_t"
         : bytes == 2 ? "uint16_t"
         : bytes == 4 ? "uint32_t"
         : bytes == 8 ? "uint64_t"
                      : "flambeau::cuda::Word16";
}
enum Word { kLoad, kStore, kGather };
CudaModule& word_module(int64_t bytes) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(bytes), [=] {
    return std::make_unique<CudaModule>(
        "indexing", std::string("#include \"device/indexing/indexing.h\"\nFLAMBEAU_WORDS(") + word_name(bytes) + ")\n",
        std::initializer_list<const char*>{"load", "store", "gather"});
  });
}

enum Combined { kColumns, kSegments, kWalk };
CudaModule& combine_module(Dtype dtype, Combine c) {
  static auto* modules = new CudaModules;
  static constexpr const char* names[] = {"Assign", "Add", "Multiply", "Max", "Min"};
  const bool copies = c == Combine::Assign;
  const uint64_t key = (copies ? uint64_t(item_size(dtype)) : uint64_t(dtype)) * 8 + uint64_t(c);
  return modules->find(key, [=] {
    return std::make_unique<CudaModule>("writing at an index",
                                        std::string("#include \"device/indexing/indexing.h\"\nFLAMBEAU_COMBINE(") +
                                            (copies ? word_name(item_size(dtype)) : type_name(dtype)) + ", " +
                                            names[int(c)] + ")\n",
                                        std::initializer_list<const char*>{"columns", "segments", "walk"});
  });
}

Grid grid_for(int64_t threads) { return {unsigned(divide_up(threads, kThreads))}; }

Extents extents(const Shape& size, const Shape& stride, int64_t item) {
  Extents e;
  e.dims = int(size.size());
  for (int d = 0; d < e.dims; ++d) e.size[d] = size[size_t(d)], e.stride[d] = stride[size_t(d)] * item;
  return e;
}

BlockArguments block_arguments(const Tensor& t, const Blocks& b, const Tensor& values) {
  const int64_t item = item_size(t.dtype());
  BlockArguments a;
  a.blocks = t.device_bytes();
  a.values = values.device_bytes();
  a.offsets = reinterpret_cast<const int64_t*>(b.offsets.device_bytes());
  a.rows = nullptr, a.step = b.step;
  a.positions = nullptr;
  a.outer = b.outer, a.count = b.count, a.inner = b.inner, a.item = item;
  a.one = values.numel() == 1;
  a.outer_dims = extents(b.outer_size, b.outer_stride, item);
  a.inner_dims = extents(b.inner_size, b.inner_stride, item);
  return a;
}

// Changes the arguments to blocks of words, which are larger than elements if the alignment permits. Returns the size
// of a word in bytes.
int64_t widen(BlockArguments& a, const Blocks& b) {
  if (a.inner_dims.dims != 1 || a.inner_dims.stride[0] != a.item) return a.item;
  uint64_t all = uint64_t(a.inner * a.item) | reinterpret_cast<uintptr_t>(a.blocks) | uint64_t(b.step * a.item);
  if (!a.one) all |= reinterpret_cast<uintptr_t>(a.values);
  for (int d = 0; d < a.outer_dims.dims; ++d) all |= uint64_t(a.outer_dims.stride[d]);
  int64_t word = 16;
  while (word > a.item && all % uint64_t(word)) word /= 2;
  if (a.one) word = a.item;
  a.inner = a.inner * a.item / word;
  a.inner_dims.size[0] = a.inner;
  a.inner_dims.stride[0] = word;
  return word;
}

// Returns the value on the tensor's device. A value of one element is copied there if necessary.
Tensor on_device_of(const Tensor& value, const Tensor& t) {
  NoRecording off;
  return value.numel() == 1 ? to(value, t.device()) : value;
}

// Returns the number of bits that the numbers below `end` need.
int bits_below(int64_t end) { return std::max(int(std::bit_width(uint64_t(end - 1))), 1); }

// Returns the offsets in ascending order, and their original positions. Equal offsets are in the order of the index. If
// row numbers of 32 bits can replace the offsets, they are sorted instead, because they need fewer passes.
SortedKeys sorted(const Blocks& b) {
  const int bits = b.step > 0 ? bits_below((b.extent - 1) / b.step + 1) : 64;
  if (bits > 32) return radix_sort(b.offsets, 1, b.count, bits_below(b.extent));
  const Tensor rows = empty({b.count}, Dtype::uint32);
  launch(rows.device().index, offset_module(), kRows, grid_for(b.count), kThreads,
         RowArguments{reinterpret_cast<const int64_t*>(b.offsets.device_bytes()),
                      reinterpret_cast<uint32_t*>(rows.device_bytes()), b.count, b.step});
  return radix_sort(rows, 1, b.count, bits);
}

// Returns the layout of a loop over the entries of an index, with the tensors `others`, the index and `t`. `along`:
// true if the loop includes the indexed dimension.
StridedLayout walk_layout(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& others, bool along) {
  const auto flat = [&](const Tensor& x, bool still) {
    Shape shape = index.shape(), strides = x.strides();
    if (!shape.empty() && still) strides[size_t(dim)] = 0;
    if (!shape.empty() && !along) shape[size_t(dim)] = 1;
    return from_storage(x.impl()->storage, shape, strides, x.offset(), x.dtype());
  };
  const Tensor o = flat(others, false), i = flat(index, false), elements = flat(t, true);
  const Tensor* tensors[] = {&o, &i, &elements};
  return layout_of(tensors, 3);
}

template <class F>
void walk(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& others, bool along, F&& run) {
  const int64_t item = item_size(t.dtype());
  WalkArguments a;
  a.elements = t.device_bytes();
  a.others = others.device_bytes();
  a.index = index.device_bytes();
  a.size = t.dim() ? t.shape()[size_t(dim)] : 1;
  a.stride = (t.dim() ? t.strides()[size_t(dim)] : 1) * item;
  a.length = along || !index.dim() ? 1 : index.shape()[size_t(dim)];
  a.other_step = index.dim() ? others.strides()[size_t(dim)] * item_size(others.dtype()) : 0;
  a.index_step = index.dim() ? index.strides()[size_t(dim)] * 8 : 0;
  a.item = item;
  a.reporter = reporter(t.device().index);
  const StridedLayout whole = walk_layout(t, dim, index, others, along);
  each_part(whole, [&](const StridedLayout& part) {
    WalkArguments own = a;
    own.count = part.count();
    own.dims = part.dims;
    own.begin = part.offset[2];
    own.others += part.offset[0], own.index += part.offset[1], own.elements += part.offset[2];
    for (int d = 0; d < part.dims; ++d) {
      own.sizes[d] = Divider(uint32_t(part.size[d]));
      for (int k = 0; k < 3; ++k) own.strides[k][d] = part.stride[k][d];
    }
    run(own);
  });
}

}  // namespace

void pick(const Tensor& offsets, const Tensor& index, int64_t size, int64_t stride, bool wraps, bool adds) {
  if (index.numel() == 0) return;
  const int device = offsets.device().index;
  launch(device, offset_module(), kPick, grid_for(index.numel()), kThreads,
         PickArguments{reinterpret_cast<const int64_t*>(index.device_bytes()),
                       reinterpret_cast<int64_t*>(offsets.device_bytes()), index.numel(), size, stride, wraps, adds,
                       reporter(device)});
}

void load_blocks(const Tensor& t, const Blocks& b, const Tensor& out) {
  BlockArguments a = block_arguments(t, b, out);
  a.one = false;
  const int64_t word = widen(a, b), total = a.outer * a.count * a.inner;
  launch(t.device().index, word_module(word), kLoad, {unsigned(divide_up(total, kThreads * 4))}, kThreads, a);
}

void store_blocks(const Tensor& t, const Blocks& b, const Tensor& given, Combine c) {
  const int device = t.device().index;
  const Tensor source = on_device_of(given, t);
  const bool copies = c == Combine::Assign, distinct = b.distinct || b.count == 1;
  BlockArguments a = block_arguments(t, b, source);
  if (!copies && !distinct && (b.count <= kShort || (b.outer * b.inner >= kManyColumns && b.count <= kManyColumns)))
    return launch(device, combine_module(t.dtype(), c), kColumns, grid_for(a.outer * a.inner), kThreads, a);
  SortedKeys order;
  if (!distinct && !(copies && a.one)) {
    order = sorted(b);
    const char* keys = order.keys.device_bytes();
    const bool rows = order.keys.dtype() == Dtype::uint32;
    a.offsets = rows ? nullptr : reinterpret_cast<const int64_t*>(keys);
    a.rows = rows ? reinterpret_cast<const uint32_t*>(keys) : nullptr;
    a.positions = reinterpret_cast<const uint32_t*>(order.positions.device_bytes());
  }
  CudaModule& module = copies ? word_module(widen(a, b)) : combine_module(t.dtype(), c);
  launch(device, module, copies ? int(kStore) : int(kSegments), grid_for(a.outer * a.count * a.inner), kThreads, a);
}

void gather(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& out) {
  CudaModule& module = word_module(item_size(t.dtype()));
  walk(t, dim, index, out, true,
       [&](const WalkArguments& a) { launch(t.device().index, module, kGather, grid_for(a.count), kThreads, a); });
}

void scatter(const Tensor& t, int64_t dim, const Tensor& index, const Tensor& given, const Shape& strides, Combine c) {
  const int device = t.device().index;
  const Tensor source = on_device_of(given, t);
  const int64_t length = index.dim() ? index.shape()[size_t(dim)] : 1, columns = index.numel() / length;
  if (length <= kShort || columns >= kManyColumns) {
    const Tensor values = from_storage(source.impl()->storage, index.shape(), index.dim() ? strides : Shape{},
                                       source.offset(), t.dtype());
    CudaModule& module = combine_module(t.dtype(), c);
    return walk(t, dim, index, values, false,
                [&](const WalkArguments& a) { launch(device, module, kWalk, grid_for(a.count), kThreads, a); });
  }
  // Treats each entry as a block of one element.
  Blocks b;
  b.count = index.numel();
  b.offsets = empty({b.count}, Dtype::int64);
  for (int d = 0; d < t.dim(); ++d) b.extent += (t.shape()[size_t(d)] - 1) * t.strides()[size_t(d)];
  walk(t, dim, index, reshaped(b.offsets, index.shape()), true,
       [&](const WalkArguments& a) { launch(device, offset_module(), kLocate, grid_for(a.count), kThreads, a); });
  const Tensor values = from_storage(source.impl()->storage, index.shape(), strides, source.offset(), t.dtype());
  const bool one = source.numel() == 1;
  cuda::store_blocks(t, b, one ? source : contiguous(values), c);
}

// --- positions of the true elements of a mask ---

namespace {

enum Mask { kCount, kWrite, kCoordinates };
CudaModule& mask_module() {
  static auto* module = new CudaModule("positions in a mask", "#include \"device/indexing/masks.h\"\n",
                                       {"count", "write", "coordinates"});
  return *module;
}

}  // namespace

Tensor true_positions(const Tensor& mask, const Tensor& ranks) {
  const int64_t n = mask.numel(), tiles = divide_up(n, kScanTile);
  if (n == 0) return empty({0}, Dtype::int64);
  const int device = mask.device().index;
  const Tensor before = empty({tiles + 1}, Dtype::int64);
  cuda::fill(narrowed(before, 0, tiles, 1), Scalar(0));
  MaskArguments a{reinterpret_cast<const uint8_t*>(mask.device_bytes()), n,
                  reinterpret_cast<int64_t*>(before.device_bytes()), nullptr,
                  ranks.defined() ? reinterpret_cast<int64_t*>(ranks.device_bytes()) : nullptr};
  launch(device, mask_module(), kCount, {unsigned(tiles)}, kThreads, a);
  running_sums(before);
  const Tensor out = empty({cuda::item(narrowed(before, 0, tiles, 1)).integer()}, Dtype::int64);
  a.positions = reinterpret_cast<int64_t*>(out.device_bytes());
  launch(device, mask_module(), kWrite, {unsigned(tiles)}, kThreads, a);
  return out;
}

Tensor coordinates(const Tensor& positions, const Shape& shape) {
  const Tensor out = empty({int64_t(shape.size()), positions.numel()}, Dtype::int64);
  if (out.numel() == 0) return out;
  CoordinateArguments a;
  a.positions = reinterpret_cast<const int64_t*>(positions.device_bytes());
  a.to = reinterpret_cast<int64_t*>(out.device_bytes());
  a.count = positions.numel();
  a.dims = int(shape.size());
  std::copy(shape.begin(), shape.end(), a.size);
  launch(out.device().index, mask_module(), kCoordinates, grid_for(a.count), kThreads, a);
  return out;
}

}  // namespace flambeau::cuda
