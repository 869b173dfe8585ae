/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interceptors that there are: one row each. Their names are Tomcat's class names. Read-only, any thread.
 */
#include "clusterd/channel/interceptor.h"
#include "interceptor/all.h"

const struct interceptor_ops *const interceptor_all[] = {&interceptor_message_dispatch,
                                                         &interceptor_tcp_failure_detector, NULL};

const struct interceptor_ops *interceptor_find(const char *name)
{
    const char *wanted = option_class_short(name);

    for (size_t i = 0; interceptor_all[i]; i++)
        if (strcmp(interceptor_all[i]->name, wanted) == 0)
            return interceptor_all[i];
    return NULL;
}
