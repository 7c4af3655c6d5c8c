// Devices, layouts and memory formats.
#pragma once

#include <string>

#include <c10/util/Exception.h>
#include <flambeau/memory_format.h>

namespace c10 {

using DeviceIndex = int8_t;

enum class DeviceType : int8_t { CPU = 0, CUDA = 1, HIP = 6, Meta = 14 };
inline constexpr DeviceType kCPU = DeviceType::CPU, kCUDA = DeviceType::CUDA, kMeta = DeviceType::Meta;

class Device {
 public:
  Device(DeviceType type, DeviceIndex index = -1) : type_(type), index_(index) {}
  Device(const std::string& text) : type_(DeviceType::CPU), index_(-1) {
    const size_t colon = text.find(':');
    const std::string kind = text.substr(0, colon);
    type_ = kind == "cpu" ? DeviceType::CPU : kind == "cuda" ? DeviceType::CUDA : DeviceType::Meta;
    TORCH_CHECK(kind == "cpu" || kind == "cuda" || kind == "meta",
                "Expected one of cpu, cuda, meta device type at "
                "start of device string: ",
                kind);
    if (colon != std::string::npos) index_ = DeviceIndex(std::stoi(text.substr(colon + 1)));
  }
  Device(const char* text) : Device(std::string(text)) {}
  Device(::flambeau::Device device)
      : type_(device.type == ::flambeau::DeviceType::Cpu    ? DeviceType::CPU
              : device.type == ::flambeau::DeviceType::Cuda ? DeviceType::CUDA
                                                            : DeviceType::Meta),
        index_(device.type == ::flambeau::DeviceType::Cuda ? device.index : DeviceIndex(-1)) {}
  ::flambeau::Device native() const {
    TORCH_CHECK(type_ != DeviceType::HIP, "flambeau has no device of the type hip");
    return {is_cpu()    ? ::flambeau::DeviceType::Cpu
            : is_cuda() ? ::flambeau::DeviceType::Cuda
                        : ::flambeau::DeviceType::Meta,
            index_ < 0 ? 0 : index_};
  }
  DeviceType type() const { return type_; }
  DeviceIndex index() const { return index_; }
  bool has_index() const { return index_ >= 0; }
  bool is_cpu() const { return type_ == DeviceType::CPU; }
  bool is_cuda() const { return type_ == DeviceType::CUDA; }
  bool is_meta() const { return type_ == DeviceType::Meta; }
  std::string str() const {
    const std::string name = is_cpu() ? "cpu" : is_cuda() ? "cuda" : is_meta() ? "meta" : "hip";
    return has_index() ? name + ":" + std::to_string(int(index_)) : name;
  }
  friend bool operator==(const Device&, const Device&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Device& device) { return out << device.str(); }

 private:
  DeviceType type_;
  DeviceIndex index_;
};
inline std::ostream& operator<<(std::ostream& out, DeviceType type) { return out << Device(type); }

enum class Layout : int8_t { Strided, Sparse, SparseCsr };
inline constexpr Layout kStrided = Layout::Strided, kSparse = Layout::Sparse;

enum class MemoryFormat : int8_t { Contiguous, Preserve, ChannelsLast, ChannelsLast3d };
namespace detail {
inline ::flambeau::MemoryFormat native(MemoryFormat format) { return ::flambeau::MemoryFormat(int(format)); }
}  // namespace detail

}  // namespace c10

namespace at {
using namespace c10;
}
