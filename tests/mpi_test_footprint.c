/* The memory that is predicted is the memory that is taken: every allocation of the library is
 * counted on its way, and every window that its ranks share. */
#include "tests/mpi_assert.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "src/oracle/generate.h"
#include "src/base/memory.h"
#include "src/precis.h"
#include "src/precis_more.h"
#include "src/base/problem.h"
#include "src/base/share.h"

static int rank, ranks;
static int64_t held, most; /* bytes, since the last reset */
static int64_t weighed;    /* what the handle says that it holds, and ... */
static int64_t held_then;  /* ... what it did */

int __real_posix_fallocate(int file, off_t first, off_t bytes);
int __real_munmap(void *at, size_t bytes);
int __wrap_posix_fallocate(int file, off_t first, off_t bytes);
int __wrap_munmap(void *at, size_t bytes);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void __wrap_free(void *memory);

static void *taken(void *memory)
{
  held += memory ? (int64_t)malloc_usable_size(memory) : 0;
  most = held > most ? held : most;
  return memory;
}

void *__wrap_malloc(size_t size)
{
  return taken(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
  return taken(__real_calloc(count, size));
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
  return taken(__real_aligned_alloc(alignment, size));
}

void __wrap_free(void *memory)
{
  held -= memory ? (int64_t)malloc_usable_size(memory) : 0;
  __real_free(memory);
}

/* One window at a time is open. */
static int64_t window;

int __wrap_posix_fallocate(int file, off_t first, off_t bytes)
{
  window = bytes;
  held += window;
  most = held > most ? held : most;
  return __real_posix_fallocate(file, first, bytes);
}

int __wrap_munmap(void *at, size_t bytes)
{
  held -= window;
  window = 0;
  return __real_munmap(at, bytes);
}

typedef struct shape {
  precis_problem problem;
  int64_t queries, keys;
} shape;

static const shape shapes[] = {
    {{.heads = 4, .kv_heads = 2, .dim = 32, .value_dim = 48}, 4500, 6000},
    {{.heads = 6, .dim = 16}, 20000, 1500},
    {{.heads = 2, .dim = 64}, 300, 40000},
    {{.heads = 4, .kv_heads = 1, .dim = 16, .causal = 1}, 4500, 4500},
};

typedef struct arrays {
  int64_t rows, keys, keys_of_all;
  float *q, *k, *v, *out;
} arrays;

/* Rows of a shape, keys from a number on. */
static arrays make_of(const shape *s, precis_problem *p, int64_t heavy, int64_t first)
{
  *p = s->problem;
  precis_problem_settle(p, NULL);
  const precis_recipe recipe = {
      .kind = PRECIS_KIND_GAUSS, .problem = *p, .spread = .1, .seed = 5, .heavy = heavy};
  arrays a = {.rows = precis_share_rows(s->queries, ranks, rank),
              .keys = precis_share_rows(s->keys, ranks, rank),
              .keys_of_all = s->keys};
  a.q = precis_memory_array(a.rows * p->heads * p->dim, sizeof(float));
  a.k = precis_memory_array(a.keys * p->kv_heads * p->dim, sizeof(float));
  a.v = precis_memory_array(a.keys * p->kv_heads * p->value_dim, sizeof(float));
  a.out = precis_memory_array(a.rows * p->heads * p->value_dim, sizeof(float));
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, precis_share_first(s->queries, ranks, rank), a.rows,
                       a.q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, first + precis_share_first(s->keys, ranks, rank), a.keys,
                       a.k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, first + precis_share_first(s->keys, ranks, rank), a.keys,
                       a.v);
  return a;
}

static arrays make(const shape *s, precis_problem *p)
{
  return make_of(s, p, 0, 0);
}

static void release(arrays *a)
{
  free(a->q);
  free(a->k);
  free(a->v);
  free(a->out);
}

static char said[500];

static void keep(void *context, const char *text)
{
  (void)context;
  snprintf(said, sizeof said, "%s", text);
}

