// SPDX-License-Identifier: Apache-2.0
//
// The linker's arguments, which come in response files and go on in one, because there are too many for a command line.

#include "lean.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

void words_append(struct words *words, char *word) {
    if (words->count == words->capacity) {
        words->capacity = words->capacity == 0 ? 256 : 2 * words->capacity;
        words->all = realloc(words->all, words->capacity * sizeof *words->all);
        if (words->all == NULL) {
            fail("out of memory", NULL);
        }
    }
    words->all[words->count++] = word;
}

// A private view of a file: what is written to it stays in this process. NULL when it cannot be read, or is empty.
uint8_t *file_view(const char *path, size_t *size) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0) {
        return NULL;
    }
    uint8_t *bytes = NULL;
    if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
        *size = (size_t)status.st_size;
        bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    }
    close(file);
    return bytes == MAP_FAILED ? NULL : bytes;
}

// The words of a response file: parted by white space, with quotes and backslashes as the linker understands them.
static void read_words(struct words *words, const char *path) {
    size_t size = 0;
    const char *text = (const char *)file_view(path, &size);
    for (size_t at = 0; text != NULL && at < size;) {
        while (at < size && strchr(" \t\r\n", text[at]) != NULL) {
            at++;
        }
        if (at == size) {
            break;
        }
        char *word = take(size - at + 1);
        size_t length = 0;
        char quote = '\0';
        for (; at < size && (quote != '\0' || strchr(" \t\r\n", text[at]) == NULL); at++) {
            if (text[at] == '\\' && at + 1 < size) {
                word[length++] = text[++at];
            } else if (quote != '\0' ? text[at] == quote : text[at] == '"' || text[at] == '\'') {
                quote = quote != '\0' ? '\0' : text[at];
            } else {
                word[length++] = text[at];
            }
        }
        char *kept = realloc(word, length + 1);
        words_expand(words, kept != NULL ? kept : word);
    }
}

void words_expand(struct words *words, char *word) {
    if (word[0] == '@' && access(word + 1, R_OK) == 0) {
        read_words(words, word + 1);
    } else {
        words_append(words, word);
    }
}

// The arguments as a response file, because there are too many for a command line.
void words_write(const struct words *words, const char *path) {
    FILE *file = fopen(path, "we");
    for (size_t i = 0; file != NULL && i < words->count; i++) {
        fputc('"', file);
        for (const char *at = words->all[i]; *at != '\0'; at++) {
            if (*at == '"' || *at == '\\') {
                fputc('\\', file);
            }
            fputc(*at, file);
        }
        fputs("\"\n", file);
    }
    if (file == NULL || fclose(file) != 0) {
        fail("cannot write", path);
    }
}
