/* check.c - precis check: two outputs, or an output and double precision */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "mpi/files/files.h"
#include "mpi/measure/verify.h"
#include "src/cli/compare.h"
#include "src/cli/input.h"
#include "src/cli/cli.h"
#include "src/cli/label.h"

static int judge(precis_cli *cli, const char *what, double error)
{
  double tol = cli->settings.want.tol;
  if (tol < 0 || error <= tol)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_TOLERANCE, "%s: %.3g exceeds --tol %g", what,
                            error, tol);
}

static int check_two(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  precis_difference d;
  precis_cli_phase(cli, "comparing the files");
  int status = precis_compare_files(cli, s->operands[0], s->operands[1], &d);
  if (status != PRECIS_SUCCESS)
    return status;
  if (precis_cli_prints(cli))
    printf("largest difference %.3g: %.3g of what rows differ by, %.3g of its column's range\n",
           d.absolute, d.outputs, d.relative);
  if (s->want.tol_of == PRECIS_UNIT_LSE)
    return judge(cli, "difference", d.absolute);
  return judge(cli, "relative difference",
               s->want.tol_of == PRECIS_UNIT_RANGE ? d.relative : d.outputs);
}

/* What the callbacks of precis_verify() read from. */
typedef struct files {
  precis_cli *cli;
  precis_input input;
  precis_file_array out, lse;
} files;

static int read_queries(void *context, int64_t count, const int64_t *rows, float *q, float *out,
                        float *lse, precis_message *why)
{
  files *f = context;
  int64_t q_width = precis_tensor_row_elements(&f->input.q.tensor);
  int64_t out_width = precis_tensor_row_elements(&f->out.tensor);
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; i < count && status == PRECIS_SUCCESS; i++) {
    status = precis_file_read(&f->cli->world, &f->input.q, rows[i], 1, PRECIS_FILE_FINITE,
                              q + i * q_width, why);
    if (status == PRECIS_SUCCESS)
      status = precis_file_read(&f->cli->world, &f->out, rows[i], 1, PRECIS_FILE_FINITE,
                                out + i * out_width, why);
    if (status == PRECIS_SUCCESS && lse != NULL)
      status = precis_file_read(&f->cli->world, &f->lse, rows[i], 1, PRECIS_FILE_LOGS,
                                lse + i * f->input.problem.heads, why);
  }
  return status;
}

static int read_all_queries(void *context, int64_t first, int64_t rows, float *q,
                            precis_message *why)
{
  files *f = context;
  return precis_file_read(&f->cli->world, &f->input.q, first, rows, PRECIS_FILE_FINITE, q, why);
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
  int status = precis_input_open_file(cli, cli->settings.files.out, "out", NULL, &f->out);
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

/* --lse, or a tensor beside the outputs, if lse is to be judged. */
static int open_lse(precis_cli *cli, files *f)
{
  const precis_settings *s = &cli->settings;
  if (s->files.lse == NULL && s->want.tol_of != PRECIS_UNIT_LSE)
    return PRECIS_SUCCESS;
  int status =
      precis_input_open_file(cli, s->files.lse ? s->files.lse : s->files.out, "lse", NULL, &f->lse);
  if (status != PRECIS_SUCCESS)
    return status;
  const precis_tensor *lse = &f->lse.tensor;
  if (lse->axes == 2 && lse->shape[0] == f->input.queries &&
      lse->shape[1] == f->input.problem.heads)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s does not fit %s%s",
                            precis_label_of(&f->lse).text, precis_label_of(&f->input.q).text,
                            s->files.lse ? "" : "; name the results to check with --lse");
}

static void print(const precis_verify_result *found)
{
  printf("largest error over %lld rows", (long long)found->rows);
  if (isfinite(found->mean_signal))
    printf(" %.3g of what a row's query changes (R about %.3g, from these rows; the mean query's "
           "results for all: %.3g),",
           found->max_error_outputs, found->mean_signal, found->trivial);
  printf(" %.3g of the value range, relative %.3g\n", found->max_error_range,
         found->relative_error);
  if (found->constant_heads > 0)
    printf("%d heads do not change with the query, and count by the value range\n",
           found->constant_heads);
  if (!isnan(found->max_error_lse))
    printf("largest error of lse %.3g\n", found->max_error_lse);
}

static int check_out(precis_cli *cli)
{
  files f = {.cli = cli};
  precis_verify_result found;
  precis_cli_phase(cli, "checking against double precision");
  int status = precis_input_open(cli, &f.input);
  if (status == PRECIS_SUCCESS)
    status = open_out(cli, &f);
  if (status == PRECIS_SUCCESS)
    status = open_lse(cli, &f);
  if (status == PRECIS_SUCCESS) {
    precis_verify_job verify = {.problem = f.input.problem,
                                .queries = f.input.queries,
                                .keys = f.input.keys,
                                .first_position = f.input.first_position,
                                .has_bias = f.input.has_bias,
                                .has_lse = f.lse.path != NULL,
                                .tol_of = (precis_unit)cli->settings.want.tol_of,
                                .rows = cli->settings.check.rows ? cli->settings.check.rows : 64};
    precis_verify_source source = {read_queries, read_all_queries, read_keys, &f};
    status = precis_verify(&cli->world, &verify, &source, &found, &cli->why);
  }
  precis_file_close(&f.lse);
  precis_file_close(&f.out);
  precis_input_close(&f.input);
  if (status != PRECIS_SUCCESS)
    return status;
  if (precis_cli_prints(cli))
    print(&found);
  return judge(cli, "error against double precision", found.max_error);
}

/* Flags of the second form, which the first does not take. */
static const char *second_form(const precis_settings *s)
{
  return s->files.input                 ? "--input"
         : s->files.q                   ? "--q"
         : s->files.k                   ? "--k"
         : s->files.v                   ? "--v"
         : s->files.bias                ? "--bias"
         : s->files.out                 ? "--out"
         : s->files.lse                 ? "--lse"
         : s->check.rows                ? "--rows"
         : s->shape.causal              ? "--causal"
         : s->shape.scale != 0          ? "--scale"
         : s->shape.first_position >= 0 ? "--first-position"
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
  if (s->files.out == NULL)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--out is missing: the outputs to check");
  return check_out(cli);
}
