/* What is written of schedules: pages for people, lines for machines, traces for the simulator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "src/schedule/build.h"
#include "src/schedule/print.h"
#include "src/schedule/trace.h"

enum { RANKS = 4, LINE = 512 };

static const int64_t rows[RANKS] = {10, 0, 7, 30};
static const int64_t start[RANKS + 1] = {0, 10, 10, 17, 47};
static precis_nodes nodes; /* two of two ranks */
static const precis_problem problem = {.heads = 2, .kv_heads = 2, .dim = 4, .value_dim = 4};
static const precis_parcel_kind kind = {.heads = 2, .dim = 4, .value_dim = 4};
static const precis_tiles_shape tiles = {
    .problem = &problem, .query_rows = rows, .key_rows = rows, .most_keys = 30, .tile_rows = 8,
    .kind = kind};
static const precis_summaries_shape summaries = {
    .heads = 2, .kv_heads = 2, .dim = 4, .value_dim = 4, .features = 15, .count_features = 20,
    .tile_features = 8, .tile_counts = 8, .query_start = start, .key_rows = rows, .kind = kind,
    .parcel_rows = 8};

/* Tiles, with queries dealt out before and results taken back. */
static precis_tiles_shape dealt_shape(void)
{
  precis_tiles_shape shape = tiles;
  precis_layout home = precis_layout_consecutive(RANKS, start),
                away = precis_layout_dealt(RANKS, start[RANKS], 2);
  shape.queries = (precis_exchange_shape){1, home, away, 40};
  shape.results = (precis_exchange_shape){1, away, home, 48};
  return shape;
}

static precis_schedule schedule_at(int i)
{
  return i == 0   ? precis_schedule_tiles(&tiles, &nodes)
         : i == 1 ? precis_schedule_summaries(&summaries, &nodes)
                  : precis_schedule_causal(&summaries, &nodes);
}

/* Every step is an object with its rank, its kind, and the bytes of messages. */
static void json(void **state)
{
  (void)state;
  for (int i = 0; i < 3; i++)
    for (int r = 0; r < RANKS; r++) {
      precis_schedule schedule = schedule_at(i);
      precis_schedule_totals totals = precis_schedule_count(&schedule, r);
      int64_t lines = 0, bytes = 0;
      char line[LINE];
      FILE *file = tmpfile();
      assert_non_null(file);
      precis_schedule_print_json(&schedule, r, file);
      rewind(file);
      for (; fgets(line, sizeof line, file) != NULL; lines++) {
        json_error_t error;
        json_t *step = json_loads(line, 0, &error);
        assert_non_null(step);
        assert_int_equal(json_integer_value(json_object_get(step, "rank")), r);
        const char *kind_name = json_string_value(json_object_get(step, "kind"));
        assert_non_null(kind_name);
        if (strcmp(kind_name, "send") == 0)
          bytes += json_integer_value(json_object_get(step, "bytes"));
        json_decref(step);
      }
      fclose(file);
      assert_int_equal(lines, totals.steps);
      assert_int_equal(bytes, totals.node_bytes + totals.network_bytes);
    }
}

/* As many lines as were asked for, and columns in line: the bytes end where their title does. */
static void text(void **state)
{
  (void)state;
  precis_schedule schedule = schedule_at(0);
  char line[LINE];
  int64_t steps = 0, numbers = 0, left_out = 0;
  size_t column = 0;
  FILE *file = tmpfile();
  assert_non_null(file);
  const precis_schedule_page page = {.rank = 3, .first = 0, .end = INT64_MAX, .most = 10};
  assert_int_equal(precis_schedule_print(&schedule, &page, file),
                   precis_schedule_count(&schedule, 3).steps - 10);
  rewind(file);
  while (fgets(line, sizeof line, file) != NULL) {
    const char *title = strstr(line, "bytes  memory");
    if (title != NULL)
      column = (size_t)(title - line) + strlen("bytes");
    else if (column > 0 && steps < 10) {
      assert_true(strlen(line) > column && strchr("0123456789 ", line[column - 1]) != NULL);
      assert_int_equal(line[column], ' ');
      numbers += line[column - 1] != ' ';
      steps++;
    } else if (column > 0)
      sscanf(line, " ... %lld more steps", (long long *)&left_out);
  }
  fclose(file);
  assert_int_equal(steps, 10);
  assert_true(numbers >= 4);
  assert_int_equal(left_out, precis_schedule_count(&schedule, 3).steps - 10);
}

typedef struct tally {
  int64_t bytes_out, bytes_in, started, ended, lines;
  double flops;
  int finalized;
} tally;

