// Heartbeats, which show a server that a process is alive. Internal to flambeau.distributed.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

namespace flambeau::distributed {

// A thread that writes a line feed to a socket at regular intervals. It does not need the GIL, so a process that is
// busy in native code also counts as alive.
class Heartbeat {
 public:
  // The caller may close the socket, because the thread writes to a duplicate of the descriptor.
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
