/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collected messages for people; see diag.h.
 */
#include "clusterd/util/diag.h"

#include <stdarg.h>
#include <stdio.h>

void diag_fini(struct diag *d)
{
    buf_fini(&d->text);
    *d = (struct diag){0};
}

static void add(struct diag *d, const char *kind, const char *file, unsigned line, const char *fmt,
                va_list ap)
{
    char text[1024];

    vsnprintf(text, sizeof text, fmt, ap);
    if (file && line)
        wr_printf(&d->text, "%s:%u: ", file, line);
    else if (file)
        wr_printf(&d->text, "%s: ", file);
    wr_printf(&d->text, "%s: %s\n", kind, text);
}

enum err diag_error(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, "error", file, line, fmt, ap);
    va_end(ap);
    d->errors++;
    return ERR_CONFIG;
}

void diag_warn(struct diag *d, const char *file, unsigned line, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(d, "warning", file, line, fmt, ap);
    va_end(ap);
    d->warnings++;
}
