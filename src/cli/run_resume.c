/* run_resume.c - what is done stays done: a checkpoint is kept while a run goes on, and found by
 * the next
 *
 * Rank 0 deals with the file, in the folder of --out; rows stay in the files aside. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/run.h"

enum { TEXT_MOST = 1 << 23 };

static const char SUFFIX[] = ".progress.json";

/* A file is told by its size and by when it was changed. */
static void add_file(precis_facts *facts, const char *name, const precis_file_array *array)
{
  struct stat info;
  if (array->path == NULL || stat(array->path, &info) != 0)
    precis_facts_add(facts, name, "none");
  else
    precis_facts_add(facts, name, "%lld bytes changed at %lld.%09ld, array at %lld",
                     (long long)info.st_size, (long long)info.st_mtim.tv_sec,
                     info.st_mtim.tv_nsec, (long long)array->tensor.offset);
}

/* Everything that the results depend on, but for rounding. */
static void gather_facts(const precis_run *r, precis_facts *facts)
{
  const precis_settings *s = &r->cli->settings;
  const precis_problem *p = &r->input.problem;
  *facts = (precis_facts){.count = 0};
  add_file(facts, "q", &r->input.q);
  add_file(facts, "k", &r->input.k);
  add_file(facts, "v", &r->input.v);
  add_file(facts, "bias", &r->input.bias);
  precis_facts_add(facts, "--causal", "%s", p->causal ? "given" : "not given");
  if (p->causal)
    precis_facts_add(facts, "--first-position", "%" PRId64, r->input.first_position);
  precis_facts_add(facts, "--scale", "%.17g", p->scale);
  precis_facts_add(facts, "--tol", "%.17g", s->want.tol > 0 ? s->want.tol : 0);
  precis_facts_add(facts, "--tol-of", "%s", precis_unit_name((precis_unit)s->want.tol_of));
  precis_facts_add(facts, "--guarantee", "%s",
                   s->want.guarantee == PRECIS_GUARANTEE_SAMPLED ? "sampled" : "bound");
  precis_facts_add(facts, "--move", "%s", precis_move_name((precis_move)s->want.move));
  precis_facts_add(facts, "--degree", "%" PRId64, s->want.degree);
  precis_facts_add(facts, "--lse", "%s", s->files.lse ? "given" : "not given");
  precis_facts_add(facts, "--bounds", "%s",
                   precis_outputs_bounds_in_out(s) ? "a tensor"
                   : s->files.bounds               ? "given"
                                                   : "not given");
}

/* On rank 0. text "": there is no such file. */
static int read_text(precis_run *r, char *text, size_t *length)
{
  FILE *file = fopen(r->progress_path, "r");
  *length = 0;
  if (file == NULL && errno == ENOENT)
    return PRECIS_SUCCESS;
  if (file != NULL) {
    *length = fread(text, 1, TEXT_MOST, file);
    int failed = ferror(file);
    fclose(file);
    if (!failed && *length > 0)
      return PRECIS_SUCCESS;
  }
  return precis_message_set(&r->cli->why, file ? PRECIS_ERR_FORMAT : PRECIS_ERR_IO,
                            "%s: cannot be read%s%s", r->progress_path, file ? "" : ": ",
                            file ? ": it is empty" : strerror(errno));
}

/* On rank 0: whether the file aside is where the checkpoint says. */
static int find_part(precis_run *r, const char *path, const char *name)
{
  precis_draft draft;
  if (path == NULL)
    return PRECIS_SUCCESS;
  int status = precis_draft_reopen(path, name, -1, &draft, &r->cli->why);
  if (status == PRECIS_SUCCESS)
    precis_draft_leave(&draft);
  return status;
}

/* On rank 0. Without its parts a checkpoint is worth nothing: a run has died while it put its
 * outputs in place, or somebody has removed them. */
static int find_parts(precis_run *r, precis_checkpoint *found)
{
  const precis_settings *s = &r->cli->settings;
  int status = find_part(r, s->files.out, found->out);
  if (status == PRECIS_SUCCESS)
    status = find_part(r, s->files.lse, found->lse);
  if (status == PRECIS_SUCCESS && found->bounds[0] != '\0')
    status = find_part(r, s->files.bounds, found->bounds);
  if (status != PRECIS_ERR_IO)
    return status;
  fprintf(stderr, "precis: %s: what it tells of is gone, so that the run starts over\n",
          r->progress_path);
  r->cli->why.text[0] = '\0';
  found->rows = 0;
  r->start_over = 1;
  return PRECIS_SUCCESS;
}

