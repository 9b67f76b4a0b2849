/* json.h - JSON reports on standard output or in a file */
#ifndef PRECIS_CLI_JSON_H
#define PRECIS_CLI_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "src/cli/cli.h"
#include "src/files/draft.h"
#include "src/files/report_json.h"

/* Nonzero if text may go to standard output too: no --json, or to a file. */
int precis_json_leaves_stdout(const precis_cli *cli);

/* The rest on rank 0 alone. */

/* Opens the file that --json names, so that a bad name is found early; without one, leaves
 * *draft closed. Errors: IO, MEMORY. */
int precis_json_open(precis_cli *cli, precis_draft *draft);
/* Takes the object (NULL: there was no memory for it), puts it where --json says and closes the
 * draft. Errors: IO, MEMORY. */
int precis_json_save(precis_cli *cli, json_t *object, precis_draft *draft);

/* Text on its way to where --json says, for what is too long to be an object in memory. */
typedef struct precis_json_writer {
  precis_cli *cli;
  precis_draft *draft;
  int status; /* once not SUCCESS, nothing more is written */
  int64_t offset;
  size_t used;
  char buffer[1 << 16];
} precis_json_writer;

/* The draft is as precis_json_open() leaves it. */
void precis_json_start(precis_cli *cli, precis_draft *draft, precis_json_writer *writer);
void precis_json_write(precis_json_writer *writer, const char *text, size_t length);
/* Writes what is left and closes the draft. Errors: IO, MEMORY, those given to it. */
int precis_json_end(precis_json_writer *writer, int status);

#endif
