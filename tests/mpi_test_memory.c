/* Every allocation of the library fails once, on one rank alone: all ranks return the same error,
 * nothing hangs, and the same calls succeed afterwards. The linker sends the library's allocations
 * here (--wrap). */
#include "tests/mpi_assert.h"

#include <stdlib.h>

#include "src/precis.h"
#include "tests/attention_case.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

static int armed;       /* counting */
static long until = -1; /* allocations before the one that fails */

static int fails(void)
{
  return armed && until-- == 0;
}

void *__wrap_malloc(size_t size)
{
  return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
  return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
  return fails() ? NULL : __real_aligned_alloc(alignment, size);
}

enum { ROWS = 6, MANY = 80, HEADS = 2, DIM = 4 };

typedef struct wish {
  precis_move move;
  int causal, again; /* again: another append and attend */
  precis_guarantee guarantee;
  double tol;
  int degree;
  int heavy; /* many rows, one of them far longer */
} wish;

/* create, append twice, attend; returns the first error. *attended: out was to be written. */
static int run(const wish *w, const float *x, float *out, int *attended, int64_t *outliers)
{
  const precis_problem problem = {.heads = HEADS, .dim = DIM, .causal = w->causal};
  const precis_options options = {.move = w->move,
                                  .tol = w->tol,
                                  .guarantee = w->guarantee,
                                  .degree = w->degree,
                                  .threads = 1,
                                  .fast_memory_bytes = 1 << 16,
                                  .tile_rows = 4};
  const float bias[MANY] = {0};
  int rows = w->heavy ? MANY : ROWS;
  precis_report report = PRECIS_REPORT_INIT;
  precis_attention *attention = NULL;
  int status = precis_create(MPI_COMM_WORLD, &problem, &options, &attention);
  if (status == PRECIS_SUCCESS)
    status = precis_append(attention, rows, x, x, bias);
  if (status == PRECIS_SUCCESS)
    status = precis_append(attention, 1, x, x, bias);
  if (status == PRECIS_SUCCESS)
    status = precis_attend(attention, rows, x, out, NULL, &report);
  *outliers = report.outlier_keys;
  *attended = attention != NULL && status == PRECIS_SUCCESS;
  if (*attended && w->again) {
    float scratch[MANY * HEADS * DIM];
    status = precis_append(attention, 1, x, x, bias);
    if (status == PRECIS_SUCCESS)
      status = precis_attend(attention, rows, x, scratch, NULL, NULL);
  }
  precis_destroy(&attention);
  return status;
}

static void check_wish(const wish *w)
{
  int rank, ranks;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  float x[MANY * HEADS * DIM], out[MANY * HEADS * DIM];
  for (int i = 0; i < MANY * HEADS * DIM; i++)
    x[i] = (float)(i % 7) / 7;
  x[(MANY - 1) * HEADS * DIM] = w->heavy ? 30 : 1;
  for (int victim = 0; victim<ranks; victim += ranks> 3 ? ranks - 1 : 1) {
    int failures = 0;
    for (long k = 0;; k++) {
      out[0] = 77;
      until = rank == victim ? k : -1;
      armed = 1;
      int64_t outliers;
      int attended, status = run(w, x, out, &attended, &outliers), lowest, highest, reached;
      armed = 0;
      int mine = until < 0 && rank == victim;
      MPI_Allreduce(&status, &lowest, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
      MPI_Allreduce(&status, &highest, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
      MPI_Allreduce(&mine, &reached, 1, MPI_INT, MPI_MAX, MPI_COMM_WORLD);
      assert_all(MPI_COMM_WORLD, lowest == highest);
      /* Summaries that cannot be fitted for want of memory give way to others. */
      int recovered = reached && status == PRECIS_SUCCESS && w->move == PRECIS_MOVE_SUMMARIES;
      assert_all(MPI_COMM_WORLD,
                 recovered || status == (reached ? PRECIS_ERR_MEMORY : PRECIS_SUCCESS));
      assert_all(MPI_COMM_WORLD, attended == (out[0] != 77));
      if (!reached) {
        assert_all(MPI_COMM_WORLD, (outliers > 0) == w->heavy);
        break;
      }
      failures++;
    }
    assert_all(MPI_COMM_WORLD, failures > 10);
  }
}

static void check_move(precis_move move)
{
  check_wish(&(wish){.move = move, .causal = 1});
}

static void tiles(void **state)
{
  (void)state;
  check_move(PRECIS_MOVE_TILES);
}

static void heads(void **state)
{
  (void)state;
  check_move(PRECIS_MOVE_HEADS);
}

static void queries(void **state)
{
  (void)state;
  check_move(PRECIS_MOVE_QUERIES);
}

/* Summaries, kept for a second call to which another key comes. */
static void summaries(void **state)
{
  (void)state;
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES, .again = 1, .degree = 1});
}

static void summaries_causal(void **state)
{
  (void)state;
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES, .causal = 1, .degree = 1});
}

/* With keys and queries that are left out of the summary. */
static void summaries_outliers(void **state)
{
  (void)state;
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES, .again = 1, .degree = 1, .heavy = 1});
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES, .causal = 1, .degree = 1, .heavy = 1});
}

/* With the search for common axes, which begins where no degree is named and full sets are not the
 * cheapest that there can be. */
static void summaries_turned(void **state)
{
  (void)state;
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES, .tol = 6e-4});
}

/* With the rows that are computed exactly to estimate the error. */
static void summaries_sampled(void **state)
{
  (void)state;
  check_wish(&(wish){.move = PRECIS_MOVE_SUMMARIES,
                     .guarantee = PRECIS_GUARANTEE_SAMPLED,
                     .tol = .5,
                     .degree = 1});
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tiles),
      cmocka_unit_test(heads),
      cmocka_unit_test(queries),
      cmocka_unit_test(summaries),
      cmocka_unit_test(summaries_causal),
      cmocka_unit_test(summaries_outliers),
      cmocka_unit_test(summaries_turned),
      cmocka_unit_test(summaries_sampled),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int failed = cmocka_run_group_tests_name("memory", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
