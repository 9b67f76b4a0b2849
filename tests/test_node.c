/* Ranks of one node that get in each other's way, on machines that need not exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "topology/node.h"

enum { RANKS_MOST = 8 };

/* 2 sockets x 64 cores with 4 L3 slices each, a NUMA node a socket, two hardware threads a core. */
static const char SERVER[] = "Package:2 NUMANode:1 L3:4(size=33554432) L2:16(size=1048576) "
                             "L1d:1(size=32768) Core:1 PU:2";

/* Ranks bound to these PUs (NULL: unbound), each with so many threads. */
static precis_node judge(const char *machine, const char *const *cpusets, int ranks, int threads)
{
  precis_cache caches[RANKS_MOST];
  precis_seat seats[RANKS_MOST];
  for (int r = 0; r < ranks; r++) {
    assert_int_equal(precis_cache_find_synthetic(machine, cpusets[r], 1, &caches[r]), 0);
    seats[r] = (precis_seat){&caches[r], threads};
  }
  return precis_node_judge(seats, ranks);
}

static void assert_quiet(const precis_node *node)
{
  assert_int_equal(node->unbound, 0);
  assert_int_equal(node->overlapping, 0);
  assert_int_equal(node->crowded, 0);
  assert_int_equal(node->withheld, 0);
  assert_int_equal(node->spanning, 0);
  assert_true(node->threads <= node->cores);
  assert_false(precis_node_uneven(node));
}

static void well_placed(void **state)
{
  (void)state;
  const char *slices[] = {"0-31",    "32-63",   "64-95",   "96-127",
                          "128-159", "160-191", "192-223", "224-255"};
  precis_node node = judge(SERVER, slices, 8, 16);
  assert_quiet(&node);
  assert_int_equal(node.threads, 128);
  assert_int_equal(node.cores, 128);
  assert_int_equal(node.numa_most, 4);
  assert_int_equal(node.numa_fewest, 4);
  const char *sockets[] = {"0-127", "128-255"};
  node = judge(SERVER, sockets, 2, 64);
  assert_quiet(&node);
  const char *alone[] = {NULL};
  node = judge(SERVER, alone, 1, 128);
  assert_quiet(&node);
}

static void unbound(void **state)
{
  (void)state;
  const char *sets[] = {NULL, NULL, "0-1"};
  precis_node node = judge(SERVER, sets, 3, 1);
  assert_int_equal(node.unbound, 2);
  assert_int_equal(node.overlapping, 0);
}

static void overlapping(void **state)
{
  (void)state;
  const char *sets[] = {"0-7", "6-9", "10-11"};
  precis_node node = judge(SERVER, sets, 3, 1);
  assert_int_equal(node.overlapping, 2);
  assert_int_equal(node.cores, 6);
}

/* Hardware threads of one core are one core, whoever has them. */
static void hardware_threads(void **state)
{
  (void)state;
  const char *sets[] = {"0", "1"};
  precis_node node = judge(SERVER, sets, 2, 1);
  assert_int_equal(node.overlapping, 0);
  assert_int_equal(node.cores, 1);
  assert_int_equal(node.threads, 2);
  assert_int_equal(node.crowded, 0);
}

static void too_many_threads(void **state)
{
  (void)state;
  const char *sets[] = {"0-3", "4-7"};
  precis_node node = judge(SERVER, sets, 2, 4);
  assert_int_equal(node.crowded, 2);
  assert_int_equal(node.withheld, 0);
  assert_true(node.threads > node.cores);
  const char *one[] = {"0"};
  node = judge("Package:1 L3:1(size=8388608) L2:4(size=524288) Core:1 PU:1", one, 1, 5);
  assert_int_equal(node.crowded, 1);
  assert_int_equal(node.withheld, 1);
}

static void uneven(void **state)
{
  (void)state;
  const char *sets[] = {"0-1", "2-3", "4-5", "128-129"};
  precis_node node = judge(SERVER, sets, 4, 1);
  assert_int_equal(node.numa_most, 3);
  assert_int_equal(node.numa_fewest, 1);
  assert_true(precis_node_uneven(&node));
  node = judge(SERVER, sets, 1, 1); /* one rank cannot be at both */
  assert_false(precis_node_uneven(&node));
  const char *across[] = {"0-1", "2-3", "120-135"};
  node = judge(SERVER, across, 3, 1);
  assert_int_equal(node.spanning, 1);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(well_placed),      cmocka_unit_test(unbound),
      cmocka_unit_test(overlapping),      cmocka_unit_test(hardware_threads),
      cmocka_unit_test(too_many_threads), cmocka_unit_test(uneven)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
