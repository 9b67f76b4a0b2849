/* The queries move as a schedule; the repair of rows is one, too. */
#include "src/schedule/emit.h"

/* Tags and requests of the rows of one rank; those of the next in the round come after them. */
enum { ROWS_TAG, PARTIAL_TAG, TAGS };
enum { TAKING, MERGING, RETURNING, SPREADING /* and one more for each child */ };

/* Rows of one rank in a round, with the tree that they go down and their partials come up. */
typedef struct batch {
  precis_block block;
  precis_tree tree;
  int64_t before; /* rows of others in the round that lie before them */
  int tags, requests;
} batch;

typedef struct convoy {
  int64_t rows;
  int count;
  batch of[PRECIS_QUERIES_OWNERS];
} convoy;

/* So many ranks from the first on may share a round, and have so many rows. */
static int group_at(const precis_queries_shape *x, int ranks, int first, int64_t *rows)
{
  int end = first + x->owners < ranks ? first + x->owners : ranks;
  *rows = 0;
  for (int r = first; r < end; r++)
    *rows += x->rows[r];
  return end - first;
}

static int64_t rounds_of(const precis_queries_shape *x, int ranks)
{
  int64_t rounds = 0, rows;
  for (int first = 0; first < ranks;) {
    first += group_at(x, ranks, first, &rows);
    rounds += precis_parcels(rows, x->batch_rows);
  }
  return rounds;
}

static void join(convoy *c, const precis_schedule *s, int rank, precis_block block)
{
  int each = SPREADING + precis_tree_depth(s->nodes);
  c->of[c->count] = (batch){.block = block,
                            .tree = precis_tree_at(s->nodes, block.owner, rank),
                            .before = c->rows,
                            .tags = c->count * TAGS,
                            .requests = c->count * each};
  c->rows += block.rows;
  c->count++;
}

/* Row after row, rank after rank of a group, as many as a round takes. */
static void convoy_at(const precis_schedule *s, int rank, int64_t number, convoy *c)
{
  const precis_queries_shape *x = s->shape;
  int64_t rows;
  int first = 0, ranks = group_at(x, s->ranks, first, &rows);
  while (number >= precis_parcels(rows, x->batch_rows)) {
    number -= precis_parcels(rows, x->batch_rows);
    first += ranks;
    ranks = group_at(x, s->ranks, first, &rows);
  }
  int64_t skipped = number * x->batch_rows;
  c->rows = c->count = 0;
  for (int r = first; r < first + ranks && c->rows < x->batch_rows; r++) {
    int64_t left = x->rows[r] - skipped, room = x->batch_rows - c->rows;
    if (left > 0)
      join(c, s, rank,
           (precis_block){
               .owner = r, .first = skipped, .rows = left < room ? left : room, .heads = x->heads});
    skipped = left > 0 ? 0 : -left;
  }
}

static precis_message_place rows_place(const precis_queries_shape *x, const batch *b)
{
  return (precis_message_place){.slot = PRECIS_QUERIES_BATCH,
                                .offset = b->before * x->row_bytes,
                                .bytes = b->block.rows * x->row_bytes,
                                .tag = b->tags + ROWS_TAG,
                                .request = b->requests + TAKING};
}

static int64_t partial_bytes(const precis_queries_shape *x, int64_t rows)
{
  return rows * x->heads * x->partial_words * (int64_t)sizeof(float);
}

static precis_message_place partials_place(const precis_queries_shape *x, const batch *b, int slot,
                                           int request)
{
  return (precis_message_place){.slot = slot,
                                .offset = partial_bytes(x, b->before),
                                .bytes = partial_bytes(x, b->block.rows),
                                .tag = b->tags + PARTIAL_TAG,
                                .request = b->requests + request};
}

static precis_step local_step(precis_step_kind kind, precis_step_matter matter, const batch *b,
                              precis_message_place place)
{
  precis_step step = precis_step_new(kind, matter, b->block);
  step.slot = place.slot;
  step.offset = place.offset;
  step.bytes = place.bytes;
  return step;
}

