#include "src/cli/input.h"

#include <inttypes.h>
#include <stdio.h>

#include "src/cli/input_names.h"
#include "src/cli/label.h"
#include "src/cli/suffix.h"
#include "src/base/problem.h"

static int check_options(precis_cli *cli)
{
  const precis_settings *s = &cli->settings;
  int single =
      s->files.q != NULL || s->files.k != NULL || s->files.v != NULL || s->files.bias != NULL;
  if (s->files.input != NULL && single)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--input and --%s exclude each other",
                              s->files.q   ? "q"
                              : s->files.k ? "k"
                              : s->files.v ? "v"
                                           : "bias");
  if (s->files.input != NULL && precis_ends_in(s->files.input, ".npy"))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--input is '%s', which holds one array only: name three, --q Q.npy "
                              "--k K.npy --v V.npy, or a .safetensors or .npz file of all",
                              s->files.input);
  if (s->files.input == NULL && !single)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--input is missing (or --q, --k and --v)");
  if (s->files.input == NULL && (s->files.q == NULL || s->files.k == NULL || s->files.v == NULL))
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "--%s is missing: --q, --k and --v go together",
                              s->files.q == NULL   ? "q"
                              : s->files.k == NULL ? "k"
                                                   : "v");
  if (s->shape.first_position >= 0 && !s->shape.causal)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "--first-position needs --causal");
  return PRECIS_SUCCESS;
}

static int check_names(precis_cli *cli)
{
  const precis_setting_files *f = &cli->settings.files;
  const char *given = f->prefix      ? "--prefix"
                      : f->q_name    ? "--q-name"
                      : f->k_name    ? "--k-name"
                      : f->v_name    ? "--v-name"
                      : f->bias_name ? "--bias-name"
                                     : NULL;
  if (given == NULL || f->input != NULL)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s is of tensors in --input", given);
}

int precis_input_open_file(precis_cli *cli, const char *path, const char *name, int *found,
                           precis_file_array *array)
{
  int status = precis_file_open(&cli->world, path, name, found, array, &cli->why);
  return status == PRECIS_ERR_IO ? PRECIS_ERR_FORMAT : status;
}

static int refuse_axes(precis_cli *cli, const char *source, const char *name, int axes,
                       const precis_tensor *tensor)
{
  const char *remedy = axes == 1 ? "(keys)"
                       : tensor->axes == 4
                           ? "(tokens, heads, dim). Of a batch (batch, heads, tokens, "
                             "dim), as PyTorch has it, write x[0].transpose(0, 1)"
                           : "(tokens, heads, dim)";
  return precis_message_set(
      &cli->why, PRECIS_ERR_ARGUMENT, "%s: %s has shape %s, must have %d %s: %s", source, name,
      precis_tensor_shape_text(tensor).text, axes, axes == 1 ? "axis" : "axes", remedy);
}

/* found NULL: the array must be there. given: the name of the tensor in --input, or NULL. */
static int open_array(precis_cli *cli, const char *path, const char *given, const char *role,
                      int axes, int *found, precis_file_array *array)
{
  char name[PRECIS_INPUT_NAME];
  const char *source = path ? path : cli->settings.files.input;
  int status = precis_input_name(cli, path ? NULL : given, role, name);
  if (status == PRECIS_SUCCESS)
    status = precis_input_open_file(cli, source, name, found, array);
  if (status != PRECIS_SUCCESS || (found != NULL && !*found))
    return status;
  return array->tensor.axes == axes ? PRECIS_SUCCESS
                                    : refuse_axes(cli, source, name, axes, &array->tensor);
}

static int open_arrays(precis_cli *cli, precis_input *input)
{
  const precis_settings *s = &cli->settings;
  const precis_setting_files *f = &s->files;
  int status = open_array(cli, f->q, f->q_name, "q", 3, NULL, &input->q);
  if (status == PRECIS_SUCCESS)
    status = open_array(cli, f->k, f->k_name, "k", 3, NULL, &input->k);
  if (status == PRECIS_SUCCESS)
    status = open_array(cli, f->v, f->v_name, "v", 3, NULL, &input->v);
  if (status != PRECIS_SUCCESS || (f->input == NULL && f->bias == NULL))
    return status;
  input->has_bias = 1;
  int must = f->bias != NULL || f->bias_name != NULL;
  return open_array(cli, f->bias, f->bias_name, "bias", 1, must ? NULL : &input->has_bias,
                    &input->bias);
}

