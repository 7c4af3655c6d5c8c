# Fails if objects for an instruction set define functions that the linker may use elsewhere. Note [One definition]
# cmake -D NM=nm -D OBJECTS=<file with their paths> -D ISA=avx512 -P flambeau-check-kernels.cmake
file(STRINGS ${OBJECTS} objects REGEX "\\.(o|obj)$") # without precompiled headers
# Not every nm can demangle the names of all compilers: mangled names are checked, and demangled names are shown.
execute_process(COMMAND ${NM} --defined-only --no-sort ${objects} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND ${NM} --defined-only --no-sort --demangle ${objects} OUTPUT_VARIABLE texts
                COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]* W [^\n]*" weak "${symbols}")
string(REGEX MATCHALL "[^\n]* W [^\n]*" texts "${texts}")
set(shared "")
string(LENGTH ${ISA} length) # mangled names contain the length of each namespace
foreach(symbol text IN ZIP_LISTS weak texts)
  if(NOT symbol MATCHES "${length}${ISA}|__clang_call_terminate")
    string(REGEX REPLACE "^[^ ]* W " "  " text "${text}")
    list(APPEND shared "${text}")
  endif()
endforeach()
list(REMOVE_DUPLICATES shared)
if(shared)
  list(JOIN shared "\n" shared)
  message(FATAL_ERROR "Kernel sources compiled for ${ISA} define functions that the linker may use in code for every "
                      "processor. Use plain loops and arrays, or put the function into namespace FLAMBEAU_ISA:\n"
                      "${shared}")
endif()
