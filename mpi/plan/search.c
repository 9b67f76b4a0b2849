/* The search over degrees and limits. Known beforehand is what a summary and its outliers cost;
 * what has to be found out, by fitting a polynomial, is how many rows would fail. So entries are
 * tried in the order of what is known, and never where a stronger one has failed. Of high degrees,
 * whose fits take long, the first is one that an estimate expects to do, then those below it. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/plan/study.h"
#include "src/summary/feature_kernel.h"
#include "src/base/memory.h"

/* The part of exact attention that may be spent on fits. */
static const double FITS_SHARE = 0.02;
static const double MOST_ROWS = 0.3;
enum { FITS_LEAST = 3, FITS_MOST = 100, AT_ONCE = 32, HIGH_FROM = 5 };

/* FORBIDDEN: by the memory limit. */
typedef enum state { UNKNOWN, TAKEN, KNOWN, FORBIDDEN } state;

typedef struct entry {
  int candidate;
  precis_limits limits;
  double bound, known; /* seconds of all calls, without failing rows */
  state state;
  double failing, seconds; /* share of rows; seconds with them */
} entry;

typedef struct search {
  const precis_study *study;
  const precis_candidate *candidates;
  entry *entries; /* by candidate, then by limits of keys, then of queries */
  int candidate_count, each;
  double expected[PRECIS_CANDIDATES_MOST]; /* precis_choose_expected() of high degrees */
  double failed;                           /* the least of those that left most rows to repair */
  double mean_error[PRECIS_DEGREE_MAX + 1][PRECIS_LEVELS][PRECIS_LEVELS]; /* -1: not known yet */
  double best;                                                            /* seconds */
} search;

static precis_summary_rounding rounding_of(const precis_study *s, const precis_candidate *c)
{
  return (precis_summary_rounding){c->envelope_degree, precis_summarise_roundings(),
                                   s->out->plan.wire_roundings, precis_apply_roundings()};
}

/* The share of rows that will need repair. */
static double failing_of(const precis_study *s, int g, precis_limits limits,
                         const precis_candidate *c, const precis_polynomial *fit, double part)
{
  const precis_summary_rounding rounding = rounding_of(s, c);
  const precis_goal goal = precis_study_goal(s, g, part);
  precis_head_sample sample = precis_study_sample(s, g, limits);
  return precis_choose_failing(&sample, fit, &rounding, &goal);
}

/* What is left of the goal's error: below 1 it is kept in the mean, where deviations are those of a
 * typical key. */
static double error_in_the_mean(const precis_study *s, int g, const precis_head_sample *sample,
                                int degree, precis_polynomial *fit)
{
  const precis_goal goal = precis_study_goal(s, g, 1);
  double deviation = goal.unit == PRECIS_UNIT_LSE ? 1 : 2 * sample->least_deviation,
         error = precis_choose_least_squares(sample, degree, fit) * deviation / 3;
  return error > 0 ? error / goal.error : 0;
}

int precis_search_fit(const precis_study *s, int g, precis_limits limits, const precis_candidate *c,
                      precis_polynomial *fit, double *failing)
{
  precis_head_sample sample = precis_study_sample(s, g, limits);
  if (s->wish->sampled) {
    *failing = error_in_the_mean(s, g, &sample, c->degree, fit) <= 1 ? 0 : 1;
    return PRECIS_SUCCESS;
  }
  const precis_summary_rounding rounding = rounding_of(s, c);
  int status = precis_choose_fit(&sample, c->degree, c->envelope_degree, &rounding, fit);
  if (status == PRECIS_SUCCESS)
    *failing = failing_of(s, g, limits, c, fit, 1);
  return status;
}

/* No polynomial of this degree is near enough in the mean; with an envelope it can only be worse.
 */
static int hopeless(search *x, const entry *e)
{
  const double slack = 2;
  int degree = x->candidates[e->candidate].degree;
  if (degree > PRECIS_SAMPLE_DEGREE || x->study->wish->force)
    return 0;
  double *error = &x->mean_error[degree][e->limits.keys][e->limits.queries];
  if (*error < 0) {
    int g = precis_study_widest(x->study, e->limits);
    precis_head_sample sample = precis_study_sample(x->study, g, e->limits);
    precis_polynomial fit;
    *error = error_in_the_mean(x->study, g, &sample, degree, &fit);
  }
  return *error > slack;
}

static precis_head_sample tightest_sample(const precis_study *s)
{
  precis_limits limits = precis_study_tightest(s);
  return precis_study_sample(s, precis_study_widest(s, limits), limits);
}

static precis_goal tightest_goal(const precis_study *s)
{
  return precis_study_goal(s, precis_study_widest(s, precis_study_tightest(s)), 1);
}

