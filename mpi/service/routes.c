#include "mpi/service/routes.h"

#include <stdio.h>
#include <string.h>

#include "mpi/service/spec.h"

/* Bodies of tensors are limited by what they hold, as soon as their head tells. */
#define ANY_BYTES INT64_MAX

static const precis_route routes[] = {
    {"health", "GET", "/healthz", 1, 0, 0, 0, 0, precis_route_health, 0},
    {"ready", "GET", "/readyz", 1, 0, 0, 0, 0, precis_route_ready, 0},
    {"openapi", "GET", "/openapi.json", 1, 0, 0, 0, 0, precis_route_openapi, 0},
    {"page", "GET", "/", 1, 0, 0, 0, 0, precis_route_page, 0},
    {"status", "GET", "/v1/status", 0, 0, 0, 0, 0, precis_route_status, 0},
    {"metrics", "GET", "/metrics", 0, 0, 0, 0, 0, precis_route_counters, 0},
    {"list", "GET", "/v1/contexts", 0, 0, 0, 0, 0, precis_route_list, 0},
    {"create", "POST", "/v1/contexts", 0, 1, PRECIS_SPEC_BYTES, precis_route_create_begin,
     precis_route_create_take, precis_route_create_finish, precis_route_create_end},
    {"inspect", "GET", "/v1/contexts/*", 0, 0, 0, 0, 0, precis_route_inspect, 0},
    {"delete", "DELETE", "/v1/contexts/*", 0, 1, 0, 0, 0, precis_route_delete, 0},
    {"fork", "POST", "/v1/contexts/*/fork", 0, 1, 0, 0, 0, precis_route_fork, 0},
    {"append", "POST", "/v1/contexts/*/append", 0, 1, ANY_BYTES, precis_route_append_begin,
     precis_route_append_take, precis_route_append_finish, precis_route_append_end},
    {"attend", "POST", "/v1/contexts/*/attend", 0, 0, ANY_BYTES, precis_route_attend_begin,
     precis_route_attend_take, precis_route_attend_finish, precis_route_attend_end},
};
enum { ROUTES = sizeof routes / sizeof routes[0] };

/* Whether the path is of this form, and what stands for *. */
static int matches(const char *pattern, const char *path, char *id, size_t size)
{
  const char *star = strchr(pattern, '*');
  id[0] = '\0';
  if (star == NULL)
    return strcmp(pattern, path) == 0;
  size_t before = (size_t)(star - pattern);
  if (strncmp(pattern, path, before) != 0)
    return 0;
  size_t length = strcspn(path + before, "/");
  snprintf(id, size, "%.*s", (int)(length < size ? length : size - 1), path + before);
  return length > 0 && strcmp(star + 1, path + before + length) == 0;
}

static int same_method(const char *route, const char *method)
{
  return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* What else may be done with this path. */
static const char *methods_of(const char *pattern)
{
  if (strcmp(pattern, "/v1/contexts") == 0)
    return "GET, HEAD, POST";
  if (strcmp(pattern, "/v1/contexts/*") == 0)
    return "GET, HEAD, DELETE";
  return strchr(pattern, '*') ? "POST" : "GET, HEAD";
}

const precis_route *precis_route_find(precis_request *request, const char *method, const char *path)
{
  char id[PRECIS_CONTEXT_ID + 1]; /* one longer than any */
  const char *pattern = NULL;
  for (const precis_route *r = routes; r < routes + ROUTES; r++) {
    if (!matches(r->path, path, id, sizeof id))
      continue;
    pattern = r->path;
    if (!same_method(r->method, method))
      continue;
    request->id_known = strchr(r->path, '*') != NULL;
    strcpy(request->id, id);
    return r;
  }
  if (pattern != NULL) {
    request->reply.allow = methods_of(pattern);
    precis_reply_error(&request->reply, 405, "method", "%.20s does not go with this path", method);
  } else {
    precis_reply_error(&request->reply, 404, "path", "there is nothing at %.80s", path);
  }
  return NULL;
}
