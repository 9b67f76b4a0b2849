#include "src/proof/grid_basis.h"

#include <math.h>
#include <string.h>

/* phi_k, not yet divided by its norm, from the two before it. */
static double next(const precis_grid_basis *basis, int k, double u, double last, double before)
{
  return k == 0 ? 1 : u * last - (k > 1 ? basis->norm[k - 1] * before : 0);
}

void precis_grid_basis_at(const precis_grid_basis *basis, double u, double *values)
{
  for (int k = 0; k < basis->size; k++)
    values[k] =
        next(basis, k, u, k > 0 ? values[k - 1] : 0, k > 1 ? values[k - 2] : 0) / basis->norm[k];
}

/* The norm of phi_k by all before it: Stieltjes' procedure. */
static double norm_of(precis_grid_basis *basis, int k, int points, const double *u,
                      const double *weight)
{
  double sum = 0;
  basis->size = k;
  for (int j = 0; j < points; j++) {
    double values[PRECIS_GRID_BASIS_MOST];
    precis_grid_basis_at(basis, u[j], values);
    double x = next(basis, k, u[j], k > 0 ? values[k - 1] : 0, k > 1 ? values[k - 2] : 0);
    sum += weight[j] * x * x;
  }
  return sqrt(sum / points);
}

void precis_grid_basis_make(int size, int points, const double *u, const double *weight,
                            precis_grid_basis *basis)
{
  memset(basis, 0, sizeof *basis);
  for (int k = 0; k < size; k++) {
    basis->norm[k] = norm_of(basis, k, points, u, weight);
    long double norm = basis->norm[k];
    for (int i = 0; i <= k; i++) {
      long double raised = i > 0 ? basis->power[k - 1][i - 1] : 0;
      long double before = k > 1 ? basis->norm[k - 1] * basis->power[k - 2][i] : 0;
      basis->power[k][i] = (k == 0 ? 1 : raised - before) / norm;
    }
  }
  basis->size = size;
}
