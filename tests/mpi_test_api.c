/* What callers meet: errors that reach every rank, outputs that stay untouched, calls repeated in
 * any order. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"
#include "src/precis_more.h"
#include "tests/attention_case.h"

static int rank, ranks;

typedef struct words {
  int calls;
  char text[512];
} words;

static void keep(void *context, const char *text)
{
  words *w = context;
  w->calls++;
  strncpy(w->text, text, sizeof w->text - 1);
}

static precis_attention *make(const precis_problem *problem, words *w)
{
  precis_attention *attention = NULL;
  precis_options options = {.threads = 1, .message = keep, .context = w};
  assert_all(MPI_COMM_WORLD,
             precis_create(MPI_COMM_WORLD, problem, &options, &attention) == PRECIS_SUCCESS);
  return attention;
}

/* A field out of range on the last rank alone. */
static void bad_problem(void **state)
{
  (void)state;
  const precis_problem bad[] = {
      {.heads = 0, .dim = 4},
      {.heads = -1, .dim = 4},
      {.heads = 4, .kv_heads = 3, .dim = 4},
      {.heads = 4, .kv_heads = 8, .dim = 4},
      {.heads = 4, .dim = 0},
      {.heads = 4, .dim = 257},
      {.heads = 4, .dim = 4, .value_dim = -1},
      {.heads = 4, .dim = 4, .scale = NAN},
  };
  const precis_problem good = {.heads = 4, .dim = 4};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    words w = {0};
    precis_options options = {.message = keep, .context = &w};
    precis_attention *attention = NULL;
    int status =
        precis_create(MPI_COMM_WORLD, rank == ranks - 1 ? &bad[i] : &good, &options, &attention);
    assert_all(MPI_COMM_WORLD, status == PRECIS_ERR_ARGUMENT && attention == NULL);
    assert_all(MPI_COMM_WORLD, w.calls == 1 && strstr(w.text, " is ") != NULL);
  }
  precis_options options = {.move = (precis_move)77};
  precis_attention *attention = NULL;
  assert_all(MPI_COMM_WORLD,
             precis_create(MPI_COMM_WORLD, &good, &options, &attention) == PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD,
             precis_create(MPI_COMM_WORLD, NULL, NULL, &attention) == PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD,
             precis_create(MPI_COMM_WORLD, &good, NULL, NULL) == PRECIS_ERR_ARGUMENT);
}

static void different_problems(void **state)
{
  (void)state;
  precis_problem problem = {.heads = 4, .dim = rank == ranks - 1 ? 8 : 4};
  precis_attention *attention = NULL;
  int status = precis_create(MPI_COMM_WORLD, &problem, NULL, &attention);
  assert_all(MPI_COMM_WORLD, status == (ranks > 1 ? PRECIS_ERR_MISMATCH : PRECIS_SUCCESS));
  precis_destroy(&attention);
}

/* After each failure the handle works on, with what it held before. */
static void bad_rows(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 2, .dim = 2};
  words w = {0};
  precis_attention *attention = make(&problem, &w);
  float good[] = {1, 2, 3, 4}, bad[] = {1, 2, NAN, 4}, zero = 0, nan_bias = NAN, plus = INFINITY;
  int last = rank == ranks - 1;
  assert_all(MPI_COMM_WORLD,
             precis_append(attention, last ? -1 : 1, good, good, NULL) == PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD,
             precis_append(attention, 1, last ? NULL : good, good, NULL) == PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD,
             precis_append(attention, 1, last ? bad : good, good, NULL) == PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD, strstr(w.text, "k holds") != NULL);
  assert_all(MPI_COMM_WORLD,
             precis_append(attention, 1, good, last ? bad : good, NULL) == PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD, precis_append(attention, 1, good, good, last ? &nan_bias : &zero) ==
                                 PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD,
             precis_append(attention, 1, good, good, last ? &plus : &zero) == PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD, precis_append(attention, 1, good, good, last ? NULL : &zero) ==
                                 (ranks > 1 ? PRECIS_ERR_MISMATCH : PRECIS_SUCCESS));
  assert_all(MPI_COMM_WORLD, precis_append(attention, 1, good, good, NULL) == PRECIS_SUCCESS);

  float out[] = {7, 7, 7, 7}, lse[] = {7, 7};
  precis_report report = {.size = sizeof report, .ranks = -7};
  assert_all(MPI_COMM_WORLD, precis_attend(attention, last ? -1 : 1, good, out, lse, &report) ==
                                 PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD, precis_attend(attention, 1, good, last ? NULL : out, lse, &report) ==
                                 PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD, precis_attend(attention, 1, last ? bad : good, out, lse, &report) ==
                                 PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD, out[0] == 7 && out[3] == 7 && lse[0] == 7 && report.ranks == -7);
  assert_all(MPI_COMM_WORLD, precis_attend(attention, 1, good, out, NULL, NULL) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, out[0] == 1 && out[3] == 4);
  precis_destroy(&attention);
  assert_all(MPI_COMM_WORLD, attention == NULL && precis_destroy(&attention) == PRECIS_SUCCESS);
}

