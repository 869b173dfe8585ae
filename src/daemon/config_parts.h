/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the configuration that are not plain tables of keys: the lists of contexts and interceptors,
 * settings that contexts inherit, the valve's expressions. Used by config.c only. Main thread.
 */
#ifndef CLUSTERD_DAEMON_CONFIG_PARTS_H
#define CLUSTERD_DAEMON_CONFIG_PARTS_H

#include "clusterd/daemon/config.h"

/*
 * The manager section with what Tomcat 5 has in <Cluster> instead. A map of its own whose texts are borrowed
 * from the tree; config_parts_free_map(). A key in both places is an error.
 */
struct conf_node *config_parts_manager_map(const struct conf_node *cluster, const struct conf_node *manager,
                                           const struct option_spec *rows, struct diag *d);
void config_parts_free_map(struct conf_node *map);

/* c->context_list. What a context's own manager section does not say is taken from `inherited` (may be NULL).
 */
void config_parts_contexts(struct config *c, const struct conf_node *contexts,
                           const struct conf_node *inherited, const char *const *sections, struct diag *d);
/* c->interceptors. */
void config_parts_interceptors(struct config *c, const struct conf_node *cluster, struct diag *d);
void config_parts_free(struct config *c);

void config_parts_dump_contexts(const struct config *c, struct buf *out);
void config_parts_dump_interceptors(const struct config *c, struct buf *out);
/* Lines of config_options(). */
void config_parts_options(const char *section, const struct option_spec *rows, struct buf *out);
void config_parts_interceptor_options(struct buf *out);

/* c->filters from c->valve.filter: each expression must compile. */
void config_filter_load(struct config *c, const struct conf_node *valve, struct diag *d);
void config_filter_free(struct config *c);

#endif
