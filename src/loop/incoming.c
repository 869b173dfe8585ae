/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepted connections that no loop owns yet; see stream.h. Plain values: any thread that holds one.
 */
#include "loop_impl.h"

const struct addr *incoming_peer(const struct incoming *in)
{
    return &in->peer;
}

const struct addr *incoming_local(const struct incoming *in)
{
    return &in->local;
}

void incoming_refuse(struct incoming *in)
{
    in->ops->refuse(in);
}
