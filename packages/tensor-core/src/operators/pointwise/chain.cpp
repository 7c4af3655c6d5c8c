// Chains of pointwise kernels. Note [Chains]
#include "operators/pointwise/chain.h"

#include "core/working_memory.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/pointwise/walk.h"

namespace flambeau {

namespace {

constexpr int64_t kCacheBytes = 24 << 10;  // for the buffers of a block, half of a first-level cache of 48 KB
constexpr int64_t kLeastBlock = 256, kMostBlock = 2048;  // elements
constexpr int64_t kChainGrain = 32768;                   // elements of one step that are worth a thread

// Where the value of an input or a step is during a block.
struct Place {
  enum Kind : uint8_t { Memory, Buffer } kind = Buffer;
  int buffer = -1;       // its number
  char* base = nullptr;  // of contiguous memory
  int64_t item = 0;
  bool stays = false;  // the same in each block
};

class ChainPlan {
 public:
  ChainPlan(std::span<const ChainInput> inputs, std::span<const ChainStep> steps, std::span<const ChainOutput> outputs,
            const Shape& shape)
      : inputs_(inputs), steps_(steps), places_(inputs.size() + steps.size()), walks_(inputs.size()) {
    for (size_t i = 0; i < inputs.size(); ++i) place_input(i, shape);
    for (const ChainOutput& output : outputs)
      places_[size_t(output.value)] = {Place::Memory, -1, output.tensor.bytes(), item_size(output.tensor.dtype())};
    place_steps();
    const int64_t room = kCacheBytes / std::max<int64_t>(1, buffers_ * widest_);
    block_ = std::clamp(room / 64 * 64, kLeastBlock, kMostBlock);
  }

  int64_t grain() const { return std::max(kMostBlock, kChainGrain / int64_t(steps_.size()) / 64 * 64); }

  // Computes the elements [begin, end).
  void run(int64_t begin, int64_t end) const {
    const int64_t buffer_bytes = block_ * widest_ + kSlack;
    const Block memory(std::max(1, buffers_) * buffer_bytes);
    std::vector<Cursor> cursors(inputs_.size());
    std::vector<char*> at(places_.size());
    const auto buffer = [&](const Place& place) { return memory.get() + place.buffer * buffer_bytes; };
    for (size_t v = 0; v < places_.size(); ++v)
      if (places_[v].kind == Place::Buffer) at[v] = buffer(places_[v]);
    const int64_t first = std::min(block_, end - begin);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!inputs_[i].operand.tensor) {
        fill_block(at[i], inputs_[i].operand.scalar, inputs_[i].dtype, first);
      } else if (places_[i].kind == Place::Buffer) {
        cursors[i].start(walks_[i], begin);
        if (places_[i].stays) at[i] = fetch(cursors[i], first, at[i], inputs_[i].dtype);
      }
    }
    for (; begin < end; begin += block_) {
      const int64_t n = std::min(block_, end - begin);
      for (size_t v = 0; v < places_.size(); ++v)
        if (places_[v].kind == Place::Memory) at[v] = places_[v].base + begin * places_[v].item;
      for (size_t i = 0; i < inputs_.size(); ++i)
        if (places_[i].kind == Place::Buffer && !places_[i].stays)
          at[i] = fetch(cursors[i], n, buffer(places_[i]), inputs_[i].dtype);
      for (size_t s = 0; s < steps_.size(); ++s) run_step(s, at.data(), begin, n);
    }
  }

 private:
  void place_input(size_t i, const Shape& shape) {
    Place& place = places_[i];
    const ChainInput& input = inputs_[i];
    place.item = item_size(input.dtype);
    place.stays = !input.operand.tensor;
    if (const Tensor* t = input.operand.tensor) {
      Walk& walk = walks_[i];
      plan_walk(walk, *t, shape, {});
      place.stays = walk.is_constant();
      if (walk.dtype == input.dtype && walk.last == 0 && walk.step() == place.item) {
        place.kind = Place::Memory;
        place.base = walk.base;
        return;
      }
    }
    place.buffer = buffers_++;
    widest_ = std::max(widest_, place.item);
  }

