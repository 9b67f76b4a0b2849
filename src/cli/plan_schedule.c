/* plan_schedule.c - one rank's page of a plan's schedules
 *
 * Steps go out as they are made. For people no more than a screen or a few, unless rounds are
 * named; for programs all. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/json.h"
#include "src/cli/plan.h"
#include "src/schedule/print.h"

enum { STEPS_SHOWN = 200 };

static precis_schedule_page page_of(const precis_settings *s)
{
  int part = s->paper.rounds.last >= 0;
  return (precis_schedule_page){.rank = (int)s->paper.schedule,
                                .first = part ? s->paper.rounds.first : 0,
                                .end = part ? s->paper.rounds.last + 1 : INT64_MAX,
                                .most = part ? INT64_MAX : STEPS_SHOWN};
}

void precis_plan_print_schedules(const precis_plan_answer *a, const precis_settings *s,
                                 FILE *stream)
{
  const precis_schedule_page page = page_of(s);
  int64_t left_out = 0;
  for (int i = 0; i < a->schedules.count; i++) {
    fprintf(stream, "\nschedule   ");
    left_out += precis_schedule_print(&a->schedules.schedule[i], &page, stream);
  }
  if (a->schedules.count > 0 && a->plan.move == PRECIS_MOVE_SUMMARIES)
    fprintf(stream, "\nSchedules of outliers and of rows to repair are made when there is data.\n");
  if (left_out > 0)
    fprintf(stream, "\n--rounds A..B prints all steps of these rounds, --json FILE all of them.\n");
}

/* What a schedule's steps refer to. */
static json_t *schedule_object(const precis_schedule *s, int rank)
{
  json_t *slots = json_array();
  for (int i = 0; i < s->slots; i++) {
    precis_slot slot = precis_schedule_slot(s, rank, i);
    json_array_append_new(slots,
                          json_pack("{s:i, s:s, s:o, s:b}", "slot", i, "name", slot.name, "bytes",
                                    precis_json_integer(slot.bytes), "travels", slot.travels));
  }
  return json_pack("{s:s, s:i, s:o, s:o, s:o}", "move", s->move, "rank", rank, "rounds",
                   precis_json_integer(s->rounds), "memory_bytes",
                   precis_json_integer(precis_schedule_memory(s, rank)), "slots", slots);
}

typedef struct stream {
  precis_json_writer writer;
  const precis_schedule *schedule;
  int rank;
  int64_t round;
  const char *between;
} stream;

static int write_step(void *context, const precis_step *step)
{
  stream *to = context;
  char text[PRECIS_STEP_JSON];
  int length = precis_step_json(to->schedule, to->rank, to->round, step, text);
  precis_json_write(&to->writer, to->between, strlen(to->between));
  precis_json_write(&to->writer, text, (size_t)length);
  to->between = ",\n    ";
  return to->writer.status;
}

static void write_steps(const precis_plan_answer *a, const precis_schedule_page *page, stream *to)
{
  to->rank = page->rank;
  to->between = "\n    ";
  for (int i = 0; i < a->schedules.count; i++) {
    to->schedule = &a->schedules.schedule[i];
    int64_t rounds = to->schedule->rounds, end = page->end < rounds ? page->end : rounds;
    for (to->round = page->first; to->round < end && to->writer.status == 0; to->round++)
      precis_schedule_visit(to->schedule, to->rank, to->round, write_step, to);
  }
}

/* The object without its last brace, then the array of steps, then the brace. */
int precis_plan_save_schedules(precis_cli *cli, const precis_plan_answer *a, json_t *object,
                               precis_draft *draft)
{
  static const char before[] = ",\n  \"schedule\": [", after[] = "\n  ]\n}\n";
  const precis_schedule_page page = page_of(&cli->settings);
  json_t *list = json_array();
  stream to;
  for (int i = 0; i < a->schedules.count; i++)
    json_array_append_new(list, schedule_object(&a->schedules.schedule[i], page.rank));
  json_object_set_new(object, "schedules", list);
  char *text = object ? json_dumps(object, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
  json_decref(object);
  precis_json_start(cli, draft, &to.writer);
  if (text != NULL) {
    precis_json_write(&to.writer, text, strlen(text) - strlen("\n}"));
    precis_json_write(&to.writer, before, strlen(before));
    write_steps(a, &page, &to);
    precis_json_write(&to.writer, after, strlen(after));
  }
  int status = precis_json_end(&to.writer, text ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY);
  free(text);
  return status;
}
