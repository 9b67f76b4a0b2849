/* Fast memory on machines that need not exist. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "topology/cache.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

/* 2 sockets x 4 L3 slices of 32 MiB x 16 cores with 1 MiB of L2, two hardware threads a core. */
static const char SERVER[] = "Package:2 NUMANode:1 L3:4(size=33554432) L2:16(size=1048576) "
                             "L1d:1(size=32768) Core:1 PU:2";
static const char LAPTOP[] = "Package:1 L3:1(size=8388608) L2:4(size=524288) Core:1 PU:2";

static precis_cache find(const char *machine, const char *cpuset, int sharers)
{
  precis_cache cache = {0};
  assert_int_equal(precis_cache_find_synthetic(machine, cpuset, sharers, &cache), 0);
  return cache;
}

static void server_whole(void **state)
{
  (void)state;
  precis_cache cache = find(SERVER, NULL, 1);
  assert_int_equal(cache.machine_cores, 128);
  assert_int_equal(cache.machine_pus, 256);
  assert_int_equal(cache.cores, 128);
  assert_int_equal(cache.l2_bytes, INT64_C(128) * MIB);
  assert_int_equal(cache.l3_bytes, INT64_C(8) * 32 * MIB);
  assert_int_equal(cache.fast_bytes, INT64_C(384) * MIB);
  assert_int_equal(cache.line_bytes, 64);
  assert_false(cache.bound);
  assert_true(cache.known);
}

static void server_one_core(void **state)
{
  (void)state;
  precis_cache cache = find(SERVER, "2-3", 1);
  assert_int_equal(cache.cores, 1);
  assert_int_equal(cache.pus, 2);
  assert_int_equal(cache.l2_bytes, MIB);
  assert_int_equal(cache.l3_bytes, 2 * MIB);
  assert_true(cache.bound);
  assert_string_equal(cache.cpuset, "2-3");
}

static void server_one_hardware_thread(void **state)
{
  (void)state;
  precis_cache cache = find(SERVER, "5", 1);
  assert_int_equal(cache.cores, 1);
  assert_int_equal(cache.l2_bytes, 512 * KIB);
  assert_int_equal(cache.l3_bytes, MIB);
}

static void server_slices(void **state)
{
  (void)state;
  precis_cache slice = find(SERVER, "32-63", 1);
  assert_int_equal(slice.l2_bytes, 16 * MIB);
  assert_int_equal(slice.l3_bytes, 32 * MIB);
  precis_cache across = find(SERVER, "24-39", 1); /* 4 cores of one slice, 4 of the next */
  assert_int_equal(across.cores, 8);
  assert_int_equal(across.l2_bytes, 8 * MIB);
  assert_int_equal(across.l3_bytes, 16 * MIB);
}

static void sharers_divide(void **state)
{
  (void)state;
  precis_cache cache = find(LAPTOP, NULL, 4);
  assert_int_equal(cache.l2_bytes, 512 * KIB);
  assert_int_equal(cache.l3_bytes, 2 * MIB);
  assert_int_equal(cache.fast_bytes, 2 * MIB + 512 * KIB);
}

static void laptop(void **state)
{
  (void)state;
  precis_cache cache = find(LAPTOP, NULL, 1);
  assert_int_equal(cache.cores, 4);
  assert_int_equal(cache.fast_bytes, 10 * MIB);
  assert_string_equal(cache.cpu, "unknown");
}

static void without_l3(void **state)
{
  (void)state;
  precis_cache cache = find("Package:1 L2:4(size=2097152) Core:1 PU:1", "1", 1);
  assert_int_equal(cache.l3_bytes, 0);
  assert_int_equal(cache.fast_bytes, 2 * MIB);
  assert_true(cache.known);
}

static void without_caches(void **state)
{
  (void)state;
  precis_cache cache = find("Package:1 Core:4 PU:1", NULL, 1);
  assert_false(cache.known);
  assert_int_equal(cache.fast_bytes, PRECIS_CACHE_FALLBACK);
  assert_int_equal(cache.line_bytes, 64);
}

static void without_cores(void **state)
{
  (void)state;
  precis_cache cache = find("PU:8", "0-2", 1);
  assert_int_equal(cache.cores, 3);
  assert_int_equal(cache.machine_cores, 8);
}

static precis_pus units(int first, int last)
{
  precis_pus set = {{0}};
  for (int i = first; i <= last; i++)
    precis_pus_add(&set, i);
  return set;
}

static precis_cache find_among(const char *machine, const precis_pus *sets, int processes, int mine)
{
  precis_cache cache = {0};
  assert_int_equal(precis_cache_find_synthetic_among(machine, sets, processes, mine, &cache), 0);
  return cache;
}