static int create(search *x, const precis_study *s, const precis_candidate *candidates, int count)
{
  int keys = s->keys.count, queries = s->queries.count;
  *x = (search){.study = s,
                .candidates = candidates,
                .candidate_count = count,
                .each = keys * queries,
                .failed = INFINITY,
                .best = precis_wish_limit(s->wish)};
  x->entries = precis_memory_array((int64_t)count * x->each, sizeof *x->entries);
  if (x->entries == NULL)
    return PRECIS_ERR_MEMORY;
  for (int d = 0; d <= PRECIS_DEGREE_MAX; d++)
    for (int i = 0; i < PRECIS_LEVELS * PRECIS_LEVELS; i++)
      x->mean_error[d][i / PRECIS_LEVELS][i % PRECIS_LEVELS] = -1;
  double later[PRECIS_CANDIDATES_MOST];
  precis_head_sample tight = tightest_sample(s);
  const precis_goal goal = tightest_goal(s);
  for (int i = 0; i < count; i++) {
    const precis_candidate *c = &candidates[i];
    if (c->degree >= HIGH_FROM)
      x->expected[i] = precis_choose_expected(&tight, c->degree, c->envelope_degree, &goal);
    const precis_summary_size size = precis_candidate_size(&candidates[i]);
    later[i] = precis_wish_later(s->wish, &size);
  }
  for (int i = 0; i < count * x->each; i++) {
    precis_limits limits = {i % x->each / queries, i % queries};
    double bound = precis_study_bound(s, precis_study_widest(s, limits), limits);
    x->entries[i] = (entry){.candidate = i / x->each,
                            .limits = limits,
                            .bound = bound,
                            .known = candidates[i / x->each].seconds + later[i / x->each] +
                                     precis_study_outlier_seconds(s, limits),
                            .state = bound <= PRECIS_BOUND_MOST ? UNKNOWN : KNOWN,
                            .failing = 1,
                            .seconds = INFINITY};
    precis_summary_size size = precis_candidate_size(&candidates[i / x->each]);
    if (bound <= PRECIS_BOUND_MOST && !precis_study_keeps_memory(s, limits, &size))
      x->entries[i].state = FORBIDDEN;
  }
  return PRECIS_SUCCESS;
}

static double repair_of(const search *x, double failing)
{
  const precis_wish *wish = x->study->wish;
  return precis_wish_price_of_failing(wish, failing, 0);
}

/* With as many rows to repair as something at least as strong leaves, it costs too much. */
static int beaten(const search *x, const entry *e)
{
  const precis_candidate *c = &x->candidates[e->candidate];
  for (int i = 0; i < x->candidate_count * x->each; i++) {
    const entry *f = &x->entries[i];
    const precis_candidate *d = &x->candidates[f->candidate];
    if (f->state == KNOWN && f->bound <= PRECIS_BOUND_MOST &&
        e->known + repair_of(x, f->failing) >= x->best && d->degree >= c->degree &&
        d->envelope_degree >= c->envelope_degree && f->limits.keys >= e->limits.keys &&
        f->limits.queries >= e->limits.queries)
      return 1;
  }
  return 0;
}

static int is_high(const search *x, int candidate)
{
  return x->candidates[candidate].degree >= HIGH_FROM;
}

/* Of a high degree: clearly stronger than what has failed, and a fit takes less than it may save;
 * where there is something to be had, none of poor prospects. */
static int pays(const search *x, const entry *e)
{
  const double stronger = .7, poor = 20;
  double fit = x->study->wish->scene->rates.fit_time * x->candidates[e->candidate].degree / 4,
         expected = x->expected[e->candidate];
  return !is_high(x, e->candidate) ||
         (expected <= stronger * x->failed && e->known + fit < x->best &&
          (expected <= poor || x->best >= precis_wish_limit(x->study->wish)));
}

static int worth_a_try(search *x, const entry *e)
{
  return e->state == UNKNOWN && e->known < x->best && pays(x, e) && !beaten(x, e) &&
         !hopeless(x, e);
}

/* Of a candidate none of whose entries was tried: the one with the smallest bound. */
static entry *tightest(search *x, int candidate)
{
  entry *best = NULL;
  for (int i = candidate * x->each; i < (candidate + 1) * x->each; i++) {
    entry *e = &x->entries[i];
    if (e->state == TAKEN || (e->state == KNOWN && e->bound <= PRECIS_BOUND_MOST))
      return NULL;
    if (worth_a_try(x, e) && (best == NULL || e->bound < best->bound))
      best = e;
  }
  return best;
}

static entry *cheapest(search *x)
{
  entry *best = NULL;
  for (int i = 0; i < x->candidate_count * x->each; i++) {
    entry *e = &x->entries[i];
    if ((best == NULL || e->known < best->known) && worth_a_try(x, e))
      best = e;
  }
  return best;
}

/* Those that are expected to do from the cheapest on (where one has failed, much stronger ones),
 * then others, the strongest first: each that fails rules out those below it. */
static entry *next_of_high_degree(search *x)
{
  const double much_stronger = .3;
  entry *e = NULL;
  int count = 0;
  while (count < x->candidate_count && x->candidates[count].seconds < x->best)
    count++;
  for (int c = 0; c < count && e == NULL; c++)
    if (is_high(x, c) && x->expected[c] <= fmin(1, much_stronger * x->failed))
      e = tightest(x, c);
  for (int c = count - 1; c >= 0 && e == NULL; c--)
    if (is_high(x, c))
      e = tightest(x, c);
  return e;
}

