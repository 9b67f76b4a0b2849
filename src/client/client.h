/* client.h - what the calls of precis_client.h are made of */
#ifndef PRECIS_SRC_CLIENT_CLIENT_H
#define PRECIS_SRC_CLIENT_CLIENT_H

#include "src/client/web.h"

/* The status for an answer of the service, with its words if it is an error. */
int precis_client_status(const precis_web_answer *answer, precis_message *why);

#endif
