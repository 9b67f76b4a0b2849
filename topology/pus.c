#include "topology/pus.h"

#include <string.h>

enum { WORDS = PRECIS_PUS_MOST / 64 };

void precis_pus_add(precis_pus *set, int unit)
{
  if (unit >= 0 && unit < PRECIS_PUS_MOST)
    set->word[unit / 64] |= UINT64_C(1) << unit % 64;
}

int precis_pus_has(const precis_pus *set, int unit)
{
  return unit >= 0 && unit < PRECIS_PUS_MOST && (set->word[unit / 64] >> unit % 64 & 1);
}

int precis_pus_count(const precis_pus *set)
{
  int count = 0;
  for (int i = 0; i < WORDS; i++)
    count += __builtin_popcountll(set->word[i]);
  return count;
}

int precis_pus_equal(const precis_pus *a, const precis_pus *b)
{
  return memcmp(a->word, b->word, sizeof a->word) == 0;
}

int precis_pus_meet(const precis_pus *a, const precis_pus *b)
{
  for (int i = 0; i < WORDS; i++)
    if (a->word[i] & b->word[i])
      return 1;
  return 0;
}

void precis_pus_unite(precis_pus *set, const precis_pus *more)
{
  for (int i = 0; i < WORDS; i++)
    set->word[i] |= more->word[i];
}
