/* input.h - the arrays q, k, v and bias that a command line names, opened and found to fit each
 * other */
#ifndef PRECIS_CLI_INPUT_H
#define PRECIS_CLI_INPUT_H

#include "mpi/files/files.h"
#include "src/cli/cli.h"

typedef struct precis_input {
  precis_file_array q, k, v, bias;
  int has_bias;
  precis_problem problem; /* settled */
  int64_t queries, keys;
  int64_t first_position; /* of query 0 */
} precis_input;

/* Collective, into a zeroed *input. Reads --input or --q --k --v --bias, --prefix, --q-name and so
 * on, --causal, --scale, --first-position. Of tensors beside those in the file rank 0 warns on
 * standard error; one that is named as masks are is refused, as it would change the results.
 * Errors: ARGUMENT (options that do not go together, shapes that do not fit, a mask), FORMAT,
 * MEMORY. */
int precis_input_open(precis_cli *cli, precis_input *input);

/* Also after a failed open. */
void precis_input_close(precis_input *input);

/* Collective: precis_file_open(), but a file that is missing or cannot be read is bad input,
 * FORMAT. */
int precis_input_open_file(precis_cli *cli, const char *path, const char *name, int *found,
                           precis_file_array *array);

/* Collective: rows [first, first + rows) of this rank. bias may be NULL if there is none. */
int precis_input_read_keys(precis_cli *cli, precis_input *input, int64_t first, int64_t rows,
                           float *k, float *v, float *bias);

#endif