/* Returns the status of the attend; *peak is the most that any rank's library took. */
static int attend(const precis_problem *p, const arrays *a, precis_move move, int64_t limit,
                  precis_report *report, int64_t *peak)
{
  precis_options options = {.move = move,
                            .degree = move == PRECIS_MOVE_SUMMARIES ? 2 : 0,
                            .threads = 1,
                            .fast_memory_bytes = 1 << 20,
                            .memory_limit_bytes = limit,
                            .message = keep};
  precis_attention *attention = NULL;
  held = most = 0;
  int status = precis_create(MPI_COMM_WORLD, p, &options, &attention);
  if (status == PRECIS_SUCCESS)
    status = precis_append(attention, a->keys, a->k, a->v, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_attend(attention, a->rows, a->q, a->out, NULL, report);
  MPI_Allreduce(&most, peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
  weighed = precis_attention_bytes(attention);
  held_then = held;
  precis_destroy(&attention);
  return status;
}

static void predicted(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    precis_problem p;
    arrays a = make(&shapes[i], &p);
    for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++) {
      precis_report report = PRECIS_REPORT_INIT;
      int64_t peak;
      int status = attend(&p, &a, move, 0, &report, &peak);
      int64_t foretold = status == PRECIS_SUCCESS ? report.forecast[move].peak_bytes : 0;
      double ratio = (double)foretold / (double)peak;
      int good = status == PRECIS_SUCCESS && ratio > .95 && ratio < 1.1;
      if (rank == 0 && (!good || getenv("PRECIS_SHOW")))
        fprintf(stderr, "shape %zu, %s: status %d, predicted %lld bytes, taken %lld: %.3f\n", i,
                precis_move_name(move), status, (long long)foretold, (long long)peak, ratio);
      assert_all(MPI_COMM_WORLD, good);
    }
    release(&a);
  }
}

/* A call of a session: keys that come before it, queries. */
typedef struct call {
  int64_t keys, queries;
} call;

enum { CALLS = 4 };

/* What comes after another, as of a program that decodes or one that asks again. */
typedef struct session {
  const char *name;
  precis_problem problem;
  precis_move move;
  int64_t heavy; /* one key of so many is a hundred times as long */
  double far;    /* one query of a hundred is so many times as long; 0: none */
  call calls[CALLS];
} session;

static const session sessions[] = {
    {.name = "outliers", .problem = {.heads = 8, .kv_heads = 2, .dim = 16},
     .move = PRECIS_MOVE_SUMMARIES, .heavy = 90, .calls = {{9000, 5000}}},
    {.name = "far queries", .problem = {.heads = 4, .dim = 16},
     .move = PRECIS_MOVE_SUMMARIES, .far = 60, .calls = {{6000, 6000}}},
    {.name = "outliers, prefixes", .problem = {.heads = 4, .dim = 16, .causal = 1},
     .move = PRECIS_MOVE_SUMMARIES, .heavy = 90, .calls = {{9000, 9000}}},
    {.name = "kept", .problem = {.heads = 4, .kv_heads = 2, .dim = 16},
     .move = PRECIS_MOVE_SUMMARIES, .calls = {{9000, 600}, {0, 6000}, {900, 6000}}},
    {.name = "kept, outliers", .problem = {.heads = 4, .kv_heads = 2, .dim = 16},
     .move = PRECIS_MOVE_SUMMARIES, .heavy = 90, .calls = {{9000, 600}, {0, 6000}, {900, 6000}}},
    {.name = "decoding, kept", .problem = {.heads = 4, .dim = 32},
     .move = PRECIS_MOVE_SUMMARIES, .calls = {{6000, 6000}, {1, 1}, {1, 1}, {7, 7}}},
    {.name = "decoding, exact", .problem = {.heads = 4, .dim = 32, .causal = 1},
     .move = PRECIS_MOVE_TILES, .calls = {{6000, 6000}, {1, 1}, {1, 1}, {7, 7}}},
    {.name = "decoding by queries", .problem = {.heads = 4, .dim = 32, .causal = 1},
     .move = PRECIS_MOVE_QUERIES, .calls = {{6000, 60}, {1, 1}, {1, 1}, {7, 7}}},
};