static int mismatch(precis_cli *cli, const precis_file_array *a, const precis_file_array *b,
                    const char *rule)
{
  precis_label first = precis_label_of(a), second = precis_label_of(b);
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s does not fit %s: %s", first.text,
                            second.text, rule);
}

static int check_shapes(precis_cli *cli, const precis_input *in)
{
  const int64_t *q = in->q.tensor.shape, *k = in->k.tensor.shape, *v = in->v.tensor.shape;
  if (q[2] != k[2])
    return mismatch(cli, &in->q, &in->k, "the last axes differ");
  if (k[0] != v[0])
    return mismatch(cli, &in->k, &in->v, "the numbers of tokens differ");
  if (k[1] != v[1])
    return mismatch(cli, &in->k, &in->v, "the numbers of heads differ");
  if (k[1] < 1 || q[1] % k[1] != 0)
    return mismatch(cli, &in->q, &in->k, "heads of q must be a multiple of heads of k");
  if (in->has_bias && in->bias.tensor.shape[0] != k[0])
    return mismatch(cli, &in->bias, &in->k, "a bias is one number for each key");
  const precis_file_array *all[] = {&in->q, &in->k, &in->v};
  for (int i = 0; i < 3; i++) {
    const int64_t *shape = all[i]->tensor.shape;
    if (shape[0] >= 1 && shape[1] >= 1 && shape[1] <= PRECIS_HEADS_MAX && shape[2] >= 1 &&
        shape[2] <= PRECIS_DIM_MAX)
      continue;
    precis_label bad = precis_label_of(all[i]);
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "%s: tokens and heads must be at least 1, the last axis from 1 to %d",
                              bad.text, PRECIS_DIM_MAX);
  }
  return PRECIS_SUCCESS;
}

/* Arrays (heads, tokens, dim) are valid ones of other meaning. */
static void warn_of_order(precis_cli *cli, const precis_input *in)
{
  const int64_t *k = in->k.tensor.shape;
  if (cli->world.rank == 0 && k[1] > 4 * k[0] && k[0] > 1)
    fprintf(stderr,
            "precis: warning: k has %" PRId64 " tokens of %" PRId64
            " heads: axes are (tokens, heads, "
            "dim); of (heads, tokens, dim) write x.transpose(1, 0, 2)\n",
            k[0], k[1]);
}

int precis_input_open(precis_cli *cli, precis_input *input)
{
  const precis_settings *s = &cli->settings;
  int status = check_options(cli);
  if (status == PRECIS_SUCCESS)
    status = check_names(cli);
  if (status == PRECIS_SUCCESS)
    status = open_arrays(cli, input);
  if (status == PRECIS_SUCCESS)
    status = check_shapes(cli, input);
  if (status == PRECIS_SUCCESS && s->files.input != NULL)
    status = precis_input_check_rest(cli, input);
  if (status != PRECIS_SUCCESS)
    return status;
  warn_of_order(cli, input);
  input->queries = input->q.tensor.shape[0];
  input->keys = input->k.tensor.shape[0];
  input->first_position =
      s->shape.first_position >= 0 ? s->shape.first_position : input->keys - input->queries;
  input->problem = (precis_problem){.heads = (int)input->q.tensor.shape[1],
                                    .kv_heads = (int)input->k.tensor.shape[1],
                                    .dim = (int)input->q.tensor.shape[2],
                                    .value_dim = (int)input->v.tensor.shape[2],
                                    .causal = s->shape.causal,
                                    .scale = s->shape.scale};
  return precis_problem_settle(&input->problem, &cli->why);
}

void precis_input_close(precis_input *input)
{
  precis_file_array *all[] = {&input->q, &input->k, &input->v, &input->bias};
  for (int i = 0; i < 4; i++)
    precis_file_close(all[i]);
}

int precis_input_read_keys(precis_cli *cli, precis_input *input, int64_t first, int64_t rows,
                           float *k, float *v, float *bias)
{
  int status = precis_file_read(&cli->world, &input->k, first, rows, 0, k, &cli->why);
  if (status == PRECIS_SUCCESS)
    status = precis_file_read(&cli->world, &input->v, first, rows, 0, v, &cli->why);
  if (status == PRECIS_SUCCESS && input->has_bias)
    status =
        precis_file_read(&cli->world, &input->bias, first, rows, PRECIS_FILE_BIAS, bias, &cli->why);
  return status;
}
