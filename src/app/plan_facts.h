/* What a plan was made of, in words that can be compared: parts of plan.c. Private to app/. */
#ifndef GRAPEVINE_SRC_APP_PLAN_FACTS_H
#define GRAPEVINE_SRC_APP_PLAN_FACTS_H

#include "app/plan.h"

/* Of the graph as it was built or read: before best rates, whose last bits are the machine's. */
void plan_describe_edges(struct plan *plan);
/* Both sets are open. */
void plan_describe_data(struct plan *plan);

#endif
