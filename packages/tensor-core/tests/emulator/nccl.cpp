// NCCL, as flambeau uses it: each collective is done, for all ranks, when the last of them has asked for it and no
// group is open; the streams have done their work until then.
#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "elements.h"

using namespace emulated;

namespace {

enum Status { kFine = 0, kInternal = 3, kWrongArgument = 4, kWrongUse = 5 };

struct Identity {
  char bytes[128];
};

Element element_of(int type) {
  static constexpr Element types[] = {Element::kInt8,   Element::kUint8,  Element::kInt32,  Element::kNone,
                                      Element::kInt64,  Element::kNone,   Element::kReal16, Element::kReal32,
                                      Element::kReal64, Element::kBrain16};
  return type >= 0 && type < 10 ? types[type] : Element::kNone;
}

struct Request {
  enum Kind { kAllReduce, kReduce, kBroadcast, kAllGather, kReduceScatter } kind;
  const void* in;
  void* out;
  size_t count;  // as it was given
  Element element;
  int op, root;
  std::shared_ptr<Stream> stream;
};

struct Communicator;
struct Clique {  // the communicators that work together
  std::vector<Communicator*> ranks;
};
struct Communicator {
  std::shared_ptr<Clique> clique;
  int rank, device;
  std::deque<Request> requests;
};

std::map<std::string, std::shared_ptr<Clique>> named;
int open_groups = 0;

Number joined(int op, Number a, Number b) {
  if (op == 1) return a * b;
  if (op == 2) return std::max(a.real(), b.real());
  if (op == 3) return std::min(a.real(), b.real());
  return a + b;
}

// One collective: what every rank has asked for first.
int perform(Clique& clique) {
  const size_t ranks = clique.ranks.size();
  std::vector<Request> asked;
  for (Communicator* each : clique.ranks) asked.push_back(each->requests.front()), each->requests.pop_front();
  const Request& first = asked[0];
  std::deque<Region> reached;
  for (const Request& r : asked) {
    if (r.kind != first.kind || r.count != first.count || r.element != first.element || r.op != first.op ||
        r.root != first.root)
      return kWrongUse;
    run(*r.stream, r.stream->submitted);
    const size_t bytes = r.count * bytes_of(r.element);
    const bool writes = (r.kind != Request::kReduce) || &r == &asked[size_t(r.root)];
    reached.emplace_back(r.in, r.kind == Request::kReduceScatter ? bytes * ranks : bytes);
    reached.emplace_back(writes ? r.out : nullptr, !writes ? 0 : r.kind == Request::kAllGather ? bytes * ranks : bytes);
    if (!reached[reached.size() - 1].whole() || !reached[reached.size() - 2].whole()) return kWrongArgument;
  }
  const Element e = first.element;
  const auto count = int64_t(first.count), all = first.kind == Request::kReduceScatter ? count * int64_t(ranks) : count;
  std::vector<std::vector<Number>> inputs;
  for (const Request& r : asked) {
    inputs.emplace_back();
    for (int64_t i = 0; i < all; ++i) inputs.back().push_back(read(e, r.in, i));
  }
  std::vector<Number> sums(size_t(all), 0.0);
  for (size_t i = 0; i < sums.size(); ++i) {
    sums[i] = inputs[0][i];
    for (size_t rank = 1; rank < ranks; ++rank) sums[i] = joined(first.op, sums[i], inputs[rank][i]);
    if (first.op == 4) sums[i] /= double(ranks);
  }
  for (size_t rank = 0; rank < ranks; ++rank) {
    void* const out = asked[rank].out;
    for (int64_t i = 0; i < count; ++i) {
      if (first.kind == Request::kAllReduce) write(e, out, i, sums[size_t(i)]);
      if (first.kind == Request::kReduce && int(rank) == first.root) write(e, out, i, sums[size_t(i)]);
      if (first.kind == Request::kBroadcast) write(e, out, i, inputs[size_t(first.root)][size_t(i)]);
      if (first.kind == Request::kReduceScatter) write(e, out, i, sums[rank * size_t(count) + size_t(i)]);
      if (first.kind == Request::kAllGather)
        for (size_t from = 0; from < ranks; ++from) write(e, out, int64_t(from) * count + i, inputs[from][size_t(i)]);
    }
  }
  return kFine;
}

int perform_all(Clique& clique) {
  const auto ready = [&] {
    return std::all_of(clique.ranks.begin(), clique.ranks.end(),
                       [](Communicator* each) { return each && !each->requests.empty(); });
  };
  while (ready())
    if (const int status = perform(clique)) return status;
  return kFine;
}

std::vector<std::shared_ptr<Clique>> touched;

int request(const Call& call, Communicator* c, Request r, Stream* handle) {
  if (!c || r.element == Element::kNone || r.op < 0 || r.op > 4) return kWrongArgument;
  if (call.context->device != c->device) return kWrongUse;
  r.stream = find_stream(call, handle);
  if (!r.stream || r.stream->capture) return kWrongUse;
  c->requests.push_back(std::move(r));
  if (open_groups == 0) return perform_all(*c->clique);
  touched.push_back(c->clique);
  return kFine;
}

}  // namespace

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
  std::memset(out, 0, sizeof *out);
  std::snprintf(out->bytes, sizeof out->bytes, "clique %d", ++count);
  return kFine;
}
EMULATED_API int ncclCommInitRank(Communicator** out, int ranks, Identity identity, int rank) {
  EMULATED_CALL();
  if (rank < 0 || rank >= ranks) return kWrongArgument;
  std::shared_ptr<Clique>& clique = named[std::string(identity.bytes, sizeof identity.bytes)];
  if (!clique) clique = std::make_shared<Clique>(), clique->ranks.resize(size_t(ranks));
  if (clique->ranks.size() != size_t(ranks) || clique->ranks[size_t(rank)]) return kWrongUse;
  *out = clique->ranks[size_t(rank)] = new Communicator{clique, rank, call.context->device, {}};
  return kFine;
}
EMULATED_API int ncclCommInitAll(Communicator** out, int count, const int* devices) {
  EMULATED_CALL();
  auto clique = std::make_shared<Clique>();
  for (int rank = 0; rank < count; ++rank) {
    for (int other = 0; other < rank; ++other)
      if (devices[other] == devices[rank]) return kWrongUse;
    clique->ranks.push_back(out[rank] = new Communicator{clique, rank, devices[rank], {}});
  }
  return kFine;
}
EMULATED_API int ncclCommDestroy(Communicator* c) {
  EMULATED_CALL();
  c->clique->ranks[size_t(c->rank)] = nullptr;
  delete c;
  return kFine;
}
EMULATED_API int ncclCommCount(Communicator* c, int* count) {
  *count = int(c->clique->ranks.size());
  return kFine;
}
EMULATED_API int ncclGroupStart() {
  EMULATED_CALL();
  ++open_groups;
  return kFine;
}
EMULATED_API int ncclGroupEnd() {
  EMULATED_CALL();
  if (open_groups == 0) return kWrongUse;
  if (--open_groups > 0) return kFine;
  int status = kFine;
  for (const std::shared_ptr<Clique>& clique : std::exchange(touched, {}))
    if (!status) status = perform_all(*clique);
  return status;
}

