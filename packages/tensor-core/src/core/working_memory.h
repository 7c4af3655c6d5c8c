// Temporary buffers, and dispatch to float32 or float64.
#pragma once

#include "flambeau/dtype.h"
#include "flambeau/errors.h"
#include "flambeau/memory.h"

namespace flambeau {

class Block {  // scratch memory that is freed at the end of the scope
 public:
  explicit Block(int64_t bytes) : bytes_(size_t(bytes)), data_(static_cast<char*>(allocate(bytes_))) {}
  ~Block() { deallocate(data_, bytes_); }
  Block(const Block&) = delete;
  char* get() const { return data_; }

 private:
  size_t bytes_;
  char* data_;
};

template <class F>
inline void dispatch_real(Dtype d, F&& f) {
  if (d == Dtype::float64) return f(TypeTag<double>{});
  require<NotImplementedError>(d == Dtype::float32, "not implemented for '", d, "'");
  f(TypeTag<float>{});
}

}  // namespace flambeau