/* On rank 0. */
static int read_checkpoint(precis_run *r, precis_checkpoint *found)
{
  precis_message *why = &r->cli->why;
  precis_facts facts;
  size_t length;
  char *text = malloc(TEXT_MOST);
  if (text == NULL)
    return PRECIS_ERR_MEMORY;
  int status = read_text(r, text, &length);
  if (status == PRECIS_SUCCESS && length > 0) {
    status = precis_checkpoint_parse(r->progress_path, text, length, found, why);
    gather_facts(r, &facts);
    if (status == PRECIS_SUCCESS)
      status = precis_checkpoint_compare(r->progress_path, &found->facts, &facts, why);
    if (status == PRECIS_SUCCESS && found->of != r->input.queries)
      status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: \"of\" is not %" PRId64,
                                  r->progress_path, r->input.queries);
    if (status == PRECIS_SUCCESS && found->worth.heads != r->worth.heads)
      status = precis_message_set(why, PRECIS_ERR_FORMAT, "%s: \"heads\" are not %d",
                                  r->progress_path, r->worth.heads);
    if (status == PRECIS_SUCCESS)
      status = find_parts(r, found);
  }
  free(text);
  return status;
}

static int make_path(precis_run *r)
{
  const char *out = r->cli->settings.files.out;
  r->progress_path = malloc(strlen(out) + sizeof SUFFIX);
  if (r->progress_path != NULL)
    strcat(strcpy(r->progress_path, out), SUFFIX);
  return precis_cli_agree(r->cli, r->progress_path ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
}

void precis_run_offer_restart(precis_run *r, int status)
{
  precis_message why = r->cli->why;
  precis_message_set(&r->cli->why, status, "%.430s; --restart starts over", why.text);
}

/* From rank 0 to all. */
static int share_worth(precis_run *r, precis_checkpoint *found)
{
  precis_worth *w = &r->worth;
  if (r->cli->world.rank == 0) {
    precis_worth_free(w);
    *w = found->worth;
  }
  found->worth = (precis_worth){0};
  int counts[1] = {w->count}, failed;
  failed = MPI_Bcast(counts, 1, MPI_INT, 0, r->cli->world.comm) ||
           MPI_Bcast(w->end, PRECIS_WORTH_STRETCHES, MPI_INT64_T, 0, r->cli->world.comm) ||
           MPI_Bcast(w->array, (int)precis_worth_numbers(w), MPI_DOUBLE, 0, r->cli->world.comm);
  w->count = counts[0];
  return failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS;
}

int precis_run_look(precis_run *r)
{
  precis_cli *cli = r->cli;
  precis_checkpoint found = {.rows = 0};
  if (cli->settings.files.out == NULL)
    return PRECIS_SUCCESS;
  int status = make_path(r);
  r->start_over = cli->settings.run.restart;
  if (status == PRECIS_SUCCESS && cli->world.rank == 0 && !r->start_over) {
    status = read_checkpoint(r, &found);
    if (status != PRECIS_SUCCESS)
      precis_run_offer_restart(r, status);
  }
  status = precis_cli_agree(cli, status);
  precis_worth own = found.worth;
  if (status == PRECIS_SUCCESS &&
      MPI_Bcast(&found, (int)sizeof found, MPI_BYTE, 0, cli->world.comm))
    status = PRECIS_ERR_MPI;
  found.worth = own;
  if (status == PRECIS_SUCCESS && found.rows > 0)
    status = share_worth(r, &found);
  precis_worth_free(&found.worth);
  if (status != PRECIS_SUCCESS || found.rows == 0)
    return status;
  r->checkpoint = found;
  r->done = r->report.batches.resumed_rows = found.rows;
  r->report.attend.estimate = found.estimate > 0;
  r->report.attend.promise = found.estimate;
  return status;
}

/* On rank 0. */
static void remove_part(const char *path, const char *name)
{
  precis_draft draft;
  if (path != NULL && precis_draft_reopen(path, name, -1, &draft, NULL) == PRECIS_SUCCESS)
    precis_draft_discard(&draft);
}

/* On rank 0. What cannot be understood names no parts. */
static int remove_checkpoint(precis_run *r)
{
  const precis_settings *s = &r->cli->settings;
  precis_checkpoint old;
  size_t length;
  char *text = malloc(TEXT_MOST);
  if (text == NULL)
    return PRECIS_ERR_MEMORY;
  if (read_text(r, text, &length) == PRECIS_SUCCESS && length > 0 &&
      precis_checkpoint_parse(r->progress_path, text, length, &old, NULL) == PRECIS_SUCCESS) {
    remove_part(s->files.out, old.out);
    remove_part(s->files.lse, old.lse);
    if (old.bounds[0] != '\0')
      remove_part(s->files.bounds, old.bounds);
    precis_worth_free(&old.worth);
  }
  free(text);
  if (unlink(r->progress_path) != 0 && errno != ENOENT)
    return precis_message_set(&r->cli->why, PRECIS_ERR_IO, "%s: cannot be removed: %s",
                              r->progress_path, strerror(errno));
  return PRECIS_SUCCESS;
}

int precis_run_forget(precis_run *r)
{
  int status = PRECIS_SUCCESS;
  if (r->progress_path != NULL && r->cli->world.rank == 0 && r->start_over)
    status = remove_checkpoint(r);
  return precis_cli_agree(r->cli, status);
}

/* On rank 0, where all rows are safe. */
static int write_checkpoint(precis_run *r)
{
  precis_cli *cli = r->cli;
  precis_checkpoint *c = &r->checkpoint;
  precis_draft draft;
  char *text = NULL;
  *c = (precis_checkpoint){.rows = r->done,
                           .of = r->input.queries,
                           .estimate = r->report.attend.estimate ? r->report.attend.promise : 0,
                           .worth = r->worth};
  snprintf(c->out, sizeof c->out, "%s", precis_outputs_part(r->outputs.out));
  snprintf(c->lse, sizeof c->lse, "%s", precis_outputs_part(r->outputs.lse));
  snprintf(c->bounds, sizeof c->bounds, "%s", precis_outputs_part(r->outputs.bounds));
  gather_facts(r, &c->facts);
  int status = precis_checkpoint_format(c, &text, &cli->why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_watchdog_hold(&cli->watchdog);
  status = precis_draft_create(r->progress_path, &draft, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_write(&draft, text, (int64_t)strlen(text), 0, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_draft_commit(&draft, &cli->why);
  else
    precis_draft_discard(&draft);
  precis_watchdog_guard(&cli->watchdog, NULL);
  free(text);
  return status;
}

int precis_run_save(precis_run *r)
{
  precis_cli *cli = r->cli;
  double start = precis_cli_phase(cli, "making outputs safe");
  int64_t before = r->checkpoint.rows;
  int status = precis_outputs_save(cli, &r->outputs);
  if (status == PRECIS_SUCCESS && cli->world.rank == 0)
    status = write_checkpoint(r);
  status = precis_cli_agree(cli, status);
  r->checkpoint.rows = status == PRECIS_SUCCESS ? r->done : before;
  if (status == PRECIS_SUCCESS)
    precis_outputs_spare(cli, &r->outputs);
  r->report.seconds_write += precis_cli_phase(cli, "going on") - start;
  return status;
}

/* The same would happen again. */
static int hopeless(int status)
{
  return status == PRECIS_ERR_NONFINITE || status == PRECIS_ERR_RANGE ||
         status == PRECIS_ERR_TOLERANCE || status == PRECIS_ERR_INTERNAL;
}

/* Whatever it told of is complete, or gone. */
static void drop_checkpoint(precis_run *r)
{
  if (r->checkpoint.rows > 0 && r->cli->world.rank == 0)
    unlink(r->progress_path);
  r->checkpoint.rows = 0;
}

int precis_run_commit(precis_run *r)
{
  double start = precis_cli_phase(r->cli, "writing outputs");
  int status = precis_outputs_commit(r->cli, &r->outputs);
  if (status == PRECIS_SUCCESS)
    drop_checkpoint(r);
  r->report.seconds_write += precis_cli_phase(r->cli, "reporting") - start;
  return status;
}

void precis_run_leave(precis_run *r, int status)
{
  precis_message why = r->cli->why;
  int failed = status != PRECIS_SUCCESS, resumable = r->checkpoint.rows > 0 && !hopeless(status);
  if (resumable)
    precis_outputs_leave(&r->outputs);
  if (resumable && failed && status != PRECIS_ERR_FORMAT)
    precis_message_set(&r->cli->why, status, "%.400s (the same command resumes what is done)",
                       why.text[0] ? why.text : precis_strerror(status));
  precis_outputs_discard(&r->outputs);
  if (!resumable)
    drop_checkpoint(r);
}
