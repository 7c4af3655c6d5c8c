# Compiles kernel sources once for each instruction set; the set is selected at load. This file is used for flambeau's
# kernels and for those of extensions:
#
#   flambeau_add_kernels(<target> <source>...)
#
# Note [One definition]
# Code compiled for AVX-512 runs only on processors with AVX-512. If several objects define the same function (a template
# or an inline function that was not inlined), the linker keeps one definition, from any of them. If it keeps the one
# compiled for AVX-512, code for every processor calls it. Therefore a kernel source defines functions in the namespace
# FLAMBEAU_ISA only, inlines all others (FLAMBEAU_INLINE), and does not use containers of the C++ standard library. The
# build checks the objects with nm and fails otherwise.
include_guard()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  # For work on kernels, -DFLAMBEAU_INSTRUCTION_SETS=avx512 (or an empty list) saves up to two thirds of their compile
  # time.
  set(FLAMBEAU_INSTRUCTION_SETS avx2 avx512 CACHE STRING "Built beside the baseline, where the processor has them")
else()
  set(FLAMBEAU_INSTRUCTION_SETS "")
endif()
set(FLAMBEAU_SET_DEFINITIONS "")
foreach(isa IN LISTS FLAMBEAU_INSTRUCTION_SETS)
  string(TOUPPER FLAMBEAU_${isa} isa)
  list(APPEND FLAMBEAU_SET_DEFINITIONS ${isa})
endforeach()
set(FLAMBEAU_OPTIONS_baseline "")
set(FLAMBEAU_OPTIONS_avx2 -mavx2 -mfma -mbmi2 -mf16c -mtune=haswell)
set(FLAMBEAU_OPTIONS_avx512 -mavx2 -mfma -mbmi2 -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl
                            -mtune=skylake-avx512 -mprefer-vector-width=512)
set(FLAMBEAU_OPTIONS_avx512bf16 ${FLAMBEAU_OPTIONS_avx512} -mavx512bf16)
set(FLAMBEAU_OPTIONS_amx ${FLAMBEAU_OPTIONS_avx512} -mamx-tile -mamx-bf16)
# Note [Alignment of loops]
# The loop of a simple row has 30 to 50 bytes. If it crosses a line of 64 bytes, the processor fetches it from two lines,
# and takes up to twice as long for operands in the first-level cache. GCC aligns loops to 16 bytes, so that each change
# elsewhere in a file decides which ones cross a line. Aligning all of them to 64 bytes would make the library a tenth
# larger. Therefore only loops in the second half of a line move to the next line; the others are aligned to 16 bytes.
set(FLAMBEAU_LOOP_ALIGNMENT $<$<CXX_COMPILER_ID:GNU>:-falign-loops=64:33:16>)
# Up to 15 elements at the end do not fill a vector. Without this option GCC unrolls the loop over them completely, and
# the copies of its body are a third of the code of rows for bytes.
set(FLAMBEAU_SHORT_LOOPS $<$<CXX_COMPILER_ID:GNU>:--param=max-completely-peel-times=8>)
# Disables two passes that turn selections into branches, which GCC does not vectorise.
set(FLAMBEAU_SELECTING_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fno-thread-jumps> $<$<CXX_COMPILER_ID:GNU>:-fno-tree-pre>
                               ${FLAMBEAU_SHORT_LOOPS})
# Alternates the instructions of several vectors, which a processor then computes in parallel: up to 5 % faster in half
# precision.
set(FLAMBEAU_EXTENSION_OPTIONS $<$<CXX_COMPILER_ID:GNU>:-fschedule-insns>)
# Declares lgamma_r on macOS.
set(FLAMBEAU_MATH_DEFINITIONS $<$<PLATFORM_ID:Darwin>:_REENTRANT>)
set(FLAMBEAU_CHECK_KERNELS ${CMAKE_CURRENT_LIST_DIR}/flambeau-check-kernels.cmake)

# Compile kernel sources for one instruction set and add the objects to a target. They form the object library `name`,
# to which the caller can add options.
function(flambeau_add_kernel_objects target name isa)
  add_library(${name} OBJECT ${ARGN})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
                                           VISIBILITY_INLINES_HIDDEN ON)
  target_compile_definitions(${name} PRIVATE FLAMBEAU_ISA=${isa} ${FLAMBEAU_MATH_DEFINITIONS})
  target_compile_options(
    ${name} PRIVATE $<$<NOT:$<CONFIG:Debug>>:-O3> -Wall -Wextra -Wno-psabi -fwrapv -fno-math-errno -fno-trapping-math
                    -ffp-contract=fast ${FLAMBEAU_LOOP_ALIGNMENT} ${FLAMBEAU_OPTIONS_${isa}})
  target_sources(${target} PRIVATE $<TARGET_OBJECTS:${name}>)
  # Debug builds are not checked, because they inline nothing.
  if(CMAKE_NM AND NOT isa STREQUAL "baseline" AND NOT CMAKE_BUILD_TYPE STREQUAL "Debug")
    set(objects ${CMAKE_CURRENT_BINARY_DIR}/${name}.objects)
    file(GENERATE OUTPUT ${objects} CONTENT "$<JOIN:$<TARGET_OBJECTS:${name}>,\n>\n")
    add_custom_command(TARGET ${target} PRE_LINK VERBATIM
                       COMMAND ${CMAKE_COMMAND} -D NM=${CMAKE_NM} -D OBJECTS=${objects} -D ISA=${isa}
                               -P ${FLAMBEAU_CHECK_KERNELS})
  endif()
endfunction()

# Compile kernel sources of an extension for each instruction set and add them to a target.
function(flambeau_add_kernels target)
  foreach(isa IN LISTS FLAMBEAU_INSTRUCTION_SETS ITEMS baseline)
    set(name ${target}-kernels-${isa})
    flambeau_add_kernel_objects(${target} ${name} ${isa} ${ARGN})
    target_link_libraries(${name} PRIVATE flambeau::tensor-core)
    target_compile_options(${name} PRIVATE ${FLAMBEAU_SELECTING_OPTIONS} ${FLAMBEAU_EXTENSION_OPTIONS})
    if(isa STREQUAL "baseline") # the baseline's code selects the instruction set
      target_compile_definitions(${name} PRIVATE FLAMBEAU_BASELINE ${FLAMBEAU_SET_DEFINITIONS})
    endif()
  endforeach()
endfunction()
