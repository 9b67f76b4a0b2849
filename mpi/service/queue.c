#include "mpi/service/queue.h"

#include <stdlib.h>
#include <time.h>

void precis_queue_create(precis_queue *queue)
{
  *queue = (precis_queue){.first = NULL};
  queue->end = &queue->first;
  pthread_mutex_init(&queue->lock, NULL);
  /* The clock on the wall may be set while somebody waits. */
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(&queue->filled, &monotonic);
  pthread_condattr_destroy(&monotonic);
  pthread_cond_init(&queue->emptied, NULL);
}

void precis_queue_free(precis_queue *queue)
{
  pthread_cond_destroy(&queue->filled);
  pthread_cond_destroy(&queue->emptied);
  pthread_mutex_destroy(&queue->lock);
}

/* With the lock, like all statics here. */
static void add(precis_queue *queue, precis_errand *errand)
{
  errand->next = NULL;
  *queue->end = errand;
  queue->end = &errand->next;
  queue->count++;
  queue->values += errand->values ? errand->count : 0;
  pthread_cond_signal(&queue->filled);
}

static void take_out(precis_queue *queue, precis_errand **at)
{
  precis_errand *errand = *at;
  *at = errand->next;
  if (queue->end == &errand->next)
    queue->end = at;
  queue->count--;
  queue->values -= errand->values ? errand->count : 0;
  pthread_cond_broadcast(&queue->emptied);
}

static int refuses(const precis_queue *queue, const precis_errand *errand)
{
  int must = errand->kind == PRECIS_ERRAND_COMMIT || errand->kind == PRECIS_ERRAND_DESTROY;
  return queue->closed || (queue->count >= PRECIS_QUEUE_ERRANDS && !must);
}

int precis_queue_run(precis_queue *queue, precis_errand *errand, int *refused)
{
  pthread_cond_init(&errand->ready, NULL);
  errand->waited = 1;
  errand->done = 0;
  pthread_mutex_lock(&queue->lock);
  *refused = refuses(queue, errand);
  if (!*refused)
    add(queue, errand);
  while (!*refused && !errand->done)
    pthread_cond_wait(&errand->ready, &queue->lock);
  pthread_mutex_unlock(&queue->lock);
  pthread_cond_destroy(&errand->ready);
  return errand->status;
}

int precis_queue_put(precis_queue *queue, precis_errand *errand)
{
  errand->waited = 0;
  pthread_mutex_lock(&queue->lock);
  while (errand->kind == PRECIS_ERRAND_FILL && !queue->closed &&
         (queue->count >= PRECIS_QUEUE_ERRANDS || queue->values >= PRECIS_QUEUE_VALUES))
    pthread_cond_wait(&queue->emptied, &queue->lock);
  int taken = !queue->closed || errand->kind == PRECIS_ERRAND_DROP;
  if (taken)
    add(queue, errand);
  pthread_mutex_unlock(&queue->lock);
  return taken;
}

void precis_queue_close(precis_queue *queue)
{
  pthread_mutex_lock(&queue->lock);
  queue->closed = 1;
  pthread_cond_broadcast(&queue->emptied);
  pthread_mutex_unlock(&queue->lock);
}

int precis_queue_is_closed(precis_queue *queue)
{
  pthread_mutex_lock(&queue->lock);
  int closed = queue->closed;
  pthread_mutex_unlock(&queue->lock);
  return closed;
}

int64_t precis_queue_length(precis_queue *queue)
{
  pthread_mutex_lock(&queue->lock);
  int64_t count = queue->count;
  pthread_mutex_unlock(&queue->lock);
  return count;
}

precis_errand *precis_queue_take(precis_queue *queue, double seconds)
{
  struct timespec until;
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_nsec += (long)(seconds * 1e9);
  until.tv_sec += until.tv_nsec / 1000000000;
  until.tv_nsec %= 1000000000;
  pthread_mutex_lock(&queue->lock);
  if (queue->first == NULL)
    pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
  precis_errand *errand = queue->first;
  if (errand != NULL)
    take_out(queue, &queue->first);
  pthread_mutex_unlock(&queue->lock);
  return errand;
}

static const precis_context *context_of(const precis_errand *errand)
{
  return errand->stage != NULL ? errand->stage->context : errand->context;
}

/* One query that stands at the last key, or any where positions do not matter. */
static int goes_with_others(const precis_errand *attend)
{
  return !attend->context->spec.problem.causal || (attend->rows == 1 && attend->position < 0);
}

precis_errand *precis_queue_take_like(precis_queue *queue, const precis_errand *attend,
                                      int64_t rows)
{
  precis_errand *found = NULL;
  int barred = !goes_with_others(attend);
  pthread_mutex_lock(&queue->lock);
  for (precis_errand **at = &queue->first; *at != NULL && !found && !barred; at = &(*at)->next) {
    precis_errand *e = *at;
    if (context_of(e) != attend->context)
      continue;
    if (e->kind == PRECIS_ERRAND_ATTEND && e->rows <= rows && goes_with_others(e)) {
      found = e;
      take_out(queue, at);
      break;
    }
    barred = e->kind == PRECIS_ERRAND_COMMIT || e->kind == PRECIS_ERRAND_DESTROY;
  }
  pthread_mutex_unlock(&queue->lock);
  return found;
}

void precis_queue_finish(precis_queue *queue, precis_errand *errand, int status,
                         const precis_message *why)
{
  if (!errand->waited) {
    free(errand->values);
    free(errand);
    return;
  }
  pthread_mutex_lock(&queue->lock);
  errand->status = status;
  if (status != PRECIS_SUCCESS && why != NULL)
    errand->why = *why;
  errand->done = 1;
  pthread_cond_signal(&errand->ready);
  pthread_mutex_unlock(&queue->lock);
}
