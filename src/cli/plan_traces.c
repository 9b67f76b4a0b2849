/* plan_traces.c - the schedules of a plan as traces of all ranks, for a simulator
 *
 * A simulated host has one speed while kernels differ, so computing counts in seconds: flops are
 * scaled to what the busiest rank is predicted to take at 1 Gf. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/plan.h"
#include "src/schedule/trace.h"

static const double HOST_SPEED = 1e9;

enum { PATH = 4096 };

typedef struct sum {
  const precis_schedule *schedule;
  int rank;
  double flops;
} sum;

static int add_flops(void *context, const precis_step *step)
{
  sum *s = context;
  s->flops += precis_schedule_flops(s->schedule, s->rank, step);
  return 0;
}

static double flops_of(const precis_paper_schedules *schedules, int rank)
{
  sum s = {.rank = rank};
  for (int i = 0; i < schedules->count; i++) {
    s.schedule = &schedules->schedule[i];
    for (int64_t round = 0; round < s.schedule->rounds; round++)
      precis_schedule_visit(s.schedule, rank, round, add_flops, &s);
  }
  return s.flops;
}

static double scaled(void *context, const precis_step *step, double flops)
{
  (void)step;
  return *(const double *)context * flops;
}

static int fails(precis_cli *cli, const char *path)
{
  return precis_message_set(&cli->why, PRECIS_ERR_IO, "%s: %s", path, strerror(errno));
}

static int write_rank(precis_cli *cli, const precis_plan_answer *a, int rank, double scale)
{
  char path[PATH];
  snprintf(path, sizeof path, "%s/trace-%d.txt", cli->settings.paper.traces, rank);
  FILE *to = fopen(path, "w");
  if (to == NULL)
    return fails(cli, path);
  int status =
      precis_schedule_trace(a->schedules.schedule, a->schedules.count, rank, scaled, &scale, to);
  if (fclose(to) != 0 || status == PRECIS_ERR_IO)
    return fails(cli, path);
  return status;
}

static int write_names(precis_cli *cli, int ranks)
{
  char path[PATH], name[PATH];
  precis_draft draft = {0};
  int64_t offset = 0;
  snprintf(path, sizeof path, "%s/names.txt", cli->settings.paper.traces);
  int status = precis_draft_create(path, &draft, &cli->why);
  for (int r = 0; r < ranks && status == PRECIS_SUCCESS; r++) {
    int length = snprintf(name, sizeof name, "%s/trace-%d.txt\n", cli->settings.paper.traces, r);
    status = precis_draft_write(&draft, name, length, offset, &cli->why);
    offset += length;
  }
  if (status == PRECIS_SUCCESS)
    return precis_draft_commit(&draft, &cli->why);
  precis_draft_discard(&draft);
  return status;
}

int precis_plan_write_traces(precis_cli *cli, const precis_plan_answer *a)
{
  const precis_prediction *predicted = &a->plan.predicted[a->plan.move];
  const char *folder = cli->settings.paper.traces;
  double most = 0;
  if (strlen(folder) > PATH - 64)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--traces is too long a name");
  if (mkdir(folder, 0777) != 0 && errno != EEXIST)
    return fails(cli, folder);
  for (int r = 0; r < a->paper.ranks; r++) {
    double flops = flops_of(&a->schedules, r);
    most = flops > most ? flops : most;
  }
  double seconds = predicted->compute + predicted->passes;
  double scale = most > 0 ? seconds * HOST_SPEED / most : 0;
  int status = PRECIS_SUCCESS;
  for (int r = 0; r < a->paper.ranks && status == PRECIS_SUCCESS; r++)
    status = write_rank(cli, a, r, scale);
  return status == PRECIS_SUCCESS ? write_names(cli, a->paper.ranks) : status;
}
