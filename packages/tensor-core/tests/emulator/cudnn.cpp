// The part of cuDNN that flambeau uses: convolutions of tensors that are all contiguous or all channels-last. Sums are
// computed in double precision.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <utility>

#include "cudnn.h"
#include "elements.h"

using namespace emulated;

namespace {

enum Order { kByChannels = 1, kChannelsLast = 2 };
using Sizes = std::array<int, 5>;

Element element_of(int type) {
  static const std::map<int, Element> types{
      {0, Element::kReal32}, {1, Element::kReal64}, {2, Element::kReal16}, {9, Element::kBrain16}};
  const auto found = types.find(type);
  return found == types.end() ? Element::kNone : found->second;
}

// A tensor or a filter, with up to three spatial dimensions.
struct Block {
  Element element = Element::kNone;
  int dims = 0;
  Sizes size{1, 1, 1, 1, 1};
  int orders = kByChannels;  // all memory orders that match its strides
  int64_t count() const {
    int64_t out = 1;
    for (const int n : size) out *= n;
    return out;
  }
  int64_t at(int first, int second, int x, int y, int z) const {
    if (!(orders & kByChannels))
      return (((int64_t(first) * size[2] + x) * size[3] + y) * size[4] + z) * size[1] + second;
    return (((int64_t(first) * size[1] + second) * size[2] + x) * size[3] + y) * size[4] + z;
  }
  std::pair<const void*, size_t> region(const void* data) const { return {data, size_t(count()) * bytes_of(element)}; }

