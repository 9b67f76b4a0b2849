/* precis_client.h - asks "precis serve" from any program: no MPI, no threads
 *
 * SPDX-License-Identifier: BSD-3-Clause
 *
 * Conventions are those of precis.h: a call returns PRECIS_SUCCESS or a negative code, and leaves
 * its outputs untouched unless it succeeds; the words of an error go to options.message. What the
 * service refuses is ARGUMENT (also a wrong token, or a context that is not there), MEMORY (over a
 * limit of the service), or IO (it is stopping, busy, or cannot be reached). A client is used by
 * one thread at a time. */
#ifndef PRECIS_CLIENT_H
#define PRECIS_CLIENT_H

/* Programs without MPI define PRECIS_WITHOUT_MPI first. */
#include "precis.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct precis_client precis_client;

typedef struct precis_client_options {
  const char *url;   /* "http://127.0.0.1:8470", "https://HOST[:PORT][/PREFIX]", "unix:PATH" */
  const char *token; /* NULL or "": none */
  void (*message)(void *context, const char *text); /* or NULL */
  void *context;
  const char
      *ca_file; /* for https: PEM, who may vouch for the service; NULL: as the system has it */
  double timeout_seconds; /* that the service may be silent, also while it works; 0: 600 */
} precis_client_options;

enum { PRECIS_CLIENT_ID = 32 };

/* What goes with results. */
typedef struct precis_client_answer {
  precis_move move;
  int64_t tokens; /* that were attended to */
  double promise; /* see precis_report; NaN: none */
  int estimate;   /* likewise */
  precis_unit unit; /* of the promise */
  /* See precis_report; NaN: none. */
  double promise_outputs, promise_outputs_rms, promise_range, lse_promise, mean_signal;
} precis_client_answer;

/* Copies what it is given; connects when it has something to ask, and again when the connection is
 * gone: a request of which nobody knows whether it was done is sent once more, with the same key,
 * and is not done twice. *client is the caller's, to be given to precis_client_close(). Errors:
 * ARGUMENT, MEMORY. */
PRECIS_API int precis_client_open(const precis_client_options *options, precis_client **client);
/* NULL in, nothing done; sets *client to NULL. */
PRECIS_API void precis_client_close(precis_client **client);

/* Makes a context. id: the text that names it from now on. Errors: ARGUMENT, MEMORY, IO, FORMAT (an
 * answer that cannot be read), like those below. */
PRECIS_API int precis_client_create(precis_client *client, const precis_problem *problem,
                                    double tol, char id[PRECIS_CLIENT_ID]);

/* The same with another unit of tol than PRECIS_UNIT_OUTPUTS. */
PRECIS_API int precis_client_create_of(precis_client *client, const precis_problem *problem,
                                       double tol, precis_unit tol_of, char id[PRECIS_CLIENT_ID]);

/* Appends rows of keys and values, all or none.
 *   k       rows x kv_heads x dim
 *   v       rows x kv_heads x value_dim
 *   bias    rows, or NULL
 *   key     names this append; sent again with the same key it is not done twice, and another
 *           append with it is refused; NULL: one is made
 *   tokens  of the context with these; or NULL
 * problem: as it was made with. */
PRECIS_API int precis_client_append(precis_client *client, const char *id,
                                    const precis_problem *problem, int64_t rows, const float *k,
                                    const float *v, const float *bias, const char *key,
                                    int64_t *tokens);

/* Attends: q rows x heads x dim, out rows x heads x value_dim, lse rows x heads or NULL, answer or
 * NULL. */
PRECIS_API int precis_client_attend(precis_client *client, const char *id,
                                    const precis_problem *problem, int64_t rows, const float *q,
                                    float *out, float *lse, precis_client_answer *answer);

/* The same for all that can be asked for: out, and lse and bounds (rows x heads each) or NULL. */
PRECIS_API int precis_client_attend_results(precis_client *client, const char *id,
                                            const precis_problem *problem, int64_t rows,
                                            const float *q, const precis_results *results,
                                            precis_client_answer *answer);

/* Makes a context of what another has now; child: its id. */
PRECIS_API int precis_client_fork(precis_client *client, const char *id,
                                  char child[PRECIS_CLIENT_ID]);
PRECIS_API int precis_client_delete(precis_client *client, const char *id);

#ifdef __cplusplus
}
#endif
#endif
