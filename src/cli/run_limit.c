/* run_limit.c - what the program itself takes of --memory-limit */
#include <inttypes.h>

#include "src/cli/run.h"
#include "src/oracle/sample.h"
#include "src/base/share.h"

/* Bytes on the rank with most rows: of keys and values, which the library holds, and of the arrays
 * of this program itself while it attends. */
typedef struct own_bytes {
  double keys, attending;
} own_bytes;

static own_bytes own_bytes_of(const precis_run *r)
{
  const precis_problem *p = &r->input.problem;
  int ranks = r->cli->world.ranks;
  double keys = (double)precis_share_rows(r->input.keys, ranks, 0),
         queries = (double)precis_share_rows(precis_run_batch_most(r), ranks, 0),
         key = p->kv_heads * (double)(p->dim + p->value_dim),
         row = p->heads * (double)(p->dim + p->value_dim), samples = 0;
  if (r->cli->settings.run.verify > 0)
    samples = (double)precis_share_rows(
        precis_sample_count(r->input.queries, r->cli->settings.run.verify), ranks, 0);
  int more = precis_outputs_want_lse(&r->outputs) + precis_outputs_want_bounds(&r->outputs);
  queries *= 1 + more * p->heads / row;
  return (own_bytes){4 * keys * (key + r->input.has_bias), 4 * (queries + samples) * row};
}

int64_t precis_run_limit_left(const precis_run *r)
{
  int64_t limit = r->cli->settings.machine.memory_limit;
  return limit > 0 ? limit - (int64_t)own_bytes_of(r).attending : 0;
}

int precis_run_limit_check(precis_run *r)
{
  double limit = (double)r->cli->settings.machine.memory_limit,
         least = own_bytes_of(r).attending + own_bytes_of(r).keys;
  if (limit == 0 || least < limit)
    return PRECIS_SUCCESS;
  return precis_message_set(&r->cli->why, PRECIS_ERR_MEMORY,
                            "--memory-limit is %.0f bytes a rank, but its rows alone take %.0f: "
                            "%.0f bytes are missing",
                            limit, least, least - limit);
}

void precis_run_limit_explain(precis_run *r)
{
  precis_message why = r->cli->why;
  precis_message_set(&r->cli->why, PRECIS_ERR_MEMORY,
                     "%.300s (of --memory-limit %" PRId64 ", queries and results take %.0f)",
                     why.text, r->cli->settings.machine.memory_limit, own_bytes_of(r).attending);
}
