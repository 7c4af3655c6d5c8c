// Modules, functions and launches.
#include <dlfcn.h>
#include <link.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "image.h"
#include "state.h"

namespace emulated {

Module::~Module() {
  for (char* address : globals) context->memory.remove_variable(address);
  dlclose(library);
}

namespace {

// Copies an image to a file and checks it. Only the image itself states its size, so it is read by the system call
// write(), which returns an error for unmapped memory instead of crashing.
bool write_image(int file, const void* image) {
  char header[sizeof(Elf64_Ehdr)];
  const auto copy = [&](const void* from, size_t bytes) {
    return write(file, from, bytes) == ssize_t(bytes) && lseek(file, 0, SEEK_SET) == 0;
  };
  if (!copy(image, sizeof header) || read(file, header, sizeof header) != sizeof header) return false;
  const size_t bytes = library_bytes(header);
  lseek(file, 0, SEEK_SET);
  if (bytes < sizeof header || !copy(image, bytes + sizeof(ImageTrailer))) return false;
  std::string content(bytes + sizeof(ImageTrailer), 0);
  if (read(file, content.data(), content.size()) != ssize_t(content.size())) return false;
  for (int each = driver_generation(); each > 0; --each) {
    const ImageTrailer expected({content.data(), bytes}, each);
    if (std::memcmp(content.data() + bytes, &expected, sizeof expected) == 0) return true;
  }
  return false;
}

template <class T>
bool look_up(void* library, const char* name, T*& address) {
  address = static_cast<T*>(dlsym(library, name));
  return address != nullptr;
}

// Finds the address and the size of the library's thread-local variables for this thread.
bool find_shared_memory(void* library, ModuleVariables& variables) {
  variables.shared_memory = reinterpret_cast<void* (*)()>(dlsym(library, "emulated_shared_memory"));
  if (!variables.shared_memory) return false;
  char* some = static_cast<char*>(variables.shared_memory());
  char* start = nullptr;
  link_map* map = nullptr;
  if (dlinfo(library, RTLD_DI_TLS_DATA, &start) != 0 || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) return false;
  const auto* elf = reinterpret_cast<const ElfW(Ehdr)*>(map->l_addr);
  const auto* segments = reinterpret_cast<const ElfW(Phdr)*>(map->l_addr + elf->e_phoff);
  for (int i = 0; i < elf->e_phnum; ++i)
    if (segments[i].p_type == PT_TLS) variables.shared_bytes = segments[i].p_memsz;
  variables.shared_offset = size_t(some - start);
  return variables.shared_offset < variables.shared_bytes;
}

int load(const void* image, std::shared_ptr<Module>& module) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder ? folder : "/tmp") + "/emulated-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return kUnknown;
  void* library = write_image(file, image) ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
  close(file);
  unlink(path.c_str());
  if (!library) return kInvalidImage;
  module = std::make_shared<Module>(library);
  ModuleVariables& variables = module->variables;
  if (!look_up(library, "threadIdx", variables.thread_index) || !look_up(library, "blockIdx", variables.block_index) ||
      !look_up(library, "blockDim", variables.block_size) || !look_up(library, "gridDim", variables.grid_size) ||
      !look_up(library, "emulated_services", variables.services) || !find_shared_memory(library, variables))
    return kInvalidImage;
  *variables.services = &kServices;
  return kSuccess;
}

void run_kernel(Context& context, const Function& function, const void* arguments, dim3 grid, dim3 block) {
  const Access access(context.memory);
  const Failure failure = execute(*function.kernel, function.module->variables, arguments, grid, block);
  const std::string damage = context.memory.damage();
  if (failure.error)
    device_failure(context, failure.error, "kernel " + function.name + ": " + failure.message);
  else if (!damage.empty())
    device_failure(context, kIllegalAddress, "kernel " + function.name + ": " + damage);
}

bool within(dim3 size, dim3 limit) {
  return size.x && size.y && size.z && size.x <= limit.x && size.y <= limit.y && size.z <= limit.z;
}

}  // namespace
}  // namespace emulated

using namespace emulated;

EMULATED_API int cuModuleLoadData(Module** handle, const void* image) {
  EMULATED_CALL();
  if (!image) return kInvalidValue;
  std::shared_ptr<Module> module;
  if (const int error = load(image, module)) return error;
  module->context = call.context;
  *handle = state().modules.add(module);
  return kSuccess;
}

EMULATED_API int cuModuleUnload(Module* handle) {
  EMULATED_CALL();
  const auto module = state().modules.find(handle);
  if (!module) return kInvalidHandle;
  run_all(*module->context);
  std::vector<Function*> functions;
  for (const auto& [function_handle, function] : state().functions)
    if (function->module == module) functions.push_back(function_handle);
  for (Function* function : functions) state().functions.remove(function);
  state().modules.remove(handle);
  return kSuccess;
}

