#include "src/proof/linear_program.h"

#include <stddef.h>

Clp_Simplex *precis_linear_program_make(Clp_Simplex *former, int columns, const double *cost,
                                        const double *lower, const double *upper, double feasible)
{
  if (former != NULL)
    Clp_deleteModel(former);
  Clp_Simplex *model = Clp_newModel();
  if (model == NULL)
    return NULL;
  Clp_setLogLevel(model, 0);
  Clp_scaling(model, 0);
  Clp_setPerturbation(model, 102); /* never */
  Clp_setPrimalTolerance(model, feasible);
  Clp_setDualTolerance(model, feasible);
  Clp_resize(model, 0, columns);
  Clp_chgObjCoefficients(model, cost);
  Clp_chgColumnLower(model, lower);
  Clp_chgColumnUpper(model, upper);
  return model;
}
