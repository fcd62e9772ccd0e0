// Functions that the host and a GPU share.
#pragma once

#if defined(__CUDACC__)
#define FASTSR_INLINE __host__ __device__ __forceinline__
#else
#define FASTSR_INLINE inline __attribute__((always_inline))
#endif
