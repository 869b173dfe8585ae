/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of McastService, with the names and defaults of all Tomcat versions. What can be checked
 * without the machine is checked here; whether it has the interface shows when the socket is opened.
 */
#include "clusterd/membership/mcast.h"

static enum err check_group(const char *text, void *field, const char **why)
{
    struct addr a;

    (void)field;
    if (addr_parse(text, 1, &a) == ERR_OK && addr_is_multicast(&a))
        return ERR_OK;
    *why = "must be a multicast address (224.0.0.0 to 239.255.255.255, or ff00::/8)";
    return ERR_BAD;
}

static enum err check_bind(const char *text, void *field, const char **why)
{
    struct addr a;

    (void)field;
    if (addr_parse(text, 1, &a) == ERR_OK && (a.family == ADDR_IP4 || a.family == ADDR_IP6))
        return ERR_OK;
    *why = "must be the address of a network interface of this host";
    return ERR_BAD;
}

static enum err check_domain(const char *text, void *field, const char **why)
{
    struct buf bytes = {0};
    enum err e = member_parse_bytes(text, &bytes, why);

    (void)field;
    if (e == ERR_OK && bytes.n > MCAST_DOMAIN_MAX) {
        *why = "must have at most 1024 bytes";
        e = ERR_BAD;
    }
    buf_fini(&bytes);
    return e;
}

#define AT(field) OPTION_AT(struct mcast_conf, field)

static const char *const class_names[] = {"McastService", NULL};

const struct option_spec mcast_options[] = {
    {.name = "className",
     .type = OPTION_CLASS,
     AT(class_name),
     .def = "McastService",
     .names = class_names,
     .doc = "how members are found"},
    {.name = "address",
     .aliases = "mcastAddress mcastAddr",
     .type = OPTION_STRING,
     AT(address),
     .def = "228.0.0.4",
     .parse = check_group,
     .doc = "multicast group of the heartbeats"},
    {.name = "port",
     .aliases = "mcastPort",
     .type = OPTION_INT,
     AT(port),
     .def = "45564",
     .min = 1,
     .max = 65535,
     .doc = "UDP port of the heartbeats, the same on all nodes"},
    {.name = "frequency",
     .aliases = "mcastFrequency",
     .type = OPTION_MS,
     AT(frequency_ms),
     .def = "500",
     .min = MCAST_FREQUENCY_MIN_MS,
     .max = 3600000,
     .doc = "time between two heartbeats"},
    {.name = "dropTime",
     .aliases = "mcastDropTime memberDropTime",
     .type = OPTION_MS,
     AT(drop_time_ms),
     .def = "3000",
     .min = MCAST_FREQUENCY_MIN_MS,
     .max = 86400000,
     .doc = "a member that was not heard for longer is checked, and removed if it is dead"},
    {.name = "bind",
     .aliases = "mcastBindAddress mcastBindAddr",
     .type = OPTION_STRING,
     AT(bind),
     .parse = check_bind,
     .doc = "address of the interface that heartbeats use; unset: the system's choice"},
    {.name = "ttl",
     .aliases = "mcastTTL",
     .type = OPTION_INT,
     AT(ttl),
     .def = "-1",
     .min = -1,
     .max = 255,
     .doc = "how many routers a heartbeat may pass; -1: the system's default, 1"},
    {.name = "soTimeout",
     .aliases = "mcastSoTimeout",
     .type = OPTION_MS,
     AT(so_timeout_ms),
     .def = "0",
     .flags = OPTION_NO_EFFECT,
     .doc = "Tomcat's receive time-out; expiry has a timer of its own here"},
    {.name = "localLoopbackDisabled",
     .type = OPTION_BOOL,
     AT(local_loopback_disabled),
     .def = "false",
     .doc = "nodes of the same host do not hear each other"},
    {.name = "recoveryEnabled",
     .type = OPTION_BOOL,
     AT(recovery_enabled),
     .def = "true",
     .doc = "open the multicast socket anew after repeated errors"},
    {.name = "recoveryCounter",
     .type = OPTION_INT,
     AT(recovery_counter),
     .def = "10",
     .min = 1,
     .max = 1000000,
     .doc = "so many errors one after the other begin a recovery"},
    {.name = "recoverySleepTime",
     .type = OPTION_MS,
     AT(recovery_sleep_time_ms),
     .def = "5000",
     .min = MCAST_FREQUENCY_MIN_MS,
     .max = 3600000,
     .doc = "time between two attempts of a recovery"},
    {.name = "domain",
     .type = OPTION_STRING,
     AT(domain),
     .parse = check_domain,
     .doc = "name of the part of the cluster that this node is in, as text or as {1,-2,3}"},
    {0}};
