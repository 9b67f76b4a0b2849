/* precis.h - softmax attention over a sequence spread over the ranks of an MPI job
 *
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Conventions, stated once for every call below:
 *
 *  - A call returns PRECIS_SUCCESS (0) or a negative PRECIS_ERR_ code, see precis_strerror().
 *  - "Collective" means: every rank of the communicator calls it, in the same order. A collective
 *    call returns the same code on every rank, also when only one rank met the error, and leaves
 *    its outputs untouched unless it succeeds.
 *  - No call prints, exits or aborts, except that Open MPI itself ends the job when a peer dies. An
 *    explanation in words goes to options.message, where the caller has set one.
 *  - Arrays are float32 in C order, token-major: row t of a tensor with H heads of dimension D
 *    starts at offset t*H*D. "Rows" always means the tokens that the calling rank holds, zero
 *    included.
 *  - Token counts and byte counts are int64_t, ranks are int. Seconds, bytes and words (4 bytes)
 *    are plain numbers.
 *  - A handle is used by one thread at a time. MPI must be initialised by the caller, with
 *    MPI_THREAD_FUNNELED or more if options.threads is not 1: threads compute, the calling thread
 *    communicates.
 *  - While precis_attend() runs, OpenBLAS is set to one thread; its setting is restored on return.
 */
#ifndef PRECIS_H
#define PRECIS_H

#include <stddef.h>
#include <stdint.h>

/* The mathematics of Precis includes this header without MPI. */
#ifndef PRECIS_WITHOUT_MPI
#include <mpi.h>
#endif

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PRECIS_API __attribute__((visibility("default")))
#else
#define PRECIS_API
#endif

/* Every code once: name, value, text. Values are part of the binary interface. */
#define PRECIS_STATUS_LIST(X)                                                                      \
  X(PRECIS_SUCCESS, 0, "success")                                                                  \
  X(PRECIS_ERR_ARGUMENT, -1, "invalid argument")                                                   \
  X(PRECIS_ERR_MEMORY, -2, "out of memory")                                                        \
  X(PRECIS_ERR_MPI, -3, "MPI failed")                                                              \
  X(PRECIS_ERR_NONFINITE, -4, "input holds a value that is not finite")                            \
  X(PRECIS_ERR_RANGE, -5, "scores or values exceed the range of float32")                          \
  X(PRECIS_ERR_MISMATCH, -6, "ranks disagree on an argument that must be equal")                   \
  X(PRECIS_ERR_FORMAT, -7, "file is not in a format that can be read")                             \
  X(PRECIS_ERR_IO, -8, "input or output failed")                                                   \
  X(PRECIS_ERR_TOLERANCE, -9, "tolerance cannot be met by the moves that are allowed")             \
  X(PRECIS_ERR_INTERNAL, -10, "internal error, please report it")

typedef enum precis_status {
#define X(name, value, text) name = value,
  PRECIS_STATUS_LIST(X)
#undef X
} precis_status;

/* What travels to bring queries and keys together. All but summaries are exact. */
typedef enum precis_move {
  PRECIS_MOVE_AUTO = 0, /* the fewest predicted seconds; summaries only where they keep tol */
  PRECIS_MOVE_TILES,    /* blocks of keys and values, round a ring of ranks */
  PRECIS_MOVE_HEADS,    /* all-to-all to whole heads, and back */
  PRECIS_MOVE_QUERIES,  /* queries to every rank, partial results back along trees */
  PRECIS_MOVE_SUMMARIES /* sums of polynomial features of keys and values, reduced over the ranks */
} precis_move;

enum { PRECIS_MOVES = 5 };

/* What options.tol means for summaries. */
typedef enum precis_guarantee {
  PRECIS_GUARANTEE_BOUND = 0, /* proved for every row of this input */
  PRECIS_GUARANTEE_SAMPLED /* an estimate: measured on some rows of this input that had no part in
                              the fit */
} precis_guarantee;

/* What options.tol is measured in. Everything here is defined by the problem alone, so that anybody
 * can compute it without knowing how Precis came to its results.
 *
 *   sigma_c  deviation of value column c over the keys that are not masked, weights e^{bias};
 *            columns of deviation 0 are constant and left out
 *   |x|^2 =  sum_c (x_c / sigma_c)^2
 *   m_i      what the head's mean query would get from the keys that row i sees. The mean is over
 *            the queries of the handle's first attend that see a key.
 *   R      = mean of |out_i - m_i| over the rows that the handle has answered, of a query head
 */
