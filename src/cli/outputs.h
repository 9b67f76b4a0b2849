/* outputs.h - the files that a run writes: all of them made before the work starts, put in place
 * when it is done */
#ifndef PRECIS_CLI_OUTPUTS_H
#define PRECIS_CLI_OUTPUTS_H

#include "mpi/files.h"
#include "src/cli/cli.h"
#include "src/cli/input.h"
#include "src/draft.h"

typedef struct precis_outputs {
  precis_writer *out, *lse; /* NULL: not wanted, or done */
  int out_has_lse;          /* a .safetensors file */
  precis_draft json;        /* on rank 0; not open: not wanted, or standard output */
} precis_outputs;

/* Collective, all of these but precis_outputs_want_lse(). Errors: ARGUMENT (names that collide,
 * wrong ending), IO, MEMORY. */
int precis_outputs_open(precis_cli *cli, const precis_input *input, precis_outputs *outputs);
int precis_outputs_want_lse(const precis_outputs *outputs);
/* This rank's rows. lse may be NULL if it is not wanted. */
int precis_outputs_write(precis_cli *cli, precis_outputs *outputs, int64_t first, int64_t rows,
                         const float *out, const float *lse);
/* The arrays; the report stays. */
int precis_outputs_commit(precis_cli *cli, precis_outputs *outputs);
/* Whatever is not committed yet, in any state. */
void precis_outputs_discard(precis_outputs *outputs);

#endif
