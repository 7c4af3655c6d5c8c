// Collective operations of several GPUs through NCCL, which is opened at run time if it is installed.
#pragma once

#include <string>
#include <vector>

#include "flambeau/cuda.h"
#include "flambeau/tensor.h"

namespace flambeau::cuda {

struct CommunicatorHandle;  // ncclComm_t: one rank of an NCCL communicator

FLAMBEAU_API int nccl_version();  // 22703 is NCCL 2.27.3; 0 if it is not installed

// Returns the communicators of all ranks of a group of this process's GPUs, in the order of the ranks. They are created
// once and cached.
FLAMBEAU_API const std::vector<CommunicatorHandle*>& communicators(const std::vector<int>& devices);
// For a group of several processes, one process creates the identity. Every rank creates its communicator with this
// identity. The creation waits for the other ranks.
FLAMBEAU_API std::string make_communicator_identity();
FLAMBEAU_API CommunicatorHandle* create_communicator(int device, const std::string& identity, int ranks, int rank);
FLAMBEAU_API void destroy_communicator(int device, CommunicatorHandle* communicator);

enum class Collective { AllReduce, Reduce, Broadcast, AllGather, ReduceScatter };

// The input and output of one rank, on a stream of its GPU.
struct Participant {
  CommunicatorHandle* communicator;
  StreamHandle* stream;
  Tensor input, output;  // contiguous, of one dtype; ranks without a result set output to input
};
// `reduction` is NCCL's number of the operation: 0 sum, 1 product, 2 maximum, 3 minimum, 4 mean. AllGather and
// ReduceScatter divide the larger of the two tensors evenly among the ranks.
FLAMBEAU_API void collect(Collective collective, int reduction, int root, const std::vector<Participant>& participants);

// A tensor that one rank sends to another or receives from it: contiguous, of any dtype.
struct Message {
  Tensor tensor;
  int peer;
  bool sent;
};
// Exchanges messages of one rank concurrently, so that no message waits for another message. For each pair of ranks,
// one must receive the messages in the order in which the other sends them.
FLAMBEAU_API void exchange(CommunicatorHandle* communicator, StreamHandle* stream,
                           const std::vector<Message>& messages);

}  // namespace flambeau::cuda
