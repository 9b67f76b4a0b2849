/* input_names.h - which tensors of --input are meant, and what else is in the file */
#ifndef PRECIS_CLI_INPUT_NAMES_H
#define PRECIS_CLI_INPUT_NAMES_H

#include "src/cli/input.h"

enum { PRECIS_INPUT_NAME = 256 };

/* The tensor for a role ("q"): --prefix, then what was given, or the role itself. Errors: ARGUMENT
 * (too long). */
int precis_input_name(precis_cli *cli, const char *given, const char *role,
                      char name[PRECIS_INPUT_NAME]);

/* Collective. Of the tensors beside those that were opened: rank 0 names them in a warning, but a
 * mask is refused. Beside means: with the same part of the name up to the last dot or slash as one
 * of them, as files may hold many layers. Errors: ARGUMENT, FORMAT, MEMORY. */
int precis_input_check_rest(precis_cli *cli, const precis_input *input);

/* Not collective: the same of a file for a service, beside q, k, v and bias. Nothing is said of a
 * file that cannot be read. Errors: ARGUMENT. */
int precis_input_check_file(const char *path, precis_message *why);

#endif