typedef enum precis_unit {
  /* |computed_i - true_i| <= tol max(R, |true_i - m_i|): relative to what a row's own query
   * changes. Zeros, the mean of the values or any constant have errors of about 1. */
  PRECIS_UNIT_OUTPUTS = 0,
  /* |computed - true| <= tol (largest - smallest value of the column), for every column, over the
   * keys that are not masked. Where scores are small this says little: outputs hardly leave the
   * mean of the values. */
  PRECIS_UNIT_RANGE,
  /* |computed lse - true lse| <= tol (natural log), rounding of the result to float32 apart. */
  PRECIS_UNIT_LSE
} precis_unit;

/* Biases at or below this are masks, as -infinity is: a key with one is not there. Among them are
 * the lowest finite values of float32 and bfloat16, which PyTorch puts for "do not look", and in
 * files that of float64. Those above it, such as -65504 (the lowest of float16), -1e4 or -1e9, are
 * weights however small: a row with nothing else attends to them. */
#define PRECIS_BIAS_MASK (-1e37f)

/* The shape of the problem; equal on every rank.
 *
 *   x_ij = scale <q_i, k_j> + bias_j,   out_i = sum_j e^{x_ij} v_j / sum_j e^{x_ij},
 *   lse_i = log sum_j e^{x_ij} (natural logarithm)
 *
 * Query head h attends through key/value head h / (heads / kv_heads). A query with nothing to
 * attend to gets out = 0 and lse = -infinity. */
typedef struct precis_problem {
  int heads;     /* query heads, >= 1 */
  int kv_heads;  /* key/value heads; divides heads; 0 means heads */
  int dim;       /* of queries and keys, 1..256 */
  int value_dim; /* of values and outputs, 1..256; 0 means dim */
  int causal;    /* nonzero: a query at position p sees the keys at positions <= p */
  double scale;  /* finite; 0 means 1/sqrt(dim) */
} precis_problem;

/* Zero means automatic throughout: precis_options options = {0}. Equal on every rank, except for
 * the callbacks and their context. */
typedef struct precis_options {
  precis_move move;
  /* A bound on the error of every row, in the unit tol_of. It is proved for the row, or the row is
   * computed exactly, in double where float32 does not do; where results in float32 cannot keep it
   * at all, the call ends with TOLERANCE. 0: exact moves only, unless move is
   * PRECIS_MOVE_SUMMARIES; the report then says what is promised. */
  double tol;
  precis_unit tol_of;
  precis_guarantee guarantee;
  int degree;  /* of the polynomial in place of e^y, 1..24; 0: the cheapest that keeps tol */
  int threads; /* OpenMP threads a rank computes with; 0: OpenMP's own default */
  int64_t fast_memory_bytes; /* of the cache that a rank owns; 0: asked of hwloc */
  int64_t tile_rows;         /* keys in a travelling tile; 0: sized from the shape */
  /* What the ranks' machines do in a second, as "precis topo --calibrate" writes it: the file that
   * rank 0 reads in precis_create(). NULL: nominal rates, which know nothing of this machine. */
  const char *machine;
  /* Of memory that the handle and its calls take on a rank, the caller's arrays and MPI's memory
   * apart. Smaller tiles or another move are chosen to keep it; precis_attend() returns MEMORY, and
   * says how much is missing, where none does. 0: no limit. */
  int64_t memory_limit_bytes;
  /* Nonzero: results are made where the caller wants them, which saves their size in memory and a
   * copy; after an error they hold anything. 0: they are written on success only. */
  int results_in_place;

  /* Called on every rank with the same line of text just before a call fails, from the thread that
   * made the call. NULL: the code alone must do. */
  void (*message)(void *context, const char *text);
  /* Called now and then by precis_attend() with the share, 0 to 1, of this rank's work that is
   * done. */
  void (*progress)(void *context, double share);
  void *context;
} precis_options;

/* What a move would take, foretold by a model of the machine (options.machine). Bytes and words are
 * summed over the ranks. */
typedef struct precis_forecast {
  double seconds;           /* of the whole precis_attend(), repair included; 0: not considered */
  int64_t network_bytes;    /* between nodes, repair apart ... */
  int64_t node_bytes;       /* ... and inside a node, by messages: see below */
  double fast_memory_words; /* through fast memory, by the formulas of the kernels */
  int64_t peak_bytes;       /* of memory held on the rank that holds most: see memory_limit_bytes */
} precis_forecast;

