#include "src/cli/compare.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "mpi/files.h"
#include "src/cli/input.h"
#include "src/cli/label.h"
#include "src/memory.h"
#include "src/share.h"

static const int64_t TURN_BYTES = 8 << 20, WIDTH_MOST = INT64_C(1) << 28;

/* What is known of one column, all of them maxima: |a - b|, -b, b. */
typedef struct column {
  double difference, minus_low, high;
} column;

static void compare_rows(int64_t rows, int64_t width, const float *a, const float *b,
                         column *columns)
{
  for (int64_t i = 0; i < rows; i++)
    for (int64_t c = 0; c < width; c++) {
      double x = (double)a[i * width + c], y = (double)b[i * width + c];
      column *at = &columns[c];
      at->difference = fmax(at->difference, x == y ? 0 : fabs(x - y));
      if (isfinite(y)) { /* an lse may hold infinities, which belong to no range */
        at->minus_low = fmax(at->minus_low, -y);
        at->high = fmax(at->high, y);
      }
    }
}

static int compare_turns(precis_cli *cli, precis_file_array arrays[2], int64_t width,
                         column *columns)
{
  precis_turns turns =
      precis_turns_plan(arrays[0].tensor.shape[0], cli->world.ranks, cli->world.rank,
                        width * (int64_t)sizeof(float), TURN_BYTES);
  float *rows[2] = {NULL, NULL};
  int status = precis_cli_floats(cli, "rows of the first file", turns.turn_rows, width, &rows[0]);
  if (status == PRECIS_SUCCESS)
    status = precis_cli_floats(cli, "rows of the second file", turns.turn_rows, width, &rows[1]);
  for (int64_t i = 0; status == PRECIS_SUCCESS && i < turns.count; i++) {
    int64_t first = precis_turns_first(&turns, i), count = precis_turns_rows(&turns, i);
    for (int f = 0; f < 2 && status == PRECIS_SUCCESS; f++)
      status = precis_file_read(&cli->world, &arrays[f], first, count, PRECIS_FILE_LOGS, rows[f],
                                &cli->why);
    if (status == PRECIS_SUCCESS)
      compare_rows(count, width, rows[0], rows[1], columns);
  }
  free(rows[0]);
  free(rows[1]);
  return status;
}

static precis_difference summarise(int64_t width, const column *columns)
{
  precis_difference all = {0, 0};
  for (int64_t c = 0; c < width; c++) {
    double low = -columns[c].minus_low, high = columns[c].high;
    double unit = high > low ? high - low : high == low ? fmax(fabs(high), FLT_MIN) : FLT_MIN;
    all.absolute = fmax(all.absolute, columns[c].difference);
    all.relative = fmax(all.relative, columns[c].difference / unit);
  }
  return all;
}

static int compare(precis_cli *cli, precis_file_array arrays[2], precis_difference *difference)
{
  int64_t width = precis_tensor_row_elements(&arrays[0].tensor);
  if (width > WIDTH_MOST)
    return precis_message_set(&cli->why, PRECIS_ERR_ARGUMENT,
                              "%s: rows are longer than %" PRId64 " elements",
                              precis_label_of(&arrays[0]).text, WIDTH_MOST);
  column *columns = precis_memory_array(width, sizeof *columns);
  int status = precis_cli_agree(cli, columns ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  for (int64_t c = 0; status == PRECIS_SUCCESS && c < width; c++)
    columns[c] = (column){0, -INFINITY, -INFINITY};
  if (status == PRECIS_SUCCESS)
    status = compare_turns(cli, arrays, width, columns);
  if (status == PRECIS_SUCCESS) {
    int failed = precis_world_reduce(&cli->world, columns, (int)(3 * width), MPI_DOUBLE, MPI_MAX);
    status = precis_cli_agree(cli, failed ? PRECIS_ERR_MPI : PRECIS_SUCCESS);
  }
  if (status == PRECIS_SUCCESS)
    *difference = summarise(width, columns);
  free(columns);
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
