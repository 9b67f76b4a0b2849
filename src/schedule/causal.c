/* The summaries move under a causal mask as a schedule: prefix sums down a chain of ranks. */
#include "src/schedule/emit.h"

enum { RECEIVING, SENDING, REQUESTS };

static const int64_t WORD = sizeof(float);

/* This rank's queries against the blocks they are in, for all heads. */
static void attend_diagonal(precis_emitter *e, const precis_summaries_shape *x)
{
  int64_t keys = x->key_rows[e->rank], parcels = precis_parcels(keys, x->parcel_rows);
  for (int64_t c = 0; c < parcels; c++) {
    precis_block block = {.owner = e->rank,
                          .first = c * x->parcel_rows,
                          .rows = precis_parcel_rows(keys, x->parcel_rows, c),
                          .heads = x->kv_heads};
    int64_t bytes = precis_parcel_bytes(&x->kind, block.rows);
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, block, PRECIS_CAUSAL_PARCEL, bytes,
                      -1);
    precis_emit_local(e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, block, PRECIS_CAUSAL_PARCEL,
                      bytes, PRECIS_CAUSAL_WORK);
  }
}

/* This rank's sums with those of lower ranks to the next, which is in flight while the latter are
 * applied here. */
static void pass_on(precis_emitter *e, precis_block tile, int64_t numbers)
{
  precis_message_place out = {
      .slot = PRECIS_CAUSAL_OUT, .bytes = numbers * WORD, .request = SENDING};
  if (e->rank == e->schedule->ranks - 1)
    return;
  if (e->rank > 0)
    precis_emit_local(e, PRECIS_STEP_MERGE, PRECIS_MATTER_SUMMARY, tile, PRECIS_CAUSAL_IN,
                      out.bytes, PRECIS_CAUSAL_OWN);
  precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_SUMMARY, tile, out.slot, out.bytes,
                    PRECIS_CAUSAL_OWN);
  precis_emit_send(e, PRECIS_MATTER_SUMMARY, tile, e->rank + 1, out);
}

static void emit_tile(precis_emitter *e, int64_t number)
{
  const precis_summaries_shape *x = e->schedule->shape;
  precis_block tile = precis_summaries_tile(x, number);
  int64_t numbers = precis_summaries_numbers(x, &tile);
  if (e->rank > 0)
    precis_emit_receive(e, PRECIS_MATTER_SUMMARY, tile, e->rank - 1,
                        (precis_message_place){.slot = PRECIS_CAUSAL_IN,
                                               .bytes = numbers * WORD,
                                               .request = RECEIVING});
  precis_emit_local(e, PRECIS_STEP_SUMMARISE, PRECIS_MATTER_SUMMARY, tile, PRECIS_CAUSAL_OWN,
                    numbers * (int64_t)sizeof(double), PRECIS_CAUSAL_WORK);
  if (e->schedule->ranks > 1)
    precis_emit_wait(e, RECEIVING, REQUESTS);
  pass_on(e, tile, numbers);
  if (e->rank > 0)
    precis_emit_local(e, PRECIS_STEP_APPLY, PRECIS_MATTER_SUMMARY, tile, PRECIS_CAUSAL_IN,
                      numbers * WORD, PRECIS_CAUSAL_WORK);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_summaries_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  int64_t each = precis_summaries_tiles(x) / x->kv_heads, number = round - 1;
  int group = x->heads / x->kv_heads;
  if (round == 0) {
    attend_diagonal(&e, x);
    return e.status;
  }
  precis_block rows = {.owner = rank,
                       .rows = precis_summaries_rows(x, rank),
                       .first_head = (int)(number / each) * group,
                       .heads = group};
  if (number % each == 0)
    precis_emit_local(&e, PRECIS_STEP_CLEAR, PRECIS_MATTER_SUMMARY, rows, -1, 0,
                      PRECIS_CAUSAL_WORK);
  emit_tile(&e, number);
  if ((number + 1) % each == 0)
    precis_emit_local(&e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, rows, -1, 0,
                      PRECIS_CAUSAL_WORK);
  if (round == s->rounds - 1 && rank < s->ranks - 1)
    precis_emit_wait(&e, SENDING, 1);
  return e.status;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  static const char *const names[] = {"work", "parcel", "own tile", "tile in", "tile out"};
  const precis_summaries_shape *x = s->shape;
  precis_slot made = {.name = names[number]};
  int64_t numbers = precis_summaries_numbers_most(x), rows = precis_summaries_rows(x, rank);
  switch (number) {
  case PRECIS_CAUSAL_WORK:
    made.kept = 1;
    made.bytes = precis_summaries_work_bytes(x, rank) +
                 precis_partial_bytes(rows * x->heads, x->value_dim + 1) +
                 rows * (x->heads / x->kv_heads) * (x->value_dim + 2) * WORD;
    break;
  case PRECIS_CAUSAL_PARCEL:
    made.bytes =
        precis_parcel_bytes(&x->kind, precis_parcel_rows(x->key_rows[rank], x->parcel_rows, 0));
    break;
  case PRECIS_CAUSAL_OWN:
    made.kept = 1;
    made.bytes = numbers * (int64_t)sizeof(double);
    break;
  default:
    made.travels = 1;
    made.bytes = numbers * WORD;
  }
  return made;
}

/* The exact part is half a block for each query; SUMMARISE applies the running summary, too. */
static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_summaries_shape *x = s->shape;
  double numbers = (double)precis_summaries_numbers(x, &step->block);
  if (step->kind == PRECIS_STEP_COMPUTE)
    return precis_compute_flops(&x->kind, (double)step->block.rows * x->heads, x->block_keys, .5);
  double queries = (double)precis_summaries_rows(x, rank) * (x->heads / x->kv_heads);
  return 2 * numbers * (queries + (step->kind == PRECIS_STEP_SUMMARISE ? x->key_rows[rank] : 0));
}

precis_schedule precis_schedule_causal(const precis_summaries_shape *x, const precis_nodes *nodes)
{
  return (precis_schedule){.move = "summaries of prefixes",
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1 + precis_summaries_tiles(x),
                           .slots = PRECIS_CAUSAL_SLOTS,
                           .requests = REQUESTS,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
