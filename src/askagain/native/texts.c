/* What texts.py does in C. It starts no threads; ctypes releases the GIL, so callers may run in parallel. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FEW 24     /* ids that are sorted by insertion */
#define PROBES 256 /* slots that are looked at for a token; more means that tokens were made to collide */
#define COLLISIONS -2
#define TOGETHER 32  /* tokens whose slots are fetched from memory before they are looked at */
#define EACH_BYTE 0x0101010101010101u
#define HIGH_BITS 0x8080808080808080u
#define LONGEST_WORD 64 /* that is looked up as it is */
#define LENGTH_FACTOR 0x9e3779b97f4a7c15u
#define WORD_FACTOR 0xff51afd7ed558ccdu
#define UNKNOWN -1
#define NOT_SIMPLE -2
#define DROPPED -3

typedef struct {
    uint64_t hash;
    int32_t number; /* -1: free */
    int32_t length;
} Slot;

/* Distinct tokens, numbered in the order of their first occurrence. */
typedef struct {
    Slot *slots;
    uint64_t mask;
    uint8_t *letters;
    int64_t *begins; /* of each token in `letters` */
    int64_t count, room, used, letters_room;
} Tokens;

void tokens_clear(Tokens *tokens) {
    for (uint64_t slot = 0; slot <= tokens->mask; slot++) tokens->slots[slot].number = -1;
    tokens->count = tokens->used = 0;
}

void tokens_free(Tokens *tokens) {
    if (!tokens) return;
    free(tokens->slots);
    free(tokens->letters);
    free(tokens->begins);
    free(tokens);
}

Tokens *tokens_new(void) {
    Tokens *tokens = calloc(1, sizeof(Tokens));
    if (!tokens) return NULL;
    tokens->mask = 4095;
    tokens->room = 2048;
    tokens->letters_room = 1 << 15;
    tokens->slots = malloc((tokens->mask + 1) * sizeof(Slot));
    tokens->begins = malloc(tokens->room * sizeof(int64_t));
    tokens->letters = malloc(tokens->letters_room);
    if (!tokens->slots || !tokens->begins || !tokens->letters) {
        tokens_free(tokens);
        return NULL;
    }
    tokens_clear(tokens);
    return tokens;
}

int64_t tokens_count(const Tokens *tokens) { return tokens->count; }

/* Up to eight bytes as a number; sixteen bytes behind the texts may be read. */
static inline uint64_t word_at(const uint8_t *bytes, int64_t length) {
    uint64_t word;
    memcpy(&word, bytes, 8);
    return length >= 8 ? word : word & (((uint64_t)1 << (8 * length)) - 1);
}

static inline uint64_t hash_of(const uint8_t *bytes, int64_t length) {
    uint64_t hash = (uint64_t)length * LENGTH_FACTOR;
    for (int64_t at = 0; at < length; at += 8) {
        hash = (hash ^ word_at(bytes + at, length - at)) * WORD_FACTOR;
        hash ^= hash >> 32;
    }
    hash *= LENGTH_FACTOR; /* so that the low bits, which choose a slot, depend on all letters */
    return hash ^ hash >> 32;
}

static int grow(Tokens *tokens) {
    uint64_t mask = 2 * tokens->mask + 1;
    Slot *slots = malloc((mask + 1) * sizeof(Slot));
    int64_t *begins = realloc(tokens->begins, 2 * tokens->room * sizeof(int64_t));
    if (begins) tokens->begins = begins;
    if (!slots || !begins) {
        free(slots);
        return 0;
    }
    for (uint64_t slot = 0; slot <= mask; slot++) slots[slot].number = -1;
    for (uint64_t old = 0; old <= tokens->mask; old++) {
        if (tokens->slots[old].number < 0) continue;
        uint64_t slot = tokens->slots[old].hash & mask;
        while (slots[slot].number >= 0) slot = (slot + 1) & mask;
        slots[slot] = tokens->slots[old];
    }
    free(tokens->slots);
    tokens->slots = slots;
    tokens->mask = mask;
    tokens->room *= 2;
    return 1;
}

static int keep_letters(Tokens *tokens, const uint8_t *bytes, int64_t length) {
    while (tokens->used + length > tokens->letters_room) {
        uint8_t *letters = realloc(tokens->letters, 2 * tokens->letters_room);
        if (!letters) return 0;
        tokens->letters = letters;
        tokens->letters_room *= 2;
    }
    memcpy(tokens->letters + tokens->used, bytes, length);
    tokens->begins[tokens->count] = tokens->used;
    tokens->used += length;
    return 1;
}

