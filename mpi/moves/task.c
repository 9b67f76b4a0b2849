#include "mpi/moves/task.h"

precis_placement precis_task_placement(const precis_task *task)
{
  return (precis_placement){.problem = task->problem,
                            .map = task->map,
                            .key_rows = task->key_rows,
                            .cuts = task->cuts,
                            .kind = task->kind,
                            .tile_rows = task->tile_rows,
                            .deal_queries = task->deal_queries,
                            .deal_keys = task->deal_keys};
}

/* Called by the engine from the thread that may use MPI. */
static void poll(void *context)
{
  precis_task *task = context;
  int status = task->poll != NULL ? task->poll(task->poll_context) : PRECIS_SUCCESS;
  if (status != PRECIS_SUCCESS)
    task->poll_status = status;
}

void precis_task_compute(precis_task *task, const precis_job *jobs, int count)
{
  double start = MPI_Wtime();
  precis_engine engine = task->engine;
  engine.poll = poll;
  engine.poll_context = task;
  poll(task);
  task->pairs += (double)precis_jobs_run(&engine, jobs, count);
  task->seconds_exact += MPI_Wtime() - start;
}

void precis_task_progress(precis_task *task, int64_t done, int64_t steps)
{
  precis_waiting_count(&task->world->waiting, done, steps);
  if (task->progress != NULL)
    task->progress(task->progress_context, steps > 0 ? (double)done / (double)steps : 1);
}
