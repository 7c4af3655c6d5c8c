#include "kernels/scratch.h"

#include <memory>

#include "flambeau/interpreter.h"
#include "flambeau/memory.h"

namespace flambeau::kernels {

namespace {

constexpr size_t kMaxKeptScratch = size_t(1) << 20;

struct Blocks {
  struct {
    void* data = nullptr;
    size_t bytes = 0;
  } of[size_t(Scratch::Count)];

  ~Blocks() {
    for (auto& block : of)
      if (block.data) deallocate(block.data, block.bytes);
  }
};

// The blocks are on the heap, because all libraries of a process share a small, fixed amount of thread-local memory.
thread_local std::unique_ptr<Blocks> blocks;

}  // namespace

void* scratch(Scratch purpose, size_t bytes) {
  if (!blocks) blocks = std::make_unique<Blocks>();
  auto& block = blocks->of[size_t(purpose)];
  if (bytes > block.bytes) {
    void* const data = allocate(bytes);
    if (block.data) deallocate(block.data, block.bytes);
    block.data = data;
    block.bytes = bytes;
  }
  return block.data;
}

void* set_scratch_aside() { return blocks.release(); }
void restore_scratch(void* aside) { blocks.reset(static_cast<Blocks*>(aside)); }

void* borrow(size_t bytes) { return allocate(bytes); }
void release_temporary(void* data, size_t bytes) { deallocate(data, bytes); }

void checkpoint() { poll_signals(); }

void free_large_scratch() {
  if (!blocks) return;
  for (auto& block : blocks->of)
    if (block.bytes > kMaxKeptScratch) {
      deallocate(block.data, block.bytes);
      block = {};
    }
}

}  // namespace flambeau::kernels
