/* The kernels for processors; see Kernels in choice.py for what each does. Sums do not depend on the number of threads:
   each is made by one thread, or of parts that are cut and added up in a fixed order. */

#include <math.h>
#include <stdint.h>

/* CHUNK: rows of logits, and PART: bags, that one thread takes at a time; given by the caller, who makes room by it. */
#define STRIP 256 /* columns likewise */
#define AHEAD 16  /* so many numbers, read here and there in memory, are asked for before their turn */
#define ROWS_AHEAD 4 /* likewise whole rows */

typedef union {
    float number;
    uint32_t bits;
} Word;

static inline float widened(uint16_t bfloat16) {
    Word word = {.bits = (uint32_t)bfloat16 << 16};
    return word.number;
}

static inline uint16_t rounded(float number) { /* to the nearest bfloat16, ties to even; not for NaN */
    Word word = {.number = number};
    return (uint16_t)((word.bits + 0x7fffu + ((word.bits >> 16) & 1u)) >> 16);
}

/* 2 to the power of x, where |x| < 127: x = n + f with a whole n and |f| <= 1/2, and of f the polynomial of degree 5 with
   the smallest relative error, 2e-7. */
static inline float power_of_two(float x) {
    float shifted = x + 12582912.0f; /* 1.5 * 2^23: the whole number is in the low bits of what this rounds to */
    Word whole = {.number = shifted};
    float f = x - (shifted - 12582912.0f);
    float series = 1.3276472e-3f;
    series = series * f + 9.6755413e-3f;
    series = series * f + 5.5507133e-2f;
    series = series * f + 2.4022120e-1f;
    series = series * f + 6.9314697e-1f;
    series = series * f + 1.0000001f;
    Word scale = {.bits = (whole.bits - 0x4b400000u + 127u) << 23};
    return series * scale.number;
}

/* Both types of logits share their code: LOAD and STORE convert. `sizes`: of each pair's group; of one with others, all
   of whose logits but the pair's own are left out. */
