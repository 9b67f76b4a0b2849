#include "src/exact/tile_visit.h"

#include <math.h>
#include <stddef.h>

#include "src/base/clones.h"

enum { GROUP = PRECIS_TILE_GROUP, KEYS = PRECIS_TILE_KEYS };

/* Weights may grow to 2^SLACK before the reference moves: little where values are near the limits
 * of float32. All queries of a group go through a block again when one of them moves. */
static const float SLACK = PRECIS_TILE_REACH, LITTLE_SLACK = 12.0f;

typedef void weigher(const precis_tile_block *block);

typedef struct visit {
  const precis_tile_shape *shape;
  const precis_tile_stretch *stretch;
  const int64_t *visible;
  const precis_tile_group *group;
  const precis_tile_space *space;
  int least, most; /* keys that all of the group see, that any of it sees */
  int bounded;
  float slack;
  weigher *plain; /* of keys that all see */
} visit;

static int clamp(int64_t value, int64_t least, int64_t most)
{
  return (int)(value < least ? least : value > most ? most : value);
}

static int lanes_of(const visit *v)
{
  return (v->group->rows + 15) / 16 * 16;
}

/* Adds the sums of a few blocks to doubles. */
PRECIS_CLONES
static void flush(int rows, int lanes, float *restrict part, double *restrict sums)
{
  for (int c = 0; c < rows; c++, part += GROUP, sums += GROUP) {
    for (int i = 0; i < lanes; i++) {
      sums[i] += (double)part[i];
      part[i] = 0;
    }
  }
}

static void flush_values(const visit *v)
{
  flush(v->shape->value_dim + 1, lanes_of(v), v->space->part, v->group->o);
}

/* The way to weigh keys that need neither mask nor bias. */
static weigher *plain_of(const visit *v)
{
  const precis_tile_kernel *kernel = v->shape->kernel;
  if (v->bounded)
    return kernel->bounded;
  for (int i = 0; i < v->group->rows; i++)
    if (!(fabsf(v->group->reference[i]) < PRECIS_TILE_REFERENCE))
      return kernel->general;
  return v->stretch->bias ? kernel->general : kernel->tracked;
}

static void set_limits(const visit *v)
{
  const precis_tile_group *g = v->group;
  for (int i = 0; i < GROUP; i++) {
    int fresh = i < g->rows && g->sum[i] == 0;
    if (fresh)
      g->reference[i] = 0;
    v->space->limit[i] = v->bounded || i >= g->rows ? INFINITY
                         : fresh                    ? -INFINITY
                                                    : g->reference[i] + v->slack;
  }
}

/* Whether no score can be far from its reference. */
static int is_bounded(const visit *v)
{
  const precis_tile_group *g = v->group;
  if (v->stretch->bias != NULL || !v->stretch->moderate)
    return 0;
  for (int i = 0; i < g->rows; i++) {
    float reference = g->sum[i] == 0 ? 0 : fabsf(g->reference[i]);
    if (!(g->length[i] * v->stretch->k_most + reference <= PRECIS_TILE_REACH))
      return 0;
  }
  return 1;
}

/* Keys key, key + 1, ... of the stretch, at row `row` of the weights. */
static precis_tile_block block_at(const visit *v, int key, int row, int keys)
{
  const precis_tile_shape *shape = v->shape;
  const precis_tile_stretch *s = v->stretch;
  return (precis_tile_block){
      .lanes = v->group->rows,
      .dim = shape->dim,
      .value_dim = shape->value_dim,
      .keys = keys,
      .q = v->group->q,
      .k = s->k + (int64_t)key * shape->dim,
      .v = s->v + (int64_t)key * shape->value_dim,
      .bias = s->bias ? s->bias + key : NULL,
      .visible = v->space->visible,
      .reference = v->group->reference,
      .weights = v->space->weights + (int64_t)row * GROUP,
      .top = v->space->top,
      .part = v->space->part,
  };
}

/* Keys [from, to) of the block at `key`, by the way that knows masks. `to` may be beyond the
 * stretch's last key: up to a whole panel. */
