# Fails if objects for an instruction set define functions that the linker may use elsewhere. Note [One definition]
# cmake -D NM=nm -D OBJECTS=<file with their paths> -D ISA=avx512 -P flambeau-check-kernels.cmake
file(STRINGS ${OBJECTS} objects REGEX "\\.(o|obj)$") # without precompiled headers
execute_process(COMMAND ${NM} --defined-only ${objects} OUTPUT_VARIABLE symbols COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "[^\n]* W [^\n]*" weak "${symbols}")
set(shared "")
# Mangled names contain the length of each namespace. Not every nm can demangle the names of all compilers.
string(LENGTH ${ISA} length)
foreach(symbol IN LISTS weak)
  if(NOT symbol MATCHES "${length}${ISA}|__clang_call_terminate")
    string(REGEX REPLACE "^[^ ]* W " "  " symbol "${symbol}")
    list(APPEND shared "${symbol}")
  endif()
endforeach()
list(REMOVE_DUPLICATES shared)
if(shared)
  list(JOIN shared "\n" shared)
  message(FATAL_ERROR "Kernel sources compiled for ${ISA} define functions that the linker may use in code for every "
                      "processor. Use plain loops and arrays, or put the function into namespace FLAMBEAU_ISA:\n"
                      "${shared}")
endif()
