/* fuzz.h - an entry point that is given any bytes: libFuzzer calls it, or tests/fuzz_main.c with
 * the files of a corpus */
#ifndef PRECIS_TESTS_FUZZ_H
#define PRECIS_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#endif
