#include "mpi/rows/rows.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/memory.h"
#include "src/precis.h"

enum { ROWS_TAG = 11 };

/* Rows that are next to each other here and there. */
typedef struct run {
  int rank;
  int64_t here, there, rows;
} run;

typedef struct exchange {
  precis_world *world;
  const precis_layout *to;
  const precis_rows_array *arrays;
  int count;
  int64_t row_bytes; /* on the wire: index and all arrays */
  int64_t *out, *in; /* rows to and from each rank */
  char *out_buffer, *in_buffer;
} exchange;

/* The run that starts at local row `here`. As indices ascend, they are consecutive where the ends
 * say so. */
static run run_at(const precis_layout *to, int64_t rows, const int64_t *index, int64_t here)
{
  run r = {.here = here};
  int64_t reach = precis_layout_find(to, index[here], &r.rank, &r.there);
  r.rows = reach < rows - here ? reach : rows - here;
  int64_t low = 1;
  while (low < r.rows) {
    int64_t middle = low + (r.rows - low + 1) / 2;
    if (index[here + middle - 1] == index[here] + middle - 1)
      low = middle;
    else
      r.rows = middle - 1;
  }
  return r;
}

/* Message layout: indices, then each array's rows. */
static void pack(const exchange *x, int64_t rows, const int64_t *index, int peer)
{
  int64_t sent = 0, total = x->out[peer];
  for (int64_t i = 0; i < rows && sent < total;) {
    run r = run_at(x->to, rows, index, i);
    i += r.rows;
    if (r.rank != peer)
      continue;
    memcpy(x->out_buffer + sent * (int64_t)sizeof *index, index + r.here,
           (size_t)r.rows * sizeof *index);
    char *section = x->out_buffer + total * (int64_t)sizeof *index;
    for (int a = 0; a < x->count; a++) {
      int64_t width = x->arrays[a].row_bytes;
      memcpy(section + sent * width, (const char *)x->arrays[a].from + r.here * width,
             (size_t)(r.rows * width));
      section += total * width;
    }
    sent += r.rows;
  }
}

static void unpack(const exchange *x, int peer)
{
  int64_t total = x->in[peer];
  const int64_t *index = (const int64_t *)x->in_buffer;
  for (int64_t i = 0; i < total;) {
    run r = run_at(x->to, total, index, i);
    const char *section = x->in_buffer + total * (int64_t)sizeof *index;
    for (int a = 0; a < x->count; a++) {
      int64_t width = x->arrays[a].row_bytes;
      memcpy((char *)x->arrays[a].to + r.there * width, section + r.here * width,
             (size_t)(r.rows * width));
      section += total * width;
    }
    i += r.rows;
  }
}

static void keep_own(const exchange *x, int64_t rows, const int64_t *index)
{
  for (int64_t i = 0; i < rows;) {
    run r = run_at(x->to, rows, index, i);
    i += r.rows;
    if (r.rank != x->world->rank)
      continue;
    for (int a = 0; a < x->count; a++) {
      int64_t width = x->arrays[a].row_bytes;
      memcpy((char *)x->arrays[a].to + r.there * width,
             (const char *)x->arrays[a].from + r.here * width, (size_t)(r.rows * width));
    }
  }
}

/* With the rank `shift` places to the right and the one as far to the left. */
static int trade(const exchange *x, int64_t rows, const int64_t *index, int shift)
{
  int ranks = x->world->ranks, rank = x->world->rank;
  int right = (rank + shift) % ranks, left = (rank - shift + ranks) % ranks;
  precis_transfer receiving, sending = {0};
  int status = precis_world_receive(x->world, x->in_buffer, x->in[left] * x->row_bytes, left,
                                    ROWS_TAG, &receiving);
  pack(x, rows, index, right);
  if (status == PRECIS_SUCCESS)
    status = precis_world_send(x->world, x->out_buffer, x->out[right] * x->row_bytes, right,
                               ROWS_TAG, &sending);
  int received = precis_transfer_wait(&receiving), sent = precis_transfer_wait(&sending);
  if (status == PRECIS_SUCCESS)
    status = received ? received : sent;
  if (status == PRECIS_SUCCESS)
    unpack(x, left);
  return status;
}

/* Counts, buffers for the largest message each way, and agreement that all ranks have them. */
static int prepare(exchange *x, int64_t rows, const int64_t *index)
{
  int ranks = x->world->ranks;
  x->out = calloc((size_t)ranks, sizeof *x->out);
  x->in = calloc((size_t)ranks, sizeof *x->in);
  int status =
      precis_world_agree(x->world, x->out && x->in ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  for (int64_t i = 0; i < rows;) {
    run r = run_at(x->to, rows, index, i);
    x->out[r.rank] += r.rows;
    i += r.rows;
  }
  if (MPI_Alltoall(x->out, 1, MPI_INT64_T, x->in, 1, MPI_INT64_T, x->world->comm))
    return PRECIS_ERR_MPI;
  int64_t most_out = 0, most_in = 0;
  for (int r = 0; r < ranks; r++) {
    if (r == x->world->rank)
      continue;
    most_out = x->out[r] > most_out ? x->out[r] : most_out;
    most_in = x->in[r] > most_in ? x->in[r] : most_in;
  }
  x->out_buffer = precis_memory_array(most_out, (size_t)x->row_bytes);
  x->in_buffer = precis_memory_array(most_in, (size_t)x->row_bytes);
  status = x->out_buffer && x->in_buffer ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  return precis_world_agree(x->world, status, NULL);
}

int precis_rows_exchange(precis_world *world, int64_t rows, const int64_t *index,
                         const precis_layout *to, const precis_rows_array *arrays, int count)
{
  exchange x = {
      .world = world, .to = to, .arrays = arrays, .count = count, .row_bytes = sizeof *index};
  for (int a = 0; a < count; a++)
    x.row_bytes += arrays[a].row_bytes;
  int status = prepare(&x, rows, index);
  if (status == PRECIS_SUCCESS)
    keep_own(&x, rows, index);
  for (int shift = 1; shift < world->ranks && status == PRECIS_SUCCESS; shift++)
    status = trade(&x, rows, index, shift);
  free(x.out);
  free(x.in);
  free(x.out_buffer);
  free(x.in_buffer);
  return status;
}
