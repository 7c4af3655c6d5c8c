// What the emulated driver keeps: contexts, streams, events, graphs, modules, and the checks that each call begins
// with.
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
  std::vector<Operation> operations;  // in the order of the calls, in which they are run
};

// What is being recorded, by the stream that began it and those that joined it.
struct Capture {
  std::shared_ptr<Graph> graph = std::make_shared<Graph>();
  Stream* origin = nullptr;
  int mode = 0;  // 0 global, 1 of the thread, 2 relaxed
  pthread_t thread{};
  bool valid = true;
  unsigned long long number = 0;
  std::map<Stream*, size_t> work;  // how many operations each stream has recorded
};

struct Context {
  int device;
  DeviceMemory memory;
  int sticky = kSuccess;  // after a kernel has failed, the context is of no use
  int retained = 0;
  std::shared_ptr<Stream> legacy;  // the null stream
  explicit Context(int device, size_t bytes);
};

struct Queued {
  Operation work;
  std::function<bool()> ready = nullptr;  // whether it can begin, where it has something to wait for
};

struct Stream {
  Context* context;
  bool blocking;  // waits for the null stream, which waits for it
  std::deque<Queued> queue;
  unsigned long long submitted = 0, done = 0;
  bool advancing = false;
  std::shared_ptr<Capture> capture;
  std::map<Stream*, size_t> joined;  // how much of the others' recorded work comes before this stream's next
};

struct Event {
  Context* context;
  bool timing;
  std::shared_ptr<Stream> stream;  // where it was recorded last, at which position
  unsigned long long position = 0;
  double time = 0;                   // in milliseconds, once it has come to pass
  std::shared_ptr<Capture> capture;  // in which it was recorded last
  std::map<Stream*, size_t> joined;
  bool done() const { return !stream || stream->done >= position; }
};

struct GraphExecutable {
  std::vector<Operation> operations;
  std::shared_ptr<Stream> stream = nullptr;  // of the last launch, up to which position
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

// The objects of a kind that exist, by the handles given out for them.
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
  std::vector<std::unique_ptr<Context>> contexts;  // one a device
  std::map<char*, size_t> host_memory;             // pinned
  Handles<Stream> streams;
  Handles<Event> events;
  Handles<Graph> graphs;
  Handles<GraphExecutable> executables;
  Handles<Module> modules;
  Handles<Function> functions;
  std::vector<Capture*> captures;  // those that go on
  unsigned long long calls = 0;
  std::string message;  // description of the last error
};
State& state();

// What begins a call: the lock, the count of the calls and the errors asked for by emulated_fail.
class Call {
 public:
  enum Needs { kNothing, kInitialized, kContext };
  explicit Call(const char* function, Needs needs = kContext);
  ~Call();
  Call(const Call&) = delete;
  int error = kSuccess;
  Context* context = nullptr;  // the current one

 private:
  std::unique_lock<std::recursive_mutex> lock_;
};
#define EMULATED_CALL(...)                              \
  const Call call(__func__ __VA_OPT__(, ) __VA_ARGS__); \
  if (call.error) return call.error

extern thread_local Context* current_context;
extern thread_local bool in_host_function;
extern thread_local int capture_mode;  // what cuThreadExchangeStreamCaptureMode sets

Context* device_context(int device);  // null for a wrong number
Context* context_of(const void* device_address);
int driver_generation();               // 13 is CUDA 13
bool reads_pageable_memory();          // whether devices reach memory of the host that is not pinned
int count_call(const char* function);  // the error that emulated_fail asked for, if any

// Streams, in streams.cpp.
std::shared_ptr<Stream> find_stream(const Call& call, Stream* handle);  // null for one that does not exist
int submit(const std::shared_ptr<Stream>& stream, Operation operation, std::function<bool()> ready = nullptr);
bool deferred();
bool advance(Stream& stream, unsigned long long until);  // as far as nothing has to be waited for: whether that far
void run(Stream& stream, unsigned long long until);      // waits
void wait_for(Stream& stream, const std::shared_ptr<Stream>& other, unsigned long long position);
void run_all(Context& context);
class Patience {  // with others that have to come first, while calls of other threads are let in
 public:
  Patience();
  bool exhausted() const;
  void pause();

 private:
  double deadline_;
};
int unsafe_while_capturing();  // for calls that would break a capture: kSuccess if none goes on
void forget_streams();
void forget_parts();  // of NCCL's collectives, in nccl.cpp

void device_failure(Context& context, int error, const std::string& message);

}  // namespace emulated
