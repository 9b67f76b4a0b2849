/* quantity.h - numbers as people read them */
#ifndef PRECIS_CLI_QUANTITY_H
#define PRECIS_CLI_QUANTITY_H

#include <stdint.h>

typedef struct precis_quantity {
  char text[32];
} precis_quantity;

/* "17.0 MiB" */
precis_quantity precis_bytes_text(int64_t bytes);

/* "1.2 ms", "35 s", "2.1 h" */
precis_quantity precis_seconds_text(double seconds);

/* "3.4e+06", "512": three figures. */
precis_quantity precis_count_text(double count);

#endif
