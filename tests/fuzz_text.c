/* JSON: specs of contexts, and manifests. The first byte says which. */
#include <string.h>

#include "mpi/service/manifest.h"
#include "mpi/service/record.h"
#include "mpi/service/spec.h"
#include "tests/fuzz.h"

static void parse_spec(const char *text, size_t bytes)
{
  precis_spec spec;
  precis_message why;
  const char *field;
  precis_spec_parse(text, bytes, &spec, &field, &why);
}

static void parse_manifest(const char *text, int64_t bytes)
{
  const precis_service_options options = {.contexts_most = 1, .connections_most = 1};
  const precis_spec none = {.tol = 0};
  const precis_owner nobody = {.name = ""};
  precis_contexts contexts;
  precis_context *c;
  precis_message why;
  int64_t used;
  if (precis_contexts_create(&options, 1, &contexts) != PRECIS_SUCCESS)
    return;
  if (precis_contexts_make(&contexts, &none, &nobody, NULL, &c, &why) == PRECIS_SUCCESS) {
    precis_manifest_parse("manifest", text, bytes, c, &used, &why);
    precis_contexts_release(&contexts, c);
  }
  precis_contexts_free(&contexts);
}

/* What was parsed is written again with a right sum, which no fuzzer would find by itself. */
static void parse_records(const char *text, size_t bytes)
{
  json_t *object = json_loadb(text, bytes, 0, NULL);
  char *line = object ? precis_record_format(object) : NULL;
  json_decref(object);
  if (line == NULL)
    return;
  char twice[1 << 16];
  size_t length = strlen(line);
  if (2 * length < sizeof twice) {
    strcat(strcpy(twice, line), line);
    parse_manifest(twice, (int64_t)(2 * length));
  }
  free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
  if (bytes == 0)
    return 0;
  const char *text = (const char *)data + 1;
  if (data[0] % 3 == 0)
    parse_spec(text, bytes - 1);
  else if (data[0] % 3 == 1)
    parse_manifest(text, (int64_t)bytes - 1);
  else
    parse_records(text, bytes - 1);
  return 0;
}
