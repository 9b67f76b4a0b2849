/* Masks as people make them: the lowest finite numbers of float32 and bfloat16 do what -infinity
 * does, bit by bit, wherever biases come in; numbers above PRECIS_BIAS_MASK are weights. */
#include "tests/mpi_assert.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"
#include "src/precis_more.h"

enum { ROWS = 24, QUERIES = 24, HEADS = 2, DIM = 4 };

static int rank, ranks;

/* Which keys are masked: of all keys, first to last. */
typedef enum pattern { EVERY_THIRD, PREFIX, MIDDLE, ALL, PATTERNS } pattern;

static int masked(pattern which, int64_t key, int64_t keys)
{
  return which == ALL || (which == EVERY_THIRD && key % 3 == 0) ||
         (which == PREFIX && key < keys / 2) ||
         (which == MIDDLE && key > keys / 4 && key < keys / 2);
}

typedef struct wish {
  precis_move move;
  int causal, in_place;
  double tol;
  pattern pattern;
  float mask, plain; /* biases of masked keys, and of others */
} wish;

typedef struct rows {
  const float *x, *bias;
} rows;

static int fill(void *context, float *k, float *v, float *bias)
{
  const rows *r = context;
  memcpy(k, r->x, ROWS * HEADS * DIM * sizeof *k);
  memcpy(v, r->x, ROWS * HEADS * DIM * sizeof *v);
  memcpy(bias, r->bias, ROWS * sizeof *bias);
  return PRECIS_SUCCESS;
}

typedef struct results {
  float out[QUERIES * HEADS * DIM], lse[QUERIES * HEADS];
  int status;
} results;

static void numbers(float *x, int64_t count, int seed)
{
  for (int64_t i = 0; i < count; i++)
    x[i] = sinf((float)(seed + 17 * rank) + 1.7f * (float)i);
}

static results run(const wish *w)
{
  static results r;
  const precis_problem problem = {.heads = HEADS, .dim = DIM, .causal = w->causal};
  const precis_options options = {
      .move = w->move, .threads = 1, .tile_rows = 8, .tol = w->tol, .degree = w->tol > 0 ? 4 : 0};
  float k[ROWS * HEADS * DIM], q[QUERIES * HEADS * DIM], bias[ROWS];
  precis_attention *a = NULL;
  numbers(k, ROWS * HEADS * DIM, 1);
  numbers(q, QUERIES * HEADS * DIM, 2);
  for (int i = 0; i < ROWS; i++)
    bias[i] =
        masked(w->pattern, (int64_t)rank * ROWS + i, (int64_t)ranks * ROWS) ? w->mask : w->plain;
  memset(&r, 0, sizeof r);
  r.status = precis_create(MPI_COMM_WORLD, &problem, &options, &a);
  rows given = {k, bias};
  if (r.status == PRECIS_SUCCESS)
    r.status = w->in_place ? precis_append_in_place(a, ROWS, 1, fill, &given)
                           : precis_append(a, ROWS, k, k, bias);
  if (r.status == PRECIS_SUCCESS)
    r.status = precis_attend(a, QUERIES, q, r.out, r.lse, NULL);
  precis_destroy(&a);
  return r;
}

static void check_same(wish w)
{
  const float masks[] = {-FLT_MAX, -3.3895314e38f, -2e37f, PRECIS_BIAS_MASK};
  w.mask = -INFINITY;
  results right = run(&w);
  assert_all(MPI_COMM_WORLD, right.status == PRECIS_SUCCESS);
  for (size_t m = 0; m < sizeof masks / sizeof *masks; m++) {
    w.mask = masks[m];
    results made = run(&w);
    if (made.status != right.status || memcmp(&made, &right, sizeof made) != 0)
      fprintf(stderr, "%s, pattern %d, mask %g: status %d\n", precis_move_name(w.move), w.pattern,
              (double)w.mask, made.status);
    assert_all(MPI_COMM_WORLD, memcmp(&made, &right, sizeof made) == 0);
  }
  int empty = 1;
  for (int i = 0; i < QUERIES * HEADS && w.pattern == ALL; i++)
    empty &= right.lse[i] == -INFINITY && right.out[i * DIM] == 0;
  assert_all(MPI_COMM_WORLD, empty);
}

static void as_infinity(void **state)
{
  (void)state;
  for (pattern p = 0; p < PATTERNS; p++)
    for (int causal = 0; causal < 2; causal++)
      for (int in_place = 0; in_place < 2; in_place++)
        for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++)
          check_same((wish){
              .move = move, .causal = causal, .in_place = in_place, .pattern = p, .plain = .25f});
}

static void by_summaries(void **state)
{
  (void)state;
  for (pattern p = 0; p < ALL; p++)
    for (int causal = 0; causal < 2; causal++)
      check_same((wish){.move = PRECIS_MOVE_SUMMARIES, .causal = causal, .pattern = p, .tol = .5});
}

/* A common finite bias is no mask and shifts lse alone, within its unit in the last place; beside
 * others it leaves nothing. */
static void weights(void **state)
{
  (void)state;
  const float finite[] = {-65504, -1e4f, -1e9f};
  for (size_t f = 0; f < sizeof finite / sizeof *finite; f++)
    for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
      wish w = {.move = move, .pattern = ALL, .mask = 0};
      results plain = run(&w);
      w.mask = finite[f];
      results made = run(&w);
      /* Each score is rounded to the bias' unit. */
      double unit = (double)(nextafterf(-finite[f], INFINITY) + finite[f]);
      int good = plain.status == PRECIS_SUCCESS && made.status == PRECIS_SUCCESS;
      for (int i = 0; i < QUERIES * HEADS && good; i++)
        good = isfinite(made.lse[i]) && fabs((double)made.lse[i] - (double)finite[f] -
                                             (double)plain.lse[i]) <= 4 * unit + 16;
      for (int i = 0; i < QUERIES * HEADS * DIM && good; i++) {
        good = isfinite(made.out[i]) && fabsf(made.out[i]) <= 1.0001f;
        if (unit < .01)
          good = good && fabs((double)(made.out[i] - plain.out[i])) <= 4 * unit;
      }
      if (!good)
        fprintf(stderr, "%s, bias %g: status %d, out %g, not %g; lse %g\n", precis_move_name(move),
                (double)finite[f], made.status, (double)made.out[0], (double)plain.out[0],
                (double)made.lse[0]);
      assert_all(MPI_COMM_WORLD, good);
      w = (wish){.move = move, .pattern = EVERY_THIRD, .mask = -INFINITY};
      results without = run(&w);
      w.mask = finite[f];
      made = run(&w);
      good = made.status == PRECIS_SUCCESS;
      for (int i = 0; i < QUERIES * HEADS * DIM && good; i++)
        good = fabs((double)(made.out[i] - without.out[i])) <= 1e-5;
      if (!good)
        fprintf(stderr, "%s, bias %g beside others: status %d, out %g, not %g\n",
                precis_move_name(move), (double)finite[f], made.status, (double)made.out[0],
                (double)without.out[0]);
      assert_all(MPI_COMM_WORLD, good);
    }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(as_infinity), cmocka_unit_test(by_summaries),
                                     cmocka_unit_test(weights)};
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("mask", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
