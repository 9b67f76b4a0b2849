/* bench_moves.h - precis bench moves: what is predicted for the moves beside what they take */
#ifndef PRECIS_CLI_BENCH_MOVES_H
#define PRECIS_CLI_BENCH_MOVES_H

#include "src/cli/cli.h"

/* Collective. */
int precis_bench_moves(precis_cli *cli);

#endif
