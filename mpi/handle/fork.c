#include "mpi/handle/fork.h"

int precis_attention_share(precis_attention *a)
{
  precis_message why = {""};
  return precis_attention_end(a, precis_keys_share(&a->keys), &why);
}

/* A summary that was worth it for the parent is worth it for the child. */
static double worth_of_kept(const precis_attention *a)
{
  return a->kept.valid ? 2 * a->kept.plan.seconds : 0;
}

/* What the parent has found out about the keys, where the child has the same. Without memory on
 * some rank the child finds out for itself. */
static int inherit(precis_attention *a, precis_attention *child)
{
  precis_kept kept = {0};
  int copied = a->kept.valid ? precis_kept_fork(&a->kept, &a->problem, &kept) : PRECIS_SUCCESS;
  int status = precis_world_agree(&child->world, copied, NULL);
  if (status != PRECIS_SUCCESS) {
    precis_kept_free(&kept);
    return status == PRECIS_ERR_MEMORY ? PRECIS_SUCCESS : status;
  }
  precis_survey_copy(&a->keys, &a->survey, &child->survey);
  precis_signal_copy_all(&a->problem, &a->signal, &child->signal);
  child->surveyed = a->surveyed;
  child->kept = kept;
  child->exact_spent = a->exact_spent;
  child->exact_patience = a->exact_patience;
  child->repair_spent = a->repair_spent;
  child->repair_patience = a->repair_patience;
  return status;
}

int precis_attention_is_behind(const precis_attention *a)
{
  return a->kept.valid && a->kept.rows < a->appended;
}

int precis_attention_refresh(precis_attention *a)
{
  const precis_results none = {0};
  int64_t calls = a->past.calls;
  if (!precis_attention_is_behind(a))
    return PRECIS_SUCCESS;
  int status = precis_attend_results(a, NULL, 0, NULL, &none, NULL);
  a->past.calls = calls; /* nobody has asked */
  return status;
}

int precis_attention_fork(precis_attention *a, int64_t tokens, precis_attention **child)
{
  precis_message why = {""};
  precis_attention *made;
  int status = precis_create(a->world.comm, &a->problem, &a->options, &made);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_keys keys;
  status = precis_keys_fork(&a->keys, tokens, &keys);
  if (status == PRECIS_SUCCESS)
    made->keys = keys;
  status = precis_attention_end(a, status, &why);
  if (status != PRECIS_SUCCESS) {
    precis_destroy(&made);
    return status;
  }
  made->appended = tokens < a->appended ? tokens : a->appended;
  made->with_bias = a->with_bias;
  made->exact_spent = a->exact_spent + worth_of_kept(a);
  precis_signal_copy(&a->problem, &a->signal, &made->signal);
  if (tokens >= a->appended && inherit(a, made) != PRECIS_SUCCESS) {
    precis_destroy(&made);
    return PRECIS_ERR_MPI;
  }
  made->past = precis_past_copy(&a->past, &a->problem);
  *child = made;
  return PRECIS_SUCCESS;
}
