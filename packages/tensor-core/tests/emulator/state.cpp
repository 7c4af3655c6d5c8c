#include "state.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace emulated {
namespace {

struct Injection {
  int error, after;
};
struct Calls {
  int count = 0;
  std::optional<Injection> injection;
};

std::map<std::string, Calls>& calls() {
  static auto* calls = new std::map<std::string, Calls>;
  return *calls;
}
pid_t process;

std::string without_version(std::string name) { return name.ends_with("_v2") ? name.substr(0, name.size() - 3) : name; }

unsigned long long number(const char* variable, unsigned long long otherwise) {
  const char* text = std::getenv(variable);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

}  // namespace

thread_local Context* current_context = nullptr;
thread_local bool in_host_function = false;
thread_local int capture_mode = 0;

State& state() {
  static auto* state = new State;  // never destroyed, because other threads may still make calls at exit
  return *state;
}

Context::Context(int device, size_t bytes) : device(device), memory(bytes) {
  legacy = std::make_shared<Stream>();
  legacy->context = this;
  legacy->blocking = true;
}

Call::Call(const char* function, Needs needs) {
  if (process && process != getpid()) {  // a forked process has no devices, and may have inherited a locked mutex
    error = kNotInitialized;
    return;
  }
  lock_ = std::unique_lock(state().mutex);
  ++state().calls;
  error = count_call(function);
  context = current_context;
  if (error) {
    if (context && error >= kIllegalAddress && error <= kLaunchFailed) context->sticky = error;
  } else if (in_host_function) {
    error = kNotPermitted;
  } else if (needs == kNothing) {
    error = kSuccess;
  } else if (!state().initialized) {
    error = kNotInitialized;
  } else if (needs == kContext) {
    error = !context ? kInvalidContext : !context->retained ? kContextDestroyed : context->sticky;
  }
}
Call::~Call() = default;

int count_call(const char* function) {
  Calls& entry = calls()[without_version(function)];
  ++entry.count;
  if (!entry.injection || --entry.injection->after > 0) return kSuccess;
  const int error = entry.injection->error;
  entry.injection.reset();
  return error;
}

Context* device_context(int device) {
  auto& contexts = state().contexts;
  return device >= 0 && size_t(device) < contexts.size() ? contexts[device].get() : nullptr;
}

Context* context_of(const void* address) {
  for (auto& context : state().contexts)
    if (context->memory.in_region(address) || context->memory.find(address).start) return context.get();
  return nullptr;
}

void device_failure(Context& context, int error, const std::string& message) {
  context.sticky = error;
  state().message = message;
  std::fprintf(stderr, "emulated device %d: %s\n", context.device, message.c_str());
}

}  // namespace emulated

using namespace emulated;

EMULATED_API int cuInit(unsigned flags) {
  EMULATED_CALL(Call::kNothing);
  if (flags) return kInvalidValue;
  State& s = state();
  if (s.initialized) return kSuccess;
  const int devices = int(number("FLAMBEAU_EMULATED_DEVICES", 1));
  if (devices == 0) return kNoDevice;
  for (int i = 0; i < devices; ++i)
    s.contexts.push_back(std::make_unique<Context>(i, number("FLAMBEAU_EMULATED_MEMORY", 1ull << 30)));
  process = getpid();
  s.initialized = true;
  return kSuccess;
}

// Makes the `after`-th next call of the function fail with `error`. If the error is one of a device, its context fails
// from then on.
EMULATED_API void emulated_fail(const char* function, int error, int after) {
  const std::lock_guard lock(state().mutex);
  calls()[without_version(function)].injection = Injection{error, after};
}

EMULATED_API int emulated_counts(const char* function) {
  const std::lock_guard lock(state().mutex);
  return calls()[without_version(function)].count;
}

// Description of the last failure of a kernel.
EMULATED_API const char* emulated_message() { return state().message.c_str(); }

// Resets failures, injected errors and call counts. All objects are kept.
EMULATED_API void emulated_reset() {
  const std::lock_guard lock(state().mutex);
  calls().clear();
  state().message.clear();
  for (auto& context : state().contexts) context->sticky = kSuccess;
}

// Resets everything. The next cuInit reads the environment again.
EMULATED_API void emulated_restart() {
  const std::lock_guard lock(state().mutex);
  emulated_reset();
  State& s = state();
  forget_parts();
  forget_streams();
  s.functions.clear();
  s.modules.clear();
  for (auto& [address, bytes] : s.host_memory) std::free(address);
  s.host_memory.clear();
  s.contexts.clear();
  s.initialized = false;
  current_context = nullptr;
}

#define EMULATED_TEXT(part) \
  switch (error) {          \
    EMULATED_ERRORS(part)   \
    default:                \
      *text = nullptr;      \
      return kInvalidValue; \
  }
#define EMULATED_NAME(constant, code, name, words) \
  case code:                                       \
    *text = name;                                  \
    return kSuccess;
#define EMULATED_WORDS(constant, code, name, words) \
  case code:                                        \
    *text = words;                                  \
    return kSuccess;
EMULATED_API int cuGetErrorName(int error, const char** text){EMULATED_TEXT(EMULATED_NAME)} EMULATED_API
    int cuGetErrorString(int error, const char** text) {
  EMULATED_TEXT(EMULATED_WORDS)
}
