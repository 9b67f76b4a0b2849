#include "mpi/service/histogram.h"

#include <math.h>

/* Written out, so that the ends print as they read. */
static const double edges[PRECIS_HISTOGRAM_BINS - 1] = {
    1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100};

double precis_histogram_edge(int bin)
{
  return bin < PRECIS_HISTOGRAM_BINS - 1 ? edges[bin] : INFINITY;
}

void precis_histogram_add(precis_histogram *histogram, double seconds)
{
  int bin = 0;
  while (seconds > precis_histogram_edge(bin))
    bin++;
  histogram->bins[bin]++;
  histogram->count++;
  histogram->sum += seconds;
}

double precis_histogram_quantile(const precis_histogram *histogram, double share)
{
  int64_t seen = 0;
  for (int bin = 0; bin < PRECIS_HISTOGRAM_BINS; bin++) {
    seen += histogram->bins[bin];
    if (histogram->count > 0 && (double)seen >= share * (double)histogram->count)
      return precis_histogram_edge(bin);
  }
  return 0;
}
