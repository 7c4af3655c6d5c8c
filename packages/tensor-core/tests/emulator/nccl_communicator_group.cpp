#include "nccl_communicator_group.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>

namespace emulated {
namespace {

constexpr size_t kPage = 4096;
size_t extent(int ranks) { return kPage + sizeof(Box) * size_t(ranks) * size_t(ranks); }

}  // namespace

CommunicatorGroup::~CommunicatorGroup() {
  if (members_) munmap(members_, extent(ranks_));
}

// Maps zero-initialised memory. Only pages that are written take up memory.
void CommunicatorGroup::map(int file) {
  const int flags = file < 0 ? MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
  void* const found = mmap(nullptr, extent(ranks_), PROT_READ | PROT_WRITE, flags, file, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  members_ = static_cast<Members*>(found);
  boxes_ = reinterpret_cast<Box*>(static_cast<char*>(found) + kPage);
}

std::shared_ptr<CommunicatorGroup> CommunicatorGroup::within_process(int ranks) {
  auto made = std::shared_ptr<CommunicatorGroup>(new CommunicatorGroup(ranks));
  made->map(-1);
  return made;
}

std::shared_ptr<CommunicatorGroup> CommunicatorGroup::named(const char* path, int ranks) {
  const int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return nullptr;
  auto made = std::shared_ptr<CommunicatorGroup>(new CommunicatorGroup(ranks));
  const bool grown = lseek(file, 0, SEEK_END) >= off_t(extent(ranks)) || ftruncate(file, off_t(extent(ranks))) == 0;
  if (grown) made->map(file);
  close(file);
  if (!grown) return nullptr;
  int none = 0;
  return made->members_->ranks.compare_exchange_strong(none, ranks) || none == ranks ? made : nullptr;
}

bool CommunicatorGroup::join(int rank, int device) {
  int free = 0;
  return members_->devices[rank].compare_exchange_strong(free, device + 1);
}

bool CommunicatorGroup::complete() const {
  for (int rank = 0; rank < ranks_; ++rank)
    if (!members_->devices[rank]) return false;
  return true;
}

bool CommunicatorGroup::has_a_device_twice() const {
  for (int rank = 0; rank < ranks_; ++rank)
    for (int other = 0; other < rank; ++other)
      if (members_->devices[rank] == members_->devices[other]) return true;
  return false;
}

}  // namespace emulated
