/* Generated rows: independent of how they are cut up, and of the character that their kind
 * promises. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "src/oracle/generate.h"

enum { TOKENS = 400, HEADS = 4, KV_HEADS = 2, DIM = 30, VALUE_DIM = 7 };

static precis_recipe recipe_of(precis_kind kind, double spread)
{
  precis_recipe recipe = {
      .kind = kind,
      .spread = spread,
      .seed = 42,
      .problem = {.heads = HEADS, .kv_heads = KV_HEADS, .dim = DIM, .value_dim = VALUE_DIM}};
  return recipe;
}

/* The caller frees. */
static float *make(const precis_recipe *recipe, precis_role role, int64_t first, int64_t rows)
{
  float *out = malloc((size_t)(rows * precis_generate_width(recipe, role)) * sizeof *out);
  assert_non_null(out);
  precis_generate_rows(recipe, role, first, rows, out);
  return out;
}

static void widths(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_GAUSS, 1);
  assert_int_equal(precis_generate_width(&recipe, PRECIS_ROLE_Q), HEADS * DIM);
  assert_int_equal(precis_generate_width(&recipe, PRECIS_ROLE_K), KV_HEADS * DIM);
  assert_int_equal(precis_generate_width(&recipe, PRECIS_ROLE_V), KV_HEADS * VALUE_DIM);
}

static void pieces_agree(void **state)
{
  (void)state;
  for (int kind = PRECIS_KIND_GAUSS; kind <= PRECIS_KIND_SINKS; kind++)
    for (int role = PRECIS_ROLE_Q; role <= PRECIS_ROLE_V; role++) {
      precis_recipe recipe = recipe_of((precis_kind)kind, 1.5);
      recipe.signal = 2;
      int64_t width = precis_generate_width(&recipe, (precis_role)role);
      float *whole = make(&recipe, (precis_role)role, 0, 20);
      for (int64_t first = 0; first < 20; first += 3) {
        int64_t rows = first + 3 <= 20 ? 3 : 20 - first;
        float *part = make(&recipe, (precis_role)role, first, rows);
        assert_memory_equal(part, whole + first * width, (size_t)(rows * width) * sizeof *part);
        free(part);
      }
      free(whole);
    }
}

/* Standard deviation, over the keys, of the scores of the mean query: the root of the mean
 * variance. */
static double score_deviation(const precis_recipe *recipe, int64_t first_key)
{
  float *q = make(recipe, PRECIS_ROLE_Q, 0, 50),
        *k = make(recipe, PRECIS_ROLE_K, first_key, TOKENS);
  double variance = 0;
  for (int i = 0; i < 50 * HEADS; i++) {
    int kv_head = i % HEADS / (HEADS / KV_HEADS);
    double sum = 0, squares = 0;
    for (int j = 0; j < TOKENS; j++) {
      double x = 0;
      for (int c = 0; c < DIM; c++)
        x += (double)q[i * DIM + c] * (double)k[(j * KV_HEADS + kv_head) * DIM + c] / sqrt(DIM);
      sum += x;
      squares += x * x;
    }
    variance += (squares / TOKENS - sum / TOKENS * sum / TOKENS) / (50 * HEADS);
  }
  free(q);
  free(k);
  return sqrt(variance);
}

static void spreads(void **state)
{
  (void)state;
  for (int kind = PRECIS_KIND_GAUSS; kind <= PRECIS_KIND_SINKS; kind++) {
    precis_recipe recipe = recipe_of((precis_kind)kind, .25);
    double deviation = score_deviation(&recipe, PRECIS_SINKS);
    assert_true(deviation > .2 && deviation < .32);
  }
}

static double length(const float *x, int count)
{
  double squares = 0;
  for (int i = 0; i < count; i++)
    squares += (double)x[i] * (double)x[i];
  return sqrt(squares);
}

static void unit_lengths(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_UNIT, .5);
  float *q = make(&recipe, PRECIS_ROLE_Q, 0, 10), *k = make(&recipe, PRECIS_ROLE_K, 0, 10);
  for (int i = 0; i < 10 * HEADS; i++)
    assert_true(fabs(length(q + i * DIM, DIM) - .5 * DIM) < 1e-5);
  for (int i = 0; i < 10 * KV_HEADS; i++)
    assert_true(fabs(length(k + i * DIM, DIM) - 1) < 1e-6);
  free(q);
  free(k);
}

