#include "src/softmax.h"

#include <math.h>
#include <stddef.h>

#include "src/clones.h"
#include "src/exp2.h"

/* Weights may grow to 2^SLACK before the reference moves. */
static const float SLACK = 12.0f;

PRECIS_CLONES
static void add(float *restrict s, const float *restrict bias, int n)
{
  for (int j = 0; j < n; j++)
    s[j] += bias[j];
}

PRECIS_CLONES
static float largest(const float *s, int n)
{
  float top = -INFINITY;
#pragma omp simd reduction(max : top)
  for (int j = 0; j < n; j++)
    top = s[j] > top ? s[j] : top;
  return top;
}

/* One pass: weights against the reference, their sum and the largest score. */
PRECIS_CLONES
static float weigh(float *s, int n, float reference, float *sum)
{
  float top = -INFINITY, total = 0;
#pragma omp simd reduction(max : top) reduction(+ : total)
  for (int j = 0; j < n; j++) {
    top = s[j] > top ? s[j] : top;
    float weight = precis_exp2(s[j] - reference);
    total += weight;
    s[j] = weight;
  }
  *sum = total;
  return top;
}

float precis_softmax_row(float *s, int n, const float *bias, float *m, float *l)
{
  if (bias != NULL)
    add(s, bias, n);
  float top = largest(s, n), keep = 1, sum;
  if (top > *m + SLACK || *m == -INFINITY) {
    if (top == -INFINITY) {
      for (int j = 0; j < n; j++)
        s[j] = 0;
      return 1;
    }
    keep = exp2f(*m - top);
    *m = top;
  }
  weigh(s, n, *m, &sum);
  *l = *l * keep + sum;
  return keep;
}
