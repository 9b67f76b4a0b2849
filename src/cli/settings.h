/* settings.h - the command line, taken apart and checked
 *
 * One table (flags.c) names every flag, who takes it, its range and its explanation; parsing
 * and help both read it. */
#ifndef PRECIS_CLI_SETTINGS_H
#define PRECIS_CLI_SETTINGS_H

#include <stdint.h>
#include <stdio.h>

#include "src/oracle/generate.h"
#include "src/base/message.h"
#include "src/precis.h"

/* Bits, so that a flag can belong to several. */
typedef enum precis_verb {
  PRECIS_VERB_HELP = 1,
  PRECIS_VERB_VERSION = 2,
  PRECIS_VERB_GEN = 4,
  PRECIS_VERB_RUN = 8,
  PRECIS_VERB_CHECK = 16,
  PRECIS_VERB_TOPO = 32,
  PRECIS_VERB_BENCH = 64,
  PRECIS_VERB_PLAN = 128,
  PRECIS_VERB_SERVE = 256,
  PRECIS_VERB_REMOTE = 512,
  PRECIS_VERB_DATA = 1024
} precis_verb;

enum { PRECIS_OPERANDS = 2 };

/* From `first` to `last`, which is one of them. */
typedef struct precis_range {
  int64_t first, last;
} precis_range;

/* What was not given is 0, NULL, or as said. Strings belong to argv. An idea a structure: a command
 * reads those that its flags fill. */

/* Files to read, and to write. */
typedef struct precis_setting_files {
  const char *input, *q, *k, *v, *bias;
  const char *prefix, *q_name, *k_name, *v_name, *bias_name; /* of tensors in --input */
  const char *out, *lse, *bounds, *json;
} precis_setting_files;

/* What is attended to. */
typedef struct precis_setting_shape {
  int64_t tokens, queries, heads, kv_heads, dim, value_dim;
  int causal;
  double scale;
  int64_t first_position; /* -1: not given */
} precis_setting_shape;

/* How well, and by what. */
typedef struct precis_setting_want {
  double tol; /* -1: not given */
  int tol_of; /* precis_unit */
  int exact;
  int guarantee; /* precis_guarantee */
  int move;      /* precis_move */
  int64_t degree;
} precis_setting_want;

/* What numbers are made of, or assumed to be. */
typedef struct precis_setting_made {
  int kind; /* precis_kind, -1: not given */
  double spread, bound, signal, decay, key_decay;
  int64_t heavy, seed;
} precis_setting_made;

/* What a rank may use. */
typedef struct precis_setting_machine {
  int64_t threads, fast_memory, memory_limit, shared_memory;
  const char *rates; /* the file of --machine */
  double timeout;    /* seconds, 0: none */
} precis_setting_machine;

typedef struct precis_setting_run {
  int64_t verify; /* rows to sample */
  int64_t batch_rows;
  double checkpoint_every; /* seconds */
  int restart, per_head;
} precis_setting_run;

typedef struct precis_setting_check {
  int64_t rows; /* to sample */
} precis_setting_check;

typedef struct precis_setting_topo {
  int calibrate;
} precis_setting_topo;

typedef struct precis_setting_bench {
  int64_t repeats;
} precis_setting_bench;

/* precis plan. */
typedef struct precis_setting_paper {
  int64_t ranks, ranks_per_node;
  int sweep;
  const char *traces;  /* folder to write */
  int64_t schedule;    /* the rank whose page is wanted; -1: none */
  precis_range rounds; /* last -1: all */
} precis_setting_paper;

typedef struct precis_setting_serve {
  const char *listen, *data, *token_file, *tls_cert, *tls_key;
  int no_token, insecure, skip_damaged;
  int log_form, log_level; /* precis_log_form, precis_log_level; -1: not given */
  int64_t contexts, context_tokens, connections, query_bytes;
  double request_seconds;
} precis_setting_serve;

typedef struct precis_setting_remote {
  const char *url, *context, *key, *token_file, *cacert;
  int bounds;
  double answer_seconds; /* of silence; 0: not given */
} precis_setting_remote;

typedef struct precis_settings {
  precis_verb verb;
  precis_verb help_on; /* with PRECIS_VERB_HELP: the command to explain, 0 for the program */
  int no_command;      /* help because nothing was asked for */
  int table;           /* help for programs, see precis_settings_table() */
  const char *operands[PRECIS_OPERANDS];
  int operand_count;
  int quiet;
  precis_setting_files files;
  precis_setting_shape shape;
  precis_setting_want want;
  precis_setting_made made;
  precis_setting_machine machine;
  precis_setting_run run;
  precis_setting_check check;
  precis_setting_topo topo;
  precis_setting_bench bench;
  precis_setting_paper paper;
  precis_setting_serve serve;
  precis_setting_remote remote;
} precis_settings;

/* Errors: ARGUMENT, with the option and its value in words. */
int precis_settings_parse(int argc, char **argv, precis_settings *settings, precis_message *why);

/* What asks for summaries and what rules them out, taken together. Errors: ARGUMENT. */
int precis_settings_check_move(const precis_settings *settings, precis_message *why);

/* The move that is asked for: with a degree but no tolerance, summaries, whatever they promise. */
precis_move precis_settings_move(const precis_settings *settings);

/* Help on a command, or on the program (0). */
void precis_settings_help(precis_verb verb, FILE *stream);

/* The same for completion in shells, with tabs between columns: of the program, commands and what
 * they do; of a command, each option, what its value is called, the words that it may be, and what
 * it is; operands come as an option without a name. */
void precis_settings_table(precis_verb verb, FILE *stream);

#endif