EMULATED_API int ncclAllReduce(const void* in, void* out, size_t count, int type, int op, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return request(call, c, {Request::kAllReduce, in, out, count, element_of(type), op, 0, {}}, s);
}
EMULATED_API int ncclReduce(const void* in, void* out, size_t count, int type, int op, int root, Communicator* c,
                            Stream* s) {
  EMULATED_CALL();
  return request(call, c, {Request::kReduce, in, out, count, element_of(type), op, root, {}}, s);
}
EMULATED_API int ncclBroadcast(const void* in, void* out, size_t count, int type, int root, Communicator* c,
                               Stream* s) {
  EMULATED_CALL();
  return request(call, c, {Request::kBroadcast, in, out, count, element_of(type), 0, root, {}}, s);
}
EMULATED_API int ncclAllGather(const void* in, void* out, size_t count, int type, Communicator* c, Stream* s) {
  EMULATED_CALL();
  return request(call, c, {Request::kAllGather, in, out, count, element_of(type), 0, 0, {}}, s);
}
EMULATED_API int ncclReduceScatter(const void* in, void* out, size_t count, int type, int op, Communicator* c,
                                   Stream* s) {
  EMULATED_CALL();
  return request(call, c, {Request::kReduceScatter, in, out, count, element_of(type), op, 0, {}}, s);
}
