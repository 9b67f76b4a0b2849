/* One handle, many calls: summaries that are kept, added to, and given up. */
#include "tests/mpi_assert.h"

#include <stdlib.h>
#include <string.h>

#include "mpi/handle/fork.h"
#include "tests/attention_case.h"
#include "tests/attention_judge.h"

static int rank, ranks;

typedef struct sequence {
  precis_attention *attention;
  attention_judge judge;
  precis_unit tol_of;
  int64_t keys, calls;
  int by_summaries;
} sequence;

static void even_share(int64_t rows, int64_t *first, int64_t *share)
{
  *share = attention_case_share(SPREAD_EVEN, rows, ranks, rank);
  *first = 0;
  for (int r = 0; r < rank; r++)
    *first += attention_case_share(SPREAD_EVEN, rows, ranks, r);
}

static void say(void *context, const char *text)
{
  (void)context;
  if (rank == 0)
    fprintf(stderr, "%s\n", text);
}

/* A handle without keys. */
static sequence start(const attention_case *c, precis_move move)
{
  sequence s = {.tol_of = c->tol_of};
  const precis_options options = {.move = move,
                                  .tol = c->tol,
                                  .tol_of = c->tol_of,
                                  .degree = c->degree,
                                  .threads = 1,
                                  .message = say,
                                  .machine = move == PRECIS_MOVE_AUTO ? getenv("PRECIS_TEST_MACHINE") : NULL};
  assert_all(MPI_COMM_WORLD,
             precis_create(MPI_COMM_WORLD, &c->problem, &options, &s.attention) == PRECIS_SUCCESS);
  return s;
}

static void end(sequence *s)
{
  precis_destroy(&s->attention);
  attention_judge_free(&s->judge);
}

/* Appends the case's keys from `from` to `end`. */
static void append(sequence *s, const attention_data *d, int64_t from, int64_t end)
{
  const precis_problem *p = &d->problem;
  int64_t first, rows;
  even_share(end - from, &first, &rows);
  first += from;
  int status = precis_append(s->attention, rows, d->k + first * p->kv_heads * p->dim,
                             d->v + first * p->kv_heads * p->value_dim,
                             d->c->bias == BIAS_NONE ? NULL : d->bias + first);
  assert_all(MPI_COMM_WORLD, status == PRECIS_SUCCESS);
  s->keys = end;
}

/* Attends with these of the case's queries: every row within the promise. */
static precis_report attend_rows(sequence *s, const attention_data *d, int64_t first, int64_t rows)
{
  const precis_problem *p = &d->problem;
  attention_outcome o = {.error = 0};
  float *out = malloc((size_t)(rows * p->heads * p->value_dim + 1) * sizeof *out);
  float *lse = malloc((size_t)(rows * p->heads + 1) * sizeof *lse);
  o.report.size = sizeof o.report;
  o.status =
      precis_attend(s->attention, rows, d->q + first * p->heads * p->dim, out, lse, &o.report);
  const attention_answer answer = {MPI_COMM_WORLD, s->attention, d,   s->tol_of, s->keys, first,
                                   rows,           out,          lse, NULL,      &o.report};
  if (o.status == PRECIS_SUCCESS)
    attention_judge_call(&s->judge, &answer, &o);
  free(out);
  free(lse);
  int good = attention_case_good(d->c, &o);
  if (!good)
    fprintf(stderr,
            "%s, call %lld: status %d, %s, used %.3g of %.3g, lse error %.3g of %.3g, broken %d, "
            "false heads %d, bad empty %d\n",
            d->c->name, (long long)s->calls, o.status, o.report.why, o.used, o.report.promise,
            o.lse_error, o.report.lse_promise, o.broken, o.false_heads, o.bad_empty);
  assert_all(MPI_COMM_WORLD, good);
  s->calls++;
  s->by_summaries += o.report.move == PRECIS_MOVE_SUMMARIES;
  return o.report;
}

/* With all of them. */
static precis_report attend(sequence *s, const attention_data *d)
{
  int64_t first, rows;
  even_share(d->c->queries, &first, &rows);
  return attend_rows(s, d, first, rows);
}

