/* Promises hold: on random and adversarial problems of every kind, single calls and sequences of
 * appends and attends, no row of any call is further from the oracle than was promised of it.
 *
 *   PRECIS_PROMISES_PROBLEMS   how many single calls at each number of ranks (default 57)
 *   PRECIS_PROMISES_SEQUENCES  how many sequences (default 19)
 *   PRECIS_PROMISES_SEED       of which series (default 1); every number of ranks has its own
 *   PRECIS_PROMISES_FIRST      the number of the first (default 0), to repeat one alone */
#include "tests/mpi_assert.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/promise_cases.h"
#include "tests/promise_run.h"

static int64_t setting(const char *name, int64_t otherwise)
{
  const char *text = getenv(name);
  return text != NULL && *text != '\0' ? strtoll(text, NULL, 10) : otherwise;
}

static void report(const char *what, const char *kind, const promise_tally *t)
{
  printf("promises: %s, %s: %lld problems, %lld calls (%lld by summaries, %lld exact, %lld in "
         "groups, %lld declined), %lld rows, %lld broken; largest share used: %.3g of a row's "
         "bound, %.3g of "
         "range, %.3g of lse, %.3g of tol\n",
         what, kind, (long long)t->problems, (long long)t->calls, (long long)t->summaries,
         (long long)t->exact, (long long)t->mixed, (long long)t->declined, (long long)t->rows,
         (long long)t->broken, t->used, t->used_range, t->used_lse, t->tol_used);
}

static int run_one(uint64_t seed, int64_t number, int sequence, promise_tally *tally)
{
  promise_problem p;
  int good = promise_problem_throw(seed, number, sequence, &p);
  if (good)
    good = p.kind == PROMISE_WORST ? promise_run_worst(MPI_COMM_WORLD, &p, tally)
                                   : promise_run(MPI_COMM_WORLD, &p, tally);
  promise_problem_free(&p);
  return good;
}

static void run_series(const char *what, int sequence, int64_t problems)
{
  int rank, ranks, good = 1;
  promise_tally tally[PROMISE_KINDS] = {{0}};
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int64_t first = setting("PRECIS_PROMISES_FIRST", 0);
  uint64_t seed = (uint64_t)setting("PRECIS_PROMISES_SEED", 1) * 100 + (uint64_t)ranks;
  for (int64_t number = first; number < first + problems; number++) {
    int one = run_one(seed, number, sequence, &tally[number % PROMISE_KINDS]);
    if (!one && rank == 0)
      fprintf(stderr,
              "to repeat: PRECIS_PROMISES_SEED=%llu PRECIS_PROMISES_FIRST=%lld "
              "PRECIS_PROMISES_PROBLEMS=%d PRECIS_PROMISES_SEQUENCES=%d, %d ranks\n",
              (unsigned long long)seed / 100, (long long)number, !sequence, sequence, ranks);
    good &= one;
  }
  for (int kind = 0; kind < PROMISE_KINDS; kind++) {
    promise_tally_agree(MPI_COMM_WORLD, &tally[kind]);
    if (rank == 0 && tally[kind].problems > 0)
      report(what, promise_kind_name((promise_kind)kind), &tally[kind]);
  }
  assert_all(MPI_COMM_WORLD, good);
}

static void random_problems(void **state)
{
  (void)state;
  run_series("problems", 0, setting("PRECIS_PROMISES_PROBLEMS", 57));
}

static void random_sequences(void **state)
{
  (void)state;
  run_series("sequences", 1, setting("PRECIS_PROMISES_SEQUENCES", 19));
}

/* Each of the calls that once broke their promise. */
static void known_cases(void **state)
{
  (void)state;
  int rank, good = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int i = 0; i < promise_case_count(); i++) {
    promise_problem p;
    promise_tally tally = {0};
    int one = promise_case_make(i, &p) && promise_run(MPI_COMM_WORLD, &p, &tally);
    promise_problem_free(&p);
    promise_tally_agree(MPI_COMM_WORLD, &tally);
    if (rank == 0)
      report(one ? "kept" : "BROKEN", p.name, &tally);
    good &= one;
  }
  assert_all(MPI_COMM_WORLD, good);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(known_cases),
                                     cmocka_unit_test(random_problems),
                                     cmocka_unit_test(random_sequences)};
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int failed = cmocka_run_group_tests_name("promises", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
