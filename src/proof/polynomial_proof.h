/* polynomial_proof.h - that an envelope holds everywhere, for the coefficients as they stand */
#ifndef PRECIS_SRC_PROOF_POLYNOMIAL_PROOF_H
#define PRECIS_SRC_PROOF_POLYNOMIAL_PROOF_H

#include "src/proof/polynomial.h"

/* What E lacks: an upper bound of max(0, |P(y) - e^y| - E(y)) over all real |y| <= bound, the
 * rounding of the proof included; sharp to .1%, tolerance and that rounding. Adding it to e[0]
 * makes E an envelope. Infinity where nothing can be said. */
double precis_polynomial_lacking(const precis_polynomial *f, double tolerance);

/* Adds to even powers of E about what rounding in the proof (and in a and e) may take off: some
 * 1e-13 e^|y|, where lacking() alone would add 1e-13 e^bound at any y. Proves nothing. */
void precis_polynomial_allow_rounding(precis_polynomial *f);

#endif
