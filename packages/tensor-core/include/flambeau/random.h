// Counter-based random numbers (Philox 4x32-10; Salmon et al. 2011): element i of a fill depends on seed, offset and i
// alone, so neither the number of threads nor the instruction set changes a result.
//
// Note [PyTorch's streams]
// PyTorch's CPU generator is sequential (MT19937), and each of its operators takes a fixed count of words for each
// element, in the order of memory. After use_pytorch_streams(true) a Generator also holds such a stream
// (pytorch_stream.h), and operators on the CPU fill tensors from it as PyTorch does (src/operators/random). One thread
// reads the stream and the others only transform what was read, so the number of threads still changes no result.
// Tensors on a GPU go on using Philox. A generator is of the kind that was chosen when it was made or last seeded.
#pragma once

#include <memory>
#include <optional>

#include "flambeau/tensor.h"

namespace flambeau {

class PyTorchStream;

class FLAMBEAU_API Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721ull;  // PyTorch's, of generators that a program makes
  explicit Generator(uint64_t seed = kDefaultSeed, Device device = {});
  Generator(const Generator& other);
  Generator& operator=(const Generator& other);
  ~Generator();
  Device device() const { return device_; }  // that it was asked for; its numbers are the same for all
  uint64_t seed() const { return seed_; }
  void reseed(uint64_t seed);  // goes to the start of the seed's numbers, of the kind that use_pytorch_streams chose
  // The source of the CPU's numbers; null where Philox is.
  PyTorchStream* pytorch_stream() const { return stream_.get(); }
  void set_pytorch_stream(std::unique_ptr<PyTorchStream> stream);
  // The rest is Philox's state.
  uint64_t offset() const { return offset_; }
  void set_state(uint64_t seed, uint64_t offset) {
    seed_ = seed;
    offset_ = offset;
    ++settings_;
  }
  uint64_t settings() const { return settings_; }  // how often the state has been set
  // Takes `groups` of random words (kernels/table.h) out of the stream; returns where they begin.
  uint64_t reserve(int64_t groups) { return std::exchange(offset_, offset_ + uint64_t(groups)); }

 private:
  uint64_t seed_;
  uint64_t offset_ = 0, settings_ = 0;
  Device device_;
  std::unique_ptr<PyTorchStream> stream_;
};

FLAMBEAU_API Generator& default_generator();  // seeded by seed_from_entropy() until a program seeds it

// Chooses the kind of generators from here on. A change starts the default generator's numbers anew, from its seed.
FLAMBEAU_API void use_pytorch_streams(bool enabled);
FLAMBEAU_API bool uses_pytorch_streams();

// Where the thread's default generator is, to draw the same numbers again; in the capture of a CUDA graph also where
// the graph is in its numbers. Note [Numbers in graphs]
struct RandomPlace {
  uint64_t seed, offset;
  Tensor start;  // of the graph's numbers, undefined outside of captures
  uint64_t from_start;
  bool again;                                   // numbers were being drawn again
  std::shared_ptr<const PyTorchStream> stream;  // null for a generator without one
};
FLAMBEAU_API RandomPlace random_place();
FLAMBEAU_API void draw_again(const RandomPlace& place);  // from there on, until go_on(random_place() of before)
FLAMBEAU_API void go_on(const RandomPlace& place);

// In-place fills (operators/creation/random.cpp, random_integers.cpp); `generator` may be null for the default one.
FLAMBEAU_API void fill_uniform(const Tensor& t, double low, double high, Generator* generator);
FLAMBEAU_API void fill_normal(const Tensor& t, double mean, double std, Generator* generator);
FLAMBEAU_API void fill_exponential(const Tensor& t, double rate, Generator* generator);
FLAMBEAU_API void fill_cauchy(const Tensor& t, double median, double sigma, Generator* generator);
FLAMBEAU_API void fill_log_normal(const Tensor& t, double mean, double std, Generator* generator);
FLAMBEAU_API void fill_geometric(const Tensor& t, double p, Generator* generator);
FLAMBEAU_API void fill_bernoulli(const Tensor& t, double p, Generator* generator);
FLAMBEAU_API void fill_bernoulli(const Tensor& t, const Tensor& p, Generator* generator);  // p broadcasts to t
FLAMBEAU_API void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator);
// From `low`, 0 if there is none, to the largest that the dtype holds, or counts to without gaps.
FLAMBEAU_API void fill_whole_numbers(const Tensor& t, std::optional<int64_t> low, Generator* generator);
FLAMBEAU_API Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator);

// Draws whose elements take numbers from a stream of their own, as many as they need (operators/creation/sampling.cpp).
FLAMBEAU_API Tensor poisson(const Tensor& rate, Generator* generator);
FLAMBEAU_API Tensor binomial(const Tensor& count, const Tensor& prob, Generator* generator);
FLAMBEAU_API Tensor standard_gamma(const Tensor& concentration, Generator* generator);
// d sample / d concentration of standard_gamma, with the underlying uniform number held fixed.
FLAMBEAU_API Tensor standard_gamma_grad(const Tensor& concentration, const Tensor& sample);
FLAMBEAU_API Tensor multinomial(const Tensor& weights, int64_t draws, bool replacement, Generator* generator);

}  // namespace flambeau