/* The slot of a token, or the free one where it belongs; NULL for tokens that were made to collide. */
static inline Slot *slot_of(const Tokens *tokens, const uint8_t *bytes, int64_t length, uint64_t hash) {
    uint64_t place = hash & tokens->mask;
    for (int probes = 0; probes < PROBES; probes++, place = (place + 1) & tokens->mask) {
        Slot *slot = tokens->slots + place;
        if (slot->number < 0) return slot;
        /* Of a length up to eight, no two tokens have the same hash. */
        if (slot->hash == hash && slot->length == length &&
            (length <= 8 || !memcmp(tokens->letters + tokens->begins[slot->number], bytes, length)))
            return slot;
    }
    return NULL;
}

/* Gives a token that belongs into a free slot the next number; 0 where memory ends. */
static inline int enter(Tokens *tokens, Slot *slot, const uint8_t *bytes, int64_t length, uint64_t hash) {
    if (tokens->count == INT32_MAX || !keep_letters(tokens, bytes, length)) return 0;
    *slot = (Slot){.hash = hash, .number = (int32_t)tokens->count++, .length = (int32_t)length};
    return tokens->count < tokens->room || grow(tokens);
}

/* The first space or zero byte from `at` on; there is one, and eight bytes behind it may be read. */
static inline int64_t end_from(const uint8_t *bytes, int64_t at) {
    for (;; at += 8) {
        uint64_t word, spaces;
        memcpy(&word, bytes + at, 8);
        spaces = word ^ ' ' * EACH_BYTE;
        /* The lowest of these marks is right, higher ones may not be. */
        uint64_t marks = (((word - EACH_BYTE) & ~word) | ((spaces - EACH_BYTE) & ~spaces)) & HIGH_BITS;
        if (marks) return at + (__builtin_ctzll(marks) >> 3);
    }
}

/* The number of each token, a piece between spaces, of texts that end with a zero byte each; `offsets`, [texts + 1],
   are where those of each text begin. `begins` and `ends` are the places of new tokens in the texts. Returns the number
   of tokens, -1 where memory ends or a token is too long, or COLLISIONS. */
int64_t tokens_number(Tokens *tokens, const uint8_t *texts, int64_t size, int32_t *numbers, int64_t *offsets,
                      int64_t *begins, int64_t *ends) {
    int64_t known = tokens->count, total = 0, text = 0, begin = 0;
    int64_t at[TOGETHER], behind[TOGETHER];
    uint64_t hashes[TOGETHER];
    offsets[0] = 0;
    while (begin < size) {
        int count = 0;
        for (; count < TOGETHER && begin < size; count++) {
            int64_t end = end_from(texts, begin);
            if (end - begin > INT32_MAX) return -1;
            at[count] = begin;
            behind[count] = end;
            hashes[count] = hash_of(texts + begin, end - begin);
            __builtin_prefetch(tokens->slots + (hashes[count] & tokens->mask));
            if (!texts[end]) offsets[++text] = total + count + 1;
            begin = end + 1;
        }
        for (int i = 0; i < count; i++, total++) {
            int64_t length = behind[i] - at[i];
            Slot *slot = slot_of(tokens, texts + at[i], length, hashes[i]);
            if (!slot) return COLLISIONS;
            if (slot->number >= 0) {
                numbers[total] = slot->number;
                continue;
            }
            begins[tokens->count - known] = at[i];
            ends[tokens->count - known] = behind[i];
            numbers[total] = (int32_t)tokens->count;
            if (!enter(tokens, slot, texts + at[i], length, hashes[i])) return -1;
        }
    }
    return total;
}

static inline int is_simple(const uint8_t *word, int64_t length) {
    int simple = length > 0 && length <= LONGEST_WORD;
    for (int64_t j = 0; simple && j < length; j++)
        simple = (uint8_t)((word[j] | 0x20) - 'a') < 26 || (uint8_t)(word[j] - '0') < 10;
    return simple;
}

/* Enters those words that are simple, of ASCII letters and digits; each ends with a zero byte. `numbers` are those of
   all words, UNKNOWN for those that are not. Returns 0, -1 where memory ends, or COLLISIONS. */
int enter_words(Tokens *tokens, const uint8_t *words, int64_t size, int32_t *numbers) {
    for (int64_t begin = 0, end; begin < size; begin = end + 1) {
        end = begin + (int64_t)strlen((const char *)words + begin);
        *numbers = UNKNOWN;
        if (is_simple(words + begin, end - begin)) {
            uint64_t hash = hash_of(words + begin, end - begin);
            Slot *slot = slot_of(tokens, words + begin, end - begin, hash);
            if (!slot) return COLLISIONS;
            *numbers = slot->number < 0 ? (int32_t)tokens->count : slot->number;
            if (slot->number < 0 && !enter(tokens, slot, words + begin, end - begin, hash)) return -1;
        }
        numbers++;
    }
    return 0;
}

/* What simple tokens are as words: the number of each among `words`, UNKNOWN, or DROPPED if it is shorter than
   `shortest`; NOT_SIMPLE for other tokens and for the first `others` of `words`. */
