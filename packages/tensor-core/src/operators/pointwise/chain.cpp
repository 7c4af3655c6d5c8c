// Chains of kernels. Note [Chains]
#include "operators/pointwise/chain.h"

#include <memory>
#include <optional>

#include "core/working_memory.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/pointwise/operand_layout.h"

namespace flambeau {

namespace {

constexpr int64_t kCacheBytes = 8 << 10;         // largest size of a block: a quarter of a first-level cache of 32 KB
constexpr int64_t kRowsCacheBytes = 24 << 10;    // largest size of a block of several rows
constexpr int64_t kLargeCacheBytes = 256 << 10;  // largest size of a row's buffers: half of a second-level cache
constexpr int64_t kMinBlock = 256, kMaxBlock = 2048;  // minimum and maximum number of elements in a block
constexpr int64_t kChainGrain = 32768;                // number of elements of one step that justify a thread

int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

}  // namespace

// The location of the value of an input or of a step while a block is processed.
struct ChainPlan::Location {
  enum Kind : uint8_t { Number, Input, Copied, Output, Buffer } kind = Buffer;
  int number = -1;  // index of the output or, for the other locations, of the buffer
  int layout = -1;  // for a copied input: index in layouts_
  int64_t item = 0;
  bool is_constant = false;  // true for a copied input that is the same in each block
  bool is_per_row = false;
};

ChainPlan::~ChainPlan() = default;

ChainPlan::ChainPlan(std::span<const ChainInput> inputs, std::span<const ChainStep> steps, std::span<const int> outputs,
                     const Shape& shape, int64_t row_length)
    : steps_(steps.begin(), steps.end()), inputs_(inputs.size()), elements_(product(shape)), row_length_(row_length) {
  locations_.reserve(inputs.size() + steps.size());
  for (const ChainInput& input : inputs) locate_input(input, shape);
  for (const ChainStep& step : steps) {
    Location& location = locations_.emplace_back();
    location.item = item_size(step.dtype);
    location.is_per_row = step.is_per_row;
  }
  locate_outputs(outputs);
  locate_steps();
  const auto is_memory = [](const Location& p) { return p.kind == Location::Input || p.kind == Location::Output; };
  const int64_t values = buffers_ + std::ranges::count_if(locations_, is_memory);
  const int64_t room = (row_length_ ? kRowsCacheBytes : kCacheBytes) / (values * widest_);
  if (row_length_) {
    block_ = std::clamp<int64_t>(room / row_length_, 1, kMaxBlock) * row_length_;
  } else {
    block_ = std::clamp(room / 64 * 64, kMinBlock, kMaxBlock);
  }
  block_ = std::min(block_, rounded_up(elements_, row_length_ ? row_length_ : 64));
}

bool ChainPlan::fits_cache() const { return !row_length_ || row_length_ * widest_ * buffers_ <= kLargeCacheBytes; }

int64_t ChainPlan::buffer_bytes() const { return rounded_up(block_ * widest_, 64) + kSlack; }

void ChainPlan::locate_input(const ChainInput& input, const Shape& shape) {
  Location location;
  location.item = item_size(input.dtype);
  if (!input.example) {
    location.kind = Location::Number;
  } else {
    OperandLayout layout;
    describe_layout(layout, *input.example, shape, {});
    if (layout.dtype == input.dtype && layout.last == 0 && layout.step() == location.item) {
      location.kind = Location::Input;
    } else {
      location.kind = Location::Copied;
      location.is_constant = layout.is_constant();
      location.layout = int(layouts_.size());
      layouts_.push_back(layout);
    }
  }
  if (location.kind != Location::Input) {
    location.number = buffers_++;
    widest_ = std::max(widest_, location.item);
  }
  locations_.push_back(location);
}

void ChainPlan::locate_outputs(std::span<const int> outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    Location& location = locations_[size_t(outputs[i])];
    location.kind = Location::Output;
    location.number = int(i);
  }
}

// Assigns a buffer to each result that is not an output. Another result can use the same buffer after the last step
// that uses the first result.
void ChainPlan::locate_steps() {
  std::vector<int> last(locations_.size(), -1);
  for (size_t s = 0; s < steps_.size(); ++s)
    for (int k = 0; k < steps_[s].count; ++k) last[size_t(steps_[s].operands[k])] = int(s);
  std::vector<int> unused;
  for (size_t s = 0; s < steps_.size(); ++s) {
    Location& location = locations_[inputs_ + s];
    if (location.kind == Location::Buffer) {
      if (unused.empty()) unused.push_back(buffers_++);
      location.number = unused.back();
      unused.pop_back();
      widest_ = std::max(widest_, location.item);
    }
    for (int k = 0; k < steps_[s].count; ++k) {
      const size_t v = size_t(steps_[s].operands[k]);
      if (v >= inputs_ && locations_[v].kind == Location::Buffer && last[v] == int(s)) {
        unused.push_back(locations_[v].number);
        last[v] = -1;  // add the buffer only once if both operands are the same value
      }
    }
  }
}

int64_t ChainPlan::grain() const {
  const int64_t elements = std::max(kMaxBlock, kChainGrain / int64_t(steps_.size()) / 64 * 64);
  return row_length_ ? std::max<int64_t>(1, elements / row_length_) : elements;
}

