/* histogram.h - how long things took, in steps of 1, 2, 5 from a tenth of a millisecond to 100 s */
#ifndef PRECIS_MPI_SERVICE_HISTOGRAM_H
#define PRECIS_MPI_SERVICE_HISTOGRAM_H

#include <stdint.h>

enum { PRECIS_HISTOGRAM_BINS = 20 }; /* the last one has no upper end */

typedef struct precis_histogram {
  int64_t bins[PRECIS_HISTOGRAM_BINS];
  int64_t count;
  double sum; /* seconds */
} precis_histogram;

/* The upper end of a bin, seconds; infinity for the last. */
double precis_histogram_edge(int bin);
void precis_histogram_add(precis_histogram *histogram, double seconds);
/* The upper end of the bin that holds this share (0..1) of all; 0 if there is none. */
double precis_histogram_quantile(const precis_histogram *histogram, double share);

#endif