/* The next rows of a session, each rank its share. */
static arrays next(const session *s, const call *c, int64_t keys, precis_problem *p)
{
  shape of = {s->problem, c->queries, c->keys};
  *p = of.problem;
  precis_problem_settle(p, NULL);
  arrays a = make_of(&of, p, s->heavy, keys);
  int64_t row = (int64_t)p->heads * p->dim;
  for (int64_t i = 0; i < a.rows * row && s->far > 0; i++)
    a.q[i] *= i / row % 100 == 3 ? (float)s->far : 1;
  return a;
}

static int attend_again(precis_attention *attention, const arrays *a, precis_report *report,
                        int64_t *peak)
{
  int status = PRECIS_SUCCESS;
  if (a->keys_of_all > 0)
    status = precis_append(attention, a->keys, a->k, a->v, NULL);
  most = held;
  if (status == PRECIS_SUCCESS)
    status = precis_attend(attention, a->rows, a->q, a->out, NULL, report);
  MPI_Allreduce(&most, peak, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
  return status;
}

/* A call of a session; `keys` have come before it. */
static void attend_next(const session *s, const call *c, int64_t keys, precis_attention *attention)
{
  precis_problem p;
  precis_report report = PRECIS_REPORT_INIT;
  int64_t before = held, peak;
  arrays a = next(s, c, keys, &p);
  int64_t own = held - before; /* the caller's */
  held = before;
  int status = attend_again(attention, &a, &report, &peak);
  int64_t foretold = status == PRECIS_SUCCESS ? report.forecast[s->move].peak_bytes : 0;
  double ratio = (double)foretold / (double)peak;
  int good = status == PRECIS_SUCCESS && ratio > .95 && ratio < 1.05;
  if (rank == 0 && (!good || getenv("PRECIS_SHOW")))
    fprintf(stderr, "%s, call %td: status %d, predicted %lld bytes, taken %lld: %.3f\n", s->name,
            c - s->calls, status, (long long)foretold, (long long)peak, ratio);
  assert_all(MPI_COMM_WORLD, good);
  assert_all(MPI_COMM_WORLD, (report.outlier_keys > 0) == (s->heavy > 0));
  assert_all(MPI_COMM_WORLD, (report.outlier_queries > 0) == (s->far > 0));
  held += own;
  release(&a);
}

/* Whatever comes when: outliers, calls through a summary that is kept, tokens one by one. */
static void in_sessions(void **state)
{
  (void)state;
  for (const session *s = sessions; s < sessions + sizeof sessions / sizeof *sessions; s++) {
    precis_options options = {.move = s->move,
                              .degree = s->move == PRECIS_MOVE_SUMMARIES ? 2 : 0,
                              .threads = 1,
                              .fast_memory_bytes = 1 << 19};
    precis_attention *attention = NULL;
    int64_t keys = 0;
    held = most = 0;
    assert_all(MPI_COMM_WORLD,
               precis_create(MPI_COMM_WORLD, &s->problem, &options, &attention) == 0);
    for (const call *c = s->calls; c < s->calls + CALLS && c->queries > 0; keys += c++->keys)
      attend_next(s, c, keys, attention);
    precis_destroy(&attention);
  }
}

/* What a handle says that it holds between calls is what it does: a summary that is kept, too. */
static void weighed_between_calls(void **state)
{
  (void)state;
  int64_t kept = 0;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    precis_problem p;
    arrays a = make(&shapes[i], &p);
    int64_t exact = 0;
    for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++) {
      precis_report report = PRECIS_REPORT_INIT;
      int64_t peak;
      int status = attend(&p, &a, move, 0, &report, &peak);
      double ratio = (double)weighed / (double)held_then;
      int good = status == PRECIS_SUCCESS && ratio > .95 && ratio < 1.05;
      exact = move == PRECIS_MOVE_TILES ? weighed : exact;
      kept += weighed > exact + exact / 20;
      if (!good || getenv("PRECIS_SHOW"))
        fprintf(stderr, "shape %zu, %s, rank %d: says %lld bytes, holds %lld: %.3f\n", i,
                precis_move_name(move), rank, (long long)weighed, (long long)held_then, ratio);
      assert_all(MPI_COMM_WORLD, good);
    }
    release(&a);
  }
  assert_all(MPI_COMM_WORLD, kept > 0);
  assert_all(MPI_COMM_WORLD, precis_attention_bytes(NULL) == 0);
}

