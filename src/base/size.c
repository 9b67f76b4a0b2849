#include "src/base/size.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "src/precis.h"

/* Wide enough for 18 digits times the largest unit; beyond LIMIT nothing can come back into range.
 */
__extension__ typedef __int128 wide;
static const wide LIMIT = (wide)1 << 120;

/* digits x 10^power */
typedef struct decimal {
  wide digits;
  int power;
} decimal;

static const char *read_digits(const char *text, int fraction, decimal *number)
{
  for (; isdigit((unsigned char)*text); text++) {
    if (number->digits < LIMIT / 16)
      number->digits = number->digits * 10 + (*text - '0');
    else
      number->power++; /* out of any range, unless a negative exponent follows: then not exact,
                          refused below */
    number->power -= fraction;
  }
  return text;
}

static const char *read_exponent(const char *text, decimal *number)
{
  if (*text != 'e' && *text != 'E')
    return text;
  const char *at = text + 1;
  int sign = *at == '-' ? -1 : 1, exponent = 0;
  if (*at == '-' || *at == '+')
    at++;
  if (!isdigit((unsigned char)*at))
    return text;
  for (; isdigit((unsigned char)*at); at++)
    exponent = exponent < 10000 ? exponent * 10 + (*at - '0') : exponent;
  number->power += sign * exponent;
  return at;
}

/* 0 if it is no unit. */
static int64_t read_unit(const char *text)
{
  static const struct {
    const char *text;
    int64_t size;
  } units[] = {{"", 1},
               {"k", 1000},
               {"K", 1000},
               {"M", 1000000},
               {"G", 1000000000},
               {"Ki", INT64_C(1) << 10},
               {"Mi", INT64_C(1) << 20},
               {"Gi", INT64_C(1) << 30}};
  for (size_t i = 0; i < sizeof units / sizeof *units; i++)
    if (strcmp(text, units[i].text) == 0)
      return units[i].size;
  return 0;
}

/* -1: not a whole number. Values out of any range come back as LIMIT. */
static wide to_whole(decimal number, int64_t unit)
{
  wide value = number.digits >= LIMIT >> 31 ? LIMIT : number.digits * unit;
  if (value == 0)
    return 0;
  for (; number.power > 0 && value < LIMIT; number.power--)
    value = value > LIMIT / 10 ? LIMIT : value * 10;
  for (; number.power < 0; number.power++) {
    if (value % 10 != 0)
      return -1;
    value /= 10;
  }
  return value;
}

int precis_size_parse(const char *name, const char *text, int64_t least, int64_t most,
                      int64_t *value, precis_message *why)
{
  int negative = *text == '-';
  const char *start = text + negative, *end;
  decimal number = {0, 0};
  end = read_digits(start, 0, &number);
  int digits = end != start;
  if (digits && *end == '.' && isdigit((unsigned char)end[1]))
    end = read_digits(end + 1, 1, &number);
  if (digits)
    end = read_exponent(end, &number);
  int64_t unit = read_unit(end);
  wide whole = digits && unit > 0 ? to_whole(number, unit) : -1;
  if (whole < 0)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s is '%s', must be a whole number such as 512, 64k, 16Mi or 1e9",
                              name, text);
  whole = negative ? -whole : whole;
  if (whole < least || whole > most)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s is %s, must be from %" PRId64 " to %" PRId64, name, text, least,
                              most);
  *value = (int64_t)whole;
  return PRECIS_SUCCESS;
}

int precis_number_parse(const char *name, const char *text, double least, double most,
                        double *value, precis_message *why)
{
  char *end;
  double number = strtod(text, &end);
  /* strtod also takes blanks in front, hexadecimals, "inf" and "nan". */
  int plain = *text != '\0' && *end == '\0' && strspn(text, "0123456789+-.eE") == strlen(text);
  if (!plain || !isfinite(number))
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s is '%s', must be a number such as 0.25 or 1e-6", name, text);
  if (number < least || number > most)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is %s, must be from %g to %g", name,
                              text, least, most);
  *value = number;
  return PRECIS_SUCCESS;
}

int precis_port_parse(const char *name, const char *text, size_t length, int least, int *port,
                      precis_message *why)
{
  int number = 0, good = length > 0 && strspn(text, "0123456789") >= length;
  for (size_t i = 0; i < length && good; i++) {
    number = number * 10 + (text[i] - '0');
    good = number <= 65535; /* longer ones would be cut off by whoever takes 16 bits */
  }
  if (!good || number < least)
    return precis_message_set(why, PRECIS_ERR_ARGUMENT,
                              "%s: port is '%.*s', must be a number from %d to 65535", name,
                              (int)(length < 40 ? length : 40), text, least);
  *port = number;
  return PRECIS_SUCCESS;
}

int precis_list_parse(const char *name, const char *text, int64_t turn, int most, int *value,
                      precis_message *why)
{
  static const char separators[] = " ,";
  int64_t count = 0, first = -1;
  int found = 0;
  do {
    int64_t at = 0;
    for (const char *rest = text + strspn(text, separators); *rest != '\0'; at++) {
      char entry[24];
      size_t length = strcspn(rest, separators);
      int64_t number;
      if (length >= sizeof entry)
        return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s has '%.40s', must be numbers", name,
                                  rest);
      memcpy(entry, rest, length);
      entry[length] = '\0';
      int status = precis_size_parse(name, entry, 0, most, &number, why);
      if (status != PRECIS_SUCCESS)
        return status;
      if (count > 0 && at == turn % count) {
        first = number;
        found = 1;
      }
      rest += length;
      rest += strspn(rest, separators);
    }
    if (at == 0)
      return precis_message_set(why, PRECIS_ERR_ARGUMENT, "%s is '%.40s', must be numbers", name,
                                text);
    count = at;
  } while (!found);
  *value = (int)first;
  return PRECIS_SUCCESS;
}
