#include <precis.h>
#include <stdio.h>

enum { ROWS = 500, HEADS = 4, DIM = 64 }; /* rows: this rank's share of the sequence */
static float q[ROWS * HEADS * DIM], k[ROWS * HEADS * DIM], v[ROWS * HEADS * DIM],
    out[ROWS * HEADS * DIM];

int main(int argc, char **argv)
{
  int threads, rank;
  MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &threads);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  for (int i = 0; i < ROWS * HEADS * DIM; i++)
    q[i] = k[i] = (float)(i % 7), v[i] = (float)rank;

  precis_problem problem = {.heads = HEADS, .dim = DIM};
  precis_attention *attention = NULL;
  precis_report report = PRECIS_REPORT_INIT;
  int error = precis_create(MPI_COMM_WORLD, &problem, NULL, &attention);
  if (!error)
    error = precis_append(attention, ROWS, k, v, NULL);
  if (!error)
    error = precis_attend(attention, ROWS, q, out, NULL, &report);
  if (rank == 0 && error)
    printf("%s\n", precis_strerror(error));
  else if (rank == 0)
    printf("%s: mean of the ranks %g\n", precis_move_name(report.move), (double)out[0]);
  precis_destroy(&attention);
  MPI_Finalize();
  return error != 0;
}
