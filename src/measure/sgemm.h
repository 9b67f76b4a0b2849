/* sgemm.h - what BLAS reaches, the yardstick of the kernels */
#ifndef PRECIS_SRC_MEASURE_SGEMM_H
#define PRECIS_SRC_MEASURE_SGEMM_H

/* c = a b, all order x order in row-major order; 2 order^3 flops. The caller has set BLAS to one
 * thread. */
void precis_sgemm_square(int order, const float *a, const float *b, float *c);

/* The kind of processor that BLAS takes this one for. An old library may not know a new one, and
 * then falls short of it. Static storage. */
const char *precis_sgemm_core(void);

/* What OPENBLAS_CORETYPE should be set to, where the kernels of `core` leave vector units idle that
 * this processor has; NULL where they do not. BLAS reads it when it is loaded, so nobody can set it
 * from within. Static storage. */
const char *precis_sgemm_better_core(const char *core);

#endif
