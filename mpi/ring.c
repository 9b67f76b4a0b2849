/* The tiles move: parcels of keys and values go round a ring of ranks, the next one in flight while
 * the present one is computed. Each rank's share is cut into parcels; parcel c of every rank goes
 * round before parcel c + 1 starts, so that two buffers are enough. */
#include <stdlib.h>

#include "mpi/deal.h"
#include "mpi/plan.h"
#include "mpi/task.h"
#include "src/memory.h"
#include "src/queries.h"

enum { RING_TAG = 12 };

typedef struct ring {
  precis_task *task;
  const precis_keys *keys;
  const int64_t *share; /* key rows of each rank */
  precis_queries queries;
  precis_job *jobs;
  char *present, *next; /* parcels */
  int64_t parcels;      /* of the largest share */
} ring;

static int64_t rows_of(const ring *r, int rank, int64_t parcel)
{
  return precis_task_parcel_rows(r->task, r->share[rank], parcel);
}

/* Starts passing the present parcel, which began at `owner`, to the right, and taking the next from
 * the left. */
static int start_passing(ring *r, int owner, int64_t parcel)
{
  precis_world *world = r->task->world;
  int right = (world->rank + 1) % world->ranks,
      left = (world->rank - 1 + world->ranks) % world->ranks;
  int64_t out = precis_parcel_bytes(&r->task->kind, rows_of(r, owner, parcel));
  int64_t in = precis_parcel_bytes(&r->task->kind,
                                   rows_of(r, (owner - 1 + world->ranks) % world->ranks, parcel));
  int status = precis_world_receive(world, r->next, in, left, RING_TAG, &r->task->flight[0]);
  if (status == PRECIS_SUCCESS)
    status = precis_world_send(world, r->present, out, right, RING_TAG, &r->task->flight[1]);
  return status;
}

static int step(ring *r, int64_t parcel, int hop)
{
  precis_task *task = r->task;
  int ranks = task->world->ranks, owner = (task->world->rank - hop + ranks) % ranks;
  int64_t rows = rows_of(r, owner, parcel);
  int status = hop < ranks - 1 ? start_passing(r, owner, parcel) : PRECIS_SUCCESS;
  precis_queries_jobs(task->problem, &r->queries, &task->kind, rows, r->present, r->jobs);
  precis_task_compute(task, r->jobs, task->problem->heads);
  int waited = precis_task_wait(task);
  if (hop < ranks - 1) {
    char *spent = r->present;
    r->present = r->next;
    r->next = spent;
  }
  precis_task_progress(task, parcel * ranks + hop + 1, r->parcels * ranks);
  return status == PRECIS_SUCCESS ? waited : status;
}

static int go_round(ring *r)
{
  precis_task *task = r->task;
  int status = PRECIS_SUCCESS;
  for (int64_t c = 0; c < r->parcels && status == PRECIS_SUCCESS; c++) {
    precis_parcel_pack(&task->kind, r->keys, c * task->tile_rows, rows_of(r, task->world->rank, c),
                       task->k_center, task->v_center, task->engine.threads, r->present);
    for (int hop = 0; hop < task->world->ranks && status == PRECIS_SUCCESS; hop++)
      status = step(r, c, hop);
  }
  return status;
}

/* The ring with this rank's queries and keys as they now are; results to out and lse. */
static int attend(precis_task *task, const precis_keys *keys, const int64_t *share, int64_t rows,
                  const float *q, const int64_t *position, float *out, float *lse)
{
  ring r = {.task = task, .keys = keys, .share = share};
  int64_t most = 0;
  for (int rank = 0; rank < task->world->ranks; rank++)
    most = share[rank] > most ? share[rank] : most;
  r.parcels = precis_task_parcels(task, most);
  int64_t bytes = precis_parcel_bytes(&task->kind, most < task->tile_rows ? most : task->tile_rows);
  r.present = precis_memory_array(bytes, 1);
  r.next = precis_memory_array(task->world->ranks > 1 ? bytes : 0, 1);
  r.jobs = precis_memory_array(task->problem->heads, sizeof *r.jobs);
  int made = r.present && r.next && r.jobs;
  int status = precis_queries_create(task->problem, rows, q, position, &r.queries);
  status = precis_world_agree(task->world, made ? status : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS)
    status = go_round(&r);
  if (status == PRECIS_SUCCESS && precis_queries_finish(task->problem, &r.queries, 0, rows,
                                                        task->k_center, task->v_center, out, lse))
    status = PRECIS_ERR_RANGE;
  precis_queries_free(&r.queries);
  free(r.jobs);
  free(r.next);
  free(r.present);
  return status;
}

static int attend_dealt_queries(precis_task *task, const precis_keys *keys, const int64_t *share)
{
  const precis_problem *p = task->problem;
  int pairs = precis_plan_pairs_of_rounds(task->map, task->tile_rows);
  precis_layout layout =
      precis_layout_dealt(task->world->ranks, precis_visible_queries(task->map), pairs);
  precis_dealt_queries dealt;
  int status = precis_deal_queries(task->world, p, task->map, task->q, &layout, &dealt);
  if (status != PRECIS_SUCCESS)
    return status;
  float *out = precis_memory_array(dealt.rows * p->heads, (size_t)p->value_dim * sizeof *out);
  float *lse = precis_memory_array(dealt.rows * p->heads, sizeof *lse);
  status = precis_world_agree(task->world, out && lse ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    status = attend(task, keys, share, dealt.rows, dealt.q, dealt.position, out, lse);
    /* RANGE is one rank's own: all must know before results travel. */
    status = precis_world_agree(task->world, status, NULL);
  }
  if (status == PRECIS_SUCCESS)
    status = precis_deal_back(task->world, p, task->map, &dealt, out, lse, task->out, task->lse);
  free(out);
  free(lse);
  precis_dealt_queries_free(&dealt);
  return status;
}

static int attend_home_queries(precis_task *task, const precis_keys *keys, const int64_t *share)
{
  int64_t *position = precis_memory_array(task->rows, sizeof *position);
  int status = precis_world_agree(task->world, position ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  if (status == PRECIS_SUCCESS) {
    for (int64_t i = 0; i < task->rows; i++)
      position[i] = task->map->first_position[task->world->rank] + i;
    status = attend(task, keys, share, task->rows, task->q, position, task->out, task->lse);
  }
  free(position);
  return status;
}

static int attend_any_queries(precis_task *task, const precis_keys *keys, const int64_t *share)
{
  return task->deal_queries ? attend_dealt_queries(task, keys, share)
                            : attend_home_queries(task, keys, share);
}

int precis_ring_run(precis_task *task)
{
  if (!task->deal_keys)
    return attend_any_queries(task, task->keys, task->key_rows);
  int pairs = precis_plan_pairs_of_rounds(task->map, task->tile_rows);
  precis_layout layout = precis_layout_dealt(task->world->ranks, task->map->keys, pairs);
  int64_t *share = precis_memory_array(task->world->ranks, sizeof *share);
  int status = precis_world_agree(task->world, share ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY, NULL);
  precis_keys dealt = {0};
  if (status == PRECIS_SUCCESS)
    status = precis_deal_keys(task->world, task->keys, &layout, &dealt);
  if (status == PRECIS_SUCCESS) {
    for (int r = 0; r < task->world->ranks; r++)
      share[r] = precis_layout_share(&layout, r);
    status = attend_any_queries(task, &dealt, share);
    precis_keys_free(&dealt);
  }
  free(share);
  return status;
}
