#include "mpi/moves/execute.h"

#include <sched.h>
#include <stdlib.h>
#include <time.h>

#include "src/base/memory.h"

/* Tags of other messages are below. */
enum { EXECUTE_TAG = 64, YIELDS = 1000 /* before a nap */ };

int precis_execution_create(precis_task *task, const precis_schedule *schedule,
                            int (*work)(precis_execution *execution, const precis_step *step),
                            void *move, precis_execution *execution)
{
  *execution = (precis_execution){
      .task = task, .schedule = schedule, .work = work, .move = move, .tells = 1};
  execution->slot = calloc((size_t)schedule->slots + 1, sizeof *execution->slot);
  execution->transfer = calloc((size_t)schedule->requests + 1, sizeof *execution->transfer);
  int made =
      execution->slot && execution->transfer &&
      precis_window_prepare(schedule, task->world->rank, &execution->window) == PRECIS_SUCCESS;
  for (int i = 0; i < schedule->slots && made; i++) {
    precis_slot slot = precis_schedule_slot(schedule, task->world->rank, i);
    if (slot.kept || slot.view != PRECIS_VIEW_RANK)
      continue;
    execution->slot[i] = precis_memory_array(slot.bytes, 1);
    made = execution->slot[i] != NULL;
  }
  return made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
}

void precis_execution_free(precis_execution *execution)
{
  const precis_schedule *s = execution->schedule;
  for (int i = 0; execution->slot != NULL && i < s->slots; i++)
    if (precis_schedule_slot(s, execution->task->world->rank, i).view == PRECIS_VIEW_RANK)
      free(execution->slot[i]);
  if (s != NULL)
    precis_window_free(&execution->window);
  free(execution->slot);
  free(execution->transfer);
  *execution = (precis_execution){0};
}

int precis_execution_poll(precis_execution *execution)
{
  int done, status = PRECIS_SUCCESS;
  for (int i = 0; i < execution->schedule->requests && status == PRECIS_SUCCESS; i++)
    if (execution->transfer[i].count > 0)
      status = precis_transfer_test(&execution->transfer[i], &done);
  return status;
}

static int poll(void *context)
{
  return precis_execution_poll(context);
}

static int wait_for(precis_execution *x, int first, int count)
{
  double start = MPI_Wtime();
  int status = x->task->poll_status;
  for (int i = first; i < first + count; i++) {
    int waited = precis_transfer_wait(&x->transfer[i]);
    status = status == PRECIS_SUCCESS ? waited : status;
  }
  x->task->seconds_wait += MPI_Wtime() - start;
  return status;
}

/* The rank that is waited for may be on this very core. Where it does not come soon, a nap leaves
 * more of that to it than yielding, which some kernels take for working. */
static void give_way(int soon)
{
  const struct timespec nap = {.tv_nsec = 20000};
  if (soon)
    sched_yield();
  else
    nanosleep(&nap, NULL);
}

/* Waits for one rank of this node; what is under way moves on meanwhile. */
static int await(precis_execution *x, int local, int64_t mark)
{
  precis_waiting *waiting = &x->task->world->waiting;
  int rank = x->window.member[local], status = PRECIS_SUCCESS;
  if (precis_window_met(&x->window, local, mark))
    return PRECIS_SUCCESS;
  atomic_store(&waiting->meet[rank], 1);
  atomic_store(&waiting->blocked, 1);
  for (int yields = 0; status == PRECIS_SUCCESS && !precis_window_met(&x->window, local, mark);) {
    int soon = yields < YIELDS;
    yields += soon;
    status = precis_execution_poll(x);
    give_way(soon);
  }
  atomic_store(&waiting->blocked, 0);
  atomic_store(&waiting->meet[rank], 0);
  return status;
}

static int meet(precis_execution *x, int64_t mark)
{
  double start = MPI_Wtime();
  int status = x->task->poll_status;
  for (int l = 0; l < x->window.mates && status == PRECIS_SUCCESS; l++)
    status = l == x->window.local ? PRECIS_SUCCESS : await(x, l, mark);
  x->task->seconds_wait += MPI_Wtime() - start;
  return status;
}

static int do_step(void *context, const precis_step *step)
{
  precis_execution *x = context;
  int tag = EXECUTE_TAG + step->tag, status;
  switch (step->kind) {
  case PRECIS_STEP_SEND:
    return precis_world_send(x->task->world, precis_execution_at(x, step), step->bytes, step->peer,
                             tag, &x->transfer[step->request]);
  case PRECIS_STEP_RECEIVE:
    return precis_world_receive(x->task->world, precis_execution_at(x, step), step->bytes,
                                step->peer, tag, &x->transfer[step->request]);
  case PRECIS_STEP_WAIT:
    return wait_for(x, step->request, step->requests);
  case PRECIS_STEP_MARK:
    precis_window_mark(&x->window, step->mark);
    return PRECIS_SUCCESS;
  case PRECIS_STEP_MEET:
    return meet(x, step->mark);
  default:
    status = x->work(x, step);
    x->out_of_range |= status == PRECIS_ERR_RANGE;
    return status == PRECIS_ERR_RANGE ? PRECIS_SUCCESS : status;
  }
}

int precis_execution_open(precis_execution *x)
{
  if (!x->schedule->shares || x->round > 0 || x->opened)
    return PRECIS_SUCCESS;
  precis_world *world = x->task->world;
  int status =
      precis_world_agree(world, precis_window_open(x->schedule, world, &x->window, x->slot), NULL);
  x->opened = status == PRECIS_SUCCESS;
  x->without_room = status == PRECIS_ERR_MEMORY;
  return status;
}

/* The one loop over the rounds of any move: at its foot, all ranks stand at the same boundary. */
int precis_execution_run(precis_execution *x, int64_t end)
{
  precis_task *task = x->task;
  int status = precis_execution_open(x);
  task->poll = poll;
  task->poll_context = x;
  while (x->round < end && status == PRECIS_SUCCESS) {
    status = precis_schedule_visit(x->schedule, task->world->rank, x->round, do_step, x);
    status = status == PRECIS_SUCCESS ? task->poll_status : status;
    x->round++;
    if (x->tells)
      precis_task_progress(task, x->round, x->schedule->rounds);
  }
  /* Memory of messages must outlive them. */
  if (status != PRECIS_SUCCESS)
    wait_for(x, 0, x->schedule->requests);
  task->poll = NULL;
  return status == PRECIS_SUCCESS && x->out_of_range ? PRECIS_ERR_RANGE : status;
}