static void weigh_masked(const visit *v, int key, int from, int to)
{
  const precis_tile_stretch *s = v->stretch;
  int panel = v->shape->kernel->panel, whole = s->keys - s->keys % panel - key, end = s->keys - key;
  float bias[PRECIS_TILE_PANEL_MOST] = {0};
  for (int first = from, last; first < to; first = last) {
    last = first < whole ? (to < whole ? to : whole) : to;
    precis_tile_block b = block_at(v, key + first, first, last - first);
    if (first >= whole) {
      b.k = s->tail;
      for (int i = 0; i < end - first && s->bias != NULL; i++)
        bias[i] = b.bias[i];
      b.bias = s->bias ? bias : NULL;
    }
    for (int i = 0; i < GROUP; i++) {
      int64_t seen = v->visible && i < v->group->rows ? v->visible[i] - s->first - key : end;
      v->space->visible[i] = clamp(seen, 0, end) - first;
    }
    v->shape->kernel->general(&b);
  }
}

/* How many of the block's keys all see; the panel that holds the next one is masked. */
static int whole_keys(const visit *v, int key, int keys)
{
  int whole = clamp(v->least - key, 0, keys);
  return v->plain == v->shape->kernel->general ? 0 : whole - whole % v->shape->kernel->panel;
}

static void weigh(const visit *v, int key, int keys)
{
  int panel = v->shape->kernel->panel, whole = whole_keys(v, key, keys);
  if (whole > 0) {
    precis_tile_block b = block_at(v, key, 0, whole);
    v->plain(&b);
  }
  if (whole < keys)
    weigh_masked(v, key, whole, (keys + panel - 1) / panel * panel);
}

static int exceeded(const visit *v)
{
  int any = 0;
  for (int i = 0; i < v->group->rows; i++)
    any |= v->space->top[i] > v->space->limit[i];
  return any;
}

/* Moves references up to the largest scores so far, exactly: references are integers. */
static void raise_references(visit *v)
{
  const precis_tile_group *g = v->group;
  flush_values(v);
  for (int i = 0; i < g->rows; i++) {
    if (!(v->space->top[i] > v->space->limit[i]))
      continue;
    float raised = ceilf(v->space->top[i]);
    double keep = exp2((double)g->reference[i] - (double)raised);
    for (int c = 0; c <= v->shape->value_dim && g->sum[i] != 0; c++)
      g->o[c * GROUP + i] *= keep;
    g->reference[i] = raised;
    v->space->limit[i] = raised + v->slack;
  }
  v->plain = plain_of(v);
}

static int any_fresh(const visit *v)
{
  int any = 0;
  for (int i = 0; i < v->group->rows; i++)
    any |= v->space->limit[i] == -INFINITY;
  return any;
}

/* Keys that nobody sees, as in the padding of a batch. */
static int all_masked(const visit *v, int key, int keys)
{
  int masked = v->stretch->bias != NULL;
  for (int j = 0; j < keys && masked; j++)
    masked = v->stretch->bias[key + j] == -INFINITY;
  return masked;
}

static void meet(visit *v, int key, int keys)
{
  if (all_masked(v, key, keys))
    return;
  if (!v->bounded && any_fresh(v)) { /* a few keys say where the scores are */
    weigh(v, key, keys < v->shape->kernel->panel ? keys : v->shape->kernel->panel);
    raise_references(v);
  }
  weigh(v, key, keys);
  if (!v->bounded && exceeded(v)) {
    raise_references(v);
    weigh(v, key, keys);
  }
  precis_tile_block b = block_at(v, key, 0, keys);
  v->shape->kernel->gather(&b);
}

void precis_tile_visit(const precis_tile_shape *shape, const precis_tile_stretch *stretch,
                       const int64_t *visible, const precis_tile_group *group,
                       const precis_tile_space *space)
{
  visit v = {shape, stretch, visible, group, space, stretch->keys, stretch->keys, 0, 0, NULL};
  if (visible != NULL) {
    v.most = 0;
    for (int i = 0; i < group->rows; i++) {
      int seen = clamp(visible[i] - stretch->first, 0, stretch->keys);
      v.least = seen < v.least ? seen : v.least;
      v.most = seen > v.most ? seen : v.most;
    }
  }
  if (v.most == 0)
    return;
  v.bounded = is_bounded(&v);
  v.slack = stretch->moderate ? SLACK : LITTLE_SLACK;
  set_limits(&v);
  v.plain = plain_of(&v);
  for (int i = 0; i < GROUP; i++)
    space->top[i] = -INFINITY;
  for (int key = 0; key < v.most; key += KEYS)
    meet(&v, key, v.most - key < KEYS ? v.most - key : KEYS);
  flush_values(&v);
}
