/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One const ops table for each file of this folder. They are used through interceptor_all[] and, for the
 * default stack, by stage.c.
 */
#ifndef CHANNEL_INTERCEPTOR_ALL_H
#define CHANNEL_INTERCEPTOR_ALL_H

#include "clusterd/channel/interceptor.h"

extern const struct interceptor_ops interceptor_message_dispatch;
extern const struct interceptor_ops interceptor_tcp_failure_detector;

#endif
