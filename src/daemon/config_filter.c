/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ReplicationValve's filter (Tomcat: ReplicationValve.setFilter): one expression, or, by Tomcat 5's rule,
 * a list whose items end with ';'. Tomcat 6 and later take such a list for one expression, which never
 * matches; here it is the list that was meant, and the log says so. Each expression must compile.
 */
#include "config_parts.h"

#include "clusterd/util/mem.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#define FILTERS_MAX 1000u

static void check_expression(const char *text, const struct conf_node *at, struct diag *d)
{
    int code = 0;
    PCRE2_SIZE offset = 0;
    PCRE2_UCHAR reason[128];
    pcre2_code *compiled =
        pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);

    if (compiled) {
        pcre2_code_free(compiled);
        return;
    }
    pcre2_get_error_message(code, reason, sizeof reason);
    diag_error(d, at->file, at->line, "filter: %s is not a regular expression: %s at character %zu", text,
               (const char *)reason, offset + 1);
}

static void add(struct config *c, const char *text, size_t n, const struct conf_node *at, struct diag *d)
{
    c->filters.v[c->filters.n] = mem_strndup(text, n);
    check_expression(c->filters.v[c->filters.n++], at, d);
}

void config_filter_load(struct config *c, const struct conf_node *valve, struct diag *d)
{
    const struct conf_node *at = tree_find(valve, "filter");
    const char *text = c->valve.filter;

    if (!at || !text)
        return;
    size_t max = 1;
    for (const char *p = text; *p; p++)
        max += *p == ';';
    if (max > FILTERS_MAX) {
        diag_error(d, at->file, at->line, "filter: has more than %u expressions", FILTERS_MAX);
        return;
    }
    c->filters.v = mem_array(max, sizeof *c->filters.v);
    while (*text) {
        size_t n = strcspn(text, ";");
        if (n > 0)
            add(c, text, n, at, d);
        text += n + (text[n] == ';');
    }
}

void config_filter_free(struct config *c)
{
    for (size_t i = 0; i < c->filters.n; i++)
        mem_free(c->filters.v[i]);
    mem_free(c->filters.v);
    c->filters = (struct option_strings){0};
}
