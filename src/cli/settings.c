#include "src/cli/settings.h"

#include <getopt.h>
#include <string.h>

#include "src/cli/flags.h"
#include "src/cli/suggest.h"
#include "src/base/size.h"

enum { FLAGS_MOST = 128, FIRST_CODE = 256 };

static const char OUT[] = "--out";

/* Seconds: a job that is told to stop a minute before its end has time to. */
static const double CHECKPOINT_EVERY = 20;

static int not_in_this_version(const char *what, const char *value, precis_message *why)
{
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s%s%s is not in this version (%s)", what,
                            value ? " " : "", value ? value : "", precis_version());
}

/* The index of text among words separated by |, or -1. */
static int find_word(const char *words, const char *text)
{
  size_t length = strlen(text);
  for (int index = 0; words != NULL; index++) {
    if (strcspn(words, "|") == length && strncmp(words, text, length) == 0)
      return index;
    words = strchr(words, '|');
    words = words ? words + 1 : NULL;
  }
  return -1;
}

static int take_word(const precis_flag *flag, const char *name, const char *text, int *value,
                     precis_message *why)
{
  int index = find_word(flag->words, text);
  if (index < 0 && find_word(flag->later, text) >= 0)
    return not_in_this_version(name, text, why);
  if (index < 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is '%s', must be one of %s", name, text,
                              flag->words);
  *value = index;
  return PRECIS_SUCCESS;
}

static int take_factor(const precis_flag *flag, const char *text, double *value,
                       precis_message *why)
{
  double number;
  int status = precis_number_parse(flag->name, text, flag->least, flag->most, &number, why);
  if (status == PRECIS_SUCCESS && number == 0)
    status = precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is 0, must not be", flag->name);
  if (status == PRECIS_SUCCESS)
    *value = number;
  return status;
}

/* "3..17", or "3" for that one. */
static int take_range(const precis_flag *flag, const char *text, precis_range *value,
                      precis_message *why)
{
  char first[32];
  const char *dots = strstr(text, "..");
  size_t length = dots ? (size_t)(dots - text) : strlen(text);
  precis_range range = {0, 0};
  if (length >= sizeof first)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is '%s', must be A..B", flag->name,
                              text);
  memcpy(first, text, length);
  first[length] = '\0';
  int64_t least = (int64_t)flag->least, most = (int64_t)flag->most;
  int status = precis_size_parse(flag->name, first, least, most, &range.first, why);
  if (status == PRECIS_SUCCESS)
    status =
        precis_size_parse(flag->name, dots ? dots + 2 : first, range.first, most, &range.last, why);
  if (status == PRECIS_SUCCESS)
    *value = range;
  return status;
}

static int take(const precis_flag *flag, const char *text, precis_settings *settings,
                precis_message *why)
{
  const char *name = flag->name;
  void *place = (char *)settings + flag->offset;
  switch (flag->rule) {
  case PRECIS_RULE_FLAG:
    *(int *)place = 1;
    return PRECIS_SUCCESS;
  case PRECIS_RULE_TEXT:
    if (*text == '\0')
      return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is empty", name);
    *(const char **)place = text;
    return PRECIS_SUCCESS;
  case PRECIS_RULE_SIZE:
    return precis_size_parse(name, text, (int64_t)flag->least, (int64_t)flag->most, place, why);
  case PRECIS_RULE_NUMBER:
    return precis_number_parse(name, text, flag->least, flag->most, place, why);
  case PRECIS_RULE_FACTOR:
    return take_factor(flag, text, place, why);
  case PRECIS_RULE_WORD:
    return take_word(flag, name, text, place, why);
  case PRECIS_RULE_RANGE:
    return take_range(flag, text, place, why);
  case PRECIS_RULE_LATER:
    return not_in_this_version(name, NULL, why);
  case PRECIS_RULE_HELP:
    settings->help_on = settings->verb;
    settings->verb = PRECIS_VERB_HELP;
    return PRECIS_SUCCESS;
  }
  return PRECIS_ERR_INTERNAL;
}

/* The flags of one command in the form getopt_long() takes. */
typedef struct getopt_table {
  struct option options[FLAGS_MOST + 1];
  char letters[2 * FLAGS_MOST + 3];
} getopt_table;

static getopt_table make_table(precis_verb verb)
{
  getopt_table table = {.letters = ":h"};
  int count = 0;
  for (int i = 0; precis_flags[i].name != NULL && count < FLAGS_MOST; i++) {
    const precis_flag *flag = &precis_flags[i];
    if (!(flag->verbs & verb))
      continue;
    if (strcmp(flag->name, OUT) == 0)
      strcat(table.letters, "o:");
    table.options[count++] =
        (struct option){.name = flag->name + 2,
                        .has_arg = flag->value ? required_argument : no_argument,
                        .val = FIRST_CODE + i};
  }
  return table;
}

/* The flag that getopt_long() found. Letters are short for others. */
static const precis_flag *flag_of(int code, precis_verb verb)
{
  if (code >= FIRST_CODE)
    return &precis_flags[code - FIRST_CODE];
  for (const precis_flag *flag = precis_flags; flag->name != NULL; flag++)
    if ((flag->verbs & verb) && strcmp(flag->name, code == 'h' ? "--help" : OUT) == 0)
      return flag;
  return NULL;
}

/* The argument in which getopt_long() met this letter: "-tol", of which it says -t. */
static const char *argument_of(char letter, int argc, char **argv)
{
  for (int i = 1; i < argc; i++)
    if (argv[i][0] == '-' && argv[i][1] == letter)
      return argv[i];
  return "";
}

