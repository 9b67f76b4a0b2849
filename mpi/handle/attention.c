#include "mpi/handle/attention.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "mpi/world/machine.h"
#include "mpi/world/meet.h"
#include "src/model/machine_file.h"
#include "src/base/memory.h"
#include "src/base/problem.h"

static void say(const precis_options *options, const char *text)
{
  if (options->message != NULL)
    options->message(options->context, text);
}

int precis_attention_end(precis_attention *attention, int status, precis_message *why)
{
  status = precis_world_agree(&attention->world, status, why);
  return precis_attention_say(attention, status, why);
}

int precis_attention_say(const precis_attention *attention, int status, const precis_message *why)
{
  if (status != PRECIS_SUCCESS)
    say(&attention->options, why->text);
  return status;
}

/* What must be equal on all ranks. Fields one by one: padding bytes of a structure may differ. */
static int check_same(precis_world *world, const precis_problem *p, const precis_options *o,
                      precis_message *why)
{
  double values[] = {p->heads,
                     p->kv_heads,
                     p->dim,
                     p->value_dim,
                     p->causal != 0,
                     p->scale,
                     (double)o->move,
                     (double)o->tile_rows,
                     o->tol,
                     (double)o->tol_of,
                     o->degree,
                     (double)o->guarantee,
                     o->machine != NULL,
                     (double)o->memory_limit_bytes,
                     o->results_in_place != 0};
  int status = precis_world_same(world, values, sizeof values);
  return status == PRECIS_ERR_MISMATCH
             ? precis_message_set(why, status, "ranks were given different problems or options")
             : status;
}

static int default_threads(void)
{
#ifdef _OPENMP
  return omp_get_max_threads();
#else
  return 1;
#endif
}

/* Read by rank 0 alone: thousands of ranks at one file would wait for it. */
static int find_rates(precis_attention *a, precis_message *why)
{
  int status = PRECIS_SUCCESS;
  precis_rates rates = precis_rates_nominal(1);
  if (a->options.machine != NULL && a->world.rank == 0)
    status = precis_machine_file_read(a->options.machine, &rates, why);
  status = precis_world_agree(&a->world, status, why);
  if (status == PRECIS_SUCCESS &&
      MPI_Bcast(&rates, sizeof rates / sizeof(double), MPI_DOUBLE, 0, a->world.comm))
    status = PRECIS_ERR_MPI;
  a->rates = precis_rates_with_threads(&rates, a->threads_least);
  return status;
}

static int set_up_engine(precis_attention *a)
{
  const precis_problem *p = &a->problem;
  int64_t fast = a->options.fast_memory_bytes;
  if (fast == 0) {
    precis_machine machine;
    int status = precis_machine_find(&a->world, &machine);
    if (status != PRECIS_SUCCESS)
      return status;
    fast = machine.cache.fast_bytes;
  }
  a->engine.threads = a->options.threads > 0 ? a->options.threads : default_threads();
  int64_t least[3] = {fast, fast / a->engine.threads, a->engine.threads};
  if (MPI_Allreduce(MPI_IN_PLACE, least, 3, MPI_INT64_T, MPI_MIN, a->world.comm))
    return PRECIS_ERR_MPI;
  a->fast_memory_least = least[0];
  a->thread_memory_least = least[1];
  a->threads_least = (int)least[2];
  a->engine.shape = precis_tile_plan(p->dim, precis_problem_columns(p), a->thread_memory_least);
  a->engine.scale = p->scale * 1.44269504088896340736;
  a->engine.scratch = precis_memory_array(precis_engine_scratch(&a->engine), sizeof(float));
  a->keys = (precis_keys){.kv_heads = p->kv_heads, .dim = p->dim, .value_dim = p->value_dim};
  a->heads = precis_memory_array(p->heads, sizeof *a->heads);
  a->sums = precis_memory_array(p->heads, sizeof *a->sums);
  a->head_list = precis_memory_array(p->heads, sizeof *a->head_list);
  a->groups = precis_memory_array(p->heads, sizeof *a->groups);
  a->rows_of = precis_memory_array(a->world.ranks, sizeof *a->rows_of);
  if (!a->rows_of || !a->engine.scratch || !a->heads || !a->sums || !a->head_list || !a->groups ||
      precis_signal_create(p, &a->signal) != PRECIS_SUCCESS)
    return PRECIS_ERR_MEMORY;
  return precis_survey_create(&a->keys, &a->survey);
}

