#include "src/base/problem.h"

#include <inttypes.h>
#include <math.h>


static int check_dim(const char *name, int value, precis_message *why)
{
  if (value >= 1 && value <= PRECIS_DIM_MAX)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is %d, must be from 1 to %d", name, value,
                            PRECIS_DIM_MAX);
}

static int check_heads(const precis_problem *p, precis_message *why)
{
  if (p->heads < 1 || p->heads > PRECIS_HEADS_MAX)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "heads is %d, must be from 1 to %d",
                              p->heads, PRECIS_HEADS_MAX);
  if (p->kv_heads < 1 || p->heads % p->kv_heads != 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "kv_heads is %d, must divide heads, which is %d", p->kv_heads,
                              p->heads);
  return PRECIS_SUCCESS;
}

int precis_problem_settle(precis_problem *problem, precis_message *why)
{
  precis_problem p = *problem;
  if (p.kv_heads == 0)
    p.kv_heads = p.heads;
  if (p.value_dim == 0)
    p.value_dim = p.dim;
  int status = check_heads(&p, why);
  if (status == PRECIS_SUCCESS)
    status = check_dim("dim", p.dim, why);
  if (status == PRECIS_SUCCESS)
    status = check_dim("value_dim", p.value_dim, why);
  if (status != PRECIS_SUCCESS)
    return status;
  if (!isfinite(p.scale))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "scale is %g, must be finite", p.scale);
  if (p.scale == 0)
    p.scale = 1 / sqrt(p.dim);
  p.causal = p.causal != 0;
  *problem = p;
  return PRECIS_SUCCESS;
}

static int check_count(const char *name, int64_t value, precis_message *why)
{
  if (value >= 0)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is %" PRId64 ", must not be negative",
                            name, value);
}

int precis_options_check(const precis_options *options, precis_message *why)
{
  if (options->move < PRECIS_MOVE_AUTO || options->move > PRECIS_MOVE_SUMMARIES)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "move is %d, which is no precis_move",
                              (int)options->move);
  if (!(options->tol >= 0) || !isfinite(options->tol))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "tol is %g, must be finite and not negative", options->tol);
  if (options->tol_of < PRECIS_UNIT_OUTPUTS || options->tol_of > PRECIS_UNIT_LSE)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "tol_of is %d, which is no precis_unit",
                              (int)options->tol_of);
  if (options->guarantee != PRECIS_GUARANTEE_BOUND &&
      options->guarantee != PRECIS_GUARANTEE_SAMPLED)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "guarantee is %d, which is no precis_guarantee",
                              (int)options->guarantee);
  if (options->degree < 0 || options->degree > PRECIS_DEGREE_MAX)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "degree is %d, must be from 0 to %d",
                              options->degree, PRECIS_DEGREE_MAX);
  int status = check_count("threads", options->threads, why);
  if (status == PRECIS_SUCCESS)
    status = check_count("fast_memory_bytes", options->fast_memory_bytes, why);
  if (status == PRECIS_SUCCESS)
    status = check_count("tile_rows", options->tile_rows, why);
  if (status == PRECIS_SUCCESS)
    status = check_count("memory_limit_bytes", options->memory_limit_bytes, why);
  return status;
}