// Executes the steps for the blocks of one thread.
class ChainPlan::Pass {
 public:
  Pass(const ChainPlan& plan, const ChainMemory& memory)
      : plan_(plan), memory_(memory), at_(plan.locations_.size(), nullptr), buffer_bytes_(plan.buffer_bytes()) {
    const int64_t bytes = plan.buffers_ * buffer_bytes_;
    if (bytes > int64_t(sizeof few_)) allocated_.emplace(bytes);
    if (!plan.layouts_.empty()) cursors_ = std::make_unique_for_overwrite<Cursor[]>(plan.layouts_.size());
  }

  // Computes the elements [begin, end).
  void run(int64_t begin, int64_t end) {
    start(begin, std::min(plan_.block_, end - begin));
    for (; begin < end; begin += plan_.block_) {
      const int64_t n = std::min(plan_.block_, end - begin);
      for (size_t v = 0; v < plan_.locations_.size(); ++v) move_to(v, begin, n);
      for (size_t s = 0; s < plan_.steps_.size(); ++s) run_step(s, begin, n);
    }
  }

 private:
  char* buffer(int number) { return (allocated_ ? allocated_->get() : few_) + number * buffer_bytes_; }

  void start(int64_t begin, int64_t first) {
    for (size_t v = 0; v < plan_.locations_.size(); ++v) {
      const Location& location = plan_.locations_[v];
      if (location.kind == Location::Input || location.kind == Location::Output) continue;
      at_[v] = buffer(location.number);
      const Dtype dtype = location.kind == Location::Buffer ? Dtype::float32 : input_dtype(location);
      if (location.kind == Location::Number) {
        fill_block(at_[v], memory_.inputs[v].scalar, dtype, first);
      } else if (location.kind == Location::Copied) {
        Cursor& cursor = cursors_[size_t(location.layout)];
        cursor.start(plan_.layouts_[size_t(location.layout)], memory_.inputs[v].tensor->bytes(), begin);
        if (location.is_constant) at_[v] = fetch(cursor, first, at_[v], dtype);
      }
    }
  }

  // Returns the dtype to which the elements of an input are converted.
  static Dtype input_dtype(const Location& location) { return location.item == 8 ? Dtype::float64 : Dtype::float32; }

  void move_to(size_t v, int64_t begin, int64_t n) {
    const Location& location = plan_.locations_[v];
    const int64_t element = location.is_per_row ? begin / plan_.row_length_ : begin;
    if (location.kind == Location::Input)
      at_[v] = memory_.inputs[v].tensor->bytes() + element * location.item;
    else if (location.kind == Location::Output)
      at_[v] = memory_.outputs[size_t(location.number)] + element * location.item;
    else if (location.kind == Location::Copied && !location.is_constant)
      at_[v] = fetch(cursors_[size_t(location.layout)], n, buffer(location.number), input_dtype(location));
  }

  void run_step(size_t s, int64_t begin, int64_t n) {
    const ChainStep& step = plan_.steps_[s];
    char* const out = at_[plan_.inputs_ + s];
    const char* const in = at_[size_t(step.operands[0])];
    const int64_t rows = plan_.row_length_ ? n / plan_.row_length_ : 0, count = step.is_per_row ? rows : n;
    switch (step.kind) {
      case ChainStep::Pointwise: {
        char* pointers[kMaxChainOperands + 1] = {out};
        for (int k = 0; k < step.count; ++k) pointers[k + 1] = at_[size_t(step.operands[k])];
        return step.kernel(pointers, count);
      }
      case ChainStep::Convert: {  // converts a mask to numbers
        const int64_t item = item_size(step.dtype);
        return kernels::table().cast[int(step.dtype)][int(Dtype::bool_)](out, item, in, 1, count);
      }
      case ChainStep::Channels:
        return run_channels(memory_.lines[size_t(step.lines)], step.dtype, out, in, begin, n);
      case ChainStep::Rows:
        return run_row_function(step.row, step.dtype, out, in, weight(step.row.weight), weight(step.row.bias), rows,
                                plan_.row_length_);
      case ChainStep::Repeat:
        return step.dtype == Dtype::float64 ? repeat<double>(out, in, rows) : repeat<float>(out, in, rows);
    }
  }

  const char* weight(int number) const { return number < 0 ? nullptr : memory_.weights[size_t(number)]; }

  template <class T>
  void repeat(char* out, const char* in, int64_t rows) const {
    T* to = reinterpret_cast<T*>(out);
    for (int64_t r = 0; r < rows; ++r, to += plan_.row_length_)
      std::fill_n(to, plan_.row_length_, reinterpret_cast<const T*>(in)[r]);
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

  const ChainPlan& plan_;
  const ChainMemory& memory_;
  SmallVector<char*, 32> at_;  // addresses of the values for the current block
  int64_t buffer_bytes_;
  std::optional<Block> allocated_;
  std::unique_ptr<Cursor[]> cursors_;  // cursors of the copied inputs
  alignas(64) char few_[4096];         // memory for the buffers of small chains
};

void ChainPlan::run(const ChainMemory& memory) const {
  if (elements_ == 0 || steps_.empty()) return;
  const int64_t unit = row_length_ ? row_length_ : 1;
  parallel_for(elements_ / unit, grain(),
               [&](int64_t begin, int64_t end) { Pass(*this, memory).run(begin * unit, end * unit); });
}

PointwiseKernel chain_kernel(PointwiseOp row, Dtype dtype) {
  return kernels::table().pointwise[int(row)][int(compute_type(dtype))];
}

}  // namespace flambeau
