// Counter-based random numbers (Philox 4x32-10; Salmon et al. 2011): element i of a fill depends only on the seed, the
// offset and i. Therefore neither the number of threads nor the instruction set changes a result.
//
// Note [PyTorch's streams]
// PyTorch's CPU generator is sequential (MT19937), and each of its operators uses a fixed number of words per element,
// in the order of memory. After use_pytorch_streams(true), a Generator also contains such a stream (pytorch_stream.h),
// and operators on the CPU fill tensors from it as PyTorch does (src/operators/random). One thread reads the stream and
// the others only transform the words, so that the number of threads does not change results. Tensors on a GPU still
// use Philox. A generator uses the algorithm that was selected when the generator was created or last seeded.
#pragma once

#include <memory>
#include <optional>

#include "flambeau/tensor.h"

namespace flambeau {

class PyTorchStream;

class FLAMBEAU_API Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721ull;  // PyTorch's seed of new generators
  explicit Generator(uint64_t seed = kDefaultSeed, Device device = {});
  Generator(const Generator& other);
  Generator& operator=(const Generator& other);
  ~Generator();
  Device device() const { return device_; }  // as passed to the constructor; does not affect the numbers
  uint64_t seed() const { return seed_; }
  void reseed(uint64_t seed);  // restarts with this seed and the algorithm that use_pytorch_streams selected
  // The source of random numbers on the CPU; null for Philox.
  PyTorchStream* pytorch_stream() const { return stream_.get(); }
  void set_pytorch_stream(std::unique_ptr<PyTorchStream> stream);
  // The following members belong to Philox.
  uint64_t offset() const { return offset_; }
  void set_state(uint64_t seed, uint64_t offset) {
    seed_ = seed;
    offset_ = offset;
    ++settings_;
  }
  uint64_t settings() const { return settings_; }  // the number of times that the state was set
  // Reserves this number of groups of random words (kernels/table.h) and returns the position of the first group.
  uint64_t reserve(int64_t groups) { return std::exchange(offset_, offset_ + uint64_t(groups)); }

 private:
  uint64_t seed_;
  uint64_t offset_ = 0, settings_ = 0;
  Device device_;
  std::unique_ptr<PyTorchStream> stream_;
};

FLAMBEAU_API Generator& default_generator();  // seeded by seed_from_entropy() until a program seeds it

// Selects the numbers of generators that are created or seeded from now on: PyTorch's streams, or Philox. A change
// restarts the default generator with its seed.
FLAMBEAU_API void use_pytorch_streams(bool enabled);
FLAMBEAU_API bool uses_pytorch_streams();

// The position of the thread's default generator in its sequence of random numbers, for drawing the same numbers again.
// While a CUDA graph is captured, it includes the position in the sequence of the graph. Note [Numbers in graphs]
struct RandomPosition {
  uint64_t seed, offset;
  Tensor start;  // the generator's seed and offset at which a replay of the graph begins; undefined outside captures
  uint64_t from_start;
  bool is_repeated;                             // true while numbers are being drawn again
  std::shared_ptr<const PyTorchStream> stream;  // null for Philox
};
FLAMBEAU_API RandomPosition random_position();
// Draws from `position` until restore_random_position() is called with the earlier result of random_position().
FLAMBEAU_API void repeat_random_numbers(const RandomPosition& position);
FLAMBEAU_API void restore_random_position(const RandomPosition& position);

// In-place fills (operators/creation/random.cpp, random_integers.cpp); a null `generator` means the default one.
FLAMBEAU_API void fill_uniform(const Tensor& t, double low, double high, Generator* generator);
FLAMBEAU_API void fill_normal(const Tensor& t, double mean, double std, Generator* generator);
FLAMBEAU_API void fill_exponential(const Tensor& t, double rate, Generator* generator);
FLAMBEAU_API void fill_cauchy(const Tensor& t, double median, double sigma, Generator* generator);
FLAMBEAU_API void fill_log_normal(const Tensor& t, double mean, double std, Generator* generator);
FLAMBEAU_API void fill_geometric(const Tensor& t, double p, Generator* generator);
FLAMBEAU_API void fill_bernoulli(const Tensor& t, double p, Generator* generator);
FLAMBEAU_API void fill_bernoulli(const Tensor& t, const Tensor& p, Generator* generator);  // p broadcasts to t
FLAMBEAU_API void fill_integers(const Tensor& t, int64_t low, int64_t high, Generator* generator);
// Uniform integers from `low` (default: 0) to the largest integer up to which the dtype represents all integers.
FLAMBEAU_API void fill_whole_numbers(const Tensor& t, std::optional<int64_t> low, Generator* generator);
FLAMBEAU_API Tensor random_permutation(int64_t n, Dtype dtype, Generator* generator);

// Samples in which each element has a separate stream of random numbers (operators/creation/sampling.cpp).
FLAMBEAU_API Tensor poisson(const Tensor& rate, Generator* generator);
FLAMBEAU_API Tensor binomial(const Tensor& count, const Tensor& prob, Generator* generator);
FLAMBEAU_API Tensor standard_gamma(const Tensor& concentration, Generator* generator);
// d sample / d concentration of standard_gamma for a fixed uniform random number.
FLAMBEAU_API Tensor standard_gamma_grad(const Tensor& concentration, const Tensor& sample);
FLAMBEAU_API Tensor multinomial(const Tensor& weights, int64_t draws, bool replacement, Generator* generator);

}  // namespace flambeau
