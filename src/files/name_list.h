/* name_list.h - as many names as a message has room for, and how many more there are */
#ifndef PRECIS_SRC_FILES_NAME_LIST_H
#define PRECIS_SRC_FILES_NAME_LIST_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Of names in a message, and of "and so many more" behind them. */
enum { PRECIS_NAME_LIST_BYTES = 320, PRECIS_NAME_LIST_MORE = 40 };

typedef struct precis_name_list {
  char text[PRECIS_NAME_LIST_BYTES]; /* "q, k, v, and 12 more" */
  size_t used, count, more;
} precis_name_list;

static inline void precis_name_list_add(precis_name_list *list, const char *name)
{
  size_t room = PRECIS_NAME_LIST_BYTES - PRECIS_NAME_LIST_MORE - list->used;
  list->count++;
  if (list->more > 0 || strlen(name) + 3 > room) {
    list->more++;
    snprintf(list->text + list->used, PRECIS_NAME_LIST_MORE, "%s%zu more",
             list->used > 0 ? ", and " : "", list->more);
    return;
  }
  list->used += (size_t)sprintf(list->text + list->used, "%s%s", list->used > 0 ? ", " : "", name);
}

#endif