/* From or to the sums of a batch, in the form that they are kept in. */
static void emit_sums(precis_emitter *e, precis_step_kind kind, precis_step_matter matter,
                      const batch *b, precis_message_place place)
{
  const precis_queries_shape *x = e->schedule->shape;
  precis_step step = local_step(kind, matter, b, place);
  step.into = PRECIS_QUERIES_SUMS;
  step.into_offset = precis_partial_bytes(b->before * x->heads, x->columns);
  precis_emit(e, step);
}

int64_t precis_queries_first(const precis_queries_shape *x, const precis_step *step)
{
  return step->into_offset / precis_partial_bytes(x->heads, x->columns);
}

/* A place for one child's partials at a time. */
static void receive_partials(precis_emitter *e, const batch *b, int child)
{
  if (child < b->tree.children)
    precis_emit_receive(e, PRECIS_MATTER_PARTIALS, b->block, precis_tree_child(&b->tree, child),
                        partials_place(e->schedule->shape, b, PRECIS_QUERIES_IN, MERGING));
}

static void pass_on(precis_emitter *e, const batch *b)
{
  precis_message_place place = rows_place(e->schedule->shape, b);
  for (int i = b->tree.children - 1; i >= 0; i--) {
    place.request = b->requests + SPREADING + i;
    precis_emit_send(e, PRECIS_MATTER_QUERIES, b->block, precis_tree_child(&b->tree, i), place);
  }
}

/* Rows of all to all: those of this rank first, others in the order of their ranks, which is the
 * same everywhere, so that nobody waits in a circle. The sends are in flight while ranks attend. */
static void spread(precis_emitter *e, const convoy *c)
{
  const precis_queries_shape *x = e->schedule->shape;
  for (int i = 0; i < c->count; i++) {
    const batch *b = &c->of[i];
    if (b->tree.parent >= 0)
      precis_emit_receive(e, PRECIS_MATTER_QUERIES, b->block, b->tree.parent, rows_place(x, b));
    receive_partials(e, b, 0);
  }
  for (int i = 0; i < c->count; i++) {
    const batch *b = &c->of[i];
    if (b->tree.parent >= 0)
      continue;
    precis_emit(e, local_step(PRECIS_STEP_PACK, PRECIS_MATTER_QUERIES, b, rows_place(x, b)));
    pass_on(e, b);
  }
  for (int i = 0; i < c->count; i++)
    if (c->of[i].tree.parent >= 0) {
      precis_emit_wait(e, c->of[i].requests + TAKING, 1);
      pass_on(e, &c->of[i]);
    }
}

static void unpack(precis_emitter *e, const convoy *c)
{
  const precis_queries_shape *x = e->schedule->shape;
  precis_block all = {.owner = -1, .rows = c->rows, .heads = x->heads};
  precis_emit_local(e, PRECIS_STEP_CLEAR, PRECIS_MATTER_PARTIALS, all, -1, 0, PRECIS_QUERIES_SUMS);
  for (int i = 0; i < c->count; i++)
    emit_sums(e, PRECIS_STEP_UNPACK, PRECIS_MATTER_QUERIES, &c->of[i], rows_place(x, &c->of[i]));
}

static void attend_own_keys(precis_emitter *e, const precis_queries_shape *x)
{
  int64_t rows = x->key_rows[e->rank], parcels = precis_parcels(rows, x->tile_rows);
  for (int64_t c = 0; c < parcels; c++) {
    precis_block keys = {.owner = e->rank,
                         .first = c * x->tile_rows,
                         .rows = precis_parcel_rows(rows, x->tile_rows, c),
                         .heads = x->kind.heads};
    int64_t bytes = precis_parcel_bytes(&x->kind, keys.rows);
    precis_emit_local(e, PRECIS_STEP_PACK, PRECIS_MATTER_KEYS, keys, PRECIS_QUERIES_PARCEL, bytes,
                      -1);
    precis_emit_local(e, PRECIS_STEP_COMPUTE, PRECIS_MATTER_KEYS, keys, PRECIS_QUERIES_PARCEL,
                      bytes, PRECIS_QUERIES_SUMS);
  }
}

