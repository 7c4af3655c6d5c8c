// The driver's error codes that the emulation returns.
#pragma once

namespace emulated {

#define EMULATED_ERRORS(X)                                                                                \
  X(kSuccess, 0, "CUDA_SUCCESS", "no error")                                                              \
  X(kInvalidValue, 1, "CUDA_ERROR_INVALID_VALUE", "invalid argument")                                     \
  X(kOutOfMemory, 2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory")                                         \
  X(kNotInitialized, 3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error")                             \
  X(kNoDevice, 100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected")                         \
  X(kInvalidDevice, 101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal")                           \
  X(kInvalidImage, 200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid")                     \
  X(kInvalidContext, 201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context")                         \
  X(kInvalidHandle, 400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle")                          \
  X(kNotFound, 500, "CUDA_ERROR_NOT_FOUND", "named symbol not found")                                     \
  X(kNotReady, 600, "CUDA_ERROR_NOT_READY", "device not ready")                                           \
  X(kIllegalAddress, 700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered")       \
  X(kLaunchTimeout, 702, "CUDA_ERROR_LAUNCH_TIMEOUT", "the launch timed out and was terminated")          \
  X(kContextDestroyed, 709, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "context is destroyed")                    \
  X(kAssert, 710, "CUDA_ERROR_ASSERT", "device-side assert triggered")                                    \
  X(kIllegalInstruction, 715, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "an illegal instruction was encountered") \
  X(kMisalignedAddress, 716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address")                       \
  X(kLaunchFailed, 719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure")                         \
  X(kNotPermitted, 800, "CUDA_ERROR_NOT_PERMITTED", "operation not permitted")                            \
  X(kNotSupported, 801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported")                            \
  X(kCaptureUnsupported, 900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",                                    \
    "operation not permitted when stream is capturing")                                                   \
  X(kCaptureInvalidated, 901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",                                    \
    "operation failed due to a previous error during capture")                                            \
  X(kCaptureMerge, 902, "CUDA_ERROR_STREAM_CAPTURE_MERGE",                                                \
    "operation would result in a merge of separate capture sequences")                                    \
  X(kCaptureUnmatched, 903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",                                        \
    "capture was not ended in the same stream as it began")                                               \
  X(kCaptureUnjoined, 904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "capturing stream has unjoined work")    \
  X(kCaptureIsolation, 905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",                                        \
    "dependency created on uncaptured work in another stream")                                            \
  X(kCaptureImplicit, 906, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",                                          \
    "operation would make the legacy stream depend on a capturing blocking stream")                       \
  X(kCapturedEvent, 907, "CUDA_ERROR_CAPTURED_EVENT",                                                     \
    "operation not permitted on an event last recorded in a capturing stream")                            \
  X(kUnknown, 999, "CUDA_ERROR_UNKNOWN", "unknown error")

enum Error : int {
#define EMULATED_ERROR(constant, code, name, text) constant = code,
  EMULATED_ERRORS(EMULATED_ERROR)
#undef EMULATED_ERROR
};

}  // namespace emulated
