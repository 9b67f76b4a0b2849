#include "mpi/service/merge.h"

#include <stdlib.h>

#include "src/base/memory.h"

enum { BLOCK_BYTES = 1 << 20 };

int64_t precis_merge_choose(const int64_t *rows, const unsigned char *apart, int64_t count,
                            int64_t rows_most, int64_t *first)
{
  int64_t longest = PRECIS_MERGE_LEAST - 1;
  for (int64_t end = count; end > longest; end--) {
    int64_t begin = end - 1, sum = rows[begin];
    while (begin > 0 && !apart[begin] && rows[begin - 1] <= sum &&
           rows[begin - 1] <= rows_most - sum)
      sum += rows[--begin];
    if (end - begin > longest) {
      longest = end - begin;
      *first = begin;
    }
  }
  return longest >= PRECIS_MERGE_LEAST ? longest : 0;
}

static int64_t row_numbers(const precis_problem *p, int array)
{
  const int64_t numbers[] = {(int64_t)p->kv_heads * p->dim, (int64_t)p->kv_heads * p->value_dim, 1};
  return numbers[array];
}

/* One array of one of them. */
static int copy(const precis_merge *m, const precis_segment *from, int array, float *block,
                int64_t numbers_most, precis_segment_writing *w, precis_message *why)
{
  int64_t row = row_numbers(&m->problem, array), most = numbers_most / row;
  int status = PRECIS_SUCCESS;
  for (int64_t at = 0; at < from->rows && status == PRECIS_SUCCESS; at += most) {
    int64_t rows = from->rows - at < most ? from->rows - at : most;
    status = precis_segment_read(m->data, from, &m->problem, at, rows, array == 0 ? block : NULL,
                                 array == 1 ? block : NULL, array == 2 ? block : NULL, why);
    if (status == PRECIS_SUCCESS)
      status = precis_segment_put(w, block, rows * row * (int64_t)sizeof *block, why);
  }
  return status;
}

static int interrupted(const precis_merge *m, precis_message *why)
{
  return atomic_load(m->stop) ? precis_message_set(why, PRECIS_ERR_INTERNAL, "interrupted")
                              : PRECIS_SUCCESS;
}

static int copy_all(const precis_merge *m, float *block, int64_t numbers, precis_segment_writing *w,
                    precis_message *why)
{
  int status = PRECIS_SUCCESS;
  for (int array = 0; array < (m->with_bias ? 3 : 2); array++)
    for (int64_t i = 0; i < m->count && status == PRECIS_SUCCESS; i++) {
      status = interrupted(m, why);
      if (status == PRECIS_SUCCESS)
        status = copy(m, &m->from[i], array, block, numbers, w, why);
    }
  return status;
}

/* What is damaged must not get a new sum. */
static int verify(precis_merge *m, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  m->to.rows = 0;
  for (int64_t i = 0; i < m->count && status == PRECIS_SUCCESS; i++) {
    status = interrupted(m, why);
    if (status == PRECIS_SUCCESS)
      status = precis_segment_verify(m->data, &m->from[i], why);
    m->to.rows += m->from[i].rows;
  }
  return status;
}

int precis_merge_write(precis_merge *m, precis_message *why)
{
  precis_segment_writing w;
  int64_t numbers = BLOCK_BYTES / (int64_t)sizeof(float);
  for (int array = 0; array < 3; array++)
    if (row_numbers(&m->problem, array) > numbers)
      numbers = row_numbers(&m->problem, array);
  float *block = precis_memory_array(numbers, sizeof *block);
  int status = block ? verify(m, why)
                     : precis_message_set(why, PRECIS_ERR_MEMORY, "out of memory for a merge");
  if (status == PRECIS_SUCCESS) {
    status = precis_segment_begin(m->path.text, &m->to, &m->problem, m->with_bias, &w, why);
    if (status == PRECIS_SUCCESS)
      status = copy_all(m, block, numbers, &w, why);
    status = precis_segment_finish(&w, status, &m->to, why);
  }
  free(block);
  return status;
}
