#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <set>

#include "cuda/runtime/devices.h"
#include "cuda/runtime/library.h"
#include "flambeau/cuda/collectives.h"
#include "flambeau/errors.h"
#include "flambeau/interpreter.h"

namespace flambeau::cuda {

namespace {

// The part of the library's interface that is used, with its constants (nccl.h of NCCL 2).
struct Identity {
  char bytes[128];
};
using Sent = const void*;
using Communicator = CommunicatorHandle*;
using Stream = StreamHandle*;

#define FLAMBEAU_NCCL_FUNCTIONS(X)                                                                        \
  X(ncclGetVersion, (int*))                                                                               \
  X(ncclGetUniqueId, (Identity*))                                                                         \
  X(ncclCommInitRank, (Communicator*, int ranks, Identity, int rank))                                     \
  X(ncclCommInitAll, (Communicator*, int count, const int* devices))                                      \
  X(ncclCommDestroy, (Communicator))                                                                      \
  X(ncclGroupStart, ())                                                                                   \
  X(ncclGroupEnd, ())                                                                                     \
  X(ncclAllReduce, (Sent, void* got, size_t count, int type, int reduction, Communicator, Stream))        \
  X(ncclReduce, (Sent, void* got, size_t count, int type, int reduction, int root, Communicator, Stream)) \
  X(ncclBroadcast, (Sent, void* got, size_t count, int type, int root, Communicator, Stream))             \
  X(ncclAllGather, (Sent, void* got, size_t sent, int type, Communicator, Stream))                        \
  X(ncclReduceScatter, (Sent, void* got, size_t received, int type, int reduction, Communicator, Stream)) \
  X(ncclSend, (Sent, size_t count, int type, int peer, Communicator, Stream))                             \
  X(ncclRecv, (void* got, size_t count, int type, int peer, Communicator, Stream))

struct Nccl : OpenedLibrary {
  FLAMBEAU_NCCL_FUNCTIONS(FLAMBEAU_DECLARE_FUNCTION)
  const char* (*text_of)(int);

  Nccl() : OpenedLibrary("FLAMBEAU_NCCL", {"libnccl.so.2"}) {
    FLAMBEAU_NCCL_FUNCTIONS(FLAMBEAU_FIND_FUNCTION)
    find("ncclGetErrorString", text_of);
  }
};
const Nccl& found() { return the_library<Nccl>(); }
const Nccl& nccl() {
  require(found().complete, "NCCL, the library for communication between GPUs, was not found (looked for ",
          found().tried, "); pip install nvidia-nccl-cu13, or nvidia-nccl-cu12 if the driver is for CUDA 12");
  return found();
}

void check_status(int status, const char* what) {
  require(status == 0, "NCCL error while ", what, ": ", status ? nccl().text_of(status) : "", " (", status, ")");
}

enum { kSum = 0, kMax = 2 };
enum { kBytes = 1 };  // element type for operations that only move data

int data_type(Dtype d) {
  switch (d) {
    case Dtype::int8:
      return 0;
    case Dtype::uint8:
    case Dtype::bool_:
      return kBytes;
    case Dtype::int32:
      return 2;
    case Dtype::uint32:
      return 3;
    case Dtype::int64:
      return 4;
    case Dtype::uint64:
      return 5;
    case Dtype::float16:
      return 6;
    case Dtype::float32:
      return 7;
    case Dtype::float64:
      return 8;
    case Dtype::bfloat16:
      return 9;
    default:
      detail::raise<TypeError>("NCCL does not support the dtype ", d);
  }
}

// Booleans are passed to NCCL as uint8. Their sum could exceed 1, so the maximum is used: it is 1 if any value is true.
int reduction_of(int reduction, Dtype d) { return d == Dtype::bool_ && reduction == kSum ? kMax : reduction; }

int request(Collective collective, int requested, int root, const Participant& p) {
  const Nccl& n = nccl();
  const int reduction = reduction_of(requested, p.input.dtype());
  const int type = data_type(p.input.dtype());
  const Sent in = p.input.device_bytes();
  void* const out = p.output.device_bytes();
  const auto count = size_t(p.input.numel());
  switch (collective) {
    case Collective::AllReduce:
      return n.ncclAllReduce(in, out, count, type, reduction, p.communicator, p.stream);
    case Collective::Reduce:
      return n.ncclReduce(in, out, count, type, reduction, root, p.communicator, p.stream);
    case Collective::Broadcast:
      return n.ncclBroadcast(in, out, count, type, root, p.communicator, p.stream);
    case Collective::AllGather:
      return n.ncclAllGather(in, out, count, type, p.communicator, p.stream);
    default:
      return n.ncclReduceScatter(in, out, size_t(p.output.numel()), type, reduction, p.communicator, p.stream);
  }
}

// The communicators of this process, grouped by identity. The destruction of one communicator of a group may wait for
// the destruction of the others, so all of them are destroyed together.
class CommunicatorRegistry {
 public:
  void add(const std::string& identity, CommunicatorHandle* communicator) {
    const std::lock_guard lock(mutex_);
    groups_[identity].active.insert(communicator);
  }
  // If `communicator` is the last active one of its group, returns all communicators of the group, which must now be
  // destroyed. Otherwise returns an empty vector.
  std::vector<CommunicatorHandle*> release(CommunicatorHandle* communicator) {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(groups_.begin(), groups_.end(),
                                    [=](const auto& each) { return each.second.active.contains(communicator); });
    if (found == groups_.end()) return {};
    Group& group = found->second;
    group.active.erase(communicator);
    group.released.push_back(communicator);
    if (!group.active.empty()) return {};
    return std::move(groups_.extract(found).mapped().released);
  }

