/* replay.c - time-independent traces of a move, and what its schedule predicts, for jobs/replay
 *
 *   replay MOVE RANKS TOKENS HEADS KV_HEADS DIM DEGREE DIRECTORY
 *
 * MOVE: tiles, heads, queries, summaries or prefixes. Writes DIRECTORY/trace-R.txt for every rank
 * and DIRECTORY/names.txt, prints the figures of the busiest rank. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/features.h"
#include "src/limit.h"
#include "src/paper_layout.h"
#include "src/precis.h"
#include "src/schedule_trace.h"
#include "src/shapes.h"

enum { FAST_MEMORY = 1 << 20 };

typedef struct shapes {
  precis_problem problem;
  int ranks, degree;
  precis_paper_layout layout;
  precis_shape_rows rows;
  precis_tiles_shape tiles;
  precis_heads_shape heads;
  precis_queries_shape queries;
  precis_summaries_shape summaries, prefixes;
} shapes;

/* Every query sees every key, in all of them: what is compared is how bytes travel. */
static int fill(shapes *s, int64_t tokens)
{
  const precis_problem *p = &s->problem;
  int envelope = s->degree + s->degree % 2;
  int64_t features = precis_features_count(p->dim, s->degree),
          counts = precis_features_count(p->dim, envelope) - features;
  precis_feature_set set = precis_feature_set_full(p->dim, s->degree, envelope);
  precis_summary_kernels kernels;
  if (precis_summary_kernels_plan(&set, p->value_dim, FAST_MEMORY, &kernels) ||
      precis_paper_layout_make(tokens, tokens, 0, p->heads, s->ranks, 1, &s->layout))
    return -1;
  const precis_placement at = {
      .problem = p,
      .map = &s->layout.map,
      .key_rows = s->layout.key_rows,
      .key_start = s->layout.key_start,
      .cuts = s->layout.cuts,
      .kind = {.heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim},
      .tile_rows = precis_limit_tile_rows(p, 0)};
  precis_shape_rows again = {NULL, NULL};
  int status = precis_shape_tiles(&at, &again, &s->tiles);
  precis_shape_rows_free(&again);
  if (status != PRECIS_SUCCESS || precis_shape_queries(&at, &s->rows, &s->queries))
    return -1;
  s->tiles.query_rows = s->queries.rows; /* nothing is dealt: alike */
  s->tiles.key_rows = s->queries.key_rows;
  s->heads = precis_shape_heads(&at);
  s->summaries = precis_shape_summaries(&at, features, counts, &kernels);
  s->prefixes = precis_shape_prefixes(&at, features, counts, &kernels, 0);
  return 0;
}

static precis_schedule schedule_of(const shapes *s, const char *move)
{
  if (strcmp(move, "heads") == 0)
    return precis_schedule_heads(&s->heads, &s->layout.nodes);
  if (strcmp(move, "queries") == 0)
    return precis_schedule_queries(&s->queries, &s->layout.nodes);
  if (strcmp(move, "summaries") == 0)
    return precis_schedule_summaries(&s->summaries, &s->layout.nodes);
  if (strcmp(move, "prefixes") == 0)
    return precis_schedule_causal(&s->prefixes, &s->layout.nodes);
  return precis_schedule_tiles(&s->tiles, &s->layout.nodes);
}

typedef struct work {
  const precis_schedule *schedule;
  int rank;
  double flops;
} work;

static int add_work(void *context, const precis_step *step)
{
  work *w = context;
  w->flops += precis_schedule_flops(w->schedule, w->rank, step);
  return 0;
}

static int write_rank(const precis_schedule *schedule, int rank, const char *directory)
{
  char name[4096];
  snprintf(name, sizeof name, "%s/trace-%d.txt", directory, rank);
  FILE *to = fopen(name, "w");
  if (to == NULL)
    return PRECIS_ERR_IO;
  int status = precis_schedule_trace(schedule, rank, NULL, NULL, to);
  return fclose(to) == 0 ? status : PRECIS_ERR_IO;
}

static int write_all(const precis_schedule *schedule, const char *directory)
{
  char name[4096];
  double most_flops = 0;
  int64_t most_bytes = 0, most_messages = 0;
  snprintf(name, sizeof name, "%s/names.txt", directory);
  FILE *names = fopen(name, "w");
  if (names == NULL)
    return PRECIS_ERR_IO;
  for (int r = 0; r < schedule->ranks; r++) {
    work w = {schedule, r, 0};
    precis_schedule_totals t = precis_schedule_count(schedule, r);
    for (int64_t round = 0; round < schedule->rounds; round++)
      precis_schedule_visit(schedule, r, round, add_work, &w);
    most_flops = w.flops > most_flops ? w.flops : most_flops;
    most_bytes = t.network_bytes > most_bytes ? t.network_bytes : most_bytes;
    most_messages = t.messages > most_messages ? t.messages : most_messages;
    int status = write_rank(schedule, r, directory);
    if (status != PRECIS_SUCCESS)
      return status;
    fprintf(names, "%s/trace-%d.txt\n", directory, r);
  }
  printf("%.0f %" PRId64 " %" PRId64 " %" PRId64 "\n", most_flops, most_bytes, most_messages,
         precis_schedule_memory(schedule, 0));
  return fclose(names) == 0 ? PRECIS_SUCCESS : PRECIS_ERR_IO;
}

int main(int argc, char **argv)
{
  if (argc != 9) {
    fprintf(stderr, "usage: replay MOVE RANKS TOKENS HEADS KV_HEADS DIM DEGREE DIRECTORY\n");
    return 2;
  }
  shapes s = {.ranks = atoi(argv[2]), .degree = atoi(argv[7])};
  s.problem = (precis_problem){.heads = atoi(argv[4]),
                               .kv_heads = atoi(argv[5]),
                               .dim = atoi(argv[6]),
                               .value_dim = atoi(argv[6])};
  if (s.ranks < 1 || s.degree < 1 || s.problem.kv_heads < 1 || s.problem.dim < 1 ||
      fill(&s, atoll(argv[3])))
    return 2;
  precis_schedule schedule = schedule_of(&s, argv[1]);
  int status = write_all(&schedule, argv[8]);
  if (status != PRECIS_SUCCESS)
    fprintf(stderr, "replay: %s\n", precis_strerror(status));
  precis_shape_rows_free(&s.rows);
  precis_paper_layout_free(&s.layout);
  return status != PRECIS_SUCCESS;
}
