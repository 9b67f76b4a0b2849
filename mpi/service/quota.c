#include "mpi/service/quota.h"

#include <inttypes.h>
#include <string.h>

int64_t precis_quota_row(const precis_spec *spec, int with_bias)
{
  const precis_problem *p = &spec->problem;
  return p->kv_heads * ((int64_t)p->dim + p->value_dim) + with_bias;
}

static int64_t tokens_of(const precis_contexts *contexts, const precis_context *c)
{
  int64_t tokens = 0;
  for (int r = 0; r < contexts->ranks; r++)
    tokens += c->dealt[r];
  return tokens;
}

static int check(const precis_owner *owner, const char *what, int64_t has, int64_t more,
                 int64_t most, precis_message *why)
{
  if (most == 0 || more <= most - has)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_MEMORY,
                            "the contexts of '%s' have %" PRId64 " %s, %" PRId64
                            " more are asked for, and its quota is %" PRId64,
                            owner->name, has, what, more, most);
}

int precis_quota_check(const precis_contexts *contexts, const precis_owner *owner,
                       const precis_quota *more, precis_message *why)
{
  const precis_quota *most = &owner->quota;
  precis_quota has = {0, 0, 0};
  if (most->contexts == 0 && most->tokens == 0 && most->bytes == 0)
    return PRECIS_SUCCESS;
  for (int64_t i = 0; i < contexts->options->contexts_most; i++) {
    const precis_context *c = contexts->in_slot[i];
    if (c == NULL || strcmp(c->owner, owner->name) != 0)
      continue;
    int64_t tokens = tokens_of(contexts, c);
    has.contexts++;
    has.tokens += tokens;
    has.bytes += 4 * tokens * precis_quota_row(&c->spec, c->with_bias);
  }
  int status = check(owner, "contexts", has.contexts, more->contexts, most->contexts, why);
  if (status == PRECIS_SUCCESS)
    status = check(owner, "tokens", has.tokens, more->tokens, most->tokens, why);
  if (status == PRECIS_SUCCESS)
    status = check(owner, "bytes", has.bytes, more->bytes, most->bytes, why);
  return status;
}
