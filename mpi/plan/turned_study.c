#include "mpi/plan/turned_study.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mpi/plan/turned_survey.h"
#include "src/plan/block_sample.h"
#include "src/plan/block_sets.h"
#include "src/summary/feature_kernel.h"
#include "src/base/memory.h"

/* What the study itself costs, with tables of the sampled rows, in fits of a polynomial in one
 * variable. Nobody knows beforehand that it will find anything, so it has to be a small part of
 * what another way takes: a smaller one where that is exact, as then it often finds nothing. */
static const double STUDY_FITS = 50, STUDY_SHARE = 0.03, STUDY_SHARE_OF_SUMMARY = 0.08;

/* Rows are turned twice, to see how far they reach and to be packed, at a fraction of the speed of
 * other work. */
static const double TURNING_SPEED = 0.3;

/* What a fit in two variables costs, in fits in one, and the part of what another way takes that
 * may be spent on fits. */
static const double FIT_FITS = 7, FITS_SHARE = 0.05;
enum { FITS_LEAST = 4, FITS_MOST = 32 };

typedef struct choice {
  precis_feature_set set;
  precis_candidate price;
  double later;         /* seconds of later calls */
  double least, likely; /* of all, with what is known of failing rows before a fit */
} choice;

typedef struct study {
  const precis_turned_question *question;
  const precis_study *known;
  const precis_problem *problem;
  precis_world *world;
  int leads, lead[PRECIS_LEADS_MOST];
  int choices;
  choice *choice;         /* by seconds */
  precis_turning turning; /* to take the place of the plan's */
  precis_bivariate *fit;  /* kv_heads, likewise */
  precis_turned_survey survey;
  precis_block_row *table; /* leads x sampled rows of one head; made when they are asked for */
  int made[PRECIS_LEADS_MOST];
} study;

static int by_likely(const void *a, const void *b)
{
  double x = ((const choice *)a)->likely, y = ((const choice *)b)->likely;
  return (x > y) - (x < y);
}

/* What may be paid: beyond it another way is cheaper. */
static double limit(const precis_turned_question *q)
{
  return fmin(q->best, precis_wish_limit(q->study->wish));
}

/* Whoever asks for summaries has the best of them. */
static double study_seconds(const precis_study *known)
{
  return known->wish->force ? 0 : STUDY_FITS * known->wish->scene->rates.fit_time;
}

static double turning_seconds(const study *s)
{
  const precis_study *q = s->known;
  double rows = (double)q->map->keys * s->problem->kv_heads +
                (double)precis_visible_queries(q->map) * s->problem->heads;
  return 2 * 2 * rows * s->problem->dim * s->problem->dim /
         (TURNING_SPEED * s->known->wish->scene->rates.summarise_flops * s->world->ranks);
}

/* Prices all sets; keeps those below the limit. */
static void price(study *s, const precis_feature_set *sets, int count)
{
  const precis_study *q = s->known;
  double most = limit(s->question) - study_seconds(q);
  double always = turning_seconds(s) + s->question->outlier_seconds;
  for (int i = 0; i < count; i++) {
    const precis_feature_set *set = &sets[i];
    int64_t features = precis_feature_set_size(set, set->value_blocks);
    choice c = {.set = *set,
                .price = {.degree = precis_feature_set_degree(set, set->value_blocks),
                          .envelope_degree = precis_feature_set_degree(set, set->blocks),
                          .features = features,
                          .count_features = precis_feature_set_size(set, set->blocks) - features}};
    c.price.seconds = always + precis_choose_seconds(q->wish->scene, &c.price);
    precis_summary_size size = precis_candidate_size(&c.price);
    size.set = set;
    c.later = precis_wish_later(q->wish, &size);
    if (c.price.seconds + c.later < most &&
        precis_study_keeps_memory(q, s->question->limits, &size))
      s->choice[s->choices++] = c;
  }
}

static int create(study *s)
{
  int64_t rows = (int64_t)s->leads * s->known->sampled;
  s->table = precis_memory_array(rows, sizeof *s->table);
  s->fit = calloc((size_t)s->problem->kv_heads, sizeof *s->fit);
  int status = precis_turned_survey_create(s->known, s->question->limits, &s->survey);
  if (status == PRECIS_SUCCESS)
    status = precis_turning_create(s->problem, &s->turning);
  return status == PRECIS_SUCCESS && !(s->table && s->fit) ? PRECIS_ERR_MEMORY : status;
}

static precis_bivariate_domain domain_of(const study *s, int g, int lead)
{
  precis_reach queries = precis_turned_survey_queries(&s->survey, g, lead),
               keys = precis_turned_survey_keys(&s->survey, g, lead);
  return precis_turning_domain(&queries, &keys);
}

/* The head with the largest bound, on which sets are tried. */
static int widest_head(const study *s)
{
  int widest = 0, dim = s->problem->dim;
  for (int g = 1; g < s->problem->kv_heads; g++)
    if (domain_of(s, g, dim).bound > domain_of(s, widest, dim).bound)
      widest = g;
  return widest;
}

