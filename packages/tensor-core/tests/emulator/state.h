// State of the emulated driver: contexts, streams, events, graphs and modules. Also the checks at the beginning of each
// call.
#pragma once

#include <pthread.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"
#include "execution.h"
#include "memory.h"

#define EMULATED_API extern "C" __attribute__((visibility("default")))

namespace emulated {

using Operation = std::function<void()>;
struct Stream;

struct Graph {
  std::vector<Operation> operations;  // in the order of the calls, which is also the order of execution
};

// A capture in progress, with the stream that began it and those that joined it.
struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Stream* origin = nullptr;
  int mode = 0;  // 0: global, 1: thread-local, 2: relaxed
  pthread_t thread{};
  bool valid = true;
  unsigned long long number = 0;
  std::map<Stream*, size_t> work;  // number of operations that each stream has recorded
};

struct Context {
  int device;
  DeviceMemory memory;
  int sticky = kSuccess;  // after a kernel has failed, all calls of the context return this error
  int retained = 0;
  std::shared_ptr<Stream> legacy;  // the null stream
  explicit Context(int device, size_t bytes);
};

struct Queued {
  Operation work;
  std::function<bool()> ready = nullptr;  // null, or returns true if the operation can begin
};

struct Stream {
  Context* context;
  bool blocking;  // synchronises with the null stream
  std::deque<Queued> queue;
  unsigned long long submitted = 0, done = 0;
  bool advancing = false;
  std::shared_ptr<Capture> capture;
  // Number of recorded operations of other streams that precede the next operation of this stream.
  std::map<Stream*, size_t> joined;
};

struct Event {
  Context* context;
  bool timing;
  std::shared_ptr<Stream> stream;  // the stream and the position at which it was last recorded
  unsigned long long position = 0;
  double time = 0;                   // in milliseconds, once the event has occurred
  std::shared_ptr<Capture> capture;  // the capture in which it was last recorded
  std::map<Stream*, size_t> joined;
  bool done() const { return !stream || stream->done >= position; }
};

struct GraphExecutable {
  std::vector<Operation> operations;
  std::shared_ptr<Stream> stream = nullptr;  // stream and position of the last launch
  unsigned long long position = 0;
};

struct Module {
  void* library;
  ModuleVariables variables;
  Context* context;
  std::vector<char*> globals;
  ~Module();
};

struct Function {
  std::shared_ptr<Module> module;
  const Kernel* kernel;
  std::string name;
};

// The existing objects of type T, by their handles.
template <class T>
class Handles {
 public:
  T* add(std::shared_ptr<T> object) {
    T* handle = object.get();
    objects_[handle] = std::move(object);
    return handle;
  }
  std::shared_ptr<T> find(T* handle) const {
    const auto it = objects_.find(handle);
    return it == objects_.end() ? nullptr : it->second;
  }
  bool remove(T* handle) { return objects_.erase(handle) != 0; }
  void clear() { objects_.clear(); }
  auto begin() const { return objects_.begin(); }
  auto end() const { return objects_.end(); }

 private:
  std::map<T*, std::shared_ptr<T>> objects_;
};

struct State {
  std::recursive_mutex mutex;
  bool initialized = false;
  std::vector<std::unique_ptr<Context>> contexts;  // one per device
  std::map<char*, size_t> host_memory;             // pinned memory
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Graph> graphs;
  Handles<GraphExecutable> executables;
  Handles<Module> modules;
  Handles<Function> functions;
  std::vector<Capture*> captures;  // captures in progress
  unsigned long long calls = 0;
  std::string message;  // description of the last error
};
State& state();

// The beginning of a call: locks the state, counts the call, and returns errors injected by emulated_fail.
class Call {
 public:
  enum Needs { kNothing, kInitialized, kContext };
  explicit Call(const char* function, Needs needs = kContext);
  ~Call();
  Call(const Call&) = delete;
  int error = kSuccess;
  Context* context = nullptr;  // the current context

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};
#define EMULATED_CALL(...)                              \
  const Call call(__func__ __VA_OPT__(, ) __VA_ARGS__); \
  if (call.error) return call.error

extern thread_local Context* current_context;
extern thread_local bool in_host_function;
extern thread_local int capture_mode;  // set by cuThreadExchangeStreamCaptureMode

Context* device_context(int device);  // null for an invalid number
Context* context_of(const void* device_address);
int capability();                      // 90 for 9.0, or the value of FLAMBEAU_EMULATED_CAPABILITY
int driver_generation();               // CUDA major version of the driver, such as 13
bool reads_pageable_memory();          // true if devices can access pageable host memory
int count_call(const char* function);  // returns the error injected by emulated_fail, if any

// Streams, in streams.cpp.
std::shared_ptr<Stream> find_stream(const Call& call, Stream* handle);  // null if it does not exist
int submit(const std::shared_ptr<Stream>& stream, Operation operation, std::function<bool()> ready = nullptr);
bool deferred();
// Runs operations that need not wait; returns true if the position is reached.
bool advance(Stream& stream, unsigned long long until);
void run(Stream& stream, unsigned long long until);  // waits until the position is reached
void wait_for(Stream& stream, const std::shared_ptr<Stream>& other, unsigned long long position);
void run_all(Context& context);
// Waits, with a time limit, for other ranks. The lock is released meanwhile, so that other threads can make calls.
class Patience {
 public:
  Patience();
  bool exhausted() const;
  void pause();

 private:
  double deadline_;
};
int unsafe_while_capturing();  // for calls that would invalidate a capture; kSuccess if there is none
void forget_streams();
void forget_parts();  // forgets NCCL's requests; in nccl.cpp

void device_failure(Context& context, int error, const std::string& message);

}  // namespace emulated
