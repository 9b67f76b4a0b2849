/* contexts_json.c - contexts as clients see them */
#include <string.h>

#include "mpi/service/contexts.h"
#include "src/files/report_json.h"

static json_t *moves_of(const precis_context *context)
{
  json_t *moves = json_object();
  for (int m = PRECIS_MOVE_TILES; m < PRECIS_MOVES; m++)
    json_object_set_new(moves, precis_move_name((precis_move)m), json_integer(context->moves[m]));
  return moves;
}

/* With the lock. */
static json_t *describe(const precis_contexts *contexts, const precis_context *c)
{
  const precis_problem *p = &c->spec.problem;
  int64_t row = p->kv_heads * ((int64_t)p->dim + p->value_dim) + c->with_bias;
  json_t *rows = json_array();
  for (int r = 0; r < contexts->ranks; r++)
    json_array_append_new(rows, json_integer(c->dealt[r]));
  json_t *object = json_pack("{s:s, s:s, s:s, s:s?}", "id", c->id, "name", c->spec.name, "owner",
                             c->owner, "parent", c->parent[0] ? c->parent : NULL);
  precis_json_join(object, precis_json_problem(p, c->spec.tol, c->spec.tol_of, c->spec.guarantee));
  precis_json_join(object,
                   json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "move",
                             precis_move_name(c->spec.move), "tokens", (json_int_t)c->tokens,
                             "bytes", (json_int_t)(c->tokens * row * 4), "appends",
                             (json_int_t)c->appends, "attends", (json_int_t)c->attends, "created",
                             (json_int_t)c->created, "rank_tokens", rows, "moves", moves_of(c)));
  return object;
}

json_t *precis_contexts_describe(precis_contexts *contexts, precis_context *context)
{
  pthread_mutex_lock(&contexts->lock);
  json_t *object = describe(contexts, context);
  pthread_mutex_unlock(&contexts->lock);
  return object;
}

json_t *precis_contexts_list(precis_contexts *contexts)
{
  json_t *list = json_array();
  pthread_mutex_lock(&contexts->lock);
  for (precis_context *c = contexts->first; c != NULL; c = c->next)
    json_array_append_new(list, describe(contexts, c));
  pthread_mutex_unlock(&contexts->lock);
  return list;
}

void precis_contexts_leave_out(precis_contexts *contexts, const char *id, const char *error)
{
  pthread_mutex_lock(&contexts->lock);
  json_array_append_new(contexts->damaged, json_pack("{s:s, s:s}", "id", id, "error", error));
  pthread_mutex_unlock(&contexts->lock);
}

int precis_contexts_is_left_out(precis_contexts *contexts, const char *id)
{
  size_t i;
  json_t *entry;
  int found = 0;
  pthread_mutex_lock(&contexts->lock);
  json_array_foreach(contexts->damaged, i, entry)
  {
    found |= strcmp(json_string_value(json_object_get(entry, "id")), id) == 0;
  }
  pthread_mutex_unlock(&contexts->lock);
  return found;
}

json_t *precis_contexts_left_out(precis_contexts *contexts)
{
  pthread_mutex_lock(&contexts->lock);
  json_t *list = json_deep_copy(contexts->damaged);
  pthread_mutex_unlock(&contexts->lock);
  return list;
}
