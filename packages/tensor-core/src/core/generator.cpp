// The default generator, the generators of threads, and the selection of their algorithm.
#include <atomic>
#include <random>

#include "flambeau/pytorch_stream.h"
#include "flambeau/thread_generator.h"

namespace flambeau {

namespace {

std::atomic<bool> makes_pytorch_streams = false;
thread_local Generator own_generator;
thread_local bool has_own_generator = false;

// The generator of the process. Threads may draw until the process ends, so it is not destroyed.
Generator& shared_generator() {
  static Generator& generator = *new Generator(seed_from_entropy());
  return generator;
}

std::unique_ptr<PyTorchStream> copy(const std::unique_ptr<PyTorchStream>& stream) {
  return stream ? std::make_unique<PyTorchStream>(*stream) : nullptr;
}

}  // namespace

Generator::Generator(uint64_t seed, Device device) : device_(device) {
  reseed(seed);
  settings_ = 0;
}
Generator::Generator(const Generator& other)
    : seed_(other.seed_),
      offset_(other.offset_),
      settings_(other.settings_),
      device_(other.device_),
      stream_(copy(other.stream_)) {}
Generator& Generator::operator=(const Generator& other) {
  if (this == &other) return *this;
  seed_ = other.seed_;
  offset_ = other.offset_;
  settings_ = other.settings_;
  device_ = other.device_;
  stream_ = copy(other.stream_);
  return *this;
}
Generator::~Generator() = default;

void Generator::reseed(uint64_t seed) {
  set_state(seed, 0);
  stream_ = uses_pytorch_streams() && device_ == DeviceType::Cpu ? std::make_unique<PyTorchStream>(seed) : nullptr;
}
void Generator::set_pytorch_stream(std::unique_ptr<PyTorchStream> stream) {
  stream_ = std::move(stream);
  ++settings_;
}

uint64_t seed_from_entropy() {
  std::random_device source;
  const uint64_t high = source();
  return high << 32 | source();
}

Generator& default_generator() { return has_own_generator ? own_generator : shared_generator(); }

void seed_this_thread(uint64_t seed) {
  own_generator.reseed(seed);
  has_own_generator = true;
}

bool uses_pytorch_streams() { return makes_pytorch_streams.load(std::memory_order_relaxed); }
void use_pytorch_streams(bool enabled) {
  if (makes_pytorch_streams.exchange(enabled) == enabled) return;
  shared_generator().reseed(shared_generator().seed());
  if (has_own_generator) own_generator.reseed(own_generator.seed());
}

}  // namespace flambeau
