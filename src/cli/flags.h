/* flags.h - the table of commands and flags; only settings.c and help.c look inside */
#ifndef PRECIS_CLI_FLAGS_H
#define PRECIS_CLI_FLAGS_H

#include <stddef.h>
#include <stdint.h>

#include "src/cli/settings.h"

typedef enum precis_rule {
  PRECIS_RULE_FLAG,   /* int, set to 1; takes no value */
  PRECIS_RULE_TEXT,   /* const char * */
  PRECIS_RULE_SIZE,   /* int64_t in [least, most] */
  PRECIS_RULE_NUMBER, /* double in [least, most] */
  PRECIS_RULE_FACTOR, /* likewise, but not 0 */
  PRECIS_RULE_RANGE,  /* precis_range in [least, most] */
  PRECIS_RULE_WORD,   /* int, the index of the value in words */
  PRECIS_RULE_LATER,  /* known, but not in this version; takes a value if `value` is set */
  PRECIS_RULE_HELP
} precis_rule;

typedef struct precis_flag {
  const char *name;  /* "--tokens"; -o is the same as --out, wherever that is */
  const char *value; /* what help calls its value; NULL: none */
  unsigned verbs;    /* precis_verb bits */
  precis_rule rule;
  size_t offset; /* in precis_settings */
  double least, most;
  const char *words; /* "auto|tiles|heads" */
  const char *later; /* likewise: words for later versions */
  const char *help;
} precis_flag;

typedef struct precis_command {
  const char *name;
  precis_verb verb; /* 0: not in this version */
  int operands_most;
  const char *usage, *summary, *text;
  const char *operands; /* "kernels|moves"; NULL: files, or none */
  const char *example;  /* without the program's name; NULL: none */
} precis_command;

/* Both end with a NULL name. */
extern const precis_flag precis_flags[];
extern const precis_command precis_commands[];

/* NULL if there is none. */
const precis_command *precis_command_find(const char *name);
const precis_command *precis_command_of(precis_verb verb);

#endif
