#error "flambeau compiles C++ extensions for the CPU only: build without the CUDA sources (CppExtension, WITH_CUDA off)"