/* Sampled rows of a head in so many leading axes. */
static const precis_block_row *table_of(study *s, int g, int lead)
{
  int k = 0;
  while (s->lead[k] != lead)
    k++;
  precis_block_row *table = s->table + (int64_t)k * s->known->sampled;
  if (!s->made[k])
    precis_turned_survey_table(&s->survey, g, lead, table);
  s->made[k] = 1;
  return table;
}

static double failing_of(const study *s, int g, const choice *c, const precis_block_row *table,
                         const precis_bivariate *fit, double part)
{
  const precis_goal goal = precis_study_goal(s->known, g, part);
  const precis_summary_rounding rounding = {c->price.envelope_degree, precis_summarise_roundings(),
                                            s->known->out->plan.wire_roundings,
                                            precis_apply_roundings()};
  return precis_block_failing(s->known->sampled, table, fit, &rounding,
                              s->known->out->plan.least_deviation[g], &goal);
}

static double price_of_failing(const study *s, double failing, double nearly)
{
  return precis_wish_price_of_failing(s->known->wish, failing, nearly);
}

static double estimate(study *s, int g, const choice *c, int luck)
{
  const precis_block_row *table = table_of(s, g, c->set.lead);
  int rows = s->known->sampled;
  const precis_goal goal = precis_study_goal(s->known, g, 1),
                    margin = precis_study_goal(s->known, g, PRECIS_FORCED_MARGIN);
  double over = precis_block_estimate(rows, table, &c->set, luck, &goal),
         nearly = precis_block_estimate(rows, table, &c->set, luck, &margin);
  return c->price.seconds + c->later + price_of_failing(s, over, nearly);
}

/* Orders the choices by what they are likely to cost. */
static void rank_choices(study *s, int g)
{
  for (int i = 0; i < s->choices; i++) {
    s->choice[i].least = estimate(s, g, &s->choice[i], 1);
    s->choice[i].likely = estimate(s, g, &s->choice[i], 0);
  }
  qsort(s->choice, (size_t)s->choices, sizeof *s->choice, by_likely);
}

/* Seconds of a choice with repair, judged on one head; infinity where it cannot be had. */
static double try_one(study *s, int g, const choice *c)
{
  const precis_block_row *table = table_of(s, g, c->set.lead);
  precis_bivariate_domain domain = domain_of(s, g, c->set.lead);
  precis_bivariate_moments moments;
  precis_bivariate fit;
  precis_block_moments(s->known->sampled, table, &c->set, &moments);
  if (!(domain.bound > 0) || precis_bivariate_fit(&c->set, &domain, &moments, &fit))
    return INFINITY;
  return c->price.seconds + c->later +
         price_of_failing(s, failing_of(s, g, c, table, &fit, 1),
                          failing_of(s, g, c, table, &fit, PRECIS_FORCED_MARGIN));
}

/* How many each rank may try: as long as that is little beside what may be saved. */
static int fits_allowed(const study *s)
{
  double allowed = FITS_LEAST + FITS_SHARE * limit(s->question) /
                                    (FIT_FITS * s->known->wish->scene->rates.fit_time);
  return !s->known->wish->force && allowed < FITS_MOST ? (int)allowed : FITS_MOST;
}

/* Each rank tries some, until what is left costs more than what it has; all agree on the best, -1
 * for none. */
static int try_all(study *s, int *best)
{
  struct {
    double seconds;
    int number;
  } mine = {limit(s->question), -1}, all;
  int g = widest_head(s), left = fits_allowed(s);
  rank_choices(s, g);
  for (int i = s->world->rank; i < s->choices && left > 0; i += s->world->ranks) {
    if (s->choice[i].least >= mine.seconds)
      continue;
    left--;
    double seconds = try_one(s, g, &s->choice[i]);
    if (seconds < mine.seconds) {
      mine.seconds = seconds;
      mine.number = i;
    }
  }
  if (mine.number < 0)
    mine.seconds = INFINITY;
  if (MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE_INT, MPI_MINLOC, s->world->comm))
    return PRECIS_ERR_MPI;
  *best = isfinite(all.seconds) ? all.number : -1;
  return PRECIS_SUCCESS;
}

/* Fits one head of this rank. */
static int fit_head(study *s, int g, const choice *c, double *failing)
{
  precis_bivariate_domain domain = domain_of(s, g, c->set.lead);
  precis_turned_survey_table(&s->survey, g, c->set.lead, s->table);
  precis_block_moments(s->known->sampled, s->table, &c->set, &s->turning.moments[g]);
  domain.bound = fmax(domain.bound, 1e-20);
  domain.lead_bound = fmax(domain.lead_bound, 1e-20);
  domain.trail_bound = fmax(domain.trail_bound, 1e-20);
  int status = precis_bivariate_fit(&c->set, &domain, &s->turning.moments[g], &s->fit[g]);
  if (status == PRECIS_SUCCESS)
    *failing += failing_of(s, g, c, s->table, &s->fit[g], 1);
  return status;
}

