/* json.h - JSON reports on standard output or in a file */
#ifndef PRECIS_CLI_JSON_H
#define PRECIS_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "src/cli/cli.h"
#include "src/draft.h"

/* JSON has no infinities: null then. */
json_t *precis_json_number(double value);
json_t *precis_json_integer(int64_t value);

/* Nonzero if text may go to standard output too: no --json, or to a file. */
int precis_json_leaves_stdout(const precis_cli *cli);

/* The rest on rank 0 alone. */

/* Opens the file that --json names, so that a bad name is found early; without one, leaves
 * *draft closed. Errors: IO, MEMORY. */
int precis_json_open(precis_cli *cli, precis_draft *draft);
/* Takes the object (NULL: there was no memory for it), puts it where --json says and closes the
 * draft. Errors: IO, MEMORY. */
int precis_json_save(precis_cli *cli, json_t *object, precis_draft *draft);

#endif
