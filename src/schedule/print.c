#include "src/schedule/print.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "src/schedule/build.h"

static int add(precis_step_field *fields, int count, int present, const char *name, int64_t number)
{
  if (present)
    fields[count++] = (precis_step_field){.name = name, .number = number};
  return count;
}

static int add_block(const precis_step *s, precis_step_field *f, int n)
{
  const precis_block *b = &s->block;
  n = add(f, n, b->owner >= 0, "owner", b->owner);
  n = add(f, n, b->rows > 0, "first_row", b->first);
  n = add(f, n, b->rows > 0, "rows", b->rows);
  n = add(f, n, b->heads > 0, "first_head", b->first_head);
  n = add(f, n, b->heads > 0, "heads", b->heads);
  n = add(f, n, b->features > 0, "first_feature", b->first_feature);
  return add(f, n, b->features > 0, "features", b->features);
}

int precis_step_fields(const precis_step *s, precis_step_field *f)
{
  int n = 0, message = s->kind == PRECIS_STEP_SEND || s->kind == PRECIS_STEP_RECEIVE;
  f[n++] = (precis_step_field){.name = "kind", .word = precis_step_kind_name(s->kind)};
  if (s->matter != PRECIS_MATTER_NOTHING) {
    f[n++] = (precis_step_field){.name = "matter", .word = precis_step_matter_name(s->matter)};
    n = add_block(s, f, n);
  }
  n = add(f, n, s->peer >= 0, "peer", s->peer);
  if (s->link != PRECIS_LINK_NONE)
    f[n++] = (precis_step_field){.name = "link", .word = precis_link_name(s->link)};
  n = add(f, n, message, "tag", s->tag);
  n = add(f, n, s->requests > 0, "request", s->request);
  n = add(f, n, s->requests > 0, "requests", s->requests);
  n = add(f, n, s->slot >= 0, "slot", s->slot);
  n = add(f, n, s->slot >= 0, "offset", s->offset);
  n = add(f, n, s->bytes > 0, "bytes", s->bytes);
  n = add(f, n, s->mark > 0, "mark", s->mark);
  n = add(f, n, s->into >= 0, "into", s->into);
  return add(f, n, s->into >= 0, "into_offset", s->into_offset);
}

/* More are not counted on a page. */
enum { STEPS_MOST = 1 << 21 };

typedef struct page {
  const precis_schedule *schedule;
  const precis_schedule_page *part;
  int64_t round, step;
  FILE *to;
} page;

/* Appends, as far as there is room. */
static void __attribute__((format(printf, 3, 4)))
say(char *text, size_t size, const char *format, ...)
{
  size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text + used, size - used, format, arguments);
  va_end(arguments);
}

/* " 16-31", or " 16" where that is all. */
static void say_range(char *text, size_t size, const char *what, int64_t first, int64_t count)
{
  say(text, size, "%s%s%" PRId64, *text ? " " : "", what, first);
  if (count > 1)
    say(text, size, "-%" PRId64, first + count - 1);
}

/* "16-31 of 2 heads 0-3" */
static void describe_block(const precis_step *s, char *text, size_t size)
{
  const precis_block *b = &s->block;
  text[0] = '\0';
  if (s->kind == PRECIS_STEP_WAIT)
    say(text, size, "%d message%s, from %d on", s->requests, s->requests == 1 ? "" : "s",
        s->request);
  if (s->mark > 0)
    say(text, size, "mark %" PRId64, s->mark);
  if (b->rows > 0) {
    say_range(text, size, "", b->first, b->rows);
    say(text, size, " of %d", b->owner);
  }
  if (b->heads > 0)
    say_range(text, size, b->heads == 1 ? "head " : "heads ", b->first_head, b->heads);
  if (b->features > 0)
    say_range(text, size, "features ", b->first_feature, b->features);
}

/* "7+4096>1": what lies in slot 7 from there on goes into slot 1. */
static void describe_place(const precis_step *s, char *text, size_t size)
{
  text[0] = '\0';
  if (s->slot >= 0)
    say(text, size, "%d", s->slot);
  if (s->slot >= 0 && s->offset > 0)
    say(text, size, "+%" PRId64, s->offset);
  if (s->into >= 0)
    say(text, size, ">%d", s->into);
}

/* Partners of an exchange, where they are known, a line each; not thousands. */
static void print_partners(const page *p, const precis_step *s)
{
  enum { PARTNERS = 16 };
  int found = 0;
  for (int r = 0; r < p->schedule->ranks && s->bytes > 0; r++) {
    int64_t rows = r == p->part->rank ? 0 : precis_exchange_rows(s->exchange, p->part->rank, r);
    found += rows > 0;
    if (rows > 0 && found <= PARTNERS)
      fprintf(p->to, "%27s%" PRId64 " rows to %d, %" PRId64 " bytes\n", "", rows, r,
              rows * s->exchange->row_bytes);
  }
  if (found > PARTNERS)
    fprintf(p->to, "%27sand so to %d more ranks\n", "", found - PARTNERS);
}

static int print_step(void *context, const precis_step *s)
{
  page *p = context;
  char block[96], place[64], peer[24] = "", bytes[24] = "";
  if (p->step++ >= p->part->most)
    return 0;
  describe_block(s, block, sizeof block);
  describe_place(s, place, sizeof place);
  if (s->peer >= 0)
    snprintf(peer, sizeof peer, "%s %d", s->kind == PRECIS_STEP_SEND ? "to" : "from", s->peer);
  if (s->bytes != 0)
    snprintf(bytes, sizeof bytes, s->bytes < 0 ? "?" : "%" PRId64, s->bytes);
  fprintf(p->to, "%6" PRId64 " %-9s %-8s %-32s %-9s %-7s %10s  %s\n", p->round,
          precis_step_kind_name(s->kind),
          s->matter == PRECIS_MATTER_NOTHING ? "" : precis_step_matter_name(s->matter), block, peer,
          s->link == PRECIS_LINK_NONE ? "" : precis_link_name(s->link), bytes, place);
  if (s->kind == PRECIS_STEP_EXCHANGE)
    print_partners(p, s);
  return 0;
}

