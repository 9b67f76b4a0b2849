#include "mpi/task.h"

/* Called by the engine from the thread that may use MPI. */
static void poll_flights(void *context)
{
  precis_task *task = context;
  for (int i = 0; i < PRECIS_TASK_FLIGHTS; i++) {
    int done, status = precis_transfer_test(&task->flight[i], &done);
    if (status != PRECIS_SUCCESS)
      task->poll_status = status;
  }
  int status = task->poll != NULL ? task->poll(task->poll_context) : PRECIS_SUCCESS;
  if (status != PRECIS_SUCCESS)
    task->poll_status = status;
}

void precis_task_compute(precis_task *task, const precis_job *jobs, int count)
{
  double start = MPI_Wtime();
  precis_engine engine = task->engine;
  engine.poll = poll_flights;
  engine.poll_context = task;
  poll_flights(task);
  task->pairs += (double)precis_jobs_run(&engine, jobs, count);
  task->seconds_exact += MPI_Wtime() - start;
}

int precis_task_wait(precis_task *task)
{
  double start = MPI_Wtime();
  int status = task->poll_status;
  for (int i = 0; i < PRECIS_TASK_FLIGHTS; i++) {
    int waited = precis_transfer_wait(&task->flight[i]);
    status = status == PRECIS_SUCCESS ? waited : status;
  }
  task->seconds_wait += MPI_Wtime() - start;
  return status;
}

void precis_task_progress(precis_task *task, int64_t done, int64_t steps)
{
  if (task->progress != NULL)
    task->progress(task->progress_context, steps > 0 ? (double)done / (double)steps : 1);
}

int64_t precis_task_parcels(const precis_task *task, int64_t rows)
{
  return rows / task->tile_rows + (rows % task->tile_rows != 0);
}

int64_t precis_task_parcel_rows(const precis_task *task, int64_t rows, int64_t number)
{
  int64_t left = rows - number * task->tile_rows;
  return left < 0 ? 0 : left < task->tile_rows ? left : task->tile_rows;
}
