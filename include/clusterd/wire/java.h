/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a Java Object Serialization stream (protocol version 2) without ever making an object: the bytes are
 * walked with a stack of our own, under limits, and no class is loaded. A `struct java` reads the top level
 * of one stream in order: block data as one joined byte sequence, objects as items which can be cut out, that
 * is, re-emitted as a stream of their own (AC ED 00 05 and one object) with handles renumbered and everything
 * they refer to copied in. Such a self-contained stream is a *value*, the form in which clusterd keeps
 * attributes.
 *
 * Errors are sticky as in cursor.h: after the first one every read gives 0 or an empty span; java_err() and
 * java_field() say what and where. Texts come out as UTF-8 (lone surrogates as U+FFFD). Spans that come out
 * point into the input or into the reader and live until java_free(). Any thread, one at a time per reader.
 * Mirrors java.io.ObjectInputStream.
 */
#ifndef CLUSTERD_WIRE_JAVA_H
#define CLUSTERD_WIRE_JAVA_H

#include "clusterd/util/bytes.h"

struct java_limits {
    uint32_t max_depth;  /* levels of nesting: objects, arrays, class levels with data, open descriptors */
    uint32_t max_supers; /* length of a chain of superclasses */
    /* Live handles of one stream: each costs 20 bytes here and at least 3 in the stream. As many fields of
     * classes are allowed, and a quarter of it classes. */
    uint32_t max_handles;
    size_t max_bytes;  /* length of the stream; at most 4 GiB - 1 */
    size_t max_value;  /* length of one cut value */
    size_t max_growth; /* all values cut from one stream together: this times its length, plus max_value */
    size_t
        max_share; /* values cut between two java_share() calls: this, or twice the stream if that is more */
};

extern const struct java_limits java_limits_default;

#define JAVA_HEADER     SPAN_LIT("\xac\xed\x00\x05")
#define JAVA_HEADER_LEN 4

enum java_kind {
    JAVA_NULL,
    JAVA_STRING,
    JAVA_OBJECT,
    JAVA_ARRAY,
    JAVA_ENUM,
    JAVA_CLASS,    /* a java.lang.Class */
    JAVA_DESC,     /* a java.io.ObjectStreamClass written as an object */
    JAVA_EXCEPTION /* the writer failed inside this item (TC_EXCEPTION): it has no value, the stream goes on
                    */
};

/* One top-level object. A back reference is already resolved: kind and `entry` are those of what it means. */
struct java_item {
    enum java_kind kind;
    uint32_t off, end; /* where it stands in the stream */
    uint32_t entry;    /* its place in the reader's handle table; meaningless for JAVA_NULL, JAVA_EXCEPTION */
};

enum java_next {
    JAVA_AT_END, /* the stream ends here, or an error stands */
    JAVA_AT_DATA,
    JAVA_AT_ITEM
};

struct java;

/* `stream` and `limits` (NULL: the defaults) are borrowed until java_free(). Never NULL; a bad header is the
 * first error. */
struct java *java_new(struct span stream, const struct java_limits *limits);
void java_free(struct java *j);

enum err java_err(const struct java *j);
const char *java_field(const struct java *j); /* static text; NULL while fine */
enum err java_fail(struct java *j, enum err e, const char *field);
size_t java_pos(const struct java *j); /* offset of the next unread byte, for log lines */

/* What comes next; passes over TC_RESET and empty block records, which have no meaning of their own. */
enum java_next java_peek(struct java *j);

/* Block data, joined over records. */
uint8_t java_u8(struct java *j, const char *field);
int32_t java_i32(struct java *j, const char *field);
int64_t java_i64(struct java *j, const char *field);
struct span java_bytes(struct java *j, size_t n, const char *field);
struct span java_utf(struct java *j, const char *field); /* u2 length and text, as DataInput.readUTF */

/* The next object. False when an error stands. An item is valid until the next java_item() or java_peek(). */
bool java_item(struct java *j, struct java_item *item, const char *field);
/* True when the item is an Integer, directly or by reference; *v is its value then. */
bool java_is_integer(const struct java *j, const struct java_item *item, int32_t *v);

/* The next object must be one of these classes, directly or as a reference to an earlier one. */
int32_t java_integer(struct java *j, const char *field);
int64_t java_long(struct java *j, const char *field);
bool java_boolean(struct java *j, const char *field);
/* A String; null gives false and an empty span without an error. */
bool java_string(struct java *j, struct span *text, const char *field);

/*
 * The item as a value, one reference owned by the caller. Not sticky: a value that cannot be cut
 * (ERR_TOO_BIG, ERR_BAD: text that no Java would read) leaves the reader usable for what follows. JAVA_NULL
 * and JAVA_EXCEPTION have no value: ERR_NOT_FOUND.
 */
fallible java_cut(struct java *j, const struct java_item *item, struct blob **out);

/* The values that are cut from here on belong to another session. Those of one session are in memory
 * together, and many small ones may refer to one large object, of which each becomes a copy: max_share bounds
 * them. */
void java_share(struct java *j);

/* The end of the stream must be here; gives the verdict over all reads. */
fallible java_end(struct java *j, const char *field);

/*
 * The class of the root object of a stream, without walking it: what tells SessionMessageImpl, RpcMessage,
 * MapMessage and FileMessage apart. Borrowed from the stream, in Java's spelling. ERR_BAD: not a Java stream;
 * ERR_UNSUPPORTED: the root is not an object with a class of its own (null, a String, an array, block data).
 */
fallible java_root_class(struct span stream, struct span *name);

/* Class names of the messages that a cluster sends. */
#define JAVA_CLASS_SESSION_MESSAGE "org.apache.catalina.ha.session.SessionMessageImpl"
#define JAVA_CLASS_RPC_MESSAGE     "org.apache.catalina.tribes.group.RpcMessage"
#define JAVA_CLASS_NO_RPC_REPLY    "org.apache.catalina.tribes.group.RpcMessage$NoRpcChannelReply"
#define JAVA_CLASS_MAP_MESSAGE     "org.apache.catalina.tribes.tipis.AbstractReplicatedMap$MapMessage"
#define JAVA_CLASS_FILE_MESSAGE    "org.apache.catalina.ha.deploy.FileMessage"
#define JAVA_CLASS_UNDEPLOY        "org.apache.catalina.ha.deploy.UndeployMessage"

#endif
