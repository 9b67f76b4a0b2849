/* Rows that change ranks, as a schedule of their own: what brings queries in line for prefix sums
 * of summaries, and results home. */
#include "src/schedule/emit.h"

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_rows_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  (void)round;
  precis_emit_exchange(&e, x->matter, &x->exchange);
  return e.status;
}

precis_schedule precis_schedule_rows(const precis_rows_shape *x, const precis_nodes *nodes)
{
  return (precis_schedule){.move = x->move,
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1,
                           .quiet = 1,
                           .shape = x,
                           .visit = visit};
}