static void offset_means(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_OFFSET, 1);
  float *k = make(&recipe, PRECIS_ROLE_K, 0, TOKENS), *v = make(&recipe, PRECIS_ROLE_V, 0, TOKENS);
  int negative = 0;
  for (int c = 0; c < KV_HEADS * DIM; c++) {
    double mean = 0;
    for (int j = 0; j < TOKENS; j++)
      mean += (double)k[j * KV_HEADS * DIM + c] / TOKENS;
    assert_true(fabs(fabs(mean) - 10) < .3);
    negative += mean < 0;
  }
  assert_true(negative > 10 && negative < KV_HEADS * DIM - 10);
  for (int c = 0; c < KV_HEADS * VALUE_DIM; c++) {
    double mean = 0;
    for (int j = 0; j < TOKENS; j++)
      mean += (double)v[j * KV_HEADS * VALUE_DIM + c] / TOKENS;
    assert_true(fabs(mean - 100) < .3);
  }
  free(k);
  free(v);
}

/* The first keys are long, and the mean score of queries with them is far above that with other
 * keys. */
static void sinks_attract(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_SINKS, 1);
  float *q = make(&recipe, PRECIS_ROLE_Q, 0, TOKENS),
        *k = make(&recipe, PRECIS_ROLE_K, 0, 2 * PRECIS_SINKS);
  double mean[2] = {0, 0}, lengths[2] = {0, 0};
  for (int j = 0; j < 2 * PRECIS_SINKS; j++) {
    int late = j >= PRECIS_SINKS;
    lengths[late] += length(k + j * KV_HEADS * DIM, DIM) / PRECIS_SINKS;
    for (int i = 0; i < TOKENS; i++)
      for (int c = 0; c < DIM; c++)
        mean[late] += (double)q[i * HEADS * DIM + c] * (double)k[j * KV_HEADS * DIM + c] /
                      sqrt(DIM) / (TOKENS * PRECIS_SINKS);
  }
  assert_true(lengths[0] > 6 * lengths[1] && lengths[0] < 10 * lengths[1]);
  assert_true(mean[0] > 6 && mean[0] < 17);
  assert_true(fabs(mean[1]) < 2);
  free(q);
  free(k);
}

/* (E |k|^2)^2 / E <k, k'>^2: how many axes there are, in effect. */
static double axes(const float *k, int rows)
{
  double square = 0, product = 0;
  for (int i = 0; i < rows; i++) {
    const float *x = k + i * KV_HEADS * DIM;
    double own = length(x, DIM);
    square += own * own / rows;
    for (int j = 0; j < i; j++) {
      double sum = 0;
      for (int c = 0; c < DIM; c++)
        sum += (double)x[c] * (double)k[j * KV_HEADS * DIM + c];
      product += sum * sum / (rows * (rows - 1) / 2.0);
    }
  }
  return square * square / product;
}

/* Variances like 1/i over 30 axes count as (sum 1/i)^2 / sum 1/i^2 = 9.9 of them. */
static void decaying(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_GAUSS, .5);
  float *white = make(&recipe, PRECIS_ROLE_K, 0, TOKENS);
  assert_true(fabs(axes(white, TOKENS) / DIM - 1) < .1);
  for (int keys_alone = 0; keys_alone < 2; keys_alone++) {
    recipe.decay = !keys_alone;
    recipe.key_decay = keys_alone;
    float *q = make(&recipe, PRECIS_ROLE_Q, 0, TOKENS),
          *k = make(&recipe, PRECIS_ROLE_K, 0, TOKENS);
    assert_true(fabs(axes(k, TOKENS) / 9.9 - 1) < .15);
    double square = 0;
    for (int i = 0; i < TOKENS; i++)
      for (int j = 0; j < TOKENS; j++) {
        double score = 0;
        for (int c = 0; c < DIM; c++)
          score += (double)q[i * HEADS * DIM + c] * (double)k[j * KV_HEADS * DIM + c];
        square += score * score / DIM / TOKENS / TOKENS;
      }
    assert_true(fabs(sqrt(square) / .5 - 1) < .1);
    free(q);
    free(k);
  }
  free(white);
}

