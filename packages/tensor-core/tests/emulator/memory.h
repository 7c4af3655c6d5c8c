// Memory of an emulated device: one reserved range of addresses. The host can access it only while an operation of the
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
  char* allocate(size_t bytes);  // null if there is not enough memory
  bool release(char* address);   // false if no allocation starts at the address
  void release_all();

  // Returns the start and the size of the allocation that contains an address, or {null, 0}.
  struct Range {
    char* start;
    size_t bytes;
  };
  Range find(const void* address) const;
  bool contains(const void* address, size_t bytes) const;  // true if within one allocation or one variable of a module
  bool in_region(const void* address) const;
  void add_variable(char* address, size_t bytes) { variables_[address] = bytes; }
  void remove_variable(char* address) { variables_.erase(address); }

  // Describes writes past the end of an allocation; empty if there are none. The memory must be accessible.
  std::string damage() const;

 private:
  friend class Access;
  void open();
  void close();
  size_t extent() const;  // size of the part of the region that allocations may use

  bool protected_;
  char *region_, *base_;
  size_t total_, reserved_, used_ = 0, opened_ = 0;
  int depth_ = 0;
  std::map<char*, size_t> live_, variables_;
};

// While an object of this class exists, the host can access the memory.
class Access {
 public:
  explicit Access(DeviceMemory& memory) : memory_(memory) { memory_.open(); }
  ~Access() { memory_.close(); }
  Access(const Access&) = delete;

 private:
  DeviceMemory& memory_;
};

}  // namespace emulated
