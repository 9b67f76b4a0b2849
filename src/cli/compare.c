#include "src/cli/compare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "mpi/files/files.h"
#include "mpi/measure/moments.h"
#include "src/cli/input.h"
#include "src/cli/label.h"
#include "src/base/memory.h"
#include "src/base/share.h"

static const int64_t TURN_BYTES = 8 << 20, WIDTH_MOST = INT64_C(1) << 28;

/* Two files, gone through three times: for deviations of b, for R, and for the errors. */
typedef struct comparison {
  precis_cli *cli;
  precis_file_array *arrays;
  int64_t width, heads, columns; /* of a row: width = heads x columns */
  precis_turns turns;
  float *rows[2];
  precis_moments own, part, all; /* of b's columns, rows with an infinity left out */
  double *difference;            /* width: the largest |a - b| */
  double *center, *sigma;        /* width */
  double *sum;                   /* heads: of |b - m|, and then R */
  double *outputs;               /* heads: the largest error */
} comparison;

static int all_finite(int64_t count, const float *x)
{
  for (int64_t i = 0; i < count; i++)
    if (!isfinite(x[i]))
      return 0;
  return 1;
}

static void add_moments(comparison *c, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++) {
    const float *b = c->rows[1] + i * c->width;
    if (all_finite(c->width, b)) /* an lse may hold infinities, which belong to no range */
      precis_moments_add(&c->own, 1, b, NULL);
  }
}

/* |b - m|, or |a - b|, of one row and head. */
static double distance_of(const comparison *c, int64_t head, const float *row, const float *other)
{
  double squares = 0;
  for (int64_t at = head * c->columns; at < (head + 1) * c->columns; at++) {
    double from = other ? (double)other[at] : c->center[at], to = (double)row[at];
    if (c->sigma[at] > 0 && from != to)
      squares += pow((to - from) / c->sigma[at], 2);
  }
  return sqrt(squares);
}

static void add_distances(comparison *c, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++) {
    const float *b = c->rows[1] + i * c->width;
    for (int64_t head = 0; head < c->heads && all_finite(c->width, b); head++)
      c->sum[head] += distance_of(c, head, b, NULL);
  }
}

static void compare_rows(comparison *c, int64_t rows)
{
  for (int64_t i = 0; i < rows; i++) {
    const float *a = c->rows[0] + i * c->width, *b = c->rows[1] + i * c->width;
    for (int64_t at = 0; at < c->width; at++) {
      double x = (double)a[at], y = (double)b[at];
      c->difference[at] = fmax(c->difference[at], x == y ? 0 : fabs(x - y));
    }
    for (int64_t head = 0; head < c->heads; head++) {
      double error = distance_of(c, head, a, b), own = distance_of(c, head, b, NULL);
      if (error > 0)
        c->outputs[head] =
            fmax(c->outputs[head], error / fmax(c->sum[head], isfinite(own) ? own : 0));
    }
  }
}

/* All rows of b, and of a if it is wanted, a turn at a time. */
static int each_turn(comparison *c, int with_a, void (*work)(comparison *, int64_t))
{
  int status = PRECIS_SUCCESS;
  for (int64_t i = 0; status == PRECIS_SUCCESS && i < c->turns.count; i++) {
    int64_t first = precis_turns_first(&c->turns, i), count = precis_turns_rows(&c->turns, i);
    for (int f = with_a ? 0 : 1; f < 2 && status == PRECIS_SUCCESS; f++)
      status = precis_file_read(&c->cli->world, &c->arrays[f], first, count, PRECIS_FILE_LOGS,
                                c->rows[f], &c->cli->why);
    if (status == PRECIS_SUCCESS)
      work(c, count);
  }
  return status;
}

static void set_units(comparison *c)
{
  for (int64_t at = 0; at < c->width; at++) {
    c->center[at] = (double)c->all.mean[at];
    c->sigma[at] = precis_moments_deviation(&c->all, at);
  }
}

static int run_comparison(comparison *c)
{
  int heads = (int)c->heads, width = (int)c->width, failed = 0;
  int status = each_turn(c, 0, add_moments);
  if (status == PRECIS_SUCCESS)
    status =
        precis_cli_agree(c->cli, precis_moments_gather(&c->cli->world, &c->own, &c->part, &c->all));
  if (status != PRECIS_SUCCESS)
    return status;
  set_units(c);
  status = each_turn(c, 0, add_distances);
  if (status != PRECIS_SUCCESS)
    return status;
  failed |= precis_world_reduce(&c->cli->world, c->sum, heads, MPI_DOUBLE, MPI_SUM);
  failed |= precis_world_broadcast(&c->cli->world, c->sum, heads, MPI_DOUBLE, 0);
  for (int head = 0; head < heads; head++)
    c->sum[head] /= fmax((double)c->all.weight, 1);
  status = each_turn(c, 1, compare_rows);
  if (status != PRECIS_SUCCESS)
    return status;
  failed |= precis_world_reduce(&c->cli->world, c->difference, width, MPI_DOUBLE, MPI_MAX);
  failed |= precis_world_reduce(&c->cli->world, c->outputs, heads, MPI_DOUBLE, MPI_MAX);
  return precis_cli_agree(c->cli, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS);
}

