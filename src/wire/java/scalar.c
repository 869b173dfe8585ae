/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts of primitives; see scalar.h. Doubles are printed with the fewest digits that give the same double
 * again, in Java's forms (1.0, 1.0E10); Java before 19 printed a digit too many in rare cases.
 */
#include "scalar.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define MS_PER_DAY 86400000

static uint64_t bits_of(struct span s)
{
    uint64_t v = 0;

    for (size_t i = 0; i < s.n; i++)
        v = v << 8 | s.p[i];
    return v;
}

static double real_of(uint8_t type, struct span bytes)
{
    uint64_t bits = bits_of(bytes);
    uint32_t low = (uint32_t)bits;
    double d;
    float f;

    if (type == 'D') {
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    memcpy(&f, &low, sizeof f);
    return (double)f;
}

bool scalar_is_special(uint8_t type, struct span bytes)
{
    return (type == 'D' || type == 'F') && !isfinite(real_of(type, bytes));
}

/* d > 0, finite: its digits without the point, and the exponent of the first one. */
static int shortest_digits(double d, bool is_float, char digits[24])
{
    char text[40];

    for (int precision = 1; precision <= 16; precision++) { /* Java prints two digits at least */
        snprintf(text, sizeof text, "%.*e", precision, d);
        if (is_float ? strtof(text, NULL) == (float)d : strtod(text, NULL) == d)
            break;
    }
    size_t n = 0;
    char *p = text;
    for (; *p != 'e'; p++)
        if (*p >= '0' && *p <= '9' && n < 23)
            digits[n++] = *p;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = 0;
    return atoi(p + 1);
}

static void real_text(double d, bool is_float, struct buf *out)
{
    char digits[24];

    if (isnan(d)) {
        wr_text(out, "NaN");
        return;
    }
    if (signbit(d))
        wr_u8(out, '-');
    if (isinf(d)) {
        wr_text(out, "Infinity");
        return;
    }
    if (d == 0) {
        wr_text(out, "0.0");
        return;
    }
    int exponent = shortest_digits(fabs(d), is_float, digits), n = (int)strlen(digits);
    bool is_plain = exponent >= -3 && exponent < 7;
    int point = is_plain ? exponent + 1 : 1; /* digits in front of the point */
    if (point <= 0)
        wr_u8(out, '0');
    for (int i = 0; i < point; i++)
        wr_u8(out, i < n ? (uint8_t)digits[i] : '0');
    wr_u8(out, '.');
    for (int i = point; i < 0; i++)
        wr_u8(out, '0');
    wr_text(out, point >= n ? "0" : digits + (point > 0 ? point : 0));
    if (!is_plain)
        wr_printf(out, "E%d", exponent);
}

static void unit_text(uint16_t unit, struct buf *out)
{
    uint32_t v = unit >= 0xD800 && unit < 0xE000 ? 0xFFFD : unit;

    if (v < 0x80) {
        wr_u8(out, (uint8_t)v);
    } else if (v < 0x800) {
        wr_u8(out, (uint8_t)(0xC0 | v >> 6));
        wr_u8(out, (uint8_t)(0x80 | (v & 0x3F)));
    } else {
        wr_u8(out, (uint8_t)(0xE0 | v >> 12));
        wr_u8(out, (uint8_t)(0x80 | (v >> 6 & 0x3F)));
        wr_u8(out, (uint8_t)(0x80 | (v & 0x3F)));
    }
}

void scalar_text(uint8_t type, struct span bytes, struct buf *out)
{
    uint64_t bits = bits_of(bytes);
    unsigned unused = 64 - 8 * (unsigned)bytes.n;
    int64_t v = (int64_t)(bits << unused) >> unused; /* the sign of the width at hand */

    switch (type) {
    case 'Z':
        wr_text(out, bits ? "true" : "false");
        break;
    case 'C':
        unit_text((uint16_t)bits, out);
        break;
    case 'D':
    case 'F':
        real_text(real_of(type, bytes), type == 'F', out);
        break;
    default:
        wr_printf(out, "%lld", (long long)v);
        break;
    }
}

/* Days since 1970 to a date of the Gregorian calendar, by years that begin in March. */
static void date_of(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    unsigned of_era = (unsigned)(z - era * 146097);
    unsigned year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned shifted = (5 * of_year + 2) / 153;

    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = (int64_t)year_of_era + era * 400 + (*month <= 2);
}

void scalar_time(int64_t ms, struct buf *out)
{
    bool is_before = ms % MS_PER_DAY < 0;
    int64_t days = ms / MS_PER_DAY - is_before, year;
    unsigned rest = (unsigned)(ms % MS_PER_DAY + (is_before ? MS_PER_DAY : 0)), month, day;

    date_of(days, &year, &month, &day);
    wr_printf(out,
              year < 0      ? "-%04lld"
              : year > 9999 ? "+%lld"
                            : "%04lld",
              (long long)(year < 0 ? -year : year));
    wr_printf(out, "-%02u-%02uT%02u:%02u:%02u.%03uZ", month, day, rest / 3600000, rest / 60000 % 60,
              rest / 1000 % 60, rest % 1000);
}
