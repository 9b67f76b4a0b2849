/* bench.h - the kernels that precis bench measures, and what they work on */
#ifndef PRECIS_CLI_BENCH_H
#define PRECIS_CLI_BENCH_H

#include <stdint.h>

#include "src/exact/partial.h"

enum { PRECIS_BENCH_ORDER = 2048 }; /* of the matrices that sgemm multiplies */

/* Inputs and results of the largest kernel, used by all. */
typedef struct precis_bench {
  int64_t fast_memory;
  float *a, *b, *c; /* matrices for sgemm; also what summaries hold */
  float *q, *k, *v; /* tokens x dim */
  precis_partial partial;
  double *num, *den, *env, *env_deviating; /* what apply gathers */
  double *values, *counts, *deviating;     /* what summarise gathers */
  void *scratch;
} precis_bench;

typedef struct precis_bench_kernel {
  const char *name, *form; /* form NULL: there is but one */
  int dim, degree;         /* degree 0: exact */
  /* Bytes of working space, and one run. */
  int64_t (*scratch)(const precis_bench *bench, const struct precis_bench_kernel *kernel);
  void (*run)(precis_bench *bench, const struct precis_bench_kernel *kernel);
} precis_bench_kernel;

/* Ends with one without a name. */
enum { PRECIS_BENCH_KERNELS_MOST = 64 };
extern const precis_bench_kernel precis_bench_kernels[PRECIS_BENCH_KERNELS_MOST];

/* What one run counts. */
double precis_bench_flops(const precis_bench_kernel *kernel);

/* Makes and fills the arrays; fast_memory is set. Errors: MEMORY; release in any case. */
int precis_bench_create(precis_bench *bench);
void precis_bench_release(precis_bench *bench);

#endif
