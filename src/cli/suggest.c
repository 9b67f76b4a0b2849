#include "src/cli/suggest.h"

#include <stdio.h>
#include <string.h>

#include "src/cli/flags.h"

enum { NAME_MOST = 32 };

static int least(int a, int b)
{
  return a < b ? a : b;
}

int precis_edits(const char *a, const char *b, int most)
{
  int rows[3][NAME_MOST + 1], m = (int)strlen(a), n = (int)strlen(b);
  if (m > NAME_MOST || n > NAME_MOST)
    return most + 1;
  int *before = rows[0], *last = rows[1], *now = rows[2];
  for (int j = 0; j <= n; j++)
    last[j] = before[j] = j;
  for (int i = 1; i <= m; i++) {
    now[0] = i;
    for (int j = 1; j <= n; j++) {
      now[j] = least(least(now[j - 1], last[j]) + 1, last[j - 1] + (a[i - 1] != b[j - 1]));
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = least(now[j], before[j - 2] + 1);
    }
    int *spare = before;
    before = last;
    last = now;
    now = spare;
  }
  return least(last[n], most + 1);
}

/* More would be a guess at another word. */
static int edits_most(const char *name)
{
  return strlen(name) < 5 ? 1 : 2;
}

/* Without dashes and a value. */
static void take_name(const char *option, char name[NAME_MOST + 1])
{
  option += strspn(option, "-");
  snprintf(name, NAME_MOST + 1, "%.*s", (int)strcspn(option, "="), option);
}

/* The option of this name, given with one dash, or those that begin like this, which getopt takes
 * for none of them. */
static int list_beginnings(const char *name, precis_verb verb, precis_suggestion *made)
{
  char list[64] = "";
  int count = 0;
  for (const precis_flag *f = precis_flags; f->name != NULL; f++)
    if ((f->verbs & verb) && strcmp(f->name + 2, name) == 0) {
      snprintf(made->text, sizeof made->text, "; did you mean %s?", f->name);
      return 1;
    }
  for (const precis_flag *f = precis_flags; f->name != NULL; f++) {
    if (!(f->verbs & verb) || strncmp(f->name + 2, name, strlen(name)) != 0)
      continue;
    size_t used = strlen(list);
    if (used + strlen(f->name) + 6 < sizeof list)
      snprintf(list + used, sizeof list - used, "%s%s", count > 0 ? " or " : "", f->name);
    count++;
  }
  if (count > 0)
    snprintf(made->text, sizeof made->text, "; did you mean %s?", list);
  return count;
}

/* "--output" for --out. */
static const precis_flag *beginning_of(const char *name, precis_verb verb)
{
  const precis_flag *best = NULL;
  for (const precis_flag *f = precis_flags; f->name != NULL; f++) {
    size_t length = strlen(f->name + 2);
    if ((f->verbs & verb) && length >= 3 && strncmp(name, f->name + 2, length) == 0)
      best = best == NULL || length > strlen(best->name + 2) ? f : best;
  }
  return best;
}

static const precis_flag *nearest(const char *name, precis_verb verb)
{
  const precis_flag *best = NULL;
  int most = edits_most(name), edits = most + 1;
  for (const precis_flag *f = precis_flags; f->name != NULL; f++) {
    int needed = f->verbs & verb ? precis_edits(name, f->name + 2, most) : most + 1;
    if (needed < edits) {
      edits = needed;
      best = f;
    }
  }
  return best ? best : beginning_of(name, verb);
}

/* Of other commands: the first in the order of the table that has it. */
static const precis_command *owner_of(const char *name)
{
  for (const precis_flag *f = precis_flags; f->name != NULL; f++)
    for (const precis_command *c = precis_commands; c->name != NULL; c++)
      if (strcmp(f->name + 2, name) == 0 && (f->verbs & c->verb))
        return c;
  return NULL;
}

precis_suggestion precis_suggest_flag(const char *option, precis_verb verb)
{
  char name[NAME_MOST + 1];
  precis_suggestion made = {""};
  take_name(option, name);
  const precis_command *owner = owner_of(name);
  const precis_flag *near = nearest(name, verb);
  if (name[0] == '\0' || list_beginnings(name, verb, &made))
    return made;
  if (near != NULL)
    snprintf(made.text, sizeof made.text, "; did you mean %s?", near->name);
  else if (owner != NULL)
    snprintf(made.text, sizeof made.text, ": that is for precis %s", owner->name);
  return made;
}

precis_suggestion precis_suggest_command(const char *name)
{
  precis_suggestion made = {""};
  int most = edits_most(name), edits = most + 1;
  for (const precis_command *c = precis_commands; c->name != NULL; c++) {
    int needed = c->verb != 0 ? precis_edits(name, c->name, most) : most + 1;
    if (needed < edits) {
      edits = needed;
      snprintf(made.text, sizeof made.text, "; did you mean %s?", c->name);
    }
  }
  return made;
}
