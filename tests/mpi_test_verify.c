/* The measured error, from outputs whose error is known. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mpi_assert.h"

#include "mpi/measure/verify.h"
#include "src/oracle/generate.h"
#include "src/oracle/oracle.h"
#include "src/oracle/reference.h"
#include "src/base/share.h"

#define COMM MPI_COMM_WORLD

enum { HEADS = 4, KV_HEADS = 2, DIM = 5, DV = 3, MOST = 64 };

/* A whole problem on every rank, and outputs that can be spoilt. */
typedef struct fixture {
  precis_world world;
  precis_verify_job job;
  float q[MOST * HEADS * DIM], k[MOST * KV_HEADS * DIM], v[MOST * KV_HEADS * DV], bias[MOST];
  float out[MOST * HEADS * DV], lse[MOST * HEADS];
  double reference[MOST * HEADS * DV];
  int reads;      /* of keys: ranks must agree on the number */
  int fail;       /* the read to fail */
  int fail_query; /* the same of queries */
} fixture;

static int give_queries(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                        float *lse, precis_message *why)
{
  fixture *f = context;
  (void)why;
  for (int64_t i = 0; i < count; i++) {
    memcpy(q + i * HEADS * DIM, f->q + rows[i] * HEADS * DIM, sizeof(float) * HEADS * DIM);
    memcpy(out + i * HEADS * DV, f->out + rows[i] * HEADS * DV, sizeof(float) * HEADS * DV);
    if (lse != NULL)
      memcpy(lse + i * HEADS, f->lse + rows[i] * HEADS, sizeof(float) * HEADS);
  }
  return PRECIS_SUCCESS;
}

static int give_all_queries(void *context, int64_t first, int64_t rows, float *q,
                            precis_message *why)
{
  fixture *f = context;
  if (f->fail_query)
    return precis_message_set(why, PRECIS_ERR_IO, "no more queries");
  memcpy(q, f->q + first * HEADS * DIM, sizeof(float) * HEADS * DIM * (size_t)rows);
  return PRECIS_SUCCESS;
}

static int give_keys(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
                     precis_message *why)
{
  fixture *f = context;
  if (++f->reads == f->fail)
    return precis_message_set(why, PRECIS_ERR_IO, "no more keys");
  memcpy(k, f->k + first * KV_HEADS * DIM, sizeof(float) * KV_HEADS * DIM * (size_t)rows);
  memcpy(v, f->v + first * KV_HEADS * DV, sizeof(float) * KV_HEADS * DV * (size_t)rows);
  if (f->job.has_bias)
    memcpy(bias, f->bias + first, sizeof(float) * (size_t)rows);
  return PRECIS_SUCCESS;
}

/* The keys that a query sees. */
static int64_t visible(const fixture *f, int64_t row)
{
  int64_t seen = f->job.problem.causal ? f->job.first_position + row + 1 : f->job.keys;
  return seen < 0 ? 0 : seen < f->job.keys ? seen : f->job.keys;
}

/* Outputs as good as float32 can hold them. */
static void attend(fixture *f)
{
  for (int64_t i = 0; i < f->job.queries; i++)
    for (int head = 0; head < HEADS; head++) {
      precis_reference_keys keys = {visible(f, i), f->k, f->v, f->job.has_bias ? f->bias : NULL};
      double *to = f->reference + (i * HEADS + head) * DV, lse;
      precis_reference_attend(&f->job.problem, head, f->q + (i * HEADS + head) * DIM, &keys, to,
                              &lse);
      for (int c = 0; c < DV; c++)
        f->out[(i * HEADS + head) * DV + c] = (float)to[c];
      f->lse[i * HEADS + head] = (float)lse;
    }
}

static fixture *make(int64_t queries, int64_t keys, int causal, int has_bias)
{
  fixture *f = calloc(1, sizeof *f);
  precis_recipe recipe = {
      .spread = 2, .problem = {.heads = HEADS, .kv_heads = KV_HEADS, .dim = DIM, .value_dim = DV}};
  assert_all(COMM, f != NULL);
  assert_all(COMM, precis_world_create(COMM, &f->world) == PRECIS_SUCCESS);
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, 0, MOST, f->q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, 0, MOST, f->k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, 0, MOST, f->v);
  for (int j = 0; j < MOST; j++)
    f->bias[j] = j % 3 == 1 ? -INFINITY : (float)(j % 4) * .5f;
  f->job = (precis_verify_job){.problem = recipe.problem,
                               .queries = queries,
                               .keys = keys,
                               .first_position = keys - queries,
                               .has_bias = has_bias,
                               .has_lse = 1,
                               .tol_of = PRECIS_UNIT_RANGE,
                               .rows = MOST};
  f->job.problem.causal = causal;
  f->job.problem.scale = .6;
  attend(f);
  return f;
}

