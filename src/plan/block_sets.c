#include "src/plan/block_sets.h"

#include <string.h>

/* Degrees in leading and trailing axes of each block, those with counts only after the bar. Powers
 * of the leading part are cheap, so they go far; each product with the trailing part is bought one
 * by one; what is left out of A comes back in E, where it costs one number a feature. The last ones
 * are all of degree 2, which a high envelope proves. */
static const char *const patterns[] = {
    "00 10 20 01|11 02 40",
    "00 10 20 30 01|11 02 40",
    "00 10 20 30 01 11|02 40",
    "00 10 20 30 40 01 11|02",
    "00 10 20 30 01 11|02 12 22 40",
    "00 10 20 30 40 01 11|02 12 22 60",
    "00 10 20 30 40 50 60 01 11|02 12 22",
    "00 10 20 30 40 01 11 21|02 12 22 60",
    "00 10 20 30 40 50 60 01 11 21|02 12 22",
    "00 10 20 30 01 11 02|12 22 40",
    "00 10 20 30 01 11 02 21|12 22 40",
    "00 10 20 30 40 01 11 02|12 22 60",
    "00 10 20 30 40 01 11 02 21|12 22 60",
    "00 10 20 30 40 50 60 01 11 02 21|12 22",
    "00 10 20 30 40 50 01 11 02 21 31|12 22 60",
    "00 10 20 30 40 01 11 02 21 12|22 60",
    "00 10 20 30 40 01 11 02 21|12 22 04",
    "00 10 20 01 11 02|40",
    "00 10 20 01 11 02|22 40",
    "00 10 20 01 11 02|04 22 40",
    "00 10 20 01 11 02|30 21 12 04 22 40",
    "00 10 20 30 01 11 02|04 22 40",
    "00 10 20 30 01 11 02 21|04 12 22 40",
};

enum { PATTERNS = sizeof patterns / sizeof *patterns, FULL_DEGREE = 6, HIGHER = 4, ENVELOPE = 8 };

int precis_block_leads(int dim, int leads[PRECIS_LEADS_MOST])
{
  static const int some[] = {1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48};
  int count = 0;
  for (size_t i = 0; i < sizeof some / sizeof *some && some[i] < dim; i++)
    leads[count++] = some[i];
  leads[count++] = dim;
  return count;
}

static precis_feature_set parse(const char *pattern, int dim, int lead)
{
  precis_feature_set set = {.dim = dim, .lead = lead};
  for (const char *at = pattern; *at; at += 2) {
    if (*at == '|')
      set.value_blocks = set.blocks;
    if (*at == '|' || *at == ' ')
      at++;
    set.block[set.blocks++] =
        (precis_feature_block){(uint8_t)(at[0] - '0'), (uint8_t)(at[1] - '0')};
  }
  return set;
}

static int add(precis_feature_set set, precis_feature_set *sets, int count)
{
  if (count < PRECIS_BLOCK_SETS_MOST && precis_feature_set_valid(&set))
    sets[count++] = set;
  return count;
}

int precis_block_sets(int dim, precis_feature_set sets[PRECIS_BLOCK_SETS_MOST])
{
  int leads[PRECIS_LEADS_MOST], kinds = precis_block_leads(dim, leads), count = 0;
  for (int i = 0; i < kinds - 1; i++)
    for (int k = 0; k < PATTERNS; k++)
      count = add(parse(patterns[k], dim, leads[i]), sets, count);
  for (int g = 1; g <= FULL_DEGREE; g++)
    for (int e = g; e <= g + HIGHER && e <= ENVELOPE; e++)
      if (e == g || e % 2 == 0)
        count = add(precis_feature_set_full(dim, g, e), sets, count);
  return count;
}
