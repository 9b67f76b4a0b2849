/* scratch.h - a folder that the ranks of a test share, and files in it
 *
 * Calls are collective; rank 0 acts, and all see the result. */
#ifndef PRECIS_TESTS_SCRATCH_H
#define PRECIS_TESTS_SCRATCH_H

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mpi/world/world.h"
#include "tests/mpi_assert.h"

typedef struct scratch {
  precis_world world;
  char folder[64];
} scratch;

typedef struct scratch_name {
  char text[160];
} scratch_name;

/* As group set-up and tear-down of cmocka. */
static inline int scratch_make(void **state)
{
  scratch *s = calloc(1, sizeof *s);
  int failed = s == NULL || precis_world_create(MPI_COMM_WORLD, &s->world) != 0;
  if (failed)
    return 1;
  strcpy(s->folder, "/tmp/precis-test-XXXXXX");
  if (s->world.rank == 0)
    failed = mkdtemp(s->folder) == NULL;
  MPI_Bcast(&failed, 1, MPI_INT, 0, MPI_COMM_WORLD);
  MPI_Bcast(s->folder, sizeof s->folder, MPI_CHAR, 0, MPI_COMM_WORLD);
  *state = s;
  return failed;
}

/* Removes all files. Returns how many there were, on every rank. */
static inline int scratch_clear(const scratch *s)
{
  int count = 0;
  MPI_Barrier(MPI_COMM_WORLD);
  DIR *folder = s->world.rank == 0 ? opendir(s->folder) : NULL;
  for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
      count++;
      if (unlinkat(dirfd(folder), entry->d_name, 0) != 0)
        unlinkat(dirfd(folder), entry->d_name, AT_REMOVEDIR);
    }
  if (folder != NULL)
    closedir(folder);
  MPI_Bcast(&count, 1, MPI_INT, 0, MPI_COMM_WORLD);
  return count;
}

static inline int scratch_remove(void **state)
{
  scratch *s = *state;
  scratch_clear(s);
  if (s->world.rank == 0)
    rmdir(s->folder);
  precis_world_free(&s->world);
  free(s);
  return 0;
}

static inline scratch_name scratch_path(const scratch *s, const char *name)
{
  scratch_name path;
  snprintf(path.text, sizeof path.text, "%s/%s", s->folder, name);
  return path;
}

static inline void scratch_put(const scratch *s, const char *name, const void *bytes, size_t count)
{
  int good = 1;
  if (s->world.rank == 0) {
    FILE *file = fopen(scratch_path(s, name).text, "wb");
    good = file != NULL && fwrite(bytes, 1, count, file) == count;
    good = file != NULL && fclose(file) == 0 && good;
  }
  assert_all(MPI_COMM_WORLD, good);
}

/* Nonzero if all ranks give the same code and text. */
static inline int scratch_same(int status, const precis_message *why)
{
  struct {
    int status;
    precis_message why;
  } root = {status, *why};
  MPI_Bcast(&root, sizeof root, MPI_BYTE, 0, MPI_COMM_WORLD);
  return root.status == status && strcmp(root.why.text, why->text) == 0;
}

#endif
