/* grid_basis.h - polynomials that are orthonormal on a grid of [-1, 1] with weights
 *
 * Powers of u are of no use to a linear program from degree 10 or so on: near the ends of the
 * interval they can hardly be told apart. These can, wherever the weights are. Grid and weights are
 * symmetric, so that phi_k is even or odd with k:
 *
 *   norm[k + 1] phi_{k+1}(u) = u phi_k(u) - norm[k] phi_{k-1}(u)      norm[0] phi_0 = 1
 */
#ifndef PRECIS_SRC_PROOF_GRID_BASIS_H
#define PRECIS_SRC_PROOF_GRID_BASIS_H

enum { PRECIS_GRID_BASIS_MOST = 25 };

typedef struct precis_grid_basis {
  int size;
  double norm[PRECIS_GRID_BASIS_MOST];
  /* phi_k = sum_i power[k][i] u^i */
  long double power[PRECIS_GRID_BASIS_MOST][PRECIS_GRID_BASIS_MOST];
} precis_grid_basis;

/* The mean of weight phi_i phi_k over so many points is 1 for i = k and 0 otherwise. size is at
 * most PRECIS_GRID_BASIS_MOST and at most half the number of points with weight. */
void precis_grid_basis_make(int size, int points, const double *u, const double *weight,
                            precis_grid_basis *basis);

/* phi_0 .. phi_{size - 1} at u. */
void precis_grid_basis_at(const precis_grid_basis *basis, double u, double *values);

#endif
