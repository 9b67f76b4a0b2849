#include "src/schedule/emit.h"

#include <stddef.h>

precis_step precis_step_new(precis_step_kind kind, precis_step_matter matter, precis_block block)
{
  return (precis_step){
      .kind = kind, .matter = matter, .block = block, .peer = -1, .slot = -1, .into = -1};
}

void precis_emit(precis_emitter *e, precis_step step)
{
  const int *place = e->schedule->nodes->place;
  if (step.peer >= 0)
    step.link = place[step.peer] == place[e->rank] ? PRECIS_LINK_NODE : PRECIS_LINK_NETWORK;
  if (e->status == 0)
    e->status = e->visit(e->context, &step);
}

void precis_emit_local(precis_emitter *e, precis_step_kind kind, precis_step_matter matter,
                       precis_block block, int slot, int64_t bytes, int into)
{
  precis_step step = precis_step_new(kind, matter, block);
  step.slot = slot;
  step.bytes = bytes;
  step.into = into;
  precis_emit(e, step);
}

static void emit_message(precis_emitter *e, precis_step_kind kind, precis_step_matter matter,
                         precis_block block, int peer, precis_message_place place)
{
  precis_step step = precis_step_new(kind, matter, block);
  step.peer = peer;
  step.slot = place.slot;
  step.offset = place.offset;
  step.bytes = place.bytes;
  step.tag = place.tag;
  step.request = place.request;
  step.requests = 1;
  if (place.bytes > 0)
    precis_emit(e, step);
}

void precis_emit_send(precis_emitter *e, precis_step_matter matter, precis_block block, int to,
                      precis_message_place place)
{
  emit_message(e, PRECIS_STEP_SEND, matter, block, to, place);
}

void precis_emit_receive(precis_emitter *e, precis_step_matter matter, precis_block block, int from,
                         precis_message_place place)
{
  emit_message(e, PRECIS_STEP_RECEIVE, matter, block, from, place);
}

void precis_emit_wait(precis_emitter *e, int request, int requests)
{
  precis_step step = precis_step_new(PRECIS_STEP_WAIT, PRECIS_MATTER_NOTHING, (precis_block){0});
  step.request = request;
  step.requests = requests;
  precis_emit(e, step);
}

static void emit_mark(precis_emitter *e, precis_step_kind kind, int64_t mark)
{
  precis_step step = precis_step_new(kind, PRECIS_MATTER_NOTHING, (precis_block){0});
  step.mark = mark;
  if (precis_nodes_mates(e->schedule->nodes, e->rank) > 1)
    precis_emit(e, step);
}

void precis_emit_mark(precis_emitter *e, int64_t mark)
{
  emit_mark(e, PRECIS_STEP_MARK, mark);
}

void precis_emit_meet(precis_emitter *e, int64_t mark)
{
  emit_mark(e, PRECIS_STEP_MEET, mark);
}

void precis_emit_exchange(precis_emitter *e, precis_step_matter matter,
                          const precis_exchange_shape *exchange)
{
  if (!exchange->wanted)
    return;
  int64_t rows = precis_exchange_leaving(exchange, e->rank);
  precis_step step = precis_step_new(PRECIS_STEP_EXCHANGE, matter,
                                     (precis_block){.owner = e->rank, .rows = rows < 0 ? 0 : rows});
  step.bytes = rows < 0 ? -1 : rows * exchange->row_bytes;
  step.exchange = exchange;
  precis_emit(e, step);
}
