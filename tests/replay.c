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

#include "src/apply.h"
#include "src/features.h"
#include "src/precis.h"
#include "src/schedule_build.h"
#include "src/schedule_trace.h"
#include "src/share.h"
#include "src/summarise.h"

enum { TILE_ROWS = 8192, BATCH_ROWS = 4096, FAST_MEMORY = 1 << 20, BLOCK = 128 };

typedef struct shapes {
  precis_problem problem;
  int ranks, degree;
  int64_t *start, *first_position, *rows; /* of queries and of keys alike */
  precis_query_map map;
  precis_cut *cuts;
  precis_nodes nodes; /* one for each rank */
  precis_parcel_kind kind;
  precis_tiles_shape tiles;
  precis_heads_shape heads;
  precis_queries_shape queries;
  precis_summaries_shape summaries;
} shapes;

static int spread(shapes *s, int64_t tokens)
{
  const precis_problem *p = &s->problem;
  size_t ranks = (size_t)s->ranks;
  s->start = calloc(ranks + 1, sizeof *s->start);
  s->first_position = calloc(ranks, sizeof *s->first_position);
  s->rows = calloc(ranks, sizeof *s->rows);
  s->cuts = calloc(ranks + 1, sizeof *s->cuts);
  if (!s->start || !s->first_position || !s->rows || !s->cuts ||
      precis_nodes_create(s->ranks, NULL, &s->nodes))
    return -1;
  for (int r = 0; r < s->ranks; r++) {
    s->rows[r] = precis_share_rows(tokens, s->ranks, r);
    s->first_position[r] = s->start[r];
    s->start[r + 1] = s->start[r] + s->rows[r];
  }
  s->map = (precis_query_map){
      .ranks = s->ranks, .keys = tokens, .start = s->start, .first_position = s->first_position};
  s->kind = (precis_parcel_kind){.heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim};
  precis_split_heads(&s->map, p->heads, s->cuts);
  return 0;
}

static int64_t tile_of(int dim, int value_dim, int degree)
{
  precis_summarise_shape summarise;
  precis_apply_shape apply;
  precis_feature_set set = precis_feature_set_full(dim, degree, degree);
  if (precis_summarise_plan(&set, value_dim, FAST_MEMORY, &summarise) ||
      precis_apply_plan(&set, value_dim, FAST_MEMORY, &apply))
    return 1;
  return summarise.tile_features < apply.tile_features ? summarise.tile_features
                                                       : apply.tile_features;
}

static void fill(shapes *s)
{
  const precis_problem *p = &s->problem;
  int64_t features = precis_features_count(p->dim, s->degree),
          all = precis_features_count(p->dim, s->degree + s->degree % 2);
  s->tiles = (precis_tiles_shape){.problem = p,
                                  .query_rows = s->rows,
                                  .key_rows = s->rows,
                                  .tile_rows = TILE_ROWS,
                                  .kind = s->kind};
  s->heads = (precis_heads_shape){.problem = p,
                                  .map = &s->map,
                                  .key_rows = s->rows,
                                  .cuts = s->cuts,
                                  .tile_rows = TILE_ROWS,
                                  .kind = s->kind};
  s->queries = (precis_queries_shape){.move = "queries",
                                      .heads = p->heads,
                                      .value_dim = p->value_dim,
                                      .rows = s->rows,
                                      .batch_rows = BATCH_ROWS,
                                      .row_bytes = (int64_t)4 * p->heads * p->dim,
                                      .key_rows = s->rows,
                                      .tile_rows = TILE_ROWS,
                                      .kind = s->kind};
  s->summaries =
      (precis_summaries_shape){.heads = p->heads,
                               .kv_heads = p->kv_heads,
                               .dim = p->dim,
                               .value_dim = p->value_dim,
                               .features = features,
                               .count_features = all - features,
                               .tile_features = tile_of(p->dim, p->value_dim, s->degree),
                               .tile_counts = tile_of(p->dim, 0, s->degree + s->degree % 2),
                               .query_start = s->start,
                               .key_rows = s->rows,
                               .kind = s->kind,
                               .parcel_rows = 32 * BLOCK,
                               .block_keys = BLOCK};
}

static precis_schedule schedule_of(const shapes *s, const char *move)
{
  if (strcmp(move, "heads") == 0)
    return precis_schedule_heads(&s->heads, &s->nodes);
  if (strcmp(move, "queries") == 0)
    return precis_schedule_queries(&s->queries, &s->nodes);
  if (strcmp(move, "summaries") == 0)
    return precis_schedule_summaries(&s->summaries, &s->nodes);
  if (strcmp(move, "prefixes") == 0)
    return precis_schedule_causal(&s->summaries, &s->nodes);
  return precis_schedule_tiles(&s->tiles, &s->nodes);
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
      spread(&s, atoll(argv[3])))
    return 2;
  fill(&s);
  precis_schedule schedule = schedule_of(&s, argv[1]);
  int status = write_all(&schedule, argv[8]);
  if (status != PRECIS_SUCCESS)
    fprintf(stderr, "replay: %s\n", precis_strerror(status));
  free(s.start);
  free(s.first_position);
  free(s.rows);
  free(s.cuts);
  precis_nodes_free(&s.nodes);
  return status != PRECIS_SUCCESS;
}