/* A summary kept from queries of one size serves those of another, or gives way. */
static void other_queries(void **state)
{
  (void)state;
  const double sizes[] = {1e-4, 1e-6, 1e-9, 1e-12, 1e-18, 1e-27, 1e-38};
  attention_case c = {.name = "other queries",
                      .problem = {.heads = 2, .dim = 4},
                      .queries = 70,
                      .keys = 300,
                      .strength = .3,
                      .tol_of = PRECIS_UNIT_RANGE,
                      .degree = 4};
  attention_data usual = attention_data_make(&c);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    attention_case tiny = c;
    tiny.strength = sizes[i];
    attention_data small = attention_data_make(&tiny);
    sequence s = start(&c, PRECIS_MOVE_SUMMARIES);
    append(&s, &usual, 0, 300);
    attend(&s, &small);
    precis_report report = attend(&s, &usual);
    assert_all(MPI_COMM_WORLD, report.promise < .1);
    attend(&s, &small);
    assert_all(MPI_COMM_WORLD, s.by_summaries == 3);
    end(&s);
    attention_data_free(&small);
  }
  attention_data_free(&usual);
}

/* Keys that differ by next to nothing, then some that differ as usual. */
static void other_keys(void **state)
{
  (void)state;
  const double sizes[] = {1e-2, 1e-4, 1e-7, 1e-10, 1e-15, 1e-20, 1e-30};
  attention_case c = {.name = "other keys",
                      .problem = {.heads = 2, .dim = 4},
                      .queries = 70,
                      .keys = 600,
                      .tol_of = PRECIS_UNIT_RANGE,
                      .strength = .3,
                      .degree = 4};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    attention_data d = attention_data_make(&c);
    for (int64_t x = 0; x < 580 * 2 * 4; x++)
      d.k[x] = (float)(d.k[x] * sizes[i]);
    sequence s = start(&c, PRECIS_MOVE_SUMMARIES);
    append(&s, &d, 0, 580);
    attend(&s, &d);
    append(&s, &d, 580, 590);
    precis_report report = attend(&s, &d);
    assert_all(MPI_COMM_WORLD, report.promise < .1);
    append(&s, &d, 590, 600);
    attend(&s, &d);
    assert_all(MPI_COMM_WORLD, s.by_summaries == 3);
    end(&s);
    attention_data_free(&d);
  }
}

/* What is worth saying in either unit: errors relative to the range of any values, or to what queries
 * change where values follow the keys. */
static void in_unit(int outputs, attention_case *c)
{
  c->tol_of = outputs ? PRECIS_UNIT_OUTPUTS : PRECIS_UNIT_RANGE;
  c->signal = outputs ? PRECIS_SIGNAL : 0;
}

/* Another key, and queries again: nothing old is touched, only the new rows travel. Of one row alone
 * nothing is known that errors could be relative to: see first_of_one(). */
static void appended(void **state)
{
  (void)state;
  for (int which = 0; which < 3; which++) {
    int decode = which == 1;
    attention_case c = {
        .name = "appended",
        .problem = {.heads = 4, .kv_heads = 2, .dim = 4, .value_dim = 6, .causal = decode},
        .queries = decode ? 1 : 90,
        .keys = 300,
        .tol_of = PRECIS_UNIT_RANGE,
        .strength = .1,
        .tol = .05,
        .later = 7};
    in_unit(which == 2, &c);
    attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_SUMMARIES);
    int64_t row = (2 * (4 + 6) + 1) * (int64_t)sizeof(float);
    assert_all(MPI_COMM_WORLD, attention_case_good(&c, &o) && o.by_summaries == 8);
    /* Tokens beyond the limits are met one by one, if the plan has limits: they are few. */
    double met = 0.05 * (double)(c.problem.heads * c.queries * c.keys);
    if (rank == 0 && o.report.pairs > 0)
      printf("unit %d: %lld pairs of tokens beyond the limits\n", which, (long long)o.report.pairs);
    assert_all(MPI_COMM_WORLD, o.report.kept);
    assert_all(MPI_COMM_WORLD, o.report.pairs == 0 || (which == 2 && (double)o.report.pairs <= met));
    assert_all(MPI_COMM_WORLD,
               o.report.network_bytes + o.report.node_bytes == (ranks - 1) * row && !o.miscounted);
  }
}

