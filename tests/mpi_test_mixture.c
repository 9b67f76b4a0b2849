/* A plan for every head: heads whose scores spread far apart come in groups, each attended to in
 * its own way, and nothing else changes: results, heads' own figures and R are those of calls of
 * each group alone. */
#include "tests/mpi_assert.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/oracle/generate.h"
#include "src/precis.h"
#include "src/precis_more.h"

enum { TOKENS = 600, DIM = 6, HEADS_MOST = 64 };

static int rank, ranks;

/* This rank's rows of a sequence: as good as even. */
typedef struct rows {
  int64_t first, count;
  float *q, *k, *v, *out, *lse, *bounds;
} rows;

static rows make(const precis_problem *p, const double *strength, int64_t tokens)
{
  const precis_recipe recipe = {
      .kind = PRECIS_KIND_GAUSS, .problem = *p, .spread = .1, .signal = 2, .seed = 7};
  rows r = {.first = tokens * rank / ranks};
  r.count = tokens * (rank + 1) / ranks - r.first;
  const size_t queries = (size_t)r.count * (size_t)p->heads,
               keys = (size_t)r.count * (size_t)p->kv_heads;
  r.q = malloc((queries * DIM + 1) * sizeof(float));
  r.k = malloc((keys * DIM + 1) * sizeof(float));
  r.v = malloc((keys * DIM + 1) * sizeof(float));
  r.out = malloc((queries * DIM + 1) * sizeof(float));
  r.lse = malloc((queries + 1) * sizeof(float));
  r.bounds = malloc((queries + 1) * sizeof(float));
  precis_generate_rows(&recipe, PRECIS_ROLE_Q, r.first, r.count, r.q);
  precis_generate_rows(&recipe, PRECIS_ROLE_K, r.first, r.count, r.k);
  precis_generate_rows(&recipe, PRECIS_ROLE_V, r.first, r.count, r.v);
  for (size_t i = 0; i < keys * DIM; i++)
    r.k[i] *= (float)strength[i / DIM % (size_t)p->kv_heads];
  return r;
}

static void release(rows *r)
{
  float *all[] = {r->q, r->k, r->v, r->out, r->lse, r->bounds};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    free(all[i]);
}

static precis_attention *attend(const precis_problem *p, const rows *r, precis_report *report)
{
  const precis_options options = {
      .tol = 3e-2, .threads = 1, .machine = getenv("PRECIS_TEST_MACHINE")};
  precis_attention *a = NULL;
  const precis_results results = {r->out, r->lse, r->bounds};
  int status = precis_create(MPI_COMM_WORLD, p, &options, &a);
  if (status == PRECIS_SUCCESS)
    status = precis_append(a, r->count, r->k, r->v, NULL);
  if (status == PRECIS_SUCCESS)
    status = precis_attend_results(a, NULL, r->count, r->q, &results, report);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  return a;
}

/* The group that has a query head, or -1. */
static int group_of(const precis_attention *a, int head, precis_group *group)
{
  for (int i = 0; i < precis_attention_groups(a); i++) {
    *group = (precis_group)PRECIS_GROUP_INIT;
    if (precis_attention_group(a, i, group) != PRECIS_SUCCESS)
      return -1;
    for (int h = 0; h < group->heads; h++)
      if (group->head_list[h] == head)
        return i;
  }
  return -1;
}

/* Three narrow heads and a wide one, two query heads each, wherever the wide one is. */
static void narrow_and_wide(void **state)
{
  (void)state;
  for (int causal = 0; causal < 2; causal++)
    for (int wide = 0; wide < 4; wide++) {
      const precis_problem p = {
          .heads = 8, .kv_heads = 4, .dim = DIM, .value_dim = DIM, .causal = causal};
      double strength[4] = {1, 1, 1, 1};
      strength[wide] = 60;
      precis_problem settled = p;
      settled.scale = 1 / sqrt(DIM);
      rows r = make(&settled, strength, TOKENS);
      precis_report report = PRECIS_REPORT_INIT;
      precis_attention *a = attend(&p, &r, &report);
      int good = precis_attention_groups(a) == 2, seen = 0;
      precis_group group;
      for (int h = 0; h < p.heads; h++) {
        good &= group_of(a, h, &group) >= 0;
        good &= (group.move == PRECIS_MOVE_SUMMARIES) == (h / 2 != wide);
        good &= group.heads == (h / 2 == wide ? 2 : 6);
      }
      for (int i = 0; i < precis_attention_groups(a); i++) {
        group = (precis_group)PRECIS_GROUP_INIT;
        seen += precis_attention_group(a, i, &group) == PRECIS_SUCCESS ? group.heads : 0;
      }
      precis_head_report heads[8] = {{.size = sizeof *heads}};
      good &= seen == p.heads && precis_attention_heads(a, heads) == PRECIS_SUCCESS;
      double most = 0;
      for (int h = 0; h < p.heads; h++)
        most = fmax(most, heads[h].promise_outputs);
      good &= most > 0 && most == report.promise && report.promise <= 3e-2;
      good &= strstr(report.why, "summaries, degree") != NULL;
      if (!good && rank == 0)
        fprintf(stderr, "causal %d, wide %d: %d groups, %s\n", causal, wide,
                precis_attention_groups(a), report.why);
      assert_all(MPI_COMM_WORLD, good);
      precis_destroy(&a);
      release(&r);
    }
}

