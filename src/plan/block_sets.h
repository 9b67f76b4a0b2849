/* block_sets.h - feature sets that are worth trying where few axes carry most of the scores */
#ifndef PRECIS_SRC_PLAN_BLOCK_SETS_H
#define PRECIS_SRC_PLAN_BLOCK_SETS_H

#include "src/summary/feature_set.h"

/* Numbers of leading axes that are tried, ascending; all of dim last. Returns how many, at most
 * PRECIS_LEADS_MOST. */
enum { PRECIS_LEADS_MOST = 16, PRECIS_BLOCK_SETS_MOST = 320 };
int precis_block_leads(int dim, int leads[PRECIS_LEADS_MOST]);

/* Valid sets for all of these, full ones (to be used in balanced axes) for the last; at most
 * PRECIS_BLOCK_SETS_MOST. No monomial has a degree above 8 in the leading or above 4 in the
 * trailing axes. Returns how many. */
int precis_block_sets(int dim, precis_feature_set sets[PRECIS_BLOCK_SETS_MOST]);

#endif
