#include "src/summary/feature_kernel.h"

#include "src/base/clones.h"

int precis_feature_kernels(const precis_feature_kernel *kernels[4])
{
  int count = 0;
#ifdef PRECIS_TARGET_CLONES
  if (__builtin_cpu_supports("x86-64-v4"))
    kernels[count++] = &precis_feature_kernel_v4;
  if (__builtin_cpu_supports("x86-64-v3"))
    kernels[count++] = &precis_feature_kernel_v3;
#endif
  kernels[count++] = &precis_feature_kernel_gemm;
  kernels[count++] = &precis_feature_kernel_plain;
  return count;
}

const precis_feature_kernel *precis_feature_kernel_choose(void)
{
  const precis_feature_kernel *kernels[4];
  precis_feature_kernels(kernels);
  return kernels[0];
}