#define LOGIT_KERNELS(SUFFIX, TYPE, LOAD, STORE)                                                                       \
    static void add_range_##SUFFIX(const TYPE *logits, int64_t begin, int64_t end, float *columns, float *totals) {    \
        float total = 0;                                                                                               \
        _Pragma("omp simd reduction(+ : total)") for (int64_t j = begin; j < end; j++) {                               \
            float exponential = power_of_two(LOAD(logits[j]));                                                         \
            total += exponential;                                                                                      \
            columns[j] += exponential;                                                                                 \
        }                                                                                                              \
        totals[0] += total;                                                                                            \
    }                                                                                                                  \
                                                                                                                       \
    static void add_range_and_logits_##SUFFIX(const TYPE *logits, int64_t begin, int64_t end, float *columns,          \
                                              float *logit_columns, float *totals) {                                   \
        float total = 0, logit_total = 0;                                                                              \
        _Pragma("omp simd reduction(+ : total, logit_total)") for (int64_t j = begin; j < end; j++) {                  \
            float logit = LOAD(logits[j]), exponential = power_of_two(logit);                                          \
            total += exponential;                                                                                      \
            logit_total += logit;                                                                                      \
            columns[j] += exponential;                                                                                 \
            logit_columns[j] += logit;                                                                                 \
        }                                                                                                              \
        totals[0] += total;                                                                                            \
        totals[1] += logit_total;                                                                                      \
    }                                                                                                                  \
                                                                                                                       \
    /* `row_sums`: [kinds, rows] and `column_sums`: [kinds, pairs], of the exponentials and, if there are two kinds, of \
       the logits; `parts`: scratch, [chunks of rows, kinds, pairs], the column sums of each chunk. */                 \
    void sum_exponentials_##SUFFIX(const TYPE *logits, const float *diagonal, const int64_t *groups,                   \
                                   const int32_t *sizes, int64_t start, int64_t rows, int64_t pairs, int64_t kinds,    \
                                   float *row_sums, float *column_sums, float *parts, int threads) {                   \
        int64_t chunks = (rows + CHUNK - 1) / CHUNK;                                                                   \
        _Pragma("omp parallel for num_threads(threads) schedule(dynamic, 1)") for (int64_t c = 0; c < chunks; c++) {   \
            float *columns = parts + c * kinds * pairs, *logit_columns = columns + pairs;                              \
            for (int64_t j = 0; j < kinds * pairs; j++) columns[j] = 0;                                                \
            for (int64_t i = c * CHUNK; i < rows && i < (c + 1) * CHUNK; i++) {                                        \
                const TYPE *row = logits + i * pairs;                                                                  \
                int64_t own = start + i;                                                                               \
                float totals[2] = {power_of_two(diagonal[own]), diagonal[own]};                                        \
                columns[own] += totals[0];                                                                             \
                if (kinds == 2) logit_columns[own] += totals[1];                                                       \
                if (sizes && sizes[own] > 1) {                                                                         \
                    for (int64_t j = 0; j < pairs; j++) {                                                              \
                        if (groups[j] == groups[own]) continue;                                                        \
                        float logit = LOAD(row[j]), exponential = power_of_two(logit);                                 \
                        totals[0] += exponential;                                                                      \
                        totals[1] += logit;                                                                            \
                        columns[j] += exponential;                                                                     \
                        if (kinds == 2) logit_columns[j] += logit;                                                     \
                    }                                                                                                  \
                } else if (kinds == 2) {                                                                               \
                    add_range_and_logits_##SUFFIX(row, 0, own, columns, logit_columns, totals);                        \
                    add_range_and_logits_##SUFFIX(row, own + 1, pairs, columns, logit_columns, totals);                \
                } else {                                                                                               \
                    add_range_##SUFFIX(row, 0, own, columns, totals);                                                  \
                    add_range_##SUFFIX(row, own + 1, pairs, columns, totals);                                          \
                }                                                                                                      \
                for (int64_t kind = 0; kind < kinds; kind++) row_sums[kind * rows + i] = totals[kind];                 \
            }                                                                                                          \
        }                                                                                                              \
        int64_t all = kinds * pairs;                                                                                   \
        _Pragma("omp parallel for num_threads(threads) schedule(static)") for (int64_t s = 0; s < all; s += STRIP) {   \
            int64_t end = s + STRIP < all ? s + STRIP : all;                                                           \
            for (int64_t j = s; j < end; j++) column_sums[j] = 0;                                                      \
            for (int64_t c = 0; c < chunks; c++)                                                                       \
                for (int64_t j = s; j < end; j++) column_sums[j] += parts[c * all + j];                                \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    static void weigh_range_##SUFFIX(TYPE *logits, float factor, const float *factors, float target,                   \
                                     const float *targets, int64_t pairs) {                                            \
        if (targets) {                                                                                                 \
            _Pragma("omp simd") for (int64_t j = 0; j < pairs; j++)                                                    \
                logits[j] = STORE(power_of_two(LOAD(logits[j])) * (factor + factors[j]) - (target + targets[j]));      \
        } else {                                                                                                       \
            _Pragma("omp simd") for (int64_t j = 0; j < pairs; j++)                                                    \
                logits[j] = STORE(power_of_two(LOAD(logits[j])) * (factor + factors[j]));                              \
        }                                                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* `targets`: [2, pairs], or NULL. */                                                                              \
    void put_weights_##SUFFIX(TYPE *logits, const float *diagonal, const int64_t *groups, const int32_t *sizes,        \
                              int64_t start, int64_t rows, int64_t pairs, const float *factors, float own_weight,      \
                              const float *targets, int threads) {                                                     \
        const float *column_factors = factors + pairs, *column_targets = targets ? targets + pairs : 0;                \
        _Pragma("omp parallel for num_threads(threads) schedule(dynamic, CHUNK)") for (int64_t i = 0; i < rows; i++) { \
            TYPE *row = logits + i * pairs;                                                                            \
            int64_t own = start + i;                                                                                   \
            float factor = factors[own], target = targets ? targets[own] : 0;                                          \
            if (sizes && sizes[own] > 1) {                                                                             \
                for (int64_t j = 0; j < pairs; j++) {                                                                  \
                    float weight = power_of_two(LOAD(row[j])) * (factor + column_factors[j]);                          \
                    if (targets) weight -= target + column_targets[j];                                                 \
                    row[j] = groups[j] == groups[own] ? 0 : STORE(weight);                                             \
                }                                                                                                      \
            } else {                                                                                                   \
                weigh_range_##SUFFIX(row, factor, column_factors, target, column_targets, pairs);                      \
            }                                                                                                          \
            float weight = power_of_two(diagonal[own]) * (factor + column_factors[own]) - own_weight;                  \
            if (targets) weight -= target + column_targets[own];                                                       \
            row[own] = STORE(weight);                                                                                  \
        }                                                                                                              \
    }

#define AS_IT_IS(number) (number)
LOGIT_KERNELS(bfloat16, uint16_t, widened, rounded)
LOGIT_KERNELS(float32, float, AS_IT_IS, AS_IT_IS)

static inline float product_of(const float *first, const float *second, int64_t dim) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < dim; j++) sum += first[j] * second[j];
    return sum;
}