/* Also where few keys are so long that they are left out of summaries, which takes memory of its own:
 * the limit of the tolerance makes summaries the only way. */
static void limited_with_outliers(void **state)
{
  (void)state;
  const shape s = {{.heads = 8, .kv_heads = 2, .dim = 16}, 5000, 9000};
  precis_problem p;
  arrays a = make_of(&s, &p, 90, 0);
  precis_report report = PRECIS_REPORT_INIT;
  int64_t free_peak, peak, kept = 0, refused = 0;
  int status = attend(&p, &a, PRECIS_MOVE_SUMMARIES, 0, &report, &free_peak);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && report.outlier_keys > 0);
  for (int part = 20; part > 0; part--) {
    int64_t limit = free_peak / 16 * part;
    said[0] = '\0';
    status = attend(&p, &a, PRECIS_MOVE_SUMMARIES, limit, &report, &peak);
    int good = status == PRECIS_SUCCESS ? (double)peak <= 1.01 * (double)limit
                                        : status == PRECIS_ERR_MEMORY && strstr(said, "limit");
    kept += status == PRECIS_SUCCESS;
    refused += status != PRECIS_SUCCESS;
    if (rank == 0 && (!good || getenv("PRECIS_SHOW")))
      fprintf(stderr, "outliers, limit %lld: status %d, taken %lld, %s\n", (long long)limit, status,
              (long long)peak, said);
    assert_all(MPI_COMM_WORLD, good);
  }
  assert_all(MPI_COMM_WORLD, kept >= 3 && refused >= 2);
  release(&a);
}

/* Whatever the limit: it is kept, or refused with what is missing. */
static void limited(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    precis_problem p;
    arrays a = make(&shapes[i], &p);
    int64_t free_peak, peak, kept = 0, refused = 0;
    precis_report report = PRECIS_REPORT_INIT;
    assert_all(MPI_COMM_WORLD, attend(&p, &a, PRECIS_MOVE_AUTO, 0, &report, &free_peak) == 0);
    for (int part = 20; part > 0; part -= 2) {
      int64_t limit = free_peak / 16 * part;
      said[0] = '\0';
      int status = attend(&p, &a, PRECIS_MOVE_AUTO, limit, &report, &peak);
      int good = status == PRECIS_SUCCESS
                     ? (double)peak <= 1.05 * (double)limit
                     : status == PRECIS_ERR_MEMORY && strstr(said, "are missing");
      kept += status == PRECIS_SUCCESS;
      refused += status != PRECIS_SUCCESS;
      if (rank == 0 && !good)
        fprintf(stderr, "shape %zu, limit %lld: status %d, %s, taken %lld, %s\n", i,
                (long long)limit, status, precis_move_name(report.move), (long long)peak, said);
      assert_all(MPI_COMM_WORLD, good);
    }
    assert_all(MPI_COMM_WORLD, kept >= 3 && refused >= 2);
    release(&a);
  }
}

/* A forced move is refused likewise. */
static void forced(void **state)
{
  (void)state;
  precis_problem p;
  arrays a = make(&shapes[0], &p);
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_SUMMARIES; move++) {
    precis_report report = PRECIS_REPORT_INIT;
    int64_t peak;
    int status = attend(&p, &a, move, 1 << 20, &report, &peak);
    assert_all(MPI_COMM_WORLD, status == PRECIS_ERR_MEMORY && strstr(said, "limit") != NULL);
  }
  release(&a);
}

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const struct CMUnitTest tests[] = {cmocka_unit_test(predicted), cmocka_unit_test(in_sessions), cmocka_unit_test(weighed_between_calls),
                                     cmocka_unit_test(limited), cmocka_unit_test(limited_with_outliers), cmocka_unit_test(forced)};
  int failures = cmocka_run_group_tests_name("footprint", tests, NULL, NULL);
  MPI_Finalize();
  return failures;
}
