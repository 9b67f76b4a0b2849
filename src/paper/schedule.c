#include "src/paper/schedule.h"

#include "src/schedule/cost.h"

static void add(precis_paper_schedules *s, precis_schedule schedule)
{
  s->schedule[s->count++] = schedule;
}

/* Queries go to where they are in line and results come home, see src/layout/line.h. */
static void plan_line(const precis_paper *p, precis_paper_schedules *s)
{
  precis_layout home = precis_layout_consecutive(p->ranks, s->layout.start),
                line = precis_layout_consecutive(p->ranks, s->layout.line_start);
  s->line = (precis_rows_shape){
      "queries in line",
      PRECIS_MATTER_QUERIES,
      {.wanted = 1, .from = home, .to = line, .row_bytes = precis_cost_query_row(&p->problem)}};
  s->home = (precis_rows_shape){
      "results home",
      PRECIS_MATTER_RESULTS,
      {.wanted = 1, .from = line, .to = home, .row_bytes = precis_cost_output_row(&p->problem)}};
}

/* Errors: INTERNAL. */
static int plan_summaries(const precis_paper *p, const precis_paper_fits *fits,
                          const precis_paper_plan *plan, precis_placement *at,
                          precis_paper_schedules *s)
{
  const precis_candidate *c = &fits->fit[plan->fit].candidate;
  precis_feature_set set = precis_feature_set_full(p->problem.dim, c->degree, c->envelope_degree);
  precis_summary_kernels kernels;
  const precis_nodes *nodes = plan->summary_apart ? &s->layout.apart : &s->layout.nodes;
  if (precis_summary_kernels_plan(&set, p->problem.value_dim, plan->scene.thread_memory, &kernels))
    return PRECIS_ERR_INTERNAL;
  if (!plan->scene.prefixes) {
    s->shape.summaries = precis_shape_summaries(at, c->features, c->count_features, &kernels);
    add(s, precis_schedule_summaries(&s->shape.summaries, nodes));
    return PRECIS_SUCCESS;
  }
  plan_line(p, s);
  at->map = &s->layout.line;
  s->shape.summaries = precis_shape_prefixes(at, c->features, c->count_features, &kernels, 0);
  if (s->layout.leaves)
    add(s, precis_schedule_rows(&s->line, nodes));
  add(s, precis_schedule_causal(&s->shape.summaries, nodes));
  if (s->layout.leaves)
    add(s, precis_schedule_rows(&s->home, nodes));
  return PRECIS_SUCCESS;
}

static int plan_move(const precis_paper *p, const precis_paper_fits *fits,
                     const precis_paper_plan *plan, precis_placement *at, precis_paper_schedules *s)
{
  const precis_nodes *nodes = &s->layout.nodes;
  int status = PRECIS_SUCCESS;
  switch (plan->move) {
  case PRECIS_MOVE_TILES:
    status = precis_shape_tiles(at, &s->rows, &s->shape.tiles);
    if (status == PRECIS_SUCCESS)
      add(s, precis_schedule_tiles(&s->shape.tiles, plan->tiles_apart ? &s->layout.apart : nodes));
    return status;
  case PRECIS_MOVE_HEADS:
    s->shape.heads = precis_shape_heads(at);
    add(s, precis_schedule_heads(&s->shape.heads, nodes));
    return status;
  case PRECIS_MOVE_QUERIES:
    at->deal_keys = plan->scene.deal_keys_for_queries;
    status = precis_shape_queries(at, &s->rows, &s->shape.queries);
    if (status == PRECIS_SUCCESS)
      add(s, precis_schedule_queries(&s->shape.queries, nodes));
    return status;
  case PRECIS_MOVE_SUMMARIES:
    return plan_summaries(p, fits, plan, at, s);
  case PRECIS_MOVE_AUTO:
    break;
  }
  return PRECIS_ERR_INTERNAL;
}

int precis_paper_schedules_make(const precis_paper *p, const precis_paper_fits *fits,
                                const precis_paper_plan *plan, precis_paper_schedules *s)
{
  *s = (precis_paper_schedules){.count = 0};
  int status = precis_paper_layout_of(p, &s->layout);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_placement at = {.problem = &p->problem,
                         .map = &s->layout.map,
                         .key_rows = s->layout.key_rows,
                         .key_start = s->layout.key_start,
                         .cuts = s->layout.cuts,
                         .kind = precis_paper_kind(p),
                         .tile_rows = plan->tile_rows,
                         .deal_queries = plan->scene.deal_queries,
                         .deal_keys = plan->scene.deal_keys};
  status = plan_move(p, fits, plan, &at, s);
  if (status != PRECIS_SUCCESS)
    precis_paper_schedules_free(s);
  return status;
}

void precis_paper_schedules_free(precis_paper_schedules *s)
{
  precis_shape_rows_free(&s->rows);
  precis_paper_layout_free(&s->layout);
  s->count = 0;
}
