#include "src/cli/label.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

precis_label precis_label_of(const precis_file_array *array)
{
  precis_label made;
  char shape[100] = "";
  int at = 0;
  for (int i = 0; i < array->tensor.axes; i++)
    at += snprintf(shape + at, sizeof shape - (size_t)at, "%s%" PRId64, i ? ", " : "",
                   array->tensor.shape[i]);
  /* Of a long path, the end tells more. */
  size_t length = strlen(array->path), most = 80;
  const char *path = array->path + (length > most ? length - most : 0);
  snprintf(made.text, sizeof made.text, "%s%s: %.48s (%s)", length > most ? "..." : "", path,
           array->name, shape);
  return made;
}
