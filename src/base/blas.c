#include "src/base/blas.h"

#include <cblas.h>

int precis_blas_threads(int threads)
{
  int before = openblas_get_num_threads();
  if (before != threads)
    openblas_set_num_threads(threads);
  return before;
}