static void print_slots(const page *p)
{
  int rank = p->part->rank;
  static const char *const views[] = {"", ", seen by its node", ", common to its node"};
  fprintf(p->to, "%s, rank %d of %d: %" PRId64 " round%s, %" PRId64 " bytes of memory\n",
          p->schedule->move, rank, p->schedule->ranks, p->schedule->rounds,
          p->schedule->rounds == 1 ? "" : "s", precis_schedule_memory(p->schedule, rank));
  for (int i = 0; i < p->schedule->slots; i++) {
    precis_slot slot = precis_schedule_slot(p->schedule, rank, i);
    fprintf(p->to, "  memory %-2d %-12s %14" PRId64 " bytes%s%s\n", i, slot.name, slot.bytes,
            slot.travels ? ", travels" : "", views[slot.view]);
  }
}

static void print_totals(const page *p)
{
  precis_schedule_totals t = {0};
  int64_t rounds = p->schedule->rounds,
          end = precis_schedule_count_some(p->schedule, p->part->rank, 0, rounds, STEPS_MOST, &t);
  fprintf(p->to,
          "sends %" PRId64 " messages, %" PRId64 " bytes inside its node, %" PRId64
          " bytes to others",
          t.messages, t.node_bytes, t.network_bytes);
  if (t.exchanged_bytes != 0)
    fprintf(p->to, t.exchanged_bytes < 0 ? "\nexchanges rows" : "\nexchanges %" PRId64 " bytes",
            t.exchanged_bytes);
  if (end < rounds)
    fprintf(p->to, "\nin rounds 0..%" PRId64 "; the other %" PRId64 " are too many to count here",
            end - 1, rounds - end);
  fprintf(p->to, "\n");
}

int64_t precis_schedule_print(const precis_schedule *schedule, const precis_schedule_page *part,
                              FILE *to)
{
  page p = {.schedule = schedule, .part = part, .round = part->first, .to = to};
  int64_t end = part->end < schedule->rounds ? part->end : schedule->rounds, more = 0;
  print_slots(&p);
  fprintf(to, "%6s %-9s %-8s %-32s %-9s %-7s %10s  %s\n", "round", "step", "of",
          "rows of a rank, heads, features", "partner", "link", "bytes", "memory");
  for (; p.round < end && p.step < part->most; p.round++)
    precis_schedule_visit(schedule, part->rank, p.round, print_step, &p);
  if (p.step > part->most)
    more = p.step - part->most;
  if (p.round < end || more > 0) {
    precis_schedule_totals rest = {0};
    int64_t reached =
        precis_schedule_count_some(schedule, part->rank, p.round, end, STEPS_MOST, &rest);
    more += rest.steps;
    fprintf(to, "   ... %s%" PRId64 " more steps, from round %" PRId64 " to %" PRId64 "\n",
            reached < end ? "over " : "", more, rest.steps == more ? p.round : p.round - 1,
            end - 1);
  }
  print_totals(&p);
  return more;
}

static char *put_text(char *to, const char *text)
{
  size_t length = strlen(text);
  memcpy(to, text, length);
  return to + length;
}

/* Much of the time of a long schedule: printf() is ten times slower. */
static char *put_number(char *to, int64_t number)
{
  char digits[24];
  int count = 0;
  uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
  do
    digits[count++] = (char)('0' + left % 10);
  while ((left /= 10) > 0);
  if (number < 0)
    *to++ = '-';
  while (count > 0)
    *to++ = digits[--count];
  return to;
}

static char *put_name(char *to, const char *name)
{
  to = put_text(to, ", \"");
  to = put_text(to, name);
  return put_text(to, "\": ");
}

/* Names and words are plain ASCII of ours: nothing to be escaped. */
static char *put_word(char *to, const char *word)
{
  *to++ = '"';
  to = put_text(to, word);
  *to++ = '"';
  return to;
}

int precis_step_json(const precis_schedule *schedule, int rank, int64_t round,
                     const precis_step *step, char *to)
{
  precis_step_field fields[PRECIS_STEP_FIELDS];
  int count = precis_step_fields(step, fields);
  char *at = put_word(put_text(to, "{\"move\": "), schedule->move);
  at = put_number(put_name(at, "rank"), rank);
  at = put_number(put_name(at, "round"), round);
  for (int i = 0; i < count; i++) {
    at = put_name(at, fields[i].name);
    at = fields[i].word ? put_word(at, fields[i].word) : put_number(at, fields[i].number);
  }
  *at++ = '}';
  return (int)(at - to);
}

static int print_json(void *context, const precis_step *s)
{
  page *p = context;
  char text[PRECIS_STEP_JSON];
  int length = precis_step_json(p->schedule, p->part->rank, p->round, s, text);
  text[length] = '\n';
  fwrite(text, 1, (size_t)length + 1, p->to);
  return 0;
}

void precis_schedule_print_json(const precis_schedule *schedule, int rank, FILE *to)
{
  const precis_schedule_page all = {.rank = rank};
  page p = {.schedule = schedule, .part = &all, .to = to};
  for (; p.round < schedule->rounds; p.round++)
    precis_schedule_visit(schedule, rank, p.round, print_json, &p);
}