static void release(precis_attention *a)
{
  precis_kept_free(&a->kept);
  precis_past_free(&a->past);
  precis_survey_free(&a->survey);
  precis_signal_free(&a->signal);
  free(a->heads);
  free(a->sums);
  free(a->head_list);
  free(a->groups);
  free(a->rows_of);
  precis_keys_free(&a->keys);
  free(a->engine.scratch);
  precis_world_free(&a->world);
  free(a);
}

/* Checks what the ranks were given, on ranks alike. */
static int check_problem(precis_world *world, precis_problem *problem,
                         const precis_options *options, precis_message *why)
{
  int status = precis_problem_settle(problem, why);
  if (status == PRECIS_SUCCESS)
    status = precis_options_check(options, why);
  status = precis_world_agree(world, status, why);
  return status == PRECIS_SUCCESS ? check_same(world, problem, options, why) : status;
}

int precis_create(MPI_Comm comm, const precis_problem *problem, const precis_options *options,
                  precis_attention **attention)
{
  const precis_options none = {0};
  precis_message why = {""};
  precis_world world;
  options = options ? options : &none;
  int status = precis_world_create(comm, &world);
  if (status != PRECIS_SUCCESS) {
    say(options, precis_strerror(status));
    return status;
  }
  precis_problem settled = problem ? *problem : (precis_problem){0};
  if (problem == NULL || attention == NULL)
    status =
        precis_message_set(&why, PRECIS_ERR_ARGUMENT, "problem and attention must not be NULL");
  precis_attention *a = calloc(1, sizeof *a);
  if (status == PRECIS_SUCCESS && a == NULL)
    status = PRECIS_ERR_MEMORY;
  status = precis_world_agree(&world, status, &why);
  if (status == PRECIS_SUCCESS)
    status = check_problem(&world, &settled, options, &why);
  if (status != PRECIS_SUCCESS) {
    say(options, why.text);
    free(a);
    precis_world_free(&world);
    return status;
  }
  *a = (precis_attention){.world = world, .problem = settled, .options = *options};
  status = precis_attention_end(a, set_up_engine(a), &why);
  if (status == PRECIS_SUCCESS)
    status = precis_attention_end(a, find_rates(a, &why), &why);
  if (status != PRECIS_SUCCESS) {
    release(a);
    return status;
  }
  *attention = a;
  return PRECIS_SUCCESS;
}

static int check_finite(const char *name, int64_t rows, int64_t row, const float *x,
                        precis_message *why)
{
  int64_t bad = precis_survey_nonfinite(rows, row, x);
  if (bad < 0)
    return PRECIS_SUCCESS;
  return precis_message_set(why, PRECIS_ERR_NONFINITE,
                            "%s holds a value that is not finite in local row %" PRId64, name, bad);
}

static int check_bias(int64_t rows, const float *bias, precis_message *why)
{
  for (int64_t j = 0; j < rows && bias != NULL; j++)
    if (isnan(bias[j]) || bias[j] == INFINITY)
      return precis_message_set(why, PRECIS_ERR_NONFINITE,
                                "bias is %g in local row %" PRId64 ", must be finite or -infinity",
                                bias[j], j);
  return PRECIS_SUCCESS;
}

static int check_rows(const precis_attention *a, int64_t rows, const float *k, const float *v,
                      const float *bias, precis_message *why)
{
  const precis_problem *p = &a->problem;
  if (rows < 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "rows is %" PRId64 ", must not be negative",
                              rows);
  if (rows > 0 && (k == NULL || v == NULL))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "k and v must not be NULL where there are rows");
  int status = check_finite("k", rows, (int64_t)p->kv_heads * p->dim, k, why);
  if (status == PRECIS_SUCCESS)
    status = check_finite("v", rows, (int64_t)p->kv_heads * p->value_dim, v, why);
  return status == PRECIS_SUCCESS ? check_bias(rows, bias, why) : status;
}

/* Where rows of an append go in the sequence. */
typedef struct stretch {
  int64_t before, total; /* of it, rows of lower ranks, and of all */
  int any_bias;
} stretch;

/* Collective. Whether all ranks can go on, how many rows there are before this rank's and in all,
 * and whether there are biases: on all ranks with rows or on none. */
