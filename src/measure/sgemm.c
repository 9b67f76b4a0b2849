#include "src/measure/sgemm.h"

#include <cblas.h>
#include <stddef.h>
#include <strings.h>

#include "src/base/clones.h"

void precis_sgemm_square(int order, const float *a, const float *b, float *c)
{
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, order, order, order, 1, a, order, b, order,
              0, c, order);
}

const char *precis_sgemm_core(void)
{
  return openblas_get_corename();
}

#ifdef PRECIS_TARGET_CLONES
/* Those of OpenBLAS's kernels for x86-64 that use AVX2 or more. */
static int wide(const char *core)
{
  static const char *const names[] = {"Haswell",  "Zen",        "Excavator",
                                      "SkylakeX", "Cooperlake", "Sapphirerapids"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (strcasecmp(core, names[i]) == 0)
      return 1;
  return 0;
}

const char *precis_sgemm_better_core(const char *core)
{
  if (wide(core) || !__builtin_cpu_supports("x86-64-v3"))
    return NULL;
  return __builtin_cpu_supports("x86-64-v4") ? "SkylakeX" : "Haswell";
}
#else
const char *precis_sgemm_better_core(const char *core)
{
  (void)core;
  return NULL;
}
#endif
