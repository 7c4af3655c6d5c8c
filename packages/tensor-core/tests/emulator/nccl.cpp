// The part of NCCL that flambeau uses. A collective is an operation of its stream. It begins when the stream's earlier
// work is done, and ends when the other ranks have sent their parts. Until then, it stays queued and blocks whatever
// waits for it. All ranks send their inputs to all ranks, and each computes the result itself.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>
#include <thread>
#include <utility>

#include "elements.h"
#include "nccl_communicator_group.h"

using namespace emulated;

namespace {

enum Status { kFine = 0, kInternal = 3, kWrongArgument = 4, kWrongUse = 5 };
enum Kind { kAllReduce, kReduce, kBroadcast, kAllGather, kReduceScatter, kMessage };
constexpr const char* kNames[] = {"AllReduce", "Reduce", "Broadcast", "AllGather", "ReduceScatter", "Send"};

struct Identity {
  char bytes[128];
};

Element element_of(int type) {
  static constexpr Element types[] = {Element::kInt8,   Element::kUint8,  Element::kInt32,  Element::kUint32,
                                      Element::kInt64,  Element::kUint64, Element::kReal16, Element::kReal32,
                                      Element::kReal64, Element::kBrain16};
  return type >= 0 && type < 10 ? types[type] : Element::kNone;
}

std::string described(const Heading& h) {
  return std::string(kNames[h.kind]) + " of " + std::to_string(h.count) + " elements of type " +
         std::to_string(h.element) + " (operation " + std::to_string(h.op) + ", root " + std::to_string(h.root) + ")";
}

Number joined(int op, Number a, Number b) {
  if (op == 1) return a * b;
  if (op == 2) return std::max(a.real(), b.real());
  if (op == 3) return std::min(a.real(), b.real());
  return a + b;
}

// A message that is sent to another rank or received from it.
struct Parcel {
  int peer;
  Heading heading;
  void* address;  // device memory, or null if the message is kept in `contents`
  size_t bytes;
  std::vector<char> contents = {};
  bool moved = false;
};

// A request to a communicator: one collective, or the messages of a group, which progress together.
struct Part {
  std::shared_ptr<CommunicatorGroup> group;
  int rank;
  Context* context;
  std::shared_ptr<Stream> stream;
  std::shared_ptr<Part> before;  // the previous request of the communicator, which runs first, on any stream
  Heading heading;
  void* out = nullptr;
  std::vector<Parcel> sent = {}, received = {};
  unsigned long long position = 0;
  bool done = false;

  // Makes as much progress as the other ranks permit. Returns true if the request is complete.
  bool progress() {
    if (!done && !waits_for_previous()) done = give() & take() && arrived() && finish();
    return done;
  }

 private:
  bool waits_for_previous() {
    if (before && !before->done && !advance(*before->stream, before->position) && !before->done) return true;
    before = nullptr;
    return false;
  }

  bool fail(int error, const std::string& message) {
    device_failure(*context, error, "NCCL, rank " + std::to_string(rank) + ": " + message);
    return true;
  }

  template <class Move>
  bool each(std::vector<Parcel>& parcels, int full, Move move) {
    std::set<int> waiting;  // ranks with a pending message, which later ones must not overtake
    for (Parcel& p : parcels) {
      if (p.moved) continue;
      Box& box = &parcels == &sent ? group->box(rank, p.peer) : group->box(p.peer, rank);
      if (waiting.contains(p.peer) || box.full != full)
        waiting.insert(p.peer);
      else
        move(p, box), p.moved = true, box.full = 1 - full;
    }
    return waiting.empty();
  }

  bool give() {
    return each(sent, 0, [&](Parcel& p, Box& box) {
      const Region region(p.address, p.bytes);
      if (!region.whole()) fail(kIllegalAddress, "what is sent is not memory of a GPU");
      box.heading = p.heading;
      box.bytes = region.whole() ? p.bytes : 0;
      std::memcpy(box.contents, p.address, box.bytes);
    });
  }

