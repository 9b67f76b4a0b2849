/* suggest.h - what may have been meant by a word that is not known */
#ifndef PRECIS_CLI_SUGGEST_H
#define PRECIS_CLI_SUGGEST_H

#include "src/cli/settings.h"

typedef struct precis_suggestion {
  char text[96]; /* "; did you mean --tol?", or "" */
} precis_suggestion;

/* option: with its dashes, perhaps with a value. Of this command's options the nearest, or who has
 * an option of that name. */
precis_suggestion precis_suggest_flag(const char *option, precis_verb verb);

precis_suggestion precis_suggest_command(const char *name);

/* Letters to insert, leave out, replace or swap with their neighbours, to make one of the other; at
 * most `most` + 1. */
int precis_edits(const char *a, const char *b, int most);

#endif