/* Fits all heads, each on one rank, and estimates the share of rows that will fail. */
static int fit_heads(study *s, const choice *c, double *failing)
{
  int heads = s->problem->kv_heads, status = PRECIS_SUCCESS;
  *failing = 0;
  for (int g = s->world->rank; g < heads && status == PRECIS_SUCCESS; g += s->world->ranks)
    status = fit_head(s, g, c, failing);
  status = precis_world_agree(s->world, status, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_world_share(s->world, s->fit, sizeof *s->fit, heads);
  if (status == PRECIS_SUCCESS)
    status = precis_world_share(s->world, s->turning.moments, sizeof *s->turning.moments, heads);
  if (status == PRECIS_SUCCESS &&
      MPI_Allreduce(MPI_IN_PLACE, failing, 1, MPI_DOUBLE, MPI_SUM, s->world->comm))
    status = PRECIS_ERR_MPI;
  *failing /= heads;
  return status;
}

/* The choice becomes the plan. */
static void adopt(study *s, const choice *c, double failing)
{
  precis_summaries *plan = &s->known->out->plan;
  plan->set = c->set;
  plan->degree = c->price.degree;
  plan->envelope_degree = c->price.envelope_degree;
  plan->features = c->price.features;
  plan->count_features = c->price.count_features;
  plan->seconds = c->price.seconds;
  for (int g = 0; g < s->problem->kv_heads; g++) {
    s->turning.queries[g] = precis_turned_survey_queries(&s->survey, g, c->set.lead);
    s->turning.keys[g] = precis_turned_survey_keys(&s->survey, g, c->set.lead);
    plan->exponent[g] = precis_bulk_exponent(s->turning.keys[g].whole, s->turning.queries[g].whole);
  }
  precis_turning_free(&plan->turning);
  plan->turning = s->turning;
  s->turning = (precis_turning){0};
  free(plan->fit);
  plan->fit = s->fit;
  s->fit = NULL;
  s->known->out->failing = failing;
  s->known->out->seconds = c->price.seconds;
}

/* With arrays in place. */
static int study_axes(study *s, int *found)
{
  int usable, best = -1;
  int status = precis_turned_survey_run(&s->survey, &s->turning, &usable);
  if (status != PRECIS_SUCCESS || !usable ||
      !(domain_of(s, widest_head(s), s->problem->dim).bound <= PRECIS_BOUND_MOST))
    return status;
  status = try_all(s, &best);
  if (status != PRECIS_SUCCESS || best < 0)
    return status;
  double failing;
  status = fit_heads(s, &s->choice[best], &failing);
  /* The head it was tried on is the widest, not always the worst. */
  if (status == PRECIS_SUCCESS) {
    adopt(s, &s->choice[best], failing);
    *found = 1;
  }
  return status == PRECIS_ERR_INTERNAL ? PRECIS_SUCCESS : status;
}

/* Axes are those of the queries at hand. Where others are to follow, which know nothing of axes that
 * these few happen to lie in, there have to be so many in each dimension. */
static int enough_queries(const study *s)
{
  enum { QUERIES_PER_DIMENSION = 4 };
  const precis_study *known = s->known;
  double queries = (double)precis_visible_queries(known->map) * known->group;
  return known->wish->calls <= 1 || queries >= QUERIES_PER_DIMENSION * s->problem->dim;
}

int precis_turned_study(const precis_turned_question *question, int *found)
{
  study s = {.question = question,
             .known = question->study,
             .problem = &question->study->a->problem,
             .world = &question->study->a->world};
  *found = 0;
  double share = isfinite(question->best) ? STUDY_SHARE_OF_SUMMARY : STUDY_SHARE;
  if (!(share * limit(question) > study_seconds(s.known)) || s.problem->dim < 2 ||
      !enough_queries(&s))
    return PRECIS_SUCCESS;
  precis_feature_set *sets = precis_memory_array(PRECIS_BLOCK_SETS_MOST, sizeof *sets);
  s.choice = precis_memory_array(PRECIS_BLOCK_SETS_MOST, sizeof *s.choice);
  int status = sets && s.choice ? PRECIS_SUCCESS : PRECIS_ERR_MEMORY;
  status = precis_world_agree(s.world, status, NULL);
  if (status == PRECIS_SUCCESS) {
    s.leads = precis_block_leads(s.problem->dim, s.lead);
    price(&s, sets, precis_block_sets(s.problem->dim, sets));
  }
  if (status == PRECIS_SUCCESS && s.choices > 0) {
    status = precis_world_agree(s.world, create(&s), NULL);
    if (status == PRECIS_SUCCESS)
      status = study_axes(&s, found);
  }
  precis_turned_survey_free(&s.survey);
  precis_turning_free(&s.turning);
  free(s.fit);
  free(s.table);
  free(s.choice);
  free(sets);
  return status;
}