  bool take() {
    return each(received, 1, [&](Parcel& p, Box& box) {
      const Region region(p.address, p.address ? p.bytes : 0);
      if (p.heading != box.heading || p.bytes != box.bytes)
        fail(kLaunchFailed, "asks for " + described(p.heading) + ", rank " + std::to_string(p.peer) + " for " +
                                described(box.heading));
      else if (!region.whole())
        fail(kIllegalAddress, "what is received has no memory of a GPU");
      else if (p.address)
        std::memcpy(p.address, box.contents, p.bytes);
      else
        p.contents.assign(box.contents, box.contents + box.bytes);
    });
  }

  // A send completes only when the message has been received. A program that needs earlier completion relies on
  // buffers, which may be too small in NCCL.
  bool arrived() const {
    return heading.kind != kMessage ||
           std::all_of(sent.begin(), sent.end(), [&](const Parcel& p) { return group->box(rank, p.peer).full == 0; });
  }

  bool finish() {
    if (heading.kind == kMessage || context->sticky || !out) return true;
    const auto ranks = size_t(group->size());
    const auto e = Element(heading.element);
    const bool gathers = heading.kind == kAllGather;
    const Region region(out, heading.count * bytes_of(e) * (gathers ? ranks : 1));
    if (!region.whole()) return fail(kIllegalAddress, "the result has no memory of a GPU");
    const size_t start = heading.kind == kReduceScatter ? size_t(rank) * heading.count : 0;
    for (size_t i = 0; i < heading.count; ++i) {
      const auto input = [&](size_t of) { return read(e, received[of].contents.data(), int64_t(start + i)); };
      if (gathers) {
        for (size_t from = 0; from < ranks; ++from) write(e, out, int64_t(from * heading.count + i), input(from));
      } else if (heading.kind == kBroadcast) {
        write(e, out, int64_t(i), input(size_t(heading.root)));
      } else {
        Number sum = input(0);
        for (size_t from = 1; from < ranks; ++from) sum = joined(heading.op, sum, input(from));
        write(e, out, int64_t(i), heading.op == 4 ? sum / double(ranks) : sum);
      }
    }
    return true;
  }
};

struct Communicator {
  std::shared_ptr<CommunicatorGroup> group;
  int rank, device;
  std::shared_ptr<Part> last = nullptr;
};

std::deque<std::shared_ptr<Part>>& pending() {
  static auto* parts = new std::deque<std::shared_ptr<Part>>;
  return *parts;
}

// A GPU continues while its program waits for other ranks, which may wait for the data of this rank. Here, a thread
// runs the pending requests if no call has been made for kIdle milliseconds, and at least every kLongest milliseconds.
void keep_going() {
  constexpr int kIdle = 20, kLongest = 500;  // milliseconds
  unsigned long long seen = 0;
  for (int idle = 0, since = 0;; ++idle, ++since) {
    usleep(1000);
    const std::lock_guard lock(state().mutex);
    if (seen != state().calls) idle = 0;
    seen = state().calls;
    std::erase_if(pending(), [](const auto& part) { return part->done || part->context->sticky; });
    if (idle < kIdle && since < kLongest) continue;
    since = 0;
    for (const auto& part : std::deque(pending())) advance(*part->stream, part->position);
  }
}

thread_local int open_groups = 0;
thread_local int status_of_group = kFine;

struct Asked {
  Communicator* communicator;
  std::shared_ptr<Part> part;
};
thread_local std::vector<Asked> asked;

int submit_asked() {
  static const bool goes_on = (std::thread(keep_going).detach(), true);
  (void)goes_on;
  for (const Asked& each : std::exchange(asked, {})) {
    const std::shared_ptr<Part> part = each.part;
    part->before = std::exchange(each.communicator->last, part);
    pending().push_back(part);
    if (submit(part->stream, [] {}, [part] { return part->progress(); })) return kInternal;
    part->position = part->stream->submitted;
  }
  return kFine;
}

int wrong(int status) {
  if (open_groups) status_of_group = status;
  return status;
}

bool disjoint(const void* a, size_t bytes_of_a, const void* b, size_t bytes_of_b) {
  const auto *first = static_cast<const char*>(a), *second = static_cast<const char*>(b);
  return first + bytes_of_a <= second || second + bytes_of_b <= first;
}

// Returns true if input and output do not overlap, or overlap as NCCL's documentation requires for in-place
// collectives.
bool fit_together(const Heading& h, int rank, int ranks, const void* in, const void* out) {
  const size_t bytes = h.count * bytes_of(Element(h.element)), all = bytes * size_t(ranks);
  const auto *from = static_cast<const char*>(in), *to = static_cast<const char*>(out);
  if (h.kind == kAllGather) return from == to + bytes * size_t(rank) || disjoint(in, bytes, out, all);
  if (h.kind == kReduceScatter) return to == from + bytes * size_t(rank) || disjoint(in, all, out, bytes);
  return from == to || disjoint(in, bytes, out, bytes);
}

int request(const Call& call, Communicator* c, Heading heading, int type, const void* in, void* out, Stream* handle) {
  const Element e = element_of(type);
  if (!c || e == Element::kNone || heading.op < 0 || heading.op > 4) return wrong(kWrongArgument);
  const int ranks = c->group->size();
  if (heading.root < 0 || heading.root >= ranks) return wrong(kWrongArgument);
  const auto stream = find_stream(call, handle);
  if (call.context->device != c->device || !stream || stream->capture) return wrong(kWrongUse);
  heading.element = int(e);
  const size_t bytes = heading.count * bytes_of(e) * size_t(heading.kind == kReduceScatter ? ranks : 1);
  if (bytes > kCapacity) return wrong(kInternal);
  const bool writes = heading.kind != kReduce || c->rank == heading.root;
  if (writes && !fit_together(heading, c->rank, ranks, in, out)) return wrong(kWrongArgument);
  auto part = std::make_shared<Part>(Part{c->group, c->rank, call.context, stream, nullptr, heading});
  part->out = writes && heading.count ? out : nullptr;
  for (int peer = 0; peer < ranks; ++peer) {
    part->sent.push_back({peer, heading, const_cast<void*>(in), bytes});
    part->received.push_back({peer, heading, nullptr, bytes});
  }
  asked.push_back({c, std::move(part)});
  return open_groups ? kFine : submit_asked();
}

int message(const Call& call, Communicator* c, bool sent, void* address, size_t count, int type, int peer,
            Stream* handle) {
  const Element e = element_of(type);
  if (!c || e == Element::kNone || peer < 0 || peer >= c->group->size()) return wrong(kWrongArgument);
  const auto stream = find_stream(call, handle);
  if (call.context->device != c->device || !stream || stream->capture) return wrong(kWrongUse);
  if (peer == c->rank && !open_groups) return wrong(kWrongUse);
  const Heading heading{kMessage, int(e), 0, 0, count};
  const size_t bytes = count * bytes_of(e);
  if (bytes > kCapacity) return wrong(kInternal);
  const bool with_others = !asked.empty() && asked.back().communicator == c && asked.back().part->stream == stream &&
                           asked.back().part->heading.kind == kMessage;
  if (!with_others)
    asked.push_back({c, std::make_shared<Part>(Part{c->group, c->rank, call.context, stream, nullptr, heading})});
  Part& part = *asked.back().part;
  (sent ? part.sent : part.received).push_back({peer, heading, address, bytes});
  return open_groups ? kFine : submit_asked();
}

}  // namespace