/* What a precis_attend() did. Bytes, messages and pairs are summed over the ranks, seconds are
 * the largest of any rank. Equal on every rank. */
typedef struct precis_report {
  size_t size; /* sizeof(precis_report), set by the caller before the call, so that the report can
                  grow: see PRECIS_REPORT_INIT */
  int ranks, nodes;
  int threads;               /* fewest of any rank */
  int64_t fast_memory_bytes; /* smallest of any rank */
  int64_t queries, keys;     /* tokens in all */

  precis_move move;                       /* the one that ran, never PRECIS_MOVE_AUTO */
  char why[200];                          /* one line: why this move */
  int64_t predicted_bytes[PRECIS_MOVES];  /* indexed by precis_move: on the wire, repair apart; -1:
                                             not considered */
  precis_forecast forecast[PRECIS_MOVES]; /* indexed by precis_move */

  /* Summaries, else 0. */
  int degree, envelope_degree; /* of P and of the envelope that proves it */
  int64_t features;            /* of a head's summary, with values ... */
  int64_t count_features;      /* ... and beyond them, with counts alone */
  double bound;                /* B, no |y| is larger, outliers apart */
  int64_t outlier_keys;        /* left out of the summary for their norms and attended to exactly */
  int64_t outlier_queries;     /* (query, head) pairs answered exactly for theirs */
  int64_t rows_recomputed;     /* (query, head) pairs that were over tol and computed exactly */
  int64_t repair_bytes;        /* on the wire for them, not among the bytes below */

  int64_t network_bytes; /* counted where they are sent: between nodes ... */
  int64_t node_bytes;    /* ... and inside a node. What a rank reads of another's memory on the same
                            node is no message, and not counted: tiles, and sums of summaries. */
  int64_t messages;
  int64_t shared_bytes; /* that ranks of a node had to share, of the node that has most; 0: none */
  int shared_by_messages; /* nonzero: they went by messages, as there was no room for them: `why` */

  int64_t pairs;      /* (query, visible key) pairs computed one by one, over heads */
  int64_t pairs_most; /* of any rank: pairs_most * ranks / pairs is the imbalance of exact moves */

  /* Proved bounds, for every row of this call, rounding included: worst cases, errors seen are far
   * below. Over heads the largest. INFINITY: nothing is proved. */
  double promise;             /* in the unit of options.tol_of */
  double promise_outputs;     /* in PRECIS_UNIT_OUTPUTS ... */
  double promise_outputs_rms; /* ... and the root mean square of the rows' own bounds in it */
  double promise_range;       /* in PRECIS_UNIT_RANGE */
  double lse_promise;         /* in PRECIS_UNIT_LSE */
  int estimate; /* nonzero: `promise` is no bound but the largest error of sampled rows; see
                   PRECIS_GUARANTEE_SAMPLED */

  /* What the promise is worth. */
  double mean_signal;   /* R, a lower bound, as known at the end of this call; smallest of the heads
                           that are not constant */
  double trivial_error; /* largest error, in PRECIS_UNIT_OUTPUTS, that an answer of m_i in every row
                           has at least; smallest of the heads */
  int constant_heads;   /* R is below 2^-18 of the largest |v - mean of v|: computed exactly, and
                           left out of the figures in PRECIS_UNIT_OUTPUTS */

  /* exact: pairs computed one by one, in repair too. wait: for messages. processor: of all threads
   * of the process, which is more than it computes where waiting polls, and less than `total` where
   * ranks share processors. */
  double seconds_survey, seconds_plan, seconds_summarise, seconds_apply, seconds_exact,
      seconds_wait, seconds_total, seconds_processor;

  /* Summaries, else 0. */
  int kept;      /* nonzero: by a summary that an earlier call left in the handle */
  int lead_axes; /* 0: queries and keys as they came. Else they were rotated into their principal
                    axes, and features are of the highest degree in so many leading ones; dim: all */
  /* The largest error that sampled rows had by summaries, where that was over tol, so that the move
   * that is reported ran in their place; else 0. See PRECIS_GUARANTEE_SAMPLED. */
  double estimate_missed;
} precis_report;

/* precis_report report = PRECIS_REPORT_INIT; */
#ifdef __cplusplus
#define PRECIS_REPORT_INIT {sizeof(precis_report)}
#else
#define PRECIS_REPORT_INIT {.size = sizeof(precis_report)}
#endif