/* Rows that are put where they stay: number `number` and those after it, or none at all. */
typedef struct filling {
  int status, rows, number, with_bias, spoil;
} filling;

static int fill(void *context, float *k, float *v, float *bias)
{
  const filling *f = context;
  for (int i = 0; i < f->rows; i++) {
    k[2 * i] = k[2 * i + 1] = 0;
    v[2 * i] = v[2 * i + 1] = (float)(f->number + i);
    if (f->with_bias)
      bias[i] = (f->number + i) % 2 ? -INFINITY : 0;
  }
  if (f->spoil)
    v[0] = NAN;
  return f->with_bias == (bias != NULL) ? f->status : PRECIS_ERR_INTERNAL;
}

/* The mean of the values seen. */
static float mean_of(precis_attention *attention)
{
  const float q[] = {1, 2};
  float out[2];
  int status = precis_attend(attention, 1, q, out, NULL, NULL);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && out[0] == out[1]);
  return out[0];
}

static void in_place(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 1, .dim = 2};
  words w = {0};
  precis_attention *attention = make(&problem, &w);
  filling f = {.rows = rank + 1, .number = rank * (rank + 1) / 2}; /* 0, 1 2, 3 4 5, ... */
  const int all = ranks * (ranks + 1) / 2;
  assert_all(MPI_COMM_WORLD,
             precis_append_in_place(attention, f.rows, 0, fill, &f) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, fabsf(mean_of(attention) - (float)(all - 1) / 2) < 1e-4f);
  f.status = PRECIS_ERR_IO;
  for (int with_bias = 0; with_bias < 2; with_bias++) {
    f.with_bias = with_bias;
    assert_all(MPI_COMM_WORLD,
               precis_append_in_place(attention, f.rows, with_bias, fill, &f) == PRECIS_ERR_IO);
    assert_all(MPI_COMM_WORLD, fabsf(mean_of(attention) - (float)(all - 1) / 2) < 1e-4f);
  }
  f = (filling){.rows = f.rows, .number = 2 * f.number, .with_bias = 1}; /* half of them masked */
  double sum = all * (all - 1) / 2., count = all;
  for (int r = 0; r < ranks; r++)
    for (int i = r * (r + 1); i < r * (r + 1) + r + 1; i++) {
      sum += i % 2 ? 0 : i;
      count += i % 2 ? 0 : 1;
    }
  assert_all(MPI_COMM_WORLD,
             precis_append_in_place(attention, f.rows, 1, fill, &f) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, fabs(mean_of(attention) - sum / count) < 1e-4);
  f = (filling){.rows = rank == 0, .number = 1000}; /* and without, where others have biases */
  assert_all(MPI_COMM_WORLD,
             precis_append_in_place(attention, f.rows, 0, fill, &f) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, fabs(mean_of(attention) - (sum + 1000) / (count + 1)) < 1e-3);
  precis_destroy(&attention);
}

