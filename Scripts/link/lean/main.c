// SPDX-License-Identifier: Apache-2.0
//
// A linker in front of the linker: lean-ld ARGUMENTS... links as the linker (LINKER, given when this is compiled) would, but without what
// the program cannot reach.
//
// The compiler tells the linker to keep the record of every type, and of every conformance to a protocol, of every module, because a
// cast could ask for any of them while the program runs. Each leads to all methods of its type, so that whole libraries stay in the
// program of which it calls nothing. And it puts the tables of a file into one section, so that who needs one keeps them all. Here each
// table is looked at for itself, and a record is dropped when its type, or its protocol, is reached from nowhere: no value can ask then.
//
// The objects stay as they are; the linker gets changed copies. Libraries of the toolchain are not changed, and whatever they name counts
// as reached. Programs that export their names are linked as they are.

#include "lean.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct words {
    char **all;
    size_t count, capacity;
};

static struct object *objects;
static size_t object_count;
// Where the changed copies lie; empty as long as there are none.
static char copies[PATH_MAX];

void fail(const char *what, const char *path) {
    fprintf(stderr, "lean-ld: %s%s%s%s%s\n", what, path == NULL ? "" : " ", path == NULL ? "" : path, errno == 0 ? "" : ": ",
        errno == 0 ? "" : strerror(errno));
    exit(1);
}

// Zeroed, and never given back: the program ends soon.
void *take(size_t bytes) {
    void *memory = calloc(1, bytes);
    if (memory == NULL) {
        fail("out of memory", NULL);
    }
    return memory;
}

static void append(struct words *words, char *word) {
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
static uint8_t *view(const char *path, size_t *size) {
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

static void expand(struct words *words, char *word);

// The words of a response file: parted by white space, with quotes and backslashes as the linker understands them.
static void read_words(struct words *words, const char *path) {
    size_t size = 0;
    const char *text = (const char *)view(path, &size);
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
        expand(words, kept != NULL ? kept : word);
    }
}

static void expand(struct words *words, char *word) {
    if (word[0] == '@' && access(word + 1, R_OK) == 0) {
        read_words(words, word + 1);
    } else {
        append(words, word);
    }
}

// Names in what is not looked into: whatever they stand for counts as reached.
static void reach_names_of(const uint8_t *bytes, size_t size) {
    uint8_t *aligned = take(size);
    memcpy(aligned, bytes, size);
    struct object object;
    if (object_open(&object, NULL, aligned, size)) {
        for (size_t i = 1; i < object.symbol_count; i++) {
            if (ELF64_ST_BIND(object.symbols[i].st_info) != STB_LOCAL) {
                reach_name(object.strings + object.symbols[i].st_name);
            }
        }
    }
    free(aligned);
}

static bool ends_with(const char *word, const char *end) {
    size_t length = strlen(word), wanted = strlen(end);
    return length >= wanted && strcmp(word + length - wanted, end) == 0;
}

static void reach_library(const struct words *words, const char *name) {
    for (size_t i = 0; i < words->count; i++) {
        char path[PATH_MAX];
        size_t size = 0;
        if (strncmp(words->all[i], "-L", 2) != 0 || snprintf(path, sizeof path, "%s/lib%s.a", words->all[i] + 2, name) >= PATH_MAX) {
            continue;
        }
        const uint8_t *bytes = view(path, &size);
        if (bytes != NULL) {
            object_archive_each(bytes, size, reach_names_of);
            munmap((void *)bytes, size);
            return;
        }
    }
}

// What stands in the arguments beside objects: names, and libraries.
static void reach_arguments(const struct words *words) {
    reach_name("main");
    reach_name("_start");
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->all[i], *next = i + 1 < words->count ? words->all[i + 1] : "";
        if (strcmp(word, "--defsym") == 0 && strchr(next, '=') != NULL) {
            reach_name(strchr(next, '=') + 1);
        } else if (strcmp(word, "-u") == 0 || strcmp(word, "-e") == 0 || strcmp(word, "--undefined") == 0) {
            reach_name(next);
        } else if (strncmp(word, "--wrap=", 7) == 0) {
            reach_name(word + 7);
        } else if (strncmp(word, "-l", 2) == 0) {
            reach_library(words, word + 2);
        } else if (ends_with(word, ".a")) {
            size_t size = 0;
            const uint8_t *bytes = view(word, &size);
            if (bytes != NULL) {
                object_archive_each(bytes, size, reach_names_of);
            }
        }
    }
}

