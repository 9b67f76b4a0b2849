#include "src/cli/batches.h"

#include <math.h>

/* One measurement says little about another batch: summaries are made in the first and kept for the
 * next, causal rows see ever more keys. */
static const double GROWTH_MOST = 8;

/* What is a little longer than one batch should take is not worth a second. */
static const double TOO_LITTLE = 1.5;

int64_t precis_batches_next(int64_t left, int64_t least, int64_t rows, double seconds,
                            double wanted)
{
  if (!(wanted > 0) || !(seconds > 0) || rows < 1)
    return left;
  double fit = (double)rows * fmin(wanted / seconds, GROWTH_MOST);
  fit = fmax(fit, fmax((double)least, 1));
  if (fit * TOO_LITTLE >= (double)left)
    return left;
  double count = ceil((double)left / fit);
  int64_t next = (int64_t)ceil((double)left / count);
  return next < left ? next : left;
}
