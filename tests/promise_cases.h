/* promise_cases.h - calls that once broke their promise, or promised far too much, by name */
#ifndef PRECIS_TESTS_PROMISE_CASES_H
#define PRECIS_TESTS_PROMISE_CASES_H

#include "tests/promise_problem.h"

int promise_case_count(void);

/* Makes case i. Returns 0 without memory. */
int promise_case_make(int i, promise_problem *p);

#endif