  int set(int type, int given, const int* sizes) {
    if (given < 4 || given > 5 || *std::min_element(sizes, sizes + given) < 1) return kWrongParameter;
    element = element_of(type), dims = given - 2;
    size = {1, 1, 1, 1, 1};
    std::copy(sizes, sizes + 2, size.begin());
    std::copy(sizes + 2, sizes + given, size.end() - dims);
    return element == Element::kNone ? kUnsupported : kFine;
  }
};

struct Convolution {
  int dims = 0, groups = 1, compute = 0, mathematics = 0;
  std::array<int, 3> padding{0, 0, 0}, stride{1, 1, 1}, dilation{1, 1, 1};
};

bool fit(const Convolution& c, const Block& image, const Block& weight, const Block& output) {
  if (image.element != weight.element || image.element != output.element || c.dims != image.dims) return false;
  const int order = image.orders & weight.orders & output.orders;
  if (!order || (order == kChannelsLast && image.element == Element::kReal64)) return false;
  if (c.compute != (image.element == Element::kReal64 ? 1 : 0)) return false;
  if (image.size[0] != output.size[0] || image.size[1] != weight.size[1] * c.groups) return false;
  if (output.size[1] != weight.size[0] || weight.size[0] % c.groups) return false;
  for (size_t i = 0; i < 3; ++i) {
    const int reach = image.size[i + 2] + 2 * c.padding[i] - c.dilation[i] * (weight.size[i + 2] - 1) - 1;
    if (reach < 0 || reach / c.stride[i] + 1 != output.size[i + 2]) return false;
  }
  return true;
}

// Calls f with the positions of the elements of the image, the weight and the output, for each of their products.
template <class F>
void each_product(const Convolution& c, const Block& image, const Block& weight, const Block& output, F&& f) {
  const int channels = weight.size[1], filters = output.size[1] / c.groups;
  std::array<int, 3> to, tap, from;
  for (int sample = 0; sample < output.size[0]; ++sample)
    for (int filter = 0; filter < output.size[1]; ++filter)
      for (int64_t location = 0; location < int64_t(output.size[2]) * output.size[3] * output.size[4]; ++location)
        for (int channel = 0; channel < channels; ++channel)
          for (int64_t k = 0; k < int64_t(weight.size[2]) * weight.size[3] * weight.size[4]; ++k) {
            int64_t rest_of_place = location, rest_of_tap = k;
            bool inside = true;
            for (int i = 2; i >= 0; --i) {
              to[i] = int(rest_of_place % output.size[i + 2]), rest_of_place /= output.size[i + 2];
              tap[i] = int(rest_of_tap % weight.size[i + 2]), rest_of_tap /= weight.size[i + 2];
              from[i] = to[i] * c.stride[i] + tap[i] * c.dilation[i] - c.padding[i];
              inside &= from[i] >= 0 && from[i] < image.size[i + 2];
            }
            if (inside)
              f(image.at(sample, filter / filters * channels + channel, from[0], from[1], from[2]),
                weight.at(filter, channel, tap[0], tap[1], tap[2]), output.at(sample, filter, to[0], to[1], to[2]));
          }
}

struct Performance {
  int algorithm, status;
  float time;
  size_t memory;
  int deterministic, mathematics;
  int reserved[3];
};
constexpr int kGood = 3, kLarge = 4;
constexpr size_t kWorkspace = 512, kLargeWorkspace = size_t(24) << 20;

int perform(const Convolution& c, bool fits, int wanted, int* count, Performance* found) {
  *count = 0;
  if (!fits) return kUnsupported;
  const Performance all[] = {{0, 0, 1, 0, 0, c.mathematics, {}},  // not deterministic
                             {1, kUnsupported, -1, 0, 1, c.mathematics, {}},
                             {2, 0, 2, size_t(1) << 40, 1, c.mathematics, {}},  // more memory than the device has
                             {kLarge, 0, 3, kLargeWorkspace, 1, c.mathematics, {}},
                             {kGood, 0, 4, kWorkspace, 1, c.mathematics, {}}};
  for (const Performance& each : all)
    if (*count < wanted) found[(*count)++] = each;
  return kFine;
}

// Computes result = alpha * sum of products + beta * result. `result` selects which of image, weight and output is
// computed.
int convolve(const Call& call, Stream* stream, const Convolution& c, const void* alpha, const void* beta,
             const Block& image, const Block& weight, const Block& output, const void* x, const void* w, void* y,
             int algorithm, void* workspace, size_t bytes, int result) {
  if (!fit(c, image, weight, output) || (algorithm != kGood && algorithm != kLarge)) return kWrongParameter;
  if (bytes < (algorithm == kGood ? kWorkspace : kLargeWorkspace)) return kWrongParameter;
  const Element factor = c.compute == 1 ? Element::kReal64 : Element::kReal32;
  const Number a = read(factor, alpha, 0), b = read(factor, beta, 0);
  return submit_with(call, stream, "a convolution reached beyond its memory",
                     {image.region(x), weight.region(w), output.region(y), {workspace, bytes}}, [=] {
                       const Block* const blocks[] = {&image, &weight, &output};
                       const void* const data[] = {x, w, y};
                       const Block& made = *blocks[result];
                       std::vector<Number> sums(size_t(made.count()));
                       const bool tf32 = c.mathematics == 0 && image.element == Element::kReal32;
                       each_product(c, image, weight, output,
                                    [&](int64_t in_image, int64_t in_weight, int64_t in_output) {
                                      const int64_t places[] = {in_image, in_weight, in_output};
                                      const int one = (result + 1) % 3, two = (result + 2) % 3;
                                      Number p = read(blocks[one]->element, data[one], places[one]),
                                             q = read(blocks[two]->element, data[two], places[two]);
                                      if (tf32) p = in_tf32(p), q = in_tf32(q);
                                      sums[size_t(places[result])] += p * q;
                                    });
                       for (int64_t i = 0; i < made.count(); ++i) {
                         const Number before = b == 0.0 ? 0.0 : b * read(made.element, data[result], i);
                         write(made.element, const_cast<void*>(data[result]), i, a * sums[size_t(i)] + before);
                       }
                     });
}

template <class T>
int make(T** out) {
  *out = new T;
  return kFine;
}
template <class T>
int destroy(T* object) {
  delete object;
  return kFine;
}

}  // namespace

Stream* emulated::cudnn_stream = nullptr;