/* Three processes on cores 0-1, 1-2 and 3: the middle core is shared by two. */
static void overlaps_divide(void **state)
{
  (void)state;
  const precis_pus sets[] = {units(0, 3), units(2, 5), units(6, 7)};
  precis_cache first = find_among(LAPTOP, sets, 3, 0), last = find_among(LAPTOP, sets, 3, 2);
  assert_int_equal(first.cores, 2);
  assert_int_equal(first.l2_bytes, 768 * KIB);
  assert_int_equal(first.l3_bytes, 3 * MIB);
  assert_int_equal(last.l2_bytes, 512 * KIB);
  assert_int_equal(last.l3_bytes, 2 * MIB);
  assert_true(precis_pus_equal(&first.set, &sets[0]));
}

/* What all processes own together is what there is, however they overlap. */
static void overlaps_leave_nothing(void **state)
{
  (void)state;
  enum { PROCESSES = 7 };
  precis_pus sets[PROCESSES];
  int64_t l2 = 0, l3 = 0;
  for (int i = 0; i < PROCESSES; i++)
    sets[i] = units(i * 23, i * 23 + 117);
  for (int i = 0; i < PROCESSES; i++) {
    precis_cache cache = find_among(SERVER, sets, PROCESSES, i);
    l2 += cache.l2_bytes;
    l3 += cache.l3_bytes;
  }
  assert_in_range(l2, INT64_C(128) * MIB - PROCESSES, INT64_C(128) * MIB);
  assert_in_range(l3, INT64_C(256) * MIB - PROCESSES, INT64_C(256) * MIB);
}

static void numa_nodes(void **state)
{
  (void)state;
  precis_cache whole = find(SERVER, NULL, 1), second = find(SERVER, "128-255", 1),
               none = find("PU:8", "0-2", 1);
  assert_int_equal(whole.numa_nodes, 2);
  assert_int_equal(whole.numa_count, 2);
  assert_string_equal(whole.numa, "0-1");
  assert_int_equal(second.numa_count, 1);
  assert_int_equal(second.numa_first, 1);
  assert_int_equal(second.packages, 2);
  assert_int_equal(second.l3_count, 8);
  assert_int_equal(second.l2_count, 128);
  assert_int_equal(second.l3_size, 32 * MIB);
  assert_int_equal(none.numa_nodes, 1);
  assert_int_equal(none.numa_count, 1);
  assert_int_equal(none.numa_first, 0);
}

static void sets(void **state)
{
  (void)state;
  precis_pus a = units(60, 70), b = units(71, 80), c = units(70, 70);
  assert_int_equal(precis_pus_count(&a), 11);
  assert_false(precis_pus_meet(&a, &b));
  assert_true(precis_pus_meet(&a, &c));
  assert_false(precis_pus_equal(&a, &b));
  precis_pus_unite(&b, &c);
  assert_int_equal(precis_pus_count(&b), 11);
  assert_true(precis_pus_has(&b, 70) && !precis_pus_has(&b, 69));
  precis_pus_add(&b, PRECIS_PUS_MOST); /* left out */
  precis_pus_add(&b, -1);
  assert_int_equal(precis_pus_count(&b), 11);
}

static void refusals(void **state)
{
  (void)state;
  precis_cache cache = {.pus = 77};
  assert_int_equal(precis_cache_find_synthetic("no machine", NULL, 1, &cache), -1);
  assert_int_equal(precis_cache_find_synthetic(LAPTOP, "900", 1, &cache), -1);
  assert_int_equal(precis_cache_find_synthetic(LAPTOP, NULL, 0, &cache), -1);
  const precis_pus nowhere = units(900, 901);
  assert_int_equal(precis_cache_find_synthetic_among(LAPTOP, &nowhere, 1, 0, &cache), -1);
  assert_int_equal(precis_cache_find_synthetic_among(LAPTOP, &nowhere, 1, 1, &cache), -1);
  assert_int_equal(cache.pus, 77);
}

static void this_machine(void **state)
{
  (void)state;
  precis_cache cache;
  assert_int_equal(precis_cache_find(1, &cache), 0);
  assert_true(cache.fast_bytes > 0);
  assert_true(cache.cores >= 1 && cache.cores <= cache.machine_cores);
  assert_true(cache.pus >= 1 && cache.pus <= cache.machine_pus);
  assert_true(cache.line_bytes >= 1);
  assert_true(strlen(cache.cpuset) > 0);
  assert_true(cache.allowed_pus >= cache.pus && cache.allowed_pus <= cache.machine_pus);
  assert_int_equal(precis_pus_count(&cache.set), cache.pus);
  assert_int_equal(precis_pus_count(&cache.core_set), cache.cores);
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(server_whole),   cmocka_unit_test(server_one_core),
      cmocka_unit_test(server_slices),  cmocka_unit_test(server_one_hardware_thread),
      cmocka_unit_test(sharers_divide), cmocka_unit_test(laptop),
      cmocka_unit_test(without_l3),     cmocka_unit_test(without_caches),
      cmocka_unit_test(without_cores),  cmocka_unit_test(overlaps_divide),
      cmocka_unit_test(numa_nodes),     cmocka_unit_test(overlaps_leave_nothing),
      cmocka_unit_test(sets),           cmocka_unit_test(refusals),
      cmocka_unit_test(this_machine)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
