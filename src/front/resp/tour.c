/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a tour round the workers; see tour.h. When a loop ends under way the tour ends there, and nobody is
 * answered: all connections end then.
 */
#include "tour.h"

static void come_home(struct task *task, bool cancelled)
{
    struct tour *t = (struct tour *)task;
    struct conn *c = t->conn;

    t->end(t, cancelled || conn_is_gone(c));
    conn_go_on(c, cancelled);
}

static void stop_over(struct task *task, bool cancelled)
{
    struct tour *t = (struct tour *)task;
    struct front *f = t->conn->front;

    /* Loops end after front_stop(), which waits for tours; else all loops end together, and none runs any
     * more. */
    if (cancelled) {
        come_home(task, true);
        return;
    }
    t->visit(t, &f->workers[t->next]);
    t->next++;
    t->task.run = t->next < f->n_workers ? stop_over : come_home;
    loop_post(t->next < f->n_workers ? f->workers[t->next].loop : t->conn->worker->loop, &t->task);
}

void tour_start(struct tour *t, struct conn *c)
{
    t->conn = c;
    t->next = 0;
    t->task.run = stop_over;
    conn_wait(c);
    loop_post(c->front->workers[0].loop, &t->task);
}