/* The first row of a handle is what the mean query gets: R is 0, and it runs exactly. Each further one
 * is judged by R of all rows so far. */
static void first_of_one(void **state)
{
  (void)state;
  attention_case c = {.name = "first of one",
                      .problem = {.heads = 2, .dim = 4},
                      .queries = 1,
                      .keys = 30000,
                      .strength = .1,
                      .signal = PRECIS_SIGNAL,
                      .tol = .05};
  attention_outcome o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
  assert_all(MPI_COMM_WORLD, attention_case_good(&c, &o) && o.by_summaries == 0);
  assert_all(MPI_COMM_WORLD, o.report.constant_heads == 2 && o.report.promise == 0 &&
                                 o.report.mean_signal == 0);
  c.tol_of = PRECIS_UNIT_RANGE;
  o = attention_case_run(MPI_COMM_WORLD, &c, PRECIS_MOVE_AUTO);
  assert_all(MPI_COMM_WORLD, attention_case_good(&c, &o) && o.report.promise > 0);
}

/* Appends of all sizes, some with biases, queries in between; the last attend of each kind has
 * none. */
static void many_calls(void **state)
{
  (void)state;
  const int64_t ends[] = {0, 1, 3, 400, 401, 402, 440, 440, 900, 901, 1000, 1001, 1400, 1500};
  attention_case c = {.name = "many calls",
                      .problem = {.heads = 2, .kv_heads = 1, .dim = 3},
                      .queries = 150,
                      .keys = 1500,
                      .tol_of = PRECIS_UNIT_RANGE,
                      .strength = .1,
                      .drift = 1,
                      .bias = BIAS_HALF_MASKED,
                      .bias_factor = 20,
                      .degree = 4};
  attention_case without = c;
  without.bias = BIAS_NONE;
  attention_data d = attention_data_make(&c), early = attention_data_make(&without);
  for (int64_t j = 0; j < 401; j++)
    d.bias[j] = 0;
  for (int causal = 0; causal < 2; causal++)
    for (int automatic_move = 0; automatic_move < 2; automatic_move++) {
      d.problem.causal = c.problem.causal = causal;
      c.tol = automatic_move ? .03 : 0;
      sequence s = start(&c, automatic_move ? PRECIS_MOVE_AUTO : PRECIS_MOVE_SUMMARIES);
      for (size_t i = 1; i < sizeof ends / sizeof *ends; i++) {
        append(&s, ends[i] <= 401 ? &early : &d, ends[i - 1], ends[i]);
        attend(&s, &d);
      }
      assert_all(MPI_COMM_WORLD, automatic_move || s.by_summaries == s.calls);
      precis_report report = PRECIS_REPORT_INIT;
      assert_all(MPI_COMM_WORLD,
                 precis_attend(s.attention, 0, NULL, NULL, NULL, &report) == PRECIS_SUCCESS);
      assert_all(MPI_COMM_WORLD, report.queries == 0 && report.keys == 1500);
      end(&s);
    }
  attention_data_free(&d);
  attention_data_free(&early);
}

/* Decoding: one query a call, of which none tells how the next will look. */
typedef struct decoding {
  int64_t by_summaries; /* calls */
  int64_t anew;         /* of them, those that built a summary */
  int64_t repaired;     /* rows, in the second half of the calls */
  char why[200];        /* of the last call */
} decoding;

static decoding decode(const attention_case *c)
{
  attention_data d = attention_data_make(c);
  sequence s = start(c, PRECIS_MOVE_AUTO);
  decoding seen = {0};
  append(&s, &d, 0, c->keys);
  for (int64_t i = 0; i < c->queries; i++) {
    precis_report report = attend_rows(&s, &d, i, rank == i % ranks);
    seen.anew += report.move == PRECIS_MOVE_SUMMARIES && !report.kept;
    seen.repaired += i >= c->queries / 2 ? report.rows_recomputed : 0;
    memcpy(seen.why, report.why, sizeof seen.why);
  }
  seen.by_summaries = s.by_summaries;
  end(&s);
  attention_data_free(&d);
  return seen;
}