static void drop(fixture *f)
{
  precis_world_free(&f->world);
  free(f);
}

static precis_verify_result measure(fixture *f)
{
  precis_verify_source source = {give_queries, give_all_queries, give_keys, f};
  precis_verify_result result = {0};
  precis_message why = {""};
  assert_all(COMM, precis_verify(&f->world, &f->job, &source, &result, &why) == PRECIS_SUCCESS);
  /* The same on all ranks, to the bit. */
  double mine[] = {result.max_error, result.max_error_outputs, result.mean_signal, result.trivial};
  double most[4];
  MPI_Allreduce(mine, most, 4, MPI_DOUBLE, MPI_MAX, COMM);
  for (int i = 0; i < 4; i++)
    assert_all(COMM, most[i] == mine[i] || isnan(mine[i]));
  return result;
}

/* Rounding of the outputs to float32 is all the error there is. */
static void good_outputs(void **state)
{
  (void)state;
  static const int shapes[][2] = {{40, 40}, {1, 1}, {3, 50}, {50, 3}, {2, 1}, {1, 64}};
  for (size_t i = 0; i < 6; i++)
    for (int causal = 0; causal < 2; causal++)
      for (int has_bias = 0; has_bias < 2; has_bias++) {
        fixture *f = make(shapes[i][0], shapes[i][1], causal, has_bias);
        precis_verify_result result = measure(f);
        assert_all(COMM, result.rows == shapes[i][0]);
        /* One key: its column's range is 0, and errors are relative to the value itself. */
        assert_all(COMM, result.max_error <= 4 * FLT_EPSILON);
        assert_all(COMM, result.relative_error <= FLT_EPSILON);
        assert_all(COMM, result.max_error_lse == 0);
        drop(f);
      }
}

/* Buffers for three keys, and for the results of one row or a few: the same numbers. */
static void small_buffers(void **state)
{
  (void)state;
  for (int rows = 1; rows < 4; rows++) {
    fixture *f = make(41, 60, 1, 1);
    f->out[7] += .5f;
    f->out[17 * HEADS * DV] += .25f;
    precis_verify_result whole = measure(f);
    int whole_reads = f->reads;
    f->reads = 0;
    f->job.buffer_bytes = rows * HEADS * (DV + 3) * 8;
    precis_verify_result parts = measure(f);
    assert_all(COMM, f->reads > 10 * whole_reads);
    assert_all(COMM, parts.rows == whole.rows);
    assert_all(COMM, fabs(parts.max_error - whole.max_error) < 1e-14);
    assert_all(COMM, fabs(parts.max_error_outputs - whole.max_error_outputs) < 1e-12);
    assert_all(COMM, fabs(parts.mean_signal - whole.mean_signal) < 1e-12);
    assert_all(COMM, fabs(parts.relative_error - whole.relative_error) < 1e-14);
    drop(f);
  }
}

static double range(const fixture *f, int kv_head, int c)
{
  double low = INFINITY, high = -INFINITY;
  for (int64_t j = 0; j < f->job.keys; j++)
    if (!f->job.has_bias || f->bias[j] != -INFINITY) {
      low = fmin(low, (double)f->v[(j * KV_HEADS + kv_head) * DV + c]);
      high = fmax(high, (double)f->v[(j * KV_HEADS + kv_head) * DV + c]);
    }
  return high - low;
}

/* One spoilt number in the last row: its share of the range of its own column. */
static void spoilt_output(void **state)
{
  (void)state;
  for (int has_bias = 0; has_bias < 2; has_bias++) {
    fixture *f = make(33, 47, 1, has_bias);
    f->out[(32 * HEADS + 3) * DV + 1] += .25f;
    f->job.rows = 1; /* first and last all the same */
    precis_verify_result result = measure(f);
    assert_all(COMM, result.rows == 2);
    double expected = .25 / range(f, 1, 1), squares = 0;
    for (int i = 0; i < HEADS * DV; i++)
      squares += pow(f->reference[i], 2) + pow(f->reference[32 * HEADS * DV + i], 2);
    assert_all(COMM, fabs(result.max_error - expected) < 1e-5);
    assert_all(COMM, fabs(result.relative_error - .25 / sqrt(squares)) < 1e-5);
    drop(f);
  }
}

static void not_a_number(void **state)
{
  (void)state;
  fixture *f = make(8, 8, 0, 0);
  f->out[5] = NAN;
  assert_all(COMM, measure(f).max_error == INFINITY);
  drop(f);
}

/* Rows with nothing to see must be exactly 0. */
static void masked_out(void **state)
{
  (void)state;
  fixture *f = make(5, 9, 0, 1);
  for (int j = 0; j < MOST; j++)
    f->bias[j] = -INFINITY;
  attend(f);
  assert_all(COMM, measure(f).max_error == 0);
  f->out[2] = 1e-20f;
  assert_all(COMM, measure(f).max_error > 1);
  drop(f);
}

