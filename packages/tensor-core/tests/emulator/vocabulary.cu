// Uses every name that the prelude provides to kernels, so that a test can check that NVRTC accepts each with the same
// arguments.
#include "device/threads/kernel.h"

struct Vocabulary {
  unsigned* u;
  int* i;
  float* f;
  double* d;
  long long* l;
  unsigned long long* q;
};

FLAMBEAU_COOPERATIVE_KERNEL(threads_together, Vocabulary, 256) {
  alignas(16) __shared__ float s[64];
  s[threadIdx.x % 64] = 1;
  __syncthreads();
  const bool b = a.u[0] > 3;
  const short h = 3;
  const unsigned char c = 1;
  a.i[0] = __shfl_sync(~0u, h, 1) + __shfl_xor_sync(~0u, c, 1) + __shfl_down_sync(~0u, b, 1);
  a.l[0] = __shfl_sync(~0u, a.l[1], 2) + __shfl_up_sync(~0u, a.q[1], 2) + __shfl_sync(~0u, 3l, 2);
  a.d[0] = __shfl_xor_sync(~0u, a.d[1], 2) + __shfl_xor_sync(~0u, s[3], 2, 16);
  a.u[0] = __ballot_sync(~0u, b) + __any_sync(~0u, 1) + __all_sync(~0u, 1) + __activemask();
  a.u[1] = __match_any_sync(~0u, a.i[0]) + __match_any_sync(~0u, a.q[0]);
  a.i[0] = __syncthreads_count(1) + __syncthreads_or(1) + __syncthreads_and(0);
  __syncwarp();
  __syncwarp(0xffffffff);
  __threadfence();
  __threadfence_block();
  __threadfence_system();
  __nanosleep(10);
}

FLAMBEAU_KERNEL(atomics, Vocabulary) {
  atomicAdd(a.i, 1), atomicAdd(a.u, 1u), atomicAdd(a.q, 1ull), atomicAdd(a.f, 1.0f), atomicAdd(a.d, 1.0);
  atomicSub(a.i, 1), atomicSub(a.u, 1u), atomicInc(a.u, 1u), atomicDec(a.u, 1u);
  atomicMax(a.i, 1), atomicMax(a.u, 1u), atomicMax(a.l, 1ll), atomicMax(a.q, 1ull);
  atomicMin(a.i, 1), atomicMin(a.u, 1u), atomicMin(a.l, 1ll), atomicMin(a.q, 1ull);
  atomicAnd(a.i, 1), atomicAnd(a.u, 1u), atomicAnd(a.l, 1ll), atomicAnd(a.q, 1ull);
  atomicOr(a.i, 1), atomicOr(a.u, 1u), atomicOr(a.l, 1ll), atomicOr(a.q, 1ull);
  atomicXor(a.i, 1), atomicXor(a.u, 1u), atomicXor(a.l, 1ll), atomicXor(a.q, 1ull);
  atomicExch(a.i, 1), atomicExch(a.u, 1u), atomicExch(a.q, 1ull), atomicExch(a.f, 1.0f);
  atomicCAS(a.i, 1, 2), atomicCAS(a.u, 1u, 2u), atomicCAS(a.q, 1ull, 2ull);
  atomicCAS((unsigned short*)a.i, (unsigned short)1, (unsigned short)2);
}

FLAMBEAU_KERNEL(bits, Vocabulary) {
  const unsigned x = a.u[0];
  a.i[0] = __popc(x) + __popcll(x) + __clz(int(x)) + __clzll(x) + __ffs(int(x)) + __ffsll((long long)x);
  a.q[0] = __brev(x) + __brevll(x) + __byte_perm(x, 2, 3) + __funnelshift_l(x, 2, 3) + __funnelshift_r(x, 2, 3);
  a.l[0] = __mulhi(1, 2) + __umulhi(x, 2u) + __mul64hi(1, 2) + __umul64hi(x, 2);
  a.f[0] = __uint_as_float(__float_as_uint(a.f[1])) + __int_as_float(__float_as_int(a.f[1]));
  a.d[0] = __longlong_as_double(__double_as_longlong(a.d[1]));
  a.d[1] = __hiloint2double(__double2hiint(a.d[0]), __double2loint(a.d[0]));
  a.l[1] = __float2int_rn(a.f[0]) + __float2int_rz(a.f[0]) + __double2ll_rn(a.d[0]) + clock64();
}

FLAMBEAU_KERNEL(arithmetic, Vocabulary) {
  const float x = a.f[0], y = a.f[1];
  a.f[2] = __fadd_rn(x, y) + __fsub_rn(x, y) + __fmul_rn(x, y) + __fdiv_rn(x, y) + __fmaf_rn(x, y, x);
  a.f[3] = __fsqrt_rn(x) + __frcp_rn(x) + __frsqrt_rn(x) + __fdividef(x, y) + fdividef(x, y) + __saturatef(x);
  a.f[4] = __expf(x) + __exp10f(x) + __logf(x) + __log2f(x) + __log10f(x) + __powf(x, y);
  a.f[5] = __sinf(x) + __cosf(x) + __tanf(x) + sinpif(x) + cospif(x) + rsqrtf(x) + rsqrt(x) + rcbrtf(x);
  const double u = a.d[0], v = a.d[1];
  a.d[2] = __dadd_rn(u, v) + __dsub_rn(u, v) + __dmul_rn(u, v) + __ddiv_rn(u, v) + __fma_rn(u, v, u) + __dsqrt_rn(u);
  a.d[3] = rsqrt(u) + rcbrt(u) + sinpi(u) + cospi(u) + min(u, v) + max(x, y);
  a.l[0] = min(1, 2) + max(1u, 2u) + min(1l, 2l) + max(1ul, 2ul) + min(1ll, 2ll) + max(1ull, 2ull);
}

FLAMBEAU_KERNEL(memory, Vocabulary) {
  a.f[0] = __ldg(a.f) + __ldca(a.f) + __ldcg(a.f) + __ldcs(a.f) + __ldlu(a.f) + __ldcv(a.f);
  __stwb(a.f, 1.0f), __stcg(a.f, 1.0f), __stcs(a.f, 1.0f), __stwt(a.f, 1.0f);
  *reinterpret_cast<float4*>(a.f) = make_float4(1, 2, 3, 4);
  const uint2 two = make_uint2(1, 2);
  const uint3 position = threadIdx;
  const dim3 size = blockDim;
  a.u[0] = two.x + position.x + size.x + gridDim.y + blockIdx.z + warpSize;
  __builtin_assume(a.u != nullptr);
  assert(a.u);
  if (a.i[0] == 77) __trap();
}
