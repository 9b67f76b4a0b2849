/* Parts of the service by themselves: specs, tokens, the queue, counters. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mpi/service/hold_commit.h"
#include "mpi/service/landing.h"
#include "mpi/service/manifest.h"
#include "mpi/service/merge.h"
#include "mpi/service/metrics.h"
#include "mpi/service/queue.h"
#include "mpi/service/record.h"
#include "mpi/service/spec.h"
#include "mpi/service/token.h"

static int parse(const char *text, precis_spec *spec, const char **field)
{
  precis_message why;
  return precis_spec_parse(text, strlen(text), spec, field, &why);
}

static void specs(void **state)
{
  precis_spec spec;
  const char *field;
  (void)state;
  assert_int_equal(parse("{\"heads\": 4, \"dim\": 16}", &spec, &field), PRECIS_SUCCESS);
  assert_int_equal(spec.problem.kv_heads, 4);
  assert_int_equal(spec.problem.value_dim, 16);
  assert_true(spec.problem.scale == 0.25);
  assert_int_equal(spec.move, PRECIS_MOVE_AUTO);
  assert_int_equal(
      parse("{\"heads\": 4, \"dim\": 16, \"kv_heads\": 2, \"causal\": true, \"tol\": "
            "1e-2, \"move\": \"queries\", \"name\": \"n\", \"guarantee\": \"sampled\"}",
            &spec, &field),
      PRECIS_SUCCESS);
  assert_int_equal(spec.move, PRECIS_MOVE_QUERIES);
  assert_int_equal(spec.guarantee, PRECIS_GUARANTEE_SAMPLED);
  assert_string_equal(spec.name, "n");
  assert_int_equal(parse("{\"heads\": 4, \"dim\": 16, \"kv_heads\": 3}", &spec, &field),
                   PRECIS_ERR_ARGUMENT);
  assert_string_equal(field, "kv_heads");
  assert_int_equal(spec.problem.kv_heads, 2); /* as it was */
}

