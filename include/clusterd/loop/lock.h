/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one mutex of the project. Used for session shards and send lanes only; nothing is called back, encoded
 * or written to a socket while one is held. Order: shard < lane.
 */
#ifndef CLUSTERD_LOOP_LOCK_H
#define CLUSTERD_LOOP_LOCK_H

#include <pthread.h>

struct lock {
    pthread_mutex_t mutex;
};

void lock_init(struct lock *l);
void lock_fini(struct lock *l);

static inline void lock_take(struct lock *l)
{
    pthread_mutex_lock(&l->mutex);
}
static inline void lock_drop(struct lock *l)
{
    pthread_mutex_unlock(&l->mutex);
}

#endif
