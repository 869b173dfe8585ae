/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of send and start options; see options.h. Tomcat: Channel.parseSendOptions() and
 * getSendOptionsAsString().
 */
#include "clusterd/wire/options.h"

struct name {
    uint32_t bits;
    const char *text;
};

/* High bit first; of several names the printed one comes first. */
static const struct name send_names[] = {
    {SEND_MULTICAST, "multicast"},
    {SEND_UDP, "udp"},
    {SEND_SECURE, "secure"},
    {SEND_ASYNCHRONOUS, "async"},
    {SEND_ASYNCHRONOUS, "asynchronous"},
    {SEND_SYNCHRONIZED_ACK, "sync"},
    {SEND_SYNCHRONIZED_ACK, "synchronized_ack"},
    {SEND_USE_ACK, "use_ack"},
    {SEND_BYTE_MESSAGE, "byte"},
    {SEND_BYTE_MESSAGE, "byte_message"},
    {0, NULL},
};

static const struct name start_names[] = {
    {START_MBR_TX, "mbr_tx"}, {START_MBR_RX, "mbr_rx"}, {START_SND_TX, "snd_tx"},
    {START_SND_RX, "snd_rx"}, {START_ALL, "default"},   {0, NULL},
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Java's Integer.parseInt for what makes sense as a bit set: digits, an optional plus sign, no more than 31
 * bits. */
static bool parse_number(const char *text, uint32_t *out, bool *too_big)
{
    uint64_t v = 0;
    const char *p = text + (*text == '+');

    if (*p == 0)
        return false;
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return false;
        v = v > INT32_MAX ? v : v * 10 + (uint64_t)(*p - '0');
    }
    *too_big = v > INT32_MAX;
    *out = (uint32_t)v;
    return true;
}

static uint32_t bits_of(struct span word, const struct name *names)
{
    for (; names->text; names++)
        if (span_eq(word, span_str(names->text)))
            return names->bits;
    return 0;
}

static enum err parse(const char *text, const struct name *names, const char *unknown, uint32_t *out,
                      const char **why)
{
    uint32_t bits = 0;
    bool too_big = false;

    if (*text == 0 || parse_number(text, &bits, &too_big)) {
        *why = "the number must be 0 to 2147483647";
        if (too_big)
            return ERR_BAD;
        *out = bits;
        return ERR_OK;
    }
    *why = unknown;
    for (const char *p = text;; p++) {
        const char *end = p + strcspn(p, ",");
        const char *word_end = end;
        /* Blanks around commas belong to the commas; at the two ends of the text they belong to the name. */
        while (*end && word_end > p && is_blank(word_end[-1]))
            word_end--;
        uint32_t one = bits_of(span_of(p, (size_t)(word_end - p)), names);
        if (!one)
            return ERR_BAD;
        bits |= one;
        p = end;
        while (*p && is_blank(p[1]))
            p++;
        if (*p == 0)
            break;
    }
    *out = bits;
    return ERR_OK;
}

enum err options_parse_send(const char *text, uint32_t *out, const char **why)
{
    return parse(
        text, send_names,
        "must be a decimal number, or names separated by commas: byte_message, use_ack, sync, async, "
        "secure, udp, multicast",
        out, why);
}

enum err options_parse_start(const char *text, uint32_t *out, const char **why)
{
    return parse(
        text, start_names,
        "must be a decimal number, or names separated by commas: snd_rx, snd_tx, mbr_rx, mbr_tx, default",
        out, why);
}

static void print(uint32_t options, uint32_t named, const struct name *names, struct buf *out)
{
    uint32_t left = options;

    if (options == 0 || options & ~named) {
        wr_printf(out, "%u", options);
        return;
    }
    for (; names->text; names++) {
        if ((left & names->bits) != names->bits)
            continue;
        left &= ~names->bits;
        wr_printf(out, "%s%s", names->text, left ? ", " : "");
    }
}

void options_send_text(uint32_t options, struct buf *out)
{
    print(options, 0x7f, send_names, out);
}

void options_start_text(uint32_t options, struct buf *out)
{
    print(options, START_ALL, start_names, out);
}
