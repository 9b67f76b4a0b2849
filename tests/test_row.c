/* Rows made into results with a proof: errors as large as they may be are proved, and use much of it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/base/problem.h"
#include "src/exact/rounding.h"
#include "src/rows/row.h"
#include "src/exact/tile_rounding.h"
#include "tests/uniform.h"

enum { KEYS = 40, DIM = 6, DV = 3 };
static const long double LOG_2 = 0.693147180559945309417232L;

typedef struct fixture {
  precis_problem problem;
  float q[DIM];
  double k_center[DIM], v_center[DV], per[DV], fold[DV], radius;
  precis_terms terms;
  double score[KEYS], v[KEYS][DV], deviation[KEYS]; /* scores about the centre, biases about theirs */
} fixture;

static void make(uint64_t *random, int largest, fixture *f)
{
  *f = (fixture){.problem = {.heads = 1, .kv_heads = 1, .dim = DIM, .value_dim = DV, .scale = .3}};
  for (int c = 0; c < DIM; c++) {
    f->q[c] = (float)normal(random);
    f->k_center[c] = 10 * normal(random);
  }
  for (int c = 0; c < DV; c++) {
    f->v_center[c] = normal(random);
    f->per[c] = exp(2 * normal(random));
    f->fold[c] = ldexp(1, ilogb(f->per[c]));
  }
  f->radius = 20;
  f->terms = (precis_terms){.problem = &f->problem, .k_center = f->k_center,
                            .v_center = f->v_center, .per = f->per, .largest = largest,
                            .fold = f->fold, .key_radius = &f->radius, .bias_center = 1000,
                            .bias_reach = 30, .log_keys = log(KEYS),
                            .sum_terms = PRECIS_TILE_SUM_ROUNDINGS, .roundings = 4};
  const precis_norm norm = precis_terms_norm(&f->terms, 0);
  for (int j = 0; j < KEYS; j++) {
    f->score[j] = 3 * normal(random) - 8;
    for (int c = 0; c < DV; c++)
      f->v[j][c] = f->v_center[c] + normal(random) / f->per[c];
    f->deviation[j] = precis_norm_distance_double(&norm, f->v[j], f->v_center);
  }
}

/* (m, l, o) of the keys, a partial's: weights are off by the factor 1 +- error, against `way`. */
typedef struct sums {
  double m, l, o[DV + 1];
} sums;

static sums add_up(const fixture *f, int first, int end, double error, const double *way)
{
  sums s = {.m = f->score[first] / (double)LOG_2};
  for (int j = first; j < end; j++) {
    double along = 0, w = exp(f->score[j] - f->score[first]);
    for (int c = 0; c < DV; c++)
      along += way[c] * (f->v[j][c] - f->v_center[c]) * f->per[c];
    w *= along > 0 ? 1 + error : 1 - error;
    s.l += w;
    for (int c = 0; c < DV; c++)
      s.o[c] += w * (f->v[j][c] - f->v_center[c]) * f->fold[c];
    s.o[DV] += w * f->deviation[j];
  }
  return s;
}

static void true_result(const fixture *f, double *out, double *lse)
{
  long double l = 0, o[DV] = {0}, offset = f->terms.bias_center;
  for (int c = 0; c < DIM; c++)
    offset += f->problem.scale * (long double)f->q[c] * f->k_center[c];
  for (int j = 0; j < KEYS; j++) {
    long double w = expl(f->score[j]);
    l += w;
    for (int c = 0; c < DV; c++)
      o[c] += w * f->v[j][c];
  }
  for (int c = 0; c < DV; c++)
    out[c] = (double)(o[c] / l);
  *lse = (double)(logl(l) + offset);
}

/* Parts of what is proved that errors take. */
typedef struct shares {
  double out, lse;
} shares;

static void compare(const fixture *f, const precis_finished *got, shares *used)
{
  double want[DV], lse, out[DV];
  const precis_norm norm = precis_terms_norm(&f->terms, 0);
  true_result(f, want, &lse);
  for (int c = 0; c < DV; c++)
    out[c] = got->out[c];
  double off = precis_norm_distance_double(&norm, out, want),
         lse_off = fabs(*got->lse - lse) - fabs(lse) * 0x1p-24;
  assert_true(off <= got->proof[0] && lse_off <= got->proof[1]);
  used->out = fmax(used->out, off / got->proof[0]);
  used->lse = fmax(used->lse, lse_off / got->proof[1]);
}

/* Of one exact part, off by all that float32, or double, may do to weights. */
static void exact_rows(void **state)
{
  (void)state;
  uint64_t random = 3;
  shares used = {0, 0}, used_double = {0, 0};
  for (int i = 0; i < 2000; i++) {
    fixture f;
    float out[DV], lse, proof[PRECIS_PROOF_NUMBERS];
    const precis_finished to = {out, &lse, proof};
    double way[DV] = {normal(&random), normal(&random), normal(&random)}, none[DV] = {0};
    make(&random, i % 2, &f);
    double norm = precis_row_query_norm(DIM, f.q), score = f.score[0];
    double e = precis_rounding_exact(&f.terms, 0, norm, score);
    sums s = add_up(&f, 0, KEYS, e * .999, i % 5 ? way : none);
    const precis_partial partial = {&s.m, &s.l, s.o};
    assert_int_equal(precis_row_finish_exact(&f.terms, 0, f.q, &partial, to), 0);
    compare(&f, &to, &used);
    e = precis_rounding_double(&f.terms, 0, norm, score);
    s = add_up(&f, 0, KEYS, e * .5, i % 5 ? way : none);
    assert_int_equal(precis_row_finish_double(&f.terms, 0, f.q, &partial, to), 0);
    compare(&f, &to, &used_double);
  }
  print_message("exact rows use %.3g and %.3g of what is proved, in double %.3g and %.3g\n",
                used.out, used.lse, used_double.out, used_double.lse);
  assert_true(used.out > .3 && used.lse > .3 && used_double.out > .1);
}

