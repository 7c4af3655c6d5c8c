// The emulated NVRTC: kernels are compiled for the host by g++.
#include <dlfcn.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "image.h"
#include "state.h"

extern char** environ;

using namespace emulated;

namespace {

enum Result { kDone, kNoMemory, kProgramCreation, kInvalidInput, kInvalidProgram, kInvalidOption, kCompilation };
constexpr const char* kTexts[] = {
    "NVRTC_SUCCESS",
    "NVRTC_ERROR_OUT_OF_MEMORY",
    "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
    "NVRTC_ERROR_INVALID_INPUT",
    "NVRTC_ERROR_INVALID_PROGRAM",
    "NVRTC_ERROR_INVALID_OPTION",
    "NVRTC_ERROR_COMPILATION",
    "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE",
};
constexpr int kArchitectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

struct Program {
  std::string source, name, log, image, ptx;
  std::map<std::string, std::string> headers;
};

Handles<Program>& programs() {
  static auto* programs = new Handles<Program>;
  return *programs;
}

int counted(const char* function) {
  const std::lock_guard lock(state().mutex);
  return count_call(function);
}
#define COUNT_CALL \
  if (const int error = counted(__func__)) return error

std::shared_ptr<Program> find(Program* handle) {
  const std::lock_guard lock(state().mutex);
  return programs().find(handle);
}
#define FIND_PROGRAM                 \
  COUNT_CALL;                        \
  const auto program = find(handle); \
  if (!program) return kInvalidProgram

int generation() {
  const char* text = std::getenv("FLAMBEAU_EMULATED_NVRTC");
  return text && *text ? std::atoi(text) : 13;
}

std::string read(const std::filesystem::path& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// Returns the folder of this library, which also contains the prelude.
std::filesystem::path own_folder() {
  Dl_info information;
  dladdr(reinterpret_cast<void*>(own_folder), &information);
  return std::filesystem::path(information.dli_fname).parent_path();
}

class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "emulated-XXXXXX").string();
    if (!mkdtemp(name.data())) throw std::filesystem::filesystem_error("mkdtemp", std::error_code());
    path = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

// Runs a command and returns its exit status. Its output is written to the file `log`.
int run_command(const std::vector<std::string>& command, const std::filesystem::path& log) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  pid_t child;
  int status = -1;
  if (posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ) == 0) waitpid(child, &status, 0);
  posix_spawn_file_actions_destroy(&actions);
  return status;
}

// Translates NVRTC's options to those of the host compiler. Returns false for an unknown architecture. The include
// folder with stand-ins for standard headers is omitted, because the host compiler has these headers.
bool translate(int count, const char* const* options, std::vector<std::string>& command, std::string& log) {
  for (int i = 0; i < count; ++i) {
    std::string option = options[i];
    if ((option == "-I" || option == "-D" || option == "-arch" || option == "-std") && i + 1 < count)
      option += (option.size() > 2 ? "=" : "") + std::string(options[++i]);
    const auto value = [&] { return option.substr(option.find('=') + 1); };
    if (option.starts_with("--include-path=")) option = "-I" + value();
    if (option.starts_with("--define-macro=")) option = "-D" + value();
    if (option.starts_with("--gpu-architecture=") || option.starts_with("-arch=")) {
      const std::string number = value().substr(value().find('_') + 1);
      if (!std::count(std::begin(kArchitectures), std::end(kArchitectures), std::atoi(number.c_str()))) {
        log = "nvrtc: error: invalid value for --gpu-architecture (-arch)\n";
        return false;
      }
      command.push_back("-D__CUDA_ARCH__=" + number + "0");
    } else if (option == "--fmad=false" || option == "-fmad=false") {
      command.push_back("-ffp-contract=off");
    } else if (option.starts_with("-I")) {
      if (std::filesystem::path(option.substr(2)).filename() != "standard") command.push_back(option);
    } else if (option.starts_with("-D")) {
      command.push_back(option);
    }
  }
  return true;
}

}  // namespace

EMULATED_API const char* nvrtcGetErrorString(int result) {
  return result >= 0 && result < int(std::size(kTexts)) ? kTexts[result] : "NVRTC_ERROR unknown";
}