static float unit_row(const float *row, int64_t dim, int64_t width, float eps, float *unit) {
    float length = sqrtf(product_of(row, row, dim));
    if (length < eps) length = eps;
#pragma omp simd
    for (int64_t j = 0; j < dim; j++) unit[j] = row[j] / length;
    for (int64_t j = dim; j < width; j++) unit[j] = 0;
    return length;
}

#define UNIT_PAIRS(SUFFIX, TYPE, STORE)                                                                                \
    void unit_pairs_##SUFFIX(const float *queries, const float *positives, int64_t pairs, int64_t dim, int64_t width,  \
                             float *units, float *lengths, TYPE *scaled, TYPE *others, float *diagonal, float eps,     \
                             float divisor, int threads) {                                                             \
        _Pragma("omp parallel for num_threads(threads) schedule(static)") for (int64_t i = 0; i < pairs; i++) {        \
            float *query = units + i * width, *positive = units + (pairs + i) * width;                                 \
            TYPE *to_query = scaled + i * width, *to_positive = others + i * width;                                    \
            lengths[i] = unit_row(queries + i * dim, dim, width, eps, query);                                          \
            lengths[pairs + i] = unit_row(positives + i * dim, dim, width, eps, positive);                             \
            float own = 0;                                                                                             \
            _Pragma("omp simd reduction(+ : own)") for (int64_t j = 0; j < width; j++) {                               \
                float over = query[j] / divisor;                                                                       \
                own += over * positive[j];                                                                             \
                to_query[j] = STORE(over);                                                                             \
                to_positive[j] = STORE(positive[j]);                                                                   \
            }                                                                                                          \
            diagonal[i] = own;                                                                                         \
        }                                                                                                              \
    }

UNIT_PAIRS(bfloat16, uint16_t, rounded)
UNIT_PAIRS(float32, float, AS_IT_IS)

#define ROW_GRADIENTS(SUFFIX, TYPE, LOAD)                                                                               \
    void row_gradients_##SUFFIX(const TYPE *gradient, const float *units, const float *lengths, float *gradients,      \
                                int64_t rows, int64_t dim, int64_t width, float eps, float query_divisor,                 \
                                float positive_divisor, int threads) {                                                     \
        _Pragma("omp parallel for num_threads(threads) schedule(static)") for (int64_t i = 0; i < rows; i++) {         \
            const TYPE *own = gradient + i * width;                                                                    \
            const float *unit = units + i * width;                                                                     \
            float *target = gradients + i * dim, projection = 0;                                                       \
            if (lengths[i] > eps) {                                                                                    \
                _Pragma("omp simd reduction(+ : projection)") for (int64_t j = 0; j < dim; j++)                        \
                    projection += LOAD(own[j]) * unit[j];                                                              \
            }                                                                                                          \
            float factor = 1 / (lengths[i] * (i < rows / 2 ? query_divisor : positive_divisor));                              \
            _Pragma("omp simd") for (int64_t j = 0; j < dim; j++)                                                      \
                target[j] = (LOAD(own[j]) - projection * unit[j]) * factor;                                            \
        }                                                                                                              \
    }

ROW_GRADIENTS(bfloat16, uint16_t, widened)
ROW_GRADIENTS(float32, float, AS_IT_IS)

/* A step of row-wise Adagrad over `count` rows, rising. A repeated one, whose further gradients are zero, is left out
   after the first time: another thread may be at it. */
void update_rows(float *restrict table, float *moments, const int64_t *rows, const float *restrict gradients,
                 int64_t count, int64_t dim, float lr, float eps, int threads) {
#pragma omp parallel for num_threads(threads) schedule(dynamic, 64)
    for (int64_t k = 0; k < count; k++) {
        if (k && rows[k] == rows[k - 1]) continue;
        if (k + 8 < count) __builtin_prefetch(moments + rows[k + 8]);
        const float *gradient = gradients + k * dim;
        float *weights = table + rows[k] * dim;
        for (int64_t j = 0; j < dim; j += 16) __builtin_prefetch(weights + j, 1);
        float squares = 0;
#pragma omp simd reduction(+ : squares)
        for (int64_t j = 0; j < dim; j++) squares += gradient[j] * gradient[j];
        float moment = moments[rows[k]] += squares / (float)dim;
        float scale = lr / (sqrtf(moment) + eps);
#pragma omp simd
        for (int64_t j = 0; j < dim; j++) weights[j] -= scale * gradient[j];
    }
}