/* Scores that float32 cannot hold are refused, not computed wrong; huge but equal ones are fine. */
static void range(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 1, .dim = 2, .scale = 1};
  words w = {0};
  precis_attention *attention = make(&problem, &w);
  float k[] = {1e25f, -1e25f, -1e25f, 1e25f}, v[] = {1, 2, 3, 4}, q[] = {1e20f, 1e20f},
        out[] = {7, 7};
  assert_all(MPI_COMM_WORLD, precis_append(attention, 2, k, v, NULL) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, precis_attend(attention, 1, q, out, NULL, NULL) == PRECIS_ERR_RANGE);
  assert_all(MPI_COMM_WORLD, out[0] == 7 && strstr(w.text, "float32") != NULL);
  precis_destroy(&attention);

  attention = make(&problem, &w);
  float same[] = {1e18f, 1e18f, 1e18f, 1e18f}, one[] = {1e18f, 0}, lse[1];
  assert_all(MPI_COMM_WORLD, precis_append(attention, 2, same, v, NULL) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, precis_attend(attention, 1, one, out, lse, NULL) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, fabsf(out[0] - 2) < 1e-6f && fabsf(out[1] - 3) < 1e-6f);
  assert_all(MPI_COMM_WORLD, fabsf(lse[0] / 1e36f - 1) < 1e-6f);
  precis_destroy(&attention);
}

/* A token at a time on changing ranks, far from where the first one was: the centre follows. */
static void decode(void **state)
{
  (void)state;
  enum { STEPS = 40 };
  const precis_problem problem = {.heads = 2, .kv_heads = 1, .dim = 3, .value_dim = 1, .causal = 1};
  words w = {0};
  precis_attention *attention = make(&problem, &w);
  float k[STEPS * 3], v[STEPS];
  for (int t = 0; t < STEPS; t++) {
    for (int c = 0; c < 3; c++)
      k[t * 3 + c] = (t > 0 ? 10000.0f : 0) + (float)((t * 7 + c * 3) % 5) / 4;
    v[t] = (t > 0 ? 1000.0f : 0) + (float)(t % 3);
    int here = t % ranks == rank;
    assert_all(MPI_COMM_WORLD,
               precis_append(attention, here, k + t * 3, v + t, NULL) == PRECIS_SUCCESS);
    const float q[] = {0.5f, 0.25f, -0.125f, 1, -1, 0.5f};
    float out[2] = {0};
    int status = precis_attend(attention, here, q, out, NULL, NULL);
    double sum[2] = {0}, value[2] = {0};
    for (int h = 0; h < 2; h++)
      for (int j = 0; j <= t; j++) {
        double x = 0;
        for (int c = 0; c < 3; c++)
          x += (double)q[h * 3 + c] * ((double)k[j * 3 + c] - k[t * 3 + c]) / sqrt(3);
        sum[h] += exp(x);
        value[h] += exp(x) * v[j];
      }
    int good = status == PRECIS_SUCCESS && (!here || (fabs(out[0] - value[0] / sum[0]) < 1e-3 &&
                                                      fabs(out[1] - value[1] / sum[1]) < 1e-3));
    assert_all(MPI_COMM_WORLD, good);
  }
  precis_destroy(&attention);
}

/* With and without lse, the same results bit by bit. */
static void results_in_place(void **state)
{
  (void)state;
  enum { ROWS = 5 };
  const precis_problem problem = {.heads = 1, .dim = 2};
  float k[2 * ROWS], out[2][2 * ROWS], lse[2][ROWS], alone[2 * ROWS];
  for (int i = 0; i < 2 * ROWS; i++)
    k[i] = (float)sin(i + rank);
  for (int in_place = 0; in_place < 2; in_place++) {
    precis_options options = {.threads = 1, .results_in_place = in_place};
    precis_attention *attention = NULL;
    int status = precis_create(MPI_COMM_WORLD, &problem, &options, &attention);
    if (status == PRECIS_SUCCESS)
      status = precis_append(attention, ROWS, k, k, NULL);
    if (status == PRECIS_SUCCESS)
      status = precis_attend(attention, ROWS, k, out[in_place], lse[in_place], NULL);
    if (status == PRECIS_SUCCESS)
      status = precis_attend(attention, ROWS, k, alone, NULL, NULL);
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
    assert_all(MPI_COMM_WORLD, memcmp(alone, out[in_place], sizeof alone) == 0);
    precis_destroy(&attention);
  }
  assert_all(MPI_COMM_WORLD, memcmp(out[0], out[1], sizeof out[0]) == 0);
  assert_all(MPI_COMM_WORLD, memcmp(lse[0], lse[1], sizeof lse[0]) == 0);
}