static void read_line(char *line, int rank, tally *t)
{
  char word[16];
  int who, used;
  assert_int_equal(sscanf(line, "%d %15s %n", &who, word, &used), 2);
  assert_int_equal(who, rank);
  assert_false(t->finalized);
  int64_t numbers[3] = {0};
  sscanf(line + used, "%lld %lld %lld", (long long *)&numbers[0], (long long *)&numbers[1],
         (long long *)&numbers[2]);
  if (strcmp(word, "compute") == 0) {
    t->flops += (double)numbers[0];
  } else if (strcmp(word, "isend") == 0) {
    t->bytes_out += numbers[2];
    t->started++;
  } else if (strcmp(word, "irecv") == 0) {
    t->bytes_in += numbers[2];
    t->started++;
  } else if (strcmp(word, "wait") == 0) {
    assert_true(numbers[0] == rank || numbers[1] == rank);
    t->ended++;
  } else if (strcmp(word, "waitall") == 0) {
    t->ended = t->started;
  } else {
    assert_true(strcmp(word, t->lines == 0 ? "init" : "finalize") == 0);
    t->finalized = t->lines > 0;
  }
  t->lines++;
}

static double twice(void *context, const precis_step *step, double flops)
{
  (void)context;
  (void)step;
  return 2 * flops;
}

/* What is sent is received and counted, what is started ends, and work is all there. */
static void traces(void **state)
{
  (void)state;
  for (int i = 0; i < 3; i++) {
    precis_schedule schedule = schedule_at(i);
    int64_t out = 0, in = 0, counted = 0;
    for (int r = 0; r < RANKS; r++) {
      tally t = {0}, scaled = {0};
      char line[LINE];
      for (int again = 0; again < 2; again++) {
        FILE *file = tmpfile();
        assert_non_null(file);
        assert_int_equal(precis_schedule_trace(&schedule, 1, r, again ? twice : NULL, NULL, file), 0);
        rewind(file);
        while (fgets(line, sizeof line, file) != NULL)
          read_line(line, r, again ? &scaled : &t);
        fclose(file);
      }
      assert_true(t.finalized && t.started == t.ended);
      assert_true((t.flops > 0 || rows[r] == 0) && scaled.flops == 2 * t.flops);
      precis_schedule_totals totals = precis_schedule_count(&schedule, r);
      counted += totals.node_bytes + totals.network_bytes;
      out += t.bytes_out;
      in += t.bytes_in;
    }
    assert_int_equal(out, in);
    assert_int_equal(out, counted);
  }
}

/* An exchange is messages in a trace, and partners on a page. */
static void exchanges(void **state)
{
  (void)state;
  const precis_tiles_shape shape = dealt_shape();
  precis_schedule schedule = precis_schedule_tiles(&shape, &nodes);
  int64_t out = 0, in = 0, counted = 0, listed = 0;
  for (int r = 0; r < RANKS; r++) {
    tally t = {0};
    char line[LINE];
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(precis_schedule_trace(&schedule, 1, r, NULL, NULL, file), 0);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL)
      read_line(line, r, &t);
    rewind(file);
    assert_int_equal(ftruncate(fileno(file), 0), 0);
    const precis_schedule_page page = {.rank = r, .first = 0, .end = INT64_MAX, .most = 1000};
    precis_schedule_print(&schedule, &page, file);
    rewind(file);
    while (fgets(line, sizeof line, file) != NULL) {
      int64_t bytes;
      int to;
      if (sscanf(line, " %*d rows to %d, %lld bytes", &to, (long long *)&bytes) == 2)
        listed += bytes;
    }
    fclose(file);
    assert_int_equal(t.started, t.ended);
    precis_schedule_totals totals = precis_schedule_count(&schedule, r);
    assert_true(totals.exchanged_bytes > 0 || r == 1);
    counted += totals.exchanged_bytes;
    out += t.bytes_out - totals.node_bytes - totals.network_bytes;
    in += t.bytes_in;
    in -= totals.node_bytes + totals.network_bytes;
  }
  assert_int_equal(out, counted);
  assert_int_equal(in, counted);
  assert_int_equal(listed, counted);
}

/* Tiles: 4 n_q n_k d flops a head in all, besides the numbers that are packed. */
static void flops(void **state)
{
  (void)state;
  precis_schedule schedule = schedule_at(0);
  double sum = 0;
  for (int r = 0; r < RANKS; r++) {
    precis_step *steps;
    int64_t count;
    assert_int_equal(precis_schedule_list(&schedule, r, &steps, &count), 0);
    for (int64_t i = 0; i < count; i++)
      if (steps[i].kind == PRECIS_STEP_COMPUTE)
        sum += precis_schedule_flops(&schedule, r, &steps[i]);
    free(steps);
  }
  assert_true(sum == 4.0 * 47 * 47 * 4 * 2);
}

static int set_up(void **state)
{
  const int node[RANKS] = {0, 0, 1, 1};
  (void)state;
  return precis_nodes_create(RANKS, node, &nodes);
}

static int tear_down(void **state)
{
  (void)state;
  precis_nodes_free(&nodes);
  return 0;
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(json),
      cmocka_unit_test(text),
      cmocka_unit_test(traces),
      cmocka_unit_test(exchanges),
      cmocka_unit_test(flops),
  };
  return cmocka_run_group_tests_name("schedule_text", tests, set_up, tear_down);
}