/* The next to try, or NULL. */
static entry *next(search *x)
{
  entry *e = NULL;
  for (int c = 0; c < x->candidate_count && x->candidates[c].seconds < x->best && e == NULL; c++)
    if (!is_high(x, c))
      e = tightest(x, c);
  if (e == NULL)
    e = next_of_high_degree(x);
  return e != NULL ? e : cheapest(x);
}

static double price_of(const search *x, const entry *e, const precis_polynomial *fit)
{
  const precis_study *s = x->study;
  const precis_wish *wish = s->wish;
  if (wish->force && wish->sampled)
    return e->known + e->failing * wish->instead_seconds;
  int g = precis_study_widest(s, e->limits);
  double nearly = wish->force ? failing_of(s, g, e->limits, &x->candidates[e->candidate], fit,
                                           PRECIS_FORCED_MARGIN)
                              : 0;
  return e->known + precis_wish_price_of_failing(wish, e->failing, nearly);
}

/* Each rank tries another entry, and all are told. Returns how many were tried, or an error. */
static int try_some(search *x)
{
  precis_world *world = &x->study->a->world;
  entry *some[AT_ONCE];
  double outcome[AT_ONCE][2];
  int count = 0, most = world->ranks < AT_ONCE ? world->ranks : AT_ONCE;
  for (; count < most && (some[count] = next(x)) != NULL; count++) {
    some[count]->state = TAKEN;
    outcome[count][0] = outcome[count][1] = -1;
  }
  if (world->rank < count) {
    entry *e = some[world->rank];
    int g = precis_study_widest(x->study, e->limits);
    precis_polynomial fit;
    if (precis_search_fit(x->study, g, e->limits, &x->candidates[e->candidate], &fit,
                          &e->failing) == PRECIS_SUCCESS)
      e->seconds = price_of(x, e, &fit);
    outcome[world->rank][0] = e->failing;
    outcome[world->rank][1] = e->seconds;
  }
  if (count > 0 &&
      MPI_Allreduce(MPI_IN_PLACE, outcome, 2 * count, MPI_DOUBLE, MPI_MAX, world->comm))
    return PRECIS_ERR_MPI;
  for (int i = 0; i < count; i++) {
    some[i]->state = KNOWN;
    some[i]->failing = outcome[i][0];
    some[i]->seconds = outcome[i][1];
    x->best = fmin(x->best, some[i]->seconds);
    if (is_high(x, some[i]->candidate) && some[i]->failing > MOST_ROWS)
      x->failed = fmin(x->failed, x->expected[some[i]->candidate]);
  }
  return count;
}

static int run(search *x)
{
  const precis_wish *wish = x->study->wish;
  double allowed = FITS_LEAST + FITS_SHARE * precis_wish_limit(wish) / wish->scene->rates.fit_time;
  int rounds = allowed < FITS_MOST ? (int)allowed : FITS_MOST, count = 1;
  for (int i = 0; i < rounds && count > 0; i++)
    count = try_some(x);
  return count < 0 ? count : PRECIS_SUCCESS;
}

/* The number of a candidate among all. */
static int origin(const precis_candidate *candidates, const precis_candidate *c)
{
  int i = 0;
  while (candidates[i].degree != c->degree || candidates[i].envelope_degree != c->envelope_degree)
    i++;
  return i;
}

/* Those of the candidates that are worth fitting. */
static int hopeful(const precis_study *s, const precis_candidate *candidates, int count,
                   precis_candidate *some)
{
  precis_limits none = {0, 0};
  precis_head_sample tight = tightest_sample(s),
                     loose = precis_study_sample(s, precis_study_widest(s, none), none);
  memcpy(some, candidates, (size_t)count * sizeof *some);
  const precis_goal goal = tightest_goal(s);
  return precis_choose_hopeful(&tight, &loose, &goal, count, some);
}

int precis_search(const precis_study *study, const precis_candidate *candidates, int all,
                  precis_found *found)
{
  search x;
  precis_candidate some[PRECIS_CANDIDATES_MOST];
  int count = hopeful(study, candidates, all, some);
  int status = create(&x, study, some, count);
  status = precis_world_agree(&study->a->world, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = run(&x);
  double best = INFINITY;
  *found = (precis_found){.candidate = -1};
  for (int i = 0; i < count * x.each && status == PRECIS_SUCCESS; i++)
    if (x.entries[i].seconds < best) {
      best = x.entries[i].seconds;
      *found = (precis_found){.candidate = origin(candidates, &some[x.entries[i].candidate]),
                              .limits = x.entries[i].limits,
                              .outlier_seconds =
                                  precis_study_outlier_seconds(study, x.entries[i].limits),
                              .price = best};
    }
  for (int i = 0; i < count * x.each && status == PRECIS_SUCCESS; i++)
    found->over_memory |= x.entries[i].state == FORBIDDEN;
  free(x.entries);
  return status;
}