/* An error of `fill` on one rank alone, or rows that are no numbers, reach all; nothing was appended. */
static void bad_filling(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 1, .dim = 2};
  words w = {0};
  precis_attention *attention = make(&problem, &w);
  int last = rank == ranks - 1;
  filling f = {.rows = 1, .number = 5};
  assert_all(MPI_COMM_WORLD,
             precis_append_in_place(attention, 1, 0, fill, &f) == PRECIS_SUCCESS);
  filling bad = {.rows = 1, .number = 9, .status = last ? PRECIS_ERR_IO : PRECIS_SUCCESS};
  w.calls = 0;
  assert_all(MPI_COMM_WORLD, precis_append_in_place(attention, 1, 0, fill, &bad) == PRECIS_ERR_IO);
  assert_all(MPI_COMM_WORLD, w.calls == 0);
  filling no_number = {.rows = 1, .number = 9, .spoil = last};
  assert_all(MPI_COMM_WORLD,
             precis_append_in_place(attention, 1, 0, fill, &no_number) == PRECIS_ERR_NONFINITE);
  assert_all(MPI_COMM_WORLD, w.calls == 1 && strstr(w.text, "v holds") != NULL);
  assert_all(MPI_COMM_WORLD, precis_append_in_place(attention, 1, last, fill,
                                                    &(filling){.rows = 1, .with_bias = last}) ==
                                 (ranks > 1 ? PRECIS_ERR_MISMATCH : PRECIS_SUCCESS));
  assert_all(MPI_COMM_WORLD, precis_append_in_place(attention, last ? -1 : 1, 0, fill, &f) ==
                                 PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD, precis_append_in_place(attention, 1, 0, last ? NULL : fill, &f) ==
                                 PRECIS_ERR_ARGUMENT);
  assert_all(MPI_COMM_WORLD, ranks == 1 || mean_of(attention) == 5);
  precis_destroy(&attention);
}

/* Every query head is in one group, which says what the report says. */
static void groups(void **state)
{
  (void)state;
  enum { HEADS = 4, ROWS = 64 };
  const precis_problem problem = {.heads = HEADS, .kv_heads = 2, .dim = 2};
  for (int by_summaries = 0; by_summaries < 2; by_summaries++) {
    precis_options options = {.threads = 1, .degree = by_summaries ? 2 : 0};
    options.move = by_summaries ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_TILES;
    float k[ROWS * 4], q[ROWS * HEADS * 2], out[ROWS * HEADS * 2];
    for (int i = 0; i < ROWS * HEADS * 2; i++)
      q[i] = (float)sin(2 * i + rank), k[i % (ROWS * 4)] = (float)cos(i + rank);
    precis_attention *a = NULL;
    precis_report report = PRECIS_REPORT_INIT;
    precis_group group = PRECIS_GROUP_INIT, small = {.size = offsetof(precis_group, degree)};
    int status = precis_create(MPI_COMM_WORLD, &problem, &options, &a);
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && precis_attention_groups(a) == 0 &&
                                   precis_attention_group(a, 0, &group) == PRECIS_ERR_ARGUMENT);
    status = precis_append(a, ROWS, k, k, NULL);
    if (status == PRECIS_SUCCESS)
      status = precis_attend(a, ROWS, q, out, NULL, &report);
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
    int seen[HEADS] = {0}, count = precis_attention_groups(a), good = count >= 1;
    int64_t outliers = 0;
    for (int i = 0; i < count; i++) {
      good &= precis_attention_group(a, i, &group) == PRECIS_SUCCESS;
      for (int h = 0; h < group.heads; h++)
        seen[group.head_list[h]]++;
      outliers += group.outlier_queries;
      good &= group.promise <= report.promise && (group.degree > 0) == by_summaries &&
              (group.move == PRECIS_MOVE_SUMMARIES) == by_summaries;
    }
    for (int h = 0; h < HEADS; h++)
      good &= seen[h] == 1;
    good &= outliers == report.outlier_queries;
    good &= precis_attention_group(a, 0, &small) == PRECIS_SUCCESS && small.heads > 0 &&
            small.degree == 0 && small.size == offsetof(precis_group, degree);
    good &= precis_attention_group(a, count, &group) == PRECIS_ERR_ARGUMENT;
    group.size++;
    good &= precis_attention_group(a, 0, &group) == PRECIS_ERR_ARGUMENT;
    assert_all(MPI_COMM_WORLD, good);
    precis_destroy(&a);
  }
}