/* Partials of the children, the first of which have been asked for, and on to the parent. */
static void gather(precis_emitter *e, const batch *b)
{
  const precis_queries_shape *x = e->schedule->shape;
  for (int i = 0; i < b->tree.children; i++) {
    precis_emit_wait(e, b->requests + MERGING, 1);
    emit_sums(e, PRECIS_STEP_MERGE, PRECIS_MATTER_PARTIALS, b,
              partials_place(x, b, PRECIS_QUERIES_IN, MERGING));
    receive_partials(e, b, i + 1);
  }
  if (b->tree.parent < 0) {
    emit_sums(e, PRECIS_STEP_FINISH, PRECIS_MATTER_RESULTS, b, (precis_message_place){.slot = -1});
    return;
  }
  precis_message_place out = partials_place(x, b, PRECIS_QUERIES_OUT, RETURNING);
  emit_sums(e, PRECIS_STEP_PACK, PRECIS_MATTER_PARTIALS, b, out);
  precis_emit_send(e, PRECIS_MATTER_PARTIALS, b->block, b->tree.parent, out);
}

static int visit(const precis_schedule *s, int rank, int64_t round, precis_step_visit *to,
                 void *context)
{
  const precis_queries_shape *x = s->shape;
  precis_emitter e = {.schedule = s, .rank = rank, .visit = to, .context = context};
  convoy c;
  if (round == 0) {
    precis_emit_exchange(&e, PRECIS_MATTER_KEYS, &x->keys);
    return e.status;
  }
  convoy_at(s, rank, round - 1, &c);
  spread(&e, &c);
  unpack(&e, &c);
  attend_own_keys(&e, x);
  for (int i = 0; i < c.count; i++)
    gather(&e, &c.of[i]);
  if (s->ranks > 1)
    precis_emit_wait(&e, 0, s->requests);
  return e.status;
}

/* Rows in the largest round. */
static int64_t most_rows(const precis_queries_shape *x, int ranks)
{
  int64_t most = 0, rows;
  for (int first = 0; first < ranks;) {
    first += group_at(x, ranks, first, &rows);
    most = rows > most ? rows : most;
  }
  return most < x->batch_rows ? most : x->batch_rows;
}

static precis_slot slot(const precis_schedule *s, int rank, int number)
{
  const precis_queries_shape *x = s->shape;
  int64_t rows = most_rows(x, s->ranks), keys = x->key_rows[rank];
  switch (number) {
  case PRECIS_QUERIES_SUMS:
    return (precis_slot){
        .name = "sums", .kept = 1, .bytes = precis_partial_bytes(rows * x->heads, x->columns)};
  case PRECIS_QUERIES_BATCH:
    return (precis_slot){.name = "batch", .travels = 1, .bytes = rows * x->row_bytes};
  case PRECIS_QUERIES_PARCEL:
    return (precis_slot){
        .name = "parcel",
        .bytes = precis_parcel_bytes(&x->kind, keys < x->tile_rows ? keys : x->tile_rows)};
  default:
    return (precis_slot){.name = number == PRECIS_QUERIES_IN ? "partials in" : "partials out",
                         .travels = 1,
                         .bytes = partial_bytes(x, rows)};
  }
}

/* Whole rounds: the last may be smaller. */
static double flops(const precis_schedule *s, int rank, const precis_step *step)
{
  const precis_queries_shape *x = s->shape;
  (void)rank;
  return precis_compute_flops(&x->kind, (double)most_rows(x, s->ranks) * x->heads, step->block.rows,
                              x->visible);
}

precis_schedule precis_schedule_queries(const precis_queries_shape *x, const precis_nodes *nodes)
{
  int owners = nodes->ranks < x->owners ? nodes->ranks : x->owners;
  return (precis_schedule){.move = x->move,
                           .ranks = nodes->ranks,
                           .nodes = nodes,
                           .rounds = 1 + rounds_of(x, nodes->ranks),
                           .slots = PRECIS_QUERIES_SLOTS,
                           .requests = owners * (SPREADING + precis_tree_depth(nodes)),
                           .quiet = 1,
                           .shape = x,
                           .visit = visit,
                           .slot = slot,
                           .flops = flops};
}