EMULATED_API int cuModuleGetFunction(Function** handle, Module* module_handle, const char* name) {
  EMULATED_CALL();
  const auto module = state().modules.find(module_handle);
  if (!module) return kInvalidHandle;
  for (const auto& [known_handle, known] : state().functions)
    if (known->module == module && known->name == name) {
      *handle = known_handle;
      return kSuccess;
    }
  const auto* kernel = static_cast<const Kernel*>(dlsym(module->library, name));
  if (!kernel) return kNotFound;
  *handle = state().functions.add(std::make_shared<Function>(module, kernel, name));
  return kSuccess;
}

EMULATED_API int cuModuleGetGlobal_v2(unsigned long long* address, size_t* bytes, Module* handle, const char* name) {
  EMULATED_CALL();
  const auto module = state().modules.find(handle);
  if (!module) return kInvalidHandle;
  auto* start = static_cast<char*>(dlsym(module->library, name));
  Dl_info information;
  const ElfW(Sym)* symbol = nullptr;
  if (!start ||
      !dladdr1(start, &information, const_cast<void**>(reinterpret_cast<const void**>(&symbol)), RTLD_DL_SYMENT))
    return kNotFound;
  module->context->memory.add_variable(start, symbol->st_size);
  module->globals.push_back(start);
  if (address) *address = reinterpret_cast<unsigned long long>(start);
  if (bytes) *bytes = symbol->st_size;
  return kSuccess;
}

EMULATED_API int cuFuncSetAttribute(Function* handle, int attribute, int value) {
  EMULATED_CALL();
  if (!state().functions.find(handle)) return kInvalidHandle;
  const bool settable = attribute == 8 || attribute == 9;  // dynamic shared memory, preferred share of the cache
  return settable && value <= 227 << 10 ? kSuccess : kInvalidValue;
}

EMULATED_API int cuFuncGetAttribute(int* value, int attribute, Function* handle) {
  EMULATED_CALL();
  const auto function = state().functions.find(handle);
  if (!function) return kInvalidHandle;
  switch (attribute) {
    case 0:
      *value = int(function->kernel->threads);
      return kSuccess;
    case 1:
      *value = int(function->module->variables.shared_bytes);  // shared memory of all kernels of the module together
      return kSuccess;
    case 2:
    case 3:
    case 7:
      *value = 0;  // constant memory, local memory
      return kSuccess;
    case 4:
      *value = 32;
      return kSuccess;  // registers per thread
    case 5:
    case 6:
      *value = 90;
      return kSuccess;
    case 8:
      *value = 48 << 10;
      return kSuccess;
    default:
      return kInvalidValue;
  }
}

EMULATED_API int cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* handle, int threads, size_t) {
  EMULATED_CALL();
  const auto function = state().functions.find(handle);
  if (!function) return kInvalidHandle;
  if (threads <= 0) return kInvalidValue;
  const bool possible = unsigned(threads) <= function->kernel->threads;
  *blocks = possible ? std::min(32, 2048 / ((threads + kWarpSize - 1) / kWarpSize * kWarpSize)) : 0;
  return kSuccess;
}

struct LaunchAttribute {
  int name, unused;
  int value, rest[15];
};
struct LaunchConfiguration {
  unsigned grid[3], block[3], shared_bytes;
  Stream* stream;
  const LaunchAttribute* attributes;
  unsigned attribute_count;
};

// The only attribute is the one that lets a kernel start before the previous one has ended. It has no effect here.
EMULATED_API int cuLaunchKernelEx(const LaunchConfiguration* launch, Function* handle, void** arguments, void** extra) {
  constexpr int kProgrammaticSerialization = 6;
  EMULATED_CALL();
  if (!launch) return kInvalidValue;
  for (unsigned i = 0; i < launch->attribute_count; ++i)
    if (launch->attributes[i].name != kProgrammaticSerialization || capability() < 90) return kInvalidValue;
  const auto function = state().functions.find(handle);
  const auto stream = find_stream(call, launch->stream);
  if (!function || !stream || stream->context != call.context || function->module->context != call.context)
    return kInvalidHandle;
  const dim3 grid(launch->grid[0], launch->grid[1], launch->grid[2]),
      block(launch->block[0], launch->block[1], launch->block[2]);
  if (!within(grid, {2147483647, 65535, 65535}) || !within(block, {1024, 1024, 64})) return kInvalidValue;
  if (block.x * block.y * block.z > function->kernel->threads) return kInvalidValue;
  if (launch->shared_bytes > 48 << 10 || !arguments || !arguments[0] || extra) return kInvalidValue;
  const auto* bytes = static_cast<const char*>(arguments[0]);
  const size_t words = (function->kernel->argument_bytes + 15) / 16;  // aligned for arguments of any type
  auto copy = std::shared_ptr<long double[]>(new long double[words]);
  std::memcpy(copy.get(), bytes, function->kernel->argument_bytes);
  return submit(stream, [context = stream->context, function, copy, grid, block] {
    run_kernel(*context, *function, copy.get(), grid, block);
  });
}
