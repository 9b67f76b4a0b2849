/* The measured error, from outputs whose error is known. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/mpi_assert.h"

#include "mpi/verify.h"
#include "src/generate.h"
#include "src/reference.h"
#include "src/share.h"

#define COMM MPI_COMM_WORLD

enum { HEADS = 4, KV_HEADS = 2, DIM = 5, DV = 3, MOST = 64 };

/* A whole problem on every rank, and outputs that can be spoilt. */
typedef struct fixture {
  precis_world world;
  precis_verify_job job;
  float q[MOST * HEADS * DIM], k[MOST * KV_HEADS * DIM], v[MOST * KV_HEADS * DV], bias[MOST];
  float out[MOST * HEADS * DV];
  double reference[MOST * HEADS * DV];
  int reads; /* of keys: ranks must agree on the number */
  int fail;  /* the read to fail */
} fixture;

static int give_queries(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                        precis_message *why)
{
  fixture *f = context;
  (void)why;
  for (int64_t i = 0; i < count; i++) {
    memcpy(q + i * HEADS * DIM, f->q + rows[i] * HEADS * DIM, sizeof(float) * HEADS * DIM);
    memcpy(out + i * HEADS * DV, f->out + rows[i] * HEADS * DV, sizeof(float) * HEADS * DV);
  }
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
  precis_verify_source source = {give_queries, give_keys, f};
  precis_verify_result result = {0};
  precis_message why = {""};
  assert_all(COMM, precis_verify(&f->world, &f->job, &source, &result, &why) == PRECIS_SUCCESS);
  double most = 0;
  MPI_Allreduce(&result.max_error, &most, 1, MPI_DOUBLE, MPI_MAX, COMM);
  assert_all(COMM, most == result.max_error);
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

static void failed_read(void **state)
{
  (void)state;
  fixture *f = make(9, 30, 0, 0);
  precis_verify_source source = {give_queries, give_keys, f};
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
      cmocka_unit_test(good_outputs),  cmocka_unit_test(spoilt_output),
      cmocka_unit_test(small_buffers), cmocka_unit_test(not_a_number),
      cmocka_unit_test(masked_out),    cmocka_unit_test(failed_read)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
