#include "src/exact/tile_kernel.h"

#include "src/base/clones.h"

int precis_tile_kernels(const precis_tile_kernel *kernels[4])
{
  int count = 0;
#ifdef PRECIS_TARGET_CLONES
  if (__builtin_cpu_supports("x86-64-v4"))
    kernels[count++] = &precis_tile_kernel_v4;
  if (__builtin_cpu_supports("x86-64-v3"))
    kernels[count++] = &precis_tile_kernel_v3;
#endif
  kernels[count++] = &precis_tile_kernel_gemm;
  kernels[count++] = &precis_tile_kernel_plain;
  return count;
}

const precis_tile_kernel *precis_tile_kernel_choose(void)
{
  const precis_tile_kernel *kernels[4];
  precis_tile_kernels(kernels);
  return kernels[0];
}
