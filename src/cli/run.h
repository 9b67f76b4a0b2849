/* run.h - what the parts of precis run work on: one run of the program
 *
 * run.c is the way through; run_batches.c attends, a batch of queries at a time; run_unit.c sees to it
 * that all batches are judged alike; run_resume.c keeps what is done and finds it again; run_verify.c measures errors; run_limit.c reckons with
 * memory. All calls are collective. */
#ifndef PRECIS_CLI_RUN_H
#define PRECIS_CLI_RUN_H

#include "src/cli/checkpoint.h"
#include "src/cli/cli.h"
#include "src/cli/input.h"
#include "src/cli/outputs.h"
#include "src/cli/progress.h"
#include "src/cli/report.h"
#include "mpi/measure/worth.h"
#include "src/precis_more.h"

/* Queries [start, start + size) of the job; of them this rank has [first, first + rows). */
typedef struct precis_batch {
  int64_t start, size, first, rows;
  float *q, *out, *lse, *bounds; /* this rank's; lse, bounds NULL: not wanted */
} precis_batch;

/* Queries and outputs of the rows that are to be measured, those that this rank has seen. */
typedef struct precis_samples {
  int64_t count, *rows; /* all that are wanted, ascending, the same on every rank */
  int64_t held, *held_rows;
  float *q, *out, *lse; /* lse of those that wanted it, else 0 */
} precis_samples;

typedef struct precis_run {
  precis_cli *cli;
  precis_input input;
  precis_outputs outputs;
  precis_attention *attention;
  precis_progress progress;
  int64_t done; /* the first rows of the queries, whose results are known */
  precis_batch batch;
  precis_samples samples;
  char *progress_path;          /* of the checkpoint; NULL: nothing could be resumed */
  precis_checkpoint checkpoint; /* rows 0: there is none */
  int64_t first_key;            /* position of the first that is not masked; INT64_MAX: none */
  precis_worth worth;           /* of the rows that are done */
  precis_worth_batch last;      /* what the library tells of the last batch */
  precis_topo_rank *machines;   /* on rank 0, in the end; NULL: nobody wants to know */
  precis_head_report *heads;    /* in the end; as many as the problem has */
  int settled;                  /* all rows are done, and no longer depend on a larger R */
  int start_over;               /* what an earlier run left is to be removed */
  int told;                     /* the signal that some rank was sent, or 0 */
  precis_run_report report;
} precis_run;

/* Attends, and writes rows as they are done. Returns early, with r->told, if the run is to stop. */
int precis_run_batches(precis_run *r);

/* Before the first of them: what they are measured by, where that is not for the library to find, as
 * batches are parts. size: of the first. */
int precis_run_unit_begin(precis_run *r, int64_t size);
/* After the last, which may have been in an earlier run: rows that relied on a larger R than that of all
 * are attended to again. Returns early, with r->told, if the run is to stop. */
int precis_run_unit_settle(precis_run *r);
/* What all rows are worth, into r->report. Not collective. */
void precis_run_unit_report(precis_run *r);
/* Attends with queries [first, first + size), and writes them again. */
int precis_run_batch_again(precis_run *r, int64_t first, int64_t size);
/* Whether some rank was told to stop: r->told. */
int precis_run_ask(precis_run *r);

/* Of the queries at most so many at a time, as far as options say. */
int64_t precis_run_batch_most(const precis_run *r);

/* Before outputs are opened: looks for a checkpoint, which must be of this very run. Errors:
 * MISMATCH, FORMAT, IO, MEMORY. */
int precis_run_look(precis_run *r);
/* Adds to the words of an error that --restart would help. */
void precis_run_offer_restart(precis_run *r, int status);
/* With r->start_over, after outputs were opened: removes what an earlier run left. */
int precis_run_forget(precis_run *r);
/* What was written so far is safe from now on. */
int precis_run_save(precis_run *r);
/* Puts outputs in place; there is nothing to resume any more. */
int precis_run_commit(precis_run *r);
/* At the end, with its status: files aside and checkpoint are removed, or left to be resumed. */
void precis_run_leave(precis_run *r, int status);

/* Which rows to measure, and those of them that are done already. Nothing without --verify. */
int precis_run_sample_begin(precis_run *r);
/* Keeps those in the batch. */
int precis_run_sample_batch(precis_run *r);
void precis_run_sample_free(precis_run *r);
int precis_run_verify(precis_run *r);
/* Outputs appear only if they are as good as promised: a broken proof is a bug, a broken estimate
 * a tolerance that was missed. Errors: INTERNAL, TOLERANCE. */
int precis_run_judge(precis_run *r);

/* --memory-limit must leave room for what no plan can do without. Errors: MEMORY. */
int precis_run_limit_check(precis_run *r);
/* What is left of it for the library, 0: no limit. */
int64_t precis_run_limit_left(const precis_run *r);
/* The library knows what is left of the limit only. */
void precis_run_limit_explain(precis_run *r);

#endif
