// An emulated device's memory: one reserved range of addresses, which the host can touch only while an operation of the
// device runs (unless FLAMBEAU_EMULATED_PROTECTION=0).
#pragma once

#include <cstddef>
#include <map>
#include <string>

namespace emulated {

class DeviceMemory {
 public:
  explicit DeviceMemory(size_t total);
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;

  size_t total() const { return total_; }
  size_t used() const { return used_; }
  char* allocate(size_t bytes);  // null where there is none left
  bool release(char* address);   // false where no allocation starts there
  void release_all();

  // The allocation that holds an address, as its start and its size, or {null, 0}.
  struct Range {
    char* start;
    size_t bytes;
  };
  Range find(const void* address) const;
  bool contains(const void* address, size_t bytes) const;  // within one allocation, or one of a module's variables
  bool in_region(const void* address) const;
  void add_variable(char* address, size_t bytes) { variables_[address] = bytes; }
  void remove_variable(char* address) { variables_.erase(address); }

  // Describe writes past the end of an allocation; empty if there are none. The memory must be accessible.
  std::string damage() const;

 private:
  friend class Access;
  void open();
  void close();
  size_t extent() const;  // how much of the region may have been handed out

  bool protected_;
  char *region_, *base_;
  size_t total_, reserved_, used_ = 0, opened_ = 0;
  int depth_ = 0;
  std::map<char*, size_t> live_, variables_;
};

// While one lives, the memory can be touched.
class Access {
 public:
  explicit Access(DeviceMemory& memory) : memory_(memory) { memory_.open(); }
  ~Access() { memory_.close(); }
  Access(const Access&) = delete;

 private:
  DeviceMemory& memory_;
};

}  // namespace emulated
