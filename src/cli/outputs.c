#include "src/cli/outputs.h"

#include <string.h>

#include "src/cli/json.h"
#include "src/cli/suffix.h"

int precis_outputs_bounds_in_out(const precis_settings *s)
{
  return s->files.out != NULL && s->files.bounds != NULL &&
         strcmp(s->files.out, s->files.bounds) == 0 && precis_ends_in(s->files.out, ".safetensors");
}

/* A file must not be written over another that is read or written. */
static int check_names(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  const struct {
    const char *flag, *path;
    int written;
  } names[] = {{"--out", s->files.out, 1},
               {"--lse", s->files.lse, 1},
               {"--bounds", precis_outputs_bounds_in_out(s) ? NULL : s->files.bounds, 1},
               {"--json", s->files.json, 1},
               {"--input", s->files.input, 0},
               {"--q", s->files.q, 0},
               {"--k", s->files.k, 0},
               {"--v", s->files.v, 0},
               {"--bias", s->files.bias, 0}};
  const int count = (int)(sizeof names / sizeof *names);
  for (int i = 0; i < count; i++)
    for (int j = i + 1; names[i].written && names[i].path != NULL && j < count; j++)
      if (names[j].path != NULL && strcmp(names[i].path, names[j].path) == 0)
        return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                                  "%s and %s name the same file, '%s'", names[i].flag,
                                  names[j].flag, names[i].path);
  if (s->files.lse != NULL && !precis_ends_in(s->files.lse, ".npy"))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--lse is '%s', must end in .npy",
                              s->files.lse);
  if (s->files.bounds != NULL && !precis_outputs_bounds_in_out(s) &&
      !precis_ends_in(s->files.bounds, ".npy"))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--bounds is '%s', must end in .npy, or be the .safetensors file of "
                              "--out",
                              s->files.bounds);
  return PRECIS_SUCCESS;
}

static int open_json(precis_cli *cli, precis_outputs *outputs)
{
  int status = cli->world.rank == 0 ? precis_json_open(cli, &outputs->json) : PRECIS_SUCCESS;
  return precis_cli_agree(cli, status);
}

/* part: what an earlier run left of it. */
static int open_writer(precis_cli *cli, const char *path, const precis_output *arrays, int count,
                       int64_t done, const char *part, precis_writer **writer)
{
  if (done > 0)
    return precis_writer_resume(&cli->world, path, arrays, count, part, done, writer, &cli->why);
  precis_watchdog_hold(&cli->watchdog);
  int status = precis_writer_create(&cli->world, path, arrays, count, writer, &cli->why);
  precis_watchdog_guard(&cli->watchdog,
                        status == PRECIS_SUCCESS ? precis_writer_aside(*writer) : NULL);
  return status;
}

int precis_outputs_open(precis_cli *cli, const precis_input *input, const precis_checkpoint *from,
                        precis_outputs *outputs)
{
  const precis_settings *s = &cli->settings;
  const precis_problem *p = &input->problem;
  const precis_output out = {"out", 3, {input->queries, p->heads, p->value_dim}},
                      lse = {"lse", 2, {input->queries, p->heads}},
                      bounds = {"bounds", 2, {input->queries, p->heads}},
                      all[] = {out, lse, bounds};
  int status = check_names(cli);
  if (status == PRECIS_SUCCESS)
    status = open_json(cli, outputs);
  if (status == PRECIS_SUCCESS && s->files.out != NULL) {
    outputs->out_has_lse = precis_ends_in(s->files.out, ".safetensors");
    outputs->out_has_bounds = precis_outputs_bounds_in_out(s);
    int count = 1 + outputs->out_has_lse + outputs->out_has_bounds;
    status = open_writer(cli, s->files.out, all, count, from->rows, from->out, &outputs->out);
  }
  if (status == PRECIS_SUCCESS && s->files.lse != NULL)
    status = open_writer(cli, s->files.lse, &lse, 1, from->rows, from->lse, &outputs->lse);
  if (status == PRECIS_SUCCESS && s->files.bounds != NULL && !outputs->out_has_bounds)
    status =
        open_writer(cli, s->files.bounds, &bounds, 1, from->rows, from->bounds, &outputs->bounds);
  return status;
}