EMULATED_API int nvrtcVersion(int* major, int* minor) {
  COUNT_CALL;
  *major = generation(), *minor = 9;
  return kDone;
}

EMULATED_API int nvrtcGetNumSupportedArchs(int* count) {
  COUNT_CALL;
  *count = int(std::size(kArchitectures));
  return kDone;
}

EMULATED_API int nvrtcGetSupportedArchs(int* architectures) {
  COUNT_CALL;
  std::copy(std::begin(kArchitectures), std::end(kArchitectures), architectures);
  return kDone;
}

EMULATED_API int nvrtcCreateProgram(Program** handle, const char* source, const char* name, int header_count,
                                    const char* const* headers, const char* const* include_names) {
  COUNT_CALL;
  if (!handle || !source || header_count < 0) return kInvalidInput;
  auto program = std::make_shared<Program>();
  program->source = source;
  program->name = name && *name ? name : "default_program";
  for (int i = 0; i < header_count; ++i) program->headers[include_names[i]] = headers[i];
  const std::lock_guard lock(state().mutex);
  *handle = programs().add(program);
  return kDone;
}

EMULATED_API int nvrtcDestroyProgram(Program** handle) {
  COUNT_CALL;
  const std::lock_guard lock(state().mutex);
  if (!handle || !programs().remove(*handle)) return kInvalidProgram;
  *handle = nullptr;
  return kDone;
}

EMULATED_API int nvrtcCompileProgram(Program* handle, int count, const char* const* options) {
  FIND_PROGRAM;
  const TemporaryFolder folder;
  const auto source = folder.path / "kernel.cpp", object = folder.path / "kernel.o",
             library = folder.path / "kernel.so", log = folder.path / "log";
  // The first options must be those of the precompiled prelude (build.py).
  std::vector<std::string> command = {"g++", EMULATED_KERNEL_OPTIONS, "-c"};
  command.insert(command.end(), {"-include", own_folder() / "emulation.h", "-I" + folder.path.string()});
  if (!translate(count, options, command, program->log)) return kInvalidOption;
  // g++ fuses products and sums only with this option. It makes compilation a third slower and excludes the precompiled
  // prelude, so it is used only for kernels whose accuracy may depend on fused operations.
  if (program->source.find("attention") != std::string::npos) command.push_back("-fexpensive-optimizations");
  for (const auto& [name, text] : program->headers) {
    std::filesystem::create_directories((folder.path / name).parent_path());
    std::ofstream(folder.path / name) << text;
  }
  std::ofstream(source) << "#line 1 \"" << program->name << "\"\n" << program->source << "\n";
  command.insert(command.end(), {source, "-o", object});
  int status = run_command(command, log);
  program->log = read(log);
  if (status != 0) return kCompilation;
  status = run_command({command[0], "-shared", "-Wl,-Bsymbolic", object, "-o", library}, log);
  program->log += read(log);
  if (status != 0) return kCompilation;
  program->image = make_image(read(library), generation());
  program->ptx = "// emulated\n";
  return kDone;
}

EMULATED_API int nvrtcGetProgramLogSize(Program* handle, size_t* bytes) {
  FIND_PROGRAM;
  *bytes = program->log.size() + 1;
  return kDone;
}

EMULATED_API int nvrtcGetProgramLog(Program* handle, char* log) {
  FIND_PROGRAM;
  std::copy_n(program->log.c_str(), program->log.size() + 1, log);
  return kDone;
}

EMULATED_API int nvrtcGetCUBINSize(Program* handle, size_t* bytes) {
  FIND_PROGRAM;
  *bytes = program->image.size();
  return kDone;
}

EMULATED_API int nvrtcGetCUBIN(Program* handle, char* image) {
  FIND_PROGRAM;
  std::copy(program->image.begin(), program->image.end(), image);
  return kDone;
}

EMULATED_API int nvrtcGetPTXSize(Program* handle, size_t* bytes) {
  FIND_PROGRAM;
  *bytes = program->ptx.size() + 1;
  return kDone;
}

EMULATED_API int nvrtcGetPTX(Program* handle, char* text) {
  FIND_PROGRAM;
  std::copy_n(program->ptx.c_str(), program->ptx.size() + 1, text);
  return kDone;
}
