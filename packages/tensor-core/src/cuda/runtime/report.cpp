#include "cuda/runtime/report.h"

#include <deque>
#include <map>
#include <mutex>

#include "cuda/runtime/devices.h"
#include "tasks/sample_errors.h"

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

Report* pinned_report(int device) {  // in pinned memory, to which the GPU writes directly
  void* memory = nullptr;
  // The flags 3 mean portable and mapped.
  check(activate(device).cuMemHostAlloc(&memory, sizeof(Report), 3), "allocating pinned memory");
  return new (memory) Report{};
}

template <class E = Error, class... Parts>
[[noreturn]] void raise_found(const std::string& operation, int device, const Parts&... parts) {
  detail::raise<E>(operation, ": ", parts..., " (detected on GPU ", device, " in an earlier asynchronous call)");
}

}  // namespace

Reporter reporter(int device) {
  Reports& r = reports();
  const std::lock_guard lock(r.mutex);
  Report*& report = r.of_device[device];
  if (!report) report = pinned_report(device);
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
    if (!report || __atomic_load_n(&report->state, __ATOMIC_ACQUIRE) != 2) return;
    found = *report;
    operation = r.operations[size_t(found.operation)];
    __atomic_store_n(&report->state, 0, __ATOMIC_RELEASE);
  }
  switch (found.fault) {
    case Fault::Index:
      raise_found<IndexError>(operation, device, "index ", found.first, " is out of bounds for dimension with size ",
                              found.second);
    case Fault::Probability:
      raise_found(operation, device, WrongProbability{});
    case Fault::Rate:
      raise_found(operation, device, WrongRate{found.value});
    case Fault::Weight:
      raise_found(operation, device, WrongWeight{found.first, found.second, found.value});
    case Fault::Distribution:
      raise_found(operation, device, WrongDistribution{found.first});
  }
}

}  // namespace flambeau::cuda