/* A job in two handles is judged as one: what the first answered, the second goes on from. */
static void parts(void **state)
{
  (void)state;
  enum { ROWS = 8 };
  const precis_problem problem = {.heads = 1, .dim = 2};
  float x[2 * ROWS], out[2 * ROWS];
  double mean[2] = {.25, -.5};
  for (int i = 0; i < 2 * ROWS; i++)
    x[i] = (float)sin(3 * i + rank);
  precis_head_worth worth[2] = {{.size = sizeof *worth}, {.size = sizeof *worth}};
  for (int handle = 0; handle < 2; handle++) {
    words w = {0};
    precis_attention *a = make(&problem, &w);
    int good = precis_attention_worth(a, worth) == PRECIS_ERR_ARGUMENT &&
               precis_attention_set_mean_query(a, mean) == PRECIS_SUCCESS;
    if (handle == 1)
      good &= precis_attention_set_answered(a, &worth[0]) == PRECIS_SUCCESS;
    good &= precis_append(a, ROWS, x, x, NULL) == PRECIS_SUCCESS;
    good &= precis_attend(a, ROWS, x, out, NULL, NULL) == PRECIS_SUCCESS;
    good &= precis_attention_worth(a, &worth[handle]) == PRECIS_SUCCESS;
    good &= worth[handle].rows == (handle + 1) * ROWS * ranks;
    double before = worth[handle].sum;
    good &= precis_attention_settle(a) == PRECIS_SUCCESS &&
            precis_attend(a, ROWS, x, out, NULL, NULL) == PRECIS_SUCCESS &&
            precis_attention_worth(a, &worth[handle]) == PRECIS_SUCCESS &&
            worth[handle].sum == before;
    char text[8] = "x";
    good &= precis_attention_waits(a, text, sizeof text) == text && text[0] == '\0';
    double one = precis_attention_foretell(a, 1e6), two = precis_attention_foretell(a, 2e6);
    good &= one > 0 && fabs(two / one - 2) < 1e-12;
    assert_all(MPI_COMM_WORLD, good);
    precis_destroy(&a);
  }
  assert_all(MPI_COMM_WORLD,
             worth[0].sum > 0 && fabs(worth[1].sum / worth[0].sum - 2) < 1e-9);
}

static void texts(void **state)
{
  (void)state;
  assert_string_equal(precis_strerror(PRECIS_SUCCESS), "success");
  assert_string_equal(precis_strerror(PRECIS_ERR_MEMORY), "out of memory");
  assert_non_null(precis_strerror(-12345));
  assert_string_equal(precis_move_name(PRECIS_MOVE_HEADS), "heads");
  assert_non_null(precis_move_name((precis_move)99));
  assert_non_null(precis_version());
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_problem), cmocka_unit_test(different_problems),
      cmocka_unit_test(bad_rows),    cmocka_unit_test(range),
      cmocka_unit_test(decode),      cmocka_unit_test(texts),
      cmocka_unit_test(in_place),    cmocka_unit_test(results_in_place),
      cmocka_unit_test(bad_filling), cmocka_unit_test(groups),
      cmocka_unit_test(parts),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("api", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
