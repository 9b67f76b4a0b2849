/* checkpoint.h - how far a run has come, as text that outlives it
 *
 * JSON, in a file beside the outputs. It names the files aside that hold the rows, and everything
 * that the results depend on, so that nothing else is ever mixed into them. */
#ifndef PRECIS_CLI_CHECKPOINT_H
#define PRECIS_CLI_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "mpi/measure/worth.h"
#include "src/base/message.h"

enum { PRECIS_FACTS_MOST = 20, PRECIS_FACT_NAME = 24, PRECIS_FACT_VALUE = 80, PRECIS_PART = 256 };

/* What the results depend on, in words: compared, never interpreted. */
typedef struct precis_facts {
  int count;
  struct {
    char name[PRECIS_FACT_NAME], value[PRECIS_FACT_VALUE];
  } all[PRECIS_FACTS_MOST];
} precis_facts;

/* Cut to fit; left out if there are too many. */
void precis_facts_add(precis_facts *facts, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

typedef struct precis_checkpoint {
  int64_t rows;    /* the first of the queries, whose results are there ... */
  int64_t of;      /* ... of so many; 0 < rows <= of: some of them may have to be done again */
  double estimate; /* of the largest error so far, see precis_report; 0: none */
  /* Files aside, without folders; "": not wanted. */
  char out[PRECIS_PART], lse[PRECIS_PART], bounds[PRECIS_PART];
  precis_facts facts;
  precis_worth worth; /* of these rows; borrowed where it is written, made where it is read */
} precis_checkpoint;

/* In new memory for the caller to free(). Errors: MEMORY, ARGUMENT (names that are no UTF-8). */
int precis_checkpoint_format(const precis_checkpoint *checkpoint, char **text, precis_message *why);

/* name: of the file, for messages. Unknown keys are passed over. Errors: FORMAT,
 * MEMORY. */
int precis_checkpoint_parse(const char *name, const char *text, size_t length,
                            precis_checkpoint *checkpoint, precis_message *why);

/* Errors: MISMATCH, with all that differs between what the file says and `now`. */
int precis_checkpoint_compare(const char *name, const precis_facts *found, const precis_facts *now,
                              precis_message *why);

#endif