/* Some keys in a summary with an error mass, others exact, in either order and at exponents that lie
 * apart. */
static void mixed_rows(void **state)
{
  (void)state;
  uint64_t random = 5;
  shares used = {0, 0};
  for (int i = 0; i < 2000; i++) {
    fixture f;
    float out[DV], lse, proof[PRECIS_PROOF_NUMBERS];
    const precis_finished to = {out, &lse, proof};
    double way[DV] = {normal(&random), normal(&random), normal(&random)}, wrong = .02, o[DV] = {0};
    int cut = 1 + (int)(uniform(&random) * (KEYS - 2));
    make(&random, i % 2, &f);
    double norm = precis_row_query_norm(DIM, f.q);
    sums exact = add_up(&f, 0, cut, 0, way), bulk = add_up(&f, cut, KEYS, wrong, way),
         right = add_up(&f, cut, KEYS, 0, way);
    precis_row row = {.m = -INFINITY, .o = o};
    for (int part = 0; part < 2; part++)
      if (part == i / 2 % 2)
        precis_row_add_exact(&f.terms, 0, norm, exact.m, exact.l, exact.o, &row);
      else {
        double factor = precis_row_meet(DV, f.score[cut] + f.terms.bias_center, &row);
        row.l += factor * bulk.l;
        row.mass.all += factor * right.l * wrong;
        row.mass.deviating += factor * right.o[DV] * wrong;
        for (int c = 0; c < DV; c++)
          row.o[c] += factor * bulk.o[c];
      }
    assert_int_equal(precis_row_finish(&f.terms, 0, f.q, &row, to), 0);
    compare(&f, &to, &used);
  }
  print_message("mixed rows use %.3g and %.3g of what is proved\n", used.out, used.lse);
  assert_true(used.out > .5 && used.lse > .5);
}

static void nothing_seen(void **state)
{
  (void)state;
  uint64_t random = 7;
  fixture f;
  float out[DV] = {7, 7, 7}, lse = 7, proof[PRECIS_PROOF_NUMBERS] = {7, 7};
  const precis_finished to = {out, &lse, proof};
  double m = -INFINITY, l = 0, o[DV + 1] = {0};
  make(&random, 0, &f);
  const precis_partial partial = {&m, &l, o};
  assert_int_equal(precis_row_finish_exact(&f.terms, 0, f.q, &partial, to), 0);
  assert_true(out[0] == 0 && out[DV - 1] == 0 && lse == -INFINITY && proof[0] == 0 && proof[1] == 0);
}

/* Normalisers that are not positive prove nothing; what is not finite is found. */
static void nothing_proved(void **state)
{
  (void)state;
  uint64_t random = 9;
  fixture f;
  float out[DV], lse, proof[PRECIS_PROOF_NUMBERS];
  const precis_finished to = {out, &lse, proof};
  const double bad[][3] = {{-1, .1, 1}, {1, 1, 1}, {1, 2, 1}, {1, NAN, 1}};
  make(&random, 0, &f);
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    double o[DV] = {bad[i][2], 0, 0};
    precis_row row = {.m = 3, .l = bad[i][0], .mass = {bad[i][1], bad[i][1]}, .o = o};
    precis_row_finish(&f.terms, 0, f.q, &row, to);
    assert_true(proof[0] == INFINITY || isnan(proof[0]));
  }
  const double lost[][2] = {{1, INFINITY}, {1, NAN}, {0, 1}, {1, 1e39}, {NAN, 1}};
  for (size_t i = 0; i < sizeof lost / sizeof *lost; i++) {
    double o[DV] = {lost[i][1] * f.fold[0], 0, 0};
    precis_row row = {.m = 3, .l = lost[i][0], .o = o};
    assert_int_equal(precis_row_finish(&f.terms, 0, f.q, &row, to), -1);
    assert_false(proof[0] < INFINITY);
  }
}

static void query_norms(void **state)
{
  (void)state;
  uint64_t random = 11;
  for (int i = 0; i < 1000; i++) {
    float q[PRECIS_DIM_MAX];
    int dim = 1 + (int)(uniform(&random) * PRECIS_DIM_MAX);
    long double square = 0;
    for (int c = 0; c < dim; c++) {
      q[c] = (float)(normal(&random) * exp(5 * normal(&random)));
      square += (long double)q[c] * q[c];
    }
    double norm = precis_row_query_norm(dim, q);
    assert_true(norm >= sqrtl(square) && norm <= sqrtl(square) * (1 + 1e-11L));
  }
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(exact_rows),     cmocka_unit_test(mixed_rows), cmocka_unit_test(nothing_seen),
      cmocka_unit_test(nothing_proved), cmocka_unit_test(query_norms),
  };
  return cmocka_run_group_tests_name("row", tests, NULL, NULL);
}
