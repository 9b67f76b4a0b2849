/* How often a call meets all ranks: counted where MPI is called, against what the model reckons
 * with. */
#include "tests/mpi_assert.h"

#include <stdlib.h>

#include "src/model/model.h"
#include "src/precis.h"

static int count;

int MPI_Allreduce(const void *from, void *to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
  count++;
  return PMPI_Allreduce(from, to, n, type, op, comm);
}

int MPI_Bcast(void *at, int n, MPI_Datatype type, int root, MPI_Comm comm)
{
  count++;
  return PMPI_Bcast(at, n, type, root, comm);
}

int MPI_Allgather(const void *from, int n, MPI_Datatype type, void *to, int m, MPI_Datatype made,
                  MPI_Comm comm)
{
  count++;
  return PMPI_Allgather(from, n, type, to, m, made, comm);
}

int MPI_Exscan(const void *from, void *to, int n, MPI_Datatype type, MPI_Op op, MPI_Comm comm)
{
  count++;
  return PMPI_Exscan(from, to, n, type, op, comm);
}

int MPI_Alltoall(const void *from, int n, MPI_Datatype type, void *to, int m, MPI_Datatype made,
                 MPI_Comm comm)
{
  count++;
  return PMPI_Alltoall(from, n, type, to, m, made, comm);
}

int MPI_Alltoallv(const void *from, const int *n, const int *at, MPI_Datatype type, void *to,
                  const int *m, const int *made_at, MPI_Datatype made, MPI_Comm comm)
{
  count++;
  return PMPI_Alltoallv(from, n, at, type, to, m, made_at, made, comm);
}

int MPI_Reduce_scatter_block(const void *from, void *to, int n, MPI_Datatype type, MPI_Op op,
                             MPI_Comm comm)
{
  count++;
  return PMPI_Reduce_scatter_block(from, to, n, type, op, comm);
}

int MPI_Barrier(MPI_Comm comm)
{
  count++;
  return PMPI_Barrier(comm);
}

int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *made)
{
  count++;
  return PMPI_Comm_split(comm, color, key, made);
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made)
{
  count++;
  return PMPI_Comm_dup(comm, made);
}

enum { HEADS = 8, DIM = 64, ROWS = 64 };

/* Of an attend that makes a summary, and of one through a summary that is kept. */
enum { FIRST = 60, KEPT = 20 };

static int rank, ranks;

/* Numbers about 0 of a small spread, so that summaries are good. */
static void fill(float *x, int64_t n, unsigned seed, float by)
{
  for (int64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    x[i] = by * ((float)(seed >> 8) * 0x1p-23f - 1);
  }
}

static void append(precis_attention *a, int64_t rows, unsigned seed)
{
  int64_t n = rows * HEADS * DIM;
  float *k = calloc((size_t)n + 1, sizeof *k), *v = calloc((size_t)n + 1, sizeof *v);
  assert_all(MPI_COMM_WORLD, k && v);
  fill(k, n, seed + (unsigned)rank, .1f);
  fill(v, n, seed + 77 + (unsigned)rank, 1);
  int status = precis_append(a, rows, k, v, NULL);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  free(k);
  free(v);
}

static precis_report attend(precis_attention *a, int64_t rows)
{
  int64_t n = rows * HEADS * DIM;
  float *q = calloc((size_t)n + 1, sizeof *q), *out = calloc((size_t)n + 1, sizeof *out);
  precis_report report = PRECIS_REPORT_INIT;
  assert_all(MPI_COMM_WORLD, q && out);
  fill(q, n, 5 + (unsigned)rank, .5f);
  int status = precis_attend(a, rows, q, out, NULL, &report);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  free(q);
  free(out);
  return report;
}

static precis_attention *make(precis_move move, double tol)
{
  const precis_problem problem = {
      .heads = HEADS, .dim = DIM, .causal = move != PRECIS_MOVE_SUMMARIES};
  const precis_options options = {
      .threads = 1, .move = move, .tol = tol, .tol_of = PRECIS_UNIT_RANGE};
  precis_attention *a = NULL;
  int status = precis_create(MPI_COMM_WORLD, &problem, &options, &a);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  return a;
}

/* A step of decoding on the last rank: the count of append and attend together. */
static void decode(void **state)
{
  (void)state;
  precis_attention *a = make(PRECIS_MOVE_AUTO, 0);
  append(a, ROWS, 1);
  attend(a, ROWS);
  for (int step = 0; step < 3; step++) {
    int64_t mine = rank == ranks - 1;
    count = 0;
    append(a, mine, 9 + (unsigned)step);
    int appended = count - 2; /* less those of the assertions */
    count = 0;
    precis_report report = attend(a, mine);
    int attended = count - 2;
    printf("rank %d: exact decode (%d): append %d, attend %d\n", rank, (int)report.move, appended,
           attended);
  }
  precis_destroy(&a);
}

/* The first summary, and steps of decoding through it. */
static void kept(void **state)
{
  (void)state;
  precis_attention *a = make(PRECIS_MOVE_SUMMARIES, 1e-2);
  append(a, ROWS * 8, 1);
  count = 0;
  precis_report first = attend(a, ROWS);
  int made = count - 2;
  assert_all(MPI_COMM_WORLD, first.move == PRECIS_MOVE_SUMMARIES && made <= FIRST);
  for (int step = 0; step < 3; step++) {
    int64_t mine = rank == ranks - 1;
    count = 0;
    append(a, mine, 9 + (unsigned)step);
    int appended = count - 2; /* less those of the assertions */
    count = 0;
    precis_report report = attend(a, mine);
    int attended = count - 2;
    printf("rank %d: kept (%d): append %d, attend %d\n", rank, (int)report.move, appended,
           attended);
  }
  precis_destroy(&a);
}

int main(int argc, char **argv)
{
  MPI_Init(&argc, &argv);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  const struct CMUnitTest tests[] = {cmocka_unit_test(decode), cmocka_unit_test(kept)};
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
