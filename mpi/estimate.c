#include "mpi/estimate.h"

#include <math.h>
#include <stdlib.h>

#include "mpi/repair.h"
#include "src/choose.h"
#include "src/memory.h"
#include "src/problem.h"

enum { HELD_OUT = 64 };

/* This rank's held-out rows, all heads of each: halfway between the sampled ones, see
 * mpi/prospect.c. */
static int64_t hold_out(const precis_task *task, precis_failed_row *held)
{
  int64_t queries = precis_visible_queries(task->map), first = task->map->start[task->world->rank],
          count = 0;
  int64_t sampled = queries < PRECIS_SAMPLE_QUERIES ? queries : PRECIS_SAMPLE_QUERIES;
  for (int i = 0; i < HELD_OUT && sampled > 0; i++) {
    int64_t number = (int64_t)i * sampled / HELD_OUT;
    int64_t row = (number * queries / sampled + (number + 1) * queries / sampled) / 2 - first;
    for (int h = 0; h < task->problem->heads && row >= 0 && row < task->rows; h++)
      held[count++] = (precis_failed_row){row, h};
  }
  return count;
}

static double larger(double a, double b)
{
  return b > a || isnan(b) ? b : a; /* of which NaN is the largest */
}

static void compare(const precis_task *task, const precis_summaries *plan,
                    const precis_failed_row *held, int64_t count, const precis_task *exact,
                    double error[2])
{
  const precis_problem *p = task->problem;
  error[0] = error[1] = 0;
  for (int64_t i = 0; i < count; i++) {
    int64_t row = held[i].row * p->heads + held[i].head, at = row * p->value_dim;
    if (exact->lse[row] != task->lse[row])
      error[1] = larger(error[1], fabs((double)exact->lse[row] - task->lse[row]));
    int64_t column = (int64_t)precis_problem_kv_head(p, held[i].head) * p->value_dim;
    for (int c = 0; c < p->value_dim; c++) {
      double range = plan->value_most[column + c] + plan->value_least[column + c];
      if (range > 0)
        error[0] = larger(error[0], fabs((double)task->out[at + c] - exact->out[at + c]) / range);
    }
  }
}

int precis_estimate_error(const precis_task *task, const precis_summaries *plan, double error[2])
{
  const precis_problem *p = task->problem;
  precis_task exact = *task;
  int64_t repaired;
  /* Of these arrays only the held-out rows are ever touched. */
  exact.out = precis_memory_array(task->rows * p->heads, (size_t)p->value_dim * sizeof *exact.out);
  exact.lse = precis_memory_array(task->rows * p->heads, sizeof *exact.lse);
  precis_failed_row *held = precis_memory_array((int64_t)HELD_OUT * p->heads, sizeof *held);
  int made = exact.out && exact.lse && held;
  int status = precis_world_agree(task->world, made ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    int64_t count = hold_out(task, held);
    status =
        precis_world_agree(task->world, precis_repair_run(&exact, held, count, &repaired), NULL);
    if (status == PRECIS_SUCCESS)
      compare(task, plan, held, count, &exact, error);
  }
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, error, 2, MPI_DOUBLE, MPI_MAX, task->world->comm))
    status = PRECIS_ERR_MPI;
  free(held);
  free(exact.out);
  free(exact.lse);
  return status;
}
