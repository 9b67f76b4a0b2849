/* blas.h - BLAS on one thread while our own threads share out the work */
#ifndef PRECIS_SRC_BASE_BLAS_H
#define PRECIS_SRC_BASE_BLAS_H

/* Sets OpenBLAS to `threads` threads and returns what it was set to. Process-wide. */
int precis_blas_threads(int threads);

#endif