void emulated::forget_parts() { pending().clear(); }

EMULATED_API int ncclGetVersion(int* version) {
  *version = 22703;
  return kFine;
}
EMULATED_API const char* ncclGetErrorString(int status) {
  return status == kWrongUse ? "invalid usage" : status == kWrongArgument ? "invalid argument" : "internal error";
}
EMULATED_API int ncclGetUniqueId(Identity* out) {
  EMULATED_CALL(Call::kNothing);
  static int count = 0;
  const char* folder = std::getenv("TMPDIR");
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  std::memset(out, 0, sizeof *out);
  const int length =
      std::snprintf(out->bytes, sizeof out->bytes, "%s/emulated-nccl-%d-%d-%llx", folder && *folder ? folder : "/tmp",
                    int(getpid()), ++count, (long long unsigned)now);
  return size_t(length) < sizeof out->bytes ? kFine : kInternal;
}
// Waits for the other ranks, in other threads or processes. The file through which they connect is removed when all
// have opened it.
EMULATED_API int ncclCommInitRank(Communicator** out, int ranks, Identity identity, int rank) {
  EMULATED_CALL();
  if (rank < 0 || rank >= ranks || ranks > CommunicatorGroup::kMaxRanks ||
      !std::memchr(identity.bytes, 0, sizeof identity.bytes))
    return kWrongArgument;
  if (open_groups) return kWrongUse;  // in NCCL, the communicator would be created at the end of the group
  const auto group = CommunicatorGroup::named(identity.bytes, ranks);
  if (!group || !group->join(rank, call.context->device)) return kWrongUse;
  for (Patience patience; !group->complete(); patience.pause())
    if (patience.exhausted()) return kInternal;
  unlink(identity.bytes);
  if (group->has_a_device_twice()) return kWrongUse;
  *out = new Communicator{group, rank, call.context->device};
  return kFine;
}
EMULATED_API int ncclCommInitAll(Communicator** out, int count, const int* devices) {
  EMULATED_CALL();
  if (count < 1 || count > CommunicatorGroup::kMaxRanks) return kWrongArgument;
  const auto group = CommunicatorGroup::within_process(count);
  for (int rank = 0; rank < count; ++rank) group->join(rank, devices[rank]);
  if (group->has_a_device_twice()) return kWrongUse;
  for (int rank = 0; rank < count; ++rank) out[rank] = new Communicator{group, rank, devices[rank]};
  return kFine;
}
EMULATED_API int ncclCommDestroy(Communicator* c) {
  EMULATED_CALL();
  if (const auto part = c->last) run(*part->stream, part->position);
  delete c;
  return kFine;
}
EMULATED_API int ncclGroupStart() {
  EMULATED_CALL();
  ++open_groups;
  return kFine;
}
// Submits all requests of the group, or none of them if one was invalid.
EMULATED_API int ncclGroupEnd() {
  EMULATED_CALL();
  if (open_groups == 0) return kWrongUse;
  if (--open_groups > 0) return kFine;
  const int status = std::exchange(status_of_group, int(kFine));
  if (status) asked.clear();
  return status ? status : submit_asked();
}

