/* rates.h - what a machine does in a second, for predictions
 *
 * Of one rank with all its threads, while all ranks of its node do the same: caches and memory are
 * shared. "Numbers" are float32 numbers of keys, values, queries or results that a pass goes over.
 */
#ifndef PRECIS_SRC_MODEL_RATES_H
#define PRECIS_SRC_MODEL_RATES_H

#include <stddef.h>

/* All doubles, so that one table (precis_rate_fields) describes them. */
typedef struct precis_rates {
  double threads;     /* of the rank that was measured */
  double fast_memory; /* bytes of cache that the rank owns */

  double node_latency;   /* seconds of a message inside a node */
  double node_bandwidth; /* bytes a second that a rank sends inside its node; copied by the rank */
  double network_latency;
  double network_bandwidth; /* bytes a second that a node sends, all its ranks together */
  double network_stream;    /* bytes a second that one rank sends while the others are silent */

  double tile_flops;        /* exact attention: multiplications and additions */
  double tile_exponentials; /* and exponentials, one for each pair */
  double tile_stream;       /* numbers of keys and values that pass by a block of queries */

  double summarise_flops;    /* products of features and values */
  double summarise_features; /* features made for them */
  double summarise_counts;   /* features made and summed without values */
  double apply_flops, apply_features, apply_counts;

  double memory_bandwidth; /* bytes a second, read and written */
  double page_bandwidth;   /* bytes a second of memory that is taken anew, used, and given back */
  double survey_numbers;   /* surveyed: means, then extremes */
  double pack_numbers;     /* of keys and values packed into parcels */
  double bulk_numbers;     /* of keys, values and queries made ready for summaries */
  double merge_numbers;    /* of partial results merged */
  double finish_numbers;   /* of results finished */

  double call_time; /* seconds of a call, whatever its size */
  double step_time; /* of a step: threads start and stop */
  double row_time;  /* of a row and head with its certificate, when summaries are used */
  double fit_time;  /* of fitting one polynomial */
} precis_rates;

typedef struct precis_rate_field {
  const char *key, *unit; /* unit "": a plain number */
  size_t offset;          /* in precis_rates */
  double least, most;     /* values that make sense */
  const char *meaning;
} precis_rate_field;

/* In the order of the file; ends with a NULL key. */
extern const precis_rate_field precis_rate_fields[];

enum { PRECIS_RATE_FIELDS_MOST = 32 };

/* Of a usual core of 2024 and a usual network, for want of measurements. */
precis_rates precis_rates_nominal(int threads);

/* The same machine with another number of threads a rank: rates of threaded work grow with them. */
precis_rates precis_rates_with_threads(const precis_rates *rates, int threads);

double *precis_rate_of(precis_rates *rates, const precis_rate_field *field);

#endif
