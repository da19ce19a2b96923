/* What the token store does in C: it finds cells and tokens in bytes, hashes them, and numbers the hashes. Places are
   counted from the first byte. See cells.py and hash_index.py, which give the same. */

#include <stdint.h>
#include <string.h>

#define AHEAD 16 /* hashes whose slots are fetched from memory before they are looked at */
#define BAD -1
#define LENGTH_FACTOR 0x9e3779b97f4a7c15u
#define WORD_FACTOR 0xff51afd7ed558ccdu
#define EACH_BYTE 0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u

/* Whether all bytes are printable ASCII or ASCII white space. */
int is_plain(const uint8_t *bytes, int64_t size) {
    int others = 0;
    for (int64_t i = 0; i < size; i++) {
        uint8_t byte = bytes[i];
        others |= !((uint8_t)(byte - 0x20) < 0x5f || (uint8_t)(byte - 9) < 5 || (uint8_t)(byte - 0x1c) < 4);
    }
    return !others;
}

int64_t count_byte(const uint8_t *bytes, int64_t size, int wanted) {
    int64_t count = 0;
    for (int64_t i = 0; i < size; i++) count += bytes[i] == wanted;
    return count;
}

/* The place of the first of eight bytes that is marked in its high bit; the lowest mark is right, higher ones may not
   be. */
static inline int64_t first_marked(uint64_t marks) { return __builtin_ctzll(marks) >> 3; }

/* The first space from `begin` on, or `end`. */
static inline int64_t space_from(const uint8_t *bytes, int64_t begin, int64_t end) {
    for (; begin + 8 <= end; begin += 8) {
        uint64_t word;
        memcpy(&word, bytes + begin, 8);
        word ^= ' ' * EACH_BYTE;
        uint64_t marks = (word - EACH_BYTE) & ~word & HIGH_BITS;
        if (marks) return begin + first_marked(marks);
    }
    while (begin < end && bytes[begin] != ' ') begin++;
    return begin;
}

/* The first control character up to the carriage return from `begin` on, or `end`. */
static inline int64_t control_from(const uint8_t *bytes, int64_t begin, int64_t end) {
    for (; begin + 8 <= end; begin += 8) {
        uint64_t word;
        memcpy(&word, bytes + begin, 8);
        uint64_t marks = (word - ('\r' + 1) * EACH_BYTE) & ~word & HIGH_BITS;
        if (marks) return begin + first_marked(marks);
    }
    while (begin < end && bytes[begin] > '\r') begin++;
    return begin;
}

/* Eight bytes from `begin` on as a number; those from `end` on count as zeros. */
static inline uint64_t word_at(const uint8_t *bytes, int64_t size, int64_t begin, int64_t end) {
    uint64_t word = 0;
    if (begin + 8 > size) {
        for (int64_t at = begin; at < end; at++) word |= (uint64_t)bytes[at] << 8 * (at - begin);
        return word;
    }
    memcpy(&word, bytes + begin, 8);
    return end - begin >= 8 ? word : word & (((uint64_t)1 << 8 * (end - begin)) - 1);
}

static inline uint64_t hash_of(const uint8_t *bytes, int64_t size, int64_t begin, int64_t end) {
    uint64_t hash = (uint64_t)(end - begin) * LENGTH_FACTOR;
    for (; begin < end; begin += 8) {
        hash = (hash ^ word_at(bytes, size, begin, end)) * WORD_FACTOR;
        hash ^= hash >> 32;
    }
    hash *= LENGTH_FACTOR; /* so that the low bits, which choose a slot, depend on all letters */
    return hash ^ hash >> 32;
}

void hash_spans(const uint8_t *bytes, int64_t size, const int64_t *begins, const int64_t *ends, int64_t count,
                uint64_t *hashes) {
    for (int64_t i = 0; i < count; i++) hashes[i] = hash_of(bytes, size, begins[i], ends[i]);
}

