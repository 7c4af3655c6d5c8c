// Disables the fortified longjmp, which would report the switch from a fiber to the thread's stack as an error.
#undef _FORTIFY_SOURCE

#include "execution.h"

#include <setjmp.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "errors.h"
#include "fiber.h"
#include "order.h"

namespace emulated {
namespace {

enum class State { kReady, kBarrier, kWarp, kEnded };

struct Thread {
  uint3 index;
  void* stack_pointer;
  State state;
  SourceLocation location;  // where the thread waits
  // The values that the thread passed to a warp operation or a barrier, and the result that it gets.
  WarpOperation operation;
  unsigned mask, source;
  unsigned long long value, result;
};

struct Launch {
  const Kernel* kernel;
  ModuleVariables variables;
  const void* arguments;
  dim3 grid, block;
};

Launch launch;
std::vector<Thread> threads;
std::vector<unsigned> turns;  // the order in which the threads run
// current: the running thread. waiting, ended: number of threads that wait at the barrier, or have ended.
unsigned current, waiting, ended;
SourceLocation meeting;  // the barrier at which they wait
bool in_fiber;
void* scheduler;
Failure failure;
sigjmp_buf recovery;
thread_local bool executing = false;

uint3 coordinates(unsigned long long index, dim3 size) {
  return {unsigned(index % size.x), unsigned(index / size.x % size.y), unsigned(index / size.x / size.y)};
}

std::string name(unsigned thread) {
  const uint3 c = threads[thread].index, b = *launch.variables.block_index;
  const auto text = [](uint3 v) {
    return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
  };
  return "thread " + text(c) + " of block " + text(b);
}

std::string name(SourceLocation location) {
  const char* slash = std::strrchr(location.file, '/');
  return std::string(slash ? slash + 1 : location.file) + ":" + std::to_string(location.line);
}

[[noreturn]] void fail(int error, std::string message) {
  failure = {error, std::move(message)};
  siglongjmp(recovery, 1);
}

void switch_away() { emulated_switch(&threads[current].stack_pointer, scheduler); }

bool same(SourceLocation a, SourceLocation b) {
  return a.line == b.line && (a.file == b.file || std::strcmp(a.file, b.file) == 0);
}

void need_fibers(const char* what, SourceLocation location) {
  if (!in_fiber)
    fail(kLaunchFailed, std::string(what) + " at " + name(location) + " in a kernel that is not a cooperative one");
}

unsigned barrier(bool predicate, SourceLocation location) {
  need_fibers("a barrier", location);
  Thread& self = threads[current];
  if (ended) fail(kLaunchFailed, name(current) + " waits at " + name(location) + ", but other threads have ended");
  if (waiting && !same(meeting, location))
    fail(kLaunchFailed, name(current) + " waits at " + name(location) + ", others of its block at " + name(meeting));
  self.location = meeting = location;
  self.value = predicate;
  if (++waiting == threads.size()) {
    unsigned count = 0;
    for (const Thread& thread : threads) count += thread.value != 0;
    for (Thread& thread : threads) thread.result = count, thread.state = State::kReady;
    waiting = 0;
  } else {
    self.state = State::kBarrier;
    switch_away();
  }
  return unsigned(self.result);
}

constexpr unsigned long long kUndefined = 0xA5A5A5A5A5A5A5A5;

// A warp. Bit masks contain the lanes that exist, those that wait in a warp operation, and those that have ended.
struct Warp {
  Thread* threads;
  unsigned lanes, waiting, ended;
  unsigned first() const;
  void complete(WarpOperation operation, unsigned mask);
  bool agree(const Thread& self, unsigned others) const;
};
std::vector<Warp> warps;

unsigned Warp::first() const { return unsigned(threads - emulated::threads.data()); }

struct Lanes {  // for loops over the set bits: for (unsigned lane : Lanes{mask})
  unsigned mask;
  unsigned operator*() const { return unsigned(std::countr_zero(mask)); }
  void operator++() { mask &= mask - 1; }
  bool operator!=(Lanes other) const { return mask != other.mask; }
  Lanes begin() const { return *this; }
  Lanes end() const { return {0}; }
};

// Computes the results of the lanes in `mask`, which have all arrived.
void Warp::complete(WarpOperation operation, unsigned mask) {
  unsigned votes = 0;
  for (unsigned lane : Lanes{mask}) votes |= unsigned(threads[lane].value != 0) << lane;
  for (unsigned lane : Lanes{mask}) {
    Thread& thread = threads[lane];
    thread.state = State::kReady;
    thread.result = votes;
    if (operation == WarpOperation::kShuffle) {
      const bool takes_part = thread.source < kWarpSize && (mask >> thread.source & 1);
      thread.result = takes_part ? threads[thread.source].value : kUndefined;
    } else if (operation == WarpOperation::kMatch) {
      thread.result = 0;
      for (unsigned other : Lanes{mask})
        thread.result |= (unsigned long long)(threads[other].value == thread.value) << other;
    }
  }
  waiting &= ~mask;
}

// Returns true if all other lanes wait with the same mask. With another mask, they first take part in another
// operation. Fails if their operations or source lines differ.
bool Warp::agree(const Thread& self, unsigned others) const {
  for (unsigned lane : Lanes{others}) {
    const Thread& other = threads[lane];
    if (other.mask != self.mask) return false;
    if (other.operation != self.operation || !same(other.location, self.location))
      fail(kLaunchFailed, name(current) + " and " + name(first() + lane) + " meet in different warp operations, at " +
                              name(self.location) + " and " + name(other.location));
  }
  return true;
}

unsigned long long warp_operation(WarpOperation operation, unsigned mask, unsigned long long value, unsigned source,
                                  SourceLocation location) {
  need_fibers("a warp operation", location);
  Warp& warp = warps[current / kWarpSize];
  Thread& self = threads[current];
  const unsigned own = 1u << current % kWarpSize;
  if (!(mask & own)) fail(kLaunchFailed, name(current) + " is not in its own mask at " + name(location));
  if (mask & warp.ended)
    fail(kLaunchFailed, name(current) + " waits at " + name(location) + " for a lane that has ended");
  self.operation = operation, self.mask = mask, self.value = value, self.source = source, self.location = location;
  const unsigned others = mask & warp.lanes & ~own;
  if ((warp.waiting & others) == others && warp.agree(self, others)) {
    warp.complete(operation, mask & warp.lanes);
  } else {
    warp.waiting |= own;
    self.state = State::kWarp;
    switch_away();
  }
  return self.result;
}

void yield() {
  if (in_fiber) switch_away();
}

void fail_with(int error, const char* message, SourceLocation location) {
  fail(error, name(current) + ": " + message + (location.file ? " at " + name(location) : ""));
}

// The entry point of each fiber.
void run_thread() {
  launch.kernel->body(launch.arguments);
  if (waiting) fail(kLaunchFailed, name(current) + " ended while others of its block wait at a barrier");
  threads[current].state = State::kEnded;
  ++ended;
  Warp& warp = warps[current / kWarpSize];
  warp.ended |= 1u << current % kWarpSize;
  for (unsigned lane : Lanes{warp.waiting})
    if (warp.threads[lane].mask & warp.ended)
      fail(kLaunchFailed, name(current) + " ended, but a lane waits for it at " + name(warp.threads[lane].location));
  switch_away();
}

[[noreturn]] void report_deadlock() {
  for (unsigned i = 0; i < threads.size(); ++i)
    if (threads[i].state == State::kWarp)
      fail(kLaunchFailed, name(i) + " waits at " + name(threads[i].location) + " for lanes that never come");
  fail(kLaunchFailed, "a block's threads wait for each other");
}

void run_cooperative_block() {
  waiting = ended = 0;
  char* shared = static_cast<char*>(launch.variables.shared_memory()) - launch.variables.shared_offset;
  std::memset(shared, 0xA5, launch.variables.shared_bytes);
  for (unsigned i = 0; i < threads.size(); ++i) {
    threads[i].state = State::kReady;
    threads[i].stack_pointer = new_fiber(i, run_thread);
  }
  for (Warp& warp : warps) warp.waiting = warp.ended = 0;
  while (ended < threads.size()) {
    bool progress = false;
    for (unsigned i : turns) {
      if (threads[i].state != State::kReady) continue;
      progress = true;
      current = i;
      *launch.variables.thread_index = threads[i].index;
      emulated_switch(&scheduler, threads[current].stack_pointer);
    }
    if (!progress) report_deadlock();
  }
}

void run_block() {
  for (unsigned i : turns) {
    current = i;
    *launch.variables.thread_index = threads[i].index;
    launch.kernel->body(launch.arguments);
  }
}

void run_grid() {
  const Order blocks((unsigned long long)launch.grid.x * launch.grid.y * launch.grid.z);
  const Order order(threads.size());
  turns.clear();
  for (unsigned i = 0; i < threads.size(); ++i) turns.push_back(unsigned(order[i]));
  for (unsigned long long i = 0; i < blocks.size(); ++i) {
    *launch.variables.block_index = coordinates(blocks[i], launch.grid);
    if (in_fiber)
      run_cooperative_block();
    else
      run_block();
  }
}

// While a kernel runs, faults of this thread are reported as errors of the emulated device. Faults of other threads are
// handled as before.
class Faults {
 public:
  Faults() {
    stack_t stack{};
    stack.ss_sp = alternate_stack;
    stack.ss_size = sizeof alternate_stack;
    sigaltstack(&stack, &previous_stack);
    struct sigaction action{};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    for (int i = 0; i < kSignals; ++i) sigaction(signals[i], &action, &previous[i]);
    sigevent expiry{};
    expiry.sigev_notify = SIGEV_THREAD_ID;
    expiry.sigev_signo = SIGVTALRM;
    expiry._sigev_un._tid = gettid();
    timer_create(CLOCK_THREAD_CPUTIME_ID, &expiry, &timer_);
    executing = true;
    const double seconds = time_limit();
    itimerspec limit{};
    limit.it_value.tv_sec = time_t(seconds);
    limit.it_value.tv_nsec = long((seconds - double(time_t(seconds))) * 1e9);
    timer_settime(timer_, 0, &limit, nullptr);
  }
  ~Faults() {
    executing = false;
    timer_delete(timer_);
    for (int i = 0; i < kSignals; ++i) sigaction(signals[i], &previous[i], nullptr);
    sigaltstack(&previous_stack, nullptr);
  }

