/* pus.h - sets of processing units (hardware threads), as plain data that can be sent
 *
 * Numbers are the system's. Units from PRECIS_PUS_MOST on are left out. */
#ifndef PRECIS_TOPOLOGY_PUS_H
#define PRECIS_TOPOLOGY_PUS_H

#include <stdint.h>

enum { PRECIS_PUS_MOST = 4096 };

typedef struct precis_pus {
  uint64_t word[PRECIS_PUS_MOST / 64];
} precis_pus;

void precis_pus_add(precis_pus *set, int unit);
int precis_pus_has(const precis_pus *set, int unit);
int precis_pus_count(const precis_pus *set);
int precis_pus_equal(const precis_pus *a, const precis_pus *b);
int precis_pus_meet(const precis_pus *a, const precis_pus *b); /* nonzero: some unit is in both */
void precis_pus_unite(precis_pus *set, const precis_pus *more);

#endif