  // A result that is no output gets a buffer until its last use.
  void place_steps() {
    std::vector<int> last(places_.size(), -1);
    for (size_t s = 0; s < steps_.size(); ++s)
      for (int k = 0; k < steps_[s].count; ++k) last[size_t(steps_[s].operands[k])] = int(s);
    std::vector<int> unused;
    for (size_t s = 0; s < steps_.size(); ++s) {
      Place& place = places_[inputs_.size() + s];
      place.item = item_size(steps_[s].dtype);
      if (place.kind == Place::Buffer) {
        if (unused.empty()) unused.push_back(buffers_++);
        place.buffer = unused.back();
        unused.pop_back();
        widest_ = std::max(widest_, place.item);
      }
      for (int k = 0; k < steps_[s].count; ++k) {
        const size_t v = size_t(steps_[s].operands[k]);
        if (v >= inputs_.size() && places_[v].kind == Place::Buffer && last[v] == int(s)) {
          unused.push_back(places_[v].buffer);
          last[v] = -1;  // once, also if two operands are the same
        }
      }
    }
  }

  void run_step(size_t s, char* const* at, int64_t begin, int64_t n) const {
    const ChainStep& step = steps_[s];
    char* const out = at[inputs_.size() + s];
    if (step.lines) return run_channels(*step.lines, step.dtype, out, at[step.operands[0]], begin, n);
    if (!step.kernel) {
      const int v = step.operands[0];
      const Dtype from =
          size_t(v) < inputs_.size() ? inputs_[size_t(v)].dtype : steps_[size_t(v) - inputs_.size()].dtype;
      return kernels::table().cast[int(step.dtype)][int(from)](out, item_size(step.dtype), at[v], item_size(from), n);
    }
    char* pointers[kMaxOperands + 1] = {out};
    for (int k = 0; k < step.count; ++k) pointers[k + 1] = at[step.operands[k]];
    step.kernel(pointers, n);
  }

  static void run_channels(const ChannelLines& lines, Dtype dtype, char* out, const char* in, int64_t begin,
                           int64_t n) {
    const auto affine = kernels::networks().affine[dtype == Dtype::float64];
    const int64_t item = item_size(dtype), channels = int64_t(lines.lines.size());
    int64_t channel = begin / lines.inner % channels, left = lines.inner - begin % lines.inner;
    for (int64_t done = 0; done < n;) {
      const int64_t length = std::min(left, n - done);
      const ChannelLine& line = lines.lines[size_t(channel)];
      affine(out + done * item, in + done * item, length, line.centre, line.scale, line.shift);
      done += length;
      left = lines.inner;
      if (++channel == channels) channel = 0;
    }
  }

  std::span<const ChainInput> inputs_;
  std::span<const ChainStep> steps_;
  std::vector<Place> places_;  // of the inputs, then of the results
  std::vector<Walk> walks_;
  int buffers_ = 0;
  int64_t widest_ = 1, block_ = kLeastBlock;  // the largest element of a buffer in bytes; elements of a block
};

}  // namespace

PointwiseKernel chain_kernel(PointwiseOp row, Dtype dtype) {
  return kernels::table().pointwise[int(row)][int(compute_type(dtype))];
}

void run_chain(std::span<const ChainInput> inputs, std::span<const ChainStep> steps,
               std::span<const ChainOutput> outputs, const Shape& shape) {
  const int64_t n = product(shape);
  if (n == 0 || steps.empty()) return;
  const ChainPlan plan(inputs, steps, outputs, shape);
  parallel_for(n, plan.grain(), [&](int64_t begin, int64_t end) { plan.run(begin, end); });
}

}  // namespace flambeau
