/* gen.c - precis gen: a file of random queries, keys and values */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/files/files.h"
#include "src/cli/cli.h"
#include "src/oracle/generate.h"
#include "src/base/problem.h"
#include "src/base/share.h"

/* Bytes of rows made at once. */
static const int64_t TURN_BYTES = 8 << 20;

static int missing(precis_cli *cli, const char *option)
{
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s is missing", option);
}

static int make_recipe(precis_cli *cli, precis_recipe *recipe)
{
  precis_settings *s = &cli->settings;
  if (s->shape.tokens == 0)
    return missing(cli, "--tokens");
  if (s->shape.heads == 0)
    return missing(cli, "--heads");
  if (s->shape.dim == 0)
    return missing(cli, "--dim");
  if (s->made.kind < 0)
    return missing(cli, "--kind");
  if (s->files.out == NULL)
    return missing(cli, "-o");
  const char *ending = strrchr(s->files.out, '.');
  if (ending == NULL || strcmp(ending, ".safetensors") != 0)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "-o is '%s', must end in .safetensors", s->files.out);
  if (s->shape.queries == 0)
    s->shape.queries = s->shape.tokens;
  *recipe = (precis_recipe){.kind = (precis_kind)s->made.kind,
                            .spread = s->made.spread,
                            .seed = (uint64_t)s->made.seed,
                            .decay = s->made.decay,
                            .key_decay = s->made.key_decay,
                            .signal = s->made.signal,
                            .heavy = s->made.heavy,
                            .problem = {.heads = (int)s->shape.heads,
                                        .kv_heads = (int)s->shape.kv_heads,
                                        .dim = (int)s->shape.dim,
                                        .value_dim = (int)s->shape.value_dim}};
  return precis_problem_settle(&recipe->problem, &cli->why);
}

/* One tensor: each rank makes its own rows. */
static int write_tensor(precis_cli *cli, const precis_recipe *recipe, precis_role role,
                        int64_t total, precis_writer *writer)
{
  int64_t width = precis_generate_width(recipe, role);
  precis_turns turns = precis_turns_plan(total, cli->world.ranks, cli->world.rank,
                                         width * (int64_t)sizeof(float), TURN_BYTES);
  float *rows = NULL;
  int status = precis_cli_floats(cli, "generated rows", turns.turn_rows, width, &rows);
  for (int64_t i = 0; status == PRECIS_SUCCESS && i < turns.count; i++) {
    int64_t first = precis_turns_first(&turns, i), count = precis_turns_rows(&turns, i);
    precis_generate_rows(recipe, role, first, count, rows);
    status = precis_writer_rows(writer, (int)role, first, count, rows, &cli->why);
  }
  free(rows);
  return status;
}

int precis_command_gen(precis_cli *cli)
{
  precis_recipe recipe;
  int status = make_recipe(cli, &recipe);
  if (status != PRECIS_SUCCESS)
    return status;
  const precis_settings *s = &cli->settings;
  const precis_problem *p = &recipe.problem;
  precis_output arrays[] = {{"q", 3, {s->shape.queries, p->heads, p->dim}},
                            {"k", 3, {s->shape.tokens, p->kv_heads, p->dim}},
                            {"v", 3, {s->shape.tokens, p->kv_heads, p->value_dim}}};
  precis_cli_phase(cli, "writing the file");
  precis_writer *writer = NULL;
  precis_watchdog_hold(&cli->watchdog);
  status = precis_writer_create(&cli->world, s->files.out, arrays, 3, &writer, &cli->why);
  precis_watchdog_guard(&cli->watchdog,
                        status == PRECIS_SUCCESS ? precis_writer_aside(writer) : NULL);
  for (int i = 0; i < 3 && status == PRECIS_SUCCESS; i++)
    status = write_tensor(cli, &recipe, (precis_role)i, arrays[i].shape[0], writer);
  if (status == PRECIS_SUCCESS)
    status = precis_writer_commit(&writer, &cli->why);
  precis_writer_discard(&writer);
  if (status == PRECIS_SUCCESS && precis_cli_prints(cli))
    for (int i = 0; i < 3; i++)
      printf("%s (%" PRId64 ", %" PRId64 ", %" PRId64 ")%s", arrays[i].name, arrays[i].shape[0],
             arrays[i].shape[1], arrays[i].shape[2], i < 2 ? ", " : "\n");
  return status;
}