static int bad_option(int code, int argc, char **argv, precis_verb verb, precis_message *why)
{
  const char *text = argv[optind > 1 ? optind - 1 : 1];
  if (code == ':')
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "option '%s' needs a value", text);
  if (optopt >= FIRST_CODE)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "option '%s' takes no value", text);
  if (optopt != 0)
    return precis_message_set(
        why, PRECIS_ERR_ARGUMENT, "unknown option '-%c'%s", optopt,
        precis_suggest_flag(argument_of((char)optopt, argc, argv), verb).text);
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "unknown option '%s'%s", text,
                            precis_suggest_flag(text, verb).text);
}

static int take_operands(int argc, char **argv, const precis_command *command,
                         precis_settings *settings, precis_message *why)
{
  for (; optind < argc; optind++) {
    if (settings->operand_count == command->operands_most)
      return precis_message_set(why, PRECIS_ERR_ARGUMENT, "precis %s does not take '%s'",
                                command->name, argv[optind]);
    settings->operands[settings->operand_count++] = argv[optind];
  }
  return PRECIS_SUCCESS;
}

/* argv[0] is the command. */
static int parse_flags(int argc, char **argv, const precis_command *command,
                       precis_settings *settings, precis_message *why)
{
  getopt_table table = make_table(command->verb);
  char seen[FLAGS_MOST] = {0};
  opterr = 0;
  optind = 0; /* the command line is parsed twice, and an error may have left it within a word */
  for (int code; (code = getopt_long(argc, argv, table.letters, table.options, NULL)) != -1;) {
    if (code == '?' || code == ':')
      return bad_option(code, argc, argv, command->verb, why);
    const precis_flag *flag = flag_of(code, command->verb);
    if (seen[flag - precis_flags]++)
      return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is given twice", flag->name);
    int status = take(flag, optarg, settings, why);
    if (status != PRECIS_SUCCESS || settings->verb == PRECIS_VERB_HELP)
      return status;
  }
  return take_operands(argc, argv, command, settings, why);
}

/* precis, precis --help, precis --version, precis help [command]. Returns 1 if it was one of them.
 */
static int parse_general(int argc, char **argv, precis_settings *settings)
{
  const char *word = argc > 1 ? argv[1] : "";
  settings->no_command = argc < 2;
  settings->verb = PRECIS_VERB_HELP;
  if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
    settings->verb = PRECIS_VERB_VERSION;
  else if (argc >= 2 && strcmp(word, "--help") != 0 && strcmp(word, "-h") != 0)
    return 0;
  return 1;
}

static int unknown_command(const char *name, precis_message *why)
{
  if (*name == '-')
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "unknown option '%s'; see precis --help",
                              name);
  precis_suggestion meant = precis_suggest_command(name);
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "unknown command '%s'%s", name,
                            meant.text[0] != '\0' ? meant.text : "; see precis --help");
}

static int parse_help(int argc, char **argv, precis_settings *settings, precis_message *why)
{
  settings->verb = PRECIS_VERB_HELP;
  settings->table = argc > 2 && strcmp(argv[2], "--table") == 0;
  argc -= settings->table;
  argv += settings->table;
  if (argc < 3)
    return PRECIS_SUCCESS;
  const precis_command *command = precis_command_find(argv[2]);
  if (command == NULL)
    return unknown_command(argv[2], why);
  if (command->verb == 0)
    return not_in_this_version(command->name, NULL, why);
  settings->help_on = command->verb;
  return PRECIS_SUCCESS;
}

int precis_settings_parse(int argc, char **argv, precis_settings *settings, precis_message *why)
{
  precis_settings parsed = {.shape = {.first_position = -1},
                            .want = {.tol = -1},
                            .made = {.kind = -1, .spread = 1, .signal = PRECIS_SIGNAL},
                            .run = {.checkpoint_every = CHECKPOINT_EVERY},
                            .paper = {.schedule = -1, .rounds = {0, -1}},
                            .serve = {.log_form = -1, .log_level = -1}};
  int status = PRECIS_SUCCESS;
  if (!parse_general(argc, argv, &parsed)) {
    const precis_command *command = precis_command_find(argv[1]);
    if (command == NULL)
      return unknown_command(argv[1], why);
    if (command->verb == 0)
      return not_in_this_version(command->name, NULL, why);
    parsed.verb = command->verb;
    if (command->verb == PRECIS_VERB_HELP)
      status = parse_help(argc, argv, &parsed, why);
    else
      status = parse_flags(argc - 1, argv + 1, command, &parsed, why);
  }
  if (status == PRECIS_SUCCESS)
    *settings = parsed;
  return status;
}

int precis_settings_check_move(const precis_settings *s, precis_message *why)
{
  const char *move = precis_move_name((precis_move)s->want.move);
  if (s->want.exact && s->want.tol >= 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "--exact and --tol %g exclude each other",
                              s->want.tol);
  int exact = s->want.exact || s->want.tol == 0, forced = s->want.move == PRECIS_MOVE_SUMMARIES;
  if (exact && (forced || s->want.degree > 0))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s and %s exclude each other",
                              s->want.exact ? "--exact" : "--tol 0",
                              forced ? "--move summaries" : "--degree");
  if (s->want.degree > 0 && s->want.move != PRECIS_MOVE_AUTO && !forced)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "--degree and --move %s exclude each other: %s is exact", move, move);
  return PRECIS_SUCCESS;
}

precis_move precis_settings_move(const precis_settings *s)
{
  return s->want.degree > 0 && s->want.tol < 0 ? PRECIS_MOVE_SUMMARIES : (precis_move)s->want.move;
}
