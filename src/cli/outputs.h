/* outputs.h - the files that a run writes: all of them made before the work starts, put in place
 * when it is done */
#ifndef PRECIS_CLI_OUTPUTS_H
#define PRECIS_CLI_OUTPUTS_H

#include "mpi/files/files.h"
#include "src/cli/checkpoint.h"
#include "src/cli/cli.h"
#include "src/cli/input.h"
#include "src/files/draft.h"

typedef struct precis_outputs {
  precis_writer *out, *lse, *bounds; /* NULL: not wanted, or done */
  int out_has_lse;                   /* a .safetensors file */
  int out_has_bounds;                /* --bounds names the same */
  precis_draft json;                 /* on rank 0; not open: not wanted, or standard output */
} precis_outputs;

/* Collective, all of these unless they say otherwise. from: with rows, what an earlier run left is
 * gone on with. Errors: ARGUMENT (names that collide, wrong ending), FORMAT (left files that do not
 * fit), IO, MEMORY. */
int precis_outputs_open(precis_cli *cli, const precis_input *input, const precis_checkpoint *from,
                        precis_outputs *outputs);
/* Not collective. */
int precis_outputs_want_lse(const precis_outputs *outputs);
/* --bounds names the .safetensors file of --out, for a tensor beside the others. */
int precis_outputs_bounds_in_out(const precis_settings *settings);
int precis_outputs_want_bounds(const precis_outputs *outputs);
/* This rank's rows; again: they were written before. lse and bounds may be NULL if they are not
 * wanted. */
int precis_outputs_write(precis_cli *cli, precis_outputs *outputs, int64_t first, int64_t rows,
                         int again, const precis_results *results);
/* What was written is safe on disk, and the arrays' files aside stay after failures. */
int precis_outputs_save(precis_cli *cli, precis_outputs *outputs);
/* Not collective: nor does --timeout remove them any more. */
void precis_outputs_spare(precis_cli *cli, const precis_outputs *outputs);
/* Not collective: the name of a file aside without its folder; "" for NULL. */
const char *precis_outputs_part(const precis_writer *writer);
/* Puts the arrays in place, --out last: once it is there all is. The report stays. */
int precis_outputs_commit(precis_cli *cli, precis_outputs *outputs);
/* The arrays' files aside stay. */
void precis_outputs_leave(precis_outputs *outputs);
/* Removes whatever is not committed or left yet, in any state. */
void precis_outputs_discard(precis_outputs *outputs);

#endif