/* A summary that leaves more rows to repair than another would cost gives way to that. */
static void one_by_one(void **state)
{
  (void)state;
  for (int outputs = 0; outputs < 2; outputs++) {
    attention_case c = {.name = "one by one",
                        .problem = {.heads = 4, .kv_heads = 2, .dim = 8},
                        .queries = 300,
                        .keys = 20000,
                        .strength = .18,
                        .tol = outputs ? .1 : .01};
    in_unit(outputs, &c);
    decoding seen = decode(&c);
    if (rank == 0)
      print_message("%d summaries of %d calls, %d made anew, %d rows repaired\n",
                    (int)seen.by_summaries, (int)c.queries, (int)seen.anew, (int)seen.repaired);
    assert_all(MPI_COMM_WORLD, seen.by_summaries > c.queries / 2);
    assert_all(MPI_COMM_WORLD, seen.repaired <= c.queries / 2 * c.problem.heads / 30);
  }
}

/* With more dimensions than queries so far, these lie in few axes as it were: a summary in those
 * would not outlive the next one. */
static void more_dimensions_than_queries(void **state)
{
  (void)state;
  const attention_case c = {.name = "more dimensions than queries",
                            .problem = {.heads = 2, .kv_heads = 2, .dim = 24},
                            .queries = 40,
                            .keys = 6000,
                            .strength = .25,
                            .tol = .01,
                            .tol_of = PRECIS_UNIT_RANGE};
  decoding seen = decode(&c);
  if (rank == 0)
    print_message("%d summaries of %d calls; last %s\n", (int)seen.anew, (int)c.queries, seen.why);
  assert_all(MPI_COMM_WORLD, seen.by_summaries > c.queries / 2);
  assert_all(MPI_COMM_WORLD, seen.anew <= 4);
}

/* A summary that would leave all rows to repair saves nothing, however many calls it serves. */
static void nothing_saved(void **state)
{
  (void)state;
  const attention_case c = {.name = "nothing saved",
                            .problem = {.heads = 2, .kv_heads = 2, .dim = 24},
                            .queries = 120,
                            .keys = 24000,
                            .strength = .25,
                            .tol = .01,
                            .tol_of = PRECIS_UNIT_RANGE};
  const char *machine = getenv("PRECIS_TEST_MACHINE");
  unsetenv("PRECIS_TEST_MACHINE"); /* nominal rates, by which pairs are cheap */
  decoding seen = decode(&c);
  if (machine != NULL)
    setenv("PRECIS_TEST_MACHINE", machine, 1);
  if (rank == 0)
    print_message("%d summaries made in %d calls\n", (int)seen.anew, (int)c.queries);
  assert_all(MPI_COMM_WORLD, seen.anew <= 4);
}

/* Queries whose positions do not ascend over the ranks cannot use prefixes. */
static void scattered_positions(void **state)
{
  (void)state;
  attention_case c = {.name = "scattered",
                      .problem = {.heads = 1, .dim = 2, .causal = 1},
                      .queries = 1400,
                      .keys = 1400,
                      .strength = .1,
                      .tol = .05,
                      .tol_of = PRECIS_UNIT_RANGE};
  attention_data d = attention_data_make(&c);
  for (int forced = 0; forced < 2; forced++) {
    sequence s = start(&c, forced ? PRECIS_MOVE_SUMMARIES : PRECIS_MOVE_AUTO);
    append(&s, &d, 0, c.keys);
    int64_t rows = c.queries / ranks;
    float *out = malloc((size_t)rows * 2 * sizeof *out);
    precis_report report = {.size = sizeof report, .ranks = -1};
    out[0] = 777;
    int status =
        precis_attend_at(s.attention, (ranks - 1 - rank) * rows, rows, d.q, out, NULL, &report);
    int good = forced && ranks > 1
                   ? status == PRECIS_ERR_TOLERANCE && out[0] == 777 && report.ranks == -1
                   : status == PRECIS_SUCCESS && out[0] != 777;
    good = good && (forced || (report.move == PRECIS_MOVE_SUMMARIES) == (ranks == 1));
    free(out);
    end(&s);
    assert_all(MPI_COMM_WORLD, good);
  }
  attention_data_free(&d);
}

/* Values at the end of float32: sums of them that overflow prove nothing, and are not taken for
 * results. */
