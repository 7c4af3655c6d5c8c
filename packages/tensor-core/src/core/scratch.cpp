#include "kernels/scratch.h"

#include <memory>

#include "flambeau/memory.h"

namespace flambeau::kernels {

namespace {

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

}  // namespace

void* scratch(Scratch purpose, size_t bytes) {
  // On the heap: of a thread's own memory all libraries of a process share little, fixed when they are loaded.
  static thread_local std::unique_ptr<Blocks> blocks;
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

}  // namespace flambeau::kernels
