#include "memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>

namespace emulated {
namespace {

constexpr size_t kAlignment = 512, kGuard = 256;
constexpr size_t kPage = 2 << 20;      // large, because changing the protection of many small pages is slow
constexpr unsigned char kFill = 0xA5;  // written to uninitialised and freed memory

size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
size_t occupied(size_t bytes) { return round_up(bytes + kGuard, kAlignment); }

bool protection() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_PROTECTION");
  return !text || std::string_view(text) != "0";
}

}  // namespace

// Reserves more addresses than the device has bytes, so that gaps between allocations do not reduce its capacity.
DeviceMemory::DeviceMemory(size_t total)
    : protected_(protection()), total_(total), reserved_(round_up(4 * total + (64 << 20), kPage)) {
  const int rights = protected_ ? PROT_NONE : PROT_READ | PROT_WRITE;
  void* region = mmap(nullptr, reserved_ + kPage, rights, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (region == MAP_FAILED) throw std::bad_alloc();
  region_ = static_cast<char*>(region);
  base_ = reinterpret_cast<char*>(round_up(reinterpret_cast<uintptr_t>(region), kPage));
  madvise(base_, reserved_, MADV_HUGEPAGE);
}

DeviceMemory::~DeviceMemory() { munmap(region_, reserved_ + kPage); }

size_t DeviceMemory::extent() const {
  if (live_.empty()) return 0;
  const auto& [start, bytes] = *live_.rbegin();
  return round_up(size_t(start - base_) + occupied(bytes), kPage);
}

void DeviceMemory::open() {
  if (depth_++ || !protected_) return;
  opened_ = extent();
  if (opened_) mprotect(base_, opened_, PROT_READ | PROT_WRITE);
}

void DeviceMemory::close() {
  if (--depth_ || !opened_) return;
  mprotect(base_, opened_, PROT_NONE);
  opened_ = 0;
}

char* DeviceMemory::allocate(size_t bytes) {
  if (bytes > total_ - used_) return nullptr;
  char* start = base_;
  for (const auto& [other, size] : live_) {
    if (size_t(other - start) >= occupied(bytes)) break;
    start = other + occupied(size);
  }
  if (occupied(bytes) > reserved_ - size_t(start - base_)) return nullptr;
  live_[start] = bytes;
  used_ += bytes;
  const Access access(*this);
  std::memset(start, kFill, occupied(bytes));
  return start;
}

bool DeviceMemory::release(char* address) {
  const auto it = live_.find(address);
  if (it == live_.end()) return false;
  const Access access(*this);
  std::memset(address, kFill, it->second);
  used_ -= it->second;
  live_.erase(it);
  return true;
}

void DeviceMemory::release_all() {
  while (!live_.empty()) release(live_.begin()->first);
  variables_.clear();
}

DeviceMemory::Range DeviceMemory::find(const void* pointer) const {
  char* address = static_cast<char*>(const_cast<void*>(pointer));
  for (const auto* ranges : {&live_, &variables_}) {
    auto it = ranges->upper_bound(address);
    if (it == ranges->begin()) continue;
    --it;
    if (size_t(address - it->first) < it->second) return {it->first, it->second};
  }
  return {nullptr, 0};
}

bool DeviceMemory::contains(const void* address, size_t bytes) const {
  const Range range = find(address);
  return range.start && bytes <= range.bytes - size_t(static_cast<const char*>(address) - range.start);
}

bool DeviceMemory::in_region(const void* address) const { return address >= base_ && address < base_ + reserved_; }

std::string DeviceMemory::damage() const {
  for (const auto& [start, bytes] : live_) {
    const auto* end = reinterpret_cast<const unsigned char*>(start + bytes);
    const auto* changed = std::find_if(end, end + kGuard, [](unsigned char byte) { return byte != kFill; });
    if (changed != end + kGuard)
      return "byte " + std::to_string(size_t(changed - end) + bytes) + " of an allocation of " + std::to_string(bytes) +
             " bytes was written";
  }
  return {};
}

}  // namespace emulated
