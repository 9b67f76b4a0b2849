/* bench_attend.h - precis bench attend: repeated calls of one shape, beside what sgemm reaches */
#ifndef PRECIS_CLI_BENCH_ATTEND_H
#define PRECIS_CLI_BENCH_ATTEND_H

#include "src/cli/cli.h"

/* Collective. */
int precis_bench_attend(precis_cli *cli);

#endif