static void huge_values(void **state)
{
  (void)state;
  attention_case far = {.name = "huge values",
                        .problem = {.heads = 1, .dim = 1},
                        .queries = 20,
                        .keys = 40000,
                        .degree = 8};
  attention_data d = attention_data_make(&far);
  for (int64_t j = 0; j < far.keys; j++) {
    d.k[j] = j % 2 ? 2.8f : -2.8f;
    d.v[j] = j % 2 ? 4.9e29f : -4.9e29f;
    d.k[j] = j % 4 < 2 ? 0 : d.k[j];
    d.v[j] = j % 4 < 2 ? -4.9e29f : 4.9e29f;
  }
  for (int64_t i = 0; i < far.queries; i++)
    d.q[i] = i % 2 ? 1.4f : -1.4f;
  sequence s = start(&far, PRECIS_MOVE_SUMMARIES);
  append(&s, &d, 0, far.keys);
  attend(&s, &d);
  end(&s);
  attention_data_free(&d);
}

/* A call that all ranks answer from what they have. */
static int is_silent(const precis_report *r)
{
  return r->kept && r->move == PRECIS_MOVE_SUMMARIES && r->network_bytes + r->node_bytes == 0;
}

/* A fork has the summary and need not sum again, nor what has been added while nobody asked; each
 * goes its own way, also when the other is gone. */
static void forked(void **state)
{
  (void)state;
  attention_case c = {.name = "forked",
                      .problem = {.heads = 4, .kv_heads = 2, .dim = 4, .value_dim = 6},
                      .queries = 90,
                      .keys = 400,
                      .tol_of = PRECIS_UNIT_RANGE,
                      .strength = .1,
                      .tol = .05};
  attention_data d = attention_data_make(&c), other = attention_data_make(&c);
  for (int64_t x = 300 * 2 * 6; x < 400 * 2 * 6; x++)
    other.v[x] *= -1;
  sequence one = start(&c, PRECIS_MOVE_SUMMARIES), two = {.tol_of = c.tol_of};
  assert_all(MPI_COMM_WORLD, precis_attention_share(one.attention) == PRECIS_SUCCESS);
  append(&one, &d, 0, 300);
  attend(&one, &d);
  assert_all(MPI_COMM_WORLD,
             precis_attention_fork(one.attention, 300, &two.attention) == PRECIS_SUCCESS);
  two.keys = 300;
  precis_report report = attend(&two, &d);
  assert_all(MPI_COMM_WORLD, is_silent(&report));
  append(&two, &other, 300, 350);
  assert_all(MPI_COMM_WORLD, precis_attention_is_behind(two.attention));
  assert_all(MPI_COMM_WORLD, precis_attention_refresh(two.attention) == PRECIS_SUCCESS);
  assert_all(MPI_COMM_WORLD, !precis_attention_is_behind(two.attention));
  report = attend(&two, &other);
  assert_all(MPI_COMM_WORLD, is_silent(&report));
  report = attend(&one, &d);
  assert_all(MPI_COMM_WORLD, is_silent(&report));
  append(&one, &d, 300, 340);
  report = attend(&one, &d);
  assert_all(MPI_COMM_WORLD, report.kept);
  end(&one);
  report = attend(&two, &other);
  assert_all(MPI_COMM_WORLD, is_silent(&report));
  append(&two, &other, 350, 400);
  report = attend(&two, &other);
  assert_all(MPI_COMM_WORLD, report.kept);
  end(&two);
  attention_data_free(&d);
  attention_data_free(&other);
}

int main(int argc, char **argv)
{
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(other_queries),
      cmocka_unit_test(other_keys),
      cmocka_unit_test(appended),
      cmocka_unit_test(first_of_one),
      cmocka_unit_test(many_calls),
      cmocka_unit_test(one_by_one),
      cmocka_unit_test(more_dimensions_than_queries),
      cmocka_unit_test(nothing_saved),
      cmocka_unit_test(scattered_positions),
      cmocka_unit_test(huge_values),
      cmocka_unit_test(forked),
  };
  int provided;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &ranks);
  int failed = cmocka_run_group_tests_name("sequence", tests, NULL, NULL);
  MPI_Finalize();
  return failed;
}
