#define _GNU_SOURCE /* POLLRDHUP */
#include "mpi/service/queue.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "mpi/service/deadlines.h"

/* The clock on the wall may be set while somebody waits. */
static void init_monotonic(pthread_cond_t *condition)
{
  pthread_condattr_t monotonic;
  pthread_condattr_init(&monotonic);
  pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &monotonic);
  pthread_condattr_destroy(&monotonic);
}

void precis_queue_create(precis_queue *queue)
{
  *queue = (precis_queue){.first = NULL};
  queue->end = &queue->first;
  pthread_mutex_init(&queue->lock, NULL);
  init_monotonic(&queue->filled);
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
  errand->put = precis_deadlines_now();
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
  errand->waited_for = precis_deadlines_now() - errand->put;
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

static struct timespec time_of(double seconds)
{
  return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(fmod(seconds, 1) * 1e9)};
}

/* Takes it out again, unless it was taken. */
static int withdraw(precis_queue *queue, const precis_errand *errand)
{
  for (precis_errand **at = &queue->first; *at != NULL; at = &(*at)->next)
    if (*at == errand) {
      take_out(queue, at);
      return 1;
    }
  return 0;
}

/* Returns 1 if it was late before anybody took it. Once it was taken, it is waited for: who has
 * taken it looks at its time, too. */
static int wait_for(precis_queue *queue, precis_errand *errand)
{
  int limited = errand->until > 0;
  const struct timespec until = time_of(errand->until);
  while (!errand->done) {
    if (!limited)
      pthread_cond_wait(&errand->ready, &queue->lock);
    else if (pthread_cond_timedwait(&errand->ready, &queue->lock, &until) == ETIMEDOUT) {
      limited = 0;
      errand->late = !errand->done && withdraw(queue, errand);
      if (errand->late)
        return 1;
    }
  }
  return 0;
}

int precis_queue_run(precis_queue *queue, precis_errand *errand, int *refused)
{
  init_monotonic(&errand->ready);
  errand->waited = 1;
  errand->done = 0;
  pthread_mutex_lock(&queue->lock);
  *refused = refuses(queue, errand);
  if (!*refused)
    add(queue, errand);
  if (!*refused)
    *refused = wait_for(queue, errand);
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

static const precis_context *context_of(const precis_errand *errand)
{
  return errand->stage != NULL ? errand->stage->context : errand->context;
}

static int changes_context(const precis_errand *errand)
{
  return errand->kind == PRECIS_ERRAND_COMMIT || errand->kind == PRECIS_ERRAND_DESTROY;
}

/* Pieces of an attend are to see the same keys. An attend of one row, which is never in pieces, may
 * go before what waits for them; were others to, that might wait for ever. */
static int may_run(const precis_queue *queue, const precis_errand *errand)
{
  const precis_context *context = context_of(errand);
  if (context == NULL || context->pieces == 0)
    return 1;
  if (errand->kind != PRECIS_ERRAND_ATTEND || errand->rows <= 1)
    return !changes_context(errand);
  const precis_errand *e = queue->first;
  while (e != errand && !(context_of(e) == context && changes_context(e)))
    e = e->next;
  return e == errand;
}

static precis_errand *take_first(precis_queue *queue)
{
  precis_errand **at = &queue->first;
  while (*at != NULL && !may_run(queue, *at))
    at = &(*at)->next;
  precis_errand *errand = *at;
  if (errand != NULL)
    take_out(queue, at);
  return errand;
}

precis_errand *precis_queue_take(precis_queue *queue, double seconds)
{
  const struct timespec until = time_of(precis_deadlines_now() + seconds);
  pthread_mutex_lock(&queue->lock);
  precis_errand *errand = take_first(queue);
  if (errand == NULL && seconds > 0) {
    pthread_cond_timedwait(&queue->filled, &queue->lock, &until);
    errand = take_first(queue);
  }
  pthread_mutex_unlock(&queue->lock);
  return errand;
}

int precis_queue_is_useless(precis_errand *errand)
{
  struct pollfd client = {.fd = errand->client, .events = POLLRDHUP};
  errand->late = errand->until > 0 && precis_deadlines_now() > errand->until;
  errand->left = errand->client > 0 && poll(&client, 1, 0) == 1 &&
                 (client.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
  return errand->left || errand->late;
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
    barred = changes_context(e);
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
