/* Numbers as people type them. What is taken lies in its range, and says the same when it is
 * printed and read again. The first byte says which. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"
#include "src/base/size.h"
#include "tests/fuzz.h"

static void must(int condition)
{
  if (!condition)
    abort();
}

static void whole(const char *text, int64_t least, int64_t most)
{
  int64_t value = -77, again;
  char printed[32];
  int status = precis_size_parse("n", text, least, most, &value, NULL);
  must(status == PRECIS_SUCCESS || (status == PRECIS_ERR_ARGUMENT && value == -77));
  if (status != PRECIS_SUCCESS)
    return;
  must(value >= least && value <= most);
  snprintf(printed, sizeof printed, "%" PRId64, value);
  must(precis_size_parse("n", printed, least, most, &again, NULL) == 0 && again == value);
}

static void real(const char *text)
{
  double value = -77, again;
  char printed[40];
  int status = precis_number_parse("n", text, -1e300, 1e300, &value, NULL);
  must(status == PRECIS_SUCCESS || (status == PRECIS_ERR_ARGUMENT && value == -77));
  if (status != PRECIS_SUCCESS)
    return;
  must(isfinite(value) && value >= -1e300 && value <= 1e300);
  snprintf(printed, sizeof printed, "%.17g", value);
  must(precis_number_parse("n", printed, -1e300, 1e300, &again, NULL) == 0 && again == value);
}

static void port(const char *text)
{
  int value = -77;
  size_t length = strlen(text);
  int status = precis_port_parse("n", text, length, 1, &value, NULL);
  must(status == PRECIS_SUCCESS || (status == PRECIS_ERR_ARGUMENT && value == -77));
  if (status == PRECIS_SUCCESS) /* no wrapping: any longer arithmetic says the same */
    must(value >= 1 && value <= 65535 && strtod(text, NULL) == value);
}

static void list(const char *text)
{
  int value = -77;
  int status = precis_list_parse("n", text, 1000003, 12, &value, NULL);
  must(status == PRECIS_SUCCESS ? value >= 0 && value <= 12 : value == -77);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  char text[200];
  if (bytes == 0 || bytes > sizeof text)
    return 0;
  memcpy(text, data + 1, bytes - 1);
  text[bytes - 1] = '\0';
  switch (data[0] % 5) {
  case 0:
    whole(text, INT64_MIN, INT64_MAX);
    break;
  case 1:
    whole(text, 1, 4096);
    break;
  case 2:
    real(text);
    break;
  case 3:
    port(text);
    break;
  default:
    list(text);
  }
  return 0;
}