/* The rows of `table`, [count, dim], that `rows` names; returns 0, or -1 where one of them is not there. */
int64_t take_rows(const float *table, int64_t table_rows, int64_t dim, const int64_t *rows, int64_t count,
                  float *restrict taken, int threads) {
    for (int64_t i = 0; i < count; i++)
        if (rows[i] < 0 || rows[i] >= table_rows) return -1;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < count; i++) {
        if (i + ROWS_AHEAD < count) {
            const float *later = table + rows[i + ROWS_AHEAD] * dim;
            for (int64_t j = 0; j < dim; j += 16) __builtin_prefetch(later + j);
        }
        const float *row = table + rows[i] * dim;
        for (int64_t j = 0; j < dim; j++) taken[i * dim + j] = row[j];
    }
    return 0;
}

/* The mean of the squared differences of each bag's sum of rows of `table`, [table_rows, dim], from its row of `targets`,
   [bags, dim]; `gradients`, [bags, dim], that of the sums. Returns -1 where a row is not there. `parts`: scratch, [parts
   of PART bags], their sums. */
double bag_errors(const float *table, int64_t table_rows, int64_t dim, const int32_t *ids, const int32_t *offsets,
                  int64_t bags, const float *targets, float *restrict gradients, double *parts, int threads) {
    int64_t count = (bags + PART - 1) / PART, missing = 0;
    float factor = 2.0f / ((float)bags * (float)dim);
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : missing)
    for (int64_t part = 0; part < count; part++) {
        double total = 0;
        for (int64_t i = part * PART; i < bags && i < (part + 1) * PART; i++) {
            float *restrict gradient = gradients + i * dim, squares = 0;
            const float *target = targets + i * dim;
            for (int64_t j = 0; j < dim; j++) gradient[j] = 0;
            for (int32_t k = offsets[i]; k < offsets[i + 1]; k++) {
                if (ids[k] < 0 || ids[k] >= table_rows) {
                    missing++;
                    continue;
                }
                const float *row = table + ids[k] * dim;
                for (int64_t j = 0; j < dim; j++) gradient[j] += row[j];
            }
#pragma omp simd reduction(+ : squares)
            for (int64_t j = 0; j < dim; j++) {
                float difference = gradient[j] - target[j];
                squares += difference * difference;
                gradient[j] = difference * factor;
            }
            total += squares;
        }
        parts[part] = total;
    }
    double total = 0;
    for (int64_t part = 0; part < count; part++) total += parts[part];
    return missing ? -1 : total / ((double)bags * (double)dim);
}

/* How many of `count` groups are the same as each, itself among them. `slots`: scratch, 2^bits numbers, more
   than 2 * count, all -1. */
void group_sizes(const int64_t *groups, int64_t count, int32_t *slots, int bits, int32_t *sizes) {
    uint64_t mask = ((uint64_t)1 << bits) - 1;
    for (int64_t i = 0; i < count; i++) {
        uint64_t slot = ((uint64_t)groups[i] * 0x9e3779b97f4a7c15u) >> (64 - bits);
        while (slots[slot] >= 0 && groups[slots[slot]] != groups[i]) slot = (slot + 1) & mask;
        if (slots[slot] < 0) slots[slot] = (int32_t)i;
        sizes[i] = 0;
        if (++sizes[slots[slot]] > 1) sizes[i] = -1 - slots[slot]; /* its size is with the first of its group */
    }
    for (int64_t i = 0; i < count; i++)
        if (sizes[i] < 0) sizes[i] = sizes[-1 - sizes[i]];
}

/* Where each of the bags `chosen` begins when they are put one after the other, [count + 1]; returns the last, or -1
   where one of them is not there. */
