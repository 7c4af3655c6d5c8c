#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>
#include <vector>

#if defined(__x86_64__)
asm(R"(
.text
.globl emulated_switch
.hidden emulated_switch
.type emulated_switch, @function
emulated_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size emulated_switch, . - emulated_switch
)");
#elif defined(__aarch64__)
asm(R"(
.text
.globl emulated_switch
.hidden emulated_switch
.type emulated_switch, %function
emulated_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size emulated_switch, . - emulated_switch
)");
#else
#error "the switch between fibers is written for x86-64 and 64-bit ARM"
#endif

namespace emulated {
namespace {

constexpr size_t kStackBytes = 256 << 10, kUntouchable = 4096;

// Allocates a stack. The page below it is inaccessible, so that an overflow faults.
char* new_stack() {
  void* memory = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, kUntouchable, PROT_NONE);
  return static_cast<char*>(memory);
}

}  // namespace

void* new_fiber(unsigned number, void (*entry)()) {
  static std::vector<char*> stacks;
  while (stacks.size() <= number) stacks.push_back(new_stack());
  // Stacks begin at different offsets within a page, since equal offsets would compete for the same cache lines.
  char* top = stacks[number] + kStackBytes - (number % 16) * 192;
  auto* words = reinterpret_cast<uintptr_t*>(top);
#if defined(__x86_64__)
  *--words = 0;  // return address of `entry`
  *--words = reinterpret_cast<uintptr_t>(entry);
  for (int i = 0; i < 6; ++i) *--words = 0;
#else
  for (int i = 0; i < 20; ++i) *--words = 0;
  words[11] = reinterpret_cast<uintptr_t>(entry);
#endif
  return words;
}

}  // namespace emulated
