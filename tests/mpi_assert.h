/* mpi_assert.h - assertions for tests under MPI
 *
 * A lone failing assert jumps past the next collective and hangs the other ranks, so ranks vote
 * first: all fail together, and the ranks that saw the fault say so. */
#ifndef PRECIS_TESTS_MPI_ASSERT_H
#define PRECIS_TESTS_MPI_ASSERT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <mpi.h>

static inline void assert_all_at(MPI_Comm comm, int good, const char *text, const char *file,
                                 int line)
{
  int rank, all, mine = good != 0;
  MPI_Comm_rank(comm, &rank);
  if (!mine)
    fprintf(stderr, "rank %d: %s:%d: %s does not hold\n", rank, file, line, text);
  MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, comm);
  _assert_true((uintmax_t)all, text, file, line);
}

#define assert_all(comm, condition)                                                                \
  assert_all_at((comm), (condition), #condition, __FILE__, __LINE__)

#endif
