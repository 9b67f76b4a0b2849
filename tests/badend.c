/* badend.c - loaded into commands whose MPI fails as it ends: in MPI_Finalize(), in a thread beside
 * it, or after main(), by BADEND in the environment */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mpi.h>

static int wants(const char *how)
{
  const char *text = getenv("BADEND");
  return text != NULL && strcmp(text, how) == 0;
}

static void *fault(void *nothing)
{
  volatile int *nowhere = nothing;
  *nowhere = 1;
  return NULL;
}

int MPI_Finalize(void)
{
  int error = PMPI_Finalize();
  pthread_t thread;
  if (wants("call"))
    fault(NULL);
  if (wants("abort"))
    abort();
  if (wants("thread") && pthread_create(&thread, NULL, fault, NULL) == 0)
    pthread_join(thread, NULL);
  return error;
}

__attribute__((destructor)) static void last(void)
{
  if (wants("exit"))
    fault(NULL);
}