int precis_outputs_want_lse(const precis_outputs *outputs)
{
  return outputs->lse != NULL || outputs->out_has_lse;
}

int precis_outputs_want_bounds(const precis_outputs *outputs)
{
  return outputs->bounds != NULL || outputs->out_has_bounds;
}

int precis_outputs_write(precis_cli *cli, precis_outputs *outputs, int64_t first, int64_t rows,
                         int again, const precis_results *results)
{
  const struct {
    precis_writer *writer; /* NULL: nothing to do */
    int array;
    const float *data;
  } all[] = {{outputs->out, 0, results->out},
             {outputs->out_has_lse ? outputs->out : NULL, 1, results->lse},
             {outputs->out_has_bounds ? outputs->out : NULL, 2, results->bounds},
             {outputs->lse, 0, results->lse},
             {outputs->bounds, 0, results->bounds}};
  int status = PRECIS_SUCCESS;
  for (size_t i = 0; i < sizeof all / sizeof *all && status == PRECIS_SUCCESS; i++)
    if (all[i].writer != NULL)
      status = (again ? precis_writer_again : precis_writer_rows)(
          all[i].writer, all[i].array, first, rows, all[i].data, &cli->why);
  return status;
}

const char *precis_outputs_part(const precis_writer *writer)
{
  return writer != NULL ? precis_draft_name(precis_writer_aside(writer)) : "";
}

int precis_outputs_save(precis_cli *cli, precis_outputs *outputs)
{
  int status = PRECIS_SUCCESS;
  if (outputs->out != NULL)
    status = precis_writer_save(outputs->out, &cli->why);
  if (status == PRECIS_SUCCESS && outputs->lse != NULL)
    status = precis_writer_save(outputs->lse, &cli->why);
  if (status == PRECIS_SUCCESS && outputs->bounds != NULL)
    status = precis_writer_save(outputs->bounds, &cli->why);
  /* What a checkpoint tells of must not go with this process. */
  const precis_writer *all[] = {outputs->out, outputs->lse, outputs->bounds};
  for (int i = 0; i < 3 && status == PRECIS_SUCCESS; i++)
    if (all[i] != NULL)
      precis_janitor_spare(&cli->watchdog.janitor, precis_writer_aside(all[i]));
  return status;
}

void precis_outputs_spare(precis_cli *cli, const precis_outputs *outputs)
{
  const precis_writer *all[] = {outputs->out, outputs->lse, outputs->bounds};
  for (int i = 0; i < 3; i++)
    if (all[i] != NULL)
      precis_watchdog_spare(&cli->watchdog, precis_writer_aside(all[i]));
}

int precis_outputs_commit(precis_cli *cli, precis_outputs *outputs)
{
  int status = PRECIS_SUCCESS;
  if (outputs->lse != NULL)
    status = precis_writer_commit(&outputs->lse, &cli->why);
  if (status == PRECIS_SUCCESS && outputs->bounds != NULL)
    status = precis_writer_commit(&outputs->bounds, &cli->why);
  if (status == PRECIS_SUCCESS && outputs->out != NULL)
    status = precis_writer_commit(&outputs->out, &cli->why);
  return status;
}

void precis_outputs_leave(precis_outputs *outputs)
{
  precis_writer_leave(&outputs->out);
  precis_writer_leave(&outputs->lse);
  precis_writer_leave(&outputs->bounds);
}

void precis_outputs_discard(precis_outputs *outputs)
{
  precis_writer_discard(&outputs->out);
  precis_writer_discard(&outputs->lse);
  precis_writer_discard(&outputs->bounds);
  precis_draft_discard(&outputs->json);
}