static precis_difference summarise(const comparison *c)
{
  precis_difference all = {0, 0, 0};
  for (int64_t head = 0; head < c->heads; head++) {
    double relative = 0;
    int varies = 0;
    for (int64_t at = head * c->columns; at < (head + 1) * c->columns; at++) {
      double unit = precis_contract_range_unit(c->all.low[at], c->all.high[at]);
      relative = fmax(relative, c->difference[at] / unit);
      varies |= c->sigma[at] > 0;
      /* A column of one value has no part in the norm: it must have it in a. */
      if (!(c->sigma[at] > 0))
        all.outputs = fmax(all.outputs, c->difference[at] / unit);
      all.absolute = fmax(all.absolute, c->difference[at]);
    }
    all.relative = fmax(all.relative, relative);
    all.outputs = fmax(all.outputs, varies ? c->outputs[head] : relative);
  }
  return all;
}

static int allocate(comparison *c)
{
  c->difference = precis_memory_array(c->width, sizeof *c->difference);
  c->center = precis_memory_array(c->width, sizeof *c->center);
  c->sigma = precis_memory_array(c->width, sizeof *c->sigma);
  c->sum = precis_memory_array(c->heads, sizeof *c->sum);
  c->outputs = precis_memory_array(c->heads, sizeof *c->outputs);
  int complete = c->difference && c->center && c->sigma && c->sum && c->outputs;
  complete &= precis_moments_allocate(c->width, &c->own);
  complete &= precis_moments_allocate(c->width, &c->part);
  complete &= precis_moments_allocate(c->width, &c->all);
  for (int64_t at = 0; at < c->width && complete; at++)
    c->difference[at] = 0;
  for (int64_t head = 0; head < c->heads && complete; head++)
    c->sum[head] = c->outputs[head] = 0;
  int status = precis_cli_agree(c->cli, complete ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(c->cli, "rows of the first file", c->turns.turn_rows, c->width,
                               &c->rows[0]);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(c->cli, "rows of the second file", c->turns.turn_rows, c->width,
                               &c->rows[1]);
  return status;
}

static void release(comparison *c)
{
  void *all[] = {c->rows[0], c->rows[1], c->difference, c->center, c->sigma, c->sum, c->outputs};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
  precis_moments_release(&c->own);
  precis_moments_release(&c->part);
  precis_moments_release(&c->all);
}

static int compare(precis_cli *cli, precis_file_array arrays[2], precis_difference *difference)
{
  const precis_tensor *shape = &arrays[0].tensor;
  int64_t width = precis_tensor_row_elements(shape);
  if (width > WIDTH_MOST)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "%s: rows are longer than %" PRId64 " elements",
                              precis_label_of(&arrays[0]).text, WIDTH_MOST);
  int64_t columns = shape->axes > 2 ? shape->shape[shape->axes - 1] : 1;
  comparison c = {.cli = cli,
                  .arrays = arrays,
                  .width = width,
                  .heads = columns > 0 ? width / columns : 0,
                  .columns = columns,
                  .turns = precis_turns_plan(shape->shape[0], cli->world.ranks, cli->world.rank,
                                             width * (int64_t)sizeof(float), TURN_BYTES)};
  int status = allocate(&c);
  if (status == PRECIS_SUCCESS)
    status = run_comparison(&c);
  if (status == PRECIS_SUCCESS)
    *difference = summarise(&c);
  release(&c);
  return status;
}

static int check_shapes(precis_cli *cli, const precis_file_array arrays[2])
{
  const precis_tensor *a = &arrays[0].tensor, *b = &arrays[1].tensor;
  int same = a->axes == b->axes;
  for (int i = 0; same && i < a->axes; i++)
    same = a->shape[i] == b->shape[i];
  if (same)
    return PRECIS_SUCCESS;
  return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT, "%s does not fit %s: the shapes differ",
                            precis_label_of(&arrays[0]).text, precis_label_of(&arrays[1]).text);
}

int precis_compare_files(precis_cli *cli, const char *a, const char *b,
                         precis_difference *difference)
{
  const char *paths[2] = {a, b};
  precis_file_array arrays[2] = {0};
  int status = PRECIS_SUCCESS;
  for (int i = 0; i < 2 && status == PRECIS_SUCCESS; i++)
    status = precis_input_open_file(cli, paths[i], "out", NULL, &arrays[i]);
  if (status == PRECIS_SUCCESS)
    status = check_shapes(cli, arrays);
  if (status == PRECIS_SUCCESS)
    status = compare(cli, arrays, difference);
  for (int i = 0; i < 2; i++)
    precis_file_close(&arrays[i]);
  return status;
}
