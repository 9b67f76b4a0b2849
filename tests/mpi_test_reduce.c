/* Sums of vectors over the ranks, several under way at once. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/reduce.h"
#include "src/precis.h"

enum { MOST = 5000, TAG = 90, AT_ONCE = 3 };

static precis_world world;

/* Number i of the vector of `rank`, in a round of reductions. */
static float number(int rank, int64_t i, int round)
{
  unsigned hash = (unsigned)(i * 31 + rank * 1009 + round * 7919) * 2654435761u >> 8;
  return (float)hash / 65536 - 100;
}

static void fill(precis_reduction *r, int64_t numbers, int round)
{
  for (int64_t i = 0; i < numbers; i++)
    r->vector[i] = number(world.rank, i, round);
}

/* Sums in double, rounded once. */
static int correct(const precis_reduction *r, int64_t numbers, int round)
{
  for (int64_t i = 0; i < numbers; i++) {
    double sum = 0, size = 0;
    for (int rank = 0; rank < world.ranks; rank++) {
      sum += number(rank, i, round);
      size += fabs(number(rank, i, round));
    }
    if (!(fabs(r->vector[i] - sum) <= fabs(sum) * 0x1p-24 + size * 1e-15))
      return 0;
  }
  return 1;
}

/* Equal bits on all ranks. */
static int same(const precis_reduction *r, int64_t numbers)
{
  static float root[MOST];
  memcpy(root, r->vector, (size_t)numbers * sizeof *root);
  MPI_Bcast(root, (int)numbers, MPI_FLOAT, 0, world.comm);
  return memcmp(root, r->vector, (size_t)numbers * sizeof *root) == 0;
}

static int64_t sent_since(const precis_traffic *start)
{
  precis_traffic sent = precis_traffic_minus(&world.traffic, start);
  int64_t bytes = sent.network_bytes + sent.node_bytes;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_SUM, world.comm);
  return bytes;
}

static void sums(void **state)
{
  (void)state;
  const int64_t sizes[] = {MOST, 1, 0, 2, 3, 4, 5, 6, 7, 8, 13, 64, 0, 97, 1024, 4999, MOST};
  precis_reduction r;
  assert_all(MPI_COMM_WORLD, precis_reduction_create(&world, TAG, MOST, &r) == PRECIS_SUCCESS);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    precis_traffic start = world.traffic;
    fill(&r, sizes[i], (int)i);
    int status = precis_reduction_start(&r, sizes[i]);
    for (int j = 0; j < 3 && status == PRECIS_SUCCESS; j++)
      status = precis_reduction_poll(&r);
    status = status == PRECIS_SUCCESS ? precis_reduction_turn(&r) : status;
    status = status == PRECIS_SUCCESS ? precis_reduction_poll(&r) : status;
    status = status == PRECIS_SUCCESS ? precis_reduction_wait(&r) : status;
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
    assert_all(MPI_COMM_WORLD, correct(&r, sizes[i], (int)i));
    assert_all(MPI_COMM_WORLD, same(&r, sizes[i]));
    int64_t bytes = sent_since(&start), words = 2 * (int64_t)(world.ranks - 1) * sizes[i];
    assert_all(MPI_COMM_WORLD,
               bytes == words * 4 && bytes == precis_reduction_bytes(world.ranks, sizes[i]));
  }
  precis_reduction_free(&r);
}

/* As the pipeline of summaries has them: one being started, one turned, one awaited. */
static void in_flight(void **state)
{
  (void)state;
  enum { ROUNDS = 20 };
  precis_reduction r[AT_ONCE];
  precis_traffic start = world.traffic;
  int64_t all = 0;
  for (int i = 0; i < AT_ONCE; i++)
    assert_all(MPI_COMM_WORLD,
               precis_reduction_create(&world, TAG + i, MOST, &r[i]) == PRECIS_SUCCESS);
  for (int round = 0; round < ROUNDS + 2; round++) {
    int status = PRECIS_SUCCESS, good = 1;
    if (round < ROUNDS) {
      int64_t numbers = (int64_t)round * round * 13 % MOST;
      all += precis_reduction_bytes(world.ranks, numbers);
      fill(&r[round % AT_ONCE], numbers, round);
      status = precis_reduction_start(&r[round % AT_ONCE], numbers);
    }
    for (int i = 0; i < AT_ONCE && status == PRECIS_SUCCESS; i++)
      status = precis_reduction_poll(&r[i]);
    if (round >= 1 && round - 1 < ROUNDS && status == PRECIS_SUCCESS)
      status = precis_reduction_turn(&r[(round - 1) % AT_ONCE]);
    if (round >= 2 && status == PRECIS_SUCCESS) {
      precis_reduction *ready = &r[(round - 2) % AT_ONCE];
      status = precis_reduction_wait(ready);
      good = correct(ready, (int64_t)(round - 2) * (round - 2) * 13 % MOST, round - 2);
    }
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && good);
  }
  int64_t sent = sent_since(&start);
  assert_all(MPI_COMM_WORLD, sent == all);
  for (int i = 0; i < AT_ONCE; i++)
    precis_reduction_free(&r[i]);
}

/* A vector in pieces, and rank after rank late. */
static void pieces_and_delays(void **state)
{
  (void)state;
  precis_reduction r;
  int64_t piece = world.piece_bytes;
  assert_all(MPI_COMM_WORLD, precis_reduction_create(&world, TAG, MOST, &r) == PRECIS_SUCCESS);
  world.piece_bytes = 1024;
  for (int late = 0; late < world.ranks; late++) {
    fill(&r, MOST, late);
    for (volatile int spin = 0; world.rank == late && spin < 1000000;)
      spin = spin + 1;
    int status = precis_reduction_start(&r, MOST);
    status = status == PRECIS_SUCCESS ? precis_reduction_turn(&r) : status;
    status = status == PRECIS_SUCCESS ? precis_reduction_wait(&r) : status;
    assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && correct(&r, MOST, late));
  }
  world.piece_bytes = piece;
  precis_reduction_free(&r);
}

/* Overflow is not hidden, and does not spread to other numbers. */
static void infinities(void **state)
{
  (void)state;
  precis_reduction r;
  assert_all(MPI_COMM_WORLD, precis_reduction_create(&world, TAG, 8, &r) == PRECIS_SUCCESS);
  for (int i = 0; i < 8; i++)
    r.vector[i] = i == 3 ? 3e38f : i == 4 ? (world.rank % 2 ? -3e38f : 3e38f) : 1;
  int status = precis_reduction_start(&r, 8);
  status = status == PRECIS_SUCCESS ? precis_reduction_turn(&r) : status;
  status = status == PRECIS_SUCCESS ? precis_reduction_wait(&r) : status;
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, r.vector[3] == (world.ranks > 1 ? INFINITY : 3e38f));
  assert_all(MPI_COMM_WORLD,
             r.vector[4] == (world.ranks % 2 ? 3e38f : 0)); /* sums pass through double */
  assert_all(MPI_COMM_WORLD,
             r.vector[2] == (float)world.ranks && r.vector[5] == (float)world.ranks);
  precis_reduction_free(&r);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums),
      cmocka_unit_test(in_flight),
      cmocka_unit_test(pieces_and_delays),
      cmocka_unit_test(infinities),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  int failed = precis_world_create(MPI_COMM_WORLD, &world) != PRECIS_SUCCESS;
  if (!failed) {
    failed = cmocka_run_group_tests_name("reduce", tests, NULL, NULL);
    precis_world_free(&world);
  }
  MPI_Finalize();
  return failed;
}
