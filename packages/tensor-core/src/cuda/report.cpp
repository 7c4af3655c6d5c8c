#include "cuda/report.h"

#include <deque>
#include <map>
#include <mutex>

#include "cuda/devices.h"

namespace flambeau::cuda {

namespace {

struct Reports {
  std::mutex mutex;
  Report* of_device[kMaxDevices] = {};
  std::deque<std::string> operations;
  std::map<std::string, int, std::less<>> numbers;
};
Reports& reports() {
  static Reports* once = new Reports;
  return *once;
}

Report* room(int device) {  // pinned, so that the GPU writes where the host reads
  void* memory = nullptr;
  check(activate(device).cuMemHostAlloc(&memory, sizeof(Report), 3), "allocating pinned memory");  // portable, mapped
  return new (memory) Report{};
}

}  // namespace

Reporter reporter(int device) {
  Reports& r = reports();
  const std::lock_guard lock(r.mutex);
  Report*& report = r.of_device[device];
  if (!report) report = room(device);
  const std::string_view operation = OnDevice::operation();
  auto found = r.numbers.find(operation);
  if (found == r.numbers.end()) {
    found = r.numbers.emplace(operation, int(r.operations.size())).first;
    r.operations.emplace_back(operation);
  }
  return {report, found->second};
}

void raise_reports(int device) {
  Reports& r = reports();
  Report found;
  std::string operation;
  {
    const std::lock_guard lock(r.mutex);
    Report* report = r.of_device[device];
    if (!report || !__atomic_load_n(&report->taken, __ATOMIC_ACQUIRE)) return;
    found = *report;
    operation = r.operations[size_t(found.operation)];
    *report = Report{};
  }
  detail::raise<IndexError>(operation, ": index ", found.index, " is out of bounds for dimension with size ",
                            found.size, " (found on GPU ", device, ", by an earlier call)");
}

}  // namespace flambeau::cuda
