// Signs of life of a process. Internal to flambeau.distributed.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace flambeau::distributed {

// A thread that writes a line feed to a socket at intervals. It needs no lock of Python's, so that a process which is
// busy in native code counts as alive.
class Heartbeat {
 public:
  // The socket may be closed meanwhile: the thread writes to a copy of its descriptor.
  Heartbeat(int socket, double seconds);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;
  int descriptor() const { return descriptor_; }

 private:
  void run(double seconds);

  int descriptor_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace flambeau::distributed
