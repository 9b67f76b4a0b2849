/* plan.c - precis plan: a plan without data */
#include "src/cli/plan.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "src/cli/input.h"
#include "src/cli/json.h"
#include "src/model/machine_file.h"
#include "src/base/problem.h"

static int missing(precis_cli *cli, const char *option)
{
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s is missing", option);
}

/* Shapes from options as those of gen, or from the heads of files. */
static int take_options(precis_cli *cli, precis_paper *paper)
{
  const precis_settings *s = &cli->settings;
  if (s->shape.tokens == 0)
    return missing(cli, "--tokens (or --input)");
  if (s->shape.heads == 0)
    return missing(cli, "--heads");
  if (s->shape.dim == 0)
    return missing(cli, "--dim");
  paper->keys = s->shape.tokens;
  paper->queries = s->shape.queries > 0 ? s->shape.queries : s->shape.tokens;
  paper->problem = (precis_problem){.heads = (int)s->shape.heads,
                                    .kv_heads = (int)s->shape.kv_heads,
                                    .dim = (int)s->shape.dim,
                                    .value_dim = (int)s->shape.value_dim,
                                    .causal = s->shape.causal};
  return precis_problem_settle(&paper->problem, &cli->why);
}

static int take_files(precis_cli *cli, precis_paper *paper)
{
  const precis_settings *s = &cli->settings;
  precis_input input = {0};
  const char *shape = s->shape.tokens      ? "--tokens"
                      : s->shape.queries   ? "--queries"
                      : s->shape.heads     ? "--heads"
                      : s->shape.kv_heads  ? "--kv-heads"
                      : s->shape.dim       ? "--dim"
                      : s->shape.value_dim ? "--value-dim"
                                           : NULL;
  if (shape != NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "%s and an input file exclude each other: the file has its shape",
                              shape);
  int status = precis_input_open(cli, &input);
  if (status == PRECIS_SUCCESS) {
    paper->problem = input.problem;
    paper->queries = input.queries;
    paper->keys = input.keys;
  }
  precis_input_close(&input);
  return status;
}

static int take_machine(precis_cli *cli, precis_paper *paper)
{
  const precis_settings *s = &cli->settings;
  precis_rates rates = precis_rates_nominal(1);
  int status = s->machine.rates ? precis_machine_file_read(s->machine.rates, &rates, &cli->why)
                                : PRECIS_SUCCESS;
  status = precis_cli_agree(cli, status);
  paper->rates =
      s->machine.threads > 0 ? precis_rates_with_threads(&rates, (int)s->machine.threads) : rates;
  return status;
}

/* Whose page is wanted, and what of it. */
static int check_schedule(precis_cli *cli, int ranks)
{
  const precis_settings *s = &cli->settings;
  if (s->paper.rounds.last >= 0 && s->paper.schedule < 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--rounds goes with --schedule");
  if (s->paper.schedule >= 0 && s->paper.sweep)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--schedule and --sweep exclude each other");
  if (s->paper.traces != NULL && s->paper.sweep)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--traces and --sweep exclude each other");
  if (s->want.move != PRECIS_MOVE_AUTO && s->paper.sweep)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--move and --sweep exclude each other");
  if (s->paper.schedule >= ranks)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--schedule is %" PRId64 ", must be below --ranks %d",
                              s->paper.schedule, ranks);
  return PRECIS_SUCCESS;
}