/* The heads of one group alone get the same bits, the same promises and the same R. */
static void as_if_alone(void **state)
{
  (void)state;
  const precis_problem p = {.heads = 2, .kv_heads = 2, .dim = DIM, .value_dim = DIM},
                       one = {.heads = 1, .kv_heads = 1, .dim = DIM, .value_dim = DIM};
  const double strength[2] = {1, 60};
  precis_problem settled = p;
  settled.scale = 1 / sqrt(DIM);
  rows r = make(&settled, strength, TOKENS), alone = make(&settled, strength, TOKENS);
  precis_report report = PRECIS_REPORT_INIT;
  precis_attention *a = attend(&p, &r, &report);
  precis_head_report heads[2] = {{.size = sizeof *heads}};
  int good = precis_attention_groups(a) == 2 && precis_attention_heads(a, heads) == PRECIS_SUCCESS;
  for (int h = 0; h < 2; h++) {
    float *some[] = {alone.q, alone.k, alone.v};
    const float *all[] = {r.q, r.k, r.v};
    for (int t = 0; t < 3; t++)
      for (int64_t i = 0; i < r.count; i++)
        memcpy(some[t] + i * DIM, all[t] + (2 * i + h) * DIM, DIM * sizeof(float));
    precis_report own = PRECIS_REPORT_INIT;
    precis_attention *b = attend(&one, &alone, &own);
    precis_head_report head = {.size = sizeof head};
    good &= precis_attention_heads(b, &head) == PRECIS_SUCCESS;
    good &= head.promise_outputs == heads[h].promise_outputs &&
            head.mean_signal == heads[h].mean_signal && head.constant == heads[h].constant;
    for (int64_t i = 0; i < r.count; i++)
      good &= memcmp(alone.out + i * DIM, r.out + (2 * i + h) * DIM, DIM * sizeof(float)) == 0 &&
              alone.lse[i] == r.lse[2 * i + h] && alone.bounds[i] == r.bounds[2 * i + h];
    precis_destroy(&b);
  }
  assert_all(MPI_COMM_WORLD, good);
  precis_destroy(&a);
  release(&r);
  release(&alone);
}

/* Equal heads make one group, as do narrow heads and wide heads each among themselves. */
static void one_group(void **state)
{
  (void)state;
  static const struct {
    int heads;
    double least, factor;
  } cases[] = {{HEADS_MOST, 1, 1}, {4, 1, 1.02}, {4, 60, 1.02}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    const precis_problem p = {
        .heads = cases[i].heads, .kv_heads = cases[i].heads, .dim = DIM, .value_dim = DIM};
    double strength[HEADS_MOST];
    for (int g = 0; g < cases[i].heads; g++)
      strength[g] = cases[i].least * pow(cases[i].factor, g);
    precis_problem settled = p;
    settled.scale = 1 / sqrt(DIM);
    rows r = make(&settled, strength, 200);
    precis_report report = PRECIS_REPORT_INIT;
    precis_attention *a = attend(&p, &r, &report);
    precis_group group = PRECIS_GROUP_INIT;
    assert_all(MPI_COMM_WORLD, precis_attention_groups(a) == 1 &&
                                   precis_attention_group(a, 0, &group) == PRECIS_SUCCESS &&
                                   group.heads == p.heads);
    precis_destroy(&a);
    release(&r);
  }
}

/* A handle goes on after a call in groups: more tokens, few queries, many again. */
static void later_calls(void **state)
{
  (void)state;
  const precis_problem p = {.heads = 2, .kv_heads = 2, .dim = DIM, .value_dim = DIM};
  const double strength[2] = {1, 60};
  precis_problem settled = p;
  settled.scale = 1 / sqrt(DIM);
  rows r = make(&settled, strength, TOKENS);
  precis_report report = PRECIS_REPORT_INIT;
  precis_attention *a = attend(&p, &r, &report);
  precis_head_report before[2] = {{.size = sizeof *before}}, after[2] = {{.size = sizeof *after}};
  int good = precis_attention_groups(a) == 2 && precis_attention_heads(a, before) == PRECIS_SUCCESS;
  assert_all(MPI_COMM_WORLD, precis_append(a, r.count, r.k, r.v, NULL) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD,
             precis_attend(a, rank == 0, r.q, r.out, r.lse, &report) == PRECIS_SUCCESS);
  good &= precis_attention_groups(a) == 1 && report.keys == 2 * TOKENS;
  good &= precis_attention_heads(a, after) == PRECIS_SUCCESS;
  for (int h = 0; h < 2; h++) /* the same R but for one row more of 600 */
    good &= fabs(after[h].mean_signal / before[h].mean_signal - 1) < .05;
  assert_all(MPI_COMM_WORLD, good);
  assert_all(MPI_COMM_WORLD,
             precis_attend(a, r.count, r.q, r.out, r.lse, &report) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, precis_attention_groups(a) == 2);
  precis_destroy(&a);
  release(&r);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(narrow_and_wide),
                                     cmocka_unit_test(as_if_alone), cmocka_unit_test(one_group),
                                     cmocka_unit_test(later_calls)};
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("mixture", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