/* Where a call puts what it finds; this rank's rows. */
typedef struct precis_results {
  float *out;    /* rows x heads x value_dim */
  float *lse;    /* rows x heads, or NULL */
  float *bounds; /* rows x heads, or NULL: each row's own proved bound on |computed - true|, in the
                    norm of precis_unit. INFINITY: nothing is proved of it */
} precis_results;

/* What is known of a query head after an attend; see precis_report for units. */
typedef struct precis_head_report {
  size_t size; /* sizeof(precis_head_report), set by the caller in the first element */
  double promise_outputs, promise_outputs_rms, promise_range, lse_promise;
  double mean_signal, trivial_error;
  int constant;
  int64_t rows_recomputed;
} precis_head_report;

typedef struct precis_attention precis_attention;

#ifndef PRECIS_WITHOUT_MPI
/* Collective. Makes a handle for attention over the ranks of comm, which is duplicated.
 * options may be NULL. On success *attention is the caller's, to be given to precis_destroy().
 * Errors: ARGUMENT (a shape out of range), MISMATCH (ranks disagree), FORMAT (options.machine),
 * MEMORY, MPI. */
PRECIS_API int precis_create(MPI_Comm comm, const precis_problem *problem,
                             const precis_options *options, precis_attention **attention);

/* Collective. Appends keys and values to the end of the sequence: first the rows of rank 0, then
 * those of rank 1, and so on; a later append comes after all of an earlier one. The rows are copied
 * and stay on the calling rank. k     rows x kv_heads x dim v     rows x kv_heads x value_dim bias
 * rows, natural-log weights, or NULL for none. -infinity masks a key, and so does all that is at or below PRECIS_BIAS_MASK. If any rank gives a bias, all
 * ranks with rows do (MISMATCH otherwise). Pointers may be NULL where rows is 0. After an error the
 * sequence is as it was. Errors: ARGUMENT, MISMATCH, MEMORY, NONFINITE (also in masked rows), MPI.
 */
PRECIS_API int precis_append(precis_attention *attention, int64_t rows, const float *k,
                             const float *v, const float *bias);

/* Collective. Attends with the queries of all ranks, in rank order, to all keys appended so far.
 *   q       rows x heads x dim
 *   out     rows x heads x value_dim, written on success only, unless results_in_place
 *   lse     rows x heads, or NULL (on any rank)
 *   report  or NULL; report->size must be set
 * Causal: the last query is at the position of the last key, so a decoding caller appends the
 * query's own key first. Queries before position 0 (more queries than keys) see nothing. Errors:
 * ARGUMENT, MEMORY, NONFINITE, RANGE, TOLERANCE (move is PRECIS_MOVE_SUMMARIES and they cannot keep
 * tol), MPI. */
PRECIS_API int precis_attend(precis_attention *attention, int64_t rows, const float *q, float *out,
                             float *lse, precis_report *report);

/* The same with explicit positions: this rank's queries are at first_position, first_position + 1,
 * ... (which may lie before the first or beyond the last key). first_position may differ from rank
 * to rank, and is ignored where rows is 0 or the problem is not causal. */
PRECIS_API int precis_attend_at(precis_attention *attention, int64_t first_position, int64_t rows,
                                const float *q, float *out, float *lse, precis_report *report);

/* The same for all that can be asked for. first_position: NULL, or of this rank as above. */
PRECIS_API int precis_attend_results(precis_attention *attention, const int64_t *first_position,
                                     int64_t rows, const float *q, const precis_results *results,
                                     precis_report *report);

/* Not collective. What the last successful attend is worth, by query head: `heads` elements, filled
 * up to heads[0].size bytes each. Errors: ARGUMENT (size, or there was none). */
PRECIS_API int precis_attention_heads(const precis_attention *attention,
                                      precis_head_report *heads);

/* Collective. Frees *attention and sets it to NULL. NULL in, nothing done. */
PRECIS_API int precis_destroy(precis_attention **attention);
#endif

/* The text for a code, never NULL. Not collective; static storage. */
PRECIS_API const char *precis_strerror(int code);
/* The name of a move ("tiles"), never NULL. Not collective; static storage. */
PRECIS_API const char *precis_move_name(precis_move move);
/* The name of a unit ("outputs"), never NULL. Not collective; static storage. */
PRECIS_API const char *precis_unit_name(precis_unit unit);
/* "0.2.0". Not collective; static storage. */
PRECIS_API const char *precis_version(void);

#ifdef __cplusplus
}
#endif
#endif
