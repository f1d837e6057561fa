// SPDX-License-Identifier: Apache-2.0
//
// An empty table of locale data in ICU's format for common data ("CmnD", version 1), under the name that ICU looks for.
//
// Foundation carries 34 MB of names of months, currencies and time zones in every language. The program speaks none of them: it compares
// and formats without a locale. The linker makes ICU find this table instead, and ICU then falls back to its built-in rules. The name comes
// from the build, because it has the version of ICU in it.
#include <stdint.h>

const struct {
    uint16_t header_size;
    uint8_t magic[2];
    uint16_t info_size, reserved;
    uint8_t is_big_endian, charset, char_size, reserved_too;
    uint8_t format[4], format_version[4], data_version[4];
    uint8_t padding[8];
    uint32_t entries, end;
} ICU_DATA __attribute__((aligned(16))) = {
    .header_size = 32,
    .magic = {0xda, 0x27},
    .info_size = 20,
    .char_size = 2,
    .format = {'C', 'm', 'n', 'D'},
    .format_version = {1},
};
