#include "mpi/fork.h"

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
  made->past = precis_past_copy(&a->past, &a->problem);
  *child = made;
  return PRECIS_SUCCESS;
}
