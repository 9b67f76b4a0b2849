#include "src/schedule_print.h"

#include <inttypes.h>

#include "src/schedule_build.h"

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

typedef struct page {
  const precis_schedule *schedule;
  int rank;
  int64_t round, step, most;
  FILE *to;
} page;

/* "rows 16-31 of 2, heads 0-3" */
static void describe_block(const precis_step *s, char *text, size_t size)
{
  const precis_block *b = &s->block;
  size_t used = 0;
  text[0] = '\0';
  if (b->rows > 0)
    used += (size_t)snprintf(text, size, "rows %" PRId64 "-%" PRId64 " of %d", b->first,
                             b->first + b->rows - 1, b->owner);
  if (b->heads == 1 && used < size)
    used +=
        (size_t)snprintf(text + used, size - used, "%shead %d", used ? ", " : "", b->first_head);
  if (b->heads > 1 && used < size)
    used += (size_t)snprintf(text + used, size - used, "%sheads %d-%d", used ? ", " : "",
                             b->first_head, b->first_head + b->heads - 1);
  if (b->features > 0 && used < size)
    snprintf(text + used, size - used, ", features %" PRId64 "-%" PRId64, b->first_feature,
             b->first_feature + b->features - 1);
}

static void describe_place(const page *p, const precis_step *s, char *text, size_t size)
{
  size_t used = 0;
  text[0] = '\0';
  if (s->kind == PRECIS_STEP_WAIT)
    snprintf(text, size, "%d message%s from %d", s->requests, s->requests == 1 ? "" : "s",
             s->request);
  if (s->mark > 0)
    snprintf(text, size, "mark %" PRId64, s->mark);
  if (s->slot >= 0)
    used += (size_t)snprintf(text, size, "%s + %" PRId64,
                             precis_schedule_slot(p->schedule, p->rank, s->slot).name, s->offset);
  if (s->into >= 0 && used < size)
    snprintf(text + used, size - used, "%s%s", used ? " : " : "",
             precis_schedule_slot(p->schedule, p->rank, s->into).name);
}

/* Partners of an exchange, where they are known, a line each. */
static void print_partners(const page *p, const precis_step *s)
{
  if (s->bytes <= 0)
    return;
  for (int r = 0; r < p->schedule->ranks; r++) {
    int64_t rows = r == p->rank ? 0 : precis_exchange_rows(s->exchange, p->rank, r);
    if (rows > 0)
      fprintf(p->to, "%6s  %-9s %-8s  %" PRId64 " rows to %d, %" PRId64 " bytes\n", "", "", "",
              rows, r, rows * s->exchange->row_bytes);
  }
}

static int print_step(void *context, const precis_step *s)
{
  page *p = context;
  char block[96], place[96], peer[24] = "", bytes[24] = "";
  if (p->step++ >= p->most)
    return 0;
  describe_block(s, block, sizeof block);
  describe_place(p, s, place, sizeof place);
  if (s->peer >= 0)
    snprintf(peer, sizeof peer, "%s %d", s->kind == PRECIS_STEP_SEND ? "to" : "from", s->peer);
  if (s->bytes != 0)
    snprintf(bytes, sizeof bytes, s->bytes < 0 ? "?" : "%" PRId64, s->bytes);
  fprintf(p->to, "%6" PRId64 "  %-9s %-8s  %-40s  %-9s %-7s  %12s  %s\n", p->round,
          precis_step_kind_name(s->kind),
          s->matter == PRECIS_MATTER_NOTHING ? "" : precis_step_matter_name(s->matter), block, peer,
          s->link == PRECIS_LINK_NONE ? "" : precis_link_name(s->link), bytes, place);
  if (s->kind == PRECIS_STEP_EXCHANGE)
    print_partners(p, s);
  return 0;
}

static void print_slots(const page *p)
{
  static const char *const views[] = {"", ", seen by its node", ", common to its node"};
  fprintf(p->to, "%s, rank %d of %d: %" PRId64 " rounds, %" PRId64 " bytes of memory\n",
          p->schedule->move, p->rank, p->schedule->ranks, p->schedule->rounds,
          precis_schedule_memory(p->schedule, p->rank));
  for (int i = 0; i < p->schedule->slots; i++) {
    precis_slot slot = precis_schedule_slot(p->schedule, p->rank, i);
    fprintf(p->to, "  slot %d  %-12s %14" PRId64 " bytes%s%s\n", i, slot.name, slot.bytes,
            slot.travels ? ", travels" : "", views[slot.view]);
  }
}

static void print_totals(const page *p)
{
  precis_schedule_totals t = precis_schedule_count(p->schedule, p->rank);
  if (t.steps > p->most)
    fprintf(p->to, "        ... %" PRId64 " more steps\n", t.steps - p->most);
  fprintf(p->to,
          "sends %" PRId64 " messages, %" PRId64 " bytes inside its node, %" PRId64
          " bytes to others",
          t.messages, t.node_bytes, t.network_bytes);
  if (t.exchanged_bytes != 0)
    fprintf(p->to, t.exchanged_bytes < 0 ? ", and exchanges rows" : ", exchanges %" PRId64 " bytes",
            t.exchanged_bytes);
  fprintf(p->to, "\n");
}

void precis_schedule_print(const precis_schedule *schedule, int rank, int64_t most, FILE *to)
{
  page p = {.schedule = schedule, .rank = rank, .most = most, .to = to};
  print_slots(&p);
  fprintf(to, "%6s  %-9s %-8s  %-40s  %-9s %-7s  %12s  %s\n", "round", "step", "of", "which",
          "partner", "link", "bytes", "memory");
  for (; p.round < schedule->rounds && p.step < most; p.round++)
    precis_schedule_visit(schedule, rank, p.round, print_step, &p);
  print_totals(&p);
}

/* Names and words are plain ASCII of ours: nothing to be escaped. */
static int print_json(void *context, const precis_step *s)
{
  page *p = context;
  precis_step_field fields[PRECIS_STEP_FIELDS];
  int count = precis_step_fields(s, fields);
  fprintf(p->to, "{\"rank\": %d, \"round\": %" PRId64, p->rank, p->round);
  for (int i = 0; i < count; i++)
    if (fields[i].word != NULL)
      fprintf(p->to, ", \"%s\": \"%s\"", fields[i].name, fields[i].word);
    else
      fprintf(p->to, ", \"%s\": %" PRId64, fields[i].name, fields[i].number);
  fprintf(p->to, "}\n");
  return 0;
}

void precis_schedule_print_json(const precis_schedule *schedule, int rank, FILE *to)
{
  page p = {.schedule = schedule, .rank = rank, .to = to};
  for (; p.round < schedule->rounds; p.round++)
    precis_schedule_visit(schedule, rank, p.round, print_json, &p);
}
