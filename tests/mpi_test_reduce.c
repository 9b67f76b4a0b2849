/* Sums of tiles over the ranks, three under way at once, as the schedule of summaries has them: a
 * run of it with numbers in place of features. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/moves/execute.h"
#include "src/schedule/build.h"
#include "src/summary/summarise.h"

enum { HEADS = 2, VALUE_DIM = 6, FEATURES = 700, TILE = 97, COUNTS = 64, TILE_COUNTS = 13 };

static precis_world world;

typedef struct reduction {
  int wild, late; /* numbers beyond float32 in places; a rank that dawdles, -1: none */
  int bad, applied;
} reduction;

/* Number i of a tile on a rank. */
static float number(const precis_block *b, int rank, int64_t i, int wild)
{
  int64_t seed = (b->first_feature * 8 + i) * 31 + rank * 1009 + b->first_head * 7919;
  unsigned hash = (unsigned)seed * 2654435761u >> 8;
  if (wild && i % 8 == 3)
    return 3e38f;
  if (wild && i % 8 == 4)
    return rank % 2 ? -3e38f : 3e38f;
  return (float)hash / 65536 - 100;
}

/* Summed in double and rounded, over the ranks of a node and over nodes; overflow is not hidden and
 * does not spread. */
static int correct(const precis_block *b, const float *sums, int64_t numbers, int wild)
{
  for (int64_t i = 0; i < numbers; i++) {
    double sum = 0, size = 0;
    for (int rank = 0; rank < world.ranks; rank++) {
      sum += number(b, rank, i, wild);
      size += fabs(number(b, rank, i, wild));
    }
    int beyond = fabs(sum) > 3.5e38, twice = world.nodes > 1 && world.layout.largest > 1;
    double rounding = (fabs(sum) + (twice ? size : 0)) * 0x1p-24 * (1 + 1e-6) + size * 1e-15;
    if (wild && twice && i % 8 == 4) /* of either sign: whether a node's are beyond hangs on it */
      continue;
    if (beyond ? !isinf(sums[i]) : !(fabs(sums[i] - sum) <= rounding))
      return 0;
  }
  return 1;
}

/* Equal bits on all ranks. */
static int same(const float *sums, int64_t numbers)
{
  static float root[TILE * (VALUE_DIM + PRECIS_SUMMARY_COUNTS)];
  memcpy(root, sums, (size_t)numbers * sizeof *root);
  MPI_Bcast(root, (int)numbers, MPI_FLOAT, 0, world.comm);
  return memcmp(root, sums, (size_t)numbers * sizeof *root) == 0;
}

enum { RANKS_MOST = 64 };

static int work(precis_execution *x, const precis_step *step)
{
  reduction *r = x->move;
  int64_t numbers = step->bytes / (int64_t)sizeof(float);
  const float *from[RANKS_MOST];
  float *at = step->slot >= 0 ? precis_execution_at(x, step) : NULL,
        *into = step->into >= 0 ? (float *)(x->slot[step->into] + step->into_offset) : NULL;
  switch (step->kind) {
  case PRECIS_STEP_SUMMARISE:
    for (int64_t i = 0; i < numbers; i++)
      at[i] = number(&step->block, world.rank, i, r->wild);
    for (volatile int spin = 0; world.rank == r->late && spin < 100000;)
      spin = spin + 1;
    return precis_execution_poll(x);
  case PRECIS_STEP_SUM:
    for (int l = 0; l < x->window.mates; l++)
      from[l] = precis_execution_seen(x, l, step);
    precis_summary_sum(numbers, x->window.mates, from, into);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MERGE:
    numbers /= world.nodes - 1;
    from[0] = into;
    for (int i = 1; i < world.nodes; i++)
      from[i] = at + numbers * (i - 1);
    precis_summary_sum(numbers, world.nodes, from, into);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_APPLY:
    r->applied++;
    r->bad |= !correct(&step->block, at, numbers, r->wild) || !same(at, numbers);
    return PRECIS_SUCCESS;
  default:
    return PRECIS_SUCCESS;
  }
}

static int64_t sent_since(const precis_traffic *start)
{
  precis_traffic sent = precis_traffic_minus(&world.traffic, start);
  int64_t bytes = sent.network_bytes + sent.node_bytes;
  MPI_Allreduce(MPI_IN_PLACE, &bytes, 1, MPI_INT64_T, MPI_SUM, world.comm);
  return bytes;
}

/* Runs `rounds` rounds at a time (0: all at once). */
static void check(reduction *r, int64_t tile, int64_t rounds)
{
  int64_t *start = calloc((size_t)world.ranks + 1, sizeof *start);
  precis_task task = {.world = &world};
  precis_summaries_shape shape = {.heads = HEADS, .kv_heads = HEADS, .dim = 4,
                                  .value_dim = VALUE_DIM, .features = FEATURES,
                                  .count_features = COUNTS, .tile_features = tile,
                                  .tile_counts = TILE_COUNTS, .query_start = start,
                                  .key_rows = start};
  precis_schedule schedule = precis_schedule_summaries(&shape, &world.layout);
  precis_execution x;
  precis_traffic before = world.traffic;
  int status = precis_execution_create(&task, &schedule, work, r, &x);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  while (x.round < schedule.rounds && status == PRECIS_SUCCESS) {
    int64_t end = rounds > 0 ? x.round + rounds : schedule.rounds;
    status = precis_execution_run(&x, end < schedule.rounds ? end : schedule.rounds);
  }
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && !r->bad);
  assert_all(MPI_COMM_WORLD, r->applied == precis_summaries_tiles(&shape));
  int64_t sent = sent_since(&before);
  assert_all(MPI_COMM_WORLD, sent == (int64_t)HEADS * 2 * (world.nodes - 1) *
                                         (FEATURES * (VALUE_DIM + 2) + COUNTS) * 4);
  precis_execution_free(&x);
  free(start);
}

static void sums(void **state)
{
  (void)state;
  for (int64_t tile = 1; tile <= TILE; tile += 32)
    check(&(reduction){.late = -1}, tile, 0);
}

/* Stopped between rounds, and gone on with. */
static void in_parts(void **state)
{
  (void)state;
  for (int64_t rounds = 1; rounds < 6; rounds += 2)
    check(&(reduction){.late = -1}, TILE, rounds);
}

/* Messages in pieces, and rank after rank late. */
static void pieces_and_delays(void **state)
{
  (void)state;
  int64_t piece = world.piece_bytes;
  world.piece_bytes = 256;
  for (int late = 0; late < world.ranks; late++)
    check(&(reduction){.late = late}, TILE, 0);
  world.piece_bytes = piece;
}

static void infinities(void **state)
{
  (void)state;
  check(&(reduction){.late = -1, .wild = 1}, TILE, 0);
}

/* Ranks on one node, on one each, on two in turn, and on one large and small ones. */
static const char *const places[] = {"0", "0 1 2 3 4 5 6 7", "0 1", "0 0 0 1 2", "0 0 1 1 2",
                                     "0 1 1 1 0"};

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sums),
      cmocka_unit_test(in_parts),
      cmocka_unit_test(pieces_and_delays),
      cmocka_unit_test(infinities),
  };
  int provided, failed = 0;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  for (size_t i = 0; i < sizeof places / sizeof *places && !failed; i++) {
    setenv("PRECIS_NODES", places[i], 1);
    failed = precis_world_create(MPI_COMM_WORLD, &world) != PRECIS_SUCCESS;
    if (!failed) {
      failed = cmocka_run_group_tests_name(places[i], tests, NULL, NULL);
      precis_world_free(&world);
    }
  }
  MPI_Finalize();
  return failed;
}