int64_t place_bags(const int64_t *offsets, int64_t bags, int64_t all_tokens, const int64_t *chosen, int64_t count,
                   int32_t *placed) {
    int64_t total = 0;
    for (int64_t i = 0; i < count; i++) {
        placed[i] = (int32_t)total;
        if (i + AHEAD < count && chosen[i + AHEAD] >= 0 && chosen[i + AHEAD] < bags)
            __builtin_prefetch(offsets + chosen[i + AHEAD]);
        if (chosen[i] < 0 || chosen[i] >= bags) return -1;
        int64_t begin = offsets[chosen[i]], end = offsets[chosen[i] + 1];
        if (begin < 0 || begin > end || end > all_tokens) return -1;
        total += end - begin;
        if (total > INT32_MAX) return -1;
    }
    placed[count] = (int32_t)total;
    return total;
}

/* The ids of these bags and their inverse, as TensorBags has them; returns the number of distinct rows. `keys`,
   [2 * tokens], is scratch space: an id above its bag, sorted by id eleven bits at a time, which keeps the bags' order.
   Each thread takes a part of the tokens, of which it finds the place of each digit behind those of earlier parts. */
int64_t cut_bags(const int32_t *all_ids, const int64_t *offsets, const int64_t *chosen, int64_t count,
                 const int32_t *placed, int32_t *ids, int64_t *rows, int32_t *users, int32_t *user_offsets,
                 uint64_t *keys, int threads) {
    enum { DIGITS = 2048, MOST_PARTS = 8, FEW_TOKENS = 4096 };
    int64_t tokens = placed[count];
    int parts = tokens < FEW_TOKENS || threads < 1 ? 1 : threads < MOST_PARTS ? threads : MOST_PARTS;
    uint64_t *from = keys, *to = keys + tokens;
    uint32_t begins[MOST_PARTS][DIGITS], largest = 0;
    int64_t firsts[MOST_PARTS + 1] = {0};
#pragma omp parallel for num_threads(parts) schedule(static, 1) reduction(max : largest)
    for (int part = 0; part < parts; part++) {
        for (int64_t i = count * part / parts; i < count * (part + 1) / parts; i++) {
            const int32_t *bag = all_ids + offsets[chosen[i]];
            if (i + AHEAD < count) __builtin_prefetch(all_ids + offsets[chosen[i + AHEAD]]);
            for (int32_t k = placed[i]; k < placed[i + 1]; k++) {
                uint32_t id = (uint32_t)*bag++;
                ids[k] = (int32_t)id;
                from[k] = (uint64_t)id << 32 | (uint64_t)i;
                if (id > largest) largest = id;
            }
        }
    }
    for (int shift = 32; shift == 32 || (shift < 64 && largest >> (shift - 32)); shift += 11) {
#pragma omp parallel for num_threads(parts) schedule(static, 1)
        for (int part = 0; part < parts; part++) {
            for (int digit = 0; digit < DIGITS; digit++) begins[part][digit] = 0;
            for (int64_t k = tokens * part / parts; k < tokens * (part + 1) / parts; k++)
                begins[part][from[k] >> shift & (DIGITS - 1)]++;
        }
        uint32_t begin = 0;
        for (int digit = 0; digit < DIGITS; digit++)
            for (int part = 0; part < parts; part++) {
                uint32_t number = begins[part][digit];
                begins[part][digit] = begin;
                begin += number;
            }
#pragma omp parallel for num_threads(parts) schedule(static, 1)
        for (int part = 0; part < parts; part++)
            for (int64_t k = tokens * part / parts; k < tokens * (part + 1) / parts; k++)
                to[begins[part][from[k] >> shift & (DIGITS - 1)]++] = from[k];
        uint64_t *other = from;
        from = to;
        to = other;
    }
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (int part = 0; part < parts; part++) {
        int64_t distinct = 0;
        for (int64_t k = tokens * part / parts; k < tokens * (part + 1) / parts; k++)
            distinct += !k || from[k] >> 32 != from[k - 1] >> 32;
        firsts[part + 1] = distinct;
    }
    for (int part = 0; part < parts; part++) firsts[part + 1] += firsts[part];
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (int part = 0; part < parts; part++) {
        int64_t distinct = firsts[part];
        for (int64_t k = tokens * part / parts; k < tokens * (part + 1) / parts; k++) {
            users[k] = (int32_t)from[k];
            if (!k || from[k] >> 32 != from[k - 1] >> 32) {
                user_offsets[distinct] = (int32_t)k;
                rows[distinct++] = (int64_t)(from[k] >> 32);
            }
        }
    }
    user_offsets[firsts[parts]] = (int32_t)tokens;
    return firsts[parts];
}
