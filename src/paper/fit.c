/* Polynomials for the scores that a plan on paper assumes. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "src/schedule/cost.h"
#include "src/summary/feature_kernel.h"
#include "src/base/memory.h"
#include "src/paper/paper.h"
#include "src/paper/sample.h"

static void fit_one(const precis_paper *p, const precis_scene *s, const precis_head_sample *sample,
                    const precis_goal *goal, precis_paper_fit *f)
{
  const precis_candidate *c = &f->candidate;
  precis_polynomial fit;
  const precis_summary_rounding rounding = {
      c->envelope_degree, precis_summarise_roundings(),
      precis_cost_summary_roundings(p->ranks, s->nodes, p->ranks_per_node, s->prefixes),
      precis_apply_roundings()};
  f->failing = 1;
  if (precis_choose_fit(sample, c->degree, c->envelope_degree, &rounding, &fit) == PRECIS_SUCCESS)
    f->failing = precis_choose_failing(sample, &fit, &rounding, goal);
}

/* Values of a column range over twice the largest of so many Gaussian ones, some four deviations
 * each way. */
static precis_goal goal_of(const precis_paper *p, const precis_paper_scores *scores)
{
  const double range = 9;
  /* Of R what is proved of it: bounds come off it, half the tolerance in the mean. */
  double signal = precis_paper_signal(scores), proved = 1 - .5 * fmin(p->tol, 1),
         unit = p->tol_of == PRECIS_UNIT_OUTPUTS ? signal * proved
                : p->tol_of == PRECIS_UNIT_RANGE ? range * sqrt(scores->value_dim) / 2
                                                 : 1;
  return (precis_goal){
      .unit = p->tol_of, .error = p->tol < DBL_MAX ? p->tol * unit : DBL_MAX, .away = signal};
}

static precis_paper_scores scores_of(const precis_paper *p)
{
  return (precis_paper_scores){.dim = p->problem.dim,
                               .value_dim = p->problem.value_dim,
                               .queries = p->queries * (p->problem.heads / p->problem.kv_heads),
                               .keys = p->keys,
                               .spread = p->spread,
                               .bound = p->bound,
                               .unit = p->unit,
                               .signal = p->signal};
}

double precis_paper_mean_signal(const precis_paper *p)
{
  const precis_paper_scores scores = scores_of(p);
  return precis_paper_signal(&scores);
}

int precis_paper_fit_all(const precis_paper *p, precis_paper_fits *fits)
{
  const precis_paper_scores scores = scores_of(p);
  const precis_goal goal = goal_of(p, &scores);
  double *moments =
      precis_memory_array(PRECIS_SAMPLE_QUERIES * PRECIS_SAMPLE_MOMENTS, sizeof *moments);
  double lengths[PRECIS_SAMPLE_QUERIES];
  *fits = (precis_paper_fits){.bound = precis_paper_bound(&scores)};
  if (moments == NULL)
    return PRECIS_ERR_MEMORY;
  if (p->tol > 0 && fits->bound <= PRECIS_BOUND_MOST) {
    precis_head_sample sample = precis_paper_sample(&scores, moments, lengths);
    precis_candidate all[PRECIS_PAPER_FITS];
    precis_scene s = precis_paper_scene(p);
    s.memory_limit = 0;
    fits->count = precis_choose_candidates(&s, p->degree, PRECIS_PAPER_FITS, all);
    fits->count = precis_choose_hopeful(&sample, &sample, &goal, fits->count, all);
    for (int i = 0; i < fits->count; i++) {
      fits->fit[i].candidate = all[i];
      fit_one(p, &s, &sample, &goal, &fits->fit[i]);
    }
  }
  free(moments);
  return PRECIS_SUCCESS;
}