static inline int is_ascii_space(uint8_t byte) { return (uint8_t)(byte - 9) < 5 || (uint8_t)(byte - 0x1c) < 5; }

/* The bytes of the white space that three bytes begin with: 0 for none. U+0085, 00a0, 1680, 2000 to 200a, 2028, 2029,
   202f, 205f and 3000. */
static inline int space_of(uint8_t first, uint8_t second, uint8_t third) {
    if (first == 0xc2) return second == 0x85 || second == 0xa0 ? 2 : 0;
    if (first == 0xe1) return second == 0x9a && third == 0x80 ? 3 : 0;
    if (first == 0xe3) return second == 0x80 && third == 0x80 ? 3 : 0;
    if (first != 0xe2) return 0;
    if (second == 0x81) return third == 0x9f ? 3 : 0;
    return second == 0x80 && (third <= 0x8a || third == 0xa8 || third == 0xa9 || third == 0xaf) ? 3 : 0;
}

static inline int space_at(const uint8_t *bytes, int64_t begin, int64_t end) {
    if (is_ascii_space(bytes[begin])) return 1;
    if (bytes[begin] < 0xc2 || begin + 1 >= end) return 0;
    int length = space_of(bytes[begin], bytes[begin + 1], begin + 2 < end ? bytes[begin + 2] : 0);
    return begin + length <= end ? length : 0;
}

static inline int space_before(const uint8_t *bytes, int64_t begin, int64_t end) {
    if (is_ascii_space(bytes[end - 1])) return 1;
    if (bytes[end - 1] < 0x80) return 0;
    for (int length = 2; length <= 3 && begin + length <= end; length++)
        if (space_at(bytes, end - length, end) == length) return length;
    return 0;
}

/* The cells of lines of valid UTF-8, without white space around them: where they begin and end, the hash of each, and
   the number of cells in each line. `separator` is a control character up to the carriage return, or -1 for one cell a
   line.
   Returns the number of cells, or BAD where a line has fewer than `least` cells, an empty one, one of more than
   `longest` bytes, a NUL, or a carriage return that does not end it. */
int64_t find_cells(const uint8_t *bytes, int64_t size, int separator, int64_t least, int64_t longest, int64_t *begins,
                   int64_t *ends, uint64_t *hashes, int64_t *lengths) {
    int64_t cells = 0, first = 0, line = 0, begin = 0;
    for (int64_t at = 0; (at = control_from(bytes, at, size)) <= size; at++) {
        uint8_t byte = at < size ? bytes[at] : '\n';
        if (byte == 0 || (byte == '\r' && at + 1 < size && bytes[at + 1] != '\n')) return BAD;
        if (byte != '\n' && byte != separator) continue;
        int64_t end = at;
        int space;
        while (begin < end && (space = space_at(bytes, begin, end))) begin += space;
        while (begin < end && (space = space_before(bytes, begin, end))) end -= space;
        if (begin == end || end - begin > longest) return BAD;
        begins[cells] = begin;
        ends[cells] = end;
        hashes[cells++] = hash_of(bytes, size, begin, end);
        begin = at + 1;
        if (byte != '\n') continue;
        if (cells - first < least) return BAD;
        lengths[line++] = cells - first;
        first = cells;
    }
    return cells;
}

/* The number of tokens that `find_tokens` finds. */
int64_t count_tokens(const uint8_t *bytes, const int64_t *cell_begins, const int64_t *cell_ends, int64_t cells) {
    int64_t tokens = cells;
    for (int64_t cell = 0; cell < cells; cell++)
        tokens += count_byte(bytes + cell_begins[cell], cell_ends[cell] - cell_begins[cell], ' ');
    return tokens;
}

/* The tokens, pieces between spaces, of cells: where they begin and end, the hash of each, and the number of tokens of
   each cell. Returns the number of tokens. */
