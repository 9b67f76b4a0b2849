#include "src/plan/limit.h"

#include <inttypes.h>

#include "src/schedule/cost.h"

/* Parcels are not made smaller than this: a block of the kernels. Without need they are not made
 * smaller than some blocks, nor for a gain that is less than models know. */
enum { TILE_ROWS_LEAST = 64, TILE_ROWS_FREE = 1024 };
static const double WORTH = 0.97;

/* Parcels of about 16 MB: large enough to compute on, small beside the data. */
int64_t precis_limit_tile_rows(const precis_problem *problem, int64_t wish)
{
  int64_t row = precis_cost_key_row(problem, 0), rows = ((int64_t)1 << 24) / row;
  if (wish > 0)
    return wish;
  return rows < 512 ? 512 : rows > 8192 ? 8192 : rows;
}

static int keeps(const precis_scene *s, const precis_prediction *p)
{
  return s->memory_limit == 0 || p->peak_bytes <= s->memory_limit;
}

/* With tiles that keep the limit, or the smallest there are; of those that keep it, as fast as
 * halving finds, unless the caller has chosen. */
static precis_prediction predict(const precis_scene *s, precis_move move, const precis_wire *wire,
                                 int64_t *tile_rows)
{
  precis_scene smaller = *s;
  precis_prediction best = precis_model_exact(&smaller, move, wire);
  *tile_rows = s->tile_rows;
  while (smaller.tile_rows > TILE_ROWS_LEAST) {
    int64_t half = smaller.tile_rows / 2;
    int kept = keeps(s, &best);
    if (kept && (s->fixed_tiles || half < TILE_ROWS_FREE))
      break;
    smaller.tile_rows = half > TILE_ROWS_LEAST ? half : TILE_ROWS_LEAST;
    precis_prediction made = precis_model_exact(&smaller, move, wire);
    if (kept && !(made.seconds < WORTH * best.seconds))
      break;
    best = made;
    *tile_rows = smaller.tile_rows;
  }
  return best;
}

precis_move precis_limit_choose(precis_scene *s, precis_move wish,
                                const precis_wire wire[PRECIS_MOVES],
                                precis_prediction predicted[PRECIS_MOVES])
{
  precis_prediction within[PRECIS_MOVES] = {{0}};
  int64_t tile_rows[PRECIS_MOVES];
  precis_move best = PRECIS_MOVE_TILES;
  int found = 0;
  for (precis_move move = PRECIS_MOVE_TILES; move <= PRECIS_MOVE_QUERIES; move++) {
    within[move] = predicted[move] = predict(s, move, &wire[move], &tile_rows[move]);
    best = predicted[move].peak_bytes < predicted[best].peak_bytes ? move : best;
    found += keeps(s, &predicted[move]);
    if (!keeps(s, &predicted[move]))
      within[move].seconds = 1e300;
  }
  if (wish != PRECIS_MOVE_AUTO)
    best = wish;
  else if (s->ranks == 1 && keeps(s, &predicted[PRECIS_MOVE_TILES]))
    best = PRECIS_MOVE_TILES; /* nothing travels: they differ in what the model leaves out */
  else if (found > 0)
    best = precis_model_choose(within);
  s->tile_rows = tile_rows[best];
  return best;
}

int precis_limit_check(const precis_scene *s, precis_move move, const precis_prediction *p,
                       precis_message *why)
{
  if (keeps(s, p))
    return PRECIS_SUCCESS;
  return precis_message_set(
      why, PRECIS_ERR_MEMORY,
      "the memory limit is %" PRId64 " bytes a rank, but %s takes %" PRId64
      " and no other move that is allowed keeps it: %" PRId64 " bytes are missing",
      s->memory_limit, precis_move_name(move), p->peak_bytes, p->peak_bytes - s->memory_limit);
}