static int load_tokens(const char *path, const char *text, precis_tokens *tokens)
{
  precis_message why;
  int file = open(path, O_WRONLY | O_TRUNC);
  assert_true(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
  close(file);
  return precis_tokens_load(path, tokens, &why);
}

static void tokens(void **state)
{
  char folder[] = "/tmp/precis-test-XXXXXX", path[64], other[64], text[80];
  precis_tokens made, again;
  precis_message why;
  struct stat info;
  (void)state;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/token", folder);
  snprintf(other, sizeof other, "%s/other", folder);
  assert_int_equal(precis_tokens_load(path, &made, &why), PRECIS_SUCCESS);
  assert_int_equal(made.count, 1);
  assert_int_equal(strlen(made.list[0].text), 64);
  assert_int_equal(stat(path, &info), 0);
  assert_int_equal(info.st_mode & 0777, 0600);
  assert_int_equal(precis_tokens_load(path, &again, &why), PRECIS_SUCCESS);
  assert_string_equal(made.list[0].text, again.list[0].text);
  strcpy(text, again.list[0].text);
  assert_ptr_equal(precis_tokens_find(&made, text), made.list);
  for (int i = 0; i < 64; i++) {
    text[i] ^= 1;
    assert_null(precis_tokens_find(&made, text));
    text[i] ^= 1;
  }
  text[63] = '\0';
  assert_null(precis_tokens_find(&made, text));
  assert_null(precis_tokens_find(&made, ""));
  precis_tokens_free(&again);
  precis_tokens_free(&made);
  chmod(path, 0604);
  assert_int_equal(precis_tokens_load(path, &made, &why), PRECIS_ERR_IO);
  chmod(path, 0600);
  assert_int_equal(symlink(path, other), 0);
  assert_int_equal(precis_tokens_load(other, &made, &why), PRECIS_ERR_IO);
  unlink(other);
  assert_int_equal(link(path, other), 0);
  assert_int_equal(precis_tokens_load(path, &made, &why), PRECIS_ERR_IO);
  assert_non_null(strstr(why.text, "2 names"));
  unlink(other);
  if (geteuid() == 0) {
    assert_int_equal(chown(path, 12345, (gid_t)-1), 0);
    assert_int_equal(precis_tokens_load(path, &made, &why), PRECIS_ERR_IO);
    assert_int_equal(chown(path, 0, (gid_t)-1), 0);
  }
  const char *const bad[] = {"short\n",
                             "",
                             "# none\n",
                             "0123456789abcdef a b\n",
                             "0123456789abcdef a write tokens=x\n",
                             "0123456789abcdef a\n0123456789abcdef b\n",
                             "0123456789abcdef \xc3\xa4\n",
                             "0123456789abcdef a tokens=-1\n",
                             "0123456789abcdef 0123456789012345678901234567890123\n"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    assert_int_not_equal(load_tokens(path, bad[i], &made), PRECIS_SUCCESS);
  assert_int_equal(load_tokens(path,
                               "# who may come in\r\n\n  0123456789abcdef\r\n"
                               "0123456789abcdeg anna read\n0123456789abcdeh\tbert write "
                               "tokens=1k contexts=3 bytes=2Mi # a comment\n",
                               &made),
                   PRECIS_SUCCESS);
  assert_int_equal(made.count, 3);
  assert_string_equal(made.list[0].name, "default");
  assert_true(made.list[0].may_write && !made.list[1].may_write && made.list[2].may_write);
  assert_string_equal(precis_tokens_find(&made, "0123456789abcdeg")->name, "anna");
  const precis_quota quota = precis_tokens_quota(&made, "bert");
  assert_true(quota.tokens == 1000 && quota.contexts == 3 && quota.bytes == 2 << 20);
  assert_int_equal(precis_tokens_quota(&made, "gone").tokens, 0);
  precis_tokens_free(&made);
  unlink(path);
  rmdir(folder);
}

/* Attends go together as long as nothing between them changes the context. */
static void batches(void **state)
{
  precis_queue queue;
  precis_context one = {.slot = 0}, two = {.slot = 1};
  precis_stage stage = {.context = &one};
  precis_errand *e[6];
  (void)state;
  precis_queue_create(&queue);
  for (int i = 0; i < 6; i++) {
    e[i] = calloc(1, sizeof *e[i]);
    e[i]->kind = PRECIS_ERRAND_ATTEND;
    e[i]->context = i == 1 ? &two : &one;
    e[i]->rows = 1;
    e[i]->position = -1;
  }
  e[2]->rows = 100;
  e[4]->kind = PRECIS_ERRAND_COMMIT;
  e[4]->stage = &stage;
  for (int i = 0; i < 6; i++)
    assert_true(precis_queue_put(&queue, e[i]));
  assert_ptr_equal(precis_queue_take(&queue, 0), e[0]);
  assert_ptr_equal(precis_queue_take_like(&queue, e[0], 50), e[3]); /* e[2] is too large */
  assert_null(precis_queue_take_like(&queue, e[0], 50));            /* e[5] comes after e[4] */
  one.spec.problem.causal = 1;
  assert_null(precis_queue_take_like(&queue, e[2], 1000)); /* of many rows, ends at the last key */
  assert_int_equal(precis_queue_length(&queue), 4);
  for (int i = 1; i < 6; i++)
    if (i != 3)
      assert_ptr_equal(precis_queue_take(&queue, 0), e[i]);
  assert_null(precis_queue_take(&queue, 0));
  precis_queue_close(&queue);
  assert_false(precis_queue_put(&queue, e[0]));
  for (int i = 0; i < 6; i++)
    precis_queue_finish(&queue, e[i], PRECIS_SUCCESS, NULL);
  precis_queue_free(&queue);
}

static void histograms(void **state)
{
  precis_histogram h = {.count = 0};
  (void)state;
  assert_true(precis_histogram_quantile(&h, 0.5) == 0);
  for (int i = 0; i < 99; i++)
    precis_histogram_add(&h, 0.003);
  precis_histogram_add(&h, 1e6);
  assert_true(precis_histogram_quantile(&h, 0.5) == 0.005);
  assert_true(precis_histogram_quantile(&h, 0.99) == 0.005);
  assert_true(isinf(precis_histogram_quantile(&h, 1)));
  assert_int_equal(h.count, 100);
  assert_true(isinf(precis_histogram_edge(PRECIS_HISTOGRAM_BINS - 1)));
}

static void metrics(void **state)
{
  precis_metrics m;
  const int64_t bytes[] = {5, 6};
  const precis_gauges gauges = {.ranks = 2, .rank_bytes = bytes, .contexts = 3};
  (void)state;
  precis_metrics_create(&m);
  for (int i = 0; i < 100; i++)
    precis_metrics_reply(&m, i % 2 ? "append" : "attend", 200 + i, 0.01);
  const precis_report report = {.size = sizeof report, .move = PRECIS_MOVE_QUERIES, .rows_recomputed = 3};
  precis_metrics_attend(&m, &report, 7, 1, 1);
  char *text = precis_metrics_text(&m, &gauges);
  assert_non_null(text);
  assert_non_null(strstr(text, "\nprecis_contexts 3\n"));
  assert_non_null(strstr(text, "\nprecis_rank_bytes{rank=\"1\"} 6\n"));
  assert_non_null(strstr(text, "\nprecis_attends_total{move=\"queries\"} 1\n"));
  assert_non_null(strstr(text, "\nprecis_requests_total{route=\"append\",code=\"201\"} 1\n"));
  assert_non_null(strstr(text, "{route=\"attend\",le=\"+Inf\"} 50\n"));
  free(text);
  precis_metrics_free(&m);
}

/* Of a line that was not written to its end nothing is believed. */
static void records(void **state)
{
  json_t *object = json_pack("{s:s, s:i}", "text", "tab \t, newline \n, \xc3\xa4", "n", 5);
  char *line = precis_record_format(object), bad[256];
  int64_t bytes, used = 0;
  (void)state;
  assert_non_null(line);
  bytes = (int64_t)strlen(line);
  json_t *again = precis_record_parse(line, bytes, &used);
  assert_true(json_equal(object, again));
  assert_int_equal(used, bytes);
  json_decref(again);
  for (int64_t cut = 0; cut < bytes; cut++)
    assert_null(precis_record_parse(line, cut, &used));
  for (int64_t i = 0; i < bytes; i++) {
    strcpy(bad, line);
    bad[i] ^= 4;
    assert_null(precis_record_parse(bad, bytes, &used));
  }
  free(line);
  json_decref(object);
}

static void manifests(void **state)
{
  precis_service_options options = {.contexts_most = 4, .connections_most = 4};
  precis_contexts contexts;
  precis_context *c, *again;
  precis_message why;
  precis_spec spec = {.name = "n", .problem = {4, 2, 8, 3, 1, 0.25}, .tol = 0.5, .move = 2};
  const precis_owner owner = {.name = "anna"};
  const precis_segment segments[] = {{"c-1-0", 5, {"ab"}}, {"c-1-3", 2, {""}}};
  int64_t used;
  (void)state;
  assert_int_equal(precis_contexts_create(&options, 2, &contexts), PRECIS_SUCCESS);
  assert_int_equal(precis_contexts_make(&contexts, &spec, &owner, NULL, &c, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_contexts_make(&contexts, &spec, &owner, NULL, &again, &why),
                   PRECIS_SUCCESS);
  json_t *list = precis_manifest_segments(segments, 2);
  json_array_extend(c->segments, list);
  json_decref(list);
  c->tokens = 7;
  c->sequence = 1;
  char *text = precis_manifest_text(c);
  assert_int_equal(precis_manifest_parse("m", text, (int64_t)strlen(text), again, &used, &why), 0);
  assert_int_equal(used, strlen(text));
  assert_string_equal(again->id, c->id);
  assert_string_equal(again->owner, "anna");
  assert_memory_equal(&again->spec, &c->spec, sizeof spec);
  assert_true(json_equal(again->segments, c->segments));
  assert_int_equal(again->tokens, 7);
  assert_int_equal(again->sequence, 1);
  free(text);
  precis_contexts_release(&contexts, c);
  precis_contexts_release(&contexts, again);
  precis_contexts_free(&contexts);
}

/* Whoever comes later replaces nothing, and leaves nothing of its own. */
static void landings(void **state)
{
  char folder[] = "/tmp/precis-test-XXXXXX", path[64], text[8] = "";
  precis_landing landings[2];
  precis_message why;
  (void)state;
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/x", folder);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(precis_landing_open(path, &landings[i], &why), PRECIS_SUCCESS);
    assert_int_equal(precis_landing_write(&landings[i], i ? "two" : "one", 3, 0, &why), 0);
  }
  assert_int_not_equal(access(path, F_OK), 0);
  assert_int_equal(precis_landing_commit(&landings[0], NULL, &why), PRECIS_SUCCESS);
  assert_int_equal(precis_landing_commit(&landings[1], NULL, &why), PRECIS_ERR_IO);
  assert_non_null(strstr(why.text, "exists"));
  int file = open(path, O_RDONLY);
  assert_int_equal(read(file, text, sizeof text), 3);
  close(file);
  assert_string_equal(text, "one");
  assert_int_equal(unlink(path), 0);
  assert_int_equal(rmdir(folder), 0);
}

static void segment_names(void **state)
{
  char stem[PRECIS_SEGMENT_NAME], file[PRECIS_SEGMENT_NAME + 32];
  precis_segment_origin origin;
  (void)state;
  precis_segment_stem("c0123456789abcdef", INT64_MAX, "fedcba9876543210", stem);
  snprintf(file, sizeof file, "%s.safetensors", precis_hold_segment(stem, 1234567, 1).name);
  assert_non_null(strstr(file, "-1234567."));
  assert_true(precis_segment_origin_of(file, &origin));
  assert_string_equal(origin.context, "c0123456789abcdef");
  assert_true(origin.sequence == INT64_MAX);
  const char *const ours[] = {"c0123456789abcdef-7-0.safetensors",
                              "c0123456789abcdef-7-0.safetensors.12-0.part",
                              "c0123456789abcdef-7-fedcba9876543210-0.safetensors.part"};
  for (int i = 0; i < 3; i++)
    assert_true(precis_segment_origin_of(ours[i], &origin) && origin.sequence == 7);
  const char *const others[] = {"c0123456789abcdef-7-0.safetensors.bak",  "x.safetensors",
                                "c0123456789abcde-7-0.safetensors",       "c0123456789abcdef-7-0",
                                "c0123456789abcdef-7--0.safetensors",     "-1-0.safetensors",
                                "c0123456789abcdef-7-fedc-0.safetensors", ""};
  for (int i = 0; i < 8; i++)
    assert_false(precis_segment_origin_of(others[i], &origin));
}

/* Neighbours of which each is no larger than all that follow it; not beyond where forks part, nor
 * larger than a file may get. */
static void merges(void **state)
{
  enum { COUNT = 100 };
  int64_t rows[COUNT], first = -1;
  unsigned char apart[COUNT] = {0};
  (void)state;
  for (int i = 0; i < COUNT; i++)
    rows[i] = 1;
  assert_int_equal(precis_merge_choose(rows, apart, COUNT, 1000, &first), COUNT);
  assert_int_equal(first, 0);
  assert_int_equal(precis_merge_choose(rows, apart, COUNT, 30, &first), 30);
  assert_int_equal(first, 70);
  apart[60] = 1;
  assert_int_equal(precis_merge_choose(rows, apart, COUNT, 1000, &first), 60);
  assert_int_equal(first, 0);
  rows[20] = 41;
  assert_int_equal(precis_merge_choose(rows, apart, COUNT, 1000, &first), 40);
  assert_int_equal(first, 60);
  assert_int_equal(precis_merge_choose(rows, apart, PRECIS_MERGE_LEAST - 1, 1000, &first), 0);
}

/* However many appends come, there are few segments after each, and no row is written often. */
static void merges_again(void **state)
{
  enum { APPENDS = 20000, MOST = 2 * PRECIS_MERGE_BEYOND };
  int64_t rows[MOST + 1], count = 0, written = 0;
  const unsigned char apart[MOST + 1] = {0};
  (void)state;
  for (int i = 0; i < APPENDS; i++) {
    int64_t first, run = 0;
    rows[count++] = 1;
    if (count > PRECIS_MERGE_BEYOND)
      run = precis_merge_choose(rows, apart, count, INT64_MAX, &first);
    if (run > 0) {
      for (int64_t j = first + 1; j < first + run; j++)
        rows[first] += rows[j];
      written += rows[first];
      memmove(&rows[first + 1], &rows[first + run], (size_t)(count - first - run) * sizeof rows[0]);
      count -= run - 1;
    }
    assert_true(count <= MOST);
  }
  assert_true(count <= 90);
  assert_true(written <= 15 * (int64_t)APPENDS); /* the logarithm */
}

int main(void)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(specs),      cmocka_unit_test(tokens),       cmocka_unit_test(batches),
      cmocka_unit_test(histograms), cmocka_unit_test(metrics),      cmocka_unit_test(records),
      cmocka_unit_test(manifests),  cmocka_unit_test(landings),     cmocka_unit_test(segment_names),
      cmocka_unit_test(merges),     cmocka_unit_test(merges_again),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