 private:
  static constexpr int kSignals = 5;
  static constexpr int signals[kSignals] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGVTALRM};
  static inline char alternate_stack[64 << 10];
  static inline struct sigaction previous[kSignals];
  stack_t previous_stack{};
  timer_t timer_{};

  // Limit of processor time in seconds. A kernel that takes longer is assumed not to terminate.
  static double time_limit() {
    const char* text = std::getenv("FLAMBEAU_EMULATED_TIMEOUT");
    return text && *text ? std::atof(text) : 60;
  }

  static void handle(int signal, siginfo_t* information, void*) {
    if (!executing) {
      for (int i = 0; i < kSignals; ++i)
        if (signals[i] == signal) sigaction(signal, &previous[i], nullptr);
      return;  // the instruction is repeated and faults again, with the previous handler
    }
    if (signal == SIGVTALRM) fail(kLaunchTimeout, name(current) + " was running when the time was up");
    if (signal == SIGFPE) fail(kLaunchFailed, name(current) + " divided an integer by zero");
    if (signal == SIGILL) fail(kIllegalInstruction, name(current) + " ran an illegal instruction");
    char address[32];
    snprintf(address, sizeof address, "%p", information->si_addr);
    fail(kIllegalAddress, name(current) + " accessed the illegal address " + address);
  }
};

}  // namespace

const Services kServices = {barrier, warp_operation, yield, fail_with};

Failure execute(const Kernel& kernel, const ModuleVariables& variables, const void* arguments, dim3 grid, dim3 block) {
  launch = {&kernel, variables, arguments, grid, block};
  threads.assign(block.x * block.y * block.z, Thread{});
  for (unsigned i = 0; i < threads.size(); ++i) threads[i].index = coordinates(i, block);
  warps.clear();
  for (unsigned i = 0; i < threads.size(); i += kWarpSize) {
    const size_t lanes = std::min<size_t>(kWarpSize, threads.size() - i);
    warps.push_back({&threads[i], ~0u >> (kWarpSize - lanes), 0, 0});
  }
  *variables.block_size = block;
  *variables.grid_size = grid;
  failure = {};
  in_fiber = kernel.cooperative;
  const Faults faults;
  if (sigsetjmp(recovery, 1) == 0) run_grid();
  return failure;
}

}  // namespace emulated
