#include "mpi/sequence/past.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/base/random.h"

enum { ROWS = 128 };

static int64_t row_words(const precis_problem *p)
{
  return (int64_t)p->heads * p->dim;
}

/* Uniform over 0 .. seen - 1. */
static int64_t draw(int64_t seen)
{
  const precis_stream stream = {.seed = 1, .row = seen};
  uint64_t high = precis_random_word(stream, 0), low = precis_random_word(stream, 1);
  return (int64_t)((high << 32 | low) % (uint64_t)seen);
}

static int make_room(precis_past *past, const precis_problem *p)
{
  if (past->q == NULL)
    past->q = precis_memory_array(ROWS * row_words(p), sizeof *past->q);
  return past->q != NULL;
}

void precis_past_add(precis_past *past, const precis_problem *p, int64_t rows, const float *q)
{
  int64_t words = row_words(p), some = rows < ROWS ? rows : ROWS;
  past->calls++;
  if (rows == 0 || !make_room(past, p))
    return;
  for (int64_t i = 0; i < some; i++) {
    past->seen++;
    int64_t place = past->rows < ROWS ? past->rows++ : draw(past->seen);
    if (place < ROWS)
      memcpy(past->q + place * words, q + i * rows / some * words, (size_t)words * sizeof *q);
  }
}

precis_past precis_past_copy(const precis_past *past, const precis_problem *p)
{
  precis_past made = {.calls = past->calls};
  if (past->q == NULL || !make_room(&made, p))
    return made;
  memcpy(made.q, past->q, (size_t)(past->rows * row_words(p)) * sizeof *made.q);
  made.seen = past->seen;
  made.rows = past->rows;
  return made;
}

int64_t precis_past_most(const precis_problem *p)
{
  return ROWS * row_words(p) * (int64_t)sizeof(float);
}

int64_t precis_past_bytes(const precis_past *past, const precis_problem *p)
{
  return past->q != NULL ? precis_past_most(p) : 0;
}

void precis_past_free(precis_past *past)
{
  free(past->q);
  *past = (precis_past){0};
}

int precis_past_view_make(const precis_past *past, precis_world *world, const precis_problem *p,
                          int64_t keys, int64_t rows, const float *q, precis_past_view *view)
{
  int64_t words = row_words(p);
  *view = (precis_past_view){.rows = rows + past->rows};
  view->q = precis_memory_array(view->rows * words, sizeof *view->q);
  view->counts = precis_memory_array(2 * world->ranks + 1, sizeof *view->counts);
  int status =
      precis_world_agree(world, view->q && view->counts ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  if (rows > 0)
    memcpy(view->q, q, (size_t)(rows * words) * sizeof *q);
  if (past->rows > 0)
    memcpy(view->q + rows * words, past->q, (size_t)(past->rows * words) * sizeof *q);
  int64_t *start = view->counts, *position = start + world->ranks + 1;
  if (MPI_Allgather(&view->rows, 1, MPI_INT64_T, start + 1, 1, MPI_INT64_T, world->comm))
    return PRECIS_ERR_MPI;
  start[0] = 0;
  for (int r = 0; r < world->ranks; r++) {
    start[r + 1] += start[r];
    position[r] = keys;
  }
  view->map = (precis_query_map){
      .ranks = world->ranks, .keys = keys, .start = start, .first_position = position};
  return PRECIS_SUCCESS;
}

void precis_past_view_free(precis_past_view *view)
{
  free(view->q);
  free(view->counts);
  *view = (precis_past_view){.q = NULL};
}
