/* subset.h - a handle made into one of some of its heads, while a group of them is attended to
 *
 * The heads of a call may be attended to each in its own way. The handle then has, for a time, the
 * key/value heads of one group with their query heads alone: copies of their keys and values, what
 * earlier calls have found out of their answers, and no summary that is kept. What the group's part
 * of the call finds out is put aside until all groups are done, so that a call that fails leaves
 * the handle as it was. */
#ifndef PRECIS_MPI_HANDLE_SUBSET_H
#define PRECIS_MPI_HANDLE_SUBSET_H

#include "mpi/handle/attention.h"

/* What a call in groups finds out, of all heads of the handle. */
typedef struct precis_learnt {
  precis_signal signal; /* has_mean: of before the call, so that no group takes another's zeros */
  int found_mean;       /* the groups have found their mean queries */
  precis_head_report *heads;
  precis_head_sums *sums;
} precis_learnt;

/* Of what is known before the call. Errors: MEMORY; on failure, too, free it. */
int precis_learnt_create(const precis_attention *attention, precis_learnt *learnt);
void precis_learnt_free(precis_learnt *learnt);
/* All groups are done: the handle knows it from now on. */
void precis_learnt_commit(precis_attention *attention, const precis_learnt *learnt);

typedef struct precis_subset {
  precis_attention *a;
  int count;       /* key/value heads ... */
  const int *list; /* ... and which, ascending; the caller's */
  struct {         /* of the whole handle, meanwhile */
    precis_problem problem;
    precis_options options;
    precis_keys keys;
    precis_survey survey;
    int64_t surveyed, surveyed_before, beside;
    precis_kept kept;
    double exact_spent, repair_spent, exact_patience, repair_patience;
    precis_signal signal;
    precis_head_report *heads;
    precis_head_sums *sums;
    int has_heads;
  } whole;
} precis_subset;

/* Bytes of the copies of so many key/value heads of this rank's keys. */
int64_t precis_subset_bytes(const precis_attention *attention, int count);

/* Collective. beside: bytes that the caller holds meanwhile. Errors: MEMORY, on all ranks alike;
 * the handle is then as it was. */
int precis_subset_enter(precis_attention *attention, int count, const int *list, int64_t beside,
                        const precis_learnt *learnt, precis_subset *subset);

/* The handle is whole again. learnt: where what was found out goes, or NULL. */
void precis_subset_leave(precis_subset *subset, precis_learnt *learnt);

/* Rows of the subset's query heads out of, or into, rows of all query heads; `each` numbers a head.
 */
void precis_subset_gather(const precis_subset *subset, int64_t rows, int each, const float *all,
                          float *some);
void precis_subset_scatter(const precis_subset *subset, int64_t rows, int each, const float *some,
                           float *all);

#endif
