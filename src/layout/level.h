/* level.h - dealing rows to ranks so that all hold about the same */
#ifndef PRECIS_SRC_LAYOUT_LEVEL_H
#define PRECIS_SRC_LAYOUT_LEVEL_H

#include <stdint.h>

/* Splits `rows` new rows over ranks that hold held[r] already: those that hold least get most, and
 * the largest holding afterwards is as small as can be. Sets counts[r], whose sum is rows. */
void precis_level_deal(int ranks, const int64_t *held, int64_t rows, int64_t *counts);

#endif