/* The oracle of src/oracle/oracle.h, which has all in memory, finds the same: of every row, and where some
 * rows and heads are spoilt. */
static void same_as_oracle(void **state)
{
  (void)state;
  for (int causal = 0; causal < 2; causal++)
    for (int has_bias = 0; has_bias < 2; has_bias++) {
      fixture *f = make(50, 60, causal, has_bias);
      double want = 0, least = INFINITY;
      f->job.tol_of = PRECIS_UNIT_OUTPUTS;
      f->out[(31 * HEADS + 2) * DV] += .1f;
      f->out[(49 * HEADS + 1) * DV + 2] -= .2f;
      f->lse[77] += .3f;
      precis_oracle_case c = {&f->job.problem,           50,   60,   f->q, f->k, f->v,
                              has_bias ? f->bias : NULL, NULL, NULL, 50,   NULL};
      precis_oracle oracle;
      assert_all(COMM, precis_oracle_make(&c, &oracle) == PRECIS_SUCCESS);
      for (int head = 0; head < HEADS; head++) {
        double signal = oracle.signal[head] / (double)oracle.visible[head];
        least = fmin(least, signal);
        for (int i = 0; i < 50; i++)
          want = fmax(want, precis_oracle_judge(&oracle, i, head, signal,
                                                f->out + (i * HEADS + head) * DV,
                                                f->lse[i * HEADS + head])
                                .outputs);
      }
      precis_verify_result result = measure(f);
      assert_all(COMM, fabs(result.max_error / want - 1) < 1e-10);
      assert_all(COMM, fabs(result.mean_signal / least - 1) < 1e-10);
      assert_all(COMM, fabs(result.trivial - 1) < 1e-12 && result.constant_heads == 0);
      assert_all(COMM, fabs(result.max_error_lse - .3) < 1e-5);
      precis_oracle_free(&oracle);
      drop(f);
    }
}

/* Zeros, however small the scores. */
static void zeros_are_no_answer(void **state)
{
  (void)state;
  for (int causal = 0; causal < 2; causal++) {
    fixture *f = make(64, 64, causal, 0);
    f->job.problem.scale = 1e-3;
    memset(f->out, 0, sizeof f->out);
    precis_verify_result result = measure(f);
    assert_all(COMM, result.max_error_outputs > .9 && result.max_error == result.max_error_range);
    drop(f);
  }
}

/* Equal queries: no head has a signal, and the range has to do. */
static void constant_heads(void **state)
{
  (void)state;
  fixture *f = make(20, 30, 0, 0);
  for (int i = HEADS * DIM; i < MOST * HEADS * DIM; i++)
    f->q[i] = f->q[i % (HEADS * DIM)];
  attend(f);
  f->job.tol_of = PRECIS_UNIT_OUTPUTS;
  f->out[5] += .5f;
  precis_verify_result result = measure(f);
  assert_all(COMM, result.constant_heads == HEADS && isnan(result.max_error_outputs));
  assert_all(COMM, result.max_error == result.max_error_range && result.max_error > .05);
  drop(f);
}

static void failed_queries(void **state)
{
  (void)state;
  fixture *f = make(9, 30, 0, 0);
  precis_verify_source source = {give_queries, give_all_queries, give_keys, f};
  precis_verify_result result = {.rows = 77};
  precis_message why = {""};
  f->fail_query = 1;
  assert_all(COMM, precis_verify(&f->world, &f->job, &source, &result, &why) == PRECIS_ERR_IO);
  assert_all(COMM, result.rows == 77 && strcmp(why.text, "no more queries") == 0);
  drop(f);
}

static void failed_read(void **state)
{
  (void)state;
  fixture *f = make(9, 30, 0, 0);
  precis_verify_source source = {give_queries, give_all_queries, give_keys, f};
  precis_verify_result result = {.rows = 77};
  precis_message why = {""};
  f->fail = 1;
  assert_all(COMM, precis_verify(&f->world, &f->job, &source, &result, &why) == PRECIS_ERR_IO);
  assert_all(COMM, result.rows == 77 && strcmp(why.text, "no more keys") == 0);
  drop(f);
}

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(good_outputs),   cmocka_unit_test(spoilt_output),
      cmocka_unit_test(small_buffers),  cmocka_unit_test(not_a_number),
      cmocka_unit_test(masked_out),     cmocka_unit_test(failed_read),
      cmocka_unit_test(same_as_oracle), cmocka_unit_test(zeros_are_no_answer),
      cmocka_unit_test(constant_heads), cmocka_unit_test(failed_queries)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
