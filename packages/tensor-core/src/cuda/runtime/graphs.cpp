// CUDA graphs of captured work, and the random numbers that the work draws.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/random.h"
#include "cuda/runtime/allocator.h"
#include "cuda/runtime/devices.h"

#include "flambeau/interpreter.h"
#include "flambeau/pytorch_stream.h"

namespace flambeau::cuda {

// Note [Numbers in graphs]
// Each replay draws the random numbers that the work would draw if it ran at that time. The arguments of a captured
// kernel contain the offset of its numbers within the numbers of the graph. The start of the graph's numbers is the
// state of the generator, which the kernel reads from GPU memory. launch_graph writes this state on the stream of the
// replay, after the previous replay, which may be on another stream, and then advances the generator by the numbers of
// the whole graph. A derivative that draws numbers again reads the same memory, even in another graph. The memory is
// allocated before the capture begins: if it had belonged to a temporary tensor, each replay would overwrite it. The
// capture does not advance the generator, because it draws nothing. An activation checkpoint, which recomputes the
// inputs of its derivative, stores its offset within the numbers of the graph (RandomPosition) and draws from this
// offset. These numbers are not counted again.
struct NumbersOfGraph {
  Generator* generator;  // null for the default generator
  uint64_t settings;     // number of times that the generator's state had been set when the capture began
  int64_t groups;        // number of groups that a replay draws
  Tensor start;          // on the GPU: the generator's seed and offset at which a replay begins
  Generator& source() const { return generator ? *generator : default_generator(); }
};

struct Graph {
  int device;
  StreamHandle* stream;
  int64_t pool = 0;
  unsigned long long capture = 0;  // the driver's number of the capture
  GraphExecutableHandle* executable = nullptr;
  EventHandle* launched = nullptr;  // an event after the last launch; the driver runs launches in order
  std::vector<NumbersOfGraph> numbers{};
  std::vector<Ref<Storage>> pinned{};  // host memory that each replay reads or writes
};

namespace {

std::mutex mutex;
std::vector<Graph*> graphs;    // all graphs that exist
std::vector<Graph*> captures;  // graphs whose capture is in progress

// Python represents graphs by integers. Raises an error for an integer that is not the address of a graph.
void require_graph(const Graph* graph) {
  const std::lock_guard lock(mutex);
  require<ValueError>(std::find(graphs.begin(), graphs.end(), graph) != graphs.end(),
                      "expected a CUDA graph that has not been destroyed");
}

void add_generator(Graph* graph, Generator* generator) {
  const OnDevice scope{Device(DeviceType::Cuda, graph->device)};
  const uint64_t settings = (generator ? *generator : default_generator()).settings();
  graph->numbers.push_back({generator, settings, 0, empty({2}, Dtype::uint64)});
}

// Returns the graph that captures this thread's work on the GPU, even if the current stream has only joined the
// capture. Returns null if no graph captures the work.
Graph* current_graph(int device) {
  StreamHandle* stream = current_stream(device);
  const std::lock_guard lock(mutex);
  if (captures.empty() || !stream) return nullptr;
  const CaptureStatus now = capture_status(device, stream);
  const auto found = std::find_if(captures.begin(), captures.end(),
                                  [&](const Graph* g) { return now.status && g->capture == now.number; });
  return found == captures.end() ? nullptr : *found;
}

// Returns the default generator's numbers in the capture of this thread, or null outside captures.
NumbersOfGraph* captured_numbers() {
  {
    const std::lock_guard lock(mutex);
    if (captures.empty()) return nullptr;
  }
  Graph* graph = current_graph(current_device());
  if (!graph) return nullptr;
  const auto n = std::find_if(graph->numbers.begin(), graph->numbers.end(),
                              [](const NumbersOfGraph& each) { return &each.source() == &default_generator(); });
  return n == graph->numbers.end() ? nullptr : &*n;
}

// Random numbers that the thread draws again. If they were drawn during the capture of a graph, `start` contains the
// seed and offset at which a replay begins. Otherwise it is undefined.
struct RepeatedDraws {
  bool is_active = false;
  Tensor start{};
  uint64_t offset = 0;
};
thread_local RepeatedDraws repeated;

void move_generator(const RandomPosition& position) {
  Generator& g = default_generator();
  if (position.stream) g.set_pytorch_stream(std::make_unique<PyTorchStream>(*position.stream));
  if (g.seed() == position.seed)
    // Unlike set_state(), this call is not reported by require_unset().
    g.reserve(int64_t(position.offset - g.offset()));
  else
    g.set_state(position.seed, position.offset);
}

// Writes the numbers to the tensor with memset commands, which contain the values. A copy command would read host
// memory later, so this memory would have to exist until then.
void write_numbers(const Driver& d, const Tensor& to, std::initializer_list<uint64_t> numbers, StreamHandle* stream) {
  auto address = DevicePointer(to.device_bytes());
  for (const uint64_t number : numbers)
    for (const uint64_t half : {number, number >> 32}) {  // the lower half is written first
      check(d.cuMemsetD32Async(address, unsigned(half), 1, stream), "setting the random number offsets of a graph");
      address += sizeof(unsigned);
    }
}

void require_unset(const NumbersOfGraph& n) {
  require(n.source().settings() == n.settings,
          "a generator was seeded, or its state was set, during the capture of a CUDA graph that uses it. Do this "
          "before the capture or before a replay: each replay continues from the current state of the generator");
}

}  // namespace

DrawPosition take_groups(Generator* generator, int64_t groups, const Tensor& t) {
  Generator& g = generator ? *generator : default_generator();
  if (repeated.is_active && runs_on_gpu(t) && &g == &default_generator()) {
    if (repeated.start.defined())
      return {0, std::exchange(repeated.offset, repeated.offset + uint64_t(groups)), repeated.start};
    return {g.seed(), g.reserve(groups), {}};
  }
  Graph* graph = runs_on_gpu(t) ? current_graph(t.device().index) : nullptr;
  if (!graph) return {g.seed(), g.reserve(groups), {}};
  const auto n = std::find_if(graph->numbers.begin(), graph->numbers.end(),
                              [&](const NumbersOfGraph& each) { return &each.source() == &g; });
  require(n != graph->numbers.end(),
          "a generator that is not registered with the CUDA graph was used during its capture: call "
          "CUDAGraph.register_generator_state(generator) before the capture");
  require_unset(*n);
  return {0, uint64_t(std::exchange(n->groups, n->groups + groups)), n->start};
}

}  // namespace flambeau::cuda