 private:
  struct Group {
    std::set<CommunicatorHandle*> active;
    std::vector<CommunicatorHandle*> released;
  };
  std::mutex mutex_;
  std::map<std::string, Group> groups_;
};
CommunicatorRegistry& communicator_registry() {
  static auto* once = new CommunicatorRegistry;
  return *once;
}

}  // namespace

int nccl_version() {
  int version = 0;
  if (found().complete) check_status(found().ncclGetVersion(&version), "querying its version");
  return version;
}

const std::vector<CommunicatorHandle*>& communicators(const std::vector<int>& devices) {
  static std::mutex mutex;
  static auto* groups = new std::map<std::vector<int>, std::vector<CommunicatorHandle*>>;
  const GilRelease release(GilRelease::Wait);
  const std::lock_guard lock(mutex);
  std::vector<CommunicatorHandle*>& group = (*groups)[devices];
  if (group.empty()) {
    std::vector<CommunicatorHandle*> made(devices.size());
    for (const int device : devices) activate(device);
    check_status(nccl().ncclCommInitAll(made.data(), int(made.size()), devices.data()), "creating communicators");
    group = std::move(made);
  }
  return group;
}

std::string make_communicator_identity() {
  Identity made;
  check_status(nccl().ncclGetUniqueId(&made), "creating the identity of a communicator");
  return std::string(made.bytes, sizeof made.bytes);
}

CommunicatorHandle* create_communicator(int device, const std::string& identity, int ranks, int rank) {
  Identity name;
  require<ValueError>(identity.size() == sizeof name.bytes, "expected the identity of an NCCL communicator, which has ",
                      sizeof name.bytes, " bytes, but got ", identity.size());
  std::memcpy(name.bytes, identity.data(), sizeof name.bytes);
  activate(device);
  const GilRelease release(GilRelease::Wait);
  CommunicatorHandle* made = nullptr;
  check_status(nccl().ncclCommInitRank(&made, ranks, name, rank), "creating a communicator");
  communicator_registry().add(identity, made);
  return made;
}

void destroy_communicator(int device, CommunicatorHandle* communicator) {
  const Nccl& n = nccl();
  activate(device);
  const GilRelease release(GilRelease::Wait);
  const std::vector<CommunicatorHandle*> ended = communicator_registry().release(communicator);
  if (ended.empty()) return;
  check_status(n.ncclGroupStart(), "destroying a communicator");
  int status = 0;
  for (CommunicatorHandle* each : ended)
    if (const int code = n.ncclCommDestroy(each)) status = code;
  const int closed = n.ncclGroupEnd();
  check_status(status ? status : closed, "destroying a communicator");
}

void collect(Collective collective, int reduction, int root, const std::vector<Participant>& participants) {
  const Nccl& n = nccl();
  for (const Participant& p : participants) {  // do everything that may fail before any communication starts
    data_type(p.input.dtype());
    for (const Tensor& t : {p.input, p.output})
      t.device_bytes(), record_stream(t.storage(), t.device().index, p.stream);
    activate(p.input.device().index);
  }
  const GilRelease release(GilRelease::Wait);  // another thread may have to take part in the collective first
  check_status(n.ncclGroupStart(), "starting a collective operation");
  int chosen = 0, status = 0;
  for (const Participant& p : participants) {  // no exceptions may be raised between ncclGroupStart and ncclGroupEnd
    if (!chosen) chosen = driver().cuCtxSetCurrent(context_of(p.input.device().index));
    if (!chosen && !status) status = request(collective, reduction, root, p);
  }
  const int ended = n.ncclGroupEnd();
  check(chosen, "selecting a GPU");
  check_status(status, "enqueuing a collective operation");
  check_status(ended, "submitting a collective operation");
}

void exchange(CommunicatorHandle* communicator, StreamHandle* stream, const std::vector<Message>& messages) {
  const Nccl& n = nccl();
  for (const Message& m : messages) {  // do everything that may fail before any communication starts
    m.tensor.device_bytes(), record_stream(m.tensor.storage(), m.tensor.device().index, stream);
    activate(m.tensor.device().index);
  }
  const GilRelease release(GilRelease::Wait);
  check_status(n.ncclGroupStart(), "starting point-to-point communication");
  int status = 0;
  for (const Message& m : messages) {
    const auto bytes = size_t(m.tensor.numel() * item_size(m.tensor.dtype()));
    if (status || !bytes) continue;
    status = m.sent ? n.ncclSend(m.tensor.device_bytes(), bytes, kBytes, m.peer, communicator, stream)
                    : n.ncclRecv(m.tensor.device_bytes(), bytes, kBytes, m.peer, communicator, stream);
  }
  const int ended = n.ncclGroupEnd();
  check_status(status, "enqueuing point-to-point communication");
  check_status(ended, "submitting point-to-point communication");
}

}  // namespace flambeau::cuda
