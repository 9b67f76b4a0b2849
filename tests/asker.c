/* asker.c - uses precis_client.h against a service, for tests/serve/test_client.py: asker URL TOKEN
 *
 * Exit status 0 if all answers are as they should be. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis_client.h"

enum { TOKENS = 60, QUERIES = 3, DIM = 4, VALUE_DIM = 2 };

static char said[512];

static void keep(void *context, const char *text)
{
  (void)context;
  snprintf(said, sizeof said, "%s", text);
}

#define REQUIRE(condition)                                                                         \
  do                                                                                               \
    if (!(condition)) {                                                                            \
      fprintf(stderr, "asker: line %d: %s: %s\n", __LINE__, #condition, said);                     \
      exit(1);                                                                                     \
    }                                                                                              \
  while (0)

static float wave(int i)
{
  return (float)sin(i * 1.7 + i * i * 0.013);
}

/* One query's output and lse by the definition, over the first rows. */
static double attend_plainly(int rows, const float *q, const float *k, const float *v,
                             double out[VALUE_DIM])
{
  double sum = 0;
  for (int c = 0; c < VALUE_DIM; c++)
    out[c] = 0;
  for (int j = 0; j < rows; j++) {
    double score = 0;
    for (int d = 0; d < DIM; d++)
      score += (double)q[d] * k[j * DIM + d] / 2;
    sum += exp(score);
    for (int c = 0; c < VALUE_DIM; c++)
      out[c] += exp(score) * v[j * VALUE_DIM + c];
  }
  for (int c = 0; c < VALUE_DIM; c++)
    out[c] /= sum;
  return log(sum);
}

static void check(int rows, const float *q, const float *k, const float *v, const float *out,
                  const float *lse)
{
  for (int i = 0; i < QUERIES; i++) {
    double want[VALUE_DIM], want_lse = attend_plainly(rows, q + i * DIM, k, v, want);
    for (int c = 0; c < VALUE_DIM; c++)
      REQUIRE(fabs(out[i * VALUE_DIM + c] - want[c]) < 1e-5);
    REQUIRE(fabs(lse[i] - want_lse) < 1e-4);
  }
}

int main(int argc, char **argv)
{
  static float k[TOKENS * DIM], v[TOKENS * VALUE_DIM], q[QUERIES * DIM], out[QUERIES * VALUE_DIM],
      lse[QUERIES];
  const precis_problem problem = {.heads = 1, .dim = DIM, .value_dim = VALUE_DIM};
  precis_client_options options = {.message = keep};
  precis_client *client;
  precis_client_answer answer;
  char id[PRECIS_CLIENT_ID], child[PRECIS_CLIENT_ID];
  int64_t tokens = -1;
  REQUIRE(argc == 3 || argc == 4);
  options.url = argv[1];
  options.token = argv[2];
  options.ca_file = argv[3]; /* or NULL */
  options.timeout_seconds = 50;
  for (int i = 0; i < TOKENS * DIM; i++)
    k[i] = wave(i);
  for (int i = 0; i < TOKENS * VALUE_DIM; i++)
    v[i] = wave(i + 1000);
  for (int i = 0; i < QUERIES * DIM; i++)
    q[i] = wave(i + 5000);
  REQUIRE(precis_client_open(&options, &client) == PRECIS_SUCCESS);
  REQUIRE(precis_client_create(client, &problem, 0, id) == PRECIS_SUCCESS);
  REQUIRE(precis_client_append(client, id, &problem, 40, k, v, NULL, "first", &tokens) == 0);
  REQUIRE(precis_client_append(client, id, &problem, 40, k, v, NULL, "first", &tokens) == 0);
  REQUIRE(tokens == 40);
  REQUIRE(precis_client_fork(client, id, child) == 0);
  REQUIRE(precis_client_append(client, id, &problem, TOKENS - 40, k + 40 * DIM, v + 40 * VALUE_DIM,
                               NULL, NULL, &tokens) == 0);
  REQUIRE(tokens == TOKENS);
  REQUIRE(precis_client_attend(client, id, &problem, QUERIES, q, out, lse, &answer) == 0);
  check(TOKENS, q, k, v, out, lse);
  REQUIRE(answer.tokens == TOKENS && answer.promise > 0 && answer.promise < 1e-3);
  REQUIRE(precis_client_attend(client, child, &problem, QUERIES, q, out, lse, NULL) == 0);
  check(40, q, k, v, out, lse);

  const precis_problem other = {.heads = 1, .dim = DIM + 1};
  said[0] = '\0';
  tokens = 7;
  REQUIRE(precis_client_append(client, id, &other, 2, k, v, NULL, NULL, &tokens) ==
          PRECIS_ERR_ARGUMENT);
  REQUIRE(tokens == 7 && strstr(said, "400: k: ") != NULL);
  REQUIRE(precis_client_delete(client, id) == 0 && precis_client_delete(client, child) == 0);
  REQUIRE(precis_client_delete(client, id) == PRECIS_ERR_ARGUMENT);
  REQUIRE(strstr(said, "404: context: ") != NULL);
  REQUIRE(precis_client_delete(client, "../x") == PRECIS_ERR_ARGUMENT);
  precis_client_close(&client);
  REQUIRE(client == NULL);

  options.token = "wrong";
  REQUIRE(precis_client_open(&options, &client) == PRECIS_SUCCESS);
  REQUIRE(precis_client_create(client, &problem, 0, id) == PRECIS_ERR_ARGUMENT);
  REQUIRE(strstr(said, "401: Authorization: ") != NULL);
  precis_client_close(&client);
  options.url = "http://127.0.0.1:1";
  REQUIRE(precis_client_open(&options, &client) == PRECIS_SUCCESS);
  REQUIRE(precis_client_create(client, &problem, 0, id) == PRECIS_ERR_IO);
  precis_client_close(&client);
  options.url = "ftp://x";
  REQUIRE(precis_client_open(&options, &client) == PRECIS_SUCCESS);
  REQUIRE(precis_client_create(client, &problem, 0, id) == PRECIS_ERR_ARGUMENT);
  precis_client_close(&client);
  puts("asker: all answers are right");
  return 0;
}
