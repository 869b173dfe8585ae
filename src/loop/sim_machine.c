/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Simulated computers and the links between them: who reaches whom, and how long it takes.
 */
#include "sim_impl.h"

#define LOCAL_DELAY_MIN_US 5
#define LOCAL_DELAY_MAX_US 50
#define FIRST_PORT         40000

/* A link that is down; there is one for each such pair. */
struct sim_cut {
    struct link all;
    const struct sim_machine *a, *b;
};

struct sim_machine *sim_machine_find(struct sim *s, const struct addr *ip)
{
    LINK_EACH(at, &s->machines)
    {
        struct sim_machine *m = CONTAINER_OF(at, struct sim_machine, all);
        if (m->ip.family == ip->family && span_eq(addr_host(&m->ip), addr_host(ip)))
            return m;
    }
    return NULL;
}

struct sim_machine *sim_machine_get(struct sim *s, const struct addr *ip)
{
    struct sim_machine *m = sim_machine_find(s, ip);

    if (m)
        return m;
    m = MEM_NEW(struct sim_machine);
    m->sim = s;
    m->ip = *ip;
    m->ip.port = 0;
    m->next_port = FIRST_PORT;
    link_init(&m->listeners);
    link_push_back(&s->machines, &m->all);
    return m;
}

void sim_machine_free(struct sim_machine *m)
{
    link_remove(&m->all);
    mem_free(m);
}

uint16_t sim_machine_new_port(struct sim_machine *m)
{
    if (m->next_port == UINT16_MAX)
        m->next_port = FIRST_PORT;
    return m->next_port++;
}

static struct sim_cut *find_cut(const struct sim_machine *a, const struct sim_machine *b)
{
    LINK_EACH(at, &a->sim->cuts)
    {
        struct sim_cut *c = CONTAINER_OF(at, struct sim_cut, all);
        if ((c->a == a && c->b == b) || (c->a == b && c->b == a))
            return c;
    }
    return NULL;
}

void sim_machine_set_link(struct sim_machine *a, struct sim_machine *b, bool up)
{
    struct sim_cut *c = find_cut(a, b);

    if (up && c) {
        link_remove(&c->all);
        mem_free(c);
    } else if (!up && !c) {
        c = MEM_NEW(struct sim_cut);
        c->a = a;
        c->b = b;
        link_push_back(&a->sim->cuts, &c->all);
    }
}

void sim_machine_free_cuts(struct sim *s)
{
    struct link *at;

    while ((at = link_pop_front(&s->cuts)))
        mem_free(CONTAINER_OF(at, struct sim_cut, all));
}

bool sim_machine_reaches(const struct sim_machine *a, const struct sim_machine *b)
{
    return a->up && b->up && (a == b || !find_cut(a, b));
}

uint64_t sim_machine_delay_us(const struct sim_machine *a, const struct sim_machine *b)
{
    struct sim *s = a->sim;
    uint64_t min = s->net.delay_min_us, max = s->net.delay_max_us;

    if (a == b) {
        min = LOCAL_DELAY_MIN_US;
        max = LOCAL_DELAY_MAX_US;
    }
    return min + sim_net_below(s, max > min ? max - min + 1 : 0);
}
