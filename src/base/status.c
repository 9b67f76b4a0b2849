#include "config.h"

#include "src/precis.h"

const char *precis_strerror(int code)
{
  switch (code) {
#define X(name, value, text)                                                                       \
  case name:                                                                                       \
    return text;
    PRECIS_STATUS_LIST(X)
#undef X
  default:
    return "unknown error code";
  }
}

const char *precis_move_name(precis_move move)
{
  switch (move) {
  case PRECIS_MOVE_AUTO:
    return "auto";
  case PRECIS_MOVE_TILES:
    return "tiles";
  case PRECIS_MOVE_HEADS:
    return "heads";
  case PRECIS_MOVE_QUERIES:
    return "queries";
  case PRECIS_MOVE_SUMMARIES:
    return "summaries";
  }
  return "unknown";
}

const char *precis_unit_name(precis_unit unit)
{
  switch (unit) {
  case PRECIS_UNIT_OUTPUTS:
    return "outputs";
  case PRECIS_UNIT_RANGE:
    return "range";
  case PRECIS_UNIT_LSE:
    return "lse";
  }
  return "unknown";
}

const char *precis_version(void)
{
  return PACKAGE_VERSION;
}
