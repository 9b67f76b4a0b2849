/* Agreement, counted messages that are cut up, trees, and rows that change ranks. */
#include "tests/mpi_assert.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/rows/rows.h"
#include "src/layout/tree.h"
#include "mpi/world/world.h"
#include "src/precis.h"

static precis_world world;

static void agreement(void **state)
{
  (void)state;
  int last = world.ranks - 1;
  precis_message why = {""};
  assert_all(world.comm, precis_world_agree(&world, PRECIS_SUCCESS, &why) == PRECIS_SUCCESS &&
                             why.text[0] == '\0');
  int status = world.rank == last ? precis_message_set(&why, PRECIS_ERR_FORMAT, "from %d", last)
                                  : PRECIS_SUCCESS;
  char want[32];
  snprintf(want, sizeof want, "from %d", last);
  assert_all(world.comm, precis_world_agree(&world, status, &why) == PRECIS_ERR_FORMAT);
  assert_all(world.comm, strcmp(why.text, want) == 0);
  precis_message none = {""};
  assert_all(world.comm, precis_world_agree(&world, PRECIS_ERR_MEMORY, &none) == PRECIS_ERR_MEMORY);
  assert_all(world.comm, strcmp(none.text, "out of memory") == 0);
  int same = 5;
  assert_all(world.comm, precis_world_same(&world, &same, sizeof same) == PRECIS_SUCCESS);
  same = world.rank;
  assert_all(world.comm, precis_world_same(&world, &same, sizeof same) ==
                             (last ? PRECIS_ERR_MISMATCH : PRECIS_SUCCESS));
}

/* Messages of many pieces, none at all, and the count of their bytes. */
static void transfers(void **state)
{
  (void)state;
  enum { MOST = 1000 };
  char out[MOST], in[MOST];
  int right = (world.rank + 1) % world.ranks, left = (world.rank + world.ranks - 1) % world.ranks;
  precis_traffic before = world.traffic;
  int64_t bytes = 0;
  world.piece_bytes = 17;
  for (int size = 0; size <= MOST; size += 111) {
    for (int i = 0; i < MOST; i++)
      out[i] = (char)(i * 3 + world.rank + size);
    memset(in, 0, sizeof in);
    precis_transfer sending, receiving;
    int done = 0,
        good = precis_world_receive(&world, in, size, left, 3, &receiving) == PRECIS_SUCCESS &&
               precis_world_send(&world, out, size, right, 3, &sending) == PRECIS_SUCCESS;
    while (good && !done)
      good = precis_transfer_test(&receiving, &done) == PRECIS_SUCCESS;
    good = good && precis_transfer_wait(&sending) == PRECIS_SUCCESS;
    for (int i = 0; i < size; i++)
      good = good && in[i] == (char)(i * 3 + left + size);
    assert_all(world.comm, good);
    bytes += size;
  }
  world.piece_bytes = PRECIS_PIECE_BYTES;
  assert_all(world.comm, world.traffic.node_bytes + world.traffic.network_bytes -
                                 before.node_bytes - before.network_bytes ==
                             bytes);
}

static void check_tree(const precis_nodes *nodes, int root)
{
  int children = 0, crossings = 0, depth = 0;
  for (int r = 0; r < nodes->ranks; r++) {
    precis_tree tree = precis_tree_at(nodes, root, r);
    int height = 0;
    children += tree.children;
    assert_true(tree.children <= precis_tree_depth(nodes));
    for (int i = 0; i < tree.children; i++) {
      int child = precis_tree_child(&tree, i);
      assert_int_equal(precis_tree_at(nodes, root, child).parent, r);
      crossings += nodes->node[child] != nodes->node[r];
    }
    for (int up = r; up != root; up = precis_tree_at(nodes, root, up).parent)
      height++;
    depth = height > depth ? height : depth;
  }
  assert_int_equal(children, nodes->ranks - 1);
  assert_int_equal(crossings, nodes->count - 1);
  assert_true(depth <= precis_tree_depth(nodes));
}

/* Every rank but the root has a parent that has it as a child, and every node is crossed to once,
 * however ranks are spread. */
static void trees(void **state)
{
  (void)state;
  for (int ranks = 1; ranks <= 70; ranks++)
    for (int way = 0; way < 5; way++) {
      int node[70];
      precis_nodes nodes;
      for (int r = 0; r < ranks; r++)
        node[r] = way == 0 ? 7 : way == 1 ? r : way == 2 ? r / 4 : way == 3 ? r % 3 : r * r / 50;
      assert_int_equal(precis_nodes_create(ranks, node, &nodes), 0);
      for (int root = 0; root < ranks; root += 3)
        check_tree(&nodes, root);
      precis_nodes_free(&nodes);
    }
}

/* From any consecutive shares to dealt ones and back. */
static void rows(void **state)
{
  (void)state;
  for (int64_t n = 0; n < 300; n += 37) {
    int64_t *start = malloc(((size_t)world.ranks + 1) * sizeof *start);
    for (int r = 0; r <= world.ranks; r++)
      start[r] = n * r * r / world.ranks / world.ranks;
    precis_layout home = precis_layout_consecutive(world.ranks, start);
    precis_layout away = precis_layout_dealt(world.ranks, n, 3);
    int64_t here = precis_layout_share(&home, world.rank),
            there = precis_layout_share(&away, world.rank);
    int64_t *index = malloc(((size_t)here + 1) * sizeof *index),
            *got = malloc(((size_t)there + 1) * sizeof *got);
    char *mark = malloc((size_t)here + 1), *got_mark = malloc((size_t)there + 1);
    for (int64_t i = 0; i < here; i++) {
      index[i] = start[world.rank] + i;
      mark[i] = (char)(index[i] * 5);
    }
    precis_rows_array go[] = {{sizeof *index, index, got}, {1, mark, got_mark}};
    int good = precis_rows_exchange(&world, here, index, &away, go, 2) == PRECIS_SUCCESS;
    for (int64_t i = 0; i < there && good; i++) {
      int64_t row;
      precis_layout_row(&away, world.rank, i, &row);
      good = got[i] == row && got_mark[i] == (char)(row * 5);
    }
    assert_all(world.comm, good);
    memset(mark, 0, (size_t)here + 1);
    precis_rows_array back = {1, got_mark, mark};
    good = precis_rows_exchange(&world, there, got, &home, &back, 1) == PRECIS_SUCCESS;
    for (int64_t i = 0; i < here; i++)
      good = good && mark[i] == (char)(index[i] * 5);
    assert_all(world.comm, good);
    free(start);
    free(index);
    free(got);
    free(mark);
    free(got_mark);
  }
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(agreement),
      cmocka_unit_test(transfers),
      cmocka_unit_test(trees),
      cmocka_unit_test(rows),
  };
  MPI_Init(&argc, &argv);
  if (precis_world_create(MPI_COMM_WORLD, &world))
    MPI_Abort(MPI_COMM_WORLD, 1);
  int failed = cmocka_run_group_tests_name("world", tests, NULL, NULL);
  precis_world_free(&world);
  MPI_Finalize();
  return failed;
}
