/* Ranks over nodes: numbers, members, and who stands for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "src/layout/nodes.h"

enum { RANKS = 7 };

static const int places[][RANKS] = {
    {0, 0, 0, 0, 0, 0, 0}, {5, 5, 5, 5, 5, 5, 5}, {0, 1, 2, 3, 4, 5, 6},    {0, 1, 0, 1, 0, 1, 0},
    {3, 3, 3, 1, 1, 9, 9}, {9, 3, 3, 9, 2, 2, 9}, {-1, 4, -1, -1, 4, 7, 7},
};
static const int counts[] = {1, 1, 7, 2, 3, 3, 3}, smallest[] = {7, 7, 1, 3, 2, 2, 2},
                 largest[] = {7, 7, 1, 4, 3, 3, 3};

static void numbers(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    precis_nodes n;
    assert_int_equal(precis_nodes_create(RANKS, places[i], &n), 0);
    assert_int_equal(n.count, counts[i]);
    assert_int_equal(n.smallest, smallest[i]);
    assert_int_equal(n.largest, largest[i]);
    assert_int_equal(n.node[0], 0);
    int next = 0; /* of the nodes, those that have been seen */
    for (int r = 0; r < RANKS; r++) {
      assert_true(n.node[r] <= next);
      next += n.node[r] == next;
      assert_int_equal(precis_nodes_rank(&n, n.node[r], n.local[r]), r);
      for (int s = 0; s < RANKS; s++)
        assert_int_equal(n.node[r] == n.node[s], places[i][r] == places[i][s]);
    }
    for (int node = 0; node < n.count; node++)
      for (int l = 1; l < precis_nodes_size(&n, node); l++)
        assert_true(precis_nodes_rank(&n, node, l - 1) < precis_nodes_rank(&n, node, l));
    precis_nodes_free(&n);
  }
}

/* As many nodes as the largest machines have, in no order: a search through all of them for each
 * rank would take minutes. */
static void many(void **state)
{
  (void)state;
  enum { MANY = 1 << 18 };
  int *place = malloc(MANY * sizeof *place);
  precis_nodes n;
  assert_non_null(place);
  for (int r = 0; r < MANY; r++)
    place[r] = (int)((unsigned)r * 2654435761u % (MANY / 2));
  assert_int_equal(precis_nodes_create(MANY, place, &n), 0);
  assert_int_equal(n.count, MANY / 2);
  assert_int_equal(n.smallest, 2);
  assert_int_equal(n.largest, 2);
  free(place);
  precis_nodes_free(&n);
}

/* A rank stands for itself at home; elsewhere the load of a node is spread as evenly as can be. */
static void carriers(void **state)
{
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    precis_nodes n;
    assert_int_equal(precis_nodes_create(RANKS, places[i], &n), 0);
    for (int from = 0; from < n.count; from++)
      for (int to = 0; to < n.count; to++) {
        int load[RANKS] = {0}, size = precis_nodes_size(&n, to);
        for (int l = 0; l < precis_nodes_size(&n, from); l++) {
          int carrier = precis_nodes_carrier(&n, to, precis_nodes_rank(&n, from, l));
          assert_int_equal(n.node[carrier], to);
          assert_true(from != to || carrier == precis_nodes_rank(&n, from, l));
          load[n.local[carrier]]++;
        }
        for (int l = 0; l < size; l++)
          assert_true(load[l] <= (precis_nodes_size(&n, from) + size - 1) / size);
      }
    precis_nodes_free(&n);
  }
}

static void alone(void **state)
{
  (void)state;
  precis_nodes n;
  assert_int_equal(precis_nodes_create(RANKS, NULL, &n), 0);
  assert_int_equal(n.count, RANKS);
  for (int r = 0; r < RANKS; r++) {
    assert_int_equal(n.node[r], r);
    assert_int_equal(precis_nodes_mates(&n, r), 1);
    assert_int_equal(precis_nodes_carrier(&n, r, 0), r);
  }
  precis_nodes_free(&n);
}

/* Each rank a node of its own, those of a node one after the other; where they are stays known. */
static void parted(void **state)
{
  (void)state;
  const int given[] = {4, 1, 4, 4, 1, 9};
  const int order[] = {0, 2, 3, 1, 4, 5};
  precis_nodes n, apart;
  assert_int_equal(precis_nodes_create(6, given, &n), 0);
  assert_int_equal(precis_nodes_part(&n, &apart), 0);
  assert_true(apart.count == 6 && apart.smallest == 1 && apart.largest == 1);
  for (int i = 0; i < 6; i++) {
    assert_int_equal(precis_nodes_rank(&apart, i, 0), order[i]);
    assert_int_equal(apart.node[order[i]], i);
    assert_int_equal(apart.place[i], n.node[i]);
    assert_int_equal(apart.local[i], 0);
  }
  precis_nodes_free(&apart);
  precis_nodes_free(&n);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(many),
                                     cmocka_unit_test(carriers), cmocka_unit_test(alone),
                                     cmocka_unit_test(parted)};
  return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