static int place_rows(precis_attention *a, int64_t rows, int with_bias, int status, stretch *at,
                      precis_message *why)
{
  int64_t sum[] = {rows, rows > 0 && with_bias, rows > 0 && !with_bias};
  int64_t *of = a->rows_of;
  for (int r = 0; r < a->world.ranks; r++)
    of[r] = r == a->world.rank ? rows : 0;
  const precis_told told[] = {{PRECIS_FOLD_SUM, 3, NULL, sum},
                              {PRECIS_FOLD_SUM, a->world.ranks, NULL, of}};
  status = precis_world_meet(&a->world, status, why, told, 2);
  if (status != PRECIS_SUCCESS)
    return status;
  at->before = 0;
  for (int r = 0; r < a->world.rank; r++)
    at->before += of[r];
  at->total = sum[0];
  at->any_bias = sum[1] > 0;
  if (sum[1] > 0 && sum[2] > 0)
    return precis_message_set(why, PRECIS_ERR_MISMATCH,
                              "some ranks gave a bias with their rows, others none");
  return PRECIS_SUCCESS;
}

/* Collective. Makes room; status: of what was found before, on this rank. Only with the first
 * biases is it known late that there must be room for them, on ranks without new rows, too. */
static int prepare(precis_attention *a, int64_t rows, int with_bias, int status, stretch *at,
                   precis_message *why)
{
  if (status == PRECIS_SUCCESS)
    status = precis_keys_reserve(&a->keys, rows, a->with_bias);
  status = place_rows(a, rows, with_bias, status, at, why);
  if (status == PRECIS_SUCCESS && at->any_bias && !a->with_bias)
    return precis_attention_end(a, precis_keys_reserve(&a->keys, rows, 1), why);
  return precis_attention_say(a, status, why);
}

static void account(precis_attention *a, const stretch *at)
{
  a->appended += at->total;
  a->with_bias |= at->any_bias;
}

int precis_append(precis_attention *attention, int64_t rows, const float *k, const float *v,
                  const float *bias)
{
  precis_attention *a = attention;
  precis_message why = {""};
  stretch at = {0};
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  int status = prepare(a, rows, bias != NULL, check_rows(a, rows, k, v, bias, &why), &at, &why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_keys_add(&a->keys, a->appended + at.before, rows, k, v, bias);
  account(a, &at);
  return PRECIS_SUCCESS;
}

/* What `fill` wrote: its own error, which it has explained, or ours. */
static int check_filled(precis_attention *a, int64_t rows, int filled, precis_keys_room to,
                        int with_bias)
{
  precis_message why = {""};
  int status = precis_world_agree(&a->world, filled, NULL);
  if (status != PRECIS_SUCCESS)
    return status;
  status = check_rows(a, rows, to.k, to.v, with_bias ? to.bias : NULL, &why);
  return precis_attention_end(a, status, &why);
}

int precis_append_in_place(precis_attention *a, int64_t rows, int with_bias, precis_fill *fill,
                           void *context)
{
  precis_message why = {""};
  stretch at = {0};
  if (a == NULL)
    return PRECIS_ERR_ARGUMENT;
  int status = fill != NULL && rows >= 0
                   ? PRECIS_SUCCESS
                   : precis_message_set(&why, PRECIS_ERR_ARGUMENT,
                                        "fill is NULL or rows is negative: %" PRId64, rows);
  status = prepare(a, rows, with_bias, status, &at, &why);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_keys_room to = precis_keys_next(&a->keys);
  if (to.bias != NULL && !with_bias)
    memset(to.bias, 0, (size_t)rows * sizeof *to.bias);
  status = fill(context, to.k, to.v, with_bias ? to.bias : NULL);
  status = check_filled(a, rows, status, to, with_bias);
  if (status != PRECIS_SUCCESS)
    return status;
  precis_keys_take(&a->keys, a->appended + at.before, rows);
  account(a, &at);
  return PRECIS_SUCCESS;
}

precis_norm precis_attention_norm(const precis_attention *a, int g)
{
  int dv = a->problem.value_dim, range = a->options.tol_of == PRECIS_UNIT_RANGE;
  return (precis_norm){dv, range, (range ? a->survey.per_range : a->survey.per) + (int64_t)g * dv};
}

int precis_attention_heads(const precis_attention *a, precis_head_report *heads)
{
  if (a == NULL || heads == NULL || !a->has_heads || heads[0].size < sizeof(size_t) ||
      heads[0].size > sizeof *heads)
    return PRECIS_ERR_ARGUMENT;
  size_t size = heads[0].size;
  for (int h = 0; h < a->problem.heads; h++) {
    precis_head_report head = a->heads[h];
    head.size = size;
    memcpy((char *)heads + (size_t)h * size, &head, size);
  }
  return PRECIS_SUCCESS;
}

int precis_destroy(precis_attention **attention)
{
  if (attention == NULL || *attention == NULL)
    return PRECIS_SUCCESS;
  release(*attention);
  *attention = NULL;
  return PRECIS_SUCCESS;
}