namespace flambeau {

RandomPosition random_position() {
  using cuda::repeated;
  const Generator& g = default_generator();
  const PyTorchStream* const own = g.pytorch_stream();
  auto stream = own ? std::make_shared<const PyTorchStream>(*own) : nullptr;
  if (repeated.is_active) return {g.seed(), g.offset(), repeated.start, repeated.offset, true, std::move(stream)};
  if (const cuda::NumbersOfGraph* n = cuda::captured_numbers())
    return {g.seed(), g.offset(), n->start, uint64_t(n->groups), false, std::move(stream)};
  return {g.seed(), g.offset(), {}, 0, false, std::move(stream)};
}
void repeat_random_numbers(const RandomPosition& position) {
  cuda::move_generator(position);
  cuda::repeated = {true, position.start, position.from_start};
}
void restore_random_position(const RandomPosition& position) {
  cuda::move_generator(position);
  cuda::repeated =
      position.is_repeated ? cuda::RepeatedDraws{true, position.start, position.from_start} : cuda::RepeatedDraws{};
}

}  // namespace flambeau

namespace flambeau::cuda {

Graph* begin_capture(int device, StreamHandle* stream) {
  constexpr int kRelaxed = 2;  // capture mode that permits allocations and other calls during the capture
  require(stream,
          "CUDA graphs must be captured on a non-default stream; use flambeau.cuda.graph or flambeau.cuda.stream");
  auto graph = std::make_unique<Graph>(Graph{device, stream});
  add_generator(graph.get(), nullptr);  // this allocates memory: if it fails, no capture has begun
  check(activate(device).cuStreamBeginCapture_v2(stream, kRelaxed), "starting to capture a graph");
  graph->capture = capture_status(device, stream).number;
  graph->pool = begin_pool(device, graph->capture);
  const std::lock_guard lock(mutex);
  graphs.push_back(graph.get());
  captures.push_back(graph.get());
  return graph.release();
}
void register_generator(Graph* graph, Generator* generator) {
  require_graph(graph);
  add_generator(graph, generator);
}
void end_capture(Graph* graph) {
  require_graph(graph);
  {
    const std::lock_guard lock(mutex);
    std::erase(captures, graph);
  }
  const Driver& d = activate(graph->device);
  GraphHandle* captured = nullptr;
  int code = d.cuStreamEndCapture(graph->stream, &captured);
  end_pool(graph->device, graph->capture);
  check(code, "capturing a graph");
  code = d.cuGraphInstantiateWithFlags(&graph->executable, captured, 0);
  check(d.cuGraphDestroy(captured), "destroying a graph");
  check(code, "instantiating a graph");
  for (const NumbersOfGraph& n : graph->numbers)
    if (n.groups) require_unset(n);
}
void launch_graph(Graph* graph) {
  require_graph(graph);
  StreamHandle* stream = current_stream(graph->device);
  const Driver& d = activate(graph->device);
  const auto draws = [](const NumbersOfGraph& n) { return n.groups > 0; };
  if (std::any_of(graph->numbers.begin(), graph->numbers.end(), draws)) {
    require(!is_capturing(graph->device, stream),
            "a CUDA graph that generates random numbers cannot be replayed during the capture of another graph");
    if (graph->launched) wait_event(graph->device, stream, graph->launched);
  }
  for (const NumbersOfGraph& n : graph->numbers) {
    if (!draws(n)) continue;
    Generator& g = n.source();
    const uint64_t seed = g.seed();
    write_numbers(d, n.start, {seed, g.reserve(n.groups)}, stream);
  }
  check(d.cuGraphLaunch(graph->executable, stream), "launching a graph");
  if (stream && is_capturing(graph->device, stream)) return;  // the graph is captured as part of another graph
  if (!graph->launched) graph->launched = create_event(graph->device, false);
  record_event(graph->device, graph->launched, stream);
}
void destroy_graph(Graph* graph) {
  require_graph(graph);
  // Raises an error in a forked process, because the graph belongs to the parent.
  const Driver& d = activate(graph->device);
  {
    const std::lock_guard lock(mutex);
    std::erase(graphs, graph);
  }
  const std::unique_ptr<Graph> ended(graph);
  int code = 0;
  if (graph->launched) {  // wait for the last launch, because the next user of the memory may use another stream
    const GilRelease release(GilRelease::Wait);
    code = d.cuEventSynchronize(graph->launched);
    d.cuEventDestroy_v2(graph->launched);
  }
  if (graph->executable && !code) code = d.cuGraphExecDestroy(graph->executable);
  release_pool(graph->device, graph->pool);
  check(code, "destroying a graph");
}
void keep_in_graph(const Ref<Storage>& storage, int device) {
  // If another library began the capture, the end of its graph is unknown.
  static auto* const forever = new std::vector<Ref<Storage>>;
  Graph* const graph = current_graph(device);
  const std::lock_guard lock(mutex);
  (graph ? graph->pinned : *forever).push_back(storage);
}
void require_no_capture(int device, StreamHandle* stream) {
  require(!stream || !is_capturing(device, stream), OnDevice::operation(),
          ": copying to the GPU from memory that is not pinned is not permitted when stream is capturing");
}
bool is_capturing(int device, StreamHandle* stream) { return capture_status(device, stream).status != 0; }

}  // namespace flambeau::cuda
