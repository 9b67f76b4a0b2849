#include "src/sgemm.h"

#include <cblas.h>

void precis_sgemm_square(int order, const float *a, const float *b, float *c)
{
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, order, order, order, 1, a, order, b, order,
              0, c, order);
}

const char *precis_sgemm_core(void)
{
  return openblas_get_corename();
}
