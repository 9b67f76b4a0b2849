/* paper.h - a plan without data: what precis_attend() would choose, and why
 *
 * The same costs, candidates, fits and rule as at run time, with rows in even shares, ranks node by
 * node, and scores as src/paper/sample.h assumes them. */
#ifndef PRECIS_SRC_PAPER_PAPER_H
#define PRECIS_SRC_PAPER_PAPER_H

#include <stdint.h>

#include "src/plan/choose.h"
#include "src/base/message.h"
#include "src/model/model.h"
#include "src/paper/layout.h"
#include "src/exact/parcel.h"
#include "src/precis.h"

enum { PRECIS_PAPER_FITS = 72 };

typedef struct precis_paper {
  precis_problem problem; /* settled */
  int64_t queries, keys;
  int ranks, ranks_per_node;
  double spread, bound; /* of the scores, see precis_paper_scores; bound 0: expected */
  int unit;
  double signal; /* see precis_paper_scores */
  double tol;       /* 0: exact */
  precis_unit tol_of;
  int degree;       /* 0: any */
  precis_move move; /* AUTO, or the one that is asked for */
  precis_rates rates;
  int64_t memory_limit; /* bytes of a rank; 0: none */
  int64_t shared_room;  /* bytes that ranks of a node may share; 0: enough */
} precis_paper;

/* A pair of degrees with a polynomial that was fitted. */
typedef struct precis_paper_fit {
  precis_candidate candidate; /* its seconds are not set */
  double failing;             /* share of rows to repair; 1 where there is no fit */
} precis_paper_fit;

typedef struct precis_paper_fits {
  double bound; /* B */
  int count;
  precis_paper_fit fit[PRECIS_PAPER_FITS];
} precis_paper_fits;

typedef struct precis_paper_plan {
  precis_move move;                          /* chosen */
  int tiles_apart, summary_apart;            /* no room for what ranks of a node would share */
  precis_prediction predicted[PRECIS_MOVES]; /* seconds 0: not possible */
  int64_t tile_rows;
  double bound;
  precis_scene scene; /* what they were predicted from; its problem is the paper's, borrowed */
  int fit;            /* the best summary in fits; -1: there is none */
  double failing;     /* rows that it leaves to repair */
  char why[200];
} precis_paper_plan;

/* Where summaries begin to win and where they stop, as something grows while all else stays. 0: not
 * within what was looked at. */
typedef struct precis_paper_crossing {
  int64_t from, until;
} precis_paper_crossing;

/* Whether shapes are in range and bytes can be counted. Errors: ARGUMENT. */
int precis_paper_check(const precis_paper *paper, precis_message *why);

/* Fits all degrees for the scores of a paper: some 50 ms. Errors: MEMORY. */
int precis_paper_fit_all(const precis_paper *paper, precis_paper_fits *fits);

/* R of the scores and values that a paper assumes, see precis_unit. */
double precis_paper_mean_signal(const precis_paper *paper);

/* Errors: MEMORY; also if nothing keeps the memory limit, with what is missing in *why. TOLERANCE
 * if summaries are asked for and miss it. */
int precis_paper_make(const precis_paper *paper, const precis_paper_fits *fits,
                      precis_paper_plan *plan, precis_message *why);

/* With the fits as they are: by the number of keys (queries in proportion), and by the number of
 * ranks. Errors: MEMORY. */
int precis_paper_cross_keys(const precis_paper *paper, const precis_paper_fits *fits,
                            precis_paper_crossing *crossing);
int precis_paper_cross_ranks(const precis_paper *paper, const precis_paper_fits *fits,
                             precis_paper_crossing *crossing);

/* What models need to know of it, before moves are thought of. */
precis_scene precis_paper_scene(const precis_paper *paper);

/* Where rows lie, and the parcels of all key/value heads. Errors: MEMORY. */
int precis_paper_layout_of(const precis_paper *paper, precis_paper_layout *layout);
precis_parcel_kind precis_paper_kind(const precis_paper *paper);

#endif