EMULATED_API int ncclAllReduce(const void* in, void* out, size_t count, int type, int op, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return request(call, c, {kAllReduce, 0, op, 0, count}, type, in, out, s);
}
EMULATED_API int ncclReduce(const void* in, void* out, size_t count, int type, int op, int root, Communicator* c,
                            Stream* s) {
  EMULATED_CALL();
  return request(call, c, {kReduce, 0, op, root, count}, type, in, out, s);
}
EMULATED_API int ncclBroadcast(const void* in, void* out, size_t count, int type, int root, Communicator* c,
                               Stream* s) {
  EMULATED_CALL();
  return request(call, c, {kBroadcast, 0, 0, root, count}, type, in, out, s);
}
EMULATED_API int ncclAllGather(const void* in, void* out, size_t count, int type, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return request(call, c, {kAllGather, 0, 0, 0, count}, type, in, out, s);
}
EMULATED_API int ncclReduceScatter(const void* in, void* out, size_t count, int type, int op, Communicator* c,
                                   Stream* s) {
  EMULATED_CALL();
  return request(call, c, {kReduceScatter, 0, op, 0, count}, type, in, out, s);
}
EMULATED_API int ncclSend(const void* in, size_t count, int type, int peer, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return message(call, c, true, const_cast<void*>(in), count, type, peer, s);
}
EMULATED_API int ncclRecv(void* out, size_t count, int type, int peer, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return message(call, c, false, out, count, type, peer, s);
}
