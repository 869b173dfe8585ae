/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload; see reload.h. What is live is the log level: everything else is built into objects that live as
 * long as the node does.
 */
#include "reload.h"

#include <string.h>

struct run {
    struct config *c, *fresh;
    struct reload_result result;
};

/* The log has a level of its own in front of each line. */
static const char *without_kind(const char *line)
{
    static const char *const kinds[] = {"error: ", "warning: "};

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strncmp(line, kinds[i], strlen(kinds[i])) == 0)
            return line + strlen(kinds[i]);
    return line;
}

void reload_log_diag(struct diag *d, enum log_level level)
{
    char *save = NULL;

    if (!d->text.n)
        return;
    (void)buf_cstr(&d->text);
    for (char *line = strtok_r((char *)d->text.p, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        log_write(level, "%s", without_kind(line));
}

static void on_diff(void *arg, const char *path, const struct option_spec *row)
{
    struct run *r = arg;

    if (row && row->flags & OPTION_LIVE) {
        ASSERT(strcmp(path, "log.level") == 0);
        r->c->log.level = r->fresh->log.level;
        log_set_level((enum log_level)r->c->log.level);
        log_info("Reload: %s is now %s", path, row->names[r->c->log.level]);
        r->result.applied++;
    } else {
        log_warn("Reload: %s has changed, which takes effect when clusterd is started again", path);
        r->result.waiting++;
    }
}

struct reload_result reload_run(struct config *c)
{
    struct run r = {.c = c};
    struct diag d = {0};

    log_info("Reload: reading %s", c->file);
    if (config_load_file(c->file, &d, &r.fresh) != ERR_OK) {
        reload_log_diag(&d, LOG_ERROR);
        log_error("Reload: the file has mistakes; everything stays as it is");
        r.result.failed = true;
    } else {
        reload_log_diag(&d, LOG_WARN);
        config_diff(c, r.fresh, on_diff, &r);
        if (r.result.applied + r.result.waiting == 0)
            log_info("Reload: nothing has changed");
        config_free(r.fresh);
    }
    diag_fini(&d);
    return r.result;
}