void find_words(const Tokens *words, int64_t others, const uint8_t *texts, const int64_t *begins, const int64_t *ends,
                int64_t count, int lowercase, int64_t shortest, int32_t *indices) {
    uint8_t word[LONGEST_WORD + 8] = {0};
    for (int64_t i = 0; i < count; i++) {
        int64_t length = ends[i] - begins[i];
        int simple = is_simple(texts + begins[i], length);
        for (int64_t j = 0; simple && j < length; j++) {
            uint8_t byte = texts[begins[i] + j];
            word[j] = lowercase && byte >= 'A' ? byte | 0x20 : byte;
        }
        const Slot *slot = simple ? slot_of(words, word, length, hash_of(word, length)) : NULL;
        if (!slot || (slot->number >= 0 && slot->number < others))
            indices[i] = NOT_SIMPLE;
        else if (length < shortest)
            indices[i] = DROPPED;
        else
            indices[i] = slot->number < 0 ? UNKNOWN : (int32_t)(slot->number - others);
    }
}

/* Where the ids of each text begin when those of its tokens are put one after the other; returns the last. */
int64_t place_ids(const int64_t *bag_offsets, const int32_t *numbers, const int64_t *text_offsets, int64_t texts,
                  int64_t *offsets) {
    int64_t total = 0;
    for (int64_t text = 0; text < texts; text++) {
        offsets[text] = total;
        for (int64_t token = text_offsets[text]; token < text_offsets[text + 1]; token++)
            total += bag_offsets[numbers[token] + 1] - bag_offsets[numbers[token]];
    }
    offsets[texts] = total;
    return total;
}

/* Sorts ids, byte by byte if they are many; `scratch` has room for as many. */
static void sort_ids(int32_t *ids, int64_t count, int32_t *scratch) {
    if (count <= FEW) {
        for (int64_t i = 1; i < count; i++) {
            int32_t id = ids[i];
            int64_t place = i;
            for (; place && ids[place - 1] > id; place--) ids[place] = ids[place - 1];
            ids[place] = id;
        }
        return;
    }
    int32_t *from = ids, *to = scratch;
    for (int shift = 0; shift < 32; shift += 8) {
        int64_t begins[256] = {0}, begin = 0;
        for (int64_t i = 0; i < count; i++) begins[from[i] >> shift & 255]++;
        for (int byte = 0; byte < 256; byte++) {
            int64_t number = begins[byte];
            begins[byte] = begin;
            begin += number;
        }
        for (int64_t i = 0; i < count; i++) to[begins[from[i] >> shift & 255]++] = from[i];
        int32_t *other = from;
        from = to;
        to = other;
    }
}

/* The ids of each text, sorted, at the places of `place_ids`; `scratch` has room for the longest text. */
void collect_ids(const int32_t *bag_ids, const int64_t *bag_offsets, const int32_t *numbers,
                 const int64_t *text_offsets, int64_t texts, const int64_t *offsets, int32_t *ids, int32_t *scratch) {
    for (int64_t text = 0; text < texts; text++) {
        int32_t *id = ids + offsets[text];
        for (int64_t token = text_offsets[text]; token < text_offsets[text + 1]; token++) {
            int64_t begin = bag_offsets[numbers[token]], end = bag_offsets[numbers[token] + 1];
            for (; begin < end; begin++) *id++ = bag_ids[begin];
        }
        sort_ids(ids + offsets[text], offsets[text + 1] - offsets[text], scratch);
    }
}

static inline void fetch(const void *row, int64_t bytes) {
    for (int64_t at = 0; at < bytes; at += 64) __builtin_prefetch((const char *)row + at);
}

#define AHEAD 4 /* rows that are fetched from memory before they are added */

/* The sum of the rows of each bag, [bags, dim], added in the order of its ids. */
#define SUMS(SUFFIX, TYPE, VALUE)                                                                                      \
    void sums_##SUFFIX(const TYPE *rows, const float *scales, int64_t dim, const int32_t *ids, const int64_t *offsets, \
                       int64_t bags, float *sums) {                                                                    \
        int64_t last = offsets[bags];                                                                                  \
        for (int64_t bag = 0; bag < bags; bag++) {                                                                     \
            float *restrict sum = sums + bag * dim;                                                                    \
            memset(sum, 0, dim * sizeof(float));                                                                       \
            for (int64_t k = offsets[bag]; k < offsets[bag + 1]; k++) {                                                \
                const TYPE *row = rows + (int64_t)ids[k] * dim;                                                        \
                if (k + AHEAD < last) fetch(rows + (int64_t)ids[k + AHEAD] * dim, dim * sizeof(TYPE));                 \
                float scale = scales ? scales[ids[k]] : 1.0f;                                                          \
                (void)scale;                                                                                           \
                for (int64_t j = 0; j < dim; j++) sum[j] += VALUE;                                                     \
            }                                                                                                          \
        }                                                                                                              \
    }

SUMS(float32, float, row[j])
SUMS(int8, int8_t, (float)row[j] * scale)
