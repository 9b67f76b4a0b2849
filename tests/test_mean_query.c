/* What a mean query gets, added up in parts, against the oracle. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "src/tokens/mean_query.h"
#include "src/oracle/reference.h"
#include "tests/uniform.h"

enum { KEYS = 300, HEADS = 2, DIM = 5, DV = 3 };

typedef struct fixture {
  float k[KEYS * HEADS * DIM], v[KEYS * HEADS * DV], bias[KEYS];
  double q[DIM], k_base[DIM], v_base[DV], want[DV];
  precis_problem problem;
  precis_keys keys;
} fixture;

/* Scores that grow from key to key, so that exponents have to follow, and a third of masks. */
static void make(double growth, int with_bias, fixture *f)
{
  uint64_t random = 6;
  *f = (fixture){.problem = {.heads = HEADS, .kv_heads = HEADS, .dim = DIM, .value_dim = DV,
                             .scale = -.7}};
  for (int c = 0; c < DIM; c++) {
    f->q[c] = normal(&random);
    f->k_base[c] = 100 + normal(&random);
  }
  for (int c = 0; c < DV; c++)
    f->v_base[c] = 1000 * normal(&random);
  for (int i = 0; i < KEYS * HEADS * DIM; i++)
    f->k[i] = (float)(f->k_base[i % DIM] + normal(&random) * (1 + growth * (i / (HEADS * DIM))));
  for (int i = 0; i < KEYS * HEADS * DV; i++)
    f->v[i] = (float)(f->v_base[i % DV] + normal(&random));
  for (int j = 0; j < KEYS; j++)
    f->bias[j] = j % 3 == 0 ? -INFINITY : (float)(5 * normal(&random));
  f->keys = (precis_keys){.kv_heads = HEADS, .dim = DIM, .value_dim = DV, .rows = KEYS, .k = f->k,
                          .v = f->v, .bias = with_bias ? f->bias : NULL};
}

static precis_mean_query start(const fixture *f, double *o)
{
  memset(o, 0, DV * sizeof *o);
  return (precis_mean_query){.kv_head = 1, .scale = f->problem.scale, .q = f->q,
                             .k_base = f->k_base, .v_base = f->v_base, .m = -INFINITY, .o = o};
}

/* Over the first keys, of head 1. */
static void check(const fixture *f, const precis_mean_query *mean, int64_t keys)
{
  double want[DV], sum[DV], lse;
  precis_reference_partial p = {.o = sum};
  const precis_reference_keys all = {keys, f->k, f->v, f->keys.bias};
  precis_reference_clear(DV, &p);
  precis_reference_add_double(&f->problem, 1, f->q, &all, &p);
  precis_reference_finish(DV, &p, want, &lse);
  double offset = 0;
  for (int c = 0; c < DIM; c++)
    offset += f->problem.scale * f->q[c] * f->k_base[c];
  assert_true(fabs(mean->m + log(mean->l) + offset - lse) < 1e-10);
  for (int c = 0; c < DV; c++)
    assert_true(fabs(mean->o[c] / mean->l + f->v_base[c] - want[c]) < 1e-9);
}

static void added_up(void **state)
{
  (void)state;
  fixture f;
  const double growth[] = {0, .01, 3};
  for (int i = 0; i < 6; i++) {
    double o[DV];
    make(growth[i / 2], i % 2, &f);
    precis_mean_query mean = start(&f, o);
    precis_mean_query_add(&mean, &f.keys, 0, 0);
    precis_mean_query_add(&mean, &f.keys, 0, i % 2); /* masked where there is a bias */
    assert_true(i % 2 == 0 || mean.l == 0);
    assert_true(mean.m == -INFINITY && o[0] == 0);
    for (int64_t key = i % 2, end; key < KEYS; key = end) {
      end = key + 37 < KEYS ? key + 37 : KEYS;
      precis_mean_query_add(&mean, &f.keys, key, end);
      check(&f, &mean, end);
    }
  }
}

/* Parts in any order, and parts of nothing. */
static void merged(void **state)
{
  (void)state;
  fixture f;
  double o[3][DV];
  make(.5, 1, &f);
  for (int64_t cut = 0; cut <= KEYS; cut += 50) {
    precis_mean_query low = start(&f, o[0]), high = start(&f, o[1]), both = start(&f, o[2]);
    precis_mean_query_add(&low, &f.keys, 0, cut);
    precis_mean_query_add(&high, &f.keys, cut, KEYS);
    precis_mean_query_merge(&both, DV, high.m, high.l, high.o);
    precis_mean_query_merge(&both, DV, low.m, low.l, low.o);
    check(&f, &both, KEYS);
    precis_mean_query_merge(&low, DV, high.m, high.l, high.o);
    check(&f, &low, KEYS);
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(added_up), cmocka_unit_test(merged)};
  return cmocka_run_group_tests_name("mean query", tests, NULL, NULL);
}