EMULATED_API size_t cudnnGetVersion() {
  const char* version = std::getenv("FLAMBEAU_EMULATED_CUDNN");
  return version ? std::strtoull(version, nullptr, 10) : 91900;
}
EMULATED_API int cudnnCreate(int** handle) {
  EMULATED_CALL();
  static int library;
  *handle = &library;
  return kFine;
}
EMULATED_API int cudnnSetStream(int*, Stream* stream) {
  EMULATED_CALL();
  cudnn_stream = stream;
  return kFine;
}
EMULATED_API int cudnnCreateTensorDescriptor(Block** out) { return make(out); }
EMULATED_API int cudnnSetTensorNdDescriptor(Block* b, int type, int dims, const int* sizes, const int* strides) {
  const auto lies = [&](Order order) {
    int expected = 1;
    const auto next = [&](int i) { return strides[i] == std::exchange(expected, expected * sizes[i]); };
    bool well = order == kByChannels || next(1);
    for (int i = dims - 1; i > 1; --i) well &= next(i);
    if (order == kByChannels) well &= next(1);
    return well && next(0) ? order : 0;
  };
  b->orders = lies(kByChannels) | lies(kChannelsLast);
  return b->orders ? b->set(type, dims, sizes) : kUnsupported;
}
EMULATED_API int cudnnDestroyTensorDescriptor(Block* b) { return destroy(b); }
EMULATED_API int cudnnCreateFilterDescriptor(Block** out) { return make(out); }
EMULATED_API int cudnnSetFilterNdDescriptor(Block* b, int type, int format, int dims, const int* sizes) {
  b->orders = format == 0 ? kByChannels : kChannelsLast;
  return format == 0 || format == 1 ? b->set(type, dims, sizes) : kUnsupported;
}
EMULATED_API int cudnnDestroyFilterDescriptor(Block* b) { return destroy(b); }
EMULATED_API int cudnnCreateConvolutionDescriptor(Convolution** out) { return make(out); }
EMULATED_API int cudnnSetConvolutionNdDescriptor(Convolution* c, int dims, const int* padding, const int* stride,
                                                 const int* dilation, int mode, int compute) {
  if (dims < 2 || dims > 3 || mode != 1) return kWrongParameter;
  c->dims = dims, c->compute = compute;
  std::copy(padding, padding + dims, c->padding.end() - dims);
  std::copy(stride, stride + dims, c->stride.end() - dims);
  std::copy(dilation, dilation + dims, c->dilation.end() - dims);
  return kFine;
}
EMULATED_API int cudnnSetConvolutionGroupCount(Convolution* c, int groups) {
  c->groups = groups;
  return groups < 1 ? kWrongParameter : kFine;
}
EMULATED_API int cudnnSetConvolutionMathType(Convolution* c, int mathematics) {
  c->mathematics = mathematics;
  return kFine;
}
EMULATED_API int cudnnDestroyConvolutionDescriptor(Convolution* c) { return destroy(c); }

EMULATED_API int cudnnGetConvolutionForwardAlgorithm_v7(int*, Block* image, Block* weight, Convolution* c,
                                                        Block* output, int wanted, int* count, Performance* found) {
  EMULATED_CALL();
  return perform(*c, fit(*c, *image, *weight, *output), wanted, count, found);
}
EMULATED_API int cudnnGetConvolutionBackwardDataAlgorithm_v7(int*, Block* weight, Block* output, Convolution* c,
                                                             Block* image, int wanted, int* count, Performance* found) {
  EMULATED_CALL();
  return perform(*c, fit(*c, *image, *weight, *output), wanted, count, found);
}
EMULATED_API int cudnnGetConvolutionBackwardFilterAlgorithm_v7(int*, Block* image, Block* output, Convolution* c,
                                                               Block* weight, int wanted, int* count,
                                                               Performance* found) {
  EMULATED_CALL();
  return perform(*c, fit(*c, *image, *weight, *output), wanted, count, found);
}
EMULATED_API int cudnnConvolutionForward(int*, const void* alpha, Block* image, const void* x, Block* weight,
                                         const void* w, Convolution* c, int algorithm, void* workspace, size_t bytes,
                                         const void* beta, Block* output, void* y) {
  EMULATED_CALL();
  return convolve(call, cudnn_stream, *c, alpha, beta, *image, *weight, *output, x, w, y, algorithm, workspace, bytes,
                  2);
}
EMULATED_API int cudnnConvolutionBackwardData(int*, const void* alpha, Block* weight, const void* w, Block* output,
                                              const void* y, Convolution* c, int algorithm, void* workspace,
                                              size_t bytes, const void* beta, Block* image, void* x) {
  EMULATED_CALL();
  return convolve(call, cudnn_stream, *c, alpha, beta, *image, *weight, *output, x, w, const_cast<void*>(y), algorithm,
                  workspace, bytes, 0);
}
EMULATED_API int cudnnConvolutionBackwardFilter(int*, const void* alpha, Block* image, const void* x, Block* output,
                                                const void* y, Convolution* c, int algorithm, void* workspace,
                                                size_t bytes, const void* beta, Block* weight, void* w) {
  EMULATED_CALL();
  return convolve(call, cudnn_stream, *c, alpha, beta, *image, *weight, *output, x, w, const_cast<void*>(y), algorithm,
                  workspace, bytes, 1);
}
