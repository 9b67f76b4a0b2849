/* help.c - the table of flags as text */
#include <string.h>

#include "src/cli/flags.h"

enum { TEXT_COLUMN = 26, LAST_COLUMN = 98 };

/* Breaks text between words; the cursor stands at column `indent`. */
static void print_wrapped(const char *text, int indent, FILE *stream)
{
  int column = indent;
  for (const char *gap = ""; *text != '\0'; gap = " ") {
    text += strspn(text, " ");
    int length = (int)strcspn(text, " ");
    if (column + 1 + length > LAST_COLUMN) {
      fprintf(stream, "\n%*s", indent, "");
      column = indent;
      gap = "";
    }
    column += fprintf(stream, "%s%.*s", gap, length, text);
    text += length;
  }
  fputc('\n', stream);
}

static void print_flag(const precis_flag *flag, FILE *stream)
{
  char head[64];
  snprintf(head, sizeof head, "%s%s%s%s", strcmp(flag->name, "--out") == 0 ? "-o, " : "",
           flag->name, flag->value ? " " : "", flag->value ? flag->value : "");
  fprintf(stream, "  %-*s", TEXT_COLUMN - 2, head);
  print_wrapped(flag->help, TEXT_COLUMN, stream);
}

static void print_program(FILE *stream)
{
  fputs("usage: precis COMMAND [options]     on one rank, or under mpirun on many\n\n"
        "Softmax attention over a sequence spread over the ranks of an MPI job.\n\n",
        stream);
  for (const precis_command *c = precis_commands; c->name != NULL; c++)
    if (c->verb != 0)
      fprintf(stream, "  %-8s%s\n", c->name, c->summary);
  fputs("\nprecis COMMAND --help explains a command, precis --version names the version.\n"
        "Numbers take units: k, M, G (powers of 1000), Ki, Mi, Gi (of 1024), and exponents (1e9).\n"
        "Exit status: 0 done, 1 failed, 2 bad usage or input, 3 tolerance not met, 75 interrupted\n"
        "(the same command resumes).\n",
        stream);
}

void precis_settings_help(precis_verb verb, FILE *stream)
{
  const precis_command *command = precis_command_of(verb);
  if (verb == 0 || verb == PRECIS_VERB_HELP) {
    print_program(stream);
    return;
  }
  fprintf(stream, "usage: %s\n\n", command->usage);
  print_wrapped(command->text, 0, stream);
  fputc('\n', stream);
  for (const precis_flag *flag = precis_flags; flag->name != NULL; flag++)
    if ((flag->verbs & verb) && flag->rule != PRECIS_RULE_LATER)
      print_flag(flag, stream);
  if (command->example != NULL)
    fprintf(stream, "\nexample:\n  %s\n", command->example);
}

/* Up to the end of the first sentence or clause; dots are in names, too. */
static int first_clause(const char *text)
{
  int length = 0;
  while (text[length] != '\0' &&
         !(strchr(".;:(", text[length]) != NULL && (text[length] == '(' || text[length + 1] == ' ')))
    length++;
  while (length > 0 && text[length - 1] == ' ')
    length--;
  return length;
}

static void put_row(const char *name, const char *value, const char *words, const char *help,
                    FILE *stream)
{
  fprintf(stream, "%s\t%s\t%s\t%.*s\n", name, value ? value : "", words ? words : "",
          first_clause(help), help);
}

void precis_settings_table(precis_verb verb, FILE *stream)
{
  if (verb == 0) {
    for (const precis_command *c = precis_commands; c->name != NULL; c++)
      fprintf(stream, "%s\t%s\n", c->name, c->summary);
    return;
  }
  const precis_command *command = precis_command_of(verb);
  if (command->operands != NULL)
    put_row("", "WORD", command->operands, "", stream);
  for (const precis_flag *flag = precis_flags; flag->name != NULL; flag++)
    if ((flag->verbs & verb) && flag->rule != PRECIS_RULE_LATER) {
      const char *help = flag->help ? flag->help : "show help";
      put_row(flag->name, flag->value, flag->words, help, stream);
      if (strcmp(flag->name, "--out") == 0)
        put_row("-o", flag->value, flag->words, help, stream);
    }
}