int64_t find_tokens(const uint8_t *bytes, int64_t size, const int64_t *cell_begins, const int64_t *cell_ends,
                    int64_t cells, int64_t *begins, int64_t *ends, uint64_t *hashes, int64_t *lengths) {
    int64_t tokens = 0;
    for (int64_t cell = 0; cell < cells; cell++) {
        int64_t first = tokens, begin = cell_begins[cell], last = cell_ends[cell];
        for (int64_t at; begin <= last; begin = at + 1) {
            at = space_from(bytes, begin, last);
            begins[tokens] = begin;
            ends[tokens] = at;
            hashes[tokens++] = hash_of(bytes, size, begin, at);
        }
        lengths[cell] = tokens - first;
    }
    return tokens;
}

/* The hash of each text from those of the parts of its tokens, see alike.py: parts behind the last word do not count,
   and it counts without the marks at its end. */
void mix_parts(const int64_t *part_offsets, const uint64_t *full, const uint64_t *bare, const uint8_t *is_word,
               const int32_t *tokens, const int64_t *offsets, int64_t texts, uint64_t *hashes) {
    for (int64_t text = 0; text < texts; text++) {
        int64_t place = 0, last = INT64_MAX;
        for (int64_t i = offsets[text]; i < offsets[text + 1]; i++)
            for (int64_t part = part_offsets[tokens[i]]; part < part_offsets[tokens[i] + 1]; part++, place++)
                if (is_word[part]) last = place;
        uint64_t hash = 0;
        place = 0;
        for (int64_t i = offsets[text]; i < offsets[text + 1]; i++)
            for (int64_t part = part_offsets[tokens[i]]; part < part_offsets[tokens[i] + 1] && place <= last; part++) {
                uint64_t own = place == last ? bare[part] : full[part];
                own = (own ^ (uint64_t)++place * LENGTH_FACTOR) * WORD_FACTOR;
                hash += own ^ own >> 32;
            }
        hashes[text] = hash;
    }
}

/* An odd step reaches every slot of a table whose size is a power of two. */
static inline uint64_t step_of(uint64_t hash) { return hash >> 40 | 1; }

/* The number of each hash, in the order of their first use. `known` are the hashes that have numbers, `table` has a
   number, or -1, in each slot; both have room. `firsts` are the places of new ones, `counts`, unless it is NULL, how
   often each hash was met. Returns how many are known then. */
int64_t number_hashes(uint64_t *known, int64_t count, int32_t *table, uint64_t mask, int64_t *counts,
                      const uint64_t *hashes, int64_t size, int32_t *numbers, int64_t *firsts) {
    for (int64_t i = 0; i < size; i++) {
        if (i + AHEAD < size) __builtin_prefetch(table + (hashes[i + AHEAD] & mask));
        if (i + AHEAD / 2 < size) {
            int32_t likely = table[hashes[i + AHEAD / 2] & mask];
            if (likely >= 0) __builtin_prefetch(known + likely);
        }
        uint64_t hash = hashes[i], slot = hash & mask;
        int32_t number;
        while ((number = table[slot]) >= 0 && known[number] != hash) slot = (slot + step_of(hash)) & mask;
        if (number < 0) {
            number = (int32_t)count;
            table[slot] = number;
            known[count++] = hash;
            *firsts++ = i;
        }
        if (counts) counts[number]++;
        numbers[i] = number;
    }
    return count;
}

/* Enters all known hashes into a table that is empty and has room. */
void enter_hashes(const uint64_t *known, int64_t count, int32_t *table, uint64_t mask) {
    for (int64_t i = 0; i < count; i++) {
        if (i + AHEAD < count) __builtin_prefetch(table + (known[i + AHEAD] & mask), 1);
        uint64_t slot = known[i] & mask;
        while (table[slot] >= 0) slot = (slot + step_of(known[i])) & mask;
        table[slot] = (int32_t)i;
    }
}
