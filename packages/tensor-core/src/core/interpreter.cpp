// Release of the GIL, and signals during long operators.
#include "flambeau/interpreter.h"

#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "flambeau/errors.h"
#include "flambeau/parallel.h"
#include "kernels/scratch.h"
#include "platform/process.h"

namespace flambeau {

const InterpreterHooks* interpreter_hooks = nullptr;
CallObserver* call_observer = nullptr;

namespace detail {
constinit thread_local CallState call_state = {};
#ifdef _WIN32
CallState& state_of_thread() { return call_state; }
#endif
}  // namespace detail

namespace {

using detail::call_state;

std::atomic<int> inside{0};   // number of threads that run an operator
std::atomic<int> waiting{0};  // number of threads that wait until no other thread runs an operator

constexpr int64_t kPollInterval = 50'000'000;  // nanoseconds

int64_t now() { return std::chrono::steady_clock::now().time_since_epoch().count(); }

// Called in a forked child, which has no other threads.
void forget_other_threads() {
  inside = call_state.inside_operator;
  waiting = 0;
}

}  // namespace

void GilRelease::begin(Purpose purpose) {
  if (detail::in_parallel_region() || !interpreter_hooks->holds_lock()) return;
  if (purpose == Compute && waiting.load(std::memory_order_relaxed) > 0) return;
  static const bool registered = (platform::after_fork_in_child(forget_other_threads), true);
  (void)registered;
  if (purpose == Compute && !call_state.inside_operator) {
    call_state.inside_operator = true;
    inside.fetch_add(1, std::memory_order_relaxed);
  }
  call_state.handles_signals = interpreter_hooks->handles_signals();
  if (call_state.handles_signals) call_state.next_poll = now() + kPollInterval;
  call_state.python = interpreter_hooks->release();
  call_state.released = active_ = true;
}

void GilRelease::end() {
  kernels::free_large_scratch();
  interpreter_hooks->acquire(call_state.python);
  call_state.released = false;
  if (call_state.inside_operator && !call_state.in_call) detail::leave_operator();
}

void detail::leave_operator() {
  call_state.inside_operator = false;
  inside.fetch_sub(1, std::memory_order_release);
}

void poll_signals() {
  if (call_state.cancelled && call_state.cancelled->load(std::memory_order_relaxed)) throw Error("cancelled");
  if (!call_state.released || !call_state.handles_signals || now() < call_state.next_poll) return;
  struct GilReacquired {
    void* const scratch = kernels::set_scratch_aside();  // the interrupted kernel continues to use its scratch memory
    const std::atomic<bool>* const cancelled = std::exchange(call_state.cancelled, nullptr);
    GilReacquired() {
      interpreter_hooks->acquire(call_state.python);
      call_state.released = false;
    }
    ~GilReacquired() {
      call_state.python = interpreter_hooks->release();
      call_state.released = true;
      call_state.cancelled = cancelled;
      kernels::restore_scratch(scratch);
      call_state.next_poll = now() + kPollInterval;
    }
  } reacquired;
  const OperatorCall handlers;  // operators that signal handlers call are separate calls
  interpreter_hooks->run_signal_handlers();
}

void warn(const std::string& text) {
  if (interpreter_hooks && interpreter_hooks->holds_lock()) interpreter_hooks->warn(text);
}

void warn_once(const char* text) {
  if (interpreter_hooks && interpreter_hooks->holds_lock()) interpreter_hooks->warn_once(text);
}

void wait_for_operators() {
  if (call_state.inside_operator) detail::leave_operator();  // otherwise two threads could wait here for each other
  if (FLAMBEAU_LIKELY(inside.load(std::memory_order_acquire) == 0)) return;
  waiting.fetch_add(1);
  while (inside.load(std::memory_order_acquire) > 0) {
    void* const python = interpreter_hooks->holds_lock() ? interpreter_hooks->release() : nullptr;
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    if (python) interpreter_hooks->acquire(python);
  }
  waiting.fetch_sub(1);
}

}  // namespace flambeau
