/* linear_program.h - a fresh linear program of Clp's, set up for what fits of polynomials ask of it
 */
#ifndef PRECIS_SRC_PROOF_LINEAR_PROGRAM_H
#define PRECIS_SRC_PROOF_LINEAR_PROGRAM_H

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes" /* Clp says () for (void) */
#include <Clp_C_Interface.h>
#pragma GCC diagnostic pop

/* No rows yet; columns with costs and bounds, one each. Silent, unscaled, unperturbed; `feasible`
 * is the tolerance of both sides. Releases `former`, which may be NULL. NULL: no memory. */
Clp_Simplex *precis_linear_program_make(Clp_Simplex *former, int columns, const double *cost,
                                        const double *lower, const double *upper, double feasible);

#endif
