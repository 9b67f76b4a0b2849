/* check.c - precis check: two outputs, or an output and double precision */
#include <stdio.h>
#include <stdlib.h>

#include "mpi/files.h"
#include "mpi/verify.h"
#include "src/cli/compare.h"
#include "src/cli/input.h"
#include "src/cli/cli.h"
#include "src/cli/label.h"

static int judge(precis_cli *cli, const char *what, double error)
{
  double tol = cli->settings.tol;
  if (tol < 0 || error <= tol)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_TOLERANCE, "%s: %.3g exceeds --tol %g", what,
                            error, tol);
}

static int check_two(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  precis_difference difference;
  precis_cli_phase(cli, "comparing the files");
  int status = precis_compare_files(cli, s->operands[0], s->operands[1], &difference);
  if (status != PRECIS_SUCCESS)
    return status;
  if (precis_cli_prints(cli))
    printf("largest difference %.3g, relative to its column's range %.3g\n", difference.absolute,
           difference.relative);
  return judge(cli, "relative difference", difference.relative);
}

/* What the callbacks of precis_verify() read from. */
typedef struct files {
  precis_cli *cli;
  precis_input input;
  precis_file_array out;
} files;

static int read_queries(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                        precis_message *why)
{
  files *f = context;
  int64_t q_width = precis_tensor_row_elements(&f->input.q.tensor);
  int64_t out_width = precis_tensor_row_elements(&f->out.tensor);
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < count && status == PRECIS_SUCCESS; i++) {
    status = precis_file_read(&f->cli->world, &f->input.q, rows[i], 1, 0, q + i * q_width, why);
    if (status == PRECIS_SUCCESS)
      status = precis_file_read(&f->cli->world, &f->out, rows[i], 1, 0, out + i * out_width, why);
  }
  return status;
}

static int read_keys(void *context, int64_t first, int64_t rows, float *k, float *v, float *bias,
                     precis_message *why)
{
  files *f = context;
  (void)why; /* it is cli->why */
  return precis_input_read_keys(f->cli, &f->input, first, rows, k, v, bias);
}

static int open_out(precis_cli *cli, files *f)
{
  int status = precis_input_open_file(cli, cli->settings.out, "out", NULL, &f->out);
  if (status != PRECIS_SUCCESS)
    return status;
  const precis_tensor *out = &f->out.tensor;
  const precis_problem *p = &f->input.problem;
  if (out->axes == 3 && out->shape[0] == f->input.queries && out->shape[1] == p->heads &&
      out->shape[2] == p->value_dim)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s does not fit %s and %s",
                            precis_label_of(&f->out).text, precis_label_of(&f->input.q).text,
                            precis_label_of(&f->input.v).text);
}

static int check_out(precis_cli *cli)
{
  files f = {.cli = cli};
  precis_verify_result found;
  precis_cli_phase(cli, "checking against double precision");
  int status = precis_input_open(cli, &f.input);
  if (status == PRECIS_SUCCESS)
    status = open_out(cli, &f);
  if (status == PRECIS_SUCCESS) {
    precis_verify_job verify = {.problem = f.input.problem,
                                .queries = f.input.queries,
                                .keys = f.input.keys,
                                .first_position = f.input.first_position,
                                .has_bias = f.input.has_bias,
                                .rows = cli->settings.rows ? cli->settings.rows : 64};
    precis_verify_source source = {read_queries, read_keys, &f};
    status = precis_verify(&cli->world, &verify, &source, &found, &cli->why);
  }
  precis_file_close(&f.out);
  precis_input_close(&f.input);
  if (status != PRECIS_SUCCESS)
    return status;
  if (precis_cli_prints(cli))
    printf("largest error over %lld rows %.3g of the value range, relative %.3g\n",
           (long long)found.rows, found.max_error, found.relative_error);
  return judge(cli, "error against double precision", found.max_error);
}

/* Flags of the second form, which the first does not take. */
static const char *second_form(const precis_settings *s)
{
  return s->input                 ? "--input"
         : s->q                   ? "--q"
         : s->k                   ? "--k"
         : s->v                   ? "--v"
         : s->bias                ? "--bias"
         : s->out                 ? "--out"
         : s->rows                ? "--rows"
         : s->causal              ? "--causal"
         : s->scale != 0          ? "--scale"
         : s->first_position >= 0 ? "--first-position"
                                  : NULL;
}

int precis_command_check(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  const char *flag = second_form(s);
  if (s->operand_count > 0 && flag != NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "%s and two files to compare exclude each other", flag);
  if (s->operand_count == 2)
    return check_two(cli);
  if (s->operand_count == 1)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "precis check compares two files, '%s' is one", s->operands[0]);
  if (flag == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "nothing to check; see precis check --help");
  if (s->out == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--out is missing: the outputs to check");
  return check_out(cli);
}