static int take(precis_cli *cli, precis_paper *paper)
{
  const precis_settings *s = &cli->settings;
  int files = s->files.input || s->files.q || s->files.k || s->files.v;
  if (s->paper.ranks == 0 && !s->paper.sweep)
    return missing(cli, "--ranks");
  *paper = (precis_paper){.ranks = s->paper.ranks > 0 ? (int)s->paper.ranks : 64,
                          .ranks_per_node =
                              s->paper.ranks_per_node > 0 ? (int)s->paper.ranks_per_node : 1,
                          .spread = s->made.spread,
                          .bound = s->made.bound,
                          .unit = s->made.kind == 1,
                          .signal = s->made.signal,
                          .tol = fmax(s->want.tol, 0),
                          .tol_of = (precis_unit)s->want.tol_of,
                          .degree = (int)s->want.degree,
                          .move = s->paper.sweep ? PRECIS_MOVE_AUTO : precis_settings_move(s),
                          .memory_limit = s->machine.memory_limit,
                          .shared_room = s->machine.shared_memory};
  int status = check_schedule(cli, paper->ranks);
  if (status == PRECIS_SUCCESS)
    status = precis_settings_check_move(s, &cli->why);
  if (status != PRECIS_SUCCESS || s->paper.sweep)
    return status == PRECIS_SUCCESS ? take_machine(cli, paper) : status;
  if (paper->move == PRECIS_MOVE_SUMMARIES && !(paper->tol > 0))
    paper->tol = DBL_MAX; /* whatever they promise */
  status = files ? take_files(cli, paper) : take_options(cli, paper);
  if (status == PRECIS_SUCCESS && paper->tol > 0 && !(paper->spread > 0))
    status = precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--spread is 0, must not be");
  if (status == PRECIS_SUCCESS)
    status = precis_paper_check(paper, &cli->why);
  return status == PRECIS_SUCCESS ? take_machine(cli, paper) : status;
}

static int make(precis_cli *cli, precis_plan_answer *a)
{
  const precis_paper *paper = &a->paper;
  int status = precis_paper_fit_all(paper, &a->fits);
  if (status == PRECIS_SUCCESS)
    status = precis_paper_make(paper, &a->fits, &a->plan, &cli->why);
  if (status == PRECIS_SUCCESS && paper->tol > 0)
    status = precis_paper_cross_keys(paper, &a->fits, &a->keys);
  if (status == PRECIS_SUCCESS && paper->tol > 0)
    status = precis_paper_cross_ranks(paper, &a->fits, &a->ranks);
  if (status == PRECIS_SUCCESS &&
      (cli->settings.paper.schedule >= 0 || cli->settings.paper.traces != NULL))
    status = precis_paper_schedules_make(paper, &a->fits, &a->plan, &a->schedules);
  if (status == PRECIS_SUCCESS && cli->settings.paper.traces != NULL)
    status = precis_plan_write_traces(cli, a);
  return status;
}

/* On rank 0. */
static int answer(precis_cli *cli, const precis_paper *paper)
{
  precis_plan_answer a = {.paper = *paper, .machine = cli->settings.machine.rates};
  precis_draft json = {0};
  int status = precis_json_open(cli, &json);
  if (status == PRECIS_SUCCESS && cli->settings.paper.sweep)
    return precis_plan_sweep(cli, paper, &json);
  if (status == PRECIS_SUCCESS)
    status = make(cli, &a);
  if (status == PRECIS_SUCCESS && cli->settings.files.json != NULL)
    status = cli->settings.paper.schedule >= 0
                 ? precis_plan_save_schedules(cli, &a, precis_plan_object(&a), &json)
                 : precis_json_save(cli, precis_plan_object(&a), &json);
  if (status == PRECIS_SUCCESS && precis_json_leaves_stdout(cli)) {
    precis_plan_print(&a, stdout);
    if (cli->settings.paper.schedule >= 0)
      precis_plan_print_schedules(&a, &cli->settings, stdout);
  }
  precis_paper_schedules_free(&a.schedules);
  precis_draft_discard(&json);
  return status;
}

int precis_command_plan(precis_cli *cli)
{
  precis_paper paper;
  precis_cli_phase(cli, "planning");
  int status = take(cli, &paper);
  if (status == PRECIS_SUCCESS && cli->world.rank == 0)
    status = answer(cli, &paper);
  return precis_cli_agree(cli, status);
}

double precis_plan_tol(const precis_plan_answer *a)
{
  return a->paper.tol < DBL_MAX ? a->paper.tol : 0;
}

const precis_candidate *precis_plan_summary(const precis_plan_answer *a)
{
  return a->plan.fit < 0 ? NULL : &a->fits.fit[a->plan.fit].candidate;
}
