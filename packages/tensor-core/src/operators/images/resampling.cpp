// Computes the weights and positions that resampling reads. Note [Resampling] in operators/images/resampling.h
#include "operators/images/resampling.h"

#include <algorithm>
#include <numeric>

#include "core/working_memory.h"
#include "cuda/runtime/pool.h"
#include "flambeau/cuda.h"
#include "flambeau/memory_format.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

SparseMatrix SparseMatrix::transposed() const {
  if (rows_without_taps_) return of_size(rows(), columns());
  std::vector<int64_t> counts(size_t(columns_) + 1, 0);
  for (int32_t i : index_) ++counts[size_t(i) + 1];
  std::partial_sum(counts.begin(), counts.end(), counts.begin());
  SparseMatrix t(rows(), columns_, false);
  t.ends_.assign(counts.begin() + 1, counts.end());
  t.index_.resize(index_.size());
  t.weight_.resize(weight_.size());
  int64_t at = 0;
  for (int64_t row = 0; row < rows(); ++row)
    for (; at < ends_[size_t(row)]; ++at) {
      const size_t to = size_t(counts[size_t(index_[size_t(at)])]++);
      t.index_[to] = int32_t(row);
      t.weight_[to] = weight_[size_t(at)];
    }
  return t;
}

// A sparse matrix in the format of the kernels, in which rows with the same number of taps form runs.
class RunMatrix {
 public:
  RunMatrix(const SparseMatrix& m, Dtype type) : weight_(m.weight_.size() * size_t(item_size(type))) {
    index_.resize(m.index_.size());
    int64_t begin = 0;
    for (int64_t row = 0, stop = 0; row < m.rows(); row = stop) {
      const int64_t taps = m.ends_[size_t(row)] - begin;
      stop = row + 1;
      while (stop < m.rows() && m.ends_[size_t(stop)] - m.ends_[size_t(stop - 1)] == taps) ++stop;
      runs_.push_back({row, stop, taps, begin});
      dispatch_pooled(type, [&](auto tag) {
        using T = typename decltype(tag)::type;
        T* weight = reinterpret_cast<T*>(weight_.data());
        for (int64_t o = 0; o < stop - row; ++o)
          for (int64_t k = 0; k < taps; ++k) {
            index_[size_t(begin + k * (stop - row) + o)] = m.index_[size_t(begin + o * taps + k)];
            weight[begin + k * (stop - row) + o] = T(m.weight_[size_t(begin + o * taps + k)]);
          }
      });
      begin += (stop - row) * taps;
    }
    matrix_ = {runs_.data(), int64_t(runs_.size()), m.rows(), index_.data(), weight_.data(), m.uniform_};
  }
  const kernels::Sparse& get() const { return matrix_; }

 private:
  template <class F>
  static void dispatch_pooled(Dtype type, F&& f) {
    if (type == Dtype::int64)
      f(TypeTag<int64_t>{});
    else
      dispatch_real(type, f);
  }
  std::vector<char> weight_;
  std::vector<kernels::SparseRun> runs_;
  std::vector<int32_t> index_;
  kernels::Sparse matrix_;
};

namespace {

// Returns the dimensions in the order that needs the least work: dimensions that shrink come first, dimensions that
// grow come last.
std::vector<size_t> order_of(const Resampling& map) {
  std::vector<size_t> order;
  for (size_t i = 0; i < map.axes.size(); ++i)
    if (map.axes[i]) order.push_back(i);
  const auto growth = [&](size_t i) { return double(map.axes[i]->rows()) / double(map.axes[i]->columns()); };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return growth(a) < growth(b); });
  return order;
}

struct ResamplingPass {  // the application of a matrix along one dimension of a plane
  RunMatrix matrix;
  int64_t outer, inner, in, out;
};

std::vector<ResamplingPass> make_passes(const Resampling& map, Shape sizes, Dtype type) {
  std::vector<ResamplingPass> passes;
  for (size_t axis : order_of(map)) {
    const SparseMatrix& m = *map.axes[axis];
    int64_t outer = 1, inner = 1;
    for (size_t i = 0; i < axis; ++i) outer *= sizes[i];
    for (size_t i = axis + 1; i < sizes.size(); ++i) inner *= sizes[i];
    passes.push_back({RunMatrix(m, type), outer, inner, m.columns(), m.rows()});
    sizes[axis] = m.rows();
  }
  return passes;
}

struct Recent {
  const char* name;
  MapKey key;
  std::shared_ptr<const Resampling> map;
  Dtype type;
  std::shared_ptr<const std::vector<ResamplingPass>> passes;  // null until the map is first applied
  std::shared_ptr<const cuda::DeviceMap> gpu_map;             // null until the map is first applied on a GPU
};
// Number of maps that each thread caches, and maximum number of taps of a cached map. Applying a larger map takes
// longer than creating it.
constexpr size_t kRecent = 8, kMaxTaps = 1 << 14;

struct RecentMaps {
  std::vector<Recent> maps;
  size_t next = 0;  // index of the entry to overwrite next
};
thread_local RecentMaps recent;

std::shared_ptr<const std::vector<ResamplingPass>> passes_of(const Resampling& map, const Shape& sizes, Dtype type) {
  const auto make = [&] { return std::make_shared<const std::vector<ResamplingPass>>(make_passes(map, sizes, type)); };
  for (Recent& r : recent.maps) {
    if (r.map.get() != &map) continue;
    if (!r.passes || r.type != type) r.passes = make(), r.type = type;
    return r.passes;
  }
  return make();
}

