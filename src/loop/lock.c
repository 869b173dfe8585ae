/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The project's mutex; see lock.h. A mutex that cannot be made means a broken system: that is an ASSERT.
 */
#include "clusterd/loop/lock.h"
#include "clusterd/util/err.h"

void lock_init(struct lock *l)
{
    ASSERT(pthread_mutex_init(&l->mutex, NULL) == 0);
}

void lock_fini(struct lock *l)
{
    ASSERT(pthread_mutex_destroy(&l->mutex) == 0);
}
