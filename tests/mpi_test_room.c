/* Memory that ranks of a node share: too little of it, or none, known beforehand or found out when
 * one rank cannot have its part; and communicators that one rank cannot have. All ranks go on, or
 * fail together. The linker sends what mpi/world/room.c asks of the system through here (--wrap), and
 * MPI's profiling names let its calls fail. */
#include "tests/mpi_assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>

#include "mpi/handle/fork.h"
#include "mpi/world/machine.h"
#include "mpi/world/room.h"
#include "src/precis.h"
#include "tests/attention_case.h"

typedef enum call {
  CALL_NONE,
  CALL_MKSTEMP,
  CALL_OPEN,
  CALL_FALLOCATE,
  CALL_MMAP,
  CALL_DUP,
  CALL_SPLIT_TYPE,
  CALL_SPLIT
} call;

static call failing; /* on this rank, ... */
static int failures; /* ... so often by now */
static int rank, ranks;

static int fails(call which)
{
  failures += failing == which;
  return failing == which;
}

int __real_mkstemp(char *path);
int __wrap_mkstemp(char *path);
int __real_posix_fallocate(int file, off_t offset, off_t bytes);
int __wrap_posix_fallocate(int file, off_t offset, off_t bytes);
void *__real_mmap(void *at, size_t bytes, int rights, int flags, int file, off_t offset);
void *__wrap_mmap(void *at, size_t bytes, int rights, int flags, int file, off_t offset);
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, int rights);

int __wrap_mkstemp(char *path)
{
  return fails(CALL_MKSTEMP) ? -1 : __real_mkstemp(path);
}

int __wrap_posix_fallocate(int file, off_t offset, off_t bytes)
{
  return fails(CALL_FALLOCATE) ? ENOSPC : __real_posix_fallocate(file, offset, bytes);
}

void *__wrap_mmap(void *at, size_t bytes, int rights, int flags, int file, off_t offset)
{
  return fails(CALL_MMAP) ? MAP_FAILED : __real_mmap(at, bytes, rights, flags, file, offset);
}

int __wrap_open(const char *path, int flags, int rights)
{
  return strstr(path, "/precis-") != NULL && fails(CALL_OPEN) ? -1
                                                              : __real_open(path, flags, rights);
}

/* MPI's part is done, as other ranks need this one for theirs; then this one says that it failed.
 */
static int lose(int error, MPI_Comm *made)
{
  if (error == MPI_SUCCESS && *made != MPI_COMM_NULL)
    PMPI_Comm_free(made);
  *made = MPI_COMM_NULL;
  return MPI_ERR_NO_MEM;
}

int MPI_Comm_dup(MPI_Comm comm, MPI_Comm *made)
{
  int error = PMPI_Comm_dup(comm, made);
  return fails(CALL_DUP) ? lose(error, made) : error;
}

int MPI_Comm_split_type(MPI_Comm comm, int type, int key, MPI_Info info, MPI_Comm *made)
{
  int error = PMPI_Comm_split_type(comm, type, key, info, made);
  return fails(CALL_SPLIT_TYPE) ? lose(error, made) : error;
}

int MPI_Comm_split(MPI_Comm comm, int color, int key, MPI_Comm *made)
{
  int error = PMPI_Comm_split(comm, color, key, made);
  return fails(CALL_SPLIT) ? lose(error, made) : error;
}

static const attention_case cases[] = {
    {.name = "tiles",
     .problem = {.heads = 4, .kv_heads = 2, .dim = 16},
     .queries = 90,
     .keys = 200,
     .tile_rows = 32,
     .bias = BIAS_RANDOM},
    {.name = "causal",
     .problem = {.heads = 2, .dim = 8, .causal = 1},
     .queries = 100,
     .keys = 100,
     .spread = SPREAD_RANDOM,
     .tile_rows = 16},
    {.name = "summaries",
     .problem = {.heads = 4, .kv_heads = 2, .dim = 8},
     .queries = 120,
     .keys = 300,
     .strength = .1,
     .tol = .1,
     .tol_of = PRECIS_UNIT_RANGE,
     .degree = 2,
     .later = 2},
};
static const precis_move moves[] = {PRECIS_MOVE_TILES, PRECIS_MOVE_TILES, PRECIS_MOVE_SUMMARIES};
enum { CASES = sizeof cases / sizeof *cases };

/* Of a case: whether ranks of this layout share anything. Later attends of the last case go through
 * the summary that the first one left, which shares nothing. */
static int shares(int i)
{
  precis_world world;
  assert_int_equal(precis_world_create(MPI_COMM_WORLD, &world), PRECIS_SUCCESS);
  int together = world.layout.largest > 1 && cases[i].later == 0;
  precis_world_free(&world);
  return together;
}

static void run(int i, int by_messages)
{
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, &cases[i], moves[i]);
  int together = shares(i);
  int good = o.status == PRECIS_SUCCESS && o.broken == 0 && !o.bad_empty &&
             o.report.move == moves[i] &&
             o.report.shared_by_messages == (together && by_messages) &&
             (o.report.shared_bytes > 0) == together &&
             (strstr(o.report.why, "by messages") != NULL) == (together && by_messages);
  if (!good)
    fprintf(stderr, "%s: status %d, %d broken, by messages %d, why %s\n", cases[i].name, o.status,
            o.broken, o.report.shared_by_messages, o.report.why);
  assert_all(MPI_COMM_WORLD, good);
}