static void copy_path(char *path, size_t number) {
    snprintf(path, PATH_MAX, "%s/%zu.o", copies, number);
}

static void remove_copies(void) {
    char path[PATH_MAX];
    for (size_t i = 0; copies[0] != '\0' && i < object_count; i++) {
        if (objects[i].changed) {
            copy_path(path, i);
            unlink(path);
        }
    }
    snprintf(path, sizeof path, "%.*s/arguments", PATH_MAX - 32, copies);
    unlink(path);
    rmdir(copies);
}

static void make_copies(void) {
    const char *parent = getenv("TMPDIR");
    int length = snprintf(copies, sizeof copies, "%s/lean-ld.XXXXXX", parent == NULL ? "/tmp" : parent);
    if (length < 0 || length >= PATH_MAX - 32 || mkdtemp(copies) == NULL) {
        fail("cannot make a directory in", parent);
    }
    atexit(remove_copies);
}

// Writes the changed objects and puts their new paths into the arguments; `places` says which argument an object was.
static void write_changed(struct words *words, const size_t *places) {
    for (size_t i = 0; i < object_count; i++) {
        prune(&objects[i]);
        if (!objects[i].changed) {
            continue;
        }
        char *path = take(PATH_MAX);
        copy_path(path, i);
        int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        for (size_t at = 0; at < objects[i].size;) {
            ssize_t written = file < 0 ? -1 : write(file, objects[i].bytes + at, objects[i].size - at);
            if (written <= 0) {
                fail("cannot write", path);
            }
            at += (size_t)written;
        }
        close(file);
        words->all[places[i]] = path;
    }
}

// The arguments as a response file, because there are too many for a command line.
static void write_words(const struct words *words, const char *path) {
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

static int run(char *const *command) {
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execv(command[0], command);
        _exit(127);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 127)) {
        fail("cannot run", command[0]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

// Whether only this program's own parts can ask for anything in it; what else may look names up, this program cannot know.
static bool is_closed(const struct words *words) {
    bool closed = true;
    for (size_t i = 0; i < words->count; i++) {
        const char *word = words->all[i] + (strncmp(words->all[i], "--", 2) == 0 ? 1 : 0);
        if (strcmp(word, "-shared") == 0 || strcmp(word, "-r") == 0 || strcmp(word, "-relocatable") == 0) {
            return false;
        }
        if (strcmp(word, "-export-dynamic") == 0 || strcmp(word, "-E") == 0) {
            closed = false;
        } else if (strcmp(word, "-no-export-dynamic") == 0) {
            closed = true;
        }
    }
    return closed;
}

static void open_objects(const struct words *words, size_t *places) {
    for (size_t i = 0; i < words->count; i++) {
        size_t size = 0;
        bool named = i > 0 && (strcmp(words->all[i - 1], "-o") == 0 || strcmp(words->all[i - 1], "-T") == 0);
        uint8_t *bytes = !named && ends_with(words->all[i], ".o") ? view(words->all[i], &size) : NULL;
        if (bytes != NULL && object_open(&objects[object_count], words->all[i], bytes, size)) {
            pieces_cut(&objects[object_count], (uint32_t)object_count);
            places[object_count++] = i;
        }
    }
}

int main(int count, char **arguments) {
    struct words words = {0};
    append(&words, LINKER);
    for (int i = 1; i < count; i++) {
        expand(&words, arguments[i]);
    }
    objects = take(words.count * sizeof *objects);
    size_t *places = take(words.count * sizeof *places);
    if (is_closed(&words)) {
        open_objects(&words, places);
        reach_arguments(&words);
        reach_all(objects, object_count);
        append(&words, "-z");
        append(&words, "start-stop-gc");  // a description is not kept because its section has a name
    }

    make_copies();
    write_changed(&words, places);
    char response[PATH_MAX];
    snprintf(response, sizeof response, "@%.*s/arguments", PATH_MAX - 32, copies);
    struct words rest = {words.all + 1, words.count - 1, 0};
    write_words(&rest, response + 1);
    return run((char *[]){LINKER, response, NULL});
}
