#include "src/cli/quantity.h"

#include <stdio.h>

precis_quantity precis_bytes_text(int64_t bytes)
{
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = (double)bytes;
  int unit = 0;
  for (; value >= 1024 && unit < 6; unit++)
    value /= 1024;
  precis_quantity made;
  snprintf(made.text, sizeof made.text, "%.*f %s", unit == 0 ? 0 : 1, value, units[unit]);
  return made;
}

precis_quantity precis_seconds_text(double seconds)
{
  static const struct {
    double least, unit;
    const char *name;
  } units[] = {{172800, 86400, "days"}, {7200, 3600, "h"},      {300, 60, "min"},
               {.9995, 1, "s"},         {9.995e-4, 1e-3, "ms"}, {0, 1e-6, "us"}};
  int i = 0;
  while (seconds < units[i].least)
    i++;
  precis_quantity made;
  snprintf(made.text, sizeof made.text, "%.3g %s", seconds / units[i].unit, units[i].name);
  return made;
}

precis_quantity precis_count_text(double count)
{
  precis_quantity made;
  snprintf(made.text, sizeof made.text, count < 1e5 ? "%.0f" : "%.3g", count);
  return made;
}