/* The same where the plan knows: bytes are those that were foretold, by the kind of link. */
static void run_planned(int i)
{
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, &cases[i], moves[i]);
  const precis_forecast *f = &o.report.forecast[o.report.move];
  assert_all(MPI_COMM_WORLD, o.status == PRECIS_SUCCESS && o.broken == 0);
  assert_all(MPI_COMM_WORLD,
             f->network_bytes + f->node_bytes == o.report.network_bytes + o.report.node_bytes);
  if (moves[i] == PRECIS_MOVE_TILES)
    assert_all(MPI_COMM_WORLD, f->network_bytes == o.report.network_bytes);
}

static void everywhere(void (*check)(int))
{
  const char *const layouts[] = {"0", "0 0 1", "0 1", "0 1 1 1 0"};
  for (size_t l = 0; l < sizeof layouts / sizeof *layouts; l++) {
    setenv("PRECIS_NODES", layouts[l], 1);
    for (int i = 0; i < CASES; i++)
      check(i);
  }
  unsetenv("PRECIS_NODES");
}

static void run_shared(int i)
{
  run(i, 0);
}

static void run_apart(int i)
{
  run(i, 1);
  run_planned(i);
}

static void enough(void **state)
{
  (void)state;
  everywhere(run_shared);
}

/* No such place; one rank of all is enough to know. */
static void none(void **state)
{
  (void)state;
  for (int some = 0; some < 2; some++) {
    if (!some || rank == ranks - 1)
      setenv("PRECIS_SHARED_MEMORY", "/nonexistent", 1);
    setenv("PRECIS_NODES", "0", 1);
    for (int i = 0; i < CASES; i++)
      run_apart(i);
    unsetenv("PRECIS_SHARED_MEMORY");
  }
  setenv("PRECIS_SHARED_MEMORY", "/nonexistent", 1);
  everywhere(run_apart);
  unsetenv("PRECIS_SHARED_MEMORY");
}

/* There was enough when the plan was made. One rank cannot have its part: all do without. */
static void taken_meanwhile(void **state)
{
  (void)state;
  const call calls[] = {CALL_MKSTEMP, CALL_OPEN, CALL_FALLOCATE, CALL_MMAP};
  if (ranks == 1)
    return;
  for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
    for (int victim = 0; victim < ranks; victim += ranks - 1)
      for (int i = 0; i < CASES; i++) {
        int lead = calls[c] == CALL_MKSTEMP; /* the first rank of a node does it, others open */
        if (lead != (victim == 0) && calls[c] <= CALL_OPEN)
          continue;
        failing = rank == victim ? calls[c] : CALL_NONE;
        failures = 0;
        attention_outcome o = attention_case_run(MPI_COMM_WORLD, &cases[i], moves[i]);
        int good = o.status == PRECIS_SUCCESS && o.broken == 0 && (rank != victim || failures > 0);
        int apart = cases[i].later > 0 || o.report.shared_by_messages;
        failing = CALL_NONE;
        if (!good || !apart)
          fprintf(stderr, "call %d fails on rank %d, %s: status %d, %d times, by messages %d\n",
                  calls[c], victim, cases[i].name, o.status, failures, o.report.shared_by_messages);
        assert_all(MPI_COMM_WORLD, good && apart);
      }
}

/* Handles, forks of them and worlds need communicators: one rank that cannot have its own must not
 * leave the others behind. */
static void communicators(void **state)
{
  (void)state;
  const precis_problem problem = {.heads = 2, .dim = 4};
  const call calls[] = {CALL_DUP, CALL_SPLIT_TYPE, CALL_SPLIT};
  for (size_t c = 0; c < sizeof calls / sizeof *calls; c++)
    for (int victim = 0; victim < ranks; victim++) {
      precis_attention *a = NULL, *child = NULL;
      precis_world world;
      assert_all(MPI_COMM_WORLD, precis_create(MPI_COMM_WORLD, &problem, NULL, &a) == 0 &&
                                     precis_attention_share(a) == 0);
      failing = rank == victim ? calls[c] : CALL_NONE;
      int forked = precis_attention_fork(a, 0, &child),
          made = precis_world_create(MPI_COMM_WORLD, &world);
      precis_attention *other = NULL;
      int created = precis_create(MPI_COMM_WORLD, &problem, NULL, &other);
      failing = CALL_NONE;
      assert_all(MPI_COMM_WORLD, forked == PRECIS_ERR_MPI && child == NULL);
      assert_all(MPI_COMM_WORLD, made == PRECIS_ERR_MPI);
      assert_all(MPI_COMM_WORLD, created == PRECIS_ERR_MPI && other == NULL);
      assert_all(MPI_COMM_WORLD, precis_attention_fork(a, 0, &child) == 0);
      precis_destroy(&child);
      precis_destroy(&a);
    }
}

/* What precis topo shows. */
static void shown(void **state)
{
  (void)state;
  precis_world world;
  precis_machine machine;
  setenv("PRECIS_SHARED_MEMORY", "/nonexistent", 1);
  assert_int_equal(precis_world_create(MPI_COMM_WORLD, &world), PRECIS_SUCCESS);
  int status = precis_machine_find(&world, &machine);
  precis_world_free(&world);
  unsetenv("PRECIS_SHARED_MEMORY");
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS && machine.room_bytes == 0 &&
                                 strcmp(machine.room_place, "/nonexistent") == 0);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(enough),        cmocka_unit_test(none),  cmocka_unit_test(taken_meanwhile),
      cmocka_unit_test(communicators), cmocka_unit_test(shown),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("room", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
