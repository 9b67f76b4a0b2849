/* label.h - an array in words, for messages: "data/x.safetensors: q (4096, 12, 64)" */
#ifndef PRECIS_CLI_LABEL_H
#define PRECIS_CLI_LABEL_H

#include "mpi/files/files.h"

typedef struct precis_label {
  char text[240];
} precis_label;

precis_label precis_label_of(const precis_file_array *array);

#endif
