/* Runs an entry point on files: fuzz_... FILE...; libFuzzer brings a main() of its own. */
#include "tests/fuzz.h"

#ifndef PRECIS_LIBFUZZER
#include <stdio.h>
#include <stdlib.h>

static int run(const char *path)
{
  FILE *file = fopen(path, "rb");
  uint8_t *data = malloc(1 << 20);
  if (file == NULL || data == NULL) {
    perror(path);
    return 1;
  }
  size_t bytes = fread(data, 1, 1 << 20, file);
  fclose(file);
  /* Just as long as it is, so that reading beyond is seen. */
  uint8_t *exact = realloc(data, bytes ? bytes : 1);
  LLVMFuzzerTestOneInput(exact ? exact : data, bytes);
  free(exact ? exact : data);
  return 0;
}

int main(int argc, char **argv)
{
  int failed = 0;
  for (int i = 1; i < argc; i++)
    failed |= run(argv[i]);
  printf("%d inputs\n", argc - 1);
  return failed;
}
#endif