std::shared_ptr<const cuda::DeviceMap> map_on_gpu(const Resampling& map, const Shape& sizes, Dtype type,
                                                  Device device) {
  const auto make = [&] { return std::make_shared<const cuda::DeviceMap>(cuda::device_map(map, sizes, type, device)); };
  for (Recent& r : recent.maps) {
    if (r.map.get() != &map) continue;
    if (!r.gpu_map || r.gpu_map->type != type || !(r.gpu_map->device == device)) r.gpu_map = make();
    return r.gpu_map;
  }
  return make();
}

Dtype resampling_type(Dtype d) {
  if (!is_floating(d)) return Dtype::int64;
  return d == Dtype::float64 ? Dtype::float64 : Dtype::float32;
}

Shape resampled_shape(const Resampling& map, Shape shape) {
  const size_t leading = shape.size() - map.axes.size();
  for (size_t i = 0; i < map.axes.size(); ++i)
    if (map.axes[i]) shape[leading + i] = map.axes[i]->rows();
  return shape;
}

// Applies all passes to `planes` planes of x and writes the result to out. Intermediate results are in scratch memory.
void apply(const std::vector<ResamplingPass>& passes, int64_t planes, const Tensor& x, const Tensor& out) {
  const Dtype type = x.dtype();
  int64_t largest = 0, work = 0;
  for (const ResamplingPass& p : passes) {
    largest = std::max(largest, p.outer * p.out * p.inner);
    work += p.outer * (p.in + p.out) * p.inner;
  }
  const int64_t size = item_size(type), from_plane = x.numel() / planes, to_plane = out.numel() / planes;
  const auto kernel = kernels::networks().resample[type == Dtype::float32 ? 0 : type == Dtype::float64 ? 1 : 2];
  parallel_items(planes, std::max<int64_t>(1, 20000 / (work + 1)), [&](int64_t begin, int64_t end) {
    const int64_t scratch_size = passes.size() > 1 ? largest * size : 0;
    const Block first(scratch_size), second(passes.size() > 2 ? scratch_size : 0);
    char* const scratch[] = {first.get(), second.get()};
    for (int64_t plane = begin; plane < end; ++plane) {
      const char* from = x.bytes() + plane * from_plane * size;
      for (size_t i = 0; i < passes.size(); ++i) {
        const ResamplingPass& p = passes[i];
        char* to = i + 1 == passes.size() ? out.bytes() + plane * to_plane * size : scratch[i % 2];
        for (int64_t o = 0; o < p.outer; ++o)
          kernel(p.matrix.get(), from + o * p.in * p.inner * size, to + o * p.out * p.inner * size, p.inner);
        from = to;
      }
    }
  });
}

Tensor values(const Resampling& map, const Tensor& input) {
  const Dtype type = resampling_type(input.dtype());
  const size_t dims = map.axes.size(), leading = input.shape().size() - dims;
  const Shape shape = resampled_shape(map, input.shape()), sizes(input.shape().begin() + leading, input.shape().end());
  if (cuda::runs_on_gpu(input) && dims <= 3) {
    const Tensor out = empty(shape, input.dtype());
    cuda::resample(*map_on_gpu(map, sizes, type, input.device()), out, contiguous(input));
    return out;
  }
  if (input.is_meta()) return laid_out(empty(shape, input.dtype()), result_format(input));
  const auto passes = passes_of(map, sizes, type);
  if (passes->empty()) return clone(input);
  const Tensor out = empty(shape, type);
  if (out.numel() > 0)
    apply(*passes, product(Shape(shape.begin(), shape.begin() + leading)), contiguous(to(input, type)), out);
  return laid_out(to(out, input.dtype()), result_format(input));
}

std::shared_ptr<const Resampling> transposed(const Resampling& map) {
  auto t = std::make_shared<Resampling>();
  for (const auto& axis : map.axes)
    t->axes.push_back(axis ? std::make_unique<SparseMatrix>(axis->transposed()) : nullptr);
  return t;
}

}  // namespace

std::shared_ptr<const Resampling> recent_map(const char* name, const MapKey& key) {
  for (const Recent& r : recent.maps)
    if (r.name == name && r.key == key) return r.map;
  return nullptr;
}

void keep_map(const char* name, const MapKey& key, const std::shared_ptr<const Resampling>& map) {
  size_t taps = 0;
  for (const auto& axis : map->axes) taps += axis ? axis->taps() : 0;
  if (taps > kMaxTaps) return;
  Recent made{name, key, map, {}, nullptr, nullptr};
  if (recent.maps.size() < kRecent)
    recent.maps.push_back(std::move(made));
  else
    recent.maps[recent.next++ % kRecent] = std::move(made);
}

void record_resampling(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input,
                       const Tensor& out) {
  record(name, out, {&input}, {},
         [name, map](const Context& c) { c.set(0, resample(name, transposed(*map), c.gradient())); });
}

Tensor resample(const char* name, std::shared_ptr<const Resampling> map, const Tensor& input) {
  Tensor out;
  {
    NoRecording off;
    out = values(*map, input);
  }
  if (recording(input)) record_resampling(name, std::move(map), input, out);
  return out;
}

}  // namespace flambeau