static void heavy_keys(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_GAUSS, 1), plain = recipe;
  recipe.heavy = 10;
  float *k = make(&recipe, PRECIS_ROLE_K, 0, 40), *without = make(&plain, PRECIS_ROLE_K, 0, 40);
  for (int i = 0; i < 40 * KV_HEADS * DIM; i++) {
    float want = without[i] * (i / (KV_HEADS * DIM) % 10 == 9 ? PRECIS_HEAVY : 1);
    assert_true(fabsf(k[i] - want) <= 1e-6f * fabsf(want));
  }
  free(k);
  free(without);
}

/* Mean and deviation of all values but the sinks', and with them how much of a value the key
 * says: the square of the largest correlation of a column with any of its key's axes, turned so
 * that nothing is lost, is what the linear part leaves of the variance. */
static void fit_values(const precis_recipe *recipe, double *mean, double *variance, double *told)
{
  enum { ROWS = 4000 };
  float *k = make(recipe, PRECIS_ROLE_K, PRECIS_SINKS, ROWS),
        *v = make(recipe, PRECIS_ROLE_V, PRECIS_SINKS, ROWS);
  double products[DIM + 1][VALUE_DIM] = {{0}}, keys[DIM][2] = {{0}};
  *mean = *variance = *told = 0;
  for (int i = 0; i < ROWS; i++)
    for (int c = 0; c < VALUE_DIM; c++) {
      double value = v[i * KV_HEADS * VALUE_DIM + c];
      *mean += value / ROWS / VALUE_DIM;
      for (int a = 0; a < DIM; a++)
        products[a][c] += value * k[i * KV_HEADS * DIM + a] / ROWS;
      products[DIM][c] += value / ROWS;
    }
  for (int i = 0; i < ROWS; i++) {
    for (int a = 0; a < DIM; a++) {
      keys[a][0] += k[i * KV_HEADS * DIM + a] / (double)ROWS;
      keys[a][1] += pow(k[i * KV_HEADS * DIM + a], 2) / ROWS;
    }
    for (int c = 0; c < VALUE_DIM; c++)
      *variance += pow(v[i * KV_HEADS * VALUE_DIM + c] - *mean, 2) / ROWS / VALUE_DIM;
  }
  for (int c = 0; c < VALUE_DIM; c++)
    for (int a = 0; a < DIM; a++) {
      double covariance = products[a][c] - keys[a][0] * products[DIM][c];
      *told += covariance * covariance / (keys[a][1] - keys[a][0] * keys[a][0]) / VALUE_DIM;
    }
  free(k);
  free(v);
}

/* Values keep mean and deviation of their kind whatever the signal; keys of equal axes tell .92^2
 * of the share signal^2 / (1 + signal^2) of the variance by their linear part. Chance correlations
 * with 30 axes add 30 / 4000. */
static void values_follow_keys(void **state)
{
  (void)state;
  for (int kind = PRECIS_KIND_GAUSS; kind <= PRECIS_KIND_SINKS; kind++)
    for (double signal = 0; signal <= 4; signal += 2) {
      precis_recipe recipe = recipe_of((precis_kind)kind, 1);
      double mean, variance, told, share = signal * signal / (1 + signal * signal);
      recipe.signal = signal;
      fit_values(&recipe, &mean, &variance, &told);
      assert_true(fabs(mean - (kind == PRECIS_KIND_OFFSET ? 100 : 0)) < .05);
      assert_true(fabs(variance - 1) < .06);
      assert_true(fabs(told - .92 * .92 * share) < .05);
    }
}

/* Axes of unequal deviations, and one alone. */
static void values_of_decaying_keys(void **state)
{
  (void)state;
  precis_recipe recipe = recipe_of(PRECIS_KIND_GAUSS, 1);
  double mean, variance, told;
  recipe.signal = 1e6;
  recipe.decay = 1;
  recipe.key_decay = .5;
  fit_values(&recipe, &mean, &variance, &told);
  assert_true(fabs(mean) < .1 && fabs(variance - 1) < .1 && told > .2);
}

int main(void)
{
  const struct CMUnitTest tests[] = {cmocka_unit_test(widths),
                                     cmocka_unit_test(pieces_agree),
                                     cmocka_unit_test(spreads),
                                     cmocka_unit_test(unit_lengths),
                                     cmocka_unit_test(offset_means),
                                     cmocka_unit_test(sinks_attract),
                                     cmocka_unit_test(decaying),
                                     cmocka_unit_test(heavy_keys),
                                     cmocka_unit_test(values_follow_keys),
                                     cmocka_unit_test(values_of_decaying_keys)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
